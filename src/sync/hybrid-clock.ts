// Hybrid time: a wall clock that never runs backwards and orders writes by cause.
// Source: Kulkarni et al., "Logical Physical Clocks" (2014), folded into one safe integer.

/**
 * A stamp is `milliseconds × 2048 + counter`: 42 bits of Unix time (until 2109) and 11 of
 * counter, together a JavaScript safe integer and a u64 on the wire. A counter that runs
 * over borrows from the next millisecond, which only makes the clock run ahead a little.
 */
export const STAMPS_PER_MS = 2048;

/** A stamp further ahead of our wall clock than this is refused. */
export const CLOCK_DRIFT_MAX_MS = 10_000;

/** The milliseconds in a stamp. */
export function stampMs(stamp: number): number {
  return Math.floor(stamp / STAMPS_PER_MS);
}

/** Whether a stamp is further ahead of the wall clock than clocks may differ. */
export function isTooFarAhead(stamp: number, nowMs: number): boolean {
  return stampMs(stamp) > nowMs + CLOCK_DRIFT_MAX_MS;
}

export class HybridClock {
  #last = 0;

  /** The latest stamp given out or observed. */
  get last(): number {
    return this.#last;
  }

  /** A stamp above every one given out or observed before. */
  next(nowMs: number): number {
    this.#last = Math.max(Math.floor(nowMs) * STAMPS_PER_MS, this.#last + 1);
    return this.#last;
  }

  /**
   * Takes note of another's stamp, so that ours come after it.
   * @returns false, and nothing noted, when it is more than CLOCK_DRIFT_MAX_MS ahead
   */
  observe(stamp: number, nowMs: number): boolean {
    if (isTooFarAhead(stamp, nowMs)) return false;
    if (stamp > this.#last) this.#last = stamp;
    return true;
  }

  /** Takes note of a stamp out of our own log, however far our wall clock has fallen back since. */
  restore(stamp: number): void {
    if (stamp > this.#last) this.#last = stamp;
  }
}
