// Chat text. Sources: RFC 6120 (XMPP), RFC 1459 and 2812 (IRC), the archived MSN, Yahoo and OSCAR
// descriptions, Telegram's MTProto transports, the Noise hello that WhatsApp opens with.

import { u16, u32 } from "../../tap/bytes.ts";
import type { PayloadContext } from "../../tap/features.ts";
import { begins, beginsWithAny, holds, onPort, type Signature, signature } from "./signature.ts";

function isXmpp(payload: Uint8Array): boolean {
  if (begins(payload, "<stream:stream") || begins(payload, "<iq ") || begins(payload, "<presence"))
    return true;
  if (begins(payload, "<message ") || begins(payload, "<auth xmlns")) return true;
  return (
    begins(payload, "<?xml") &&
    (holds(payload, "jabber:", 300) || holds(payload, "stream:stream", 300))
  );
}

const IRC_WORDS = [
  "NICK ",
  "USER ",
  "CAP LS",
  "PASS ",
  "PING :",
  "PONG :",
  "JOIN #",
  "PRIVMSG ",
  "NOTICE AUTH",
  ":irc",
];

/** A line of IRC: a command where IRC lives, or a server's notice anywhere. */
function isIrc(payload: Uint8Array, context: PayloadContext): boolean {
  if (beginsWithAny(payload, ["NOTICE AUTH :", "CAP LS 30", "JOIN #", "PRIVMSG #"])) return true;
  if (begins(payload, "NICK ") && holds(payload, "\nUSER ", 200)) return true;
  const isHome =
    (context.serverPort >= 6660 && context.serverPort <= 6669) || onPort(context, 194, 7000);
  if (isHome) return beginsWithAny(payload, IRC_WORDS) || begins(payload, ":");
  return (
    begins(payload, ":") && (holds(payload, " NOTICE ", 100) || holds(payload, " PRIVMSG ", 200))
  );
}

/** WhatsApp: the Noise prologue "WA" with its version and dictionary, or its edge routing before it. */
function isWhatsApp(payload: Uint8Array): boolean {
  if (payload.length < 4) return false;
  if (begins(payload, "WA") && payload[2]! <= 8 && payload[3]! <= 64) return true;
  return begins(payload, "ED\0\x01");
}

/** MTProto's plain transports: intermediate, padded intermediate, abridged on Telegram's ports. */
function isMtproto(payload: Uint8Array, context: PayloadContext): boolean {
  if (context.index > 1 || payload.length < 8) return false;
  const word = u32(payload, 0);
  if (word === 0xeeeeeeee || word === 0xdddddddd) return true;
  return (
    payload[0] === 0xef && onPort(context, 80, 443, 5222) && payload[1]! * 4 + 2 === payload.length
  );
}

function isOscar(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 6 || payload[0] !== 0x2a) return false;
  return payload[1]! >= 1 && payload[1]! <= 5 && u16(payload, 4) + 6 === context.payloadBytes;
}

/** Tencent's QQ over UDP: 0x02 first, 0x03 last. */
function isQq(payload: Uint8Array, context: PayloadContext): boolean {
  const isFramed = payload[0] === 0x02 && payload[context.payloadBytes - 1] === 0x03;
  return (
    isFramed &&
    payload.length > 10 &&
    (onPort(context, 8000, 4000) ||
      (context.protocol === 6 && u16(payload, 1) === context.payloadBytes))
  );
}

/** WeChat's long connection: a length that fits, a 16-byte head, version 1 or 127. */
function isWeChat(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 16 || u32(payload, 0) !== context.payloadBytes) return false;
  return u16(payload, 4) === 16 && (u16(payload, 6) === 1 || u16(payload, 6) === 0x7f);
}

/** Viber's control stream: a little-endian length that fits, on its ports. */
function isViber(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 4244, 5242, 5243, 9785) || payload.length < 4) return false;
  return (payload[0]! | (payload[1]! << 8)) === context.payloadBytes || payload[1] === 0;
}

/** The MSN messenger's version, and its transfer clients. */
function isMsn(payload: Uint8Array): boolean {
  if (beginsWithAny(payload, ["VER 1 ", "VER 0 ", "VER 2 "]))
    return holds(payload, "MSNP", 40) || holds(payload, "CVR0", 60);
  return begins(payload, "MSNMSGR:") || begins(payload, "MSNP");
}

export const CHAT_TCP: readonly Signature[] = [
  signature("xmpp", "messaging", 0.93, isXmpp),
  signature("irc", "messaging", 0.9, isIrc),
  signature("whatsapp", "messaging", 0.93, isWhatsApp),
  signature("mtproto", "messaging", 0.85, isMtproto),
  signature("msn", "messaging", 0.9, isMsn),
  signature("ymsg", "messaging", 0.93, (payload) => begins(payload, "YMSG")),
  signature("oscar", "messaging", 0.85, isOscar),
  signature("qq", "messaging", 0.75, isQq),
  signature("wechat", "messaging", 0.85, isWeChat),
  signature("viber", "messaging", 0.7, isViber),
];

export const CHAT_UDP: readonly Signature[] = [signature("qq", "messaging", 0.75, isQq)];
