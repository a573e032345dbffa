// The interface of the line when nobody named it: that of the default route, IPv4's before IPv6's.

import { ROUTES_BYTES_MAX } from "../../kernel/limits.ts";
import type { SystemFiles } from "../ports.ts";

/** Flags of linux/route.h and linux/ipv6_route.h. */
const ROUTE_UP = 0x1;
const ROUTE_REJECT = 0x200;

const IPV6_ZEROS = "0".repeat(32);

interface DefaultRoute {
  readonly device: string;
  readonly metric: number;
}

/** Null: there is no default route now. */
export function findDefaultDevice(files: SystemFiles): string | null {
  const ipv4 = files.readText("/proc/net/route", ROUTES_BYTES_MAX) ?? "";
  const ipv6 = files.readText("/proc/net/ipv6_route", ROUTES_BYTES_MAX) ?? "";
  return defaultDeviceOf(ipv4, ipv6);
}

/**
 * @param ipv4 the text of /proc/net/route
 * @param ipv6 the text of /proc/net/ipv6_route
 */
export function defaultDeviceOf(ipv4: string, ipv6: string): string | null {
  const route = best(ipv4, readIpv4Route) ?? best(ipv6, readIpv6Route);
  return route?.device ?? null;
}

/** The lowest metric wins; of equals the first, as in the kernel. */
function best(text: string, read: (fields: string[]) => DefaultRoute | null): DefaultRoute | null {
  let found: DefaultRoute | null = null;
  for (const line of text.split("\n")) {
    const route = read(line.trim().split(/\s+/));
    if (route !== null && (found === null || route.metric < found.metric)) found = route;
  }
  return found;
}

/** Iface Destination Gateway Flags RefCnt Use Metric Mask …: numbers in hexadecimal but the metric. */
function readIpv4Route(fields: string[]): DefaultRoute | null {
  const [device, destination, , flags, , , metric, mask] = fields;
  if (destination !== "00000000" || mask !== "00000000") return null;
  return usable(device, flags, Number(metric));
}

/** Destination, its prefix length, source, its prefix length, next hop, metric, refcount, use, flags, device: all in hexadecimal. */
function readIpv6Route(fields: string[]): DefaultRoute | null {
  const [destination, length, , sourceLength, , metric, , , flags, device] = fields;
  if (destination !== IPV6_ZEROS || length !== "00" || sourceLength !== "00") return null;
  return usable(device, flags, Number.parseInt(metric ?? "", 16));
}

function usable(
  device: string | undefined,
  flags: string | undefined,
  metric: number,
): DefaultRoute | null {
  const bits = Number.parseInt(flags ?? "", 16);
  if (device === undefined || device === "lo" || !Number.isSafeInteger(metric)) return null;
  return (bits & ROUTE_UP) !== 0 && (bits & ROUTE_REJECT) === 0 ? { device, metric } : null;
}
