// Builds TLS hellos, certificates and QUIC Initial packets for the tap's tests. Seals with noble's
// ciphers, so that node:crypto and the tap are checked against something else.

import { ecb, gcm } from "@noble/ciphers/aes.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { ascii, be16, be24, be32, bytesOf, le16, le32 } from "./packets.ts";

export interface HelloParts {
  readonly serverName?: string;
  readonly alpn?: readonly string[];
  readonly ech?: boolean;
  /** An unknown extension of so many bytes, put first. */
  readonly paddingBytes?: number;
  readonly quicUserAgent?: string;
}

/** A handshake message of type ClientHello, without records. */
export function clientHello(parts: HelloParts): number[] {
  const extensions = [
    ...(parts.paddingBytes === undefined
      ? []
      : extension(21, new Array(parts.paddingBytes).fill(0))),
    ...(parts.serverName === undefined ? [] : extension(0, serverNameList(parts.serverName))),
    ...(parts.ech === true ? extension(0xfe0d, [0, 0, 1, 0, 1, 7]) : []),
    ...(parts.alpn === undefined ? [] : extension(16, alpnList(parts.alpn))),
    ...(parts.quicUserAgent === undefined
      ? []
      : extension(57, [
          ...[0x01, 0x02, 0x67, 0x10],
          ...[0x71, 0x29, parts.quicUserAgent.length, ...ascii(parts.quicUserAgent)],
        ])),
    ...extension(43, [2, 3, 4]),
  ];
  return message(1, [
    ...[3, 3],
    ...new Array(32).fill(0xaa),
    ...[32, ...new Array(32).fill(0xbb)],
    ...[...be16(4), 0x13, 0x01, 0x13, 0x02],
    ...[1, 0],
    ...be16(extensions.length),
    ...extensions,
  ]);
}

function extension(type: number, body: readonly number[]): number[] {
  return [...be16(type), ...be16(body.length), ...body];
}
function serverNameList(name: string): number[] {
  return [...be16(name.length + 3), 0, ...be16(name.length), ...ascii(name)];
}
function alpnList(protocols: readonly string[]): number[] {
  const list = protocols.flatMap((protocol) => [protocol.length, ...ascii(protocol)]);
  return [...be16(list.length), ...list];
}
export function message(type: number, body: readonly number[]): number[] {
  return [type, ...be24(body.length), ...body];
}

/** Handshake bytes in TLS records of at most `recordBytes`. */
export function records(handshake: readonly number[], recordBytes = 16_384): number[] {
  const out: number[] = [];
  for (let at = 0; at < handshake.length; at += recordBytes) {
    const part = handshake.slice(at, at + recordBytes);
    out.push(22, 3, 1, ...be16(part.length), ...part);
  }
  return out;
}

/** A TLS 1.2 server's first flight: hello and certificate. */
export function serverFlight(certificate: readonly number[]): number[] {
  const hello = message(2, [3, 3, ...new Array(32).fill(0xcc), 0, 0x00, 0x2f, 0]);
  const list = [...be24(certificate.length), ...certificate];
  return [...hello, ...message(11, [...be24(list.length), ...list]), ...message(14, [])];
}

function der(tag: number, ...contents: (readonly number[])[]): number[] {
  const content = contents.flat();
  if (content.length < 0x80) return [tag, content.length, ...content];
  return content.length < 0x100
    ? [tag, 0x81, content.length, ...content]
    : [tag, 0x82, ...be16(content.length), ...content];
}

/** The bones of an X.509 certificate (RFC 5280): enough to be walked, signed by nobody. */
export function certificate(commonName: string, dnsNames: readonly string[]): number[] {
  const algorithm = der(0x30, der(0x06, [0x2a, 0x03]));
  const country = der(0x31, der(0x30, der(0x06, [0x55, 0x04, 0x06]), der(0x13, ascii("XX"))));
  const common = der(0x31, der(0x30, der(0x06, [0x55, 0x04, 0x03]), der(0x0c, ascii(commonName))));
  const issuer = der(
    0x30,
    der(0x31, der(0x30, der(0x06, [0x55, 0x04, 0x03]), der(0x0c, ascii("Issuer")))),
  );
  const validity = der(0x30, der(0x17, ascii("200101000000Z")), der(0x17, ascii("300101000000Z")));
  const names = dnsNames.map((name) => der(0x82, ascii(name)));
  const alternative = der(
    0x30,
    der(0x06, [0x55, 0x1d, 0x11]),
    der(0x04, der(0x30, der(0x81, ascii("mail@example.org")), ...names)),
  );
  const basic = der(0x30, der(0x06, [0x55, 0x1d, 0x13]), der(0x01, [0xff]), der(0x04, der(0x30)));
  const extensions = dnsNames.length === 0 ? [] : der(0xa3, der(0x30, basic, alternative));
  const body = der(
    0x30,
    der(0xa0, der(0x02, [2])),
    der(0x02, [1, 2, 3]),
    algorithm,
    issuer,
    validity,
    der(0x30, country, common),
    der(0x30, algorithm, der(0x03, new Array(64).fill(0))),
    extensions,
  );
  return der(0x30, body, algorithm, der(0x03, new Array(64).fill(0)));
}

/** How versions differ where Initial packets are sealed; restated from the documents that define them. */
export const QUIC_VERSIONS = {
  v1: { version: 1, salt: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a", prefix: "quic", type: 0 },
  v2: {
    version: 0x6b3343cf,
    salt: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    prefix: "quicv2",
    type: 1,
  },
  draft29: {
    version: 0xff00001d,
    salt: "afbfec289993d24c9e9786f19c6111e04390a899",
    prefix: "quic",
    type: 0,
  },
  draft27: {
    version: 0xff00001b,
    salt: "c3eef712c72ebb5a11a7d2432bb46365bef9f502",
    prefix: "quic",
    type: 0,
  },
} as const;
export type QuicVersionName = keyof typeof QUIC_VERSIONS;

export interface InitialKeys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly hp: Uint8Array;
}

export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

export function initialKeys(
  name: QuicVersionName,
  connectionId: Uint8Array,
  side: "client in" | "server in",
): InitialKeys {
  const { salt, prefix } = QUIC_VERSIONS[name];
  const initial = extract(sha256, connectionId, hex(salt));
  const secret = expandLabel(initial, side, 32);
  return {
    key: expandLabel(secret, `${prefix} key`, 16),
    iv: expandLabel(secret, `${prefix} iv`, 12),
    hp: expandLabel(secret, `${prefix} hp`, 16),
  };
}

function expandLabel(secret: Uint8Array, label: string, length: number): Uint8Array {
  const text = ascii(`tls13 ${label}`);
  return expand(sha256, secret, bytesOf(be16(length), [text.length], text, [0]), length);
}

export interface InitialParts {
  readonly version: QuicVersionName;
  readonly connectionId: Uint8Array;
  /** When it differs from the one the keys come from. */
  readonly destinationId?: Uint8Array;
  readonly packetNumber?: number;
  readonly numberBytes?: 1 | 2 | 3 | 4;
  readonly token?: readonly number[];
  readonly side?: "client in" | "server in";
  readonly frames: readonly number[];
}

/** A sealed Initial packet; frames are padded so that there is enough to sample. */
export function initialPacket(parts: InitialParts): number[] {
  const { packetNumber = 0, numberBytes = 2, token = [], side = "client in" } = parts;
  const { version, type } = QUIC_VERSIONS[parts.version];
  const keys = initialKeys(parts.version, parts.connectionId, side);
  const destination = Array.from(parts.destinationId ?? parts.connectionId);
  const frames = [...parts.frames, ...new Array(Math.max(0, 24 - parts.frames.length)).fill(0)];
  const number = be32(packetNumber).slice(4 - numberBytes);
  const header = [
    0xc0 | (type << 4) | (numberBytes - 1),
    ...be32(version),
    destination.length,
    ...destination,
    ...[2, 0x51, 0x52],
    ...varint(token.length),
    ...token,
    ...be16(0x4000 | (numberBytes + frames.length + 16)),
    ...number,
  ];
  const nonce = keys.iv.map((byte, i) => byte ^ (number[i - (12 - numberBytes)] ?? 0));
  const sealed = gcm(keys.key, nonce, bytesOf(header)).encrypt(bytesOf(frames));
  return protect(header, sealed, numberBytes, keys.hp);
}

function protect(
  header: readonly number[],
  sealed: Uint8Array,
  numberBytes: number,
  hp: Uint8Array,
): number[] {
  const out = [...header];
  const sample = sealed.slice(4 - numberBytes, 20 - numberBytes);
  const mask = headerMask(hp, sample);
  out[0]! ^= mask[0]! & 0x0f;
  for (let i = 0; i < numberBytes; i += 1) out[out.length - numberBytes + i]! ^= mask[1 + i]!;
  return [...out, ...sealed];
}

export function headerMask(hp: Uint8Array, sample: Uint8Array): Uint8Array {
  return ecb(hp, { disablePadding: true }).encrypt(sample).slice(0, 5);
}

export function varint(value: number): number[] {
  return value < 64 ? [value] : be16(0x4000 | value);
}

/** A CRYPTO frame with a two-byte offset and length. */
export function cryptoFrame(offset: number, data: readonly number[]): number[] {
  return [6, ...be16(0x4000 | offset), ...be16(0x4000 | data.length), ...data];
}

/** Google's own client hello. */
export function googleHello(tags: Readonly<Record<string, string>>): number[] {
  const entries = Object.entries(tags);
  let end = 0;
  const index = entries.flatMap(([tag, value]) => {
    end += value.length;
    return [...ascii(tag.padEnd(4, "\0")), ...le32(end)];
  });
  const values = entries.flatMap(([, value]) => ascii(value));
  return [...ascii("CHLO"), ...le16(entries.length), 0, 0, ...index, ...values];
}
