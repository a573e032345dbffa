// One packet, taken apart: where its addresses, ports and payload lie in the captured bytes.
// A tap keeps one such object and fills it for every packet, so that none is allocated.

/** IP protocol numbers (IANA). */
export const IP_PROTOCOL = {
  icmp: 1,
  ipInIp: 4,
  tcp: 6,
  udp: 17,
  dccp: 33,
  ipv6InIp: 41,
  gre: 47,
  sctp: 132,
  udpLite: 136,
} as const;

/** TCP header flags. */
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_ACK = 0x10;

/** Fields are offsets into `bytes` unless their name says otherwise. All valid after `readFrame` returned true. */
export class Packet {
  bytes: Uint8Array = new Uint8Array(0);
  atMs = 0;

  /** Six bytes of the sender's hardware address, or -1. */
  sourceMacAt = -1;
  /** The network layer's packet: from its header to its captured end. */
  networkAt = 0;
  networkEnd = 0;

  sourceAt = 0;
  destinationAt = 0;
  /** 4 or 16. */
  addressBytes = 4;
  /** An IP protocol number. */
  protocol = 0;
  /** The whole IP packet on the wire. */
  wireBytes = 0;
  /** A fragment but the first: there is no transport header in it. */
  isLaterFragment = false;

  /** 0 for protocols without ports. */
  sourcePort = 0;
  destinationPort = 0;
  tcpFlags = 0;
  tcpSequence = 0;
  /** What the transport carries, as far as it was captured; its length on the wire may be more. */
  payloadAt = 0;
  payloadEnd = 0;
  payloadWireBytes = 0;

  /** Whether the sender is the first endpoint of its flow's key. Set by the flow table. */
  senderIsFirst = true;
}
