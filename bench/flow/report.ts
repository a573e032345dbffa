// The tables of a bench: one for each line, and one of what must be reached.

import { checks, show } from "./checks.ts";
import type { Estimate } from "./statistics.ts";
import type { ContestantSummary, FigureName } from "./summary.ts";

interface Column {
  readonly head: string;
  cell(summary: ContestantSummary): string;
}

const COLUMNS: readonly Column[] = [
  { head: "contestant", cell: (s) => s.contestant },
  {
    head: "RTT increase p50 / p95 / p99, ms",
    cell: (s) => several(s, ["rttP50Ms", "rttP95Ms", "rttP99Ms"]),
  },
  {
    head: "goodput down / up, %",
    cell: (s) => several(s, ["downloadGoodputPercent", "uploadGoodputPercent"]),
  },
  {
    head: "usable down / up, %",
    cell: (s) =>
      `${spread(s.figures.downloadUsablePercent)} / ${spread(s.figures.uploadUsablePercent)}`,
  },
  { head: "of the oracle's", cell: (s) => spread(scaled(s.downloadUsableOfOracle, 100), " %") },
  {
    head: "reaction / RTT back / recovery, s",
    cell: (s) =>
      (["downloadReactionMs", "rttBackMs", "downloadRecoveryMs"] as const)
        .map((name) => centre(scaled(s.figures[name], 0.001)))
        .join(" / "),
  },
  {
    head: "cuts down / up (false a minute)",
    cell: (s) =>
      `${several(s, ["downloadCuts", "uploadCuts"])} (${several(s, ["downloadFalseCutsPerMinute", "uploadFalseCutsPerMinute"])})`,
  },
  {
    head: "voice loss, %; jitter, delay p99, ms",
    cell: (s) =>
      `${centre(s.figures.voiceLossPercent)}; ${several(s, ["voiceJitterP99Ms", "voiceDelayP99Ms"])}`,
  },
  {
    head: "voice in its tin down / up, %",
    cell: (s) => several(s, ["voiceDownloadTinPercent", "voiceUploadTinPercent"]),
  },
  { head: "tc changes a minute", cell: (s) => centre(s.figures.qdiscChangesPerMinute) },
  {
    head: "processor, %; PSS, MB",
    cell: (s) =>
      s.figures.cpuPercent === null
        ? "–"
        : `${several(s, ["cpuPercent"])}; ${several(s, ["pssMb"])}`,
  },
];

export interface ReportInput {
  readonly summaries: readonly ContestantSummary[];
  readonly titles: Readonly<Record<string, string>>;
  /** Where and when it ran, for the reader. */
  readonly circumstances: readonly string[];
}

export function markdownReport({ summaries, titles, circumstances }: ReportInput): string {
  const parts: string[] = [...circumstances.map((line) => `${line}\n`)];
  for (const trace of new Set(summaries.map((summary) => summary.trace))) {
    parts.push(`## ${trace}: ${titles[trace] ?? ""}\n`, traceTable(summaries, trace));
  }
  for (const contestant of ["myco", "myco-persona"]) {
    const rows = checks(summaries, contestant);
    if (rows.length === 0) continue;
    parts.push(
      `## ${contestant}: what it must reach\n`,
      table(
        ["figure", "measured", "must reach", ""],
        rows.map((row) => [row.figure, row.measured, row.mustReach, row.reached ? "yes" : "NO"]),
      ),
    );
  }
  return parts.join("\n");
}

function traceTable(summaries: readonly ContestantSummary[], trace: string): string {
  const own = summaries.filter((summary) => summary.trace === trace);
  return table(
    COLUMNS.map((column) => column.head),
    own.map((summary) => COLUMNS.map((column) => column.cell(summary))),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return `${lines.join("\n")}\n`;
}

function several(summary: ContestantSummary, names: readonly FigureName[]): string {
  return names.map((name) => centre(summary.figures[name])).join(" / ");
}

function centre(value: Estimate | null): string {
  return value === null ? "–" : show(value.mean);
}

/** The mean, and its interval where more than one run tells. */
function spread(value: Estimate | null, unit = ""): string {
  if (value === null) return "–";
  if (value.low === null || value.high === null) return `${show(value.mean)}${unit}`;
  return `${show(value.mean)}${unit} [${show(value.low)}–${show(value.high)}]`;
}

function scaled(value: Estimate | null, factor: number): Estimate | null {
  if (value === null) return null;
  const { mean, low, high } = value;
  const by = (bound: number | null): number | null => (bound === null ? null : bound * factor);
  return { mean: mean * factor, low: by(low), high: by(high) };
}
