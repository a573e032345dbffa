// The tick: called at a steady pace, and told how late it came.

import type { SystemClock } from "./clock.ts";

/** The latest tick is remembered over one to two of these. */
const LAG_WINDOW_MS = 30_000;

/**
 * Calls `onTick` every `intervalMs`. After a pause it catches up with one tick at most: what
 * the others asked for in the meantime is told by the clock, not by the number of ticks.
 */
export class Ticker {
  #intervalMs: number;
  readonly #clock: SystemClock;
  #onTick: () => void = () => {};
  #timer: NodeJS.Timeout | null = null;
  #dueMs = 0;
  #windowEndMs = 0;
  #windowLagMs = 0;
  #previousWindowLagMs = 0;

  constructor(intervalMs: number, clock: SystemClock) {
    this.#intervalMs = intervalMs;
    this.#clock = clock;
  }

  /** How late the latest tick of the last minute or so came, in milliseconds. */
  get lagMs(): number {
    return Math.max(this.#windowLagMs, this.#previousWindowLagMs);
  }

  /** By how much the tick that is due is late now; 0 when none is due, or it is stopped. */
  get overdueMs(): number {
    return this.#timer === null ? 0 : Math.max(0, this.#clock.monotonicMs() - this.#dueMs);
  }

  start(onTick: () => void): void {
    this.#onTick = onTick;
    this.#dueMs = this.#clock.monotonicMs() + this.#intervalMs;
    this.#wait();
  }

  /** Ticks come at this pace from now on. */
  setInterval(intervalMs: number): void {
    if (intervalMs === this.#intervalMs) return;
    this.#intervalMs = intervalMs;
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#dueMs = this.#clock.monotonicMs() + intervalMs;
    this.#wait();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(): void {
    const delayMs = Math.max(0, this.#dueMs - this.#clock.monotonicMs());
    this.#timer = setTimeout(() => this.#run(), delayMs);
  }

  #run(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#noteLag(nowMs);
    this.#dueMs = Math.max(this.#dueMs + this.#intervalMs, nowMs);
    this.#wait();
    this.#onTick();
  }

  #noteLag(nowMs: number): void {
    if (nowMs >= this.#windowEndMs) {
      this.#previousWindowLagMs = this.#windowLagMs;
      this.#windowLagMs = 0;
      this.#windowEndMs = nowMs + LAG_WINDOW_MS;
    }
    this.#windowLagMs = Math.max(this.#windowLagMs, nowMs - this.#dueMs);
  }
}
