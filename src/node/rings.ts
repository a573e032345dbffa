// Which members a node keeps sessions with: its neighbours on a few rings, each ring the
// living members ordered by a different hash. Two members compute the same edge from the
// same table, every ring alone connects all, and several random rings make a good expander
// (Law and Siu, "Distributed construction of random expander networks", 2003).

import type { NodeId } from "../schema/node-id.ts";
import { saltedHash } from "../sync/merkle.ts";

/** Each ring gives two neighbours. */
export const RING_COUNT = 4;

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
      // Distance around the ring; equal places are told apart by their order in the table.
      const after = (place(other, ring) - own) >>> 0;
      const before = (own - place(other, ring)) >>> 0;
      if (after < nearestAfter) {
        nearestAfter = after;
        successor = other;
      }
      if (before < nearestBefore) {
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
