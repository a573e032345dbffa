// Many runs become one line a contestant and trace: the mean of every figure over the repeats, with
// its bootstrap interval.

import type { Random } from "../../src/kernel/ports.ts";
import type { DirectionFigures, RunFigures } from "./metrics.ts";
import { type Estimate, estimate } from "./statistics.ts";

export interface MeasuredRun {
  readonly trace: string;
  readonly contestant: string;
  readonly repeat: number;
  readonly figures: RunFigures;
}

/** Every figure of a table, by name; null: there is none, such as the voice's tin without tins. */
export const FIGURES = {
  rttP50Ms: (f) => f.rtt.p50Ms,
  rttP95Ms: (f) => f.rtt.p95Ms,
  rttP99Ms: (f) => f.rtt.p99Ms,
  probesLostPercent: (f) => f.rtt.lostPercent,
  downloadGoodputPercent: (f) => percent(f.download.goodputShare),
  downloadUsablePercent: (f) => percent(f.download.usableShare),
  uploadGoodputPercent: (f) => percent(f.upload.goodputShare),
  uploadUsablePercent: (f) => percent(f.upload.usableShare),
  downloadReactionMs: (f) => worst(f.download.drops.map((drop) => drop.reactionMs)),
  rttBackMs: (f) => worst(f.download.drops.map((drop) => drop.rttBackMs)),
  downloadRecoveryMs: (f) => worst(f.download.rises.map((rise) => rise.recoveryMs)),
  uploadRecoveryMs: (f) => worst(f.upload.rises.map((rise) => rise.recoveryMs)),
  goodputBackMs: (f) => worst(f.download.rises.map((rise) => rise.goodputBackMs)),
  downloadCuts: (f) => f.download.cuts,
  uploadCuts: (f) => f.upload.cuts,
  downloadFalseCutsPerMinute: (f) => f.download.falseCutsPerMinute,
  uploadFalseCutsPerMinute: (f) => f.upload.falseCutsPerMinute,
  qdiscChangesPerMinute: (f) => perMinute(f, f.download.rateChanges + f.upload.rateChanges),
  voiceLossPercent: (f) => worseOf(f, (d) => d.voice.lossPercent),
  voiceJitterP99Ms: (f) => worseOf(f, (d) => d.voice.jitterP99Ms),
  voiceDelayP99Ms: (f) => worseOf(f, (d) => d.voice.delayP99Ms),
  voiceDownloadTinPercent: (f) => percent(f.download.voice.tinShare),
  voiceUploadTinPercent: (f) => percent(f.upload.voice.tinShare),
  voiceDownloadMarkedPercent: (f) => percent(f.download.voice.markedShare),
  voiceUploadMarkedPercent: (f) => percent(f.upload.voice.markedShare),
  cpuPercent: (f) => f.usage?.cpuPercent ?? null,
  cpuSeconds: (f) => f.usage?.cpuSeconds ?? null,
  pssMb: (f) => (f.usage === null ? null : f.usage.pssBytesMax / 1e6),
  rssMb: (f) => (f.usage === null ? null : f.usage.rssBytesMax / 1e6),
  memoryPeakMb: (f) => (f.usage === null ? null : f.usage.memoryPeakBytes / 1e6),
  memoryLimitHits: (f) => f.usage?.memoryLimitHits ?? null,
  processes: (f) => f.usage?.processesMax ?? null,
  lagP99Ms: (f) => f.lagP99Ms,
} satisfies Record<string, (figures: RunFigures) => number | null>;

export type FigureName = keyof typeof FIGURES;

export interface ContestantSummary {
  readonly trace: string;
  readonly contestant: string;
  readonly repeats: number;
  readonly figures: Readonly<Record<FigureName, Estimate | null>>;
  /** `usable` as a share of the oracle's in the same repeat: paired, so that the machine's mood cancels. */
  readonly downloadUsableOfOracle: Estimate | null;
  readonly uploadUsableOfOracle: Estimate | null;
}

export function summarize(runs: readonly MeasuredRun[], random: Random): ContestantSummary[] {
  const groups = new Map<string, MeasuredRun[]>();
  for (const run of runs) {
    const key = `${run.trace}/${run.contestant}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [run]);
    else group.push(run);
  }
  return [...groups.values()].map((group) => summarizeOne(group, runs, random));
}

function summarizeOne(
  group: readonly MeasuredRun[],
  all: readonly MeasuredRun[],
  random: Random,
): ContestantSummary {
  const { trace, contestant } = group[0]!;
  const names = Object.keys(FIGURES) as FigureName[];
  const figures = Object.fromEntries(
    names.map((name) => [
      name,
      estimateOf(
        group.map((run) => FIGURES[name](run.figures)),
        random,
      ),
    ]),
  ) as Record<FigureName, Estimate | null>;
  const ofOracle = (figure: FigureName): Estimate | null =>
    estimateOf(
      group.map((run) => {
        const oracle = all.find(
          (other) =>
            other.trace === trace && other.contestant === "oracle" && other.repeat === run.repeat,
        );
        if (oracle === undefined) return null;
        const own = FIGURES[figure](run.figures);
        const best = FIGURES[figure](oracle.figures);
        return own === null || best === null || best === 0 ? null : own / best;
      }),
      random,
    );
  return {
    trace,
    contestant,
    repeats: group.length,
    figures,
    downloadUsableOfOracle: ofOracle("downloadUsablePercent"),
    uploadUsableOfOracle: ofOracle("uploadUsablePercent"),
  };
}

function estimateOf(values: readonly (number | null)[], random: Random): Estimate | null {
  return estimate(
    values.filter((value) => value !== null),
    random,
  );
}

function percent(share: number | null): number | null {
  return share === null ? null : share * 100;
}

function perMinute(figures: RunFigures, count: number): number {
  return count / (figures.loadMs / 60_000);
}

/** The slowest; one that never came makes it infinite. Null where there was none to come. */
function worst(times: readonly (number | null)[]): number | null {
  if (times.length === 0) return null;
  return Math.max(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
}

function worseOf(
  figures: RunFigures,
  pick: (direction: DirectionFigures) => number | null,
): number | null {
  const values = [pick(figures.download), pick(figures.upload)].filter((value) => value !== null);
  return values.length === 0 ? null : Math.max(...values);
}
