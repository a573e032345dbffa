// What Myco must reach, held against what was measured.

import { BUILT_IN } from "./contestants.ts";
import type { ContestantSummary, FigureName } from "./summary.ts";

export interface CheckRow {
  readonly figure: string;
  readonly measured: string;
  readonly mustReach: string;
  readonly reached: boolean;
}

/** cake-autorate's `usable` on T1 in such a guest, in percent. */
const AUTORATE_USABLE_PERCENT = 14;
/** Processor, of what another contestant took on the same line: by one clock, whatever that is. */
const CPU_SHARE_MAX = 1 / 3;

/** Myco's rows; a trace that was not played has none. */
export function checks(summaries: readonly ContestantSummary[], contestant: string): CheckRow[] {
  const find = (trace: string, name = contestant): ContestantSummary | null =>
    summaries.find((s) => s.trace === trace && s.contestant === name) ?? null;
  const rows: CheckRow[] = [];
  const below = (
    figure: string,
    summary: ContestantSummary | null,
    name: FigureName,
    limit: number,
    unit: string,
  ): void => {
    const value = summary?.figures[name]?.mean;
    if (value === undefined) return;
    const measured = `${show(value)}${unit}`;
    rows.push({ figure, measured, mustReach: `≤ ${show(limit)}${unit}`, reached: value <= limit });
  };

  for (const trace of ["T1", "T4", "T2"]) rows.push(...usableChecks(find(trace), trace));
  below("T1: p50 of the RTT increase", find("T1"), "rttP50Ms", 10, " ms");
  below("T1: p95 of the RTT increase", find("T1"), "rttP95Ms", 40, " ms");
  below("T1: RTT within +15 ms after a drop", find("T1"), "rttBackMs", 2_500, " ms");
  below("T1: rate ≤ capacity after a drop", find("T1"), "downloadReactionMs", 1_000, " ms");
  below("T1: 85 % of the capacity after a rise", find("T1"), "downloadRecoveryMs", 6_000, " ms");
  below("T0: false cuts a minute, download", find("T0"), "downloadFalseCutsPerMinute", 0, "");
  below("T0: false cuts a minute, upload", find("T0"), "uploadFalseCutsPerMinute", 0, "");
  below("T7: cuts of the download", find("T7"), "downloadCuts", 0, "");
  below("T7: cuts of the upload", find("T7"), "uploadCuts", 0, "");
  below("T9: cuts of the download", find("T9"), "downloadCuts", 0, "");
  below("T6: download back after the outage", find("T6"), "downloadRecoveryMs", 3_000, " ms");
  below("T6: upload back after the outage", find("T6"), "uploadRecoveryMs", 3_000, " ms");
  if (contestant.includes("persona")) rows.push(...voiceChecks(find("T1"), find("T1", "oracle")));
  for (const summary of summaries) {
    if (summary.contestant !== contestant || summary.trace === "idle") continue;
    const otherPercent = otherCpuPercent(summaries, summary.trace);
    if (otherPercent !== null) {
      const limit = CPU_SHARE_MAX * otherPercent;
      below(`${summary.trace}: processor`, summary, "cpuPercent", limit, " %");
    }
    below(`${summary.trace}: 64 MB met`, summary, "memoryLimitHits", 0, " times");
  }
  below("idle: processor", find("idle"), "cpuPercent", 3, " %");
  return rows;
}

/** The processor of the one contestant that was brought along; null: none, or more than one. */
function otherCpuPercent(summaries: readonly ContestantSummary[], trace: string): number | null {
  const others = summaries.filter((s) => s.trace === trace && !BUILT_IN.includes(s.contestant));
  return others.length === 1 ? (others[0]!.figures.cpuPercent?.mean ?? null) : null;
}

function usableChecks(summary: ContestantSummary | null, trace: string): CheckRow[] {
  const ofOracle = summary?.downloadUsableOfOracle?.mean;
  const usable = summary?.figures.downloadUsablePercent?.mean;
  if (ofOracle === undefined || usable === undefined) return [];
  const limit = trace === "T2" ? 55 : 80;
  const rows = [
    {
      figure: `${trace}: usable, of the oracle's`,
      measured: `${show(ofOracle * 100)} %`,
      mustReach: `≥ ${limit} %`,
      reached: ofOracle * 100 >= limit,
    },
  ];
  if (trace === "T2") return rows;
  const triple = 3 * AUTORATE_USABLE_PERCENT;
  return [
    ...rows,
    {
      figure: `${trace}: usable`,
      measured: `${show(usable)} %`,
      mustReach: `≥ ${triple} %`,
      reached: usable >= triple,
    },
  ];
}

function voiceChecks(own: ContestantSummary | null, oracle: ContestantSummary | null): CheckRow[] {
  if (own === null || oracle === null) return [];
  const { figures } = own;
  const loss = figures.voiceLossPercent?.mean ?? Number.POSITIVE_INFINITY;
  const jitter = figures.voiceJitterP99Ms?.mean ?? Number.POSITIVE_INFINITY;
  const jitterMax = (oracle.figures.voiceJitterP99Ms?.mean ?? 0) + 5;
  const tins = [
    figures.voiceDownloadTinPercent?.mean ?? 0,
    figures.voiceUploadTinPercent?.mean ?? 0,
  ];
  return [
    {
      figure: "T1: voice loss",
      measured: `${show(loss)} %`,
      mustReach: "< 0.1 %",
      reached: loss < 0.1,
    },
    {
      figure: "T1: voice jitter, p99",
      measured: `${show(jitter)} ms`,
      mustReach: `≤ ${show(jitterMax)} ms`,
      reached: jitter <= jitterMax,
    },
    {
      figure: "T1: voice in the Voice tin, down and up",
      measured: `${tins.map(show).join(" and ")} %`,
      mustReach: "≥ 90 % each",
      reached: tins.every((tin) => tin >= 90),
    },
  ];
}

/** Three digits, as many as the figures are good for. */
export function show(value: number): string {
  if (!Number.isFinite(value)) return "never";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en-US");
  return Number(value.toFixed(size >= 10 ? 1 : 2)).toString();
}
