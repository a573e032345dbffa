// Which members a node keeps sessions with: its neighbours on a few rings, each ring the
// living members ordered by a different hash. Two members compute the same edge from the
// same table, every ring alone connects all, and several random rings make a good expander
// (Law and Siu, "Distributed construction of random expander networks", 2003).

import type { NodeId } from "../schema/node-id.ts";
import { saltedHash } from "../sync/merkle.ts";

/** Each ring gives two neighbours. */
export const RING_COUNT = 4;
/** Places on a ring: a u32 hash. */
const RING_PLACES = 2 ** 32;

/** One member as a ring sees it. */
export interface RingMember {
  readonly nodeId: NodeId;
  readonly keyHigh: number;
  readonly keyLow: number;
}

/** The neighbours of `self` among `others`, which does not hold `self`: at most 2 × RING_COUNT. */
export function ringNeighbours(self: RingMember, others: readonly RingMember[]): Set<NodeId> {
  const neighbours = new Set<NodeId>();
  for (let ring = 0; ring < RING_COUNT; ring += 1) {
    const own = place(self, ring);
    let successor: RingMember | null = null;
    let predecessor: RingMember | null = null;
    let nearestAfter = Number.POSITIVE_INFINITY;
    let nearestBefore = Number.POSITIVE_INFINITY;
    for (const other of others) {
      // Members at one place stand in the order of their ids, so that all see the same ring.
      const isBehind = other.nodeId < self.nodeId;
      const after = distance(own, place(other, ring), isBehind);
      const before = distance(place(other, ring), own, !isBehind);
      if (after < nearestAfter || (after === nearestAfter && other.nodeId < successor!.nodeId)) {
        nearestAfter = after;
        successor = other;
      }
      if (
        before < nearestBefore ||
        (before === nearestBefore && other.nodeId > predecessor!.nodeId)
      ) {
        nearestBefore = before;
        predecessor = other;
      }
    }
    if (successor !== null) neighbours.add(successor.nodeId);
    if (predecessor !== null) neighbours.add(predecessor.nodeId);
  }
  return neighbours;
}

function place(member: RingMember, ring: number): number {
  return saltedHash(member.keyHigh, member.keyLow, ring);
}

/** The way around the ring from one place to another; the whole of it where `to` stands just behind. */
function distance(from: number, to: number, isBehind: boolean): number {
  return from === to && isBehind ? RING_PLACES : (to - from) >>> 0;
}
