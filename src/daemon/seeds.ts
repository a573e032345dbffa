// The endpoints to meet the cluster through. Names are looked up at the start and again until
// they are found: at boot the resolver may come after this daemon.

import { lookup } from "node:dns/promises";
import { SEED_PEERS_MAX } from "../kernel/limits.ts";
import type { Endpoint } from "../kernel/ports.ts";
import { canonicalEndpoint } from "../schema/endpoint.ts";

/** How long after a failed look-up the next one comes. */
const RETRY_MS = 15_000;

/** Finds the addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly { address: string; family: number }[]>;

const resolveBySystem: Resolve = (host) => lookup(host, { all: true });

export class Seeds {
  /** Grows as names are found; the replica reads it whenever it needs one. */
  readonly endpoints: Endpoint[] = [];
  readonly #resolve: Resolve;
  #unresolved: string[];
  #nextTryMs = 0;
  #isTrying = false;

  /**
   * @param peers `HOST:PORT`, names or addresses
   * @param known endpoints from the invitation
   */
  constructor(
    peers: readonly string[],
    known: readonly Endpoint[],
    resolve: Resolve = resolveBySystem,
  ) {
    this.#resolve = resolve;
    this.#unresolved = peers.filter((peer) => canonicalEndpoint(peer) === null);
    for (const peer of peers) this.#add(canonicalEndpoint(peer));
    for (const endpoint of known) this.#add(endpoint);
  }

  /** Names that were not found yet. */
  get unresolved(): readonly string[] {
    return this.#unresolved;
  }

  /** Looks names up when it is time to. @param monotonicMs */
  async tick(monotonicMs: number): Promise<void> {
    if (this.#isTrying || this.#unresolved.length === 0 || monotonicMs < this.#nextTryMs) return;
    this.#isTrying = true;
    const missing: string[] = [];
    for (const peer of this.#unresolved) if (!(await this.#lookUp(peer))) missing.push(peer);
    this.#unresolved = missing;
    this.#nextTryMs = monotonicMs + RETRY_MS;
    this.#isTrying = false;
  }

  async #lookUp(peer: string): Promise<boolean> {
    const colon = peer.lastIndexOf(":");
    const port = peer.slice(colon + 1);
    try {
      for (const { address, family } of await this.#resolve(peer.slice(0, colon))) {
        this.#add(canonicalEndpoint(family === 6 ? `[${address}]:${port}` : `${address}:${port}`));
      }
      return true;
    } catch {
      return false;
    }
  }

  #add(endpoint: Endpoint | null): void {
    if (endpoint === null || this.endpoints.includes(endpoint)) return;
    if (this.endpoints.length < SEED_PEERS_MAX) this.endpoints.push(endpoint);
  }
}
