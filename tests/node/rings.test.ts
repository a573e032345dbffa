// Which members talk: the same edges seen from both ends, few, and enough to connect all.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SeededRandom } from "../../src/kernel/random.ts";
import { RING_COUNT, type RingMember, ringNeighbours } from "../../src/node/rings.ts";
import { keyToHex } from "../../src/schema/slot.ts";
import { saltedHash } from "../../src/sync/merkle.ts";

const u32 = fc.nat(0xffff_ffff);
const members = fc
  .uniqueArray(fc.tuple(u32, u32), {
    minLength: 2,
    maxLength: 40,
    selector: ([high, low]) => `${high}/${low}`,
  })
  .map((keys) => keys.map(([high, low]) => member(high, low)));

describe("ring neighbours", () => {
  test("are mutual, few, and connect all, in whatever order the table lists them", () => {
    fc.assert(
      fc.property(members, (all) => {
        const edges = edgesOf(all);
        for (const [nodeId, neighbours] of edges) {
          expect(neighbours.has(nodeId)).toBe(false);
          expect(neighbours.size).toBeLessThanOrEqual(2 * RING_COUNT);
          expect(neighbours.size).toBeGreaterThan(0);
          for (const other of neighbours) expect(edges.get(other)!.has(nodeId)).toBe(true);
        }
        expect(reachable(edges).size).toBe(all.length);
        expect(edgesOf([...all].reverse())).toEqual(edges);
      }),
    );
  });

  test("are mutual and connect all even where places on a ring coincide", () => {
    // Given members of which half stand at one place of the first ring
    const colliding = [1, 2, 3, 4, 5, 6].map((low) => collidingMember(low, 0));
    const all = [...colliding, member(9, 9), member(8, 8)];
    const places = colliding.map((each) => saltedHash(each.keyHigh, each.keyLow, 0));
    expect(new Set(places).size).toBe(1);
    // Then the first ring alone goes through all of them, the same from either end
    for (const order of [all, [...all].reverse()]) {
      const edges = edgesOf(order);
      expect(edges).toEqual(edgesOf(all));
      for (const [nodeId, neighbours] of edges) {
        for (const other of neighbours) expect(edges.get(other)!.has(nodeId)).toBe(true);
      }
    }
  });

  test("change little when one member goes", () => {
    const random = new SeededRandom(4n);
    const all = Array.from({ length: 60 }, () => member(random.u32(), random.u32()));
    const before = edgesOf(all);
    const after = edgesOf(all.slice(1));
    const lost = before.get(all[0]!.nodeId)!;
    let changed = 0;
    for (const [nodeId, neighbours] of after) {
      const added = [...neighbours].filter((other) => !before.get(nodeId)!.has(other));
      changed += added.length;
      // Only who lost a neighbour gets a new one.
      if (added.length > 0) expect(lost.has(nodeId)).toBe(true);
    }
    expect(changed).toBeLessThanOrEqual(2 * RING_COUNT);
  });

  test("are none for one who is alone", () => {
    expect(ringNeighbours(member(1, 1), []).size).toBe(0);
  });

  test("leave no two of a hundred far apart", () => {
    const random = new SeededRandom(9n);
    const all = Array.from({ length: 100 }, () => member(random.u32(), random.u32()));
    const edges = edgesOf(all);
    for (const each of all.slice(0, 10)) expect(longestWay(edges, each.nodeId)).toBeLessThan(6);
  });
});

function member(keyHigh: number, keyLow: number): RingMember {
  return { nodeId: keyToHex({ high: keyHigh, low: keyLow }), keyHigh, keyLow };
}

/** A member with this low half whose high half puts it where `member(0, 0)` stands on `ring`. */
function collidingMember(keyLow: number, ring: number): RingMember {
  // saltedHash mixes the high half in by one XOR after the low half's first round.
  const round = (low: number): number => {
    const mixed = low ^ Math.imul(ring | 1, 0x9e3779b1);
    return Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  };
  return member((round(keyLow) ^ round(0)) >>> 0, keyLow);
}

function edgesOf(all: readonly RingMember[]): Map<string, Set<string>> {
  const edges = new Map<string, Set<string>>();
  for (const self of all) {
    const others = all.filter((other) => other !== self);
    edges.set(self.nodeId, ringNeighbours(self, others));
  }
  return edges;
}

function reachable(edges: Map<string, Set<string>>): Set<string> {
  const [start] = edges.keys();
  const seen = new Set<string>([start!]);
  for (const nodeId of seen) for (const next of edges.get(nodeId)!) seen.add(next);
  return seen;
}

function longestWay(edges: Map<string, Set<string>>, from: string): number {
  const distance = new Map<string, number>([[from, 0]]);
  for (const [nodeId, steps] of distance) {
    for (const next of edges.get(nodeId)!) {
      if (!distance.has(next)) distance.set(next, steps + 1);
    }
  }
  expect(distance.size).toBe(edges.size);
  return Math.max(...distance.values());
}
