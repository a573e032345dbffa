// The flow plane as lines of text: for a terminal with charts, for a file without.

import type { Decision, Direction } from "../flow/interface.ts";
import type { DirectionStatus, FlowHistoryPoint, FlowReport, FlowStatus } from "../flow/status.ts";
import { formatBytes, printable, type Style } from "./presenter.ts";
import { sparkline } from "./sparkline.ts";

export interface FlowPicture {
  readonly status: FlowStatus;
  readonly flows: readonly FlowReport[];
  readonly charts: boolean;
  readonly columns: number;
  readonly paint: (style: Style, text: string) => string;
}

const CHART_SECONDS = 60;
const DECISIONS_SHOWN = 6;
const LABEL_WIDTH = 10;
/** The chart of delays is never taller than this is worth, so that noise stays small. */
const CHART_RTT_MS_MIN = 50;

export function flowPicture(picture: FlowPicture): string[] {
  const { status, flows, paint } = picture;
  const lines = [...headLines(picture), "", ...chartLines(picture)];
  const tins = tinLines(picture);
  if (tins.length > 0) lines.push("", ...tins);
  if (status.decisions.length > 0) {
    lines.push("", paint("dim", "LAST DECISIONS"));
    lines.push(
      ...status.decisions.slice(-DECISIONS_SHOWN).map((each) => decisionLine(each, paint)),
    );
  }
  if (flows.length > 0) lines.push("", ...flowLines(flows, paint));
  return lines;
}

/** All of it in one line, for logs. */
export function flowLine(status: FlowStatus): string {
  const { download, upload, history, decisions } = status;
  const [now] = history.slice(-1);
  const [last] = decisions.slice(-1);
  const parts = [
    `${status.phase}${status.frozen ? " (frozen)" : ""}`,
    `download ${formatRate(download.throughputKbit)} of ${formatRate(download.shaperKbit)}`,
    `upload ${formatRate(upload.throughputKbit)} of ${formatRate(upload.shaperKbit)}`,
    `rtt ${delayText(now)}`,
    ...(last === undefined ? [] : [`last: ${decisionText(last)}`]),
  ];
  return printable(parts.join(", "));
}

/** `12:03:07 lower download 80.0 to 19.0 Mbit/s: bloat  deltaMs=61 loadPercent=99` */
export function decisionLine(
  decision: Decision,
  paint: (style: Style, text: string) => string,
): string {
  const time = new Date(decision.atMs).toISOString().slice(11, 19);
  const evidence = Object.entries(decision.evidence).map(([name, value]) => `${name}=${value}`);
  const facts = paint("dim", printable(evidence.join(" ")));
  return `${paint("dim", time)} ${printable(decisionText(decision))}  ${facts}`.trimEnd();
}

/** `18.4 Mbit/s`, `640 kbit/s`, `-` for what is not known. */
export function formatRate(rateKbit: number | null): string {
  if (rateKbit === null) return "-";
  if (rateKbit < 1_000) return `${Math.round(rateKbit)} kbit/s`;
  return `${(rateKbit / 1_000).toFixed(1)} Mbit/s`;
}

function headLines({ status, paint }: FlowPicture): string[] {
  const { mode, device, phase, frozen, link, samplingHz, cpuPercent, residentBytes } = status;
  const on = mode === "dummy" ? "a simulated line" : (device ?? "no interface yet");
  const state = frozen ? paint("yellow", "frozen") : phase;
  const costs = [
    cpuPercent === null ? null : `${cpuPercent.toFixed(1)} % of a processor`,
    residentBytes === null ? null : formatBytes(residentBytes),
  ].filter((text) => text !== null);
  const facts = [
    state,
    ...(link === null ? [] : [`line ${link}`]),
    `${samplingHz} ticks/s`,
    status.pingerAlive || mode === "dummy" ? "" : paint("yellow", "pinger not running"),
    ...costs,
    status.recording ? "recording" : "",
  ].filter((text) => text !== "");
  const lines = [`${paint("bold", `flow ${mode}`)} on ${printable(on)}: ${facts.join(", ")}`];
  if (status.problem !== null) {
    lines.push(`${paint("red", "problem:")} ${printable(status.problem)}`);
  }
  return lines;
}

/** Delay and both rates, each with its last minute. */
export function chartLines(picture: FlowPicture): string[] {
  const { status } = picture;
  const { history } = status;
  const rtts = history.map(({ rttMs }) => rttMs);
  const rttMax = Math.max(CHART_RTT_MS_MIN, ...rtts.map((rtt) => rtt ?? 0));
  return [
    chartLine(picture, "rtt", rtts, rttMax, delayText(history.at(-1))),
    directionLine(picture, "download", status.download),
    directionLine(picture, "upload", status.upload),
  ];
}

function directionLine(
  picture: FlowPicture,
  direction: Direction,
  { throughputKbit, shaperKbit, readBackKbit, backlogBytes }: DirectionStatus,
): string {
  const rates = picture.status.history.map((point) => throughputOf(point, direction));
  const max = Math.max(shaperKbit ?? 0, ...rates.map((rate) => rate ?? 0));
  const parts = [`${formatRate(throughputKbit)} of ${formatRate(shaperKbit)}`];
  if (readBackKbit !== null && readBackKbit !== shaperKbit) {
    parts.push(`the kernel says ${formatRate(readBackKbit)}`);
  }
  if (backlogBytes !== null && backlogBytes > 0) parts.push(`queue ${formatBytes(backlogBytes)}`);
  return chartLine(picture, direction, rates, max, parts.join(", "));
}

function chartLine(
  { charts, paint }: FlowPicture,
  label: string,
  values: readonly (number | null)[],
  max: number,
  text: string,
): string {
  const chart = charts ? `${paint("green", sparkline(values, CHART_SECONDS, max))}  ` : "";
  return `${paint("dim", label.padEnd(LABEL_WIDTH))}${chart}${text}`;
}

function throughputOf(point: FlowHistoryPoint, direction: Direction): number | null {
  return direction === "download" ? point.downloadKbit : point.uploadKbit;
}

function delayText(point: FlowHistoryPoint | undefined): string {
  if (point === undefined || point.rttMs === null) return "not known";
  const { rttMs, increaseMs } = point;
  if (increaseMs === null) return `${rttMs.toFixed(1)} ms`;
  return `${rttMs.toFixed(1)} ms, ${Math.max(0, increaseMs).toFixed(1)} ms of it bloat`;
}

function decisionText({ kind, direction, fromKbit, toKbit, cause }: Decision): string {
  const what = direction === null ? kind : `${kind} ${direction}`;
  const rates =
    fromKbit === null || toKbit === null ? "" : ` ${formatRate(fromKbit)} to ${formatRate(toKbit)}`;
  return `${what}${rates}: ${cause}`;
}

function tinLines({ status, paint }: FlowPicture): string[] {
  const rows = (["download", "upload"] as const).flatMap((direction) =>
    status[direction].tins.map((tin) => [
      direction,
      tin.tin,
      formatRate(tin.rateKbit),
      `${(tin.averageDelayUs / 1_000).toFixed(1)} ms`,
      formatBytes(tin.backlogBytes),
      String(tin.droppedPackets),
      String(tin.ecnMarkedPackets),
      String(tin.flows),
    ]),
  );
  if (rows.length === 0) return [];
  return columns(
    [["", "TIN", "RATE", "DELAY", "QUEUE", "DROPPED", "MARKED", "FLOWS"], ...rows],
    paint,
  );
}

function flowLines(
  flows: readonly FlowReport[],
  paint: (style: Style, text: string) => string,
): string[] {
  const rows = flows.map((flow) => [
    flow.persona,
    flow.service,
    `${Math.round(flow.confidence * 100)} %`,
    formatBytes(flow.downloadBytes),
    formatBytes(flow.uploadBytes),
    flow.key.client,
    flow.hostname ?? `${flow.key.server}:${flow.key.serverPort}`,
  ]);
  const heads = ["PERSONA", "SERVICE", "SURE", "DOWN", "UP", "DEVICE", "WITH"];
  return columns([heads, ...rows], paint);
}

/** Columns as wide as their longest cell, the first row dimmed. */
function columns(
  rows: readonly (readonly string[])[],
  paint: (style: Style, text: string) => string,
): string[] {
  const safe = rows.map((row) => row.map(printable));
  const widths = safe[0]!.map((_, column) => Math.max(...safe.map((row) => row[column]!.length)));
  return safe.map((row, index) => {
    const text = row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
    return index === 0 ? paint("dim", text) : text;
  });
}
