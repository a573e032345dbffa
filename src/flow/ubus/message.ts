// Messages between ubusd and its clients: a head of 8 bytes, then one attribute that holds the
// others (ubus's ubusmsg.h). All numbers are big-endian.

import { UBUS_MESSAGE_BYTES_MAX } from "../../kernel/limits.ts";
import {
  attributeAt,
  type BlobAttribute,
  type BlobTable,
  BlobWriter,
  decodeTable,
  HEAD_BYTES,
  LENGTH_MASK,
  padded,
  readText,
  writeTable,
} from "./blobmsg.ts";

export const UBUS_MESSAGE = {
  hello: 0,
  status: 1,
  data: 2,
  ping: 3,
  lookup: 4,
  invoke: 5,
  addObject: 6,
  removeObject: 7,
  subscribe: 8,
  unsubscribe: 9,
  notify: 10,
  monitor: 11,
} as const;

/** How a request ended. */
export const UBUS_STATUS = {
  ok: 0,
  invalidCommand: 1,
  invalidArgument: 2,
  methodNotFound: 3,
  notFound: 4,
  noData: 5,
  permissionDenied: 6,
  timeout: 7,
  notSupported: 8,
  unknownError: 9,
} as const;

const STATUS_WORDS = [
  "ok",
  "invalid command",
  "invalid argument",
  "method not found",
  "not found",
  "no data",
  "permission denied",
  "timed out",
  "not supported",
  "unknown error",
];

/** A status for people. */
export function describeStatus(status: number): string {
  return STATUS_WORDS[status] ?? `status ${status}`;
}

/** What a message says; each kind uses a few of them. */
export interface UbusAttributes {
  readonly status?: number;
  readonly objectPath?: string;
  readonly objectId?: number;
  readonly method?: string;
  readonly objectType?: number;
  /** By method: its arguments' names and blobmsg types. */
  readonly signature?: object;
  /** Written from any plain data. */
  readonly data?: object;
  readonly target?: number;
  readonly active?: boolean;
  readonly noReply?: boolean;
  readonly user?: string;
  readonly group?: string;
}

export interface UbusMessage {
  readonly type: number;
  /** 16 bits: an answer has its request's. */
  readonly sequence: number;
  /** 32 bits: the object or client at the other side. */
  readonly peer: number;
  readonly attributes: UbusAttributes;
}

type AttributeKind = "u32" | "boolean" | "text" | "table";

/** By name: the attribute's id and its encoding. */
const ATTRIBUTES: Readonly<Record<keyof UbusAttributes, readonly [number, AttributeKind]>> = {
  status: [1, "u32"],
  objectPath: [2, "text"],
  objectId: [3, "u32"],
  method: [4, "text"],
  objectType: [5, "u32"],
  signature: [6, "table"],
  data: [7, "table"],
  target: [8, "u32"],
  active: [9, "boolean"],
  noReply: [10, "boolean"],
  user: [12, "text"],
  group: [13, "text"],
};

const ATTRIBUTES_BY_ID = new Map(
  Object.entries(ATTRIBUTES).map(([name, [id, kind]]) => [id, { name, kind }] as const),
);

const MESSAGE_HEAD_BYTES = 8;
const FIRST_BUFFER_BYTES = 4 * 1024;

/** @throws BlobTooLongError */
export function encodeMessage({ type, sequence, peer, attributes }: UbusMessage): Uint8Array {
  const writer = new BlobWriter();
  writer.u8(0);
  writer.u8(type);
  writer.u16(sequence);
  writer.u32(peer);
  const root = writer.begin();
  for (const [name, [id, kind]] of Object.entries(ATTRIBUTES)) {
    const value = attributes[name as keyof UbusAttributes];
    if (value === undefined) continue;
    const start = writer.begin();
    writeAttribute(writer, kind, value);
    writer.end(start, id);
  }
  writer.end(root, 0);
  return writer.bytes;
}

function writeAttribute(writer: BlobWriter, kind: AttributeKind, value: unknown): void {
  if (kind === "u32") writer.u32(value as number);
  else if (kind === "boolean") writer.u8(value === true ? 1 : 0);
  else if (kind === "text") writer.text(value as string);
  else writeTable(writer, value as object);
}

/**
 * A whole message; null when it is malformed.
 * @param bytes head, root attribute and what is in it, no more
 */
export function decodeMessage(bytes: Uint8Array): UbusMessage | null {
  if (bytes.length < MESSAGE_HEAD_BYTES + HEAD_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const root = attributeAt(view, MESSAGE_HEAD_BYTES, bytes.length);
  if (bytes[0] !== 0 || root === null || root.next !== bytes.length) return null;
  const attributes: Record<string, unknown> = {};
  for (let at = root.start; at < root.end; ) {
    const attribute = attributeAt(view, at, root.end);
    if (attribute === null) return null;
    const known = ATTRIBUTES_BY_ID.get(attribute.id);
    if (known !== undefined) {
      const value = readAttribute(bytes, view, attribute, known.kind);
      if (value === null) return null;
      attributes[known.name] = value;
    }
    at = attribute.next;
  }
  return {
    type: view.getUint8(1),
    sequence: view.getUint16(2),
    peer: view.getUint32(4),
    attributes,
  };
}

/** Null: malformed. */
function readAttribute(
  bytes: Uint8Array,
  view: DataView,
  { start, end }: BlobAttribute,
  kind: AttributeKind,
): number | boolean | string | BlobTable | null {
  if (kind === "u32") return end - start === 4 ? view.getUint32(start) : null;
  if (kind === "boolean") return end - start === 1 ? view.getUint8(start) !== 0 : null;
  if (kind === "text") return readText(bytes, start, end);
  return decodeTable(bytes.subarray(start, end));
}

/** Cuts a stream of bytes into messages. Memory grows with what has come, not with what is announced. */
export class UbusMessageReader {
  #bytes = new Uint8Array(FIRST_BUFFER_BYTES);
  #length = 0;

  /**
   * Takes what has come and tells each whole message. One whose attributes are malformed is passed
   * over: its length was told all the same.
   * @returns false when the stream makes no sense any more
   */
  push(chunk: Uint8Array, onMessage: (message: UbusMessage) => void): boolean {
    this.#append(chunk);
    let at = 0;
    for (;;) {
      const sizeBytes = this.#sizeAt(at);
      if (sizeBytes === "broken") return false;
      if (sizeBytes === null || at + sizeBytes > this.#length) break;
      // A message keeps nothing of this memory.
      const message = decodeMessage(this.#bytes.subarray(at, at + sizeBytes));
      at += sizeBytes;
      if (message !== null) onMessage(message);
    }
    this.#drop(at);
    return true;
  }

  /** Of the message at `at`, as its heads tell; null: they are not all here. */
  #sizeAt(at: number): number | null | "broken" {
    if (this.#length - at < MESSAGE_HEAD_BYTES + HEAD_BYTES) return null;
    const view = new DataView(this.#bytes.buffer);
    const rootBytes = view.getUint32(at + MESSAGE_HEAD_BYTES) & LENGTH_MASK;
    const isKnown = view.getUint8(at) === 0 && rootBytes >= HEAD_BYTES;
    if (!isKnown || rootBytes > UBUS_MESSAGE_BYTES_MAX) return "broken";
    return MESSAGE_HEAD_BYTES + padded(rootBytes);
  }

  #append(chunk: Uint8Array): void {
    const wanted = this.#length + chunk.length;
    if (wanted > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(wanted, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = wanted;
  }

  #drop(sizeBytes: number): void {
    this.#bytes.copyWithin(0, sizeBytes, this.#length);
    this.#length -= sizeBytes;
    const isLarge = this.#bytes.length > 16 * FIRST_BUFFER_BYTES;
    if (isLarge && this.#length <= FIRST_BUFFER_BYTES) {
      const small = new Uint8Array(FIRST_BUFFER_BYTES);
      small.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = small;
    }
  }
}
