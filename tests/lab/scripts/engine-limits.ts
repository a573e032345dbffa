// One machine under pressure: services that take what they can, and a daemon that is killed again
// and again in the middle of a rollout.

import assert from "node:assert/strict";
import { ClusterNode, FlakeRepository, serverManifest, serverProgram } from "../engine-guest.ts";
import { labScript } from "../script.ts";

const MIB = 1024 * 1024;
const KILLS = 50;
/** A kill comes at a moment drawn from this, in ms of the host's time: a rollout takes about as long. */
const KILL_WITHIN_MS = 4_000;
const SEED = 2026;
/** Of the versions, one in so many is a flake that is built; the others are on the machine already. */
const BUILT_EVERY = 10;
const PROGRAM = "/usr/local/lib/hello/server.py";

/** Plain commands are confined like flakes are. A failed fork must not end the bomb. */
const FORK_BOMB = python(
  "import os,time\\nwhile True:\\n try:\\n  if os.fork()==0: time.sleep(9999)\\n except OSError: time.sleep(.1)",
);
const MEMORY_HOG = python("b=[]\\nwhile True: b.append(bytearray(1<<20))");
const TASKS_MAX = 50;

/** A Python program in one argument, which may have no line breaks of its own. */
function python(program: string): object {
  return { exec: "/usr/bin/python3", args: ["-c", `exec('${program}')`] };
}

/** The same server without a flake. */
function plainManifest(version: string): object {
  const { flake: _, ...plain } = serverManifest("") as { flake: string };
  return { ...plain, exec: "/usr/bin/python3", args: [PROGRAM], env: { VERSION: version } };
}

export default labScript({
  title: "one machine under pressure: hogs, fifty kills",
  machines: { delta: { vlans: [1], clock: "instructions" } },
  myco: true,
  limitSeconds: 3000,
  async test({ machines, subtest, note }) {
    const delta = new ClusterNode(machines.delta);
    const { machine } = delta;
    const repository = new FlakeRepository(delta, "hello");
    const manifest = serverManifest(repository.uri);

    await subtest("one machine is a cluster, with a service that is well", async () => {
      await delta.setUp();
      await delta.found();
      await repository.serve();
      await repository.commit("1", serverProgram("1"));
      await delta.write(PROGRAM, serverProgram("plain"));
      const [status, output] = await delta.deploy(manifest);
      assert.equal(status, 0, output);
      assert.equal((await delta.ask("hello")).version, "1");
    });

    await subtest("a fork bomb and a memory hog stay inside their limits", async () => {
      const limits = { memory: "48M", cpu: "20%" };
      await delta.deploy({ name: "bomb", ...FORK_BOMB, tasks: TASKS_MAX, ...limits }, "--no-wait");
      await delta.deploy({ name: "hog", ...MEMORY_HOG, ...limits }, "--no-wait");
      const tasks = "cat /sys/fs/cgroup/$(systemctl show -P ControlGroup myco-bomb)/pids";
      await machine.waitUntilSucceeds(`test $(${tasks}.current) -ge ${TASKS_MAX - 5}`, 180);
      assert.equal(Number(await machine.succeed(`${tasks}.max`)), TASKS_MAX);
      await machine.waitUntilSucceeds("journalctl -u myco-hog | grep -iE 'oom|killed'", 180);
      assert.equal(await machine.unitProperty("myco.service", "NRestarts"), "0");
      assert.equal((await delta.ask("hello")).version, "1");
      await machine.succeed("myco undeploy bomb hog");
      await machine.waitUntilFails("systemctl cat myco-bomb.service >/dev/null 2>&1", 60);
    });

    await subtest(
      `after ${KILLS} kills at random moments of rollouts it always converges`,
      async () => {
        let state = SEED;
        const random = (): number => {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          return state / 2 ** 32;
        };
        const startMs = performance.now();
        for (let kill = 0; kill < KILLS; kill += 1) {
          const version = `k${kill}`;
          const isBuilt = kill % BUILT_EVERY === 0;
          if (isBuilt) await repository.commit(version, serverProgram(version));
          await delta.post(isBuilt ? manifest : plainManifest(version));
          await new Promise((resolve) => setTimeout(resolve, random() * KILL_WITHIN_MS));
          await machine.succeed("systemctl kill --kill-whom=main --signal=KILL myco.service");
        }
        const { generation } = await delta.post(plainManifest("last"));
        await delta.waitForService(
          "hello",
          "is healthy at the last version",
          ({ healthy, instances }) => healthy === 1 && instances[0]?.generation === generation,
        );
        assert.match(
          await machine.succeed("systemctl show -P Environment myco-hello"),
          /VERSION=last/,
        );
        const units = await machine.succeed(
          "systemctl list-units --all --plain --no-legend 'myco-*.service'",
        );
        assert.equal(units.trim().split("\n").length, 1, `one unit:\n${units}`);
        await machine.succeed("myco audit verify");
        note(`${KILLS} kills in ${Math.round((performance.now() - startMs) / 1000)} s`);
      },
    );

    await subtest("the daemon stayed inside 64 MB", async () => {
      const { peakBytes, limitMet, killed } = await delta.memory();
      note(`peak ${(peakBytes / MIB).toFixed(1)} MiB, the limit was met ${limitMet} times`);
      assert.equal(killed, 0);
      assert.ok(peakBytes <= 64 * MIB);
    });
  },
});
