// A slot's body as a row of tagged fields, so that a newer version may add some: each is
// varint(tag·2 + form), then a varint (form 0) or a length and bytes (form 1). Tags ascend,
// defaults are left out, and a tag that is not known is skipped.

import { decodeText, encodeText, type TokenTable } from "./tokens.ts";
import { ByteReader, ByteWriter, FormatError } from "./varint.ts";

/** How one field of a `Subject` is written and read. */
export interface FieldCodec<Subject> {
  /** From 1, and never used for anything else once it was released. */
  readonly tag: number;
  /** What people call it. */
  readonly name: string;
  /** A number, bytes, or null for the default. */
  readonly write: (subject: Subject) => number | Uint8Array | null;
  /** What the field says. `soFar` holds the fields of lower tags. */
  readonly read: (field: FieldReader, soFar: Subject) => Partial<Subject>;
}

/** A body that is larger than a slot takes. The message says which fields to shorten. */
export class SlotTooLargeError extends Error {
  override readonly name = "SlotTooLargeError";
  readonly code = "ERR_SLOT_TOO_LARGE";
}

const VARINT_BYTES_MAX = 8;

/**
 * Writes the fields of `subject` that are not at their default.
 * @param codecs in ascending order of tag
 * @param title what is encoded, for the error's text
 * @throws SlotTooLargeError above `bytesMax`
 */
export function encodeFields<Subject>(
  codecs: readonly FieldCodec<Subject>[],
  subject: Subject,
  title: string,
  bytesMax: number,
): Uint8Array {
  const fields: { name: string; bytes: Uint8Array }[] = [];
  for (const codec of codecs) {
    const value = codec.write(subject);
    if (value !== null) fields.push({ name: codec.name, bytes: encodeField(codec.tag, value) });
  }
  const bytes = concatBytes(fields.map((field) => field.bytes));
  if (bytes.length <= bytesMax) return bytes;
  const largest = fields
    .sort((a, b) => b.bytes.length - a.bytes.length)
    .slice(0, 3)
    .map((field) => `${field.name} (${field.bytes.length})`);
  throw new SlotTooLargeError(
    `${title} takes ${bytes.length} bytes and ${bytesMax} are allowed; shorten its largest fields: ${largest.join(", ")}`,
  );
}

function encodeField(tag: number, value: number | Uint8Array): Uint8Array {
  const isBlock = typeof value !== "number";
  const contentBytes = isBlock ? value.length : 0;
  const writer = new ByteWriter(new Uint8Array(2 * VARINT_BYTES_MAX + contentBytes));
  writer.varint(tag * 2 + (isBlock ? 1 : 0));
  if (isBlock) writer.block(value);
  else writer.varint(value);
  return writer.written();
}

/** The value of the field at hand, in the form its codec expects. */
export class FieldReader {
  readonly #name: string;
  readonly #number: number | null;
  readonly #content: Uint8Array | null;

  constructor(name: string, number: number | null, content: Uint8Array | null) {
    this.#name = name;
    this.#number = number;
    this.#content = content;
  }

  /** An integer of at most `max`. */
  number(max: number = Number.MAX_SAFE_INTEGER): number {
    if (this.#number === null) throw new FormatError(`${this.#name} is not a number`);
    if (this.#number > max) throw new FormatError(`${this.#name} is above ${max}`);
    return this.#number;
  }

  /** The content, as a view. */
  bytes(): Uint8Array {
    if (this.#content === null) throw new FormatError(`${this.#name} is a number`);
    return this.#content;
  }

  text(table: TokenTable): string {
    return decodeText(this.bytes(), table);
  }

  /** Reads items until the content ends, at most `itemsMax`. */
  list<Item>(itemsMax: number, readItem: (reader: ByteReader) => Item): Item[] {
    const reader = new ByteReader(this.bytes());
    const items: Item[] = [];
    while (reader.remaining > 0) {
      if (items.length === itemsMax) {
        throw new FormatError(`${this.#name} has more than ${itemsMax} items`);
      }
      items.push(readItem(reader));
    }
    return items;
  }
}

/** `defaults` with every known field over it. Throws FormatError for anything else than such a row. */
export function decodeFields<Subject extends object>(
  codecs: readonly FieldCodec<Subject>[],
  bytes: Uint8Array,
  defaults: Subject,
): Subject {
  const subject = { ...defaults };
  const reader = new ByteReader(bytes);
  let previousTag = 0;
  while (reader.remaining > 0) {
    const key = reader.varint();
    const tag = Math.floor(key / 2);
    if (tag <= previousTag) throw new FormatError("fields do not ascend");
    previousTag = tag;
    const isBlock = key % 2 === 1;
    const number = isBlock ? null : reader.varint();
    const content = isBlock ? reader.block(reader.remaining) : null;
    const codec = codecs.find((candidate) => candidate.tag === tag);
    if (codec === undefined) continue;
    Object.assign(subject, codec.read(new FieldReader(codec.name, number, content), subject));
  }
  return subject;
}

/** A length and the text, as an item of a list. */
export function encodeTextItem(text: string, table: TokenTable): Uint8Array {
  const content = encodeText(text, table);
  const writer = new ByteWriter(new Uint8Array(VARINT_BYTES_MAX + content.length));
  writer.block(content);
  return writer.written();
}

/** The item of `encodeTextItem`. */
export function readTextItem(reader: ByteReader, table: TokenTable): string {
  return decodeText(reader.block(reader.remaining), table);
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
