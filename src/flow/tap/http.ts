// The heads of HTTP/1 messages: what host and target a request names, and what an answer holds.
// Reads prefixes of a stream, however cut. Source: RFC 9112, RFC 9110.

import { hasText, hostnameText, lowerCase, printableText } from "./bytes.ts";
import { TEXT_CHARACTERS_MAX } from "./features.ts";

export interface HttpRequest {
  readonly method: string;
  /** Cut at `TEXT_CHARACTERS_MAX`. */
  readonly target: string;
  /** Of the Host field, else of the target; without its port. Null: not shown (yet). */
  readonly host: string | null;
  readonly userAgent: string | null;
  /** The empty line after the fields was reached. */
  readonly isComplete: boolean;
}

export interface HttpResponse {
  /** The media type with its parameters; null: not shown (yet). */
  readonly contentType: string | null;
  readonly isComplete: boolean;
}

const METHOD_CHARACTERS_MIN = 3;
const METHOD_CHARACTERS_MAX = 24;
const FIELDS_MAX = 64;
const VERSION_START = "HTTP/1.";
const LINE_FEED = 0x0a;
const SPACE = 0x20;

/** Methods whose request line may be cut before it says HTTP, and be taken for one all the same. */
const COMMON_METHODS = new Set(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT"]);

/** @returns null when no request begins at `start` */
export function readHttpRequest(bytes: Uint8Array, start: number, end: number): HttpRequest | null {
  const methodEnd = findMethodEnd(bytes, start, end);
  if (methodEnd < 0) return null;
  const method = printableText(bytes, start, methodEnd, METHOD_CHARACTERS_MAX);
  const lineEnd = findLineEnd(bytes, start, end);
  const targetAt = methodEnd + 1;
  const targetEnd = findTargetEnd(bytes, targetAt, lineEnd < 0 ? end : lineEnd, lineEnd < 0);
  if (targetEnd < 0 || (lineEnd < 0 && !COMMON_METHODS.has(method))) return null;
  const target = printableText(bytes, targetAt, targetEnd, TEXT_CHARACTERS_MAX);
  const fields = lineEnd < 0 ? NO_FIELDS : readFields(bytes, lineEnd + 1, end);
  const ownHost = method === "CONNECT" ? target : absoluteHost(target);
  return {
    method,
    target,
    host: hostWithoutPort(fields.host ?? ownHost),
    userAgent: fields.userAgent,
    isComplete: fields.isComplete,
  };
}

/** @returns null when no answer begins at `start` */
export function readHttpResponse(
  bytes: Uint8Array,
  start: number,
  end: number,
): HttpResponse | null {
  if (!startsVersion(bytes, start, end)) return null;
  const lineEnd = findLineEnd(bytes, start, end);
  if (lineEnd < 0) return { contentType: null, isComplete: false };
  const { contentType, isComplete } = readFields(bytes, lineEnd + 1, end);
  return { contentType, isComplete };
}

/** Capital letters (and the marks some extensions use) before a space; -1 when it is no method. */
function findMethodEnd(bytes: Uint8Array, start: number, end: number): number {
  const last = Math.min(end, start + METHOD_CHARACTERS_MAX + 1);
  let at = start;
  while (at < last && isMethodByte(bytes[at]!)) at += 1;
  return at < last && bytes[at] === SPACE && at - start >= METHOD_CHARACTERS_MIN ? at : -1;
}

function isMethodByte(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f || byte === 0x2d;
}

/** Where the target ends in its line; -1 when it is no HTTP request line. */
function findTargetEnd(bytes: Uint8Array, start: number, end: number, isCut: boolean): number {
  if (start >= end) return -1;
  let at = start;
  while (at < end && bytes[at]! > SPACE) at += 1;
  if (at === start) return -1;
  if (startsVersion(bytes, at + 1, end)) return at;
  if (!isCut) return -1;
  // Cut within the target, or within the version that follows it.
  const isCutHere = at === end || hasText(bytes, at + 1, end, VERSION_START.slice(0, end - at - 1));
  return isCutHere ? at : -1;
}

function startsVersion(bytes: Uint8Array, at: number, end: number): boolean {
  return hasText(bytes, at, end, VERSION_START);
}

/** Where the line feed of the line at `start` is, or -1. */
function findLineEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] === LINE_FEED) return at;
  }
  return -1;
}

interface Fields {
  host: string | null;
  userAgent: string | null;
  contentType: string | null;
  isComplete: boolean;
}

const NO_FIELDS: Readonly<Fields> = {
  host: null,
  userAgent: null,
  contentType: null,
  isComplete: false,
};

function readFields(bytes: Uint8Array, start: number, end: number): Readonly<Fields> {
  const fields: Fields = { ...NO_FIELDS };
  let at = start;
  for (let count = 0; count < FIELDS_MAX; count += 1) {
    const lineFeed = findLineEnd(bytes, at, end);
    if (lineFeed < 0) return fields;
    const lineEnd = bytes[lineFeed - 1] === 0x0d ? lineFeed - 1 : lineFeed;
    if (lineEnd <= at) break;
    if (isField(bytes, at, lineEnd, "host")) fields.host ??= fieldValue(bytes, at, 4, lineEnd);
    else if (isField(bytes, at, lineEnd, "user-agent")) {
      fields.userAgent ??= fieldValue(bytes, at, 10, lineEnd);
    } else if (isField(bytes, at, lineEnd, "content-type")) {
      fields.contentType ??= fieldValue(bytes, at, 12, lineEnd);
    }
    at = lineFeed + 1;
  }
  // An empty line, or more fields than anyone sends: nothing more is read either way.
  fields.isComplete = true;
  return fields;
}

/** Whether the line's field has this name, whatever its case. */
function isField(bytes: Uint8Array, at: number, end: number, name: string): boolean {
  if (at + name.length >= end || bytes[at + name.length] !== 0x3a) return false;
  for (let i = 0; i < name.length; i += 1) {
    if (lowerCase(bytes[at + i]!) !== name.charCodeAt(i)) return false;
  }
  return true;
}

function fieldValue(bytes: Uint8Array, at: number, nameBytes: number, end: number): string {
  return printableText(bytes, at + nameBytes + 1, end, TEXT_CHARACTERS_MAX * 2)
    .trim()
    .slice(0, TEXT_CHARACTERS_MAX);
}

/** Of `http://host:port/path`, as proxies are asked. */
function absoluteHost(target: string): string | null {
  return /^[a-z]+:\/\/([^/?#@]+)/i.exec(target)?.[1] ?? null;
}

const textEncoder = new TextEncoder();

/** `host:443` and `[2001:db8::1]:443` without brackets and port; null when it is no host name. */
function hostWithoutPort(text: string | null): string | null {
  if (text === null) return null;
  const bracketed = /^\[([^\]]+)\]/.exec(text);
  const bare = bracketed?.[1] ?? text.replace(/:\d*$/, "");
  const bytes = textEncoder.encode(bare);
  return hostnameText(bytes, 0, bytes.length);
}
