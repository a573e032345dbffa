// How a contestant answers a step of the capacity: what it does after a drop, and after a rise.

import { type DirectionSeries, type Level, type RunSeries, valueAt } from "./series.ts";
import { median } from "./statistics.ts";

/** "Back" after a drop: RTT within this of the path's own. */
const BACK_INCREASE_MS = 15;
const BACK_WINDOW_MS = 500;
const BACK_LOOK_EVERY_MS = 50;
/** A change of capacity that reaction and recovery are measured at. */
const STEP_SHARE = 0.2;
/** Levels that last less are weather, not steps. */
const STEP_LASTS_MS = 4_000;
/** What RTT does later is not the drop's doing. */
const LEAVES_WITHIN_MS = 2_000;
const RECOVERED_SHARE = 0.85;
const BEFORE_OUTAGE_MS = 5_000;

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

export interface Step {
  readonly atMs: number;
  readonly untilMs: number;
  readonly from: number;
  readonly to: number;
}

/** Changes of capacity between two levels that last. */
export function capacitySteps(capacity: readonly Level[], durationMs: number): Step[] {
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
export function dropsOf(of: DirectionSeries, series: RunSeries): DropFigures[] {
  return capacitySteps(of.capacity, series.durationMs)
    .filter((step) => step.to < step.from && step.to > 0)
    .map((step) => ({
      fromKbit: step.from,
      toKbit: step.to,
      reactionMs: firstWhen(of.rate, step, (rate) => rate <= step.to),
      rttBackMs: rttBack(series, step),
    }));
}

export function risesOf(of: DirectionSeries, series: RunSeries): RiseFigures[] {
  return capacitySteps(of.capacity, series.durationMs)
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
  for (let atMs = step.atMs; atMs + BACK_WINDOW_MS <= step.untilMs; atMs += BACK_LOOK_EVERY_MS) {
    const isOver = medianIncrease(series, atMs, atMs + BACK_WINDOW_MS) > BACK_INCREASE_MS;
    if (left && !isOver) return atMs - step.atMs;
    left ||= isOver;
    if (!left && atMs - step.atMs > LEAVES_WITHIN_MS) return 0;
  }
  return left ? null : 0;
}

/** A lost probe took for ever. */
function medianIncrease(series: RunSeries, fromMs: number, toMs: number): number {
  const values = series.rttIncrease.flatMap(({ atMs, value }) =>
    atMs >= fromMs && atMs < toMs ? [value ?? Number.POSITIVE_INFINITY] : [],
  );
  return median(values) ?? Number.POSITIVE_INFINITY;
}

function goodputBack(of: DirectionSeries, step: Step): number | null {
  const outageStart = of.capacity.findLast((level) => level.atMs < step.atMs)?.atMs ?? 0;
  const before = of.load.filter(
    (l) => l.endMs <= outageStart && l.startMs >= outageStart - BEFORE_OUTAGE_MS,
  );
  const usual = median(before.map((load) => load.kbit));
  if (usual === null) return null;
  const back = of.load.find((load) => load.startMs >= step.atMs && load.kbit >= usual / 2);
  return back === undefined ? null : back.endMs - step.atMs;
}
