// Placement: the same answer everywhere, and little moves when the cluster changes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PlacementNode, place } from "../../src/engine/placement.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { nodeIdFrom, serviceSpec } from "./specs.ts";

const wholeRoster = { rosterSize: 1, reachableCount: 1 };

function node(id: string, changes: Partial<PlacementNode> = {}): PlacementNode {
  return {
    nodeId: id,
    zone: 0,
    arch: "x86_64",
    devices: [],
    labels: [],
    memoryMiB: 1024,
    draining: false,
    status: "alive",
    ...changes,
  };
}

const anyKey = fc.record({
  high: fc.integer({ min: 0, max: 0xffff_ffff }),
  low: fc.integer({ min: 0, max: 0xffff_ffff }),
});
const anyNodes = fc
  .uniqueArray(fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }), { minLength: 1, maxLength: 20 })
  .chain((ids) =>
    fc
      .array(fc.integer({ min: 0, max: 3 }), { minLength: ids.length, maxLength: ids.length })
      .map((zones) => ids.map((id, i) => node(nodeIdFrom(id), { zone: zones[i]! }))),
  );
const anyReplicas = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant("all" as const));

describe("place", () => {
  test("gives the same nodes in the same order, whatever the order it is told them in", () => {
    fc.assert(
      fc.property(anyKey, anyNodes, anyReplicas, fc.nat(), (key, nodes, replicas, turn) => {
        const spec = serviceSpec({ replicas });
        const cut = turn % nodes.length;
        const shuffled = [...nodes.slice(cut), ...nodes.slice(0, cut)].reverse();
        expect(place({ key, spec }, shuffled, wholeRoster)).toEqual(
          place({ key, spec }, nodes, wholeRoster),
        );
      }),
    );
  });

  test("names each node once, as many as asked for or as there are", () => {
    fc.assert(
      fc.property(anyKey, anyNodes, anyReplicas, (key, nodes, replicas) => {
        const placed = place({ key, spec: serviceSpec({ replicas }) }, nodes, wholeRoster);
        const wanted = replicas === "all" ? nodes.length : Math.min(replicas, nodes.length);
        expect(placed).toHaveLength(wanted);
        expect(new Set(placed).size).toBe(wanted);
      }),
    );
  });

  test("when a node goes away, every other node that ran the service keeps it", () => {
    fc.assert(
      fc.property(anyKey, anyNodes, anyReplicas, fc.nat(), (key, nodes, replicas, pick) => {
        const spec = serviceSpec({ replicas });
        const gone = nodes[pick % nodes.length]!;
        const before = place({ key, spec }, nodes, wholeRoster);
        const after = place(
          { key, spec },
          nodes.filter((other) => other !== gone),
          wholeRoster,
        );
        for (const owner of before) if (owner !== gone.nodeId) expect(after).toContain(owner);
      }),
    );
  });

  test("uses every zone once before it uses one twice", () => {
    fc.assert(
      fc.property(anyKey, anyNodes, fc.integer({ min: 1, max: 8 }), (key, nodes, replicas) => {
        const placed = place({ key, spec: serviceSpec({ replicas }) }, nodes, wholeRoster);
        const zoneOf = new Map(nodes.map((n) => [n.nodeId, n.zone]));
        const zonesUsed = new Set(placed.map((id) => zoneOf.get(id)));
        const zonesThere = new Set(nodes.map((n) => n.zone));
        expect(zonesUsed.size).toBe(Math.min(placed.length, zonesThere.size));
      }),
    );
  });

  test("spreads 10,000 services over 20 nodes within 20 % of the mean", () => {
    const random = new SeededRandom(7n);
    // Ids that differ in one byte are the hardest for a weak hash.
    const nodes = Array.from({ length: 20 }, (_, i) => node(nodeIdFrom(BigInt(i))));
    const load = new Map(nodes.map((n) => [n.nodeId, 0]));
    for (let i = 0; i < 10_000; i += 1) {
      const key = { high: random.u32(), low: random.u32() };
      for (const id of place({ key, spec: serviceSpec({}) }, nodes, wholeRoster)) {
        load.set(id, load.get(id)! + 1);
      }
    }
    for (const count of load.values()) {
      expect(count).toBeGreaterThan(400);
      expect(count).toBeLessThan(600);
    }
  });

  test("spreads services whose keys differ in one half only", () => {
    const nodes = Array.from({ length: 4 }, (_, i) => node(nodeIdFrom(BigInt(i) << 40n)));
    const load = new Map<string, number>();
    for (let i = 0; i < 4_000; i += 1) {
      const key = i % 2 === 0 ? { high: i, low: 0 } : { high: 0, low: i };
      const [owner] = place({ key, spec: serviceSpec({}) }, nodes, wholeRoster);
      load.set(owner!, (load.get(owner!) ?? 0) + 1);
    }
    for (const n of nodes) expect(load.get(n.nodeId)).toBeGreaterThan(850);
  });

  test("keeps giving the answer it gives today, since nodes of two versions must agree", () => {
    const nodes = Array.from({ length: 5 }, (_, i) => node(nodeIdFrom(BigInt(i + 1))));
    const key = { high: 0x01234567, low: 0x89abcdef };
    expect(place({ key, spec: serviceSpec({ replicas: 3 }) }, nodes, wholeRoster)).toEqual([
      "0000000000000004",
      "0000000000000003",
      "0000000000000005",
    ]);
  });

  const here = { zone: 3, arch: "aarch64", devices: ["/dev/dri"], memoryMiB: 512 } as const;
  const labelled = node(nodeIdFrom(1n), { ...here, labels: [["disk", "ssd"]] });
  const key = { high: 1, low: 2 };
  test.each<[string, Partial<ServiceSpec>, Partial<PlacementNode>, boolean]>([
    ["asks for nothing", {}, {}, true],
    ["is suspected", {}, { status: "suspect" }, true],
    ["is dead", {}, { status: "dead" }, false],
    ["drains", {}, { draining: true }, false],
    ["is in the zone", { zone: 3 }, {}, true],
    ["is in another zone", { zone: 0 }, {}, false],
    ["has one of the architectures", { arch: ["x86_64", "aarch64"] }, {}, true],
    ["has another architecture", { arch: ["x86_64"] }, {}, false],
    ["has the device", { devices: ["/dev/dri"] }, {}, true],
    ["lacks a device", { devices: ["/dev/dri", "/dev/kvm"] }, {}, false],
    ["carries the label", { labels: [["disk", "ssd"]] }, {}, true],
    ["carries the label with another value", { labels: [["disk", "hdd"]] }, {}, false],
    ["has just the memory", { memoryMaxBytes: 512 * 1024 * 1024 }, {}, true],
    ["has too little memory", { memoryMaxBytes: 512 * 1024 * 1024 + 1 }, {}, false],
  ])("a node that %s is eligible or not, accordingly", (_, wanted, changes, eligible) => {
    const nodes = [{ ...labelled, ...changes }];
    const placed = place({ key, spec: serviceSpec(wanted) }, nodes, wholeRoster);
    expect(placed).toEqual(eligible ? [labelled.nodeId] : []);
  });

  test("a singleton is placed once, and only within a majority of the roster", () => {
    const nodes = [node(nodeIdFrom(1n)), node(nodeIdFrom(2n))];
    const spec = serviceSpec({ singleton: true, replicas: 2 });
    expect(place({ key, spec }, nodes, { rosterSize: 3, reachableCount: 2 })).toHaveLength(1);
    expect(place({ key, spec }, nodes, { rosterSize: 4, reachableCount: 2 })).toEqual([]);
    expect(place({ key, spec }, nodes, { rosterSize: 5, reachableCount: 2 })).toEqual([]);
  });
});
