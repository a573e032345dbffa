// Opens QUIC's Initial packets and puts their ClientHello together: versions 1 and 2, the drafts
// from 22 on, Facebook's and Google's variants, and Google's own handshake before TLS.
// Sources: RFC 9000, RFC 9001 section 5, RFC 9369, the gQUIC crypto specification.

import { QUIC_INITIALS_PER_FLOW_MAX } from "../../kernel/limits.ts";
import type { QuicCrypto } from "../ports.ts";
import type { ByteStream, StreamOwner, StreamPool } from "./byte-stream.ts";
import { hasText, hostnameText, printableText, u16le, u32, u32le } from "./bytes.ts";
import { TEXT_CHARACTERS_MAX } from "./features.ts";
import { readVarint, varintBytes } from "./quic-varint.ts";
import { type ClientHello, handshakeBytes, parseClientHello } from "./tls.ts";

/** How a version protects its Initial packets. */
interface InitialProtection {
  readonly salt: Uint8Array;
  /** The two type bits of a long header that mean Initial, and Retry. */
  readonly initialType: number;
  readonly retryType: number;
  /** HKDF labels of the packet key, its IV and the header key. */
  readonly labels: { readonly key: Uint8Array; readonly iv: Uint8Array; readonly hp: Uint8Array };
}

interface InitialKeys {
  readonly version: number;
  readonly connectionId: Uint8Array;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly hp: Uint8Array;
}

/** What is remembered of one flow until its ClientHello is whole. */
export class QuicHandshake implements StreamOwner {
  stream: ByteStream | null = null;
  keys: InitialKeys | null = null;
  openedCount = 0;
  isDone = false;
}

const LONG_HEADER = 0x80;
const LONG_HEADER_BYTES_MIN = 7;
const CONNECTION_ID_BYTES_MAX = 20;
const COALESCED_MAX = 8;
const FRAMES_MAX = 256;
const ACK_RANGES_MAX = 64;
const SAMPLE_BYTES = 16;

const FRAME_PADDING = 0x00;
const FRAME_PING = 0x01;
const FRAME_ACK = 0x02;
const FRAME_ACK_ECN = 0x03;
const FRAME_CRYPTO = 0x06;
/** The same two in the framing of Q050 and T050. */
const FRAME_GOOGLE_PING = 0x07;
const FRAME_GOOGLE_CRYPTO = 0x08;

const VERSION_2 = 0x6b3343cf;
const DRAFT_NEWEST = 34;
const CLIENT_SECRET_LABEL = hkdfLabel("client in", 32);

const V1_LABELS = packetLabels("quic");
const V1_SALT = salt("38762cf7f55934b34d179ae6a4c80cadccbb7f0a");
const DRAFT_29_SALT = salt("afbfec289993d24c9e9786f19c6111e04390a899");
const DRAFT_23_SALT = salt("c3eef712c72ebb5a11a7d2432bb46365bef9f502");
const DRAFT_22_SALT = salt("7fbcdb0e7c66bbe9193a96cd21519ebd7a02644a");

const VERSION_1_PROTECTION = protectionLikeVersion1(V1_SALT);
const DRAFT_29_PROTECTION = protectionLikeVersion1(DRAFT_29_SALT);
const DRAFT_23_PROTECTION = protectionLikeVersion1(DRAFT_23_SALT);
const DRAFT_22_PROTECTION = protectionLikeVersion1(DRAFT_22_SALT);
const VERSION_2_PROTECTION: InitialProtection = {
  salt: salt("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
  initialType: 1,
  retryType: 0,
  labels: packetLabels("quicv2"),
};

const OTHER_VERSIONS: ReadonlyMap<number, InitialProtection> = new Map([
  [1, VERSION_1_PROTECTION],
  [VERSION_2, VERSION_2_PROTECTION],
  // Facebook's mvfst.
  [0xfaceb001, DRAFT_22_PROTECTION],
  [0xfaceb002, DRAFT_23_PROTECTION],
  // Google's Q050, T050 and T051.
  [0x51303530, protectionLikeVersion1(salt("504574efd066fe2f9d945cfcdbd3a7f0d3b56b45"))],
  [0x54303530, protectionLikeVersion1(salt("7ff579e5acd072915580304c43a2367c60488310"))],
  [0x54303531, protectionLikeVersion1(salt("7a4edef4e7ccee5fa4506c19124fc8ccda6e033d"))],
]);

function isDraft(version: number): boolean {
  return version >>> 8 === 0xff0000;
}

/** Null for versions whose Initial packets nobody told how to open. */
function protectionOf(version: number): InitialProtection | null {
  if (!isDraft(version)) return OTHER_VERSIONS.get(version) ?? null;
  const draft = version & 0xff;
  if (draft > DRAFT_NEWEST) return null;
  if (draft >= 33) return VERSION_1_PROTECTION;
  if (draft >= 29) return DRAFT_29_PROTECTION;
  if (draft >= 23) return DRAFT_23_PROTECTION;
  return draft >= 21 ? DRAFT_22_PROTECTION : null;
}

/**
 * The version of a datagram that begins as QUIC does when a connection is made, or null.
 * Covers long headers and the public header of Google's versions up to Q043.
 */
export function quicVersion(bytes: Uint8Array, start: number, end: number): number | null {
  if (end - start < LONG_HEADER_BYTES_MIN) return null;
  if ((bytes[start]! & LONG_HEADER) !== 0) return longHeaderVersion(bytes, start, end);
  // Version flag, eight bytes of connection id, "Q0" and two digits.
  const isPublicHeader = (bytes[start]! & 0x09) === 0x09 && hasText(bytes, start + 9, end, "Q0");
  return isPublicHeader && end - start >= 13 ? u32(bytes, start + 9) : null;
}

function longHeaderVersion(bytes: Uint8Array, start: number, end: number): number | null {
  const version = u32(bytes, start + 1);
  if (isDraft(version) || protectionOf(version) !== null) {
    const connectionIdBytes = bytes[start + 5]!;
    const isSound =
      connectionIdBytes <= CONNECTION_ID_BYTES_MAX && start + 6 + connectionIdBytes < end;
    return isSound ? version : null;
  }
  return hasText(bytes, start + 1, end, "Q04") ? version : null;
}

/** Reads datagrams of flows that speak QUIC, until each one's ClientHello is whole. */
export class QuicReader {
  readonly #crypto: QuicCrypto;
  readonly #streams: StreamPool;

  constructor(crypto: QuicCrypto, streams: StreamPool) {
    this.#crypto = crypto;
    this.#streams = streams;
  }

  /**
   * @returns what the client's hello shows so far, or null when this datagram told nothing.
   * `flow.isDone` when no later one will tell more. Only a client's datagram tells.
   */
  read(flow: QuicHandshake, bytes: Uint8Array, start: number, end: number): ClientHello | null {
    const version = quicVersion(bytes, start, end);
    if (version === null) return null;
    if (protectionOf(version) === null) return this.#readClear(flow, bytes, start, end);
    const knownBytes = flow.stream?.prefixLength ?? 0;
    let at = start;
    for (let count = 0; count < COALESCED_MAX && at < end && !flow.isDone; count += 1) {
      const next = this.#readPacket(flow, bytes, at, end);
      if (next < 0) break;
      at = next;
    }
    return this.#helloOf(flow, knownBytes);
  }

  /** Gives back what the flow holds; nothing more is read of it. */
  finish(flow: QuicHandshake): void {
    flow.isDone = true;
    this.#streams.takeBack(flow);
  }

  /** Google's versions up to Q046 send their hello in the clear, near the start of a datagram. */
  #readClear(
    flow: QuicHandshake,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): ClientHello | null {
    const headBytesMax = 64;
    for (let at = start; at < Math.min(end, start + headBytesMax); at += 1) {
      const hello = readGoogleHello(bytes, at, end);
      if (hello === null) continue;
      this.finish(flow);
      return hello;
    }
    return null;
  }

  /** Reads the long-header packet at `at`. @returns where the next one begins, or -1 */
  #readPacket(flow: QuicHandshake, bytes: Uint8Array, at: number, end: number): number {
    if (end - at < LONG_HEADER_BYTES_MIN || (bytes[at]! & LONG_HEADER) === 0) return -1;
    const version = u32(bytes, at + 1);
    const protection = protectionOf(version);
    if (protection === null) return -1;
    const type = (bytes[at]! >>> 4) & 3;
    if (type === protection.retryType) return -1;
    const idBytes = bytes[at + 5]!;
    const sourceAt = at + 6 + idBytes;
    if (idBytes > CONNECTION_ID_BYTES_MAX || sourceAt >= end) return -1;
    let lengthAt = sourceAt + 1 + bytes[sourceAt]!;
    if (type === protection.initialType) {
      if (lengthAt + 8 > end) return -1;
      lengthAt += varintBytes(bytes, lengthAt) + readVarint(bytes, lengthAt);
    }
    if (lengthAt + 8 > end) return -1;
    const numberAt = lengthAt + varintBytes(bytes, lengthAt);
    const packetEnd = numberAt + readVarint(bytes, lengthAt);
    if (packetEnd > end) return -1;
    if (type === protection.initialType) {
      const connectionId = bytes.subarray(at + 6, sourceAt);
      this.#readInitial(flow, version, connectionId, bytes, at, numberAt, packetEnd);
    }
    return packetEnd;
  }

  #readInitial(
    flow: QuicHandshake,
    version: number,
    connectionId: Uint8Array,
    bytes: Uint8Array,
    at: number,
    numberAt: number,
    packetEnd: number,
  ): void {
    if (numberAt + 4 + SAMPLE_BYTES > packetEnd) return;
    flow.openedCount += 1;
    if (flow.openedCount > QUIC_INITIALS_PER_FLOW_MAX) {
      this.finish(flow);
      return;
    }
    const known = flow.keys;
    let keys = known ?? this.#deriveKeys(version, connectionId);
    let frames = this.#open(keys, bytes, at, numberAt, packetEnd);
    if (frames === null && known !== null && !isFor(known, version, connectionId)) {
      // After a Retry or a change of version the client's keys follow its new destination.
      keys = this.#deriveKeys(version, connectionId);
      frames = this.#open(keys, bytes, at, numberAt, packetEnd);
    }
    if (frames === null) return;
    flow.keys = keys;
    this.#readFrames(flow, frames);
  }

  #deriveKeys(version: number, connectionId: Uint8Array): InitialKeys {
    const { salt, labels } = protectionOf(version)!;
    const crypto = this.#crypto;
    const secret = crypto.hmacSha256(crypto.hmacSha256(salt, connectionId), CLIENT_SECRET_LABEL);
    return {
      version,
      connectionId: new Uint8Array(connectionId),
      key: crypto.hmacSha256(secret, labels.key).subarray(0, 16),
      iv: crypto.hmacSha256(secret, labels.iv).subarray(0, 12),
      hp: crypto.hmacSha256(secret, labels.hp).subarray(0, 16),
    };
  }

  /** Takes off header protection, then the packet's own (RFC 9001, 5.3 and 5.4). */
  #open(
    keys: InitialKeys,
    bytes: Uint8Array,
    at: number,
    numberAt: number,
    packetEnd: number,
  ): Uint8Array | null {
    const sample = bytes.subarray(numberAt + 4, numberAt + 4 + SAMPLE_BYTES);
    const mask = this.#crypto.aes128Block(keys.hp, sample);
    const firstByte = bytes[at]! ^ (mask[0]! & 0x0f);
    const numberBytes = (firstByte & 3) + 1;
    const header = new Uint8Array(bytes.subarray(at, numberAt + numberBytes));
    const nonce = new Uint8Array(keys.iv);
    header[0] = firstByte;
    for (let i = 0; i < numberBytes; i += 1) {
      const index = numberAt - at + i;
      header[index] = header[index]! ^ mask[1 + i]!;
      nonce[12 - numberBytes + i]! ^= header[index]!;
    }
    const sealed = bytes.subarray(numberAt + numberBytes, packetEnd);
    return this.#crypto.aes128GcmOpen(keys.key, nonce, header, sealed);
  }

  /** Collects CRYPTO frames; stops at a frame that is none of an Initial packet's usual ones. */
  #readFrames(flow: QuicHandshake, frames: Uint8Array): void {
    let at = 0;
    for (let count = 0; count < FRAMES_MAX && at < frames.length; count += 1) {
      const type = frames[at]!;
      at += 1;
      switch (type) {
        case FRAME_PADDING:
          while (frames[at] === FRAME_PADDING) at += 1;
          break;
        case FRAME_PING:
        case FRAME_GOOGLE_PING:
          break;
        case FRAME_ACK:
        case FRAME_ACK_ECN:
          at = skipAck(frames, at, type === FRAME_ACK_ECN);
          break;
        case FRAME_CRYPTO:
        case FRAME_GOOGLE_CRYPTO:
          at = this.#readCryptoFrame(flow, frames, at);
          break;
        default:
          return;
      }
    }
  }

  #readCryptoFrame(flow: QuicHandshake, frames: Uint8Array, start: number): number {
    const lengthAt = start + varintBytes(frames, start);
    const dataAt = lengthAt + varintBytes(frames, lengthAt);
    const offset = readVarint(frames, start);
    const dataEnd = dataAt + readVarint(frames, lengthAt);
    if (dataEnd > frames.length) return frames.length;
    const stream = flow.stream ?? this.#streams.lend(flow);
    stream.add(offset, frames, dataAt, dataEnd);
    return dataEnd;
  }

  #helloOf(flow: QuicHandshake, knownBytes: number): ClientHello | null {
    const { stream } = flow;
    if (stream === null || stream.prefixLength < 4 || stream.prefixLength === knownBytes) {
      return null;
    }
    const { bytes, prefixLength } = stream;
    const google = readGoogleHello(bytes, 0, prefixLength);
    const hello = google ?? parseClientHello(bytes, 0, prefixLength);
    const isWhole = google !== null || prefixLength >= handshakeBytes(bytes, 0);
    if (isWhole || hello === null || stream.isFull) this.finish(flow);
    return hello;
  }
}

function isFor(keys: InitialKeys, version: number, connectionId: Uint8Array): boolean {
  return (
    keys.version === version &&
    keys.connectionId.length === connectionId.length &&
    keys.connectionId.every((byte, index) => byte === connectionId[index])
  );
}

/** RFC 9000, 19.3. @returns where the next frame begins; the end when it cannot be told */
function skipAck(frames: Uint8Array, start: number, hasEcn: boolean): number {
  let at = start;
  const skip = (): number => {
    const value = at < frames.length ? readVarint(frames, at) : 0;
    at += varintBytes(frames, at);
    return value;
  };
  skip();
  skip();
  const rangeCount = skip();
  if (rangeCount > ACK_RANGES_MAX) return frames.length;
  const fieldCount = 1 + 2 * rangeCount + (hasEcn ? 3 : 0);
  for (let field = 0; field < fieldCount; field += 1) skip();
  return at;
}

/**
 * Google's own client hello: "CHLO", a count, then tags with the ends of their values, little-endian.
 * @returns null when it does not stand at `start`
 */
function readGoogleHello(bytes: Uint8Array, start: number, end: number): ClientHello | null {
  if (!hasText(bytes, start, end, "CHLO") || end - start < 8) return null;
  const tagsMax = 64;
  const tagCount = Math.min(u16le(bytes, start + 4), tagsMax);
  const tagsAt = start + 8;
  const valuesAt = tagsAt + 8 * u16le(bytes, start + 4);
  let serverName: string | null = null;
  let userAgent: string | null = null;
  let valueAt = valuesAt;
  for (let tag = 0; tag < tagCount; tag += 1) {
    const tagAt = tagsAt + 8 * tag;
    if (tagAt + 8 > end) break;
    const valueEnd = valuesAt + u32le(bytes, tagAt + 4);
    if (valueEnd > end || valueEnd < valueAt) break;
    if (hasText(bytes, tagAt, end, "SNI\0")) serverName = hostnameText(bytes, valueAt, valueEnd);
    if (hasText(bytes, tagAt, end, "UAID")) {
      userAgent = printableText(bytes, valueAt, valueEnd, TEXT_CHARACTERS_MAX);
    }
    valueAt = valueEnd;
  }
  return { serverName, alpn: [], encryptedClientHello: false, userAgent };
}

function protectionLikeVersion1(ownSalt: Uint8Array): InitialProtection {
  return { salt: ownSalt, initialType: 0, retryType: 3, labels: V1_LABELS };
}

function packetLabels(prefix: string): InitialProtection["labels"] {
  return {
    key: hkdfLabel(`${prefix} key`, 16),
    iv: hkdfLabel(`${prefix} iv`, 12),
    hp: hkdfLabel(`${prefix} hp`, 16),
  };
}

/**
 * What HMAC takes for one block of HKDF-Expand-Label (RFC 8446, 7.1): length, label, an empty
 * context, and the block's number, which is 1 for up to 32 bytes.
 */
function hkdfLabel(label: string, lengthBytes: number): Uint8Array {
  const text = `tls13 ${label}`;
  const characters = Array.from(text, (character) => character.charCodeAt(0));
  return Uint8Array.from([0, lengthBytes, text.length, ...characters, 0, 1]);
}

function salt(hex: string): Uint8Array {
  const pairs = hex.match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}
