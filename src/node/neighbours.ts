// With whom a node talks: it keeps sessions with its neighbours on the rings, recalls the lost,
// and knocks at seeds while it knows nobody.

import type { Endpoint, Random } from "../kernel/ports.ts";
import { randomBelow } from "../kernel/random.ts";
import type { NodeId } from "../schema/node-id.ts";
import { keyToHex, nodeKey, SLOT_KIND } from "../schema/slot.ts";
import type { SlotTable } from "../sync/slot-table.ts";
import type { Links } from "./links.ts";
import type { Membership } from "./membership.ts";
import {
  CASUAL_DIAL_SENDS,
  DIAL_COURTESY_MS,
  REJOIN_INTERVAL_MS,
  SEED_INTERVAL_MS,
  UNMET_SEED_INTERVAL_MS,
} from "./pace.ts";
import type { Peer } from "./peer.ts";
import { type RingMember, ringNeighbours } from "./rings.ts";
import { nodeInfoAt } from "./views.ts";

export class Neighbours {
  readonly #selfId: NodeId;
  readonly #table: SlotTable;
  readonly #membership: Membership;
  readonly #links: Links;
  readonly #random: Random;
  /** Read anew at every use: names of seeds are resolved as time goes on. */
  readonly #seeds: readonly Endpoint[];
  #wanted: ReadonlySet<NodeId> = new Set();
  #wantedVersion = -1;
  #wantedSinceMs = 0;
  #dialCount = 0;
  #nextRejoinMs = 0;
  #nextSeedMs = 0;
  #nextSeed = 0;

  constructor(options: {
    selfId: NodeId;
    table: SlotTable;
    membership: Membership;
    links: Links;
    random: Random;
    seeds: readonly Endpoint[];
  }) {
    this.#selfId = options.selfId;
    this.#table = options.table;
    this.#membership = options.membership;
    this.#links = options.links;
    this.#random = options.random;
    this.#seeds = options.seeds;
  }

  /** The ring neighbours, as of the last `keep`. */
  get wanted(): ReadonlySet<NodeId> {
    return this.#wanted;
  }

  /** Keeps sessions with the ring neighbours; the lower id dials, the other waits a little. */
  keep(nowMs: number): void {
    if (this.#wantedVersion !== this.#membership.version) this.#choose(nowMs);
    for (const nodeId of this.#wanted) {
      const held = this.#links.peers.get(nodeId);
      if (held?.session != null || held?.dial != null) continue;
      const isOurTurn = this.#selfId < nodeId || nowMs - this.#wantedSinceMs >= DIAL_COURTESY_MS;
      if (isOurTurn) this.reach(nodeId, nowMs);
    }
  }

  /** Lost members are tried again for ever, one at a time: partitions end. Seeds while we are alone. */
  seekOthers(nowMs: number): void {
    if (nowMs >= this.#nextRejoinMs) {
      this.#nextRejoinMs = nowMs + REJOIN_INTERVAL_MS;
      const lost = this.#lostMembers();
      if (lost.length > 0) this.reach(lost[randomBelow(this.#random, lost.length)]!, nowMs);
    }
    if (nowMs >= this.#nextSeedMs) this.#dialNextSeed(nowMs);
  }

  /** A peer to talk with: its session stands, or a dial to one of its endpoints is under way. */
  reach(nodeId: NodeId, nowMs: number): Peer | null {
    const slot = this.#table.findKey(SLOT_KIND.node, nodeKey(nodeId));
    const held = this.#links.peers.get(nodeId);
    if (slot < 0) return held ?? null;
    const endpoints = nodeInfoAt(this.#table, slot).endpoints;
    const endpoint = held?.endpoint ?? endpoints[0];
    if (endpoint === undefined) return null;
    const peer = this.#links.peerFor(nodeId, endpoint, nowMs);
    if (peer === null || peer.session !== null) return peer;
    // It may listen elsewhere now: each new dial tries the next of its endpoints.
    if (peer.dial === null && endpoints.length > 0) {
      peer.endpoint = endpoints[this.#dialCount++ % endpoints.length]!;
    }
    const isWanted = this.#wanted.has(nodeId);
    this.#links.dial(peer, nowMs, isWanted ? Number.POSITIVE_INFINITY : CASUAL_DIAL_SENDS);
    return peer;
  }

  #choose(nowMs: number): void {
    const others: RingMember[] = [];
    for (const slot of this.#table.slots()) {
      if (!this.#membership.isMember(slot) || !this.#membership.isLiving(slot)) continue;
      const member = this.#ringMember(slot);
      if (member.nodeId !== this.#selfId) others.push(member);
    }
    const { high, low } = nodeKey(this.#selfId);
    this.#wanted = ringNeighbours({ nodeId: this.#selfId, keyHigh: high, keyLow: low }, others);
    this.#wantedVersion = this.#membership.version;
    this.#wantedSinceMs = nowMs;
  }

  /** A seed that is no member's endpoint may stand in a part of the cluster that we never met. */
  #dialNextSeed(nowMs: number): void {
    const isAlone = this.#links.sessionCount === 0;
    this.#nextSeedMs = nowMs + (isAlone ? SEED_INTERVAL_MS : UNMET_SEED_INTERVAL_MS);
    if (this.#seeds.length === 0) return;
    const seed = this.#seeds[this.#nextSeed++ % this.#seeds.length]!;
    if (isAlone || !this.#isMemberEndpoint(seed)) this.#links.dialSeed(seed, nowMs);
  }

  #isMemberEndpoint(endpoint: Endpoint): boolean {
    for (const slot of this.#table.slots()) {
      if (this.#table.kind(slot) !== SLOT_KIND.node) continue;
      if (nodeInfoAt(this.#table, slot).endpoints.includes(endpoint)) return true;
    }
    return false;
  }

  #lostMembers(): NodeId[] {
    const lost: NodeId[] = [];
    for (const slot of this.#table.slots()) {
      if (this.#membership.isMember(slot) && this.#membership.status(slot) === "dead") {
        lost.push(this.#ringMember(slot).nodeId);
      }
    }
    return lost;
  }

  #ringMember(slot: number): RingMember {
    const keyHigh = this.#table.keyHigh(slot);
    const keyLow = this.#table.keyLow(slot);
    return { nodeId: keyToHex({ high: keyHigh, low: keyLow }), keyHigh, keyLow };
  }
}
