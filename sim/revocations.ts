// The keeper of the root key: revokes nodes one after the other, and insists until a node has
// taken each revocation for good.

import { randomBelow, type SeededRandom } from "../src/kernel/random.ts";
import { encodeRevocation } from "../src/node/authority.ts";
import type { NodeId } from "../src/schema/node-id.ts";
import { nodeKey, SLOT_KIND, writeSlot } from "../src/schema/slot.ts";
import { STAMPS_PER_MS } from "../src/sync/hybrid-clock.ts";
import type { ClusterPlan } from "./cluster.ts";
import type { NodeHost } from "./node-host.ts";
import { msOfTick } from "./time.ts";

const FIRST_TICK = 120;
const PACE_TICKS = 80;
/** A revocation that nobody is known to hold durably is handed out again. */
const RETRY_TICKS = 30;

interface Revocation {
  readonly nodeId: NodeId;
  readonly record: Uint8Array;
  offeredTick: number;
}

export class RevocationDesk {
  /** Nodes whose revocation was issued. */
  readonly revoked = new Set<NodeId>();
  readonly #root: ClusterPlan["root"];
  readonly #random: SeededRandom;
  readonly #victims: readonly NodeHost[];
  readonly #issued: Revocation[] = [];

  constructor(options: {
    root: ClusterPlan["root"];
    random: SeededRandom;
    victims: readonly NodeHost[];
  }) {
    this.#root = options.root;
    this.#random = options.random;
    this.#victims = options.victims;
  }

  /** Issues what is due, and offers again what none of `candidates` holds. */
  tick(tick: number, candidates: readonly NodeHost[]): void {
    if (candidates.length === 0) return;
    const next = this.#victims[this.#issued.length];
    if (next !== undefined && tick >= FIRST_TICK + this.#issued.length * PACE_TICKS) {
      this.#issued.push({ nodeId: next.nodeId, record: this.#sign(next, tick), offeredTick: 0 });
      this.revoked.add(next.nodeId);
    }
    for (const revocation of this.#issued) {
      if (tick - revocation.offeredTick < RETRY_TICKS) continue;
      if (candidates.some((host) => isKnownAt(host, revocation.nodeId))) continue;
      const host = candidates[randomBelow(this.#random, candidates.length)]!;
      revocation.offeredTick = tick;
      host.replica!.offerRecord(revocation.record, host.nowMs());
    }
  }

  /** Whether all were issued and `host` knows every one. */
  isCompleteAt(host: NodeHost): boolean {
    if (this.#issued.length < this.#victims.length) return false;
    return this.#issued.every(({ nodeId }) => isKnownAt(host, nodeId));
  }

  #sign(victim: NodeHost, tick: number): Uint8Array {
    const content = {
      kind: SLOT_KIND.revocation,
      tombstone: false,
      key: nodeKey(victim.nodeId),
      stamp: msOfTick(tick) * STAMPS_PER_MS,
      author: this.#root.nodeId,
      body: encodeRevocation(this.#issued.length + 1),
    };
    return writeSlot(content, this.#root.signer);
  }
}

function isKnownAt(host: NodeHost, nodeId: NodeId): boolean {
  if (host.replica === null) return false;
  return host.replica.table.findKey(SLOT_KIND.revocation, nodeKey(nodeId)) >= 0;
}
