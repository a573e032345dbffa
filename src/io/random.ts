// The kernel's randomness, for keys, nonces and jitter.

import { randomBytes, randomFillSync } from "node:crypto";
import type { Random } from "../kernel/ports.ts";

/** Words drawn from the kernel at a time: one call for many small numbers. */
const POOL_WORDS = 256;

export class SystemRandom implements Random {
  readonly #pool = new Uint32Array(POOL_WORDS);
  #next = POOL_WORDS;

  u32(): number {
    if (this.#next === POOL_WORDS) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    const word = this.#pool[this.#next]!;
    this.#pool[this.#next] = 0;
    this.#next += 1;
    return word;
  }

  bytes(length: number): Uint8Array {
    return new Uint8Array(randomBytes(length));
  }
}
