// A seeded generator for the simulator and the tests: the same seed, the same numbers, on
// every machine. Not for keys in production; io/random.ts serves those.

import type { Random } from "./ports.ts";

/** xoshiro128** (Blackman and Vigna, 2018), its state filled from a u64 seed by splitmix64. */
export class SeededRandom implements Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: bigint) {
    let x = BigInt.asUintN(64, seed);
    for (let i = 0; i < 4; i += 2) {
      x = BigInt.asUintN(64, x + 0x9e3779b97f4a7c15n);
      let z = x;
      z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
      z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
      z ^= z >> 31n;
      this.#state[i] = Number(z & 0xffffffffn);
      this.#state[i + 1] = Number(z >> 32n);
    }
  }

  u32(): number {
    const s = this.#state;
    const s0 = s[0]!;
    const s1 = s[1]!;
    const s2 = s[2]! ^ s0;
    const s3 = s[3]! ^ s1;
    const product = Math.imul(s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    s[0] = s0 ^ s3;
    s[1] = s1 ^ s2;
    s[2] = s2 ^ (s1 << 9);
    s[3] = (s3 << 11) | (s3 >>> 21);
    return result;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.u32();
      for (let j = 0; j < 4 && i + j < length; j += 1) out[i + j] = (word >>> (8 * j)) & 0xff;
    }
    return out;
  }

  /** A generator of its own, so that one concern's draws do not shift another's. */
  fork(): SeededRandom {
    return new SeededRandom((BigInt(this.u32()) << 32n) | BigInt(this.u32()));
  }
}

/** A uniform integer in [0, bound). Rejection keeps it unbiased. */
export function randomBelow(random: Random, bound: number): number {
  const limit = 0x1_0000_0000 - (0x1_0000_0000 % bound);
  for (;;) {
    const value = random.u32();
    if (value < limit) return value % bound;
  }
}

/** True with the given probability, in [0, 1]. */
export function randomChance(random: Random, probability: number): boolean {
  return random.u32() < probability * 0x1_0000_0000;
}
