// Film and television on the way. Sources: RFC 2326 and 7826 (RTSP), Adobe's RTMP specification,
// ISO 13818-1 (transport stream), the Shoutcast and MMS descriptions, Haivision's SRT draft.

import { u16, u32 } from "../../tap/bytes.ts";
import type { PayloadContext } from "../../tap/features.ts";
import { begins, beginsWithAny, holds, onPort, type Signature, signature } from "./signature.ts";

const RTMP_HANDSHAKE_BYTES = 1537;
const TRANSPORT_STREAM_PACKET_BYTES = 188;

const RTSP_VERBS = [
  "OPTIONS rtsp",
  "DESCRIBE rtsp",
  "SETUP rtsp",
  "PLAY rtsp",
  "ANNOUNCE rtsp",
  "RTSP/1.0 ",
  "RTSP/2.0 ",
  "GET_PARAMETER rtsp",
  "TEARDOWN rtsp",
  "PAUSE rtsp",
  "RECORD rtsp",
];

function isRtsp(payload: Uint8Array): boolean {
  return (
    beginsWithAny(payload, RTSP_VERBS) ||
    (beginsWithAny(payload, ["OPTIONS *"]) && holds(payload, "RTSP/1.0", 40))
  );
}

/** RTMP's C0 and C1: version 3 (6 for RTMPE), a time, four zeros; sent alone or with more. */
function isRtmp(payload: Uint8Array, context: PayloadContext): boolean {
  if (context.index > 1 || payload.length < 9) return false;
  if (payload[0] !== 3 && payload[0] !== 6) return false;
  if (onPort(context, 1935)) return true;
  return (
    payload[0] === 3 &&
    u32(payload, 5) === 0 &&
    payload.length >= 512 &&
    u16(payload, 1) < 0x0400 &&
    context.payloadBytes <= RTMP_HANDSHAKE_BYTES
  );
}

/** Seven packets of 188 bytes as a rule, each with its sync byte. */
function isTransportStream(payload: Uint8Array, context: PayloadContext): boolean {
  const packetBytes = TRANSPORT_STREAM_PACKET_BYTES;
  if (payload[0] !== 0x47 || context.payloadBytes % packetBytes !== 0) return false;
  return context.payloadBytes === packetBytes || payload[packetBytes] === 0x47;
}

/** SRT's handshake: control bit, type 0, and the induction's version 4 or conclusion's 5. */
function isSrt(payload: Uint8Array): boolean {
  if (payload.length < 64 || u32(payload, 0) !== 0x80000000) return false;
  return (u32(payload, 16) === 4 || u32(payload, 16) === 5) && u32(payload, 4) === 0;
}

/** Microsoft's MMS over TCP, by its signature word. */
function isMms(payload: Uint8Array): boolean {
  return payload.length >= 16 && payload[3] === 0 && u32(payload, 4) === 0xcefa0bb0;
}

function isIcecast(payload: Uint8Array): boolean {
  if (beginsWithAny(payload, ["ICY 200 OK", "SOURCE /"])) return true;
  if (!begins(payload, "GET /")) return false;
  return holds(payload, "Icy-MetaData:1", 600) || holds(payload, "icy-metadata:1", 600);
}

export const MEDIA_TCP: readonly Signature[] = [
  signature("rtsp", "video_live", 0.85, isRtsp),
  signature("rtmp", "video_live", 0.88, isRtmp),
  signature("mms", "video_live", 0.85, isMms),
  signature("icecast", "video_vod", 0.6, isIcecast),
];

export const MEDIA_UDP: readonly Signature[] = [
  signature("rtsp", "video_live", 0.8, isRtsp),
  signature("transport-stream", "video_live", 0.88, isTransportStream),
  signature("srt", "video_live", 0.85, isSrt),
];
