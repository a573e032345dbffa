// The first bytes of a stream come out in order, however its pieces came; the pool stays bounded.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteStream, type StreamOwner, StreamPool } from "../../src/flow/tap/byte-stream.ts";
import { STREAM_BYTES_MAX } from "../../src/kernel/limits.ts";

/** Every byte tells where it stands. */
const content = Uint8Array.from(
  { length: STREAM_BYTES_MAX + 2_000 },
  (_, i) => (i * 31 + 7) & 0xff,
);

function expectPrefix(stream: ByteStream): void {
  const prefix = stream.bytes.subarray(0, stream.prefixLength);
  expect(prefix).toEqual(content.subarray(0, stream.prefixLength));
}

describe("a stream", () => {
  test("is whole when its pieces came shuffled, repeated and overlapping", () => {
    const length = 600;
    const piece = fc.record({ start: fc.nat(length), extra: fc.nat(200) });
    const shape = fc
      .uniqueArray(fc.integer({ min: 1, max: length - 1 }), { maxLength: 6 })
      .chain((cuts) => {
        const borders = [0, ...cuts.sort((a, b) => a - b), length];
        const pieces = borders.slice(0, -1).map((start, i) => [start, borders[i + 1]!] as const);
        return fc.tuple(
          fc.shuffledSubarray(pieces, { minLength: pieces.length }),
          fc.array(piece, { maxLength: 2 }),
        );
      });
    fc.assert(
      fc.property(shape, ([pieces, repeats]) => {
        const stream = new ByteStream();
        for (const { start, extra } of repeats) {
          stream.add(start, content, start, Math.min(length, start + extra));
        }
        for (const [start, end] of pieces) {
          stream.add(start, content, start, end);
          expectPrefix(stream);
        }
        expect(stream.prefixLength).toBe(length);
        expectPrefix(stream);
      }),
    );
  });

  test("never shows a byte that did not come, however many gaps there are", () => {
    const piece = fc.tuple(
      fc.integer({ min: -500, max: STREAM_BYTES_MAX + 500 }),
      fc.integer({ min: 0, max: 1_500 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const stream = new ByteStream();
        const came = new Uint8Array(STREAM_BYTES_MAX);
        for (const [offset, length] of pieces) {
          const source = new Uint8Array(length).map((_, i) => content[Math.max(0, offset + i)]!);
          stream.add(offset, source, 0, length);
          came.fill(1, Math.max(0, offset), Math.max(0, offset + length));
        }
        expectPrefix(stream);
        expect(came.subarray(0, stream.prefixLength).every((byte) => byte === 1)).toBe(true);
        expect(stream.isFull).toBe(stream.prefixLength === STREAM_BYTES_MAX);
      }),
    );
  });

  test("keeps the bytes that came in order first where a later piece says otherwise", () => {
    const stream = new ByteStream();
    stream.add(0, Uint8Array.of(1, 2, 3), 0, 3);
    stream.add(1, Uint8Array.of(9, 9, 4), 0, 3);
    expect(Array.from(stream.bytes.subarray(0, stream.prefixLength))).toEqual([1, 2, 3, 4]);
  });
});

describe("the pool", () => {
  const owner = (): StreamOwner => ({ stream: null });

  test("takes the stream lent longest ago when all are in use, and empties it", () => {
    const pool = new StreamPool(2);
    const [first, second, third] = [owner(), owner(), owner()];
    pool.lend(first).add(0, content, 0, 10);
    pool.lend(second);
    const stream = pool.lend(third);
    expect([first, second].filter((each) => each.stream === null)).toHaveLength(1);
    expect(stream.prefixLength).toBe(0);
    expect(third.stream).toBe(stream);
  });

  test("lends to each owner a stream of its own, and at most as many as it has", () => {
    const owners = Array.from({ length: 6 }, owner);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.boolean()), { maxLength: 60 }), (steps) => {
        for (const each of owners) each.stream = null;
        const pool = new StreamPool(3);
        for (const [index, gives] of steps) {
          const each = owners[index]!;
          if (gives) pool.takeBack(each);
          else if (each.stream === null) pool.lend(each);
          const lent = owners.flatMap((one) => one.stream ?? []);
          expect(new Set(lent).size).toBe(lent.length);
          expect(lent.length).toBeLessThanOrEqual(3);
        }
      }),
    );
  });
});
