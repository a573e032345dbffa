// The bench's figures mean what docs/bench-flow.md says they mean.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contestantSpec, differsOn } from "../../bench/flow/contestants.ts";
import type { LoadInterval } from "../../bench/flow/logs/load-log.ts";
import type { VoicePacket } from "../../bench/flow/logs/voice-capture.ts";
import { measure } from "../../bench/flow/metrics.ts";
import { DEFAULT_TRACES, findTraces, planRuns } from "../../bench/flow/plan.ts";
import type { RunLogs } from "../../bench/flow/run-logs.ts";
import type { Mark } from "../../bench/flow/run-spec.ts";
import { estimate, percentile } from "../../bench/flow/statistics.ts";
import { SeededRandom } from "../../src/kernel/random.ts";

const START_MS = 1_000_000;
const BASE_RTT_MS = 21;

interface Story {
  readonly seconds: number;
  /** Download capacity, kbit/s, from each second on. */
  readonly capacity: readonly (readonly [number, number])[];
  readonly rate?: readonly (readonly [number, number])[];
  rttIncrease?(second: number): number | null;
  /** Goodput of each half second. */
  goodput?(second: number): number;
  readonly voice?: readonly VoicePacket[];
  readonly marks?: readonly Mark[];
}

/** A run's logs as if it had gone so; the path's RTT is 20 ms, the guest adds one. */
function run(story: Story): RunLogs {
  const { seconds, capacity, rttIncrease = () => 0, goodput = () => 10_000 } = story;
  const at = (second: number): number => START_MS + second * 1_000;
  const probes = [];
  for (let probe = -100; probe < seconds * 20; probe += 1) {
    const second = probe / 20;
    const more = second < 0 ? 0 : rttIncrease(second);
    probes.push({ atMs: at(second), rttMs: more === null ? null : BASE_RTT_MS + more });
  }
  const load: LoadInterval[] = [];
  for (let second = 0; second < seconds; second += 0.5) {
    load.push({ startMs: at(second), endMs: at(second + 0.5), kbit: goodput(second) });
  }
  return {
    contestant: { name: "myco", cake: null, followCapacityShare: null, program: null },
    marks: [
      { kind: "line", atMs: at(-5), downloadKbit: capacity[0]![1], uploadKbit: 1, pathRttMs: 20 },
      { kind: "load-start", atMs: START_MS },
      ...capacity.map(
        ([second, downloadKbit]): Mark => ({
          ...{ kind: "line", atMs: at(second), downloadKbit, uploadKbit: 1, pathRttMs: 20 },
        }),
      ),
      { kind: "load-end", atMs: at(seconds) },
      ...(story.marks ?? []),
    ],
    probes,
    rateChanges: (story.rate ?? []).map(([second, rateKbit]) => ({
      atMs: at(second),
      device: "myco-wan0",
      rateKbit,
    })),
    download: { load, voice: story.voice ?? [] },
    upload: { load: [], voice: [] },
  };
}

describe("usable", () => {
  test("counts the goodput of intervals within 30 ms, of all capacity offered", () => {
    const figures = measure(
      run({
        seconds: 10,
        capacity: [
          [0, 30_000],
          [5, 10_000],
        ],
        rttIncrease: (second) => (second < 5 ? 5 : 100),
        goodput: () => 10_000,
      }),
    );
    expect(figures.download.goodputShare).toBeCloseTo(0.5, 2);
    expect(figures.download.usableShare).toBeCloseTo(0.25, 1);
    expect(figures.upload.usableShare).toBeNull();
  });

  test("an interval without a single answer is not usable", () => {
    const figures = measure(run({ seconds: 10, capacity: [[0, 10_000]], rttIncrease: () => null }));
    expect(figures.download.usableShare).toBe(0);
    expect(figures.rtt.lostPercent).toBe(100);
  });

  test("never exceeds the goodput", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200), { minLength: 20, maxLength: 20 }), (delays) => {
        const logs = run({
          seconds: 10,
          capacity: [[0, 20_000]],
          rttIncrease: (second) => delays[Math.floor(second * 2)] ?? 0,
        });
        const { goodputShare, usableShare } = measure(logs).download;
        expect(usableShare!).toBeLessThanOrEqual(goodputShare! + 1e-9);
      }),
      { numRuns: 30 },
    );
  });
});

test("what the guest itself adds to an RTT, and the path's own change, are no increase", () => {
  const logs = run({ seconds: 10, capacity: [[0, 10_000]], rttIncrease: (s) => (s < 5 ? 0 : 40) });
  const moved: Mark = {
    ...{ kind: "line", atMs: START_MS + 5_000, downloadKbit: 10_000, uploadKbit: 1, pathRttMs: 60 },
  };
  const marks = [...logs.marks, moved];
  expect(measure({ ...logs, marks }).rtt.p95Ms).toBeCloseTo(0, 5);
});

describe("reaction and recovery", () => {
  const capacity = [
    [0, 80_000],
    [20, 20_000],
    [40, 80_000],
  ] as const;

  test("a drop is answered when the rate is at most the capacity, a rise at 85 % of it", () => {
    const { drops, rises } = measure(
      run({
        seconds: 60,
        capacity,
        rate: [
          [-3, 76_000],
          [20.3, 40_000],
          [20.7, 19_000],
          [42, 50_000],
          [44.5, 68_000],
        ],
      }),
    ).download;
    expect(drops).toMatchObject([{ fromKbit: 80_000, toKbit: 20_000 }]);
    expect(drops[0]!.reactionMs).toBeCloseTo(700, 3);
    expect(rises[0]!.recoveryMs).toBeCloseTo(4_500, 3);
  });

  test("what never comes is never, and what need not move takes no time", () => {
    const { drops, rises } = measure(run({ seconds: 60, capacity, rate: [[-3, 19_000]] })).download;
    expect(drops[0]!.reactionMs).toBe(0);
    expect(rises[0]!.recoveryMs).toBeNull();
  });

  test("RTT is back when half a second has its median within 15 ms", () => {
    const rttIncrease = (second: number): number => (second >= 20.2 && second < 22 ? 200 : 3);
    const { drops } = measure(run({ seconds: 60, capacity, rttIncrease })).download;
    expect(drops[0]!.rttBackMs).toBeGreaterThan(1_600);
    expect(drops[0]!.rttBackMs).toBeLessThanOrEqual(2_000);
  });

  test("what RTT does long after a drop is not the drop's doing", () => {
    const rttIncrease = (second: number): number => (second >= 30 && second < 32 ? 200 : 3);
    const { drops } = measure(run({ seconds: 60, capacity, rttIncrease })).download;
    expect(drops[0]!.rttBackMs).toBe(0);
  });

  test("without an answer RTT is not back", () => {
    const rttIncrease = (second: number): number | null => (second >= 20.2 ? null : 3);
    const { drops } = measure(run({ seconds: 60, capacity, rttIncrease })).download;
    expect(drops[0]!.rttBackMs).toBeNull();
  });

  test("capacity that changes all the time has no steps", () => {
    const weather = Array.from({ length: 60 }, (_, second) => {
      return [second, second % 2 === 0 ? 40_000 : 10_000] as const;
    });
    const { drops, rises } = measure(run({ seconds: 60, capacity: weather })).download;
    expect([...drops, ...rises]).toEqual([]);
  });

  test("after an outage no more is asked for than stood before it", () => {
    const { drops, rises } = measure(
      run({
        seconds: 45,
        capacity: [
          [0, 50_000],
          [20, 0],
          [25, 50_000],
        ],
        rate: [
          [-3, 30_000],
          [22, 5_000],
          [26, 26_000],
        ],
        goodput: (second) => (second >= 20 && second < 27 ? 0 : 28_000),
      }),
    ).download;
    expect(drops).toEqual([]);
    expect(rises[0]!.recoveryMs).toBeCloseTo(1_000, 3);
    expect(rises[0]!.goodputBackMs).toBeCloseTo(2_500, 3);
  });
});

describe("cuts", () => {
  test("a cut is false when the rate already left room", () => {
    const { cuts, falseCutsPerMinute } = measure(
      run({
        seconds: 60,
        capacity: [[0, 50_000]],
        rate: [
          [-3, 60_000],
          [10, 45_000],
          [20, 30_000],
          [30, 29_900],
          [40, 45_000],
        ],
      }),
    ).download;
    expect(cuts).toBe(2);
    expect(falseCutsPerMinute).toBeCloseTo(1, 5);
  });

  test("a queue may be drained after a drop", () => {
    const { cuts, falseCutsPerMinute } = measure(
      run({
        seconds: 60,
        capacity: [
          [0, 80_000],
          [20, 20_000],
        ],
        rate: [
          [-3, 76_000],
          [20.5, 15_000],
          [21, 12_000],
          [24, 9_000],
        ],
      }),
    ).download;
    expect(cuts).toBe(3);
    expect(falseCutsPerMinute).toBeCloseTo(1, 5);
  });
});

describe("voice", () => {
  const packets = (delayOf: (index: number) => number | null): VoicePacket[] =>
    Array.from({ length: 900 }, (_, index) => {
      const sentMs = START_MS + index * 10;
      const delayMs = delayOf(index);
      return {
        sentMs,
        receivedMs: delayMs === null ? null : sentMs + delayMs,
        dscp: delayMs === null ? null : 46,
      };
    });

  test("loss, jitter between neighbours, delay above the smallest, and the mark", () => {
    const voice = packets((index) => (index % 90 === 0 ? null : index >= 450 ? 40 : 10));
    const figures = measure(run({ seconds: 10, capacity: [[0, 1_000]], voice })).download.voice;
    expect(figures.lossPercent).toBeCloseTo(100 / 90, 5);
    expect(figures.jitterP99Ms).toBe(0);
    expect(figures.delayP99Ms).toBe(30);
    expect(figures.markedShare).toBe(1);
    expect(figures.tinShare).toBeNull();
  });

  test("the Voice tin's packets are held against the call's", () => {
    const tins = (second: number, voicePackets: number): Mark => ({
      kind: "tins",
      atMs: START_MS + second * 1_000,
      device: "myco-wan0",
      packets: [0, 5, 0, voicePackets],
    });
    const { tinShare } = measure(
      run({
        seconds: 10,
        capacity: [[0, 1_000]],
        voice: packets(() => 10),
        marks: [tins(0, 50), tins(10, 550)],
      }),
    ).download.voice;
    expect(tinShare).toBeCloseTo(0.5, 2);
  });
});

test("a run that did not come to its end has no figures", () => {
  const logs = run({ seconds: 10, capacity: [[0, 1_000]] });
  const marks = logs.marks.filter((mark) => mark.kind !== "load-end");
  expect(() => measure({ ...logs, marks })).toThrow("did not come to its end");
});

describe("statistics", () => {
  test("percentiles lie between the smallest and the largest, and rise", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 }),
        (values) => {
          const [low, middle, high] = [0, 50, 100].map((percent) => percentile(values, percent)!);
          expect(low! - Math.min(...values)).toBeCloseTo(0);
          expect(high! - Math.max(...values)).toBeCloseTo(0);
          expect(middle).toBeGreaterThanOrEqual(low!);
          expect(middle).toBeLessThanOrEqual(high!);
        },
      ),
    );
    expect(percentile([], 50)).toBeNull();
    expect(percentile([1, 2, 3, 4], 50)).toBe(2.5);
    expect(percentile([1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY], 50)).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  test("a bootstrap interval holds the mean, and narrows with more values", () => {
    const random = new SeededRandom(1n);
    const few = estimate([1, 5, 3, 7], random)!;
    const many = estimate(Array(16).fill([1, 5, 3, 7]).flat(), random)!;
    expect(few.mean).toBe(4);
    expect(few.low!).toBeLessThan(4);
    expect(few.high!).toBeGreaterThan(4);
    expect(many.high! - many.low!).toBeLessThan(few.high! - few.low!);
    expect(estimate([4], random)).toEqual({ mean: 4, low: null, high: null });
    expect(estimate([], random)).toBeNull();
  });
});

describe("the plan", () => {
  const traces = findTraces(DEFAULT_TRACES, false);
  const contestants = ["fifo", "cake-min", "cake-max", "oracle", "myco", "peer"];

  test("the same seed gives the same order, and every repeat takes everyone once", () => {
    const options = { traces, contestants, repeats: 2, seed: 7n };
    const runs = planRuns(options);
    expect(planRuns(options)).toEqual(runs);
    const keys = runs.map((r) => `${r.trace.name}/${r.contestant}/${r.repeat}`);
    expect(new Set(keys).size).toBe(keys.length);
    const onT1 = runs.filter((r) => r.trace.name === "T1" && r.repeat === 2);
    expect(onT1.map((r) => r.contestant).sort()).toEqual([...contestants].sort());
  });

  test("on a line of constant capacity the oracle stands for every fixed rate", () => {
    const [constant] = findTraces(["T8"], false);
    expect(contestants.filter((name) => differsOn(name, constant!))).toEqual([
      ...["fifo", "oracle", "myco", "peer"],
    ]);
  });

  test("a fixed rate ignores the time without a line", () => {
    const [outage] = findTraces(["T6"], false);
    expect(contestantSpec("cake-min", outage!).cake!.downloadKbit).toBe(47_500);
    expect(contestantSpec("cake-mean", outage!).cake!.downloadKbit).toBe(47_500);
  });

  test("a contestant from outside finds CAKE at its base rates, and is told its bounds", () => {
    const [steps] = findTraces(["T1"], false);
    const { cake, program } = contestantSpec("peer", steps!);
    expect(cake).toEqual({ downloadKbit: 20_000, uploadKbit: 20_000 });
    expect(program!.argv.slice(1)).toEqual(["ifb4wan0", "wan0", "5000", "20000", "80000"]);
    expect(program!.environment).toMatchObject({ UL_MAX_KBIT: "35000" });
  });

  test("an unknown line is refused by name", () => {
    expect(() => findTraces(["T42"], false)).toThrow("there is no trace T42");
  });
});
