// One node's time of day: true time and an error that drifts, swings and steps. The product's
// own clock smooths it, as it does on a real machine.

import { SystemClock } from "../src/io/clock.ts";

/** How far a wall clock is off, as a function of true time. */
export interface ClockSkew {
  readonly offsetMs: number;
  /** Parts per million; a bad quartz has 100. */
  readonly driftPpm: number;
  /** A swing between ± amplitude, as a triangle. 0 for none. */
  readonly swingMs: number;
  readonly swingPeriodMs: number;
}

export const NO_SKEW: ClockSkew = { offsetMs: 0, driftPpm: 0, swingMs: 0, swingPeriodMs: 1 };

export class SimulatedClock {
  #skew: ClockSkew;
  #stepMs = 0;
  #skewSinceMs: number;
  #trueMs: number;
  #clock: SystemClock;

  constructor(skew: ClockSkew, trueMs: number) {
    this.#skew = skew;
    this.#skewSinceMs = trueMs;
    this.#trueMs = trueMs;
    this.#clock = this.#newClock();
  }

  /** What the node takes for Unix time. */
  nowMs(trueMs: number): number {
    this.#trueMs = trueMs;
    return this.#clock.nowMs();
  }

  /** The wall clock's error. */
  errorMs(trueMs: number): number {
    const elapsedMs = trueMs - this.#skewSinceMs;
    const { offsetMs, driftPpm, swingMs, swingPeriodMs } = this.#skew;
    const drifted = Math.floor((elapsedMs * driftPpm) / 1_000_000);
    return offsetMs + drifted + triangle(elapsedMs, swingMs, swingPeriodMs) + this.#stepMs;
  }

  /** Somebody sets the wall clock by this much. */
  step(stepMs: number): void {
    this.#stepMs += stepMs;
  }

  /** Time synchronisation takes hold: from now on the wall clock is right. */
  setRight(trueMs: number): void {
    this.#skew = NO_SKEW;
    this.#stepMs = 0;
    this.#skewSinceMs = trueMs;
  }

  /** The program starts anew, and its smoothing with it. */
  restart(trueMs: number): void {
    this.#trueMs = trueMs;
    this.#clock = this.#newClock();
  }

  #newClock(): SystemClock {
    return new SystemClock(
      () => this.#trueMs + this.errorMs(this.#trueMs),
      () => this.#trueMs,
    );
  }
}

/** From 0 up to `amplitude`, down to its negative and back, in whole milliseconds. */
function triangle(elapsedMs: number, amplitude: number, periodMs: number): number {
  if (amplitude === 0) return 0;
  const quarters = ((elapsedMs % periodMs) * 4) / periodMs;
  if (quarters < 1) return Math.floor(amplitude * quarters);
  if (quarters < 3) return Math.floor(amplitude * (2 - quarters));
  return Math.floor(amplitude * (quarters - 4));
}
