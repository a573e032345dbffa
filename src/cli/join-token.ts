// What `myco cluster invite` hands to a new machine: the cluster's root key (public), the
// machine's certificate, where members are reached and, unless the machine made its own, its
// private key. One word of base64url, so that it can be pasted.
//
// version u8 | flags u8 | root public key 32 | certificate block | [key seed 32] |
// seed count u8 | seeds: text blocks | first 4 bytes of SHA-256 over all that precedes

import { assert } from "../kernel/assert.ts";
import {
  CERTIFICATE_BYTES_MAX,
  JOIN_TOKEN_CHARACTERS_MAX,
  JOIN_TOKEN_SEEDS_MAX,
  PUBLIC_KEY_BYTES,
} from "../kernel/limits.ts";
import type { Crypto, Endpoint } from "../kernel/ports.ts";
import { KEY_SEED_BYTES } from "../net/identity.ts";
import { canonicalEndpoint } from "../schema/endpoint.ts";
import { ByteReader, ByteWriter, FormatError } from "../schema/varint.ts";

export interface JoinToken {
  readonly rootPublicKey: Uint8Array;
  readonly certificate: Uint8Array;
  /** Null when the machine keeps its own. */
  readonly keySeed: Uint8Array | null;
  /** At most JOIN_TOKEN_SEEDS_MAX, in canonical form. */
  readonly seeds: readonly Endpoint[];
}

const VERSION = 1;
const FLAG_KEY_SEED = 1;
const CHECKSUM_BYTES = 4;
const ENDPOINT_CHARACTERS_MAX = 53;

export function encodeJoinToken(crypto: Crypto, token: JoinToken): string {
  assert(token.seeds.length <= JOIN_TOKEN_SEEDS_MAX, "a token's seeds are bounded");
  const writer = new ByteWriter(new Uint8Array(JOIN_TOKEN_CHARACTERS_MAX));
  writer.u8(VERSION);
  writer.u8(token.keySeed === null ? 0 : FLAG_KEY_SEED);
  writer.raw(token.rootPublicKey);
  writer.block(token.certificate);
  if (token.keySeed !== null) writer.raw(token.keySeed);
  writer.u8(token.seeds.length);
  for (const seed of token.seeds) writer.string(seed);
  writer.raw(checksum(crypto, writer.written()));
  return Buffer.from(writer.written()).toString("base64url");
}

/** Reads what a person pasted. Throws FormatError, its message for that person. */
export function decodeJoinToken(crypto: Crypto, text: string): JoinToken {
  const trimmed = text.trim();
  if (trimmed.length > JOIN_TOKEN_CHARACTERS_MAX || !/^[A-Za-z0-9_-]+$/.test(trimmed)) {
    throw new FormatError("a token is one word of letters, digits, - and _");
  }
  const bytes = Uint8Array.from(Buffer.from(trimmed, "base64url"));
  const end = Math.max(0, bytes.length - CHECKSUM_BYTES);
  if (Buffer.compare(checksum(crypto, bytes.subarray(0, end)), bytes.subarray(end)) !== 0) {
    throw new FormatError("the token was cut off or changed on its way");
  }
  return readToken(new ByteReader(bytes, 0, end));
}

function readToken(reader: ByteReader): JoinToken {
  if (reader.u8() !== VERSION) throw new FormatError("the token is of another version of Myco");
  const flags = reader.u8();
  if (flags > FLAG_KEY_SEED) throw new FormatError("the token is of another version of Myco");
  const rootPublicKey = reader.raw(PUBLIC_KEY_BYTES);
  const certificate = reader.block(CERTIFICATE_BYTES_MAX);
  const keySeed = flags === FLAG_KEY_SEED ? reader.raw(KEY_SEED_BYTES) : null;
  const seeds = Array.from({ length: readSeedCount(reader) }, () => readSeed(reader));
  if (reader.remaining !== 0) throw new FormatError("the token is longer than it should be");
  return { rootPublicKey, certificate, keySeed, seeds };
}

function readSeedCount(reader: ByteReader): number {
  const count = reader.u8();
  if (count > JOIN_TOKEN_SEEDS_MAX) throw new FormatError("the token names too many members");
  return count;
}

function readSeed(reader: ByteReader): Endpoint {
  const text = reader.string(ENDPOINT_CHARACTERS_MAX);
  if (canonicalEndpoint(text) !== text) throw new FormatError("the token names no real address");
  return text;
}

function checksum(crypto: Crypto, bytes: Uint8Array): Uint8Array {
  return crypto.sha256(bytes).subarray(0, CHECKSUM_BYTES);
}
