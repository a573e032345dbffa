// Cursors over bytes: fixed little-endian integers, LEB128 varints and short strings.
// Every read is bounded; a reader past its end fails once and stays failed.

import { assert } from "../kernel/assert.ts";

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes that do not follow their format. `code` is stable; the message is for people. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  readonly code = "ERR_FORMAT";
}

/** Writes into memory it was given, and never past its end. */
export class ByteWriter {
  readonly bytes: Uint8Array;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** What was written so far, as a view. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.offset);
  }

  u8(value: number): void {
    this.#take(1);
    this.bytes[this.offset - 1] = value;
  }

  u16(value: number): void {
    this.u8(value & 0xff);
    this.u8((value >>> 8) & 0xff);
  }

  u32(value: number): void {
    this.u16(value & 0xffff);
    this.u16(value >>> 16);
  }

  /** A safe non-negative integer, as u64 little-endian. */
  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a u64 field takes a safe integer");
    this.u32(value % 0x1_0000_0000);
    this.u32(Math.floor(value / 0x1_0000_0000));
  }

  raw(source: Uint8Array): void {
    this.#take(source.length);
    this.bytes.set(source, this.offset - source.length);
  }

  /** LEB128 of a safe non-negative integer: 1 byte below 128, at most 8. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a varint takes a safe integer");
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  /** A varint length, then the bytes. */
  block(source: Uint8Array): void {
    this.varint(source.length);
    this.raw(source);
  }

  /** A varint length, then UTF-8. */
  string(value: string): void {
    this.block(textEncoder.encode(value));
  }

  #take(length: number): void {
    if (this.offset + length > this.bytes.length) {
      throw new FormatError(`does not fit: ${this.bytes.length} bytes are all there is`);
    }
    this.offset += length;
  }
}

/** Reads untrusted bytes. Throws FormatError at the first byte that cannot be. */
export class ByteReader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    assert(start <= end && end <= bytes.length, "a reader stays inside its bytes");
    this.bytes = bytes;
    this.offset = start;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  u8(): number {
    if (this.offset >= this.end) throw new FormatError("ends too early");
    return this.bytes[this.offset++]!;
  }

  u16(): number {
    const low = this.u8();
    return low | (this.u8() << 8);
  }

  u32(): number {
    const low = this.u16();
    return (low | (this.u16() << 16)) >>> 0;
  }

  /** A u64 that fits a safe integer; larger ones are refused. */
  u64(): number {
    const low = this.u32();
    const high = this.u32();
    if (high >= 0x20_0000) throw new FormatError("a 64-bit number is above 2^53");
    return high * 0x1_0000_0000 + low;
  }

  /** `length` bytes, as a view. */
  raw(length: number): Uint8Array {
    if (length > this.remaining) throw new FormatError("ends too early");
    this.offset += length;
    return this.bytes.subarray(this.offset - length, this.offset);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (i > 0 && byte === 0) throw new FormatError("a varint is longer than it needs to be");
        if (!Number.isSafeInteger(value)) throw new FormatError("a varint is above 2^53");
        return value;
      }
      scale *= 0x80;
    }
    throw new FormatError("a varint does not end");
  }

  /** A varint length of at most `maxLength`, then that many bytes, as a view. */
  block(maxLength: number): Uint8Array {
    const length = this.varint();
    if (length > maxLength) throw new FormatError(`${length} bytes where ${maxLength} are allowed`);
    return this.raw(length);
  }

  /** A block of at most `maxLength` bytes that is valid UTF-8. */
  string(maxLength: number): string {
    const block = this.block(maxLength);
    try {
      return textDecoder.decode(block);
    } catch {
      throw new FormatError("a string is not UTF-8");
    }
  }
}
