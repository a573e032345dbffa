// What a TLS handshake shows in the clear: the names and protocols a ClientHello asks for, and the
// name in the server's certificate up to TLS 1.2. Reads prefixes of a stream, however cut.
// Sources: RFC 8446, RFC 6066 (SNI), RFC 7301 (ALPN), draft-ietf-tls-esni (ECH), RFC 9000 section 18.

import { STREAM_BYTES_MAX } from "../../kernel/limits.ts";
import { hostnameText, printableText, u16, u24 } from "./bytes.ts";
import { certificateName } from "./certificate-name.ts";
import { TEXT_CHARACTERS_MAX } from "./features.ts";
import { readVarint, varintBytes } from "./quic-varint.ts";

/** What a ClientHello told as far as it was there. */
export interface ClientHello {
  readonly serverName: string | null;
  readonly alpn: readonly string[];
  readonly encryptedClientHello: boolean;
  /** Google's QUIC transport parameter. */
  readonly userAgent: string | null;
}

const RECORD_HEAD_BYTES = 5;
const RECORD_TYPE_HANDSHAKE = 22;
/** 2^14 and what encryption may add (RFC 5246). */
const RECORD_BYTES_MAX = 16_384 + 2_048;

const MESSAGE_HEAD_BYTES = 4;
const MESSAGE_CLIENT_HELLO = 1;
const MESSAGE_SERVER_HELLO = 2;
const MESSAGE_CERTIFICATE = 11;
/** The list's length and the first certificate's, three bytes each. */
const CERTIFICATE_LENGTHS_BYTES = 6;

const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const EXTENSION_QUIC_PARAMETERS = 57;
const EXTENSION_QUIC_PARAMETERS_DRAFT = 0xffa5;
const EXTENSION_ECH = 0xfe0d;
const EXTENSION_ESNI = 0xffce;
const EXTENSIONS_MAX = 64;
const ALPN_MAX = 8;
const ALPN_CHARACTERS_MAX = 32;

const QUIC_PARAMETERS_MAX = 64;
const QUIC_PARAMETER_USER_AGENT = 0x3129;

/** Whether `bytes[at, end)` can be the start of a handshake's first record, its message of this type. */
function startsWith(bytes: Uint8Array, at: number, end: number, message: number): boolean {
  return (
    end - at > RECORD_HEAD_BYTES &&
    bytes[at] === RECORD_TYPE_HANDSHAKE &&
    bytes[at + 1] === 3 &&
    bytes[at + 2]! <= 4 &&
    bytes[at + RECORD_HEAD_BYTES] === message
  );
}

export function startsClientHello(bytes: Uint8Array, at: number, end: number): boolean {
  return startsWith(bytes, at, end, MESSAGE_CLIENT_HELLO);
}

export function startsServerHello(bytes: Uint8Array, at: number, end: number): boolean {
  return startsWith(bytes, at, end, MESSAGE_SERVER_HELLO);
}

/** Takes handshake messages out of records. One serves a whole tap. */
export class TlsReader {
  /** Handshake bytes without their records' heads. */
  readonly #handshake = new Uint8Array(STREAM_BYTES_MAX);
  /** After a read: whether bytes that follow may tell more. */
  wantsMore = false;

  /** @returns what the ClientHello at `start` shows so far, or null when it is none */
  readClientHello(bytes: Uint8Array, start: number, end: number): ClientHello | null {
    const length = this.#gather(bytes, start, end);
    const isWhole = length >= MESSAGE_HEAD_BYTES && length >= handshakeBytes(this.#handshake, 0);
    if (isWhole) this.wantsMore = false;
    return parseClientHello(this.#handshake, 0, length);
  }

  /** @returns the name in the certificate that follows the ServerHello at `start`, or null when it does not show (yet) */
  readCertificateName(bytes: Uint8Array, start: number, end: number): string | null {
    const handshake = this.#handshake;
    const length = this.#gather(bytes, start, end);
    let at = 0;
    while (at + MESSAGE_HEAD_BYTES <= length && handshake[at] !== MESSAGE_CERTIFICATE) {
      at += handshakeBytes(handshake, at);
    }
    // The server's own comes first; what follows it in the chain is of no interest.
    const firstAt = at + MESSAGE_HEAD_BYTES + CERTIFICATE_LENGTHS_BYTES;
    if (firstAt > length) return null;
    const firstEnd = firstAt + u24(handshake, firstAt - 3);
    if (firstEnd <= length) this.wantsMore = false;
    return certificateName(handshake, firstAt, Math.min(firstEnd, length));
  }

  /** Copies handshake records' contents until they end. @returns how many bytes; sets `wantsMore` */
  #gather(bytes: Uint8Array, start: number, end: number): number {
    let length = 0;
    let at = start;
    this.wantsMore = true;
    while (at + RECORD_HEAD_BYTES <= end) {
      const recordBytes = u16(bytes, at + 3);
      const isHandshake =
        bytes[at] === RECORD_TYPE_HANDSHAKE &&
        bytes[at + 1] === 3 &&
        recordBytes > 0 &&
        recordBytes <= RECORD_BYTES_MAX;
      if (!isHandshake) {
        this.wantsMore = false;
        return length;
      }
      const contentAt = at + RECORD_HEAD_BYTES;
      const contentEnd = Math.min(contentAt + recordBytes, end);
      const room = this.#handshake.length - length;
      const content = bytes.subarray(contentAt, Math.min(contentEnd, contentAt + room));
      this.#handshake.set(content, length);
      length += content.length;
      at = contentAt + recordBytes;
    }
    return length;
  }
}

/**
 * @param start where the handshake message begins, as in a QUIC CRYPTO stream
 * @returns what is there; null when it is no ClientHello
 */
export function parseClientHello(
  bytes: Uint8Array,
  start: number,
  end: number,
): ClientHello | null {
  if (end - start < MESSAGE_HEAD_BYTES || bytes[start] !== MESSAGE_CLIENT_HELLO) return null;
  const messageEnd = Math.min(end, start + MESSAGE_HEAD_BYTES + u24(bytes, start + 1));
  const extensionsAt = findExtensions(bytes, start + MESSAGE_HEAD_BYTES, messageEnd);
  return readExtensions(bytes, extensionsAt, messageEnd);
}

/** How long the handshake message at `start` is, with its head of four bytes. */
export function handshakeBytes(bytes: Uint8Array, start: number): number {
  return MESSAGE_HEAD_BYTES + u24(bytes, start + 1);
}

/** Past version, random, session id, cipher suites and compression; `end` when they are cut. */
function findExtensions(bytes: Uint8Array, start: number, end: number): number {
  const sessionAt = start + 2 + 32;
  if (sessionAt >= end) return end;
  const ciphersAt = sessionAt + 1 + bytes[sessionAt]!;
  if (ciphersAt + 2 > end) return end;
  const compressionAt = ciphersAt + 2 + u16(bytes, ciphersAt);
  if (compressionAt >= end) return end;
  return Math.min(end, compressionAt + 1 + bytes[compressionAt]! + 2);
}

function readExtensions(bytes: Uint8Array, start: number, end: number): ClientHello {
  let serverName: string | null = null;
  let alpn: readonly string[] = [];
  let encryptedClientHello = false;
  let userAgent: string | null = null;
  let at = start;
  for (let count = 0; count < EXTENSIONS_MAX && at + 4 <= end; count += 1) {
    const type = u16(bytes, at);
    const bodyAt = at + 4;
    const bodyEnd = bodyAt + u16(bytes, at + 2);
    if (bodyEnd > end) break;
    switch (type) {
      case EXTENSION_SERVER_NAME:
        serverName = readServerName(bytes, bodyAt, bodyEnd);
        break;
      case EXTENSION_ALPN:
        alpn = readAlpn(bytes, bodyAt, bodyEnd);
        break;
      case EXTENSION_ECH:
      case EXTENSION_ESNI:
        encryptedClientHello = true;
        break;
      case EXTENSION_QUIC_PARAMETERS:
      case EXTENSION_QUIC_PARAMETERS_DRAFT:
        userAgent = readQuicUserAgent(bytes, bodyAt, bodyEnd);
        break;
    }
    at = bodyEnd;
  }
  return { serverName, alpn, encryptedClientHello, userAgent };
}

/** The list holds one name of type host_name in practice; more are not looked at. */
function readServerName(bytes: Uint8Array, at: number, end: number): string | null {
  if (end - at < 5 || bytes[at + 2] !== 0) return null;
  const nameAt = at + 5;
  const nameEnd = nameAt + u16(bytes, at + 3);
  return nameEnd <= end ? hostnameText(bytes, nameAt, nameEnd) : null;
}

function readAlpn(bytes: Uint8Array, start: number, end: number): readonly string[] {
  const protocols: string[] = [];
  for (let at = start + 2; at < end && protocols.length < ALPN_MAX; ) {
    const protocolEnd = at + 1 + bytes[at]!;
    if (protocolEnd > end) break;
    protocols.push(printableText(bytes, at + 1, protocolEnd, ALPN_CHARACTERS_MAX));
    at = protocolEnd;
  }
  return protocols;
}

function readQuicUserAgent(bytes: Uint8Array, start: number, end: number): string | null {
  let at = start;
  for (let count = 0; count < QUIC_PARAMETERS_MAX && at < end; count += 1) {
    const lengthAt = at + varintBytes(bytes, at);
    if (lengthAt >= end) return null;
    const valueAt = lengthAt + varintBytes(bytes, lengthAt);
    const valueEnd = valueAt + readVarint(bytes, lengthAt);
    if (valueEnd > end) return null;
    if (readVarint(bytes, at) === QUIC_PARAMETER_USER_AGENT) {
      return printableText(bytes, valueAt, valueEnd, TEXT_CHARACTERS_MAX);
    }
    at = valueEnd;
  }
  return null;
}
