// The coded sets: what was put in is found, and little else.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, FormatError } from "../../src/schema/varint.ts";
import {
  KEY_SET_ELEMENTS_MAX,
  keySetBytes,
  keySetElementsFitting,
  keySetHas,
  readKeySet,
  toRange,
  writeKeySet,
} from "../../src/sync/key-set.ts";

const hashes = fc.uint32Array({ maxLength: KEY_SET_ELEMENTS_MAX });

describe("a key set", () => {
  test("holds every hash that was written, in no more than the promised bytes", () => {
    fc.assert(
      fc.property(hashes, (written) => {
        const writer = new ByteWriter(new Uint8Array(keySetBytes(written.length)));
        writeKeySet(writer, Uint32Array.from(written));
        const values = readKeySet(new ByteReader(writer.written()));
        for (const hash of written) {
          expect(keySetHas(values, toRange(hash, values.length))).toBe(true);
        }
      }),
    );
  });

  test("mistakes about one absent hash in 256 for present", () => {
    const written = Uint32Array.from({ length: 400 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0);
    const writer = new ByteWriter(new Uint8Array(1_000));
    writeKeySet(writer, written);
    const values = readKeySet(new ByteReader(writer.written()));
    let mistaken = 0;
    for (let i = 0; i < 100_000; i += 1) {
      const absent = Math.imul(i + 500_000, 0x85ebca6b) >>> 0;
      if (keySetHas(values, toRange(absent, values.length))) mistaken += 1;
    }
    expect(mistaken / 100_000).toBeLessThan(1.3 / 256);
  });

  test("fits the room that it was counted for", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 960 }), (room) => {
        const count = keySetElementsFitting(room);
        if (count > 0) expect(keySetBytes(count)).toBeLessThanOrEqual(room);
      }),
    );
  });

  test("reads any bytes as a sorted set, or refuses them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 960 }), (bytes) => {
        try {
          const values = readKeySet(new ByteReader(bytes));
          expect([...values]).toEqual([...values].sort((a, b) => a - b));
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
