// What a service cannot do: the directives that confine a unit, always the same but for what its
// service asks for in its manifest. systemd.exec(5) and systemd.resource-control(5) have each;
// only such are used as systemd 252 and 257 both know.

import type { ServiceSpec } from "../schema/service.ts";
import type { Directive } from "./unit-text.ts";

/** Ports below need CAP_NET_BIND_SERVICE (ip(7)). */
const UNPRIVILEGED_PORT_MIN = 1024;

/** What `network: local` reaches: loopback, link-local, the private ranges of RFC 1918, 6598 and 4193, and multicast. */
const LOCAL_NETWORKS =
  "localhost link-local multicast 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7";

/** The daemon's own folders and its socket, which no service has any business with. */
const DAEMON_PATHS = "-/etc/myco -/run/myco -/var/lib/myco -/var/log/myco";

/** What no service can do, whatever it asks for. */
const ALWAYS: readonly Directive[] = [
  ["NoNewPrivileges", "yes"],
  ["ProtectSystem", "strict"],
  ["ProtectHome", "yes"],
  ["PrivateTmp", "yes"],
  ["PrivateMounts", "yes"],
  ["PrivateDevices", "yes"],
  ["DevicePolicy", "closed"],
  ["ProtectProc", "invisible"],
  ["ProcSubset", "pid"],
  ["ProtectClock", "yes"],
  ["ProtectControlGroups", "yes"],
  ["ProtectHostname", "yes"],
  ["ProtectKernelLogs", "yes"],
  ["ProtectKernelModules", "yes"],
  ["ProtectKernelTunables", "yes"],
  ["InaccessiblePaths", DAEMON_PATHS],
  ["LockPersonality", "yes"],
  ["RemoveIPC", "yes"],
  ["RestrictNamespaces", "yes"],
  ["RestrictRealtime", "yes"],
  ["RestrictSUIDSGID", "yes"],
  ["RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"],
  ["SystemCallArchitectures", "native"],
  ["SystemCallFilter", "@system-service"],
  ["SystemCallFilter", "~@privileged @resources"],
  ["SystemCallErrorNumber", "EPERM"],
  ["UMask", "0077"],
];

/** Devices by the beginning of their path: their class in /proc/devices, where a folder may be asked for, and the groups that own them. */
const DEVICE_KINDS: readonly {
  readonly prefix: string;
  readonly className: string | null;
  readonly groups: readonly string[];
}[] = [
  { prefix: "/dev/dri", className: "char-drm", groups: ["render", "video"] },
  { prefix: "/dev/snd", className: "char-alsa", groups: ["audio"] },
  { prefix: "/dev/input", className: "char-input", groups: ["input"] },
  { prefix: "/dev/bus/usb", className: "char-usb_device", groups: [] },
  { prefix: "/dev/video", className: null, groups: ["video"] },
  { prefix: "/dev/nvidia", className: null, groups: ["video"] },
  { prefix: "/dev/kvm", className: null, groups: ["kvm"] },
  { prefix: "/dev/tty", className: null, groups: ["dialout"] },
  { prefix: "/dev/serial/", className: null, groups: ["dialout"] },
];

/** The directives that confine a service, in their values' written form. */
export function confinementOf(spec: ServiceSpec): Directive[] {
  return [
    ...ALWAYS,
    ...(spec.jit ? [] : [["MemoryDenyWriteExecute", "yes"] as const]),
    ...privileges(spec),
    ...ports(spec),
    ...reach(spec),
    ...devices(spec),
  ];
}

/**
 * None, but for a port that only the privileged may take. A user namespace of its own would make
 * that capability worthless (user_namespaces(7)), so that such a service has none.
 */
function privileges({ ports, socketActivated }: ServiceSpec): Directive[] {
  const isPrivileged = !socketActivated && ports.some(({ port }) => port < UNPRIVILEGED_PORT_MIN);
  if (!isPrivileged) {
    return [
      ["CapabilityBoundingSet", ""],
      ["PrivateUsers", "yes"],
    ];
  }
  return [
    ["CapabilityBoundingSet", "CAP_NET_BIND_SERVICE"],
    ["AmbientCapabilities", "CAP_NET_BIND_SERVICE"],
  ];
}

/**
 * It takes the ports it declares and no others; where systemd takes them for it, none. Port 0, any free
 * one, stays open to it: `any` would deny that too, and with it every UDP client that binds first.
 */
function ports({ ports, socketActivated }: ServiceSpec): Directive[] {
  const own = socketActivated ? [] : ports;
  return [
    ...own.map(({ protocol, port }) => ["SocketBindAllow", `${protocol}:${port}`] as const),
    ["SocketBindDeny", "1-65535"],
  ];
}

/** Whom it may talk to. Also for its socket unit, whose sockets systemd made. */
export function networkOf({ network }: ServiceSpec): Directive[] {
  if (network !== "local") return [];
  return [
    ["IPAddressAllow", LOCAL_NETWORKS],
    ["IPAddressDeny", "any"],
  ];
}

function reach(spec: ServiceSpec): Directive[] {
  if (spec.network !== "none") return networkOf(spec);
  return [
    ["PrivateNetwork", "yes"],
    ["IPAddressAllow", "localhost"],
    ["IPAddressDeny", "any"],
  ];
}

/** The devices that were asked for, put into its /dev, which has only the likes of /dev/null otherwise. */
function devices({ devices }: ServiceSpec): Directive[] {
  const kinds = devices.map((device) =>
    DEVICE_KINDS.find(({ prefix }) => device.startsWith(prefix)),
  );
  const groups = new Set(kinds.flatMap((kind) => kind?.groups ?? []));
  const rules = devices.map((device, index) => kinds[index]?.className ?? device);
  return [
    ...devices.map((path) => ["BindPaths", `-${path.replaceAll(":", "\\:")}`] as const),
    ...[...new Set(rules)].map((rule) => ["DeviceAllow", `${rule} rw`] as const),
    ...(groups.size === 0 ? [] : [["SupplementaryGroups", [...groups].join(" ")] as const]),
  ];
}
