// What names the tap has learned beside the flows: DNS answers, and the names that flows showed.

import { latin1Text } from "./bytes.ts";
import type { DnsMessage } from "./dns.ts";
import type { Flow } from "./flow.ts";
import { NameTable } from "./names.ts";
import type { Packet } from "./packet.ts";

/** How long a name shown by a flow serves others to the same server. */
const SIBLING_LIFETIME_MS = 3_600_000;

/** Bounded by what its two tables hold. */
export class KnownNames {
  /** By the client that asked and the address it was told; and by the address alone. */
  readonly #told: NameTable;
  /** By server address and port. */
  readonly #shown: NameTable;

  constructor(namesMax: number) {
    this.#told = new NameTable(namesMax);
    this.#shown = new NameTable(Math.ceil(namesMax / 4));
  }

  /** Learns the answer of a DNS server; `packet` carried it. */
  learn(message: DnsMessage, packet: Packet): void {
    const { bytes, destinationAt, addressBytes, atMs } = packet;
    const askerKey = latin1Text(bytes, destinationAt, destinationAt + addressBytes);
    for (const { address, name, ttlSeconds, isReverse } of message.addresses) {
      const key = latin1Text(address, 0, address.length);
      const lifetimeMs = ttlSeconds * 1e3;
      // What people ask for tells more than what a host calls itself.
      if (isReverse && this.#told.find(key, atMs) !== null) continue;
      this.#told.learn(key, name, atMs, lifetimeMs);
      this.#told.learn(askerKey + key, name, atMs, lifetimeMs);
    }
  }

  /** Remembers the name `flow` showed for its server. */
  show(flow: Flow): void {
    if (flow.serverName === null) return;
    this.#shown.learn(siblingKey(flow), flow.serverName, flow.lastSeenMs, SIBLING_LIFETIME_MS);
  }

  /** Fills in what is known by now of the server of `flow`. */
  fill(flow: Flow): void {
    flow.dnsName ??= this.#toldName(flow);
    if (flow.serverName !== null) flow.siblingName = null;
    else flow.siblingName ??= this.#shown.find(siblingKey(flow), flow.lastSeenMs);
  }

  #toldName(flow: Flow): string | null {
    const { clientKey, serverKey, lastSeenMs } = flow;
    const name =
      this.#told.find(clientKey + serverKey, lastSeenMs) ?? this.#told.find(serverKey, lastSeenMs);
    if (name !== null || flow.clientClue !== "first") return name;
    // The first to speak may have been the server of a flow that was under way.
    return this.#told.find(serverKey + clientKey, lastSeenMs);
  }
}

function siblingKey(flow: Flow): string {
  return flow.serverKey + String.fromCharCode(flow.serverPort);
}
