// What this machine says of itself in its node slot: name, addresses, architecture, memory.

import {
  arch as machineArch,
  hostname as machineHostname,
  networkInterfaces,
  totalmem,
} from "node:os";
import { ENDPOINTS_MAX } from "../kernel/limits.ts";
import type { Endpoint } from "../kernel/ports.ts";
import type { LocalInfo } from "../node/interface.ts";
import type { Configuration } from "../schema/configuration.ts";
import { formatIpv6, parseEndpoint, parseIpv4, parseIpv6 } from "../schema/endpoint.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { Architecture } from "../schema/service.ts";
import { HOST_LABEL } from "../schema/text-rules.ts";

const MIB = 2 ** 20;

/** Node's names of processors (os.arch) in the words of manifests. */
const ARCHITECTURE_OF: Readonly<Record<string, Architecture>> = {
  x64: "x86_64",
  arm64: "aarch64",
  arm: "armv7",
  riscv64: "riscv64",
  ia32: "i686",
};

/** One address of a network interface. */
export interface InterfaceAddress {
  readonly family: 4 | 6;
  readonly address: string;
  /** Reaches no other machine. */
  readonly internal: boolean;
}

/**
 * @param bound where the mesh's sockets listen, ports resolved
 * @throws Error on a machine of an architecture that no manifest can name
 */
export function localInfo(
  configuration: Configuration,
  nodeId: NodeId,
  bound: readonly Endpoint[],
): LocalInfo {
  const arch = ARCHITECTURE_OF[machineArch()];
  if (arch === undefined)
    throw new Error(`Myco does not run on processors of type ${machineArch()}.`);
  return {
    hostname: configuration.hostname ?? hostLabel(machineHostname(), nodeId),
    endpoints:
      configuration.advertise.length > 0
        ? configuration.advertise
        : advertisedEndpoints(bound, interfaceAddresses()),
    arch,
    memoryMiB: configuration.memoryMiB ?? Math.floor(totalmem() / MIB),
    devices: configuration.devices,
    labels: configuration.labels,
    // Where nothing runs, nothing is to be placed.
    draining: configuration.engine.kind === "none",
  };
}

/** The first label of the machine's name, as far as it can be one; else one made of the node's id. */
export function hostLabel(hostname: string, nodeId: NodeId): string {
  const [first = ""] = hostname.toLowerCase().split(".");
  const label = first
    .replaceAll(/[^a-z0-9-]/g, "-")
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, "");
  return HOST_LABEL.test(label) ? label : `node-${nodeId.slice(0, 8)}`;
}

/**
 * Where others reach sockets bound like this: a concrete address as it is, a wildcard as the
 * machine's addresses of that family. A machine without any other is reached by itself alone.
 */
export function advertisedEndpoints(
  bound: readonly Endpoint[],
  addresses: readonly InterfaceAddress[],
): Endpoint[] {
  const endpoints = bound.flatMap((endpoint) => {
    const parsed = parseEndpoint(endpoint);
    if (parsed === null || parsed.address.some((byte) => byte !== 0)) return [endpoint];
    const ofFamily = addresses.filter(({ family }) => family === parsed.family);
    const reachable = ofFamily.filter(({ internal }) => !internal);
    return reachable.map(({ address }) => join(address, parsed.family, parsed.port));
  });
  const unique = [...new Set(endpoints)].slice(0, ENDPOINTS_MAX);
  if (unique.length > 0) return unique;
  const [first = "127.0.0.1:7946"] = bound;
  const { family = 4, port = 7946 } = parseEndpoint(first) ?? {};
  return [join(family === 4 ? "127.0.0.1" : "::1", family, port)];
}

function join(address: string, family: 4 | 6, port: number): Endpoint {
  return family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
}

/** Link-local addresses mean something on their own link only, so they are left out. */
function interfaceAddresses(): InterfaceAddress[] {
  const addresses: InterfaceAddress[] = [];
  for (const entries of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of entries ?? []) {
      if (family === "IPv4" && !isLinkLocal4(address))
        addresses.push({ family: 4, address, internal });
      if (family === "IPv6") {
        const bytes = parseIpv6(address);
        if (bytes === null || isLinkLocal6(bytes)) continue;
        addresses.push({ family: 6, address: formatIpv6(bytes), internal });
      }
    }
  }
  return addresses;
}

/** 169.254.0.0/16 (RFC 3927). */
function isLinkLocal4(address: string): boolean {
  const bytes = parseIpv4(address);
  return bytes !== null && bytes[0] === 169 && bytes[1] === 254;
}

/** fe80::/10 (RFC 4291). */
function isLinkLocal6(bytes: Uint8Array): boolean {
  return bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;
}
