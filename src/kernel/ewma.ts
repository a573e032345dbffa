// An exponentially weighted mean that may rise and fall at different speeds.

import { assert } from "./assert.ts";

/** `value ← value + α·(sample − value)`, with one α above the value and one below. */
export class Ewma {
  readonly #alphaUp: number;
  readonly #alphaDown: number;
  #value: number | null = null;

  /** @param alphaUp weight of a sample above the mean, 0 to 1 @param alphaDown of one below it */
  constructor(alphaUp: number, alphaDown: number = alphaUp) {
    assert(alphaUp >= 0 && alphaUp <= 1 && alphaDown >= 0 && alphaDown <= 1, "weights are shares");
    this.#alphaUp = alphaUp;
    this.#alphaDown = alphaDown;
  }

  /** Null before the first sample, which is taken whole. */
  get value(): number | null {
    return this.#value;
  }

  /** Takes one sample. @param alphaUp in place of the usual weight of a sample above the mean */
  add(sample: number, alphaUp: number = this.#alphaUp): number {
    if (this.#value === null) this.#value = sample;
    else this.#value += (sample > this.#value ? alphaUp : this.#alphaDown) * (sample - this.#value);
    return this.#value;
  }

  /** Moves the mean itself, as when what it measures has changed for good. */
  shift(by: number): void {
    if (this.#value !== null) this.#value += by;
  }
}
