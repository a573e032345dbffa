// IPv4 and IPv6 headers, and one level of tunnel: whose packet it is, and where its transport
// begins. Sources: RFC 791, RFC 8200, RFC 2784 and 2890 (GRE), RFC 4213 (6in4), RFC 2003 (IP in IP).

import { u16 } from "./bytes.ts";
import { IP_PROTOCOL, type Packet } from "./packet.ts";

const EXTENSION_HEADERS_MAX = 8;
const IPV6_HEAD_BYTES = 40;
const NO_NEXT_HEADER = 59;

/**
 * Reads from `networkAt` on: sets the addresses, `protocol`, `wireBytes`, `isLaterFragment`, and
 * the transport's bounds in `payloadAt` and `payloadEnd`. `payloadWireBytes` is the transport's
 * length on the wire.
 * @returns false when it is no IP, or cut within its header
 */
export function readIp(packet: Packet): boolean {
  if (!readHeader(packet)) return false;
  const innerAt = packet.isLaterFragment ? -1 : innerPacketAt(packet);
  if (innerAt < 0) return true;
  packet.networkAt = innerAt;
  packet.networkEnd = packet.payloadEnd;
  return readHeader(packet);
}

function readHeader(packet: Packet): boolean {
  const version = packet.bytes[packet.networkAt]! >>> 4;
  if (version === 4) return readIpv4(packet);
  return version === 6 && readIpv6(packet);
}

function readIpv4(packet: Packet): boolean {
  const { bytes, networkAt: at, networkEnd: end } = packet;
  if (end - at < 20) return false;
  const headBytes = (bytes[at]! & 0x0f) * 4;
  // Segmentation offload leaves the length 0: then what was captured must do.
  const totalBytes = u16(bytes, at + 2) || end - at;
  if (headBytes < 20 || totalBytes < headBytes) return false;
  packet.addressBytes = 4;
  packet.sourceAt = at + 12;
  packet.destinationAt = at + 16;
  packet.protocol = bytes[at + 9]!;
  packet.wireBytes = totalBytes;
  packet.isLaterFragment = (u16(bytes, at + 6) & 0x1fff) !== 0;
  packet.payloadAt = Math.min(at + headBytes, end);
  packet.payloadEnd = Math.max(packet.payloadAt, Math.min(at + totalBytes, end));
  packet.payloadWireBytes = totalBytes - headBytes;
  return true;
}

function readIpv6(packet: Packet): boolean {
  const { bytes, networkAt: at, networkEnd: end } = packet;
  if (end - at < IPV6_HEAD_BYTES) return false;
  // A jumbogram says 0 (RFC 2675): then what was captured must do.
  const payloadBytes = u16(bytes, at + 4) || end - at - IPV6_HEAD_BYTES;
  packet.addressBytes = 16;
  packet.sourceAt = at + 8;
  packet.destinationAt = at + 24;
  packet.wireBytes = IPV6_HEAD_BYTES + payloadBytes;
  packet.payloadEnd = Math.min(at + packet.wireBytes, end);
  readExtensionHeaders(packet, bytes[at + 6]!, at + IPV6_HEAD_BYTES);
  packet.payloadWireBytes = Math.max(0, at + packet.wireBytes - packet.payloadAt);
  return true;
}

/** Sets `protocol`, `isLaterFragment` and `payloadAt`. A header cut short leaves an empty payload. */
function readExtensionHeaders(packet: Packet, firstHeader: number, firstAt: number): void {
  const { bytes, payloadEnd: end } = packet;
  let header = firstHeader;
  let at = firstAt;
  packet.isLaterFragment = false;
  for (let count = 0; count < EXTENSION_HEADERS_MAX; count += 1) {
    const lengthBytes = at + 8 <= end ? extensionBytes(bytes, header, at) : 0;
    if (lengthBytes === 0) break;
    if (header === 44) packet.isLaterFragment = (u16(bytes, at + 2) & 0xfff8) !== 0;
    header = bytes[at]!;
    at += lengthBytes;
    if (packet.isLaterFragment) break;
  }
  packet.protocol = header;
  packet.payloadAt = header === NO_NEXT_HEADER ? end : Math.min(at, end);
}

/** 0 for what is no extension header. */
function extensionBytes(bytes: Uint8Array, header: number, at: number): number {
  switch (header) {
    case 0:
    case 43:
    case 60:
    case 135:
    case 139:
    case 140:
      return 8 * (bytes[at + 1]! + 1);
    case 44:
      return 8;
    case 51:
      return 4 * (bytes[at + 1]! + 2);
    default:
      return 0;
  }
}

/** Where the packet inside a tunnel begins, or -1. */
function innerPacketAt(packet: Packet): number {
  const { bytes, payloadAt: at, payloadEnd: end } = packet;
  if (packet.protocol === IP_PROTOCOL.gre) return greInnerAt(bytes, at, end);
  const isDirect =
    packet.protocol === IP_PROTOCOL.ipInIp || packet.protocol === IP_PROTOCOL.ipv6InIp;
  return isDirect && looksLikeIp(bytes, at, end) ? at : -1;
}

/** GRE version 0 with IP inside; PPTP's version 1 and other cargo stay a GRE flow. */
function greInnerAt(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 4) return -1;
  const flags = u16(bytes, at);
  const ethertype = u16(bytes, at + 2);
  const isIp = ethertype === 0x0800 || ethertype === 0x86dd;
  if (!isIp || (flags & 0x4007) !== 0) return -1;
  const checksumBytes = flags & 0x8000 ? 4 : 0;
  const keyBytes = flags & 0x2000 ? 4 : 0;
  const sequenceBytes = flags & 0x1000 ? 4 : 0;
  const innerAt = at + 4 + checksumBytes + keyBytes + sequenceBytes;
  return looksLikeIp(bytes, innerAt, end) ? innerAt : -1;
}

function looksLikeIp(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 20) return false;
  const version = bytes[at]! >>> 4;
  return (version === 4 && (bytes[at]! & 0x0f) >= 5) || (version === 6 && end - at >= 40);
}
