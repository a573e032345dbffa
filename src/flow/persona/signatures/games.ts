// Play. Sources: Valve's server queries and in-home streaming, id Software's connectionless
// packets, RakNet's and ENet's open sources, KCP's description, the Minecraft and World of Warcraft
// protocol wikis, Photon's and Nintendo's published analyses.

import { u16, u32, u32le } from "../../tap/bytes.ts";
import type { PayloadContext } from "../../tap/features.ts";
import {
  begins,
  beginsWithAny,
  holds,
  onPort,
  onPorts,
  type Signature,
  signature,
  textAt,
} from "./signature.ts";

const CONNECTIONLESS = "\xff\xff\xff\xff";
/** Commands of Quake's family and of Source, after four bytes of ones. */
const CONNECTIONLESS_WORDS = [
  "getstatus",
  "getinfo",
  "getchallenge",
  "getservers",
  "statusResponse",
  "infoResponse",
  "challengeResponse",
  "connectResponse",
  "connect",
  "rcon",
  "print\n",
  "disconnect",
  "info",
  "status",
  "TSource Engine Query",
  "heartbeat",
  "getKeyAuthorize",
  "keyAuthorize",
  "getServers",
];
const RAKNET_MAGIC = "\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78";

/** Quake and Source speak without a connection after four bytes of ones. */
function isConnectionless(payload: Uint8Array): boolean {
  if (payload.length < 5 || !begins(payload, CONNECTIONLESS)) return false;
  if (CONNECTIONLESS_WORDS.some((word) => textAt(payload, 4, word))) return true;
  // Source's queries and answers are one letter: A2S_INFO, players, rules, challenge.
  return payload.length <= 9
    ? [0x54, 0x55, 0x56, 0x57, 0x69, 0x71].includes(payload[4]!)
    : [0x49, 0x41, 0x44, 0x45, 0x6d, 0x6a].includes(payload[4]!);
}

/** Doom 3's engine has two bytes of ones; Quake's first one control bits and the game's name. */
function isIdTech(payload: Uint8Array): boolean {
  if (
    begins(payload, "\xff\xff") &&
    (textAt(payload, 2, "getInfo") || textAt(payload, 2, "infoResponse"))
  )
    return true;
  return payload.length >= 8 && u16(payload, 0) === 0x8000 && holds(payload, "QUAKE", 32);
}

function isSteam(payload: Uint8Array, context: PayloadContext): boolean {
  if (begins(payload, "VS01") || begins(payload, "VT01") || textAt(payload, 4, "VT01")) return true;
  return payload.length >= 8 && onPort(context, 27036) && u32(payload, 4) === 0x214c5fa0;
}

/** RakNet's offline messages hold its magic: unconnected ping and pong, open connection 1 and 2. */
function isRakNet(payload: Uint8Array): boolean {
  const first = payload[0] ?? 0;
  if (first === 0x01 || first === 0x02) return textAt(payload, 9, RAKNET_MAGIC);
  if (first === 0x1c) return textAt(payload, 17, RAKNET_MAGIC);
  return first >= 0x05 && first <= 0x1a && textAt(payload, 1, RAKNET_MAGIC);
}

/** KCP: conversation, command 81 to 84, fragment, window, three counters, and a length that fits. */
function isKcp(payload: Uint8Array, context: PayloadContext): boolean {
  return isKcpAt(payload, context, 0) || isKcpAt(payload, context, 4);
}

/** `extraBytes`: some games put four more behind the conversation. */
function isKcpAt(payload: Uint8Array, context: PayloadContext, extraBytes: number): boolean {
  const at = 4 + extraBytes;
  if (payload.length < at + 20) return false;
  const command = payload[at]!;
  if (command < 81 || command > 84 || payload[at + 1]! > 32) return false;
  const window = payload[at + 2]! | (payload[at + 3]! << 8);
  const lengthBytes = u32le(payload, at + 16);
  return window >= 16 && window <= 4096 && lengthBytes <= context.payloadBytes - at - 20;
}

/** The handshake around some KCP games: a mark of 0xff, two words, a fixed number, a tail of ones. */
function isKcpHandshake(payload: Uint8Array, context: PayloadContext): boolean {
  if (context.payloadBytes !== 20 || payload.length < 20) return false;
  const isOpening = u32(payload, 0) === 0xff && u32(payload, 16) === 0xffffffff;
  const isAnswer = u32(payload, 0) === 0x145 && u32(payload, 16) === 0x14514545;
  return (isOpening || isAnswer) && u32(payload, 12) === 1_234_567_890;
}

/** ENet's connect: a peer number with all bits but flags, a time, command 2 acknowledged, channel 255. */
function isEnet(payload: Uint8Array): boolean {
  if (payload.length < 44 || payload.length > 64) return false;
  const isConnect = (at: number) =>
    payload[at] === 0x82 && payload[at + 1] === 0xff && u16(payload, at + 2) <= 1;
  return (u16(payload, 0) & 0x0fff) === 0x0fff && (isConnect(4) || isConnect(8) || isConnect(2));
}

/** Photon's connect: no peer yet, one command, and the connect command's fixed head. */
function isPhoton(payload: Uint8Array): boolean {
  if (payload.length < 24 || u16(payload, 0) !== 0xffff) return false;
  return (
    payload[12] === 0x02 && payload[13] === 0xff && payload[14] === 0x01 && u16(payload, 16) === 0
  );
}

/** netcode.io and its heirs open with their version. */
function isNetcode(payload: Uint8Array): boolean {
  return textAt(payload, 1, "NETCODE 1.0") || textAt(payload, 0, "NETCODE 1.0");
}

/** Nintendo's PIA. */
function isPia(payload: Uint8Array): boolean {
  return payload.length >= 12 && u32(payload, 0) === 0x32ab9864;
}

/** Minecraft's hello: length, packet 0, version, address, port, next state 1 or 2. */
function isMinecraft(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 7 || !context.fromClient) return false;
  const isHello = payload[1] === 0 && payload[0]! >= 6 && payload[0]! + 1 <= payload.length;
  const last = payload[payload[0]!] ?? 0;
  if (isHello && (last === 1 || last === 2) && (payload[2]! & 0x80) !== 0) return true;
  return begins(payload, "\xfe\x01\xfa") || (isHello && onPort(context, 25565));
}

/** The realm list's logon challenge: command, error, size, "WoW"; or the world server's greeting. */
function isWarcraft(payload: Uint8Array): boolean {
  if (payload.length >= 8 && payload[0] === 0 && textAt(payload, 4, "WoW\0")) return true;
  return holds(payload, "WORLD OF WARCRAFT CONNECTION", 48);
}

/** Battle.net games of the port 6112: 0xff, a message, a little-endian length that fits. */
function isBattleNet(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPorts(context, 6112, 6119) || payload.length < 4) return false;
  return payload[0] === 0xff || payload[0] === 0xf7 || payload[0] === 0x01;
}

/** Armagetron, OpenTTD, Xonotic and others register by a word of their own. */
function isNamedGame(payload: Uint8Array): boolean {
  return beginsWithAny(payload, [
    "\\status\\",
    "\\info\\",
    "\\basic\\",
    "\\players\\",
    "\\rules\\",
    "\\hostname\\",
    "\\gamename\\",
  ]);
}

/** GameSpy's query: 0xfe 0xfd, a type, four bytes of the asker's own. */
function isGameSpy(payload: Uint8Array): boolean {
  if (payload.length < 7 || payload.length > 64) return false;
  return payload[0] === 0xfe && payload[1] === 0xfd && (payload[2]! <= 0x09 || payload[2] === 0x0a);
}

export const GAMES_UDP: readonly Signature[] = [
  signature("source-query", "game_rt", 0.9, isConnectionless),
  signature("id-tech", "game_rt", 0.9, isIdTech),
  signature("steam", "game_rt", 0.9, isSteam),
  signature("raknet", "game_rt", 0.92, isRakNet),
  signature("kcp-handshake", "game_rt", 0.92, isKcpHandshake),
  signature("enet", "game_rt", 0.85, isEnet),
  signature("photon", "game_rt", 0.85, isPhoton),
  signature("netcode", "game_rt", 0.92, isNetcode),
  signature("pia", "game_rt", 0.92, isPia),
  signature("gamespy", "game_rt", 0.8, isGameSpy),
  signature("game-status", "game_rt", 0.8, isNamedGame),
  signature("kcp", "game_rt", 0.7, isKcp),
];

export const GAMES_TCP: readonly Signature[] = [
  signature("minecraft", "game_rt", 0.85, isMinecraft),
  signature("warcraft", "game_rt", 0.95, isWarcraft),
  signature("steam", "game_launcher", 0.85, isSteam),
  signature("battle-net", "game_rt", 0.75, isBattleNet),
  signature("game-status", "game_rt", 0.75, isNamedGame),
];
