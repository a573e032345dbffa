import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChangeCheck } from "../../src/flow/control/change-check.ts";
import { History } from "../../src/flow/control/history.ts";
import { ChangeLimiter } from "../../src/flow/control/limiter.ts";
import { wireShare } from "../../src/flow/control/link-layer.ts";
import { ReflectorTable } from "../../src/flow/control/reflectors.ts";
import { Steering } from "../../src/flow/control/steering.ts";
import { Traffic } from "../../src/flow/control/traffic.ts";
import type { Tin } from "../../src/flow/interface.ts";
import { FLOW_HISTORY_TICKS, PROBE_SLOTS_MAX } from "../../src/kernel/limits.ts";

const NO_OVERHEAD = { framing: "none", overheadBytes: 0, mpuBytes: 0 } as const;

describe("a history", () => {
  const points = fc.array(fc.integer({ min: -500, max: 500 }), { maxLength: 200 });

  test("gives a line's own slope and growth, whatever came before", () => {
    fc.assert(
      fc.property(points, fc.integer({ min: -50, max: 50 }), (before, slope) => {
        const history = new History();
        before.forEach((value, index) => {
          history.add(index * 10, value);
        });
        const sinceMs = 10_000;
        for (let at = 0; at <= 500; at += 100) history.add(sinceMs + at, 7 + slope * at);
        expect(history.slope(sinceMs)).toBeCloseTo(slope, 6);
        expect(history.growth(sinceMs)).toBeCloseTo(slope, 6);
      }),
    );
  });

  test("knows the least and the mean of what it still holds", () => {
    fc.assert(
      fc.property(points, fc.nat(2_000), (values, sinceMs) => {
        const history = new History();
        values.forEach((value, index) => {
          history.add(index * 10, value);
        });
        const held = values
          .map((value, index) => ({ value, atMs: index * 10 }))
          .slice(-FLOW_HISTORY_TICKS)
          .filter(({ atMs }) => atMs >= sinceMs);
        const least = held.length === 0 ? null : Math.min(...held.map(({ value }) => value));
        expect(history.least(sinceMs)).toBe(least);
        const mean = history.mean(sinceMs);
        if (held.length === 0) expect(mean).toBeNull();
        else
          expect(mean).toBeCloseTo(
            held.reduce((sum, { value }) => sum + value, 0) / held.length,
            6,
          );
      }),
    );
  });

  test("tells nothing of what it has not seen", () => {
    const history = new History();
    expect(history.growth(0)).toBeNull();
    history.add(1, 1);
    expect(history.growth(0)).toBeNull();
    history.add(2, 2);
    expect(history.slope(0)).toBeNull();
  });
});

describe("the limiter of changes", () => {
  const settings = fc.record({
    rho: fc.integer({ min: 1, max: 20 }),
    tauSeconds: fc.integer({ min: 1, max: 20 }).map((tenths) => tenths / 10),
    stepUpPercent: fc.integer({ min: 1, max: 100 }),
    stepDownPercent: fc.integer({ min: 1, max: 95 }),
  });
  const bounds = { minKbit: 1_000, baseKbit: 5_000, maxKbit: 50_000 };

  test("opens at most rho times in any second, tau apart, across other settings too", () => {
    fc.assert(
      fc.property(settings, settings, fc.array(fc.nat(300), { maxLength: 200 }), (a, b, waits) => {
        const limiter = new ChangeLimiter(a, bounds);
        const made: number[] = [];
        let nowMs = 0;
        waits.forEach((wait, index) => {
          nowMs += wait;
          if (index === 100) limiter.reconfigure(b, bounds);
          if (!limiter.open(nowMs)) return;
          limiter.count(nowMs);
          const { rho, tauSeconds } = index >= 100 ? b : a;
          const lastMs = made.at(-1);
          if (lastMs !== undefined)
            expect(nowMs - lastMs).toBeGreaterThanOrEqual(tauSeconds * 1_000);
          made.push(nowMs);
          if (index < 100) {
            expect(made.filter((at) => at > nowMs - 1_000).length).toBeLessThanOrEqual(rho);
          }
        });
      }),
    );
  });

  test("bounds a change by its step, and by min and max before all", () => {
    const rate = fc.integer({ min: 100, max: 1_000_000 });
    fc.assert(
      fc.property(settings, rate, rate, (chosen, fromKbit, wantedKbit) => {
        const toKbit = new ChangeLimiter(chosen, bounds).bound(fromKbit, wantedKbit);
        expect(toKbit).toBeGreaterThanOrEqual(bounds.minKbit);
        expect(toKbit).toBeLessThanOrEqual(bounds.maxKbit);
        const inside = fromKbit >= bounds.minKbit && fromKbit <= bounds.maxKbit;
        if (!inside) return;
        expect(toKbit).toBeLessThanOrEqual(fromKbit * (1 + chosen.stepUpPercent / 100));
        expect(toKbit).toBeGreaterThanOrEqual(fromKbit * (1 - chosen.stepDownPercent / 100));
      }),
    );
  });
});

describe("the reflectors", () => {
  const ask = (table: ReflectorTable, reflector: string, atMs: number, rttMs: number) =>
    table.reply({ reflector, tin: "besteffort", atMs, rttMs }, false);

  test("are not moved by any one of three", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 5_000, noNaN: true }), fc.nat(2), (liesMs, liar) => {
        const table = new ReflectorTable();
        for (let atMs = 0; atMs <= 3_000; atMs += 100) {
          for (const index of [0, 1, 2]) {
            const lies = index === liar && atMs > 1_000;
            ask(table, `192.0.2.${index}`, atMs, lies ? liesMs : 20);
          }
        }
        expect(Math.abs(table.deltaMs(3_000)!)).toBeLessThan(0.001);
      }),
    );
  });

  test("say nothing once they are silent", () => {
    const table = new ReflectorTable();
    ask(table, "192.0.2.1", 1_000, 20);
    expect(table.deltaMs(1_000)).toBe(0);
    expect(table.deltaMs(2_000)).toBeNull();
    expect(table.baselineMs(2_000)).toBeNull();
  });

  test("learn a longer path in seconds when the line is calm, and hardly under load", () => {
    for (const calm of [true, false]) {
      const table = new ReflectorTable();
      const reply = { reflector: "192.0.2.1", tin: "voice" as Tin };
      for (let atMs = 0; atMs <= 20_000; atMs += 100) {
        table.reply({ ...reply, atMs, rttMs: atMs < 5_000 ? 20 : 60 }, calm);
      }
      if (calm) expect(table.deltaMs(20_000)).toBeLessThan(1);
      else expect(table.deltaMs(20_000)).toBeGreaterThan(35);
    }
  });

  test("keep a bounded number of baselines, each tin its own", () => {
    const table = new ReflectorTable();
    for (let index = 0; index < 100; index += 1) {
      table.reply({ reflector: `r${index % 50}`, tin: "bulk", atMs: index, rttMs: 20 }, false);
      table.reply({ reflector: `r${index % 50}`, tin: "voice", atMs: index, rttMs: 30 }, false);
    }
    const views = table.views();
    expect(views).toHaveLength(PROBE_SLOTS_MAX);
    for (const { tin, baselineMs } of views) expect(baselineMs).toBe(tin === "bulk" ? 20 : 30);
  });
});

describe("a direction's traffic", () => {
  const shaper = (backlogBytes: number) => ({
    ...{ rateKbit: 10_000, sentBytes: 0, backlogBytes, droppedPackets: 0, tins: [] },
  });

  test("is a rate, link layer included, and unknown where it was not read", () => {
    const traffic = new Traffic({ framing: "atm", overheadBytes: 40, mpuBytes: 0 });
    for (let tick = 1; tick <= 5; tick += 1) {
      traffic.add(tick * 100, { lineBytes: tick * 12_500, shaper: null }, 10_000);
    }
    expect(traffic.lineKbit).toBeCloseTo((1_000 * 33 * 53) / 1_514);
    traffic.add(600, null, 10_000);
    expect(traffic.lineKbit).toBeNull();
  });

  test("does not believe a counter that went back", () => {
    const traffic = new Traffic(NO_OVERHEAD);
    traffic.add(100, { lineBytes: 1e9, shaper: null }, 10_000);
    traffic.add(200, { lineBytes: 1_000, shaper: null }, 10_000);
    expect(traffic.lineKbit).toBeNull();
    traffic.add(300, { lineBytes: 13_500, shaper: null }, 10_000);
    expect(traffic.lineKbit).toBeCloseTo(1_000);
  });

  test("waits in our own shaper when two of three ticks saw it there", () => {
    const traffic = new Traffic(NO_OVERHEAD);
    const seen: boolean[] = [];
    [0, 9_000, 0, 9_000, 0, 0, 0].forEach((backlogBytes, index) => {
      traffic.add((index + 1) * 100, { lineBytes: 0, shaper: shaper(backlogBytes) }, 10_000);
      seen.push(traffic.queued);
    });
    expect(seen).toEqual([false, false, false, true, false, false, false]);
    expect(traffic.unqueued).toBe(true);
  });
});

test("a full packet takes whole cells on ATM", () => {
  expect(wireShare(NO_OVERHEAD)).toBe(1);
  expect(wireShare({ framing: "none", overheadBytes: 14, mpuBytes: 0 })).toBe(1);
  expect(wireShare({ framing: "atm", overheadBytes: 0, mpuBytes: 0 })).toBeCloseTo(
    (32 * 53) / 1_514,
  );
});

describe("the steering", () => {
  const calm = { deltaMs: 0, setPointMs: 10, slope: 0 };

  test("takes larger steps while the delay stays away, to a bound", () => {
    const steering = new Steering();
    const steps = Array.from({ length: 20 }, () => steering.step(calm, false, 0));
    expect(steps[1]!).toBeGreaterThan(steps[0]!);
    expect(Math.max(...steps)).toBeLessThan(0.3);
  });

  test("never rises into a delay at the set-point, however long it has wound up", () => {
    const steering = new Steering();
    for (let step = 0; step < 50; step += 1) steering.step(calm, false, 1);
    expect(steering.step({ ...calm, deltaMs: 10 }, false, 0)).toBeLessThanOrEqual(0);
    expect(steering.step({ ...calm, deltaMs: 40 }, false, 1)).toBeLessThan(0);
  });

  test("does not wind up while it is held", () => {
    const steering = new Steering();
    const first = steering.step(calm, true, 0);
    for (let step = 0; step < 50; step += 1) steering.step(calm, true, 0);
    expect(steering.step(calm, true, 0)).toBe(first);
  });
});

describe("the check of changes", () => {
  test("waits twice as long after each failure, a minute at most", () => {
    const check = new ChangeCheck();
    let atMs = 0;
    for (let failure = 0; failure < 10; failure += 1) {
      expect(check.judge(atMs, 1_000, null, "no")).toBe("change-failed");
      const waitMs = Math.min(1_000 * 2 ** failure, 60_000);
      expect(check.blocked(atMs + waitMs - 1)).toBe(true);
      expect(check.blocked(atMs + waitMs)).toBe(false);
      atMs += waitMs;
    }
    expect(check.judge(atMs, 1_000, 1_000, null)).toBe("applied");
    expect(check.failures).toBe(0);
  });

  test("allows the kernel its rounding, no more", () => {
    const check = new ChangeCheck();
    expect(check.judge(0, 20_000, 20_100, null)).toBe("applied");
    expect(check.judge(0, 20_000, 21_000, null)).toBe("readback-mismatch");
  });
});
