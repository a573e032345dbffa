// One machine under pressure: services that take what they can, a daemon that is killed again and
// again in the middle of a rollout, and a full disk.

import assert from "node:assert/strict";
import {
  ClusterNode,
  FlakeRepository,
  POST,
  serverManifest,
  serverProgram,
} from "../engine-guest.ts";
import { labScript } from "../script.ts";

const MIB = 1024 * 1024;
/** After each deployment the daemon is killed at a moment drawn from this … */
const ROLLOUT_SECONDS = 8;
/** … and then twice at one of its next start, which finds what was left. */
const KILLS_EACH = 3;
const ROLLOUTS = 18;
const KILLS = KILLS_EACH * ROLLOUTS;
const SEED = 2026;
/** Of the versions, one in so many is a flake that is built; the others are on the machine already. */
const BUILT_EVERY = 6;
/** So many daemons had begun a rollout when they were killed, or the kills mean little. */
const BEGUN_MIN = 9;
const RESERVE_MIB = 20;
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

/** For the guest's shell: deploys VERSION of the manifest FILE, and kills the daemon, each time a while later. */
const ROLLOUT = `rollout() { # VERSION FILE SECONDS...
  systemctl start myco.service
  sed "s/@VERSION@/$1/" "$2" | ${POST} >/dev/null
  shift 2
  for seconds; do
    sleep "$seconds"
    until systemctl kill --kill-whom=main --signal=KILL myco.service 2>/dev/null; do sleep 0.1; done
  done
}
`;

/** How many of the daemons that ran said that a rollout had begun. */
const BEGUN = `journalctl -b --no-pager -o short -u myco | sed -n 's/.* myco\\[\\([0-9]*\\)\\].*"msg":"hello is start.*/\\1/p' | sort -u | wc -l`;

/** Takes the last byte of the disk, without writing much. */
const FILL_DISK = `mkdir /srv/full; n=0
for size in 256M 16M 1M 64K 4K; do
  while fallocate --length $size /srv/full/$((n += 1)) 2>/dev/null; do :; done
done
cat /dev/zero >/srv/full/rest 2>/dev/null || true`;

export default labScript({
  title: "one machine under pressure: hogs, kills again and again, a full disk",
  machines: { delta: { vlans: [1] } },
  myco: true,
  reuse: true,
  limitSeconds: 1800,
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
      const hogs = [
        { name: "bomb", ...FORK_BOMB, tasks: TASKS_MAX, ...limits },
        { name: "hog", ...MEMORY_HOG, ...limits },
      ];
      await delta.post({ services: hogs });
      const tasks = "cat /sys/fs/cgroup/$(systemctl show -P ControlGroup myco-bomb)/pids";
      await machine.waitUntilSucceeds(`test $(${tasks}.current) -ge ${TASKS_MAX - 5}`, 180);
      assert.equal(Number(await machine.succeed(`${tasks}.max`)), TASKS_MAX);
      await machine.waitUntilSucceeds("journalctl -u myco-hog | grep -iE 'oom|killed'", 180);
      assert.equal(await machine.unitProperty("myco.service", "NRestarts"), "0");
      assert.equal((await delta.ask("hello")).version, "1");
      for (const { name } of hogs) await delta.withdraw(name);
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
        await delta.write("/srv/plain.json", JSON.stringify(plainManifest("@VERSION@")));
        await delta.write("/srv/built.json", JSON.stringify(manifest));
        const begunBefore = Number(await machine.succeed(BEGUN));
        const startSeconds = await delta.startSeconds();
        note(`a start takes ${startSeconds.toFixed(1)} s`);
        for (let first = 0; first < ROLLOUTS; first += BUILT_EVERY) {
          await repository.commit(`k${first}`, serverProgram(`k${first}`));
          const rollouts = Array.from({ length: BUILT_EVERY }, (_, index) => {
            const file = index === 0 ? "built" : "plain";
            const moments = Array.from(
              { length: KILLS_EACH },
              (_, kill) => random() * (kill === 0 ? ROLLOUT_SECONDS : startSeconds),
            );
            const seconds = moments.map((moment) => moment.toFixed(2)).join(" ");
            return `rollout k${first + index} /srv/${file}.json ${seconds}\n`;
          });
          await machine.succeed(ROLLOUT + rollouts.join(""));
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
        const begunCount = Number(await machine.succeed(BEGUN)) - begunBefore;
        note(`${begunCount} daemons began a rollout`);
        assert.ok(begunCount >= BEGUN_MIN);
        note(`${KILLS} kills in ${Math.round((performance.now() - startMs) / 1000)} s`);
      },
    );

    await subtest("on a full disk it keeps its log, frees the reserve and recovers", async () => {
      const reserve = "/var/lib/myco/reserve";
      const isReserved = `test $(stat -c %s ${reserve}) -eq ${RESERVE_MIB * MIB}`;
      await machine.succeed(
        `sed -i 's/reserve: "0"/reserve: ${RESERVE_MIB}M/' /etc/myco/config.yaml && systemctl restart myco`,
      );
      await machine.waitUntilSucceeds(isReserved, 180);
      await machine.succeed(FILL_DISK);
      // What is acknowledged now must be there later.
      await delta.post({ name: "late", exec: "/bin/sleep", args: ["100000"] });
      await delta.waitForService("late", "is healthy", ({ healthy }) => healthy === 1);
      await machine.fail(`test -e ${reserve}`);
      await machine.succeed("rm -r /srv/full");
      await machine.succeed("systemctl kill --kill-whom=main --signal=KILL myco.service");
      await delta.waitForService("late", "is healthy", ({ healthy }) => healthy === 1);
      await machine.waitUntilSucceeds(isReserved, 180);
      await machine.succeed("myco health");
    });

    await subtest("the daemon stayed inside 64 MB", async () => {
      const { peakBytes, limitMet, killed } = await delta.memory();
      note(`peak ${(peakBytes / MIB).toFixed(1)} MiB, the limit was met ${limitMet} times`);
      assert.equal(killed, 0);
      assert.ok(peakBytes <= 64 * MIB);
    });
  },
});
