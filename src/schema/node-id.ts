// A node's name in the protocol: the first 8 bytes of SHA-256 of its public key.

import type { Crypto } from "../kernel/ports.ts";

export const NODE_ID_BYTES = 8;

/** 16 lower-case hex digits. Strings compare as the bytes do, and serve as map keys. */
export type NodeId = string;

/** The root's own id, like a node's: it authors revocations. */
export function nodeIdOf(crypto: Crypto, publicKey: Uint8Array): NodeId {
  return toHex(crypto.sha256(publicKey).subarray(0, NODE_ID_BYTES));
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hex of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += hexOfByte[byte];
  return hex;
}

/** The bytes of an even-length lower-case hex string. Undefined behaviour for anything else: validate first. */
export function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[i] = (hexDigit(hex.charCodeAt(2 * i)) << 4) | hexDigit(hex.charCodeAt(2 * i + 1));
  }
  return bytes;
}

/** The u32 in the eight digits from `start`, big-endian. Without a copy: it is asked at every look-up. */
export function u32FromHex(hex: string, start: number): number {
  let value = 0;
  for (let i = start; i < start + 8; i += 1) value = value * 16 + hexDigit(hex.charCodeAt(i));
  return value;
}

/** "0"–"9" and "a"–"f" by their character codes. */
function hexDigit(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
