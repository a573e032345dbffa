// The bench's little internet: client – router – isp – path – server, each a network namespace of
// the guest. The line's queue is in `isp`, the distance in `path`, so that neither touches the other.

import { type LinkTrace, traceValue } from "../../sim/link-traces.ts";

export const CLIENT_ADDRESS = "192.168.1.2";
export const WAN_DEVICE = "wan0";
export const IFB_DEVICE = "ifb4wan0";
/** The server's addresses: every one answers ICMP echo; the first carries the load. */
export const REFLECTORS: readonly string[] = [1, 2, 3, 4, 5, 6].map((n) => `203.0.113.${n}`);
export const SERVER_ADDRESS = REFLECTORS[0]!;
/** The load's own server address, so that a bad reflector is nobody's path. */
export const LOAD_ADDRESS = "203.0.113.10";

const NETEM_LIMIT = "limit 50000";
const SMALLEST_FIFO_BYTES = 15_000;
/** What the line does where the trace says that it carries nothing. */
const OUTAGE_KBIT = 64;

/** Shell text that makes the namespaces anew, the line as the trace starts. */
export function topologyScript(trace: LinkTrace): string {
  const pairs: readonly (readonly [string, string, string, string])[] = [
    ["client", "eth0", "router", "lan0"],
    ["router", WAN_DEVICE, "isp", "home0"],
    ["isp", "core0", "path", "near0"],
    ["path", "far0", "server", "eth0"],
  ];
  const namespaces = ["client", "router", "isp", "path", "server"];
  const lines: string[] = [];
  for (const name of namespaces) {
    lines.push(`ip netns del ${name} 2>/dev/null || true`, `ip netns add ${name}`);
    lines.push(`ip -n ${name} link set lo up`);
  }
  for (const [left, leftDevice, right, rightDevice] of pairs) {
    lines.push(
      `ip -n ${left} link add ${leftDevice} type veth peer name ${rightDevice} netns ${right}`,
    );
    for (const [namespace, device] of [
      [left, leftDevice],
      [right, rightDevice],
    ]) {
      lines.push(
        `ip netns exec ${namespace} ethtool -K ${device} tso off gso off gro off >/dev/null 2>&1`,
        `ip -n ${namespace} link set ${device} up`,
      );
    }
  }
  lines.push(
    ...["router", "isp", "path"].map(
      (name) => `ip netns exec ${name} sysctl -qw net.ipv4.ip_forward=1`,
    ),
    `ip -n client addr add ${CLIENT_ADDRESS}/24 dev eth0`,
    "ip -n client route add default via 192.168.1.1",
    "ip -n router addr add 192.168.1.1/24 dev lan0",
    `ip -n router addr add 100.64.0.2/24 dev ${WAN_DEVICE}`,
    "ip -n router route add default via 100.64.0.1",
    "ip -n isp addr add 100.64.0.1/24 dev home0",
    "ip -n isp addr add 10.9.0.1/24 dev core0",
    "ip -n isp route add default via 10.9.0.2",
    "ip -n path addr add 10.9.0.2/24 dev near0",
    "ip -n path addr add 203.0.113.254/24 dev far0",
    "ip -n path route add default via 10.9.0.1",
    ...[...REFLECTORS, LOAD_ADDRESS].map((a) => `ip -n server addr add ${a}/24 dev eth0`),
    "ip -n server route add default via 203.0.113.254",
    "ip netns exec router nft 'table ip bench { chain out { type nat hook postrouting priority 100; oifname wan0 masquerade; }; }'",
    "ip netns exec router sysctl -qw net.netfilter.nf_conntrack_acct=1",
    ...["client", "server"].map(
      (n) => `ip netns exec ${n} sysctl -qw net.ipv4.tcp_no_metrics_save=1`,
    ),
  );
  for (const device of ["home0", "core0"]) {
    lines.push(
      `tc -n isp qdisc add dev ${device} root handle 1: htb default 1`,
      `tc -n isp class add dev ${device} parent 1: classid 1:1 ${lineClass(OUTAGE_KBIT)}`,
      `tc -n isp qdisc add dev ${device} parent 1:1 handle 10: bfifo limit ${SMALLEST_FIFO_BYTES}`,
    );
  }
  const oneWayMs = traceValue(trace.pathRttMs, 0) / 2;
  lines.push(
    `tc -n path qdisc add dev far0 root handle 1: netem delay ${oneWayMs}ms ${NETEM_LIMIT}`,
    "tc -n path qdisc add dev near0 root handle 1: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    `tc -n path qdisc add dev near0 parent 1:1 handle 10: netem delay ${oneWayMs}ms ${NETEM_LIMIT}`,
    `tc -n path qdisc add dev near0 parent 1:2 handle 20: netem delay ${oneWayMs}ms ${NETEM_LIMIT}`,
  );
  return `set -e\n${lines.join("\n")}\n`;
}

/** Lines for `tc -batch` in the isp's namespace: the capacity of one direction. */
export function capacityCommands(
  direction: "download" | "upload",
  capacityKbit: number,
  fifoMs: number,
): string {
  const device = direction === "download" ? "home0" : "core0";
  const carriedKbit = Math.max(capacityKbit, OUTAGE_KBIT);
  const limitBytes = Math.max(SMALLEST_FIFO_BYTES, Math.round((carriedKbit * fifoMs) / 8));
  return (
    `class change dev ${device} parent 1: classid 1:1 ${lineClass(carriedKbit)}\n` +
    `qdisc change dev ${device} parent 1:1 handle 10: bfifo limit ${limitBytes}\n`
  );
}

/** Lines for `tc -batch` in the path's namespace: its distance, and whether anything passes at all. */
export function pathCommands(
  pathRttMs: number,
  passes: boolean,
  bad: { readonly extraMs: number; readonly lossPercent: number } | null,
): string {
  const loss = passes ? "loss 0%" : "loss 100%";
  const delay = `delay ${pathRttMs / 2}ms`;
  const badLoss = passes ? `loss ${bad?.lossPercent ?? 0}%` : loss;
  const badDelay = `delay ${pathRttMs / 2 + (bad?.extraMs ?? 0)}ms`;
  return (
    `qdisc change dev far0 root handle 1: netem ${delay} ${loss} ${NETEM_LIMIT}\n` +
    `qdisc change dev near0 parent 1:1 handle 10: netem ${delay} ${loss} ${NETEM_LIMIT}\n` +
    `qdisc change dev near0 parent 1:2 handle 20: netem ${badDelay} ${badLoss} ${NETEM_LIMIT}\n`
  );
}

/** One line for `tc -batch` in the path's namespace: this address takes the bad reflector's way back. */
export function badReflectorCommand(address: string): string {
  return `filter add dev near0 parent 1: protocol ip prio 1 u32 match ip src ${address}/32 flowid 1:2\n`;
}

/** Shell text: CAKE on both directions of the router, downloads through an IFB, as sqm would. */
export function cakeScript(downloadKbit: number, uploadKbit: number): string {
  return [
    "set -e",
    `ip -n router link add ${IFB_DEVICE} type ifb`,
    `ip -n router link set ${IFB_DEVICE} up`,
    `tc -n router qdisc add dev ${WAN_DEVICE} handle ffff: ingress`,
    `tc -n router filter add dev ${WAN_DEVICE} parent ffff: protocol all matchall action mirred egress redirect dev ${IFB_DEVICE}`,
    `tc -n router qdisc replace dev ${WAN_DEVICE} root cake bandwidth ${uploadKbit}kbit diffserv4 nat dual-srchost`,
    `tc -n router qdisc replace dev ${IFB_DEVICE} root cake bandwidth ${downloadKbit}kbit diffserv4 nat dual-dsthost ingress`,
    "",
  ].join("\n");
}

/** Lines for `tc -batch` in the router's namespace. */
export function cakeCommands(downloadKbit: number, uploadKbit: number): string {
  return (
    `qdisc change dev ${IFB_DEVICE} root cake bandwidth ${downloadKbit}kbit\n` +
    `qdisc change dev ${WAN_DEVICE} root cake bandwidth ${uploadKbit}kbit\n`
  );
}

function lineClass(kbit: number): string {
  return `htb rate ${kbit}kbit ceil ${kbit}kbit burst 16k cburst 16k quantum 3028`;
}
