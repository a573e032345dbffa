// Somebody at work on another machine. Sources: RFC 4253 (SSH), RFC 854 (Telnet), [MS-RDPBCGR],
// [MS-RDPEUDP], RFC 6143 (RFB), RFC 1282 (rlogin), the X Window System Protocol, SPICE's and
// the vendors' descriptions.

import { u16, u16le, u32, u32le } from "../../tap/bytes.ts";
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

const INTERPRET_AS_COMMAND = 0xff;

/** Negotiation of options: IAC, WILL to DONT or a sub-negotiation, twice or on Telnet's port. */
function isTelnet(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 3 || payload[0] !== INTERPRET_AS_COMMAND) return false;
  const isCommand = payload[1]! >= 0xfa && payload[1]! <= 0xfe && payload[2]! <= 0x31;
  const isAgain = payload.length >= 6 && payload[3] === INTERPRET_AS_COMMAND && payload[4]! >= 0xfa;
  return isCommand && (isAgain || onPort(context, 23, 2323));
}

/** TPKT, then an X.224 connection request or confirm as RDP makes it, or data on its port. */
function isRdp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 11 || payload[0] !== 3 || payload[1] !== 0) return false;
  const code = payload[5]!;
  if (code === 0xe0) {
    return holds(payload, "Cookie: mst", 40) || u16(payload, 2) === 11 || payload[11] === 1;
  }
  if (code === 0xd0) return u16(payload, 2) === 11 || payload[11] === 2 || payload[11] === 3;
  return code === 0xf0 && onPort(context, 3389);
}

/** RDP over UDP: a SYN without acknowledgement, its initial sequence, window and flags. */
function isRdpUdp(payload: Uint8Array, context: PayloadContext): boolean {
  if (onPort(context, 3389)) return payload.length >= 8;
  const isSyn = payload.length >= 1024 && u32(payload, 0) === 0xffffffff;
  return isSyn && u16(payload, 4) > 0 && u16(payload, 4) < 4096 && (u16(payload, 6) & 1) === 1;
}

/** TeamViewer's own frame: 0x17 0x24 and a command of 0x0a to 0x5f; over UDP after a counter. */
function isTeamViewer(payload: Uint8Array): boolean {
  if (payload.length < 4) return false;
  if (payload[0] === 0x17 && payload[1] === 0x24) return true;
  return payload[0] === 0x11 && payload[1] === 0x30;
}

function isTeamViewerUdp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 14) return false;
  if (payload[0] === 0x00 && payload[11] === 0x17 && payload[12] === 0x24) return true;
  return onPort(context, 5938);
}

/** Radmin 3's first words, both ways. */
function isRadmin(payload: Uint8Array): boolean {
  if (payload.length < 10 || u32(payload, 0) !== 0x01000000) return false;
  return payload[4]! <= 1 && u16(payload, 8) === 0x0808;
}

/** An X client's setup: byte order, protocol 11, revision 0. */
function isX11(payload: Uint8Array): boolean {
  if (payload.length < 12) return false;
  return textAt(payload, 0, "l\0\x0b\0\0\0") || textAt(payload, 0, "B\0\0\x0b\0\0");
}

/** rlogin: an empty text, then user, user and "terminal/speed" ended by zeros. */
function isRlogin(payload: Uint8Array, context: PayloadContext): boolean {
  return onPort(context, 513) && payload[0] === 0 && holds(payload, "/", 96);
}

/** rsh: the port for errors as digits, then user, user and command, each ended by a zero. */
function isRsh(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 512, 514) || !context.fromClient || payload.length < 4) return false;
  const end = payload.indexOf(0);
  if (end < 0 || end > 5) return false;
  return payload.subarray(0, end).every((byte) => byte >= 0x30 && byte <= 0x39);
}

/** XDMCP: version 1, an operation of 1 to 14, a length that fits. */
function isXdmcp(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 177) || payload.length < 6 || u16(payload, 0) !== 1) return false;
  return (
    u16(payload, 2) >= 1 && u16(payload, 2) <= 14 && u16(payload, 4) + 6 === context.payloadBytes
  );
}

/** VMware's console service greets. */
function isVmware(payload: Uint8Array): boolean {
  return begins(payload, "220 VMware");
}

/** NoMachine's sessions over TCP say so; over UDP a kind, and the message's own length. */
function isNoMachine(payload: Uint8Array): boolean {
  return beginsWithAny(payload, ["NXSH-", "NXD-", "NXS-", "NXM-"]);
}

function isNoMachineUdp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 10 || payload[0]! > 4 || payload[1] !== 0) return false;
  const isHello = u16le(payload, 4) === context.payloadBytes;
  return isHello && (onPort(context, 4000) || onPorts(context, 4011, 4020));
}

/** ICA, Citrix's protocol: its hello, or the common gateway's. */
function isCitrix(payload: Uint8Array): boolean {
  return begins(payload, "\x7f\x7fICA\0") || begins(payload, "\x1aCGP/01");
}

/** pcAnywhere's status query over UDP. */
function isPcAnywhere(payload: Uint8Array, context: PayloadContext): boolean {
  return onPort(context, 5631, 5632) && (beginsWithAny(payload, ["NQ", "ST"]) || payload[0] === 0);
}

/** Dameware's registration: a length, a fixed version. */
function isDameware(payload: Uint8Array, context: PayloadContext): boolean {
  return onPort(context, 6129) && payload.length >= 8 && u32le(payload, 0) < 0x20000;
}

export const REMOTE_TCP: readonly Signature[] = [
  signature("ssh", "remote_shell", 0.97, (payload) => begins(payload, "SSH-")),
  signature("rfb", "remote_shell", 0.97, (payload) => begins(payload, "RFB 00")),
  signature("rdp", "remote_shell", 0.95, isRdp),
  signature("telnet", "remote_shell", 0.93, isTelnet),
  signature("teamviewer", "remote_shell", 0.92, isTeamViewer),
  signature("radmin", "remote_shell", 0.93, isRadmin),
  signature("nomachine", "remote_shell", 0.95, isNoMachine),
  signature("x11", "remote_shell", 0.93, isX11),
  signature("spice", "remote_shell", 0.95, (payload) => begins(payload, "REDQ")),
  signature("citrix", "remote_shell", 0.95, isCitrix),
  signature("rsh", "remote_shell", 0.8, isRsh),
  signature("vmware", "remote_shell", 0.85, isVmware),
  signature("rlogin", "remote_shell", 0.85, isRlogin),
  signature("pcanywhere", "remote_shell", 0.75, isPcAnywhere),
  signature("dameware", "remote_shell", 0.7, isDameware),
];

export const REMOTE_UDP: readonly Signature[] = [
  signature("xdmcp", "remote_shell", 0.9, isXdmcp),
  signature("rdp", "remote_shell", 0.9, isRdpUdp),
  signature("teamviewer", "remote_shell", 0.85, isTeamViewerUdp),
  signature("nomachine", "remote_shell", 0.75, isNoMachineUdp),
  signature("pcanywhere", "remote_shell", 0.75, isPcAnywhere),
];
