// One entry of the catalogue: a service, and what gives its flows away.

import type { Service } from "../interface.ts";

export interface CatalogEntry {
  readonly service: Service;
  /** What the same company's calls and play are: flows of STUN, RTP and the like; null: as `service`. */
  readonly realtime: Service | null;
  /** 0 to 1: how far one of the signs below is to be trusted. */
  readonly confidence: number;
  /**
   * Names of servers, in lower case. `example.org` is meant with all below it; `cdn-*.example.org`
   * stands for one label by its beginning; `stun.*` for the first label of any name.
   */
  readonly names: readonly string[];
  /** `udp/3478`, `tcp/6881-6889`. */
  readonly ports: readonly string[];
  /** Networks of servers: `192.0.2.0/24`, `2001:db8::/32`. */
  readonly networks: readonly string[];
  /** Parts of an HTTP User-Agent, as they are written. */
  readonly agents: readonly string[];
  /** Common names of server certificates that are no host names. */
  readonly certificates: readonly string[];
}

/** An entry in the bundle: the lists joined, each item once, agents and certificates by line. */
export type PackedEntry = readonly [
  service: Service,
  realtime: Service | null,
  confidence: number,
  names: string,
  ports: string,
  networks: string,
  agents: string,
  certificates: string,
];

/** An entry that says nothing of it is trusted so far. */
export const ENTRY_CONFIDENCE = 0.9;

export function unpackEntry(packed: PackedEntry): CatalogEntry {
  const [service, realtime, confidence, names, ports, networks, agents, certificates] = packed;
  return {
    service,
    realtime,
    confidence,
    names: items(names, " "),
    ports: items(ports, " "),
    networks: items(networks, " "),
    agents: items(agents, "\n"),
    certificates: items(certificates, "\n"),
  };
}

function items(joined: string, separator: string): string[] {
  return joined === "" ? [] : joined.split(separator);
}

/** The protocols whose ports the catalogue knows, by their IP protocol numbers. */
export const PORT_PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17 };

export interface PortRange {
  readonly protocol: number;
  readonly first: number;
  readonly last: number;
}

/** `udp/3478-3481` as numbers, or null. */
export function parsePorts(text: string): PortRange | null {
  const match = /^(tcp|udp)\/([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(text);
  if (match === null) return null;
  const first = Number(match[2]);
  const last = Number(match[3] ?? match[2]);
  if (first > last || last > 65_535) return null;
  return { protocol: PORT_PROTOCOLS[match[1]!]!, first, last };
}
