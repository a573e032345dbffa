// Calls and meetings: signalling and media. Sources: RFC 8489 (STUN), RFC 3550 and 3551 (RTP),
// RFC 7983 (what shares a port with it), RFC 9147 (DTLS), RFC 3261 (SIP), RFC 3435 (MGCP),
// RFC 5456 (IAX2), ITU-T H.225.0 and H.323, [MS-TURN], [MS-ICE2], and the vendors' port lists.

import { u16, u16le, u32, u32le } from "../../tap/bytes.ts";
import type { PayloadContext } from "../../tap/features.ts";
import { readRtp } from "./rtp.ts";
import {
  begins,
  beginsWithAny,
  holds,
  mediaSignature,
  onPort,
  onPorts,
  type Signature,
  signature,
  textAt,
} from "./signature.ts";
import { hasStunAttribute, isStun, stunType } from "./stun.ts";

const SIP_BEGINNINGS = [
  "SIP/2.0 ",
  "INVITE sip",
  "REGISTER sip",
  "OPTIONS sip",
  "ACK sip",
  "BYE sip",
  "CANCEL sip",
  "SUBSCRIBE sip",
  "NOTIFY sip",
  "MESSAGE sip",
  "INFO sip",
  "PRACK sip",
  "UPDATE sip",
  "REFER sip",
  "PUBLISH sip",
];
const MGCP_VERBS = [
  "AUEP ",
  "AUCX ",
  "CRCX ",
  "DLCX ",
  "EPCF ",
  "MDCX ",
  "NTFY ",
  "RQNT ",
  "RSIP ",
];
/** Zoom's highest kind of packet. */
const ZOOM_KIND_MAX = 0x1f;
/** Channel numbers of TURN (RFC 8656, 12). */
const CHANNEL_FIRST = 0x4000;
const CHANNEL_LAST = 0x4fff;

function isSip(payload: Uint8Array): boolean {
  return beginsWithAny(payload, SIP_BEGINNINGS);
}

/** A command with its endpoint and the protocol's name, or a three-digit answer on MGCP's ports. */
function isMgcp(payload: Uint8Array, context: PayloadContext): boolean {
  if (beginsWithAny(payload, MGCP_VERBS)) return holds(payload, "MGCP 1.0", 300);
  const first = payload[0] ?? 0;
  return onPort(context, 2427, 2727) && first >= 0x31 && first <= 0x38 && payload[3] === 0x20;
}

function isMegaco(payload: Uint8Array): boolean {
  return begins(payload, "MEGACO/") || begins(payload, "!/1 ") || begins(payload, "!/2 ");
}

/** A TPKT with Q.931 inside (H.225.0 call signalling), or gatekeeper traffic on its port. */
function isH323(payload: Uint8Array, context: PayloadContext): boolean {
  const isTpkt = payload.length >= 8 && payload[0] === 3 && payload[1] === 0;
  if (isTpkt && payload[4] === 8 && (payload[5] === 2 || payload[5] === 1)) return true;
  return context.protocol === 17 && onPort(context, 1718, 1719) && payload.length >= 20;
}

/** Cisco's Skinny: little-endian length, a zero or version word, a message number below 0x200. */
function isSkinny(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 2000, 2443) || payload.length < 12) return false;
  const lengthBytes = u32le(payload, 0);
  const version = u32le(payload, 4);
  return lengthBytes >= 4 && lengthBytes <= 4096 && version <= 0x20 && u32le(payload, 8) < 0x400;
}

/** IAX2 full frame: the F bit, a frame type of 1 to 10, a sequence that begins at 0. */
function isIax2(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 4569) || payload.length < 12) return false;
  return payload[0]! >= 0x80 && payload[10]! >= 1 && payload[10]! <= 10;
}

/** DTLS record: content type 20 to 25, version 1.0 to 1.3 inverted. */
function isDtls(payload: Uint8Array): boolean {
  if (payload.length < 13) return false;
  const type = payload[0]!;
  return (
    type >= 20 && type <= 25 && payload[1] === 0xfe && (payload[2]! >= 0xfc || payload[2] === 0)
  );
}

/** WhatsApp's relays: its own STUN methods, or its token attribute in a usual request. */
function isWhatsAppStun(payload: Uint8Array): boolean {
  const type = stunType(payload);
  if (type === -1) return false;
  return (type >= 0x0800 && type <= 0x080f) || hasStunAttribute(payload, isWhatsAppAttribute);
}

function isWhatsAppAttribute(type: number): boolean {
  return type >= 0x4000 && type <= 0x4007;
}

/** MS-TURN and MS-ICE2: version, sequence number, candidate identifier, quality, implementation. */
function isMicrosoftStun(payload: Uint8Array): boolean {
  return hasStunAttribute(payload, (type) => {
    return (
      type === 0x8008 || type === 0x8050 || type === 0x8054 || type === 0x8055 || type === 0x8070
    );
  });
}

/**
 * Zoom on its ports: the first byte is the kind of encapsulation (Michel et al., "Enabling Passive
 * Measurement of Zoom Performance in Production Networks", IMC 2022), never as high as RTP's.
 */
function isZoomMedia(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPorts(context, 8801, 8810) || payload.length < 8) return false;
  return payload[0]! <= ZOOM_KIND_MAX;
}

/** Discord: a voice server's ping, or IP discovery (type, length 70, SSRC). */
function isDiscordDiscovery(payload: Uint8Array): boolean {
  if (begins(payload, "\x13\x37\xca\xfe")) return payload.length === 8 || payload.length === 18;
  if (payload.length === 74) {
    const type = u16(payload, 0);
    return (type === 1 || type === 2) && u16(payload, 2) === 70;
  }
  return (
    payload.length === 70 &&
    u32(payload, 4) === 0 &&
    u32(payload, 8) === 0 &&
    u32(payload, 40) === 0
  );
}

/** A relay's packet of libtgvoip: a 16-byte peer tag, then twelve or more bytes of ones. */
function isTelegramRelay(payload: Uint8Array): boolean {
  if (payload.length < 32 || u32(payload, 16) !== 0xffffffff) return false;
  return u32(payload, 20) === 0xffffffff && u32(payload, 24) === 0xffffffff;
}

/** TeamSpeak 3 opens with a fixed word in place of the key's check. */
function isTeamSpeak(payload: Uint8Array): boolean {
  return (
    begins(payload, "TS3INIT1") || begins(payload, "TS3\n\r") || begins(payload, "\xf4\xbe\x03\x00")
  );
}

/** Mumble's ping over UDP: four zero bytes and an eight-byte id; its answer begins with a version. */
function isMumblePing(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length === 12) return u32(payload, 0) === 0 && onPorts(context, 64700, 64799);
  if (payload.length !== 24) return false;
  return payload[0] === 0 && payload[1] === 1 && payload[2]! <= 9 && u32(payload, 12) < 100_000;
}

/** What RFC 7983 lets share a port with RTP, once STUN was seen: channel data. */
function isChannelData(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 16 || !onPorts(context, 3478, 3497)) return false;
  const channel = u16(payload, 0);
  const isChannel = channel >= CHANNEL_FIRST && channel <= CHANNEL_LAST;
  return isChannel && u16(payload, 2) + 4 <= context.payloadBytes + 3;
}

/** STUN as RFC 3489 had it, without the cookie: known by its port and an exact length. */
function isClassicStun(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 20 || u16(payload, 2) + 20 !== context.payloadBytes) return false;
  const type = u16(payload, 0);
  const isBinding = type === 0x0001 || type === 0x0101 || type === 0x0111;
  const isTurn = type === 0x0003 || type === 0x0103 || type === 0x0113;
  return (
    (isBinding || isTurn) &&
    u16(payload, 2) % 4 === 0 &&
    (u16(payload, 2) > 0 || onPorts(context, 3478, 3481))
  );
}

/** RTCP: version 2, a packet type of 200 to 207, a length in words that fits. */
function isRtcp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 8 || (payload[0]! & 0xc0) !== 0x80) return false;
  const type = payload[1]!;
  const lengthBytes = (u16(payload, 2) + 1) * 4;
  return (
    type >= 200 && type <= 207 && lengthBytes <= context.payloadBytes && context.payloadBytes < 1300
  );
}

/** FaceTime: STUN and RTP on Apple's port ranges are told apart by these alone. */
function isFaceTimePort(payload: Uint8Array, context: PayloadContext): boolean {
  const isRange = onPorts(context, 16384, 16387) || onPorts(context, 16393, 16402);
  return isRange && (isStun(payload) || readRtp(payload, context) !== null);
}

/** A video's clock in RTP's static table (RFC 3551): JPEG, nv, H.261, MPV, H.263. */
function isRtpVideo(payload: Uint8Array, context: PayloadContext): boolean {
  const rtp = readRtp(payload, context);
  return rtp?.isRun === true && [26, 28, 31, 32, 34].includes(rtp.payloadType);
}

function isRtpTransportStream(payload: Uint8Array, context: PayloadContext): boolean {
  const rtp = readRtp(payload, context);
  return rtp !== null && rtp.payloadType === 33 && payload[rtp.headBytes] === 0x47;
}

function isRtpRun(payload: Uint8Array, context: PayloadContext): boolean {
  return readRtp(payload, context)?.isRun ?? false;
}

export const CALLS_UDP: readonly Signature[] = [
  signature("sip", "voip_call", 0.95, isSip),
  signature("mgcp", "voip_call", 0.95, isMgcp),
  signature("megaco", "voip_call", 0.9, isMegaco),
  signature("iax2", "voip_call", 0.9, isIax2),
  signature("whatsapp-stun", "voip_call", 0.92, isWhatsAppStun),
  signature("microsoft-stun", "video_conf", 0.88, isMicrosoftStun),
  signature("discord", "voip_call", 0.9, isDiscordDiscovery),
  signature("telegram-relay", "voip_call", 0.9, isTelegramRelay),
  signature("teamspeak", "voip_call", 0.95, isTeamSpeak),
  signature("facetime", "video_conf", 0.8, isFaceTimePort),
  signature("zoom", "video_conf", 0.88, isZoomMedia),
  signature("mumble-ping", "voip_call", 0.75, isMumblePing),
  mediaSignature("stun", "voip_call", 0.55, isStun),
  signature("rtp-transport-stream", "video_live", 0.9, isRtpTransportStream),
  mediaSignature("rtp-video", "video_conf", 0.8, isRtpVideo),
  mediaSignature("rtp", "voip_call", 0.75, isRtpRun),
  mediaSignature("rtcp", "voip_call", 0.7, isRtcp),
  mediaSignature("turn-channel", "voip_call", 0.55, isChannelData),
  mediaSignature("stun-classic", "voip_call", 0.5, isClassicStun),
  mediaSignature("dtls", "voip_call", 0.35, isDtls),
  signature("h323-ras", "voip_call", 0.75, isH323),
];

/** STUN over TCP comes plain, or behind a two-byte length (RFC 4571). */
function isStunOverTcp(payload: Uint8Array): boolean {
  return isStun(payload) || (payload.length > 22 && isStun(payload.subarray(2)));
}

/** As it is, or behind the four bytes with which Microsoft frames TURN over TCP. */
function isMicrosoftStunOverTcp(payload: Uint8Array): boolean {
  return isMicrosoftStun(payload) || isMicrosoftStun(payload.subarray(Math.min(4, payload.length)));
}

export const CALLS_TCP: readonly Signature[] = [
  signature("sip", "voip_call", 0.95, isSip),
  signature("megaco", "voip_call", 0.9, isMegaco),
  signature("skinny", "voip_call", 0.85, isSkinny),
  signature("h323", "voip_call", 0.85, isH323),
  signature("whatsapp-stun", "voip_call", 0.92, isWhatsAppStun),
  signature("microsoft-stun", "video_conf", 0.88, isMicrosoftStunOverTcp),
  signature("teamspeak", "voip_call", 0.9, isTeamSpeak),
  signature("msrp", "messaging", 0.8, (payload) => begins(payload, "MSRP ")),
  signature("ventrilo", "voip_call", 0.6, (payload, context) => {
    return onPort(context, 3784) && payload.length > 4 && u16le(payload, 0) + 2 === payload.length;
  }),
  mediaSignature("stun", "voip_call", 0.5, isStunOverTcp),
  signature("mumble-version", "voip_call", 0.7, (payload, context) => {
    return onPort(context, 64738) && textAt(payload, 0, "\x00\x00");
  }),
];
