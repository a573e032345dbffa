// The cursors over bytes: what is written is read back, what cannot be is refused in one way.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/kernel/assert.ts";
import { ByteReader, ByteWriter, FormatError } from "../../src/schema/varint.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const safeInteger = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 32, MAX));

type Item =
  | { readonly kind: "u8" | "u16" | "u32" | "u64" | "varint"; readonly value: number }
  | { readonly kind: "block"; readonly value: Uint8Array }
  | { readonly kind: "string"; readonly value: string };

const numberItem = <Kind extends "u8" | "u16" | "u32" | "u64" | "varint">(
  kind: Kind,
  value: fc.Arbitrary<number>,
) => fc.record({ kind: fc.constant(kind), value });

const item: fc.Arbitrary<Item> = fc.oneof(
  numberItem("u8", fc.nat(0xff)),
  numberItem("u16", fc.nat(0xffff)),
  numberItem("u32", fc.nat(0xffff_ffff)),
  numberItem("u64", safeInteger),
  numberItem("varint", safeInteger),
  fc.record({ kind: fc.constant("block" as const), value: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({
    kind: fc.constant("string" as const),
    value: fc.string({ unit: "grapheme", maxLength: 10 }),
  }),
);

describe("what a writer wrote", () => {
  test("is read back, item by item, to the last byte", () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 20 }), (items) => {
        const writer = new ByteWriter(new Uint8Array(4_096));
        for (const each of items) write(writer, each);
        const reader = new ByteReader(writer.written());
        for (const each of items) expect(read(reader, each.kind)).toEqual(each.value);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  test("takes as many bytes as the number needs, 8 at most", () => {
    const lengths = [0, 127, 128, 16_383, 16_384, MAX].map((value) => varintBytes(value).length);
    expect(lengths).toEqual([1, 1, 2, 2, 3, 8]);
  });
});

describe("a writer", () => {
  test("never writes past the end of its bytes", () => {
    fc.assert(
      fc.property(fc.nat(12), fc.array(item, { maxLength: 6 }), (room, items) => {
        const memory = new Uint8Array(room + 16).fill(0xee);
        const writer = new ByteWriter(memory.subarray(0, room));
        try {
          for (const each of items) write(writer, each);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
        expect(memory.subarray(room)).toEqual(new Uint8Array(16).fill(0xee));
      }),
    );
  });

  test.each([-1, 0.5, MAX + 1, Number.NaN])("does not take %s for an integer", (value) => {
    const writer = new ByteWriter(new Uint8Array(16));
    expect(() => writer.u64(value)).toThrow(AssertionError);
    expect(() => writer.varint(value)).toThrow(AssertionError);
  });
});

describe("a reader", () => {
  test("meets any bytes with a value or a FormatError", () => {
    const kinds = fc.array(fc.constantFrom("u8", "u16", "u32", "u64", "varint", "block", "string"));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), kinds, (bytes, wanted) => {
        const reader = new ByteReader(bytes);
        try {
          for (const kind of wanted) read(reader, kind as Item["kind"]);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
        expect(reader.offset).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });

  test("takes the greatest safe integer and refuses the next, fixed or varint", () => {
    const nextU64 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0);
    const nextVarint = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    expect(new ByteReader(varintBytes(MAX)).varint()).toBe(MAX);
    expect(() => new ByteReader(nextU64).u64()).toThrow(FormatError);
    expect(() => new ByteReader(nextVarint).varint()).toThrow(FormatError);
  });

  test("refuses a varint that is longer than it needs to be, or does not end", () => {
    expect(() => new ByteReader(Uint8Array.of(0x85, 0x00)).varint()).toThrow(
      "longer than it needs",
    );
    expect(() => new ByteReader(new Uint8Array(12).fill(0x80)).varint()).toThrow("does not end");
  });

  test("gives each number one encoding only", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 8 }), (bytes) => {
        const reader = new ByteReader(bytes);
        let value: number;
        try {
          value = reader.varint();
        } catch {
          return;
        }
        expect(varintBytes(value)).toEqual(bytes.slice(0, reader.offset));
      }),
    );
  });

  test("refuses a block above what is allowed, or above what is there, and allocates nothing", () => {
    const claim = varintBytes(MAX);
    expect(() => new ByteReader(claim).block(100)).toThrow(FormatError);
    expect(() => new ByteReader(claim).block(MAX)).toThrow("ends too early");
  });

  test("refuses a string that is not UTF-8", () => {
    expect(() => new ByteReader(Uint8Array.of(2, 0xc3, 0x28)).string(10)).toThrow(FormatError);
  });

  test("stays before the end it was given", () => {
    const reader = new ByteReader(Uint8Array.of(1, 2, 3), 0, 2);
    expect(reader.u16()).toBe(0x0201);
    expect(() => reader.u8()).toThrow(FormatError);
  });
});

function write(writer: ByteWriter, each: Item): void {
  if (each.kind === "block") writer.block(each.value);
  else if (each.kind === "string") writer.string(each.value);
  else writer[each.kind](each.value);
}

function read(reader: ByteReader, kind: Item["kind"]): unknown {
  if (kind === "block") return reader.block(64).slice();
  if (kind === "string") return reader.string(400);
  return reader[kind]();
}

function varintBytes(value: number): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(8));
  writer.varint(value);
  return writer.written().slice();
}
