// STUN messages (RFC 8489): the head, and a walk over the attributes.

import { u16, u32 } from "../../tap/bytes.ts";

const MAGIC_COOKIE = 0x2112a442;
const HEAD_BYTES = 20;
/** Attributes looked at in one message. */
const ATTRIBUTES_MAX = 24;
const REALM = 0x0014;

/** The message type, or -1 when the bytes are no STUN message with RFC 5389's cookie. */
export function stunType(payload: Uint8Array): number {
  if (payload.length < HEAD_BYTES || payload[0]! >= 0x40) return -1;
  return u32(payload, 4) === MAGIC_COOKIE && u16(payload, 2) % 4 === 0 ? u16(payload, 0) : -1;
}

export function isStun(payload: Uint8Array): boolean {
  return stunType(payload) !== -1;
}

/** Whether an attribute's type is one that `isWanted`. */
export function hasStunAttribute(
  payload: Uint8Array,
  isWanted: (type: number) => boolean,
): boolean {
  return findAttribute(payload, isWanted) !== -1;
}

/** The realm's text in lower case (RFC 8489, 14.9), which is the server's domain by custom; null when there is none. */
export function stunRealm(payload: Uint8Array): string | null {
  const at = findAttribute(payload, (type) => type === REALM);
  if (at === -1) return null;
  const end = Math.min(payload.length, at + 4 + u16(payload, at + 2), at + 4 + 128);
  let text = "";
  for (let i = at + 4; i < end; i += 1) text += String.fromCharCode(payload[i]!);
  return text.toLowerCase();
}

/** Where the attribute's head stands, or -1. */
function findAttribute(payload: Uint8Array, isWanted: (type: number) => boolean): number {
  if (!isStun(payload)) return -1;
  let at = HEAD_BYTES;
  for (let count = 0; count < ATTRIBUTES_MAX && at + 4 <= payload.length; count += 1) {
    if (isWanted(u16(payload, at))) return at;
    at += 4 + ((u16(payload, at + 2) + 3) & ~3);
  }
  return -1;
}
