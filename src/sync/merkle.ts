// 256 XOR-Merkle buckets: each is the XOR of the fingerprints of the slots whose key falls
// into it, the root the XOR of them all. Equal roots mean equal tables.

export const BUCKET_COUNT = 256;

export class MerkleBuckets {
  /** Two u32 per bucket: high, low. */
  readonly #sums = new Uint32Array(BUCKET_COUNT * 2);
  #rootHigh = 0;
  #rootLow = 0;

  get rootHigh(): number {
    return this.#rootHigh;
  }

  get rootLow(): number {
    return this.#rootLow;
  }

  /** Takes a slot in, or out again: XOR is its own inverse. */
  toggle(keyLow: number, fingerprintHigh: number, fingerprintLow: number): void {
    const at = bucketOf(keyLow) * 2;
    this.#sums[at] = this.#sums[at]! ^ fingerprintHigh;
    this.#sums[at + 1] = this.#sums[at + 1]! ^ fingerprintLow;
    this.#rootHigh = (this.#rootHigh ^ fingerprintHigh) >>> 0;
    this.#rootLow = (this.#rootLow ^ fingerprintLow) >>> 0;
  }

  /** 24 bits of a bucket's sum, mixed with `salt` so that a collision does not last. */
  digest(bucket: number, salt: number): number {
    const high = this.#sums[bucket * 2]!;
    const low = this.#sums[bucket * 2 + 1]!;
    return saltedHash(high, low, salt) >>> 8;
  }
}

/** The bucket of a key: its last byte. */
export function bucketOf(keyLow: number): number {
  return keyLow & 0xff;
}

/** A u32 out of a fingerprint and a salt: two fingerprints that collide under one salt part under the next. */
export function saltedHash(high: number, low: number, salt: number): number {
  let h = low ^ Math.imul(salt | 1, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) ^ high;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) + salt;
  h = Math.imul(h ^ (h >>> 16), 0x27d4eb2f);
  return (h ^ (h >>> 15)) >>> 0;
}
