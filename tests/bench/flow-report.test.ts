// The bench's tables, verdicts and pictures say what was measured.

import { describe, expect, test } from "vitest";
import { readArguments } from "../../bench/flow/arguments.ts";
import { checks, show } from "../../bench/flow/checks.ts";
import type { RunFigures } from "../../bench/flow/metrics.ts";
import { plotTrace } from "../../bench/flow/plot.ts";
import { markdownReport } from "../../bench/flow/report.ts";
import type { RunSeries } from "../../bench/flow/series.ts";
import { type MeasuredRun, summarize } from "../../bench/flow/summary.ts";
import { SeededRandom } from "../../src/kernel/random.ts";

const VOICE = {
  packets: 100,
  lossPercent: 0,
  jitterP99Ms: 2,
  delayP99Ms: 5,
  tinShare: 1,
  markedShare: 1,
};

function figures(usableShare: number, more: Partial<RunFigures> = {}): RunFigures {
  const direction = {
    goodputKbit: 10_000,
    goodputShare: 0.9,
    usableShare,
    rateChanges: 3,
    cuts: 1,
    falseCutsPerMinute: 0,
    drops: [{ fromKbit: 80_000, toKbit: 20_000, reactionMs: 400, rttBackMs: 700 }],
    rises: [{ fromKbit: 20_000, toKbit: 80_000, recoveryMs: 3_000, goodputBackMs: null }],
    voice: VOICE,
  };
  return {
    loadMs: 60_000,
    rtt: { p50Ms: 1, p95Ms: 20, p99Ms: 50, lostPercent: 0 },
    download: direction,
    upload: direction,
    usage: null,
    lagP99Ms: 1,
    ...more,
  };
}

function usage(cpuPercent: number): Partial<RunFigures> {
  const used = { cpuSeconds: 1, cpuPercent, pssBytesMax: 1, rssBytesMax: 1, processesMax: 1 };
  return { usage: { ...used, memoryPeakBytes: 1, memoryLimitHits: 0, endedEarly: null } };
}

function run(contestant: string, usableShare: number, repeat = 1): MeasuredRun {
  return { trace: "T1", contestant, repeat, figures: figures(usableShare) };
}

const summaries = (...runs: MeasuredRun[]) => summarize(runs, new SeededRandom(1n));

describe("the summary", () => {
  test("usable is held against the oracle of the same repeat", () => {
    const [own] = summaries(
      run("myco", 0.4, 1),
      run("myco", 0.9, 2),
      run("oracle", 0.5, 1),
      run("oracle", 0.9, 2),
    );
    expect(own!.downloadUsableOfOracle!.mean).toBeCloseTo(0.9, 6);
    expect(own!.figures.downloadUsablePercent!.mean).toBeCloseTo(65, 6);
    expect(own!.figures.downloadUsablePercent!.low!).toBeLessThan(65);
  });

  test("a recovery that never came is never, not left out", () => {
    const never = figures(0.5);
    const rises = [{ ...never.download.rises[0]!, recoveryMs: null }];
    const broken = { ...never, download: { ...never.download, rises } };
    const [own] = summaries({ ...run("myco", 0.5), figures: broken });
    expect(show(own!.figures.downloadRecoveryMs!.mean)).toBe("never");
  });
});

describe("the verdicts", () => {
  const verdict = (usableShare: number) =>
    checks(summaries(run("myco", usableShare), run("oracle", 0.9)), "myco");

  test("name what is reached and what is not", () => {
    const reached = (rows: ReturnType<typeof verdict>): boolean =>
      rows.find((row) => row.figure === "T1: usable, of the oracle's")!.reached;
    expect(reached(verdict(0.8))).toBe(true);
    expect(reached(verdict(0.7))).toBe(false);
  });

  test("are silent about lines that were not played", () => {
    expect(verdict(0.8).every((row) => row.figure.startsWith("T1"))).toBe(true);
  });

  test("hold the processor to a third of who was brought along, and to nothing without one", () => {
    const own = { ...run("myco", 0.8), figures: figures(0.8, usage(3)) };
    const other = { ...run("autorate", 0.3), figures: figures(0.3, usage(12)) };
    const processor = (...runs: MeasuredRun[]) =>
      checks(summaries(...runs), "myco").find((row) => row.figure.includes("processor"));
    expect(processor(own, other)).toMatchObject({ mustReach: "≤ 4 %", reached: true });
    expect(processor(own, run("oracle", 0.9))).toBeUndefined();
  });

  test("hold the call to the oracle's jitter, with personas only", () => {
    const runs = [run("myco-persona", 0.8), run("myco", 0.8), run("oracle", 0.9)];
    const jitter = (contestant: string) =>
      checks(summaries(...runs), contestant).find((row) => row.figure.includes("jitter"));
    expect(jitter("myco-persona")).toMatchObject({ mustReach: "≤ 7 ms", reached: true });
    expect(jitter("myco")).toBeUndefined();
  });
});

test("the report has a table for each line, a row for each contestant, and the verdicts", () => {
  const markdown = markdownReport({
    summaries: summaries(run("oracle", 0.9), run("myco", 0.8)),
    titles: { T1: "steps" },
    circumstances: ["somewhere"],
  });
  expect(markdown).toContain("## T1: steps");
  expect(markdown).toMatch(/\| myco \| 1 \/ 20 \/ 50 \|/);
  expect(markdown).toContain("## myco: what it must reach");
  const widths = markdown
    .split("\n")
    .filter((line) => line.startsWith("| ") && line.includes("contestant") === false)
    .map((line) => line.split(" | ").length);
  expect(widths.length).toBeGreaterThan(4);
});

test("a picture is one closed SVG whose points all lie within it", () => {
  const series: RunSeries = {
    durationMs: 20_000,
    rttIncrease: [
      { atMs: 100, value: 3 },
      { atMs: 600, value: null },
      { atMs: 1_100, value: 90_000 },
    ],
    download: {
      capacity: [{ atMs: 0, value: 20_000 }],
      rate: [{ atMs: 0, value: Number.POSITIVE_INFINITY }],
      load: [{ startMs: 0, endMs: 500, kbit: 18_000 }],
    },
    upload: { capacity: [{ atMs: 0, value: 0 }], rate: [], load: [] },
  };
  const svg = plotTrace("a <line> & more", [{ name: "myco", series }]);
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  expect(svg).toContain("a &lt;line> &amp; more");
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  for (const [, points] of svg.matchAll(/points="([^"]*)"/g)) {
    for (const point of points!.split(" ")) {
      const [x, y] = point.split(",").map(Number);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(1_180);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(680);
    }
  }
});

describe("the command line", () => {
  test("another contestant comes with its executable", () => {
    const options = readArguments(["--contestants", "oracle", "--contestant", "peer=/bin/peer"]);
    expect(options).toMatchObject({
      contestants: ["oracle", "peer"],
      guests: [{ name: "peer", executable: "/bin/peer" }],
    });
  });

  test.each([
    [["--contestants", "cake"], "there is no contestant cake"],
    [["--contestant", "peer"], "NAME=EXECUTABLE"],
    [["--contestant", "oracle=/bin/true"], "NAME=EXECUTABLE"],
    [["--repeats", "0"], "--repeats is a number from 1 to 100; found 0"],
    [["--clock", "sun"], "--clock is instructions or host; found sun"],
    [["--seed", "x"], "--seed is a number; found x"],
  ])("%j is refused with a reason", (args, reason) => {
    expect(readArguments(args)).toContain(reason);
  });

  test("quick figures have a folder of their own", () => {
    expect(readArguments(["--quick"])).toMatchObject({ out: "bench/flow/results-quick" });
    expect(readArguments([])).toMatchObject({ out: "bench/flow/results" });
  });
});
