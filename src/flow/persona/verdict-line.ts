// A verdict as `myco flow classify` prints it: one JSON object, its keys in the order people read.

import type { FlowVerdict } from "../interface.ts";

/** Names of IP protocols (IANA, in the words tcpdump and nft use). */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "icmp"],
  [2, "igmp"],
  [6, "tcp"],
  [17, "udp"],
  [33, "dccp"],
  [46, "rsvp"],
  [47, "gre"],
  [50, "esp"],
  [51, "ah"],
  [58, "icmpv6"],
  [88, "eigrp"],
  [89, "ospf"],
  [103, "pim"],
  [112, "vrrp"],
  [132, "sctp"],
  [136, "udplite"],
]);

/** The number in digits for a protocol without a name here. */
export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES.get(protocol) ?? String(protocol);
}

/** Without a line's end. */
export function formatVerdict({ key, ...verdict }: FlowVerdict): string {
  return JSON.stringify({
    proto: protocolName(key.protocol),
    src: key.client,
    sport: key.clientPort,
    dst: key.server,
    dport: key.serverPort,
    service: verdict.service,
    persona: verdict.persona,
    confidence: verdict.confidence,
    signals: verdict.signals,
    hostname: verdict.hostname,
  });
}
