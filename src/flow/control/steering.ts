// How big the next raise is: a PID controller on the delay, whose output is a share of the rate.

import type { DelayFacts } from "./delay.ts";

/** Share of the rate for each whole set-point of room below it. */
const PROPORTIONAL = 0.02;
/** And more where the capacity changes all the time. */
const RESTLESS = 0.14;
/** What each clean step adds to the next one. */
const INTEGRAL = 0.03;
const INTEGRAL_MAX = 0.22;
/** A slope of the delay is the share by which the line is overdriven (fluid queue). */
const DERIVATIVE = 1;
/** Slopes below this are the probes' noise. */
const SLOPE_NOISE = 0.02;

export type SteeredDelay = Pick<DelayFacts, "deltaMs" | "setPointMs" | "slope">;

/** One for each direction; `reset` when a raise was answered by delay. */
export class Steering {
  #integral = 0;

  reset(): void {
    this.#integral = 0;
  }

  /**
   * The next change as a share of the rate. The integral grows only while the output is not held back
   * and there is room, so that it does not wind up.
   * @param held keeps the integral as it is @param restlessness of the capacity, 0 to 1
   */
  step({ deltaMs, setPointMs, slope }: SteeredDelay, held: boolean, restlessness: number): number {
    if (deltaMs === null) return 0;
    const error = Math.min((setPointMs - deltaMs) / setPointMs, 1);
    const rising = slope > SLOPE_NOISE ? slope : 0;
    const gain = PROPORTIONAL + RESTLESS * restlessness;
    // The wound integral counts for as much as there is room: none at the set-point.
    const output = (gain + this.#integral) * error - DERIVATIVE * rising;
    if (output > 0 && rising === 0 && error > 0 && !held) {
      this.#integral = Math.min(this.#integral + INTEGRAL * error, INTEGRAL_MAX);
    }
    return output;
  }
}
