// RTP (RFC 3550): one packet proves nothing, so a run of two that follow each other is asked for.
// The flow's int32 holds the last packet's sequence (16 bits), 13 bits of its source and the
// direction that is followed.

import { u16, u32 } from "../../tap/bytes.ts";
import type { PayloadContext } from "../../tap/features.ts";

const HEAD_BYTES = 12;
/** Lost or reordered packets that still count as a run. */
const SEQUENCE_GAP_MAX = 64;
const IS_FOLLOWED = 1 << 30;
const FROM_CLIENT = 1 << 29;
const SOURCE_BITS = 0x1fff;

export interface RtpPacket {
  readonly payloadType: number;
  readonly headBytes: number;
  /** It follows one of the same source and direction. */
  readonly isRun: boolean;
}

/** The packet's head, remembered for the next one; null when it is no RTP. */
export function readRtp(payload: Uint8Array, context: PayloadContext): RtpPacket | null {
  if (payload.length < HEAD_BYTES || (payload[0]! & 0xc0) !== 0x80) return null;
  const payloadType = payload[1]! & 0x7f;
  const headBytes = HEAD_BYTES + (payload[0]! & 0x0f) * 4;
  const source = u32(payload, 8);
  if (!isPayloadType(payloadType) || headBytes > payload.length || source === 0) return null;
  return { payloadType, headBytes, isRun: follow(u16(payload, 2), source, context) };
}

/** Static types of RFC 3551, and the dynamic ones. 72 to 79 would be RTCP. */
function isPayloadType(type: number): boolean {
  return type <= 34 || type >= 96;
}

/** Idempotent for one packet: a second look at the same one gives the same answer. */
function follow(sequence: number, source: number, context: PayloadContext): boolean {
  const direction = context.fromClient ? FROM_CLIENT : 0;
  const sourceBits = (source ^ (source >>> 13)) & SOURCE_BITS;
  const { state } = context;
  const isSameDirection = (state & IS_FOLLOWED) !== 0 && (state & FROM_CLIENT) === direction;
  if ((state & IS_FOLLOWED) !== 0 && !isSameDirection) return false;
  const gap = (sequence - (state & 0xffff)) & 0xffff;
  const isSameSource = ((state >>> 16) & SOURCE_BITS) === sourceBits;
  const isRun = isSameDirection && isSameSource && gap >= 1 && gap <= SEQUENCE_GAP_MAX;
  if (!isRun) context.state = IS_FOLLOWED | direction | (sourceBits << 16) | sequence;
  return isRun;
}
