// Percentiles and bootstrap intervals: what turns samples into figures.

import type { Random } from "../../src/kernel/ports.ts";

const RESAMPLES = 2_000;

/** Linear interpolation between closest ranks (Hyndman and Fan's type 7); null of nothing. */
export function percentile(values: readonly number[], percent: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const rank = ((sorted.length - 1) * percent) / 100;
  const below = sorted[Math.floor(rank)]!;
  const above = sorted[Math.ceil(rank)]!;
  // Between two infinities there is no way to go.
  if (below === above) return below;
  return below + (above - below) * (rank - Math.floor(rank));
}

export function median(values: readonly number[]): number | null {
  return percentile(values, 50);
}

export function mean(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A mean and the interval that holds it with 95 % confidence; null where one value has none. */
export interface Estimate {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Percentile bootstrap of the mean (Efron, 1979). Null of nothing. */
export function estimate(values: readonly number[], random: Random): Estimate | null {
  const centre = mean(values);
  if (centre === null) return null;
  if (values.length === 1) return { mean: centre, low: null, high: null };
  const means: number[] = [];
  for (let resample = 0; resample < RESAMPLES; resample += 1) {
    let sum = 0;
    for (let draw = 0; draw < values.length; draw += 1) {
      sum += values[random.u32() % values.length]!;
    }
    means.push(sum / values.length);
  }
  return { mean: centre, low: percentile(means, 2.5), high: percentile(means, 97.5) };
}
