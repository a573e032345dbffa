// From one run's raw logs to its figures. Every definition is in docs/bench-flow.md; all pure.

import type { LoadInterval } from "./logs/load-log.ts";
import type { Probe } from "./logs/ping-log.ts";
import type { RateChange } from "./logs/qdisc-log.ts";
import type { VoicePacket } from "./logs/voice-capture.ts";
import type { DirectionLogs, RunLogs } from "./run-logs.ts";
import type { Mark } from "./run-spec.ts";
import { median, percentile } from "./statistics.ts";

/** An interval counts as usable up to this p95 RTT increase. */
export const USABLE_INCREASE_MS = 30;
/** "Back" after a drop: RTT within this of the path's own. */
const BACK_INCREASE_MS = 15;
const BACK_WINDOW_MS = 500;
/** A change of capacity that reaction and recovery are measured at. */
const STEP_SHARE = 0.2;
/** Levels that last less are weather, not steps. */
const STEP_LASTS_MS = 4_000;
const RECOVERED_SHARE = 0.85;
/** Below this share of the capacity a cut helps nobody. */
const INNOCENT_SHARE = 0.95;
/** After a drop a queue has to drain, so that a cut below the capacity is no mistake. */
const DRAIN_MS = 3_000;
/** Smaller changes of a rate are rounding. */
const CUT_SHARE = 0.01;
const VOICE_DSCP_MIN = 40;
const VOICE_TIN = 3;

/** A value from `atMs` on, until the next. */
export interface Level {
  readonly atMs: number;
  readonly value: number;
}

export interface RttFigures {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly lostPercent: number;
}

export interface DirectionFigures {
  readonly goodputKbit: number;
  /** Of all capacity offered; null where no load was sent. */
  readonly goodputShare: number | null;
  readonly usableShare: number | null;
  /** Qdisc changes, and how many of them lowered the rate. */
  readonly rateChanges: number;
  readonly cuts: number;
  /** Cuts below 95 % of the capacity, a minute. */
  readonly falseCutsPerMinute: number;
  readonly drops: readonly DropFigures[];
  readonly rises: readonly RiseFigures[];
  readonly voice: VoiceFigures;
}

/** Times since the drop; null: not before the next step. */
export interface DropFigures {
  readonly fromKbit: number;
  readonly toKbit: number;
  /** Until the shaper's rate is at most the capacity. */
  readonly reactionMs: number | null;
  readonly rttBackMs: number | null;
}

export interface RiseFigures {
  readonly fromKbit: number;
  readonly toKbit: number;
  /** Until the shaper's rate is 85 % of the new capacity. */
  readonly recoveryMs: number | null;
  /** Until half a second carries half of what it carried before the line was cut off; null unless it was, or never. */
  readonly goodputBackMs: number | null;
}

export interface VoiceFigures {
  readonly packets: number;
  readonly lossPercent: number | null;
  /** p99 of the difference in transit time of two packets in a row (RFC 3550, section 6.4.1). */
  readonly jitterP99Ms: number | null;
  /** p99 of the one-way delay above the smallest (RFC 5481, PDV). */
  readonly delayP99Ms: number | null;
  /** Packets of CAKE's Voice tin for one of the call; more than 1 when others used it too. */
  readonly tinShare: number | null;
  /** Packets that arrived with a DSCP of the Voice tin. */
  readonly markedShare: number | null;
}

export interface UsageFigures {
  readonly cpuSeconds: number;
  readonly cpuPercent: number;
  readonly pssBytesMax: number;
  readonly rssBytesMax: number;
  readonly processesMax: number;
  readonly memoryPeakBytes: number;
  /** Since the load began. */
  readonly memoryLimitHits: number;
  /** How it ended before it was asked to; null: it lived. */
  readonly endedEarly: string | null;
}

export interface RunFigures {
  readonly loadMs: number;
  readonly rtt: RttFigures;
  readonly download: DirectionFigures;
  readonly upload: DirectionFigures;
  readonly usage: UsageFigures | null;
  /** How starved of processor the guest was. */
  readonly lagP99Ms: number;
}

/** Wall-clock times of one run's load. */
interface Span {
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

export function measure(logs: RunLogs): RunFigures {
  const span = spanOf(logs.marks);
  const series = seriesOf(logs);
  const devices = devicesOf(logs);
  const direction = (
    of: DirectionSeries,
    direct: DirectionLogs,
    device: string | null,
  ): DirectionFigures => ({
    ...goodputOf(of, series),
    ...cutsOf(of, series.durationMs),
    drops: dropsOf(of, series),
    rises: risesOf(of, series),
    voice: voiceOf(direct.voice, span, tinPackets(logs.marks, device, span)),
  });
  return {
    loadMs: series.durationMs,
    rtt: rttOf(series),
    download: direction(series.download, logs.download, devices.download),
    upload: direction(series.upload, logs.upload, devices.upload),
    usage: usageOf(logs.marks, span),
    lagP99Ms: logs.marks.find((mark) => mark.kind === "lag")?.p99Ms ?? 0,
  };
}

function spanOf(marks: readonly Mark[]): Span {
  const start = marks.find((mark) => mark.kind === "load-start");
  const end = marks.find((mark) => mark.kind === "load-end");
  if (start === undefined || end === undefined) throw new Error("the run did not come to its end");
  return { startMs: start.atMs, endMs: end.atMs };
}

/** Uploads leave by the WAN; downloads are shaped on whatever else carries CAKE, an IFB. */
function devicesOf(logs: RunLogs): { download: string | null; upload: string | null } {
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

function rttOf(series: RunSeries): RttFigures {
  const values = series.rttIncrease.flatMap((p) => (p.value === null ? [] : [p.value]));
  const all = series.rttIncrease.length;
  return {
    p50Ms: percentile(values, 50),
    p95Ms: percentile(values, 95),
    p99Ms: percentile(values, 99),
    lostPercent: all === 0 ? 0 : (100 * (all - values.length)) / all,
  };
}

function goodputOf(
  of: DirectionSeries,
  series: RunSeries,
): Pick<DirectionFigures, "goodputKbit" | "goodputShare" | "usableShare"> {
  const bits = (load: LoadInterval): number => load.kbit * (load.endMs - load.startMs);
  const total = of.load.reduce((sum, load) => sum + bits(load), 0);
  const usable = of.load.filter((load) => isUsable(load, series));
  const usableTotal = usable.reduce((sum, load) => sum + bits(load), 0);
  const offered = area(of.capacity, series.durationMs);
  const isLoaded = of.load.length > 0;
  return {
    goodputKbit: total / series.durationMs,
    goodputShare: isLoaded ? total / offered : null,
    usableShare: isLoaded ? usableTotal / offered : null,
  };
}

/** Without a single answer nobody could have used it. */
function isUsable(load: LoadInterval, series: RunSeries): boolean {
  const values = series.rttIncrease.flatMap(({ atMs, value }) =>
    value !== null && atMs >= load.startMs && atMs < load.endMs ? [value] : [],
  );
  const p95Ms = percentile(values, 95);
  return p95Ms !== null && p95Ms <= USABLE_INCREASE_MS;
}

/** Sum of a level over time: kbit/s times ms. */
function area(levels: readonly Level[], durationMs: number): number {
  return levels.reduce((sum, { atMs, value }, index) => {
    const endMs = Math.min(levels[index + 1]?.atMs ?? durationMs, durationMs);
    return sum + value * Math.max(0, endMs - atMs);
  }, 0);
}

function cutsOf(
  of: DirectionSeries,
  durationMs: number,
): Pick<DirectionFigures, "rateChanges" | "cuts" | "falseCutsPerMinute"> {
  let cuts = 0;
  let falseCuts = 0;
  const drops = steps(of.capacity, durationMs).filter((step) => step.to < step.from);
  for (const [index, { atMs, value }] of of.rate.entries()) {
    const before = of.rate[index - 1]?.value;
    if (before === undefined || value >= before * (1 - CUT_SHARE)) continue;
    cuts += 1;
    const drains = drops.some((drop) => atMs >= drop.atMs && atMs < drop.atMs + DRAIN_MS);
    const capacity = valueAt(of.capacity, atMs) ?? 0;
    if (before <= INNOCENT_SHARE * capacity && !drains) falseCuts += 1;
  }
  return {
    rateChanges: Math.max(0, of.rate.length - 1),
    cuts,
    falseCutsPerMinute: falseCuts / (durationMs / 60_000),
  };
}

interface Step {
  readonly atMs: number;
  readonly untilMs: number;
  readonly from: number;
  readonly to: number;
}

/** Changes of capacity between two levels that last. */
function steps(capacity: readonly Level[], durationMs: number): Step[] {
  const result: Step[] = [];
  for (const [index, { atMs, value }] of capacity.entries()) {
    const before = capacity[index - 1];
    const untilMs = capacity[index + 1]?.atMs ?? durationMs;
    if (before === undefined) continue;
    const lasts = untilMs - atMs >= STEP_LASTS_MS && atMs - before.atMs >= STEP_LASTS_MS;
    const isStep = Math.abs(value - before.value) >= STEP_SHARE * Math.max(value, before.value);
    if (lasts && isStep) result.push({ atMs, untilMs, from: before.value, to: value });
  }
  return result;
}

/** A line that goes away altogether is no drop: nothing can be shaped there. */
function dropsOf(of: DirectionSeries, series: RunSeries): DropFigures[] {
  return steps(of.capacity, series.durationMs)
    .filter((step) => step.to < step.from && step.to > 0)
    .map((step) => ({
      fromKbit: step.from,
      toKbit: step.to,
      reactionMs: firstWhen(of.rate, step, (rate) => rate <= step.to),
      rttBackMs: rttBack(series, step),
    }));
}

function risesOf(of: DirectionSeries, series: RunSeries): RiseFigures[] {
  return steps(of.capacity, series.durationMs)
    .filter((step) => step.to > step.from)
    .map((step) => ({
      fromKbit: step.from,
      toKbit: step.to,
      recoveryMs: firstWhen(of.rate, step, (rate) => rate >= targetKbit(of, step)),
      goodputBackMs: step.from === 0 ? goodputBack(of, step) : null,
    }));
}

/** After an outage nobody owes more than what the shaper stood at before it. */
function targetKbit(of: DirectionSeries, step: Step): number {
  if (step.from > 0) return RECOVERED_SHARE * step.to;
  const outageStart = of.capacity.findLast((level) => level.atMs < step.atMs)?.atMs ?? 0;
  const before = valueAt(of.rate, outageStart - 1) ?? step.to;
  return RECOVERED_SHARE * Math.min(before, step.to);
}

/** How long after the step's start the rate first answers `holds`; null: not before its end. */
function firstWhen(
  rate: readonly Level[],
  step: Step,
  holds: (rateKbit: number) => boolean,
): number | null {
  const atStart = valueAt(rate, step.atMs);
  if (atStart === null) return null;
  if (holds(atStart)) return 0;
  const found = rate.find(
    ({ atMs, value }) => atMs > step.atMs && atMs < step.untilMs && holds(value),
  );
  return found === undefined ? null : found.atMs - step.atMs;
}

/** From the drop until half a second of probes has its median within the bound again; 0: it never left. */
function rttBack(series: RunSeries, step: Step): number | null {
  let left = false;
  for (let atMs = step.atMs; atMs + BACK_WINDOW_MS <= step.untilMs; atMs += 50) {
    const values = series.rttIncrease.flatMap((p) =>
      p.atMs >= atMs && p.atMs < atMs + BACK_WINDOW_MS ? [p.value ?? Infinity] : [],
    );
    const middle = median(values);
    const isOver = middle === null || middle > BACK_INCREASE_MS;
    if (left && !isOver) return atMs - step.atMs;
    left ||= isOver;
  }
  return left ? null : 0;
}

function goodputBack(of: DirectionSeries, step: Step): number | null {
  const outageStart = of.capacity.findLast((level) => level.atMs < step.atMs)?.atMs ?? 0;
  const before = of.load.filter((l) => l.endMs <= outageStart && l.startMs >= outageStart - 5_000);
  const usual = median(before.map((load) => load.kbit));
  if (usual === null) return null;
  const back = of.load.find((load) => load.startMs >= step.atMs && load.kbit >= usual / 2);
  return back === undefined ? null : back.endMs - step.atMs;
}

function voiceOf(all: readonly VoicePacket[], span: Span, tinSent: number | null): VoiceFigures {
  const packets = all.filter((p) => p.sentMs >= span.startMs && p.sentMs < span.endMs - 1_000);
  const arrived = packets.filter((p) => p.receivedMs !== null);
  const delays = arrived.map((p) => p.receivedMs! - p.sentMs);
  const smallest = delays.reduce((least, delay) => Math.min(least, delay), Infinity);
  const differences = delays.slice(1).map((delay, index) => Math.abs(delay - delays[index]!));
  const inSpanMs = span.endMs - 1_000 - span.startMs;
  const perSpan = packets.length / Math.max(1, inSpanMs);
  const share = (part: number): number | null =>
    arrived.length === 0 ? null : part / arrived.length;
  return {
    packets: packets.length,
    lossPercent:
      packets.length === 0 ? null : (100 * (packets.length - arrived.length)) / packets.length,
    jitterP99Ms: percentile(differences, 99),
    delayP99Ms: percentile(
      delays.map((delay) => delay - smallest),
      99,
    ),
    tinShare:
      tinSent === null || perSpan === 0 ? null : tinSent / (perSpan * (span.endMs - span.startMs)),
    markedShare: share(arrived.filter((p) => (p.dscp ?? 0) >= VOICE_DSCP_MIN).length),
  };
}

/** What the Voice tin of the device sent during the load; null without tins. */
function tinPackets(marks: readonly Mark[], device: string | null, span: Span): number | null {
  const own = marks.filter((mark) => mark.kind === "tins" && mark.device === device);
  const [first, last] = [own[0], own.at(-1)];
  if (first?.kind !== "tins" || last?.kind !== "tins") return null;
  if (first.packets.length <= VOICE_TIN || last.atMs < span.startMs) return null;
  return last.packets[VOICE_TIN]! - first.packets[VOICE_TIN]!;
}

function usageOf(marks: readonly Mark[], span: Span): UsageFigures | null {
  const own = marks.filter((mark) => mark.kind === "usage" && mark.atMs >= span.startMs - 500);
  const [first, last] = [own[0], own.at(-1)];
  if (first?.kind !== "usage" || last?.kind !== "usage") return null;
  const usages = own.flatMap((mark) => (mark.kind === "usage" ? [mark] : []));
  const cpuMs = last.cpuMs - first.cpuMs;
  const exit = marks.find((mark) => mark.kind === "contestant-exit" && mark.atMs < span.endMs);
  return {
    cpuSeconds: cpuMs / 1_000,
    cpuPercent: (100 * cpuMs) / (last.atMs - first.atMs),
    pssBytesMax: Math.max(...usages.map((usage) => usage.pssBytes)),
    rssBytesMax: Math.max(...usages.map((usage) => usage.rssBytes)),
    processesMax: Math.max(...usages.map((usage) => usage.processes)),
    memoryPeakBytes: last.memoryPeakBytes,
    memoryLimitHits: last.memoryLimitHits - first.memoryLimitHits,
    endedEarly: exit?.kind === "contestant-exit" ? exit.how : null,
  };
}
