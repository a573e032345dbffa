// Puts the first bytes of a stream in order: TCP segments and QUIC CRYPTO frames that come out of
// order, again, or overlapping. A pool bounds how many streams are in order at a time.

import { assert } from "../../kernel/assert.ts";
import { STREAM_BYTES_MAX } from "../../kernel/limits.ts";

/** Pieces kept beyond a gap; more are dropped. */
const PIECES_MAX = 8;

/** The first `STREAM_BYTES_MAX` bytes of a stream. Of overlapping bytes, those that came in order first stay. */
export class ByteStream {
  readonly bytes = new Uint8Array(STREAM_BYTES_MAX);
  #prefixLength = 0;
  /** Pieces beyond the prefix, unordered: `[starts[i], ends[i])`. */
  readonly #starts = new Int32Array(PIECES_MAX);
  readonly #ends = new Int32Array(PIECES_MAX);
  #pieceCount = 0;

  /** Bytes from the start on without a gap. */
  get prefixLength(): number {
    return this.#prefixLength;
  }

  get isFull(): boolean {
    return this.#prefixLength === this.bytes.length;
  }

  clear(): void {
    this.#prefixLength = 0;
    this.#pieceCount = 0;
  }

  /** Adds `source[from, to)`, which stands at `offset` in the stream; what is outside its bound is left out. */
  add(offset: number, source: Uint8Array, from: number, to: number): void {
    const start = Math.max(offset, this.#prefixLength);
    const end = Math.min(offset + (to - from), this.bytes.length);
    if (start >= end) return;
    if (start > this.#prefixLength && !this.#addPiece(start, end)) return;
    this.bytes.set(source.subarray(from + start - offset, from + end - offset), start);
    if (start === this.#prefixLength) {
      this.#prefixLength = end;
      this.#joinPieces();
    }
  }

  #addPiece(start: number, end: number): boolean {
    if (this.#pieceCount === PIECES_MAX) return false;
    this.#starts[this.#pieceCount] = start;
    this.#ends[this.#pieceCount] = end;
    this.#pieceCount += 1;
    return true;
  }

  /** Lengthens the prefix by the pieces it now reaches. */
  #joinPieces(): void {
    for (let index = 0; index < this.#pieceCount; ) {
      if (this.#starts[index]! > this.#prefixLength) {
        index += 1;
        continue;
      }
      this.#prefixLength = Math.max(this.#prefixLength, this.#ends[index]!);
      this.#pieceCount -= 1;
      this.#starts[index] = this.#starts[this.#pieceCount]!;
      this.#ends[index] = this.#ends[this.#pieceCount]!;
      // The prefix grew: a piece passed over before may now touch it.
      index = 0;
    }
  }
}

/** Who reads a stream. The pool may take the stream back for somebody else. */
export interface StreamOwner {
  stream: ByteStream | null;
}

/** A fixed number of streams; when all are in use, the one lent longest ago changes hands. */
export class StreamPool {
  readonly #streams: ByteStream[] = [];
  readonly #owners: (StreamOwner | null)[] = [];
  readonly #capacity: number;
  #next = 0;

  constructor(capacity: number) {
    assert(capacity > 0, "a pool lends at least one stream");
    this.#capacity = capacity;
  }

  /** Gives `owner` an empty stream. */
  lend(owner: StreamOwner): ByteStream {
    assert(owner.stream === null, "an owner has one stream at a time");
    const index = this.#freeIndex();
    const loser = this.#owners[index];
    if (loser !== null && loser !== undefined) loser.stream = null;
    this.#streams[index] ??= new ByteStream();
    const stream = this.#streams[index];
    stream.clear();
    this.#owners[index] = owner;
    owner.stream = stream;
    return stream;
  }

  takeBack(owner: StreamOwner): void {
    if (owner.stream === null) return;
    this.#owners[this.#streams.indexOf(owner.stream)] = null;
    owner.stream = null;
  }

  /** A free place, else the next in turn. */
  #freeIndex(): number {
    for (let index = 0; index < this.#streams.length; index += 1) {
      if (this.#owners[index] === null) return index;
    }
    if (this.#streams.length < this.#capacity) return this.#streams.length;
    this.#next = (this.#next + 1) % this.#capacity;
    return this.#next;
  }
}
