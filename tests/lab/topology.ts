// A small internet inside one guest: client – router – isp – path – server, each a network
// namespace. The line's queue is in `isp` and the distance in `path`, so that neither touches the
// other, and the router's shaper is the daemon's alone. All is shell text, so that a bench may run it
// from inside the guest as well.

/** Where the daemon runs; its WAN and LAN. The shaped interface is never called veth* or ifb*. */
export const ROUTER = { namespace: "router", wan: "wan0", lan: "lan0" } as const;

export const CLIENT = { address4: "192.168.1.2", address6: "2001:db8:1::2" } as const;

/** The server's own addresses, for load. */
export const SERVER = { address4: "203.0.113.10", address6: "2001:db8:100::10" } as const;

/** More addresses of the server, which answer probes and carry nothing else. The last one can be made bad. */
export const REFLECTORS4: readonly string[] = [1, 2, 3, 4, 5, 6].map((n) => `203.0.113.${n}`);
export const REFLECTORS6: readonly string[] = [1, 2, 3, 4, 5, 6].map((n) => `2001:db8:100::${n}`);
export const BAD_REFLECTOR4 = REFLECTORS4.at(-1)!;
export const BAD_REFLECTOR6 = REFLECTORS6.at(-1)!;

const NAMESPACES = ["client", "router", "isp", "path", "server"] as const;

/** Each cable with its two ends; the first of each pair is nearer to the client. */
const CABLES = [
  ["client", "eth0", "router", ROUTER.lan],
  ["router", ROUTER.wan, "isp", "home0"],
  ["isp", "core0", "path", "near0"],
  ["path", "far0", "server", "eth0"],
] as const;

/** Namespace, device, and its addresses. */
const ADDRESSES: readonly (readonly [string, string, readonly string[]])[] = [
  ["client", "eth0", [`${CLIENT.address4}/24`, `${CLIENT.address6}/64`]],
  ["router", ROUTER.lan, ["192.168.1.1/24", "2001:db8:1::1/64"]],
  ["router", ROUTER.wan, ["100.64.0.2/24", "2001:db8:2::2/64"]],
  ["isp", "home0", ["100.64.0.1/24", "2001:db8:2::1/64"]],
  ["isp", "core0", ["10.9.0.1/24", "2001:db8:3::1/64"]],
  ["path", "near0", ["10.9.0.2/24", "2001:db8:3::2/64"]],
  ["path", "far0", ["203.0.113.254/24", "2001:db8:100::fe/64"]],
  [
    "server",
    "eth0",
    [
      ...[SERVER.address4, ...REFLECTORS4].map((address) => `${address}/24`),
      ...[SERVER.address6, ...REFLECTORS6].map((address) => `${address}/64`),
    ],
  ],
];

/** Namespace, destination, and gateway. The router hides the LAN's IPv4 addresses, but not its IPv6. */
const ROUTES = [
  ["client", "default", "192.168.1.1"],
  ["client", "default", "2001:db8:1::1"],
  ["router", "default", "100.64.0.1"],
  ["router", "default", "2001:db8:2::1"],
  ["isp", "default", "10.9.0.2"],
  ["isp", "default", "2001:db8:3::2"],
  ["isp", "2001:db8:1::/64", "2001:db8:2::2"],
  ["path", "default", "10.9.0.1"],
  ["path", "default", "2001:db8:3::1"],
  ["server", "default", "203.0.113.254"],
  ["server", "default", "2001:db8:100::fe"],
] as const;

/** A home router's firewall: NAT for IPv4, and connection tracking with byte counts for both families. */
const FIREWALL = `table inet lab {
  chain forward { type filter hook forward priority filter; ct state invalid drop; }
  chain postrouting {
    type nat hook postrouting priority srcnat; oifname ${ROUTER.wan} meta nfproto ipv4 masquerade;
  }
}`;

export interface LineOptions {
  readonly downloadKbit: number;
  readonly uploadKbit: number;
  /** How long the line's deep FIFO takes to drain; default 600. */
  readonly queueMs?: number;
  /** The empty path's round trip; default 20. */
  readonly pathRttMs?: number;
}

export const DEFAULT_QUEUE_MS = 600;
export const DEFAULT_PATH_RTT_MS = 20;

/** A FIFO always holds ten packets. */
const SMALLEST_FIFO_BYTES = 15_000;
const NETEM_PACKETS = 50_000;

export type Direction = "download" | "upload";

/** The isp's device that sends in this direction. */
const LINE_DEVICE: Readonly<Record<Direction, string>> = { download: "home0", upload: "core0" };

/** Shell text that runs `command` in a namespace. */
export function inNamespace(namespace: string, command: string): string {
  return `ip netns exec ${namespace} ${command}`;
}

/** Shell text that takes it all away, processes in the namespaces included. */
export function removeTopology(): string {
  return `for name in ${NAMESPACES.join(" ")}; do
  [ -e "/run/netns/$name" ] || continue
  ip netns pids "$name" | xargs -r kill -KILL || true
  ip netns delete "$name"
done
`;
}

/** Shell text that makes it all anew. Few processes: each takes its time under emulation. */
export function buildTopology(options: LineOptions): string {
  const { pathRttMs = DEFAULT_PATH_RTT_MS } = options;
  const cables = CABLES.map(
    ([near, nearDevice, far, farDevice]) =>
      `link add ${nearDevice} netns ${near} type veth peer name ${farDevice} netns ${far}`,
  );
  return [
    // Its settings are there once the module is.
    `set -eu\n${removeTopology()}modprobe nf_conntrack\n`,
    withInput(
      "ip -batch -",
      NAMESPACES.map((name) => `netns add ${name}`),
    ),
    ...NAMESPACES.map(setUp),
    withInput("ip -batch -", cables),
    ...NAMESPACES.map(connect),
    withInput(inNamespace("router", "nft -f -"), [FIREWALL]),
    withInput("tc -n isp -batch -", [...LINE_QUEUES, lineBatch(options)]),
    withInput("tc -n path -batch -", [...PATH_QUEUES, pathBatch({ rttMs: pathRttMs })]),
  ].join("");
}

/** Shell text that gives a command lines to read. */
function withInput(command: string, lines: readonly string[]): string {
  return `${command} <<'END'\n${lines.map((line) => line.trimEnd()).join("\n")}\nEND\n`;
}

function setUp(name: string): string {
  const settings = [
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv6.conf.default.accept_dad=0",
  ];
  if (name === "client" || name === "server") settings.push("net.ipv4.tcp_no_metrics_save=1");
  if (name === "router") settings.push("net.netfilter.nf_conntrack_acct=1");
  return `${inNamespace(name, `sysctl -qw ${settings.join(" ")}`)}\n`;
}

/** Without offloads a packet is what it would be on a wire. */
function connect(namespace: string): string {
  const devices = CABLES.flatMap(([near, nearDevice, far, farDevice]) => [
    ...(near === namespace ? [nearDevice] : []),
    ...(far === namespace ? [farDevice] : []),
  ]);
  const addresses = ADDRESSES.filter(([name]) => name === namespace).flatMap(([, device, all]) =>
    all.map((address) => {
      const flags = address.includes(":") ? " nodad" : "";
      return `address add ${address} dev ${device}${flags}`;
    }),
  );
  const routes = ROUTES.filter(([name]) => name === namespace);
  return (
    withInput(
      inNamespace(namespace, "sh -eu"),
      devices.map((device) => `ethtool -K ${device} tso off gso off gro off`),
    ) +
    withInput(`ip -n ${namespace} -batch -`, [
      ...["lo", ...devices].map((device) => `link set ${device} up`),
      ...addresses,
      ...routes.map(([, to, via]) => `route add ${to} via ${via}`),
    ])
  );
}

const LINE_QUEUES = Object.values(LINE_DEVICE).flatMap((device) => [
  `qdisc add dev ${device} root handle 1: htb default 1`,
  `class add dev ${device} parent 1: classid 1:1 htb rate 1mbit quantum 1514`,
  `qdisc add dev ${device} parent 1:1 handle 10: bfifo limit ${SMALLEST_FIFO_BYTES}`,
]);

/** Half of the round trip each way; on the way back the bad reflectors have a netem of their own. */
const PATH_QUEUES = [
  `qdisc add dev far0 root handle 10: netem delay 0ms limit ${NETEM_PACKETS}`,
  `qdisc add dev near0 root handle 1: prio bands 2 priomap ${Array(16).fill(0).join(" ")}`,
  `qdisc add dev near0 parent 1:1 handle 10: netem delay 0ms limit ${NETEM_PACKETS}`,
  `qdisc add dev near0 parent 1:2 handle 20: netem delay 0ms limit ${NETEM_PACKETS}`,
  `filter add dev near0 parent 1: protocol ip flower src_ip ${BAD_REFLECTOR4} classid 1:2`,
  `filter add dev near0 parent 1: protocol ipv6 flower src_ip ${BAD_REFLECTOR6} classid 1:2`,
];

/** Lines for `tc -n isp -batch -` that give both directions their rate and queue. */
export function lineBatch(options: LineOptions): string {
  const { downloadKbit, uploadKbit, queueMs = DEFAULT_QUEUE_MS } = options;
  return rateBatch("download", downloadKbit, queueMs) + rateBatch("upload", uploadKbit, queueMs);
}

/** Lines for `tc -n isp -batch -` that change one direction. */
export function rateBatch(
  direction: Direction,
  rateKbit: number,
  queueMs = DEFAULT_QUEUE_MS,
): string {
  const device = LINE_DEVICE[direction];
  const fifoBytes = Math.max(SMALLEST_FIFO_BYTES, Math.round((rateKbit * queueMs) / 8));
  return [
    `class change dev ${device} parent 1: classid 1:1 htb rate ${rateKbit}kbit quantum 1514`,
    `qdisc change dev ${device} parent 1:1 handle 10: bfifo limit ${fifoBytes}`,
    "",
  ].join("\n");
}

export interface PathOptions {
  readonly rttMs: number;
  /** Both ways; 100 is an outage. */
  readonly lossPercent?: number;
  /** What the bad reflectors' answers take longer. */
  readonly badReflectorMs?: number;
  /** What the way back from them loses; as much as the others by default. */
  readonly badReflectorLossPercent?: number;
}

/** Lines for `tc -n path -batch -` that change the path. */
export function pathBatch(options: PathOptions): string {
  const { rttMs, lossPercent = 0, badReflectorMs = 0 } = options;
  const { badReflectorLossPercent = lossPercent } = options;
  const netem = (delayMs: number, loss: number): string =>
    `netem delay ${delayMs}ms loss ${loss}% limit ${NETEM_PACKETS}`;
  const badMs = rttMs / 2 + badReflectorMs;
  return [
    `qdisc change dev far0 root handle 10: ${netem(rttMs / 2, lossPercent)}`,
    `qdisc change dev near0 parent 1:1 handle 10: ${netem(rttMs / 2, lossPercent)}`,
    `qdisc change dev near0 parent 1:2 handle 20: ${netem(badMs, badReflectorLossPercent)}`,
    "",
  ].join("\n");
}
