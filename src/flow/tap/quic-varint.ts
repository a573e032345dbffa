// QUIC's variable-length integers (RFC 9000, section 16).

import { u16, u32 } from "./bytes.ts";

/** The length its first byte announces: 1, 2, 4 or 8. */
export function varintBytes(bytes: Uint8Array, at: number): number {
  return 1 << (bytes[at]! >>> 6);
}

/** Callers check that `varintBytes` are there. Exact below 2^53, which no length here reaches. */
export function readVarint(bytes: Uint8Array, at: number): number {
  switch (bytes[at]! >>> 6) {
    case 0:
      return bytes[at]! & 0x3f;
    case 1:
      return u16(bytes, at) & 0x3fff;
    case 2:
      return u32(bytes, at) & 0x3fff_ffff;
    default:
      return (u32(bytes, at) & 0x3fff_ffff) * 0x1_0000_0000 + u32(bytes, at + 4);
  }
}
