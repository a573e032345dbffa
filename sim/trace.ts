// A running fingerprint of everything that happens in a run, in order. Two runs with the same
// fingerprint did the same; it is not a defence against anybody.

/** 64 bits over words and bytes, with MurmurHash3's finalizer as the mixing step. */
export class TraceHash {
  #high = 0x6d79636f;
  #low = 0x73696d31;

  word(value: number): void {
    this.#low = mix(this.#low ^ value);
    this.#high = mix((this.#high + this.#low) | 0);
  }

  /** `bytes` at any offset of its memory; its length counts. */
  bytes(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const wholeBytes = bytes.length & ~3;
    let low = this.#low;
    for (let at = 0; at < wholeBytes; at += 4) {
      low = Math.imul(low ^ view.getInt32(at, true), 0x9e3779b1);
      low ^= low >>> 15;
    }
    for (let at = wholeBytes; at < bytes.length; at += 1) low = Math.imul(low ^ bytes[at]!, 31);
    this.word(low ^ bytes.length);
  }

  text(text: string): void {
    for (let i = 0; i < text.length; i += 1) this.word(text.charCodeAt(i));
  }

  /** 16 hex digits. */
  get hex(): string {
    return hexOf(this.#high) + hexOf(this.#low);
  }
}

function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function hexOf(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
