// Two tables that exchange lists end up equal, however they differed.

import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FRAMES_BYTES, readListHead } from "../../src/schema/frame.ts";
import { readSlot, SLOT_KIND } from "../../src/schema/slot.ts";
import { ByteReader, ByteWriter, FormatError } from "../../src/schema/varint.ts";
import {
  compareWithList,
  readDifferingBuckets,
  writeBucketList,
  writeBuckets,
  writeRecentList,
} from "../../src/sync/anti-entropy.ts";
import { SlotTable } from "../../src/sync/slot-table.ts";
import { makeSlot, type SlotShape } from "./slots.ts";

const shapes = fc.array(
  fc.record({
    kind: fc.constantFrom(SLOT_KIND.service, SLOT_KIND.node),
    key: fc.integer({ min: 0, max: 400 }),
    stamp: fc.integer({ min: 1, max: 1_000 }),
    author: fc.constant(1),
    bodyBytes: fc.constant(3),
  }),
  { maxLength: 300 },
);

describe("anti-entropy", () => {
  test("makes any two tables equal by lists and bucket lists alone", () => {
    fc.assert(
      fc.property(shapes, shapes, (left, right) => {
        const a = tableOf(left);
        const b = tableOf(right);
        for (let round = 0; round < 40 && !equal(a, b); round += 1) {
          pull(a, b, round * 2);
          pull(b, a, round * 2 + 1);
        }
        expect(equal(a, b)).toBe(true);
        expect([...a.sortedRecords()]).toEqual([...b.sortedRecords()]);
      }),
      { numRuns: 60 },
    );
  });

  test("finds an equal table to lack nothing, and nothing older to differ", () => {
    fc.assert(
      fc.property(shapes, fc.nat(), (left, salt) => {
        const a = tableOf(left);
        const comparison = compare(a, tableOf(left), { countMax: 20, salt });
        expect(comparison).toEqual({ lacking: [], weAreBehind: false, olderDiffers: false });
      }),
    );
  });

  test("tells that something older differs when the recent slots are the same", () => {
    const shared = range(1, 30).map((i) => shape(i, 500 + i));
    const a = tableOf(shared);
    const b = tableOf([...shared, shape(99, 1)]);
    expect(compare(a, b, { countMax: 10, salt: 1 })).toEqual({
      lacking: [],
      weAreBehind: false,
      olderDiffers: true,
    });
  });

  test("reads any bytes as lists and buckets, or refuses them", () => {
    const table = tableOf(range(0, 50).map((i) => shape(i, i + 1)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 960 }), (bytes) => {
        for (const read of [
          () => {
            const reader = new ByteReader(bytes);
            compareWithList(reader, readListHead(reader), table);
          },
          () => readDifferingBuckets(new ByteReader(bytes), table),
        ]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

/** `asker` sends a recent list; `asked` hands over what it lacks, or its buckets. */
function pull(asker: SlotTable, asked: SlotTable, salt: number): void {
  const comparison = compare(asker, asked, { countMax: 40, salt });
  give(asked, comparison.lacking.slice(0, 25), asker);
  if (!comparison.olderDiffers) return;
  const buckets = new ByteWriter(new Uint8Array(FRAMES_BYTES));
  writeBuckets(buckets, asked, salt);
  const differing = readDifferingBuckets(new ByteReader(buckets.written(), 1), asker);
  if (differing === null) return;
  const list = new ByteWriter(new Uint8Array(FRAMES_BYTES));
  writeBucketList(list, asker, differing, { roomBytes: FRAMES_BYTES, salt, wantsAnswer: true });
  const reader = new ByteReader(list.written(), 1);
  give(asked, compareWithList(reader, readListHead(reader), asked).lacking.slice(0, 25), asker);
}

function compare(asker: SlotTable, asked: SlotTable, options: { countMax: number; salt: number }) {
  const writer = new ByteWriter(new Uint8Array(FRAMES_BYTES));
  writeRecentList(writer, asker, { roomBytes: FRAMES_BYTES, wantsAnswer: false, ...options });
  const reader = new ByteReader(writer.written(), 1);
  return compareWithList(reader, readListHead(reader), asked);
}

function give(from: SlotTable, slots: readonly number[], to: SlotTable): void {
  for (const slot of slots) {
    const record = from.record(slot).slice();
    to.apply(readSlot(record)!, createHash("sha256").update(record).digest());
  }
}

function tableOf(slots: readonly SlotShape[]): SlotTable {
  const table = new SlotTable(1_024, 262_144);
  for (const each of slots) {
    const slot = makeSlot(each);
    table.apply(slot, createHash("sha256").update(slot.record).digest());
  }
  return table;
}

function equal(a: SlotTable, b: SlotTable): boolean {
  return a.merkle.rootHigh === b.merkle.rootHigh && a.merkle.rootLow === b.merkle.rootLow;
}

function shape(key: number, stamp: number): SlotShape {
  return { kind: SLOT_KIND.service, key, stamp, author: 1, bodyBytes: 3 };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
