// The values of ubus messages (libubox's blobmsg): named fields of a type each, in binary. What
// JSON can say, they can say; `ubus call` shows them as JSON.
//
// A field is a 32-bit head (bit 31 set, then 7 bits of type and 24 of length, the head included), the
// name's length in 16 bits, the name and a NUL, zeros up to a multiple of four, and the value.
// Fields begin at multiples of four. All numbers are big-endian.

import { assert } from "../../kernel/assert.ts";
import { UBUS_DEPTH_MAX, UBUS_FIELDS_MAX, UBUS_MESSAGE_BYTES_MAX } from "../../kernel/limits.ts";

/** A value as JSON has it. */
export type BlobValue = null | boolean | number | string | readonly BlobValue[] | BlobTable;
export interface BlobTable {
  readonly [name: string]: BlobValue;
}

export const BLOBMSG = {
  null: 0,
  array: 1,
  table: 2,
  string: 3,
  int64: 4,
  int32: 5,
  int16: 6,
  boolean: 7,
  double: 8,
} as const;

/** Of every attribute: what its identity and its length share. */
export const HEAD_BYTES = 4;
export const EXTENDED = 0x8000_0000;
export const LENGTH_MASK = 0x00ff_ffff;
const NAME_LENGTH_BYTES = 2;
const FIRST_CAPACITY_BYTES = 512;
const TWO_TO_32 = 2 ** 32;
const INT32_MAX = 2 ** 31 - 1;

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What is written is longer than a message may be. */
export class BlobTooLongError extends Error {
  override readonly name = "BlobTooLongError";
  readonly code = "ERR_UBUS_TOO_LONG";

  constructor() {
    super(`a ubus message has at most ${UBUS_MESSAGE_BYTES_MAX} bytes`);
  }
}

/** Where an attribute that begins after one of so many bytes stands. */
export function padded(sizeBytes: number): number {
  return (sizeBytes + 3) & ~3;
}

/** Attributes one after the other, in memory that grows up to a message's size. */
export class BlobWriter {
  #bytes = new Uint8Array(FIRST_CAPACITY_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** What was written; the writer's own memory. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  u8(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.#take(2);
    this.#view.setUint16(at, value);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value);
  }

  f64(value: number): void {
    const at = this.#take(8);
    this.#view.setFloat64(at, value);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** The text and its NUL. One inside would end the text for whoever reads it. */
  text(value: string): void {
    this.raw(textEncoder.encode(value.replaceAll("\0", "\ufffd")));
    this.u8(0);
  }

  /** @returns where the attribute begins, for `end` */
  begin(): number {
    return this.#take(HEAD_BYTES);
  }

  /** Fills in the head of what began at `start`, and pads. @param id with EXTENDED for a field */
  end(start: number, id: number): void {
    const lengthBytes = this.#length - start;
    this.#view.setUint32(start, id * 0x100_0000 + lengthBytes);
    this.pad();
  }

  pad(): void {
    this.#take(padded(this.#length) - this.#length);
  }

  #take(sizeBytes: number): number {
    const at = this.#length;
    const wanted = at + sizeBytes;
    if (wanted > UBUS_MESSAGE_BYTES_MAX) throw new BlobTooLongError();
    if (wanted > this.#bytes.length) this.#grow(wanted);
    this.#length = wanted;
    return at;
  }

  #grow(wanted: number): void {
    const grown = new Uint8Array(Math.max(wanted, 2 * this.#bytes.length));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/**
 * Writes the fields of `table`. Whole numbers take 32 bits where they fit and 64 where they do
 * not, others are doubles; what is undefined is left out.
 * @throws BlobTooLongError
 */
export function writeTable(writer: BlobWriter, table: object): void {
  for (const [name, value] of Object.entries(table)) {
    if (value !== undefined) writeField(writer, name, value, 1);
  }
}

/** The fields of `table` on their own. @throws BlobTooLongError */
export function encodeTable(table: object): Uint8Array {
  const writer = new BlobWriter();
  writeTable(writer, table);
  return writer.bytes;
}

function writeField(writer: BlobWriter, name: string, value: unknown, depth: number): void {
  assert(depth <= UBUS_DEPTH_MAX, "what the daemon tells is not so deep");
  const start = writer.begin();
  const nameBytes = textEncoder.encode(name);
  writer.u16(nameBytes.length);
  writer.raw(nameBytes);
  writer.u8(0);
  writer.pad();
  writer.end(start, 0x80 + writeValue(writer, value, depth));
}

/** @returns the value's type */
function writeValue(writer: BlobWriter, value: unknown, depth: number): number {
  if (typeof value === "string") {
    writer.text(value);
    return BLOBMSG.string;
  }
  if (typeof value === "number") return writeNumber(writer, value);
  if (typeof value === "boolean") {
    writer.u8(value ? 1 : 0);
    return BLOBMSG.boolean;
  }
  if (value === null || value === undefined) return BLOBMSG.null;
  assert(typeof value === "object", "plain data is told");
  if (Array.isArray(value)) {
    for (const item of value) writeField(writer, "", item, depth + 1);
    return BLOBMSG.array;
  }
  for (const [name, item] of Object.entries(value)) {
    if (item !== undefined) writeField(writer, name, item, depth + 1);
  }
  return BLOBMSG.table;
}

function writeNumber(writer: BlobWriter, value: number): number {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    writer.f64(value);
    return BLOBMSG.double;
  }
  if (value >= -INT32_MAX - 1 && value <= INT32_MAX) {
    writer.u32(value);
    return BLOBMSG.int32;
  }
  writer.u32(Math.floor(value / TWO_TO_32));
  writer.u32(value % TWO_TO_32);
  return BLOBMSG.int64;
}

/** One attribute within the memory of its message. */
export interface BlobAttribute {
  /** Without the extended bit. */
  readonly id: number;
  readonly isExtended: boolean;
  /** Of its content, head excluded. */
  readonly start: number;
  readonly end: number;
  /** Where the next one begins. */
  readonly next: number;
}

/** The attribute at `at`, or null when it does not fit before `end`. */
export function attributeAt(view: DataView, at: number, end: number): BlobAttribute | null {
  if (at + HEAD_BYTES > end) return null;
  const head = view.getUint32(at);
  const lengthBytes = head & LENGTH_MASK;
  const next = at + padded(lengthBytes);
  if (lengthBytes < HEAD_BYTES || next > end) return null;
  return {
    id: (head >>> 24) & 0x7f,
    isExtended: head >= EXTENDED,
    start: at + HEAD_BYTES,
    end: at + lengthBytes,
    next,
  };
}

/**
 * The named fields of `bytes`, or null when they are malformed, deeper than UBUS_DEPTH_MAX or more
 * than UBUS_FIELDS_MAX. Whole numbers beyond 2^53 lose their last digits.
 */
export function decodeTable(bytes: Uint8Array): BlobTable | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new BlobReader(bytes, view).table(0, bytes.length, 0);
}

/** The text of a field or attribute up to its NUL; null when it has none. */
export function readText(bytes: Uint8Array, start: number, end: number): string | null {
  const nul = bytes.subarray(start, end).indexOf(0);
  return nul < 0 ? null : textDecoder.decode(bytes.subarray(start, start + nul));
}

interface Field {
  readonly name: string;
  readonly value: BlobValue;
}

class BlobReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #fieldCount = 0;

  constructor(bytes: Uint8Array, view: DataView) {
    this.#bytes = bytes;
    this.#view = view;
  }

  table(start: number, end: number, depth: number): BlobTable | null {
    const fields = this.#fields(start, end, depth);
    if (fields === null) return null;
    // Without a prototype, "__proto__" is a name like any other.
    const table = Object.create(null) as Record<string, BlobValue>;
    for (const { name, value } of fields) table[name] = value;
    return table;
  }

  #fields(start: number, end: number, depth: number): Field[] | null {
    if (depth > UBUS_DEPTH_MAX) return null;
    const fields: Field[] = [];
    for (let at = start; at < end; ) {
      const attribute = attributeAt(this.#view, at, end);
      const field = attribute === null ? null : this.#field(attribute, depth);
      if (attribute === null || field === null) return null;
      fields.push(field);
      at = attribute.next;
    }
    return fields;
  }

  #field({ id, isExtended, start, end }: BlobAttribute, depth: number): Field | null {
    this.#fieldCount += 1;
    if (this.#fieldCount > UBUS_FIELDS_MAX || !isExtended) return null;
    if (start + NAME_LENGTH_BYTES > end) return null;
    const nameBytes = this.#view.getUint16(start);
    const valueAt = start + padded(NAME_LENGTH_BYTES + nameBytes + 1);
    if (valueAt > end) return null;
    const name = readText(this.#bytes, start + NAME_LENGTH_BYTES, valueAt);
    const value = this.#value(id, valueAt, end, depth);
    return name === null || value === undefined ? null : { name, value };
  }

  /** Undefined: malformed. */
  #value(type: number, start: number, end: number, depth: number): BlobValue | undefined {
    const view = this.#view;
    const has = (sizeBytes: number): boolean => end - start === sizeBytes;
    switch (type) {
      case BLOBMSG.null:
        return null;
      case BLOBMSG.array:
        return this.#fields(start, end, depth + 1)?.map(({ value }) => value);
      case BLOBMSG.table:
        return this.table(start, end, depth + 1) ?? undefined;
      case BLOBMSG.string:
        return readText(this.#bytes, start, end) ?? undefined;
      case BLOBMSG.int64:
        return has(8) ? view.getInt32(start) * TWO_TO_32 + view.getUint32(start + 4) : undefined;
      case BLOBMSG.int32:
        return has(4) ? view.getInt32(start) : undefined;
      case BLOBMSG.int16:
        return has(2) ? view.getInt16(start) : undefined;
      case BLOBMSG.boolean:
        return has(1) ? view.getUint8(start) !== 0 : undefined;
      case BLOBMSG.double:
        return has(8) ? view.getFloat64(start) : undefined;
      default:
        return undefined;
    }
  }
}
