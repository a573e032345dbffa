// The loop against congestion on a real line: its capacity falls and rises while both directions are
// full. Limits are generous; the bench has the figures.

import assert from "node:assert/strict";
import { FLOW_MACHINES, FlowRouter } from "../flow-guest.ts";
import { labScript } from "../script.ts";
import { inNamespace, REFLECTORS4 } from "../topology.ts";

const HIGH_KBIT = 20_000;
const LOW_KBIT = 5_000;
const UPLOAD_KBIT = 5_000;
const BASE_KBIT = 10_000;
const SETTINGS = `download: { min: 1000, base: ${BASE_KBIT}, max: 20000 }
upload: { min: 500, base: 3000, max: 6000 }`;

const REACTION_SECONDS = 10;
const RECOVERY_SECONDS = 40;
/** What load may add to the empty path once the loop has settled. */
const SETTLED_INCREASE_MS = 80;

export default labScript({
  title: "reaction and recovery when the line's capacity falls and rises",
  machines: FLOW_MACHINES,
  myco: true,
  reuse: true,
  limitSeconds: 2400,
  async test({ machines: { guest }, subtest, note }) {
    const router = new FlowRouter(guest);
    /** Median round trip of `count` pings from the client, in milliseconds. */
    const medianRttMs = async (count: number): Promise<number> => {
      const target = REFLECTORS4[0]!;
      const output = await guest.succeed(
        inNamespace("client", `ping -c${count} -i0.1 -W2 ${target} || true`),
      );
      const times = [...output.matchAll(/time=([\d.]+)/g)].map(([, ms]) => Number(ms));
      return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
    };

    await router.build({ downloadKbit: HIGH_KBIT, uploadKbit: UPLOAD_KBIT });
    const emptyMs = await medianRttMs(20);
    await router.start({ flow: SETTINGS });

    await subtest(
      "under load it climbs to the line's capacity, and the delay stays low",
      async () => {
        await router.load("download", 600);
        await router.load("upload", 600);
        const seconds = await router.waitForShaper(
          "download",
          "is 85 % of the line",
          (kbit) => kbit >= 0.85 * HIGH_KBIT,
          RECOVERY_SECONDS,
        );
        const increaseMs = (await medianRttMs(50)) - emptyMs;
        note(`${seconds.toFixed(1)} s; ${increaseMs.toFixed(0)} ms over ${emptyMs.toFixed(0)} ms`);
        assert.ok(increaseMs < SETTLED_INCREASE_MS, `${increaseMs} ms`);
      },
    );

    await subtest(
      "when the capacity falls it cuts below it, and the delay comes back",
      async () => {
        await router.setCapacity("download", LOW_KBIT);
        const seconds = await router.waitForShaper(
          "download",
          "is within the line",
          (kbit) => kbit <= LOW_KBIT,
          REACTION_SECONDS,
        );
        const cut = await router.waitForDecision(
          "a cut is told with its cause",
          ({ kind, direction, toKbit }) =>
            kind === "lower" && direction === "download" && (toKbit ?? 0) <= LOW_KBIT,
        );
        assert.notEqual(cut.cause, "");
        assert.ok((cut.toKbit ?? 0) < (cut.fromKbit ?? 0));
        await guest.succeed("sleep 3");
        const increaseMs = (await medianRttMs(50)) - emptyMs;
        note(`${seconds.toFixed(1)} s; ${increaseMs.toFixed(0)} ms; ${JSON.stringify(cut)}`);
        assert.ok(increaseMs < SETTLED_INCREASE_MS, `${increaseMs} ms`);
      },
    );

    await subtest("when the capacity rises it takes what there is", async () => {
      await router.setCapacity("download", HIGH_KBIT);
      const seconds = await router.waitForShaper(
        "download",
        "is 85 % of the line",
        (kbit) => kbit >= 0.85 * HIGH_KBIT,
        RECOVERY_SECONDS,
      );
      note(`${seconds.toFixed(1)} s`);
    });

    await subtest("an upload that chokes costs the download a moment at most", async () => {
      await router.setCapacity("upload", UPLOAD_KBIT / 4);
      await router.waitForShaper(
        "upload",
        "is within the line",
        (kbit) => kbit <= UPLOAD_KBIT / 4,
        REACTION_SECONDS,
      );
      const seconds = await router.waitForShaper(
        "download",
        "is 60 % of the line",
        (kbit) => kbit >= 0.6 * HIGH_KBIT,
        RECOVERY_SECONDS,
      );
      note(`${seconds.toFixed(1)} s`);
      await router.setCapacity("upload", UPLOAD_KBIT);
    });

    await subtest("a longer path without a queue is no reason to cut", async () => {
      await router.endLoads();
      await guest.succeed("sleep 5");
      const before = await router.shaperKbit("download");
      await router.setPath({ rttMs: 60 });
      await guest.succeed("sleep 10");
      const after = (await router.shaperKbit("download")) ?? 0;
      note(`${before} to ${after} kbit/s`);
      assert.ok(after >= Math.min(before ?? 0, BASE_KBIT));
    });

    await subtest("an outage freezes it, and it comes back by itself", async () => {
      await router.setPath({ rttMs: 60, lossPercent: 100 });
      await router.waitForDecision("it freezes", ({ kind }) => kind === "freeze", 30);
      await router.setPath({ rttMs: 20 });
      await router.waitForDecision("it thaws", ({ kind }) => kind === "thaw", 30);
      await guest.succeed(inNamespace("client", `ping -c3 -W5 ${REFLECTORS4[0]}`));
    });

    await subtest("it never needed more than its memory", async () => {
      const events = await guest.succeed(
        "cat /sys/fs/cgroup/system.slice/myco-router.service/memory.events",
      );
      note(events.trim().replaceAll("\n", ", "));
      assert.match(events, /^oom_kill 0$/m);
    });

    await router.remove();
  },
});
