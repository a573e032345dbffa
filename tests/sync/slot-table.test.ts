// The slot table against a plain model: last writer wins, whatever the order of arrival.

import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOT_KIND, type Slot } from "../../src/schema/slot.ts";
import { SlotTable } from "../../src/sync/slot-table.ts";
import { makeSlot, type SlotShape } from "./slots.ts";

const slotShape: fc.Arbitrary<SlotShape> = fc.record({
  kind: fc.constantFrom(SLOT_KIND.service, SLOT_KIND.node),
  key: fc.integer({ min: 0, max: 11 }),
  stamp: fc.integer({ min: 1, max: 20 }),
  author: fc.integer({ min: 0, max: 3 }),
  tombstone: fc.boolean(),
  bodyBytes: fc.integer({ min: 0, max: 120 }),
});

describe("a slot table", () => {
  test("holds the winner of each key, in whatever order the slots came", () => {
    fc.assert(
      fc.property(
        fc.array(slotShape, { maxLength: 60 }),
        fc.infiniteStream(fc.nat()),
        (shapes, order) => {
          const slots = shapes.map(makeSlot);
          const forwards = tableOf(slots);
          const shuffled = tableOf(shuffle(slots, order));
          expect(contents(shuffled)).toEqual(contents(forwards));
          expect(contents(forwards)).toEqual(modelOf(slots));
          expect(rootOf(shuffled)).toBe(rootOf(forwards));
        },
      ),
    );
  });

  test("keeps every record whole while replaced ones leave holes in a tight arena", () => {
    // Given room for one record of each key and little more
    const table = new SlotTable(16, 1_200);
    const slots = Array.from({ length: 400 }, (_, i) =>
      makeSlot({ kind: SLOT_KIND.node, key: i % 5, stamp: i + 1, author: 0, bodyBytes: i % 100 }),
    );
    // When each is replaced many times
    for (const slot of slots) expect(apply(table, slot)).not.toBe("full");
    // Then the last of each stands, to the byte
    expect(contents(table)).toEqual(modelOf(slots));
  });

  test("has the root of what it holds, after removals too", () => {
    fc.assert(
      fc.property(
        fc.array(slotShape, { maxLength: 40 }),
        fc.array(fc.nat(11)),
        (shapes, removed) => {
          const table = tableOf(shapes.map(makeSlot));
          for (const key of removed) {
            const slot = makeSlot({
              kind: SLOT_KIND.service,
              key,
              stamp: 1,
              author: 0,
              bodyBytes: 0,
            });
            const held = table.find(slot.kind, slot.keyHigh, slot.keyLow);
            if (held >= 0) table.remove(held);
          }
          const again = tableOf([...table.sortedRecords()].map((record) => readBack(record)));
          expect(rootOf(table)).toBe(rootOf(again));
          expect(table.size).toBe(again.size);
          expect(table.recordBytes).toBe(again.recordBytes);
        },
      ),
    );
  });

  test("survives any number of insertions and removals under changing keys", () => {
    const table = new SlotTable(32, 8_192);
    for (let i = 0; i < 5_000; i += 1) {
      const slot = makeSlot({ kind: SLOT_KIND.node, key: i, stamp: 1, author: 0, bodyBytes: 10 });
      expect(apply(table, slot)).toBe("new");
      const held = table.find(slot.kind, slot.keyHigh, slot.keyLow);
      expect(held).toBeGreaterThanOrEqual(0);
      if (i % 3 !== 0 || table.size > 20) table.remove(held);
    }
    expect(table.size).toBeLessThanOrEqual(21);
  });

  test("refuses a service when seven eighths are taken, and still takes a revocation", () => {
    const table = new SlotTable(8, 65_536);
    const results = Array.from({ length: 8 }, (_, key) =>
      apply(table, makeSlot({ kind: SLOT_KIND.service, key, stamp: 1, author: 0, bodyBytes: 1 })),
    );
    expect(results).toEqual([...Array(7).fill("new"), "full"]);
    const revocation = makeSlot({
      kind: SLOT_KIND.revocation,
      key: 1,
      stamp: 1,
      author: 0,
      bodyBytes: 1,
    });
    expect(apply(table, revocation)).toBe("new");
  });

  test("has room for a revocation however much its services have grown", () => {
    // Given small services that were each replaced by the largest there is room for
    const table = new SlotTable(64, 4_096);
    const service = (key: number, stamp: number, bodyBytes: number) =>
      makeSlot({ kind: SLOT_KIND.service, key, stamp, author: 0, bodyBytes });
    for (let key = 0; key < 20; key += 1) apply(table, service(key, 1, 10));
    for (let bytes = 600; bytes > 10; bytes = Math.floor(bytes / 2)) {
      for (let key = 0; key < 20; key += 1) {
        const held = table.findKey(SLOT_KIND.service, keyOf(key));
        if (table.recordLength(held) < 110) apply(table, service(key, 2, bytes));
      }
    }
    // Then one of another kind still finds its place, and so does a deletion
    const revocation = { kind: SLOT_KIND.revocation, key: 1, stamp: 1, author: 0, bodyBytes: 1 };
    expect(apply(table, makeSlot(revocation))).toBe("new");
    const deletion = { kind: SLOT_KIND.service, key: 7, stamp: 3, author: 0, bodyBytes: 0 };
    expect(apply(table, makeSlot({ ...deletion, tombstone: true }))).toBe("newer");
  });

  test("keeps the old record when there is no room for its successor", () => {
    const table = new SlotTable(8, 300);
    const old = makeSlot({ kind: SLOT_KIND.node, key: 1, stamp: 1, author: 0, bodyBytes: 100 });
    const larger = makeSlot({ kind: SLOT_KIND.node, key: 1, stamp: 2, author: 0, bodyBytes: 400 });
    apply(table, old);
    expect(apply(table, larger)).toBe("full");
    expect(contents(table)).toEqual(modelOf([old]));
  });
});

/** The key of every test slot with this number. */
function keyOf(key: number): { high: number; low: number } {
  const slot = makeSlot({ kind: SLOT_KIND.service, key, stamp: 1, author: 0, bodyBytes: 0 });
  return { high: slot.keyHigh, low: slot.keyLow };
}

function tableOf(slots: readonly Slot[]): SlotTable {
  const table = new SlotTable(64, 65_536);
  for (const slot of slots) apply(table, slot);
  return table;
}

function apply(table: SlotTable, slot: Slot): string {
  return table.apply(slot, createHash("sha256").update(slot.record).digest());
}

function contents(table: SlotTable): string[] {
  return [...table.sortedRecords()].map((record) => Buffer.from(record).toString("hex")).sort();
}

/** The same rule, in the plainest words: stamp, then author, then bytes. */
function modelOf(slots: readonly Slot[]): string[] {
  const winners = new Map<string, Slot>();
  for (const slot of slots) {
    const key = `${slot.kind}:${slot.keyHigh}:${slot.keyLow}`;
    const held = winners.get(key);
    if (held === undefined || rank(slot) > rank(held)) winners.set(key, slot);
  }
  return [...winners.values()].map((slot) => Buffer.from(slot.record).toString("hex")).sort();
}

function rank(slot: Slot): string {
  const stamp = String(slot.stamp).padStart(16, "0");
  return `${stamp}/${slot.author}/${Buffer.from(slot.record).toString("hex")}`;
}

function rootOf(table: SlotTable): string {
  return `${table.merkle.rootHigh}:${table.merkle.rootLow}`;
}

function shuffle<T>(items: readonly T[], order: fc.Stream<number>): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = order.next().value! % (i + 1);
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

function readBack(record: Uint8Array): Slot {
  return makeSlot.read(record);
}
