// A verdict that needs k of the last m samples, so that one odd sample decides nothing.

import { assert } from "./assert.ts";

export class KOfM {
  readonly #k: number;
  readonly #votes: Uint8Array;
  #next = 0;
  #count = 0;

  /** @param k votes needed @param m votes looked at */
  constructor(k: number, m: number) {
    assert(Number.isInteger(k) && Number.isInteger(m), "votes are counted");
    assert(k >= 1 && k <= m, "k of m");
    this.#k = k;
    this.#votes = new Uint8Array(m);
  }

  /** How many of the last m votes were yes. */
  get count(): number {
    return this.#count;
  }

  /** Whether k of the last m were. */
  get carried(): boolean {
    return this.#count >= this.#k;
  }

  /** Casts one vote; the oldest falls out. @returns the verdict now */
  vote(yes: boolean): boolean {
    this.#count += (yes ? 1 : 0) - this.#votes[this.#next]!;
    this.#votes[this.#next] = yes ? 1 : 0;
    this.#next = (this.#next + 1) % this.#votes.length;
    return this.carried;
  }

  clear(): void {
    this.#votes.fill(0);
    this.#count = 0;
  }
}
