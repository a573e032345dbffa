// TCP, UDP, SCTP and DCCP heads: ports, flags, and where the payload lies.
// Sources: RFC 9293, RFC 768, RFC 9260, RFC 4340.

import { u16, u32 } from "./bytes.ts";
import { IP_PROTOCOL, type Packet } from "./packet.ts";

const TCP_HEAD_BYTES_MIN = 20;
const UDP_HEAD_BYTES = 8;
const SCTP_HEAD_BYTES = 12;

/**
 * Reads what `readIp` found between `payloadAt` and `payloadEnd`, and moves these to the payload
 * proper. Protocols without ports keep it all as payload.
 * @returns false when the head is cut before its ports, or contradicts itself
 */
export function readTransport(packet: Packet): boolean {
  packet.sourcePort = 0;
  packet.destinationPort = 0;
  packet.tcpFlags = 0;
  switch (packet.protocol) {
    case IP_PROTOCOL.tcp:
      return readPorts(packet) && readTcp(packet);
    case IP_PROTOCOL.udp:
    case IP_PROTOCOL.udpLite:
      return readPorts(packet) && readUdp(packet);
    case IP_PROTOCOL.sctp:
    case IP_PROTOCOL.dccp:
      if (!readPorts(packet)) return false;
      moveToPayload(packet, SCTP_HEAD_BYTES);
      return true;
    default:
      return true;
  }
}

function readPorts(packet: Packet): boolean {
  const { bytes, payloadAt: at, payloadEnd: end } = packet;
  if (end - at < 4) return false;
  packet.sourcePort = u16(bytes, at);
  packet.destinationPort = u16(bytes, at + 2);
  return true;
}

function readTcp(packet: Packet): boolean {
  const { bytes, payloadAt: at, payloadEnd: end } = packet;
  if (end - at < TCP_HEAD_BYTES_MIN) {
    moveToPayload(packet, TCP_HEAD_BYTES_MIN);
    return true;
  }
  const headBytes = (bytes[at + 12]! >>> 4) * 4;
  if (headBytes < TCP_HEAD_BYTES_MIN || headBytes > packet.payloadWireBytes) return false;
  packet.tcpFlags = bytes[at + 13]!;
  packet.tcpSequence = u32(bytes, at + 4);
  moveToPayload(packet, headBytes);
  return true;
}

function readUdp(packet: Packet): boolean {
  const { bytes, payloadAt: at, payloadEnd: end } = packet;
  if (end - at < UDP_HEAD_BYTES) {
    moveToPayload(packet, UDP_HEAD_BYTES);
    return true;
  }
  const lengthBytes = u16(bytes, at + 4);
  // A first fragment announces more than it holds; UDP-Lite means its checksum's coverage.
  const isPlainUdp = packet.protocol === IP_PROTOCOL.udp;
  if (isPlainUdp && lengthBytes >= UDP_HEAD_BYTES && lengthBytes < packet.payloadWireBytes) {
    packet.payloadWireBytes = lengthBytes;
    packet.payloadEnd = Math.min(end, at + lengthBytes);
  }
  moveToPayload(packet, UDP_HEAD_BYTES);
  return true;
}

function moveToPayload(packet: Packet, headBytes: number): void {
  packet.payloadAt = Math.min(packet.payloadAt + headBytes, packet.payloadEnd);
  packet.payloadWireBytes = Math.max(0, packet.payloadWireBytes - headBytes);
}
