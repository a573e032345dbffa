// The loop when the world misbehaves: tc fails or lies, the daemon is killed, somebody else takes the
// qdisc, the pinger dies, the interface goes and comes.

import assert from "node:assert/strict";
import { FLOW_MACHINES, FlowRouter, IFB } from "../flow-guest.ts";
import { labScript } from "../script.ts";
import { inNamespace, ROUTER } from "../topology.ts";

const LINE = { downloadKbit: 30_000, uploadKbit: 10_000 };
const SETTINGS = `download: { min: 2000, base: 10000, max: 40000 }
upload: { min: 1000, base: 5000, max: 12000 }`;

/** What the fault that bends changes sets; no rate of the loop's own. */
const BENT_KBIT = 7_777;

/** Programs of the daemon that live in the router's namespace. */
const CHILDREN = ["fping", "tc", "tcpdump"] as const;

export default labScript({
  title: "tc that fails or lies, kill -9, another's qdisc, a dead pinger, an interface that goes",
  machines: FLOW_MACHINES,
  myco: true,
  reuse: true,
  limitSeconds: 2400,
  async test({ machines: { guest }, trial }) {
    const router = new FlowRouter(guest);
    /** How many processes of a name live in the router's namespace. */
    const count = async (program: string): Promise<number> => {
      const pids = await guest.succeed(
        `for pid in $(ip netns pids ${ROUTER.namespace}); do cat /proc/$pid/comm 2>/dev/null || true; done`,
      );
      return pids.split("\n").filter((name) => name === program).length;
    };
    const assertShaped = async (): Promise<void> => {
      for (const device of [ROUTER.wan, IFB]) {
        const root = await router.rootQdisc(device);
        assert.deepEqual([device, root?.kind, root?.handle], [device, "cake", "6d79:"]);
      }
    };
    const isRollback =
      (cause: string) =>
      ({ kind, cause: told }: { kind: string; cause: string }) =>
        kind === "rollback" && told === cause;

    await trial("a change that tc refuses is rolled back, and the loop goes on", async () => {
      await router.build(LINE);
      await router.start({ flow: SETTINGS, withFaults: true });
      const stableKbit = await router.shaperKbit("download");
      await router.spoilChanges("refuse");
      await router.load("download", 120);
      const rollback = await router.waitForDecision("it rolls back", isRollback("change-failed"));
      assert.equal(rollback.direction, "download");
      assert.equal(await router.shaperKbit("download"), stableKbit);
      await assertShaped();
      await router.spoilChanges("not");
      await router.waitForShaper("download", "rises again", (kbit) => kbit > (stableKbit ?? 0));
      await router.endLoads();
    });

    await trial("a rate read back wrong is rolled back, and made right", async () => {
      await router.build(LINE);
      await router.start({ flow: SETTINGS, withFaults: true });
      await router.spoilChanges("bend");
      await router.load("download", 120);
      const rollback = await router.waitForDecision("it notices", isRollback("readback-mismatch"));
      assert.equal(rollback.evidence.readBackKbit, BENT_KBIT);
      await router.spoilChanges("not");
      await router.waitForShaper(
        "download",
        "is the loop's own again",
        (kbit) => kbit !== BENT_KBIT,
      );
      await router.waitForStatus("it runs unfrozen", ({ frozen, download }) => {
        return !frozen && download.shaperKbit === download.readBackKbit;
      });
      await router.endLoads();
    });

    await trial("a rate that somebody else sets does not last", async () => {
      await router.build(LINE);
      await router.start({ flow: SETTINGS });
      await router.succeed(`tc qdisc change dev ${ROUTER.wan} root cake bandwidth 3mbit`);
      await router.waitForDecision("it notices", isRollback("rate-drift"));
      await router.waitForShaper("upload", "is the loop's own again", (kbit) => kbit === 5_000);
    });

    await trial("kill -9 leaves working shapers; the next life takes them over", async () => {
      await router.kill();
      await assertShaped();
      await guest.succeed(inNamespace("client", "ping -c2 -W5 203.0.113.1"));
      await router.launch();
      await router.waitForStatus("the loop runs", ({ phase }) => phase === "running");
      await assertShaped();
      await router.waitForLog("the shaper of an earlier life");
      assert.equal(await router.shaperKbit("upload"), 5_000);
      for (const program of CHILDREN) assert.equal(await count(program), 1, program);
    });

    await trial("after a crash SIGTERM still puts back what the first life found", async () => {
      await router.stop();
      assert.notEqual((await router.rootQdisc(ROUTER.wan))?.kind, "cake");
      await guest.fail(`ip -n ${ROUTER.namespace} link show dev ${IFB}`);
      for (const program of CHILDREN) assert.equal(await count(program), 0, program);
    });

    await trial("a qdisc that another program replaces is made again", async () => {
      await router.build(LINE);
      await router.start({ flow: SETTINGS });
      await router.succeed(`tc qdisc replace dev ${ROUTER.wan} root fq_codel`);
      await router.waitForDecision("it notices", ({ cause }) => cause === "qdisc-replaced");
      await router.waitForShaper("upload", "is shaped again", (kbit) => kbit === 5_000);
      await router.succeed(`tc qdisc del dev ${IFB} root`);
      await router.waitForShaper("download", "is shaped again", (kbit) => kbit === 10_000);
      await router.succeed(`tc qdisc del dev ${ROUTER.wan} ingress`);
      await router.waitForStatus("it has noticed", () => true);
      await guest.waitUntilSucceeds(
        inNamespace(ROUTER.namespace, `tc filter show dev ${ROUTER.wan} ingress | grep -q ${IFB}`),
        60,
      );
    });

    await trial("a pinger that is killed comes back", async () => {
      await router.succeed("pkill -KILL -x fping");
      await router.waitForStatus("it measures again", ({ pingerAlive, frozen }) => {
        return pingerAlive && !frozen;
      });
      assert.equal(await count("fping"), 1);
    });

    await trial("a tc that is killed comes back", async () => {
      await router.succeed("pkill -KILL -x tc");
      await guest.succeed("sleep 2");
      await router.waitForStatus(
        "it reads again",
        ({ download }) => download.readBackKbit !== null,
      );
      assert.equal(await count("tc"), 1);
    });

    await trial("an interface that goes down and comes up is shaped as before", async () => {
      await router.succeed(`ip link set dev ${ROUTER.wan} down`);
      await router.waitForStatus("it knows", ({ link }) => link === "down");
      await router.succeed(`ip link set dev ${ROUTER.wan} up`);
      await router.succeed("ip route add default via 100.64.0.1");
      await router.succeed("ip -6 address add 2001:db8:2::2/64 dev wan0 nodad 2>/dev/null || true");
      await router.succeed("ip -6 route replace default via 2001:db8:2::1");
      await router.waitForStatus("it steers again", ({ link, frozen }) => {
        return link === "shaped" && !frozen;
      });
      await assertShaped();
    });

    await trial("an interface that is deleted and made anew is shaped again", async () => {
      await router.succeed(`ip link delete dev ${ROUTER.wan}`);
      await router.waitForStatus("it knows", ({ link }) => link === "gone");
      await guest.succeed(
        `ip -n ${ROUTER.namespace} link add ${ROUTER.wan} type veth peer name home0 netns isp
ip -n isp link set home0 up && ip -n isp address add 100.64.0.1/24 dev home0
ip -n ${ROUTER.namespace} link set ${ROUTER.wan} up
ip -n ${ROUTER.namespace} address add 100.64.0.2/24 dev ${ROUTER.wan}
ip -n ${ROUTER.namespace} route add default via 100.64.0.1`,
      );
      await router.waitForStatus("it steers again", ({ link, frozen }) => {
        return link === "shaped" && !frozen;
      });
      await assertShaped();
      assert.equal(await count("fping"), 1);
    });

    await router.remove();
  },
});
