// When a child that ended is started again.

import {
  CHILD_RESTART_MS_MAX,
  CHILD_RESTART_MS_MIN,
  CHILD_STEADY_MS,
} from "../../kernel/limits.ts";
import type { Random } from "../../kernel/ports.ts";

/** Waits that double with every short life and begin anew after a long one, jittered so that children do not start in step. */
export class RestartBackoff {
  readonly #random: Random;
  #shortLives = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /**
   * A child has ended.
   * @returns milliseconds to wait before the next start: half to all of the doubled bound
   */
  nextWaitMs(livedMs: number): number {
    if (livedMs >= CHILD_STEADY_MS) this.#shortLives = 0;
    const boundMs = Math.min(CHILD_RESTART_MS_MAX, CHILD_RESTART_MS_MIN * 2 ** this.#shortLives);
    // Beyond the longest wait, more doubling only grows the number.
    if (boundMs < CHILD_RESTART_MS_MAX) this.#shortLives += 1;
    return Math.round(boundMs * (0.5 + this.#random.u32() / 2 ** 33));
  }
}
