// Reads DNS messages of untrusted senders: the name asked for, and which addresses go by which
// name. Bounded in names, records and compression pointers; what a capture cut is left out.
// Sources: RFC 1035, RFC 3596 (AAAA), RFC 9460 (SVCB and HTTPS).

import { DNS_ADDRESSES_MAX, DNS_RECORDS_MAX } from "../../kernel/limits.ts";
import { parseIpv4 } from "../../schema/endpoint.ts";
import { HOSTNAME_CHARACTERS_MAX, latin1Text, lowerCase, u16, u32 } from "./bytes.ts";

/** An address that goes by a name. */
export interface NamedAddress {
  /** 4 or 16 bytes; a view of the message. */
  readonly address: Uint8Array;
  readonly name: string;
  readonly ttlSeconds: number;
  /** The name comes from the reverse tree (PTR): a host's own, seldom the one people ask for. */
  readonly isReverse: boolean;
}

export interface DnsMessage {
  readonly isResponse: boolean;
  /** The first name asked for; of a message that only answers, the first owner. Null: none. */
  readonly name: string | null;
  /** At most `DNS_ADDRESSES_MAX`. */
  readonly addresses: readonly NamedAddress[];
}

const HEADER_BYTES = 12;
const QUESTIONS_MAX = 32;
const LABELS_MAX = 128;
const POINTERS_MAX = 16;
const SVCB_PARAMETERS_MAX = 16;

const TYPE_A = 1;
const TYPE_PTR = 12;
const TYPE_AAAA = 28;
const TYPE_SVCB = 64;
const TYPE_HTTPS = 65;
const SVCB_IPV4_HINT = 4;
const SVCB_IPV6_HINT = 6;
/** mDNS uses the class's top bit for itself (RFC 6762). */
const CLASS_MASK = 0x7fff;
const CLASSES = new Set([1, 3, 4, 255]);
const OPCODES_MAX = 6;

const DOT = 0x2e;
const QUESTION_MARK = 0x3f;

/** A name, and where its encoding ends. One serves all messages, since it is read at once. */
class NameCursor {
  /** Where the encoding of the name read last ends; -1 when there was no sound name. */
  end = -1;
  readonly #characters = new Uint8Array(HOSTNAME_CHARACTERS_MAX);
  #length = 0;

  /** The name read last, in lower case without a dot at its end; empty for the root. */
  get text(): string {
    return latin1Text(this.#characters, 0, this.#length);
  }

  /** Follows labels and pointers; a pointer must lead back, so that they end. */
  read(bytes: Uint8Array, message: number, start: number, messageEnd: number): boolean {
    this.#length = 0;
    this.end = -1;
    let at = start;
    let lowest = start;
    let pointers = 0;
    for (let labels = 0; labels < LABELS_MAX && at < messageEnd; ) {
      const length = bytes[at]!;
      if (length === 0) {
        if (this.end < 0) this.end = at + 1;
        return true;
      }
      if (length >= 0xc0) {
        if (at + 2 > messageEnd) break;
        if (this.end < 0) this.end = at + 2;
        at = message + (u16(bytes, at) & 0x3fff);
        pointers += 1;
        if (at >= lowest || pointers > POINTERS_MAX) break;
        lowest = at;
      } else if (length > 63 || !this.#addLabel(bytes, at + 1, at + 1 + length, messageEnd)) {
        break;
      } else {
        at += 1 + length;
        labels += 1;
      }
    }
    this.end = -1;
    return false;
  }

  /** Bytes that are no printable ASCII show as "?": service instances are named freely. */
  #addLabel(bytes: Uint8Array, at: number, end: number, messageEnd: number): boolean {
    const isFirst = this.#length === 0;
    const total = this.#length + (isFirst ? 0 : 1) + end - at;
    if (end > messageEnd || total > HOSTNAME_CHARACTERS_MAX) return false;
    let length = this.#length;
    if (!isFirst) {
      this.#characters[length] = DOT;
      length += 1;
    }
    for (let i = at; i < end; i += 1) {
      const byte = bytes[i]!;
      this.#characters[length] = byte > 0x20 && byte < 0x7f ? lowerCase(byte) : QUESTION_MARK;
      length += 1;
    }
    this.#length = length;
    return true;
  }
}

const cursor = new NameCursor();

/** @returns null when `bytes[start, end)` is no DNS message; one cut in its records keeps those that are whole */
export function readDns(bytes: Uint8Array, start: number, end: number): DnsMessage | null {
  if (end - start < HEADER_BYTES) return null;
  const flags = u16(bytes, start + 2);
  const questionCount = u16(bytes, start + 4);
  const answerCount = u16(bytes, start + 6);
  const isOddHeader = ((flags >>> 11) & 0xf) > OPCODES_MAX || (flags & 0x40) !== 0;
  if (isOddHeader || questionCount > QUESTIONS_MAX) return null;
  const isResponse = (flags & 0x8000) !== 0;
  let name: string | null = null;
  let at = start + HEADER_BYTES;
  for (let question = 0; question < questionCount; question += 1) {
    const isSound =
      cursor.read(bytes, start, at, end) &&
      cursor.end + 4 <= end &&
      CLASSES.has(u16(bytes, cursor.end + 2) & CLASS_MASK);
    if (!isSound) return null;
    if (question === 0) name = cursor.text;
    at = cursor.end + 4;
  }
  const records = new RecordReader(bytes, start, end, isResponse ? name : null);
  // Answers, authorities and additionals follow each other in one form.
  const recordCount = answerCount + u16(bytes, start + 8) + u16(bytes, start + 10);
  if (questionCount === 0 && recordCount === 0) return null;
  records.read(at, Math.min(recordCount, DNS_RECORDS_MAX), answerCount);
  if (name === null && records.firstOwner === null) return null;
  return { isResponse, name: name ?? records.firstOwner, addresses: records.addresses };
}

/** Walks the resource records of one message. */
class RecordReader {
  readonly #bytes: Uint8Array;
  readonly #message: number;
  readonly #end: number;
  /** What was asked: aliases (CNAME) then do not matter, since all answers are about it. */
  readonly #asked: string | null;
  readonly addresses: NamedAddress[] = [];
  firstOwner: string | null = null;

  constructor(bytes: Uint8Array, message: number, end: number, asked: string | null) {
    this.#bytes = bytes;
    this.#message = message;
    this.#end = end;
    this.#asked = asked;
  }

  /** Reads `count` records, of which the first `answerCount` answer the question. */
  read(start: number, count: number, answerCount: number): void {
    const bytes = this.#bytes;
    let at = start;
    for (let record = 0; record < count; record += 1) {
      if (!cursor.read(bytes, this.#message, at, this.#end)) return;
      const headAt = cursor.end;
      const dataAt = headAt + 10;
      if (dataAt > this.#end) return;
      const dataEnd = dataAt + u16(bytes, headAt + 8);
      if (dataEnd > this.#end) return;
      const owner = cursor.text;
      this.firstOwner ??= owner;
      const name = record < answerCount ? (this.#asked ?? owner) : owner;
      this.#readData(u16(bytes, headAt), name, u32(bytes, headAt + 4), dataAt, dataEnd);
      at = dataEnd;
    }
  }

  #readData(type: number, name: string, ttlSeconds: number, at: number, end: number): void {
    switch (type) {
      case TYPE_A:
        if (end - at === 4) this.#add(at, 4, name, ttlSeconds);
        break;
      case TYPE_AAAA:
        if (end - at === 16) this.#add(at, 16, name, ttlSeconds);
        break;
      case TYPE_SVCB:
      case TYPE_HTTPS:
        this.#readHints(name, ttlSeconds, at, end);
        break;
      case TYPE_PTR:
        this.#readPointer(name, ttlSeconds, at);
        break;
    }
  }

  /** The address hints of a service binding. */
  #readHints(name: string, ttlSeconds: number, start: number, end: number): void {
    const bytes = this.#bytes;
    if (!cursor.read(bytes, this.#message, start + 2, end)) return;
    let at = cursor.end;
    for (let count = 0; count < SVCB_PARAMETERS_MAX && at + 4 <= end; count += 1) {
      const key = u16(bytes, at);
      const valueEnd = at + 4 + u16(bytes, at + 2);
      if (valueEnd > end) return;
      const sizeBytes = key === SVCB_IPV4_HINT ? 4 : key === SVCB_IPV6_HINT ? 16 : 0;
      for (let hint = at + 4; sizeBytes > 0 && hint + sizeBytes <= valueEnd; hint += sizeBytes) {
        this.#add(hint, sizeBytes, name, ttlSeconds);
      }
      at = valueEnd;
    }
  }

  #readPointer(owner: string, ttlSeconds: number, at: number): void {
    const address = addressOfReverseName(owner);
    if (address === null || this.addresses.length === DNS_ADDRESSES_MAX) return;
    if (!cursor.read(this.#bytes, this.#message, at, this.#end)) return;
    this.addresses.push({ address, name: cursor.text, ttlSeconds, isReverse: true });
  }

  #add(at: number, sizeBytes: number, name: string, ttlSeconds: number): void {
    if (this.addresses.length === DNS_ADDRESSES_MAX || name === "") return;
    const address = this.#bytes.subarray(at, at + sizeBytes);
    this.addresses.push({ address, name, ttlSeconds, isReverse: false });
  }
}

/** `4.3.2.1.in-addr.arpa` and the nibbles of `ip6.arpa`; null for other names. */
function addressOfReverseName(name: string): Uint8Array | null {
  const labels = name.split(".");
  if (name.endsWith(".in-addr.arpa") && labels.length === 6) {
    return parseIpv4(labels.slice(0, 4).reverse().join("."));
  }
  if (!name.endsWith(".ip6.arpa") || labels.length !== 34) return null;
  const address = new Uint8Array(16);
  for (let nibble = 0; nibble < 32; nibble += 1) {
    const digit = labels[31 - nibble]!;
    if (!/^[0-9a-f]$/.test(digit)) return null;
    address[nibble >>> 1]! |= Number.parseInt(digit, 16) << (nibble % 2 === 0 ? 4 : 0);
  }
  return address;
}
