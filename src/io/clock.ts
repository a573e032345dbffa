// The time of day as the replica needs it: never standing still, and running backwards only
// where following a wall clock that was wrong leaves no choice.

/** A wall clock that fell back further than this was set right; there is nothing to smooth. */
const SMOOTHED_STEP_MS_MAX = 10_000;

/**
 * Unix time that keeps the pace of the monotonic clock. A step of the wall clock forwards is
 * followed at once (after a suspend it is true). After a short step backwards this clock runs
 * at half its pace until the wall clock has caught up, so that no timer starves; a long one
 * is followed at once.
 */
export class SystemClock {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  /** What this clock shows beyond the monotonic one. */
  #offsetMs: number;
  #lastMonotonicMs: number;

  /** @param wall Unix milliseconds. @param monotonic milliseconds since any moment */
  constructor(wall: () => number = Date.now, monotonic: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#lastMonotonicMs = monotonic();
    this.#offsetMs = wall() - this.#lastMonotonicMs;
  }

  /** Milliseconds since this clock's own beginning; the system's time of day has no part in it. */
  monotonicMs(): number {
    return this.#monotonic();
  }

  /** Whole Unix milliseconds. */
  nowMs(): number {
    const monotonicMs = this.#monotonic();
    const elapsedMs = monotonicMs - this.#lastMonotonicMs;
    this.#lastMonotonicMs = monotonicMs;
    const aheadMs = this.#offsetMs + monotonicMs - this.#wall();
    const isStep = aheadMs <= 0 || aheadMs > SMOOTHED_STEP_MS_MAX;
    this.#offsetMs -= isStep ? aheadMs : Math.min(aheadMs, elapsedMs / 2);
    return Math.floor(monotonicMs + this.#offsetMs);
  }
}
