// One machine under pressure: services that take what they can, a full disk, and a daemon that is
// killed again and again in the middle of a rollout.

import assert from "node:assert/strict";
import {
  ClusterNode,
  FlakeRepository,
  PORT,
  serverManifest,
  serverProgram,
} from "../engine-guest.ts";
import { labScript } from "../script.ts";

const MIB = 1024 * 1024;
const KILLS = 50;
/** A kill comes at a moment drawn from this, in ms of the host's time: a rollout takes about as long. */
const KILL_WITHIN_MS = 4_000;
const SEED = 20_26;

/** Plain commands are confined like flakes are. */
const FORK_BOMB = { name: "bomb", exec: "/bin/sh", args: ["-c", "while :; do sleep 1000 & done"] };
const MEMORY_HOG = {
  name: "hog",
  exec: "/usr/bin/python3",
  args: ["-c", "b = []\nwhile True: b.append(bytearray(1 << 20))".replace("\n", ";")],
};

export default labScript({
  title: "one machine under pressure: hogs, a full disk, fifty kills",
  machines: { delta: { vlans: [1], cpus: 2, memoryMiB: 1500 } },
  myco: true,
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
      const [status, output] = await delta.deploy(manifest);
      assert.equal(status, 0, output);
      assert.equal((await delta.ask("hello")).version, "1");
    });

    await subtest("a fork bomb and a memory hog stay inside their limits", async () => {
      const bomb = { ...FORK_BOMB, tasks: 50, memory: "32M", cpu: "20%" };
      const hog = {
        ...MEMORY_HOG,
        args: ["-c", "exec('b=[]\\nwhile True: b.append(bytearray(1<<20))')"],
        memory: "32M",
        cpu: "20%",
      };
      await delta.deploy(bomb, "--no-wait");
      await delta.deploy(hog, "--no-wait");
      await machine.waitUntilSucceeds(
        "test $(cat /sys/fs/cgroup/$(systemctl show --value -p ControlGroup myco-bomb)/pids.current) -ge 40",
        120,
      );
      await machine.waitUntilSucceeds("journalctl -u myco-hog | grep -iE 'oom|killed'", 120);
      const most = await machine.succeed(
        "cat /sys/fs/cgroup/$(systemctl show --value -p ControlGroup myco-bomb)/pids.current",
      );
      assert.ok(Number(most) <= 50, `${most} processes`);
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
          await repository.commit(version, serverProgram(version));
          const [status, output] = await delta.deploy(manifest, "--no-wait");
          // The daemon may be on its way up after the last kill: its socket says so.
          if (status !== 0)
            await machine.waitUntilSucceeds("myco deploy /srv/deploy --no-wait", 60);
          void output;
          await new Promise((resolve) => setTimeout(resolve, random() * KILL_WITHIN_MS));
          await machine.succeed("systemctl kill --kill-whom=main --signal=KILL myco.service");
        }
        const last = `k${KILLS - 1}`;
        await machine.waitUntilSucceeds(
          `curl -sf --max-time 5 http://127.0.0.1:${PORT}/ | grep -F '"${last}"'`,
          180,
        );
        await delta.waitForService("hello", "is healthy", ({ healthy }) => healthy === 1);
        const units = await machine.succeed(
          "systemctl list-units --all --plain --no-legend 'myco-*.service'",
        );
        assert.equal(units.trim().split("\n").length, 1, `one unit:\n${units}`);
        await machine.succeed("myco audit verify");
        note(`${KILLS} kills in ${Math.round((performance.now() - startMs) / 1000)} s`);
      },
    );

    await subtest("on a full disk it keeps its log, frees the reserve and recovers", async () => {
      await machine.execute("systemctl stop myco");
      await delta.write(
        "/etc/myco/config.yaml",
        `dns: { listen: "127.0.0.1:53" }
engine: { kind: systemd, reserve: 64M }
`,
      );
      // The node's folder on a small file system of its own.
      await machine.succeed(
        `fallocate -l 800M /srv/disk && mkfs.ext4 -q /srv/disk && mkdir -p /mnt/disk && mount /srv/disk /mnt/disk &&
cp -a /var/lib/myco/. /mnt/disk/ && umount /mnt/disk && mount /srv/disk /var/lib/myco && systemctl start myco`,
      );
      const isReserved = "test $(stat -c %s /var/lib/myco/reserve) -ge 67108864";
      await machine.waitUntilSucceeds(isReserved, 60);
      await machine.execute("dd if=/dev/zero of=/var/lib/myco/filler bs=1M status=none");
      // Writes go on until the log meets the full disk; whatever is acknowledged must be there later.
      const [status, output] = await delta.deploy({
        ...FORK_BOMB,
        name: "late",
        exec: "/bin/sleep",
        args: ["1000"],
      });
      assert.equal(status, 0, output);
      await machine.succeed("rm /var/lib/myco/filler");
      await machine.waitUntilSucceeds(isReserved, 120);
      await machine.waitUntilSucceeds("myco health", 120);
      await machine.succeed("systemctl kill --kill-whom=main --signal=KILL myco.service");
      await delta.waitForService("late", "is healthy", ({ healthy }) => healthy === 1);
    });

    await subtest("the daemon stayed inside 64 MB", async () => {
      const { peakBytes, limitMet, killed } = await delta.memory();
      note(`peak ${(peakBytes / MIB).toFixed(1)} MiB, the limit was met ${limitMet} times`);
      assert.equal(killed, 0);
      assert.ok(peakBytes <= 64 * MIB);
    });
  },
});
