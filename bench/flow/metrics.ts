// From one run's raw logs to its figures. Every definition is in docs/bench-flow.md; all pure.

import type { LoadInterval } from "./logs/load-log.ts";
import type { VoicePacket } from "./logs/voice-capture.ts";
import type { DirectionLogs, RunLogs } from "./run-logs.ts";
import type { Mark } from "./run-spec.ts";
import {
  type DirectionSeries,
  devicesOf,
  type Level,
  type RunSeries,
  type Span,
  seriesOf,
  spanOf,
  valueAt,
} from "./series.ts";
import { percentile } from "./statistics.ts";
import { capacitySteps, type DropFigures, dropsOf, type RiseFigures, risesOf } from "./steps.ts";

/** An interval counts as usable up to this p95 RTT increase. */
export const USABLE_INCREASE_MS = 30;
/** Below this share of the capacity a cut helps nobody. */
const INNOCENT_SHARE = 0.95;
/** After a drop a queue has to drain, so that a cut below the capacity is no mistake. */
const DRAIN_MS = 3_000;
/** Smaller changes of a rate are rounding. */
const CUT_SHARE = 0.01;
const VOICE_DSCP_MIN = 40;
const VOICE_TIN = 3;

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
  const drops = capacitySteps(of.capacity, durationMs).filter((step) => step.to < step.from);
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
