// What a payload signature is, and the small readers that all of them share. A signature looks at
// one packet; those that need more keep it in the flow's int32.

import type { Service } from "../../interface.ts";
import type { PayloadContext } from "../../tap/features.ts";

/** `media`: the protocol carries anybody's calls or play, so the server's name may say more. */
export type SignatureKind = "specific" | "media";

export interface Signature {
  /** Stable; the tap's `payload`. */
  readonly id: string;
  /** `unknown`: recognised, and none of the services, such as a tunnel. */
  readonly service: Service;
  readonly confidence: number;
  readonly kind: SignatureKind;
  matches(payload: Uint8Array, context: PayloadContext): boolean;
}

/** A signature of one protocol. */
export function signature(
  id: string,
  service: Service,
  confidence: number,
  matches: Signature["matches"],
): Signature {
  return { id, service, confidence, kind: "specific", matches };
}

/** A signature of a protocol that carries anybody's media. */
export function mediaSignature(
  id: string,
  service: Service,
  confidence: number,
  matches: Signature["matches"],
): Signature {
  return { id, service, confidence, kind: "media", matches };
}

/** Whether the payload begins with `text` (Latin-1). */
export function begins(payload: Uint8Array, text: string): boolean {
  return textAt(payload, 0, text);
}

/** Whether `text` (Latin-1) stands at `at`. */
export function textAt(payload: Uint8Array, at: number, text: string): boolean {
  if (at + text.length > payload.length) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (payload[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether the payload begins with one of `texts`. */
export function beginsWithAny(payload: Uint8Array, texts: readonly string[]): boolean {
  for (const text of texts) if (begins(payload, text)) return true;
  return false;
}

/** Whether `text` (Latin-1) stands anywhere in the first `bytesMax` bytes. */
export function holds(payload: Uint8Array, text: string, bytesMax = 512): boolean {
  const last = Math.min(payload.length, bytesMax) - text.length;
  for (let at = 0; at <= last; at += 1) if (textAt(payload, at, text)) return true;
  return false;
}

/** Whether either side's port is one of these. No list: every packet asks, many times. */
export function onPort(context: PayloadContext, a: number, b = a, c = a, d = a): boolean {
  const { serverPort: server, clientPort: client } = context;
  if (server === a || server === b || server === c || server === d) return true;
  return client === a || client === b || client === c || client === d;
}

/** Whether either side's port lies in a range, both ends included. */
export function onPorts(context: PayloadContext, first: number, last: number): boolean {
  const { serverPort, clientPort } = context;
  return (serverPort >= first && serverPort <= last) || (clientPort >= first && clientPort <= last);
}

/** Whether the bytes from `start` to `end` are all printable ASCII, tab, CR or LF. */
export function isText(payload: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < Math.min(end, payload.length); at += 1) {
    const byte = payload[at]!;
    const isPrintable = byte >= 0x20 && byte < 0x7f;
    if (!isPrintable && byte !== 9 && byte !== 10 && byte !== 13) return false;
  }
  return payload.length >= end;
}
