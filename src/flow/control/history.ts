// A short memory of one measured figure: its growth between two times, or its slope.

import { FLOW_HISTORY_TICKS } from "../../kernel/limits.ts";

/** The last `FLOW_HISTORY_TICKS` values with their times; the oldest makes room. */
export class History {
  readonly #atMs = new Float64Array(FLOW_HISTORY_TICKS);
  readonly #values = new Float64Array(FLOW_HISTORY_TICKS);
  #next = 0;
  #length = 0;

  /** Times grow. */
  add(atMs: number, value: number): void {
    this.#atMs[this.#next] = atMs;
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % FLOW_HISTORY_TICKS;
    this.#length = Math.min(this.#length + 1, FLOW_HISTORY_TICKS);
  }

  clear(): void {
    this.#length = 0;
  }

  /** The newest value; null: none. */
  get last(): number | null {
    return this.#length === 0 ? null : this.#values[this.#indexOf(0)]!;
  }

  /**
   * Mean growth a millisecond from the last value at or before `sinceMs` (or the first known after it)
   * to the last one at or before `untilMs`; null when two are not known.
   */
  growth(sinceMs: number, untilMs: number = Number.POSITIVE_INFINITY): number | null {
    let newest = -1;
    let oldest = -1;
    for (let age = 0; age < this.#length; age += 1) {
      const index = this.#indexOf(age);
      const atMs = this.#atMs[index]!;
      if (atMs > untilMs) continue;
      if (newest < 0) newest = index;
      oldest = index;
      if (atMs <= sinceMs) break;
    }
    if (newest < 0 || newest === oldest) return null;
    const spanMs = this.#atMs[newest]! - this.#atMs[oldest]!;
    return (this.#values[newest]! - this.#values[oldest]!) / spanMs;
  }

  /** Least-squares slope a millisecond of the values since `sinceMs`; null with fewer than three. */
  slope(sinceMs: number): number | null {
    let count = 0;
    let sumX = 0;
    let sumY = 0;
    let sumXX = 0;
    let sumXY = 0;
    for (let age = 0; age < this.#length; age += 1) {
      const index = this.#indexOf(age);
      const x = this.#atMs[index]! - sinceMs;
      if (x < 0) break;
      const y = this.#values[index]!;
      count += 1;
      sumX += x;
      sumY += y;
      sumXX += x * x;
      sumXY += x * y;
    }
    const spread = count * sumXX - sumX * sumX;
    return count < 3 || spread <= 0 ? null : (count * sumXY - sumX * sumY) / spread;
  }

  /** Mean of the values since `sinceMs`; null: none. */
  mean(sinceMs: number): number | null {
    let count = 0;
    let sum = 0;
    for (let age = 0; age < this.#length; age += 1) {
      const index = this.#indexOf(age);
      if (this.#atMs[index]! < sinceMs) break;
      count += 1;
      sum += this.#values[index]!;
    }
    return count === 0 ? null : sum / count;
  }

  /** The smallest value since `sinceMs`; null: none. */
  least(sinceMs: number): number | null {
    let least: number | null = null;
    for (let age = 0; age < this.#length; age += 1) {
      const index = this.#indexOf(age);
      if (this.#atMs[index]! < sinceMs) break;
      const value = this.#values[index]!;
      if (least === null || value < least) least = value;
    }
    return least;
  }

  /** @param age 0: the newest */
  #indexOf(age: number): number {
    return (this.#next - 1 - age + 2 * FLOW_HISTORY_TICKS) % FLOW_HISTORY_TICKS;
  }
}
