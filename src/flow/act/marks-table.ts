// The one nftables table of ours: it keeps what each flow is for in the flow's conntrack mark, gives
// uploads the code point that the mark says (downloads get it from tc's ctinfo), and hands the first
// packets of each flow to the tap (nft(8); Documentation: connection tracking, nflog).

import {
  MARKED_FLOW_TIMEOUT_SECONDS,
  MARKED_FLOWS_MAX,
  REFLECTORS_MAX,
  TAP_PACKETS_A_SECOND,
  TAP_PACKETS_BURST,
  TAP_PACKETS_EACH_WAY,
  TAP_PACKETS_OF_OLDER_FLOW,
  TAP_SNAP_BYTES,
} from "../../kernel/limits.ts";
import type { FlowKey } from "../interface.ts";
import { MARK_MASK, markOfDscp, NFLOG_GROUP, NFT_TABLE } from "./ours.ts";
import { DSCP, DSCP_NAMES, type DscpName } from "./policy.ts";

const TCP = 6;
const UDP = 17;

/** Removes the table, whether it exists or not: adding one that exists changes nothing. */
export const REMOVAL = `add table ${NFT_TABLE}\ndelete table ${NFT_TABLE}\n`;

/**
 * The table from nothing, in one transaction.
 * @param device of the line
 * @param taps whether first packets go to the tap
 */
export function tableText(device: string, taps: boolean): string {
  return `${REMOVAL}table ${NFT_TABLE} {
  map flows4 {
    type inet_proto . ipv4_addr . inet_service . ipv4_addr . inet_service : verdict
    flags timeout; timeout ${MARKED_FLOW_TIMEOUT_SECONDS}s; size ${2 * MARKED_FLOWS_MAX};
  }
  map flows6 {
    type inet_proto . ipv6_addr . inet_service . ipv6_addr . inet_service : verdict
    flags timeout; timeout ${MARKED_FLOW_TIMEOUT_SECONDS}s; size ${2 * MARKED_FLOWS_MAX};
  }
  map probes4 { type ipv4_addr : verdict; size ${REFLECTORS_MAX}; }
  map probes6 { type ipv6_addr : verdict; size ${REFLECTORS_MAX}; }
${DSCP_NAMES.map(chainsOf).join("")}  chain recognised {
    meta l4proto . ip saddr . th sport . ip daddr . th dport vmap @flows4
    meta l4proto . ip6 saddr . th sport . ip6 daddr . th dport vmap @flows6
  }
  chain tap {
${taps ? tapRules() : ""}  }
  chain older {
    ${taps ? `meta l4proto { tcp, udp } ${LOG}` : SEEN}
  }
  chain line {
    ct state new ct mark & ${hex(MARK_MASK)} == 0 ct mark set ${markWith("cs0")}
    meta l4proto { tcp, udp } jump recognised
    ct mark & ${hex(MARK_MASK)} == 0 jump older
    jump tap
  }
  chain forward {
    type filter hook forward priority mangle; policy accept;
    iifname "${device}" jump line
    oifname "${device}" jump line
  }
  chain input {
    type filter hook input priority mangle; policy accept;
    iifname "${device}" jump line
    iifname != "${device}" udp dport 53 jump tap
  }
  chain output {
    type filter hook output priority mangle; policy accept;
    oifname != "${device}" udp sport 53 jump tap
    oifname != "${device}" accept
    jump line
    icmp type echo-request ip daddr vmap @probes4
    icmpv6 type echo-request ip6 daddr vmap @probes6
  }
  chain postrouting {
    type filter hook postrouting priority 200; policy accept;
    oifname "${device}" ct mark & ${hex(MARK_MASK)} vmap { ${DSCP_NAMES.map(washOf).join(", ")} }
  }
}
`;
}

/** Best Effort, and not looked at again. */
const SEEN = `ct mark set ${markWith("cs0")}`;
const LOG =
  `limit rate ${TAP_PACKETS_A_SECOND}/second burst ${TAP_PACKETS_BURST} packets ` +
  `log group ${NFLOG_GROUP} snaplen ${TAP_SNAP_BYTES} queue-threshold 16`;

/** The first packets each way. 0 is a connection from before they were counted. */
function tapRules(): string {
  return `    ct direction original ct original packets 1-${TAP_PACKETS_EACH_WAY} ${LOG}
    ct direction reply ct reply packets 1-${TAP_PACKETS_EACH_WAY} ${LOG}
`;
}

/** Nobody counted the packets of a flow that began before the table: from now on a draw has it marked as seen. */
export const OLDER_FLOWS_DRAW = `add rule ${NFT_TABLE} older numgen random mod ${TAP_PACKETS_OF_OLDER_FLOW} == 0 ${SEEN}\n`;

/** One chain writes the mark, another the packet. */
function chainsOf(name: DscpName): string {
  return `  chain mark_${name} { ct mark set ${markWith(name)}; }
  chain dscp_${name} { ip dscp set ${name}; ip6 dscp set ${name}; }
`;
}

function markWith(name: DscpName): string {
  return `ct mark & ${hex(~MARK_MASK)} | ${hex(markOfDscp(DSCP[name]))}`;
}

function washOf(name: DscpName): string {
  return `${hex(markOfDscp(DSCP[name]))} : goto dscp_${name}`;
}

function hex(bits: number): string {
  return `0x${(bits >>> 0).toString(16).padStart(8, "0")}`;
}

/** Whether a flow can be named to the table: it has ports. */
export function canBeMarked({ protocol }: FlowKey): boolean {
  return protocol === TCP || protocol === UDP;
}

/** Both ways, since who began a connection that is older than the tap is a guess. */
export function addition(key: FlowKey, name: DscpName): string {
  const verdict = `goto mark_${name}`;
  const elements = elementsOf(key).map((element) => `${element} : ${verdict}`);
  return `add element ${NFT_TABLE} ${mapOf(key)} { ${elements.join(", ")} }\n`;
}

export function deletion(key: FlowKey): string {
  return `delete element ${NFT_TABLE} ${mapOf(key)} { ${elementsOf(key).join(", ")} }\n`;
}

/** Probes of these addresses get these code points, others none. */
export function probesText(probes: readonly (readonly [address: string, DscpName])[]): string {
  let text = `flush map ${NFT_TABLE} probes4\nflush map ${NFT_TABLE} probes6\n`;
  for (const [address, name] of probes) {
    const map = address.includes(":") ? "probes6" : "probes4";
    text += `add element ${NFT_TABLE} ${map} { ${address} : goto mark_${name} }\n`;
  }
  return text;
}

function mapOf({ client }: FlowKey): string {
  return client.includes(":") ? "flows6" : "flows4";
}

function elementsOf(key: FlowKey): readonly string[] {
  const client = `${key.client} . ${key.clientPort}`;
  const server = `${key.server} . ${key.serverPort}`;
  return [`${key.protocol} . ${client} . ${server}`, `${key.protocol} . ${server} . ${client}`];
}
