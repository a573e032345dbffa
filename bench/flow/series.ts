// What a run looked like over time, for figures and plots alike: capacity, rate, goodput and RTT
// increase, in milliseconds since the load began.

import type { LoadInterval } from "./logs/load-log.ts";
import type { Probe } from "./logs/ping-log.ts";
import type { RateChange } from "./logs/qdisc-log.ts";
import type { RunLogs } from "./run-logs.ts";
import type { Mark } from "./run-spec.ts";
import { median } from "./statistics.ts";

/** A value from `atMs` on, until the next. */
export interface Level {
  readonly atMs: number;
  readonly value: number;
}

/** Wall-clock times of one run's load. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** What the run looked like over time, for metrics and plots alike; times since the load began. */
export interface RunSeries {
  readonly durationMs: number;
  readonly rttIncrease: readonly { readonly atMs: number; readonly value: number | null }[];
  readonly download: DirectionSeries;
  readonly upload: DirectionSeries;
}

export interface DirectionSeries {
  readonly capacity: readonly Level[];
  /** The shaper's rate; empty where there is none. */
  readonly rate: readonly Level[];
  readonly load: readonly LoadInterval[];
}

export function seriesOf(logs: RunLogs): RunSeries {
  const span = spanOf(logs.marks);
  const lines = logs.marks.filter((mark) => mark.kind === "line");
  const level = (pick: (line: (typeof lines)[number]) => number): Level[] =>
    inSpan(
      lines.map((line) => ({ atMs: line.atMs, value: pick(line) })),
      span,
    );
  const path = level((line) => line.pathRttMs);
  const { cake } = logs.contestant;
  const devices = devicesOf(logs);
  const direction = (
    load: readonly LoadInterval[],
    capacity: Level[],
    device: string | null,
    startKbit: number | null,
  ): DirectionSeries => ({
    capacity,
    rate: ratesOf(logs.rateChanges, device, startKbit, span),
    load: load
      .filter((l) => l.startMs >= span.startMs - 250 && l.endMs <= span.endMs + 250)
      .map((l) => ({ ...l, startMs: l.startMs - span.startMs, endMs: l.endMs - span.startMs })),
  });
  return {
    durationMs: span.endMs - span.startMs,
    rttIncrease: increases(logs.probes, path, span),
    download: direction(
      logs.download.load,
      level((line) => line.downloadKbit),
      devices.download,
      cake?.downloadKbit ?? null,
    ),
    upload: direction(
      logs.upload.load,
      level((line) => line.uploadKbit),
      devices.upload,
      cake?.uploadKbit ?? null,
    ),
  };
}

export function spanOf(marks: readonly Mark[]): Span {
  const start = marks.find((mark) => mark.kind === "load-start");
  const end = marks.find((mark) => mark.kind === "load-end");
  if (start === undefined || end === undefined) throw new Error("the run did not come to its end");
  return { startMs: start.atMs, endMs: end.atMs };
}

/** Uploads leave by the WAN; downloads are shaped on whatever else carries CAKE, an IFB. */
export function devicesOf(logs: RunLogs): { download: string | null; upload: string | null } {
  const names = [
    ...logs.rateChanges.map((change) => change.device),
    ...logs.marks.filter((mark) => mark.kind === "tins").map((mark) => mark.device),
  ];
  const isUpload = (name: string): boolean => name.startsWith("wan");
  return {
    download: names.find((name) => !isUpload(name)) ?? null,
    upload: names.find(isUpload) ?? null,
  };
}

/** Levels since the load began: the one in force then is moved to 0. */
function inSpan(levels: readonly Level[], span: Span): Level[] {
  const result: Level[] = [];
  for (const { atMs, value } of levels) {
    if (atMs > span.endMs) break;
    if (atMs <= span.startMs) result.length = 0;
    result.push({ atMs: Math.max(0, atMs - span.startMs), value });
  }
  return result;
}

function ratesOf(
  changes: readonly RateChange[],
  device: string | null,
  startKbit: number | null,
  span: Span,
): Level[] {
  const start = startKbit === null ? [] : [{ atMs: 0, value: startKbit }];
  const own = changes.filter((change) => change.device === device);
  return inSpan(
    [...start, ...own.map(({ atMs, rateKbit }) => ({ atMs, value: rateKbit ?? Infinity }))],
    span,
  );
}

export function valueAt(levels: readonly Level[], atMs: number): number | null {
  let value: number | null = null;
  for (const level of levels) {
    if (level.atMs > atMs) break;
    value = level.value;
  }
  return value;
}

/**
 * What each probe of the load's time took above the path's own RTT. The guest's share of an RTT is
 * the median of the quiet time before the load, less what the path then was set to.
 */
function increases(
  probes: readonly Probe[],
  path: readonly Level[],
  span: Span,
): { atMs: number; value: number | null }[] {
  const pathStartMs = path[0]?.value ?? 0;
  const quiet = probes.filter((p) => p.atMs < span.startMs && p.rttMs !== null);
  const restMs = (median(quiet.map((p) => p.rttMs!)) ?? pathStartMs) - pathStartMs;
  return probes
    .filter((p) => p.atMs >= span.startMs && p.atMs <= span.endMs)
    .map((p) => {
      const atMs = p.atMs - span.startMs;
      const ownMs = restMs + (valueAt(path, atMs) ?? pathStartMs);
      return { atMs, value: p.rttMs === null ? null : p.rttMs - ownMs };
    });
}
