// What DNS names stand for, out of the cluster's view.

import type { DnsNode, DnsService, ServiceDirectory } from "../net/dns.ts";
import type { MemberView } from "../node/interface.ts";
import { parseEndpoint } from "../schema/endpoint.ts";
import { isServing } from "../schema/node-info.ts";
import { type ClusterView, isLiving } from "./cluster-view.ts";

export class ClusterDirectory implements ServiceDirectory {
  readonly #view: ClusterView;

  constructor(view: ClusterView) {
    this.#view = view;
  }

  service(name: string): DnsService | null {
    const service = this.#view.service(name);
    if (service === null) return null;
    const healthy = this.#view
      .instancesOf(service)
      .filter(({ claim }) => isServing(claim.state))
      .map(({ member }) => dnsNode(member));
    return { ports: service.spec.ports, healthy };
  }

  node(name: string): DnsNode | null {
    const member = this.#view.members.find(
      (each) => isLiving(each) && (each.nodeId === name || each.info.hostname === name),
    );
    return member === undefined ? null : dnsNode(member);
  }
}

/** The first address of each family. */
function dnsNode({ nodeId, info }: MemberView): DnsNode {
  const addresses = new Map<number, string>();
  for (const endpoint of info.endpoints) {
    const family = parseEndpoint(endpoint)?.family;
    if (family !== undefined && !addresses.has(family)) addresses.set(family, hostOf(endpoint));
  }
  return { nodeId, addresses: [...addresses.values()] };
}

/** The address of a canonical endpoint, without brackets and port. */
export function hostOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":")).replaceAll(/[[\]]/g, "");
}

/** The port of a canonical endpoint. */
export function portOf(endpoint: string): number {
  return Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
}
