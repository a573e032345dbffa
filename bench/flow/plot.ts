// One picture a line: RTT increase on top, rate against capacity below, a column for each direction
// and a colour for each contestant. SVG written by hand, for want of nothing more.

import type { Level, RunSeries } from "./series.ts";
import { median } from "./statistics.ts";

export interface PlottedRun {
  readonly name: string;
  readonly series: RunSeries;
}

interface Panel {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Scale {
  readonly panel: Panel;
  readonly durationMs: number;
  /** Where a value lies, 0 (bottom) to 1 (top). */
  readonly share: (value: number) => number;
}

const WIDTH = 1_180;
const HEIGHT = 680;
const RTT_PANEL: Panel = { x: 70, y: 84, width: 1_080, height: 180 };
const PANEL_TOP = 310;
const PANEL_HEIGHT = 310;
const DOWNLOAD_PANEL: Panel = { x: 70, y: PANEL_TOP, width: 510, height: PANEL_HEIGHT };
const UPLOAD_PANEL: Panel = { x: 640, y: PANEL_TOP, width: 510, height: PANEL_HEIGHT };
const COLOURS: Readonly<Record<string, string>> = {
  fifo: "#9a9a9a",
  "cake-min": "#b58900",
  "cake-mean": "#b58900",
  "cake-max": "#b58900",
  oracle: "#2a9d4a",
  myco: "#1f6fd6",
  "myco-persona": "#8b3fc7",
};
const OTHER_COLOUR = "#d6401f";
/** Spacing of the RTT curve's points: the p95 of a probe's neighbours. */
const RTT_POINT_MS = 500;
const RTT_TICKS = [0, 5, 15, 30, 100, 300, 1_000];
const GRID_LINES = 4;

/** @param runs drawn in this order, the last on top; their trace's true capacity is the first's */
export function plotTrace(title: string, runs: readonly PlottedRun[]): string {
  const first = runs[0]!.series;
  const parts = [
    text(70, 28, title, 'font-size="17" font-weight="600"'),
    ...legend(runs),
    ...rttPanel(runs, first.durationMs),
    ...ratePanel("download", DOWNLOAD_PANEL, runs),
    ...ratePanel("upload", UPLOAD_PANEL, runs),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function legend(runs: readonly PlottedRun[]): string[] {
  let x = 70;
  const parts: string[] = [];
  for (const entry of [...runs.map((run) => run.name), "capacity"]) {
    const colour = entry === "capacity" ? "#000" : colourOf(entry);
    const dash = entry === "capacity" ? ' stroke-dasharray="4 3"' : "";
    parts.push(
      `<line x1="${x}" y1="46" x2="${x + 22}" y2="46" stroke="${colour}" stroke-width="3"${dash}/>`,
      text(x + 28, 50, entry),
    );
    x += 50 + entry.length * 7.2;
  }
  return parts;
}

/** Square root of the logarithm's kind: small increases, which matter most, get the most room. */
function rttPanel(runs: readonly PlottedRun[], durationMs: number): string[] {
  const top = Math.log1p(RTT_TICKS.at(-1)! / 5);
  const share = (ms: number): number => Math.min(1, Math.log1p(Math.max(0, ms) / 5) / top);
  const scale: Scale = { panel: RTT_PANEL, durationMs, share };
  return [
    ...frame(scale, "RTT increase, ms (p95 of half a second)", RTT_TICKS),
    ...runs.map(({ name, series }) => polyline(rttPoints(series), scale, colourOf(name), 1.4, "")),
  ];
}

function rttPoints(series: RunSeries): Level[] {
  const points: Level[] = [];
  for (let startMs = 0; startMs < series.durationMs; startMs += RTT_POINT_MS) {
    const values = series.rttIncrease.flatMap(({ atMs, value }) =>
      value !== null && atMs >= startMs && atMs < startMs + RTT_POINT_MS ? [value] : [],
    );
    if (values.length === 0) continue;
    values.sort((a, b) => a - b);
    const value = values[Math.floor(0.95 * (values.length - 1))]!;
    points.push({ atMs: startMs + RTT_POINT_MS / 2, value });
  }
  return points;
}

function ratePanel(
  direction: "download" | "upload",
  panel: Panel,
  runs: readonly PlottedRun[],
): string[] {
  const capacity = runs[0]!.series[direction].capacity;
  const durationMs = runs[0]!.series.durationMs;
  const topKbit = roundTop(1.2 * Math.max(1, ...capacity.map((level) => level.value)));
  const scale: Scale = { panel, durationMs, share: (kbit) => Math.min(1, kbit / topKbit) };
  const ticks = Array.from(
    { length: GRID_LINES + 1 },
    (_, index) => (index * topKbit) / GRID_LINES,
  );
  const curves = runs.flatMap(({ name, series: { [direction]: of } }) => {
    const goodput = of.load.map((l) => ({ atMs: (l.startMs + l.endMs) / 2, value: l.kbit }));
    return [
      polyline(smooth(goodput), scale, colourOf(name), 0.8, 'opacity="0.55"'),
      polyline(stairs(of.rate, durationMs), scale, colourOf(name), 1.8, ""),
    ];
  });
  return [
    ...frame(scale, `${direction}, Mbit/s: shaper (thick), goodput (thin)`, ticks, 1_000),
    ...curves,
    polyline(stairs(capacity, durationMs), scale, "#000", 1.2, 'stroke-dasharray="4 3"'),
  ];
}

/** The next number whose quarters are easy to read. */
function roundTop(kbit: number): number {
  const unit = 10 ** Math.floor(Math.log10(kbit)) / 2.5;
  return Math.ceil(kbit / unit) * unit;
}

/** The median of three, so that a late line of a log is no spike. */
function smooth(levels: readonly Level[]): Level[] {
  return levels.map(({ atMs }, index) => ({
    atMs,
    value: median(levels.slice(Math.max(0, index - 1), index + 2).map((l) => l.value))!,
  }));
}

function stairs(levels: readonly Level[], durationMs: number): Level[] {
  return levels.flatMap(({ atMs, value }, index) => [
    { atMs, value },
    { atMs: levels[index + 1]?.atMs ?? durationMs, value },
  ]);
}

function frame(scale: Scale, label: string, ticks: readonly number[], unit = 1): string[] {
  const { panel, durationMs } = scale;
  const parts = [text(panel.x, panel.y - 8, label, 'font-weight="600"')];
  for (const tick of ticks) {
    const y = panel.y + panel.height * (1 - scale.share(tick));
    parts.push(
      `<line x1="${panel.x}" y1="${round(y)}" x2="${panel.x + panel.width}" y2="${round(y)}" stroke="#e3e3e3"/>`,
      text(panel.x - 8, y + 4, `${round(tick / unit)}`, 'text-anchor="end" fill="#555"'),
    );
  }
  const seconds = durationMs / 1_000;
  for (let second = 0; second <= seconds; second += 10) {
    const x = panel.x + (panel.width * second) / seconds;
    const bottom = panel.y + panel.height;
    parts.push(
      `<line x1="${round(x)}" y1="${panel.y}" x2="${round(x)}" y2="${bottom}" stroke="#efefef"/>`,
      text(x, bottom + 16, `${second} s`, 'text-anchor="middle" fill="#555"'),
    );
  }
  return parts;
}

function polyline(
  levels: readonly Level[],
  { panel, durationMs, share }: Scale,
  colour: string,
  width: number,
  more: string,
): string {
  const points = levels.map(({ atMs, value }) => {
    const x = panel.x + (panel.width * Math.min(Math.max(atMs, 0), durationMs)) / durationMs;
    return `${round(x)},${round(panel.y + panel.height * (1 - share(value)))}`;
  });
  if (points.length === 0) return "";
  return `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linejoin="round" ${more}/>`;
}

function text(x: number, y: number, content: string, more = ""): string {
  const safe = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${safe}</text>`;
}

function colourOf(name: string): string {
  return COLOURS[name] ?? OTHER_COLOUR;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
