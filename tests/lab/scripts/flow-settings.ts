// What the daemon leaves as it was: in shadow mode everything, at its end what it found. And settings
// that change while it runs.

import assert from "node:assert/strict";
import { FLOW_MACHINES, FlowRouter, IFB } from "../flow-guest.ts";
import { labScript } from "../script.ts";
import { ROUTER } from "../topology.ts";

const LINE = { downloadKbit: 20_000, uploadKbit: 5_000 };
const RATES = `download: { min: 2000, base: 15000, max: 18000 }
upload: { min: 1000, base: 4000, max: 4500 }`;

/** Ways a line may be found, each with the commands that make it so. */
const FOUND: Readonly<Record<string, readonly string[]>> = {
  "nothing of anybody's": [],
  "a CAKE of somebody's": [
    `tc qdisc replace dev ${ROUTER.wan} root handle 8001: cake bandwidth 9mbit besteffort nat wash overhead 44 mpu 84 ack-filter`,
  ],
  "fq_codel with its own figures, and a hook with a filter": [
    `tc qdisc replace dev ${ROUTER.wan} root handle 8002: fq_codel limit 4000 target 9ms interval 120ms noecn`,
    `tc qdisc add dev ${ROUTER.wan} handle ffff: ingress`,
    `tc filter add dev ${ROUTER.wan} ingress protocol ip pref 50 matchall action pass`,
  ],
};

export default labScript({
  title: "shadow mode, what SIGTERM puts back, hot reload",
  machines: FLOW_MACHINES,
  myco: true,
  reuse: true,
  limitSeconds: 2400,
  async test({ machines: { guest }, trial }) {
    const router = new FlowRouter(guest);

    await trial("shadow mode senses the line and touches nothing", async () => {
      await router.build(LINE);
      const before = await router.footprint();
      await router.start({ flow: `mode: shadow\n${RATES}` });
      await router.load("download", 10);
      await router.waitForStatus("it measures", ({ pingerAlive, reflectors, download }) => {
        const answered = reflectors.filter(({ rttMs }) => rttMs !== null);
        return pingerAlive && answered.length > 0 && (download.throughputKbit ?? 0) > 1_000;
      });
      assert.equal(await router.footprint(), before);
      await router.stop();
      assert.equal(await router.footprint(), before);
    });

    for (const [what, commands] of Object.entries(FOUND)) {
      await trial(`SIGTERM puts back ${what}`, async () => {
        await router.build(LINE);
        for (const command of commands) await router.succeed(command);
        const before = await router.footprint();
        await router.start({ flow: RATES });
        const root = await router.rootQdisc(ROUTER.wan);
        assert.deepEqual([root?.kind, root?.handle], ["cake", "6d79:"]);
        assert.equal(await router.shaperKbit("upload"), 4_000);
        assert.equal(await router.shaperKbit("download"), 15_000);
        await router.stop();
        assert.equal(await router.footprint(), before);
      });
    }

    await trial("a good reload is in force at once, and says what it applied", async () => {
      await router.build(LINE);
      await router.start({ flow: RATES });
      await router.configure(
        `${RATES.replace("max: 18000", "max: 12000").replace("15000", "9000")}`,
      );
      await router.signal("HUP");
      await router.waitForShaper("download", "is within its new bounds", (kbit) => kbit <= 12_000);
      assert.match(JSON.stringify(await router.waitForLog("was read again")), /flow\.download/);
    });

    await trial("a bad reload is refused with the key named, and the old one stays", async () => {
      await router.waitForProbeMarks();
      const before = await router.footprint();
      await router.configure(RATES.replace("min: 2000", "min: 99000"));
      await router.signal("HUP");
      assert.match(JSON.stringify(await router.waitForLog("refused")), /flow\.download\.max/);
      assert.equal(await router.footprint(), before);
      assert.equal((await router.status()).phase, "running");
    });

    await trial("downloads can be left alone, and shaped again, while it runs", async () => {
      await router.configure(`ingress: false\n${RATES}`);
      await router.signal("HUP");
      await guest.waitUntilFails(`ip -n ${ROUTER.namespace} link show dev ${IFB}`, 60);
      await router.configure(RATES);
      await router.signal("HUP");
      await router.waitForShaper("download", "is shaped again", (kbit) => kbit > 0);
    });

    await router.remove();
  },
});
