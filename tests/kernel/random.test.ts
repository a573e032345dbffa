// The seeded generator: the same numbers everywhere, fair enough to simulate with.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { randomBelow, randomChance, SeededRandom } from "../../src/kernel/random.ts";

const seed = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe("a seeded generator", () => {
  test("gives the same numbers for the same seed, and others for another", () => {
    fc.assert(
      fc.property(seed, seed, (one, other) => {
        fc.pre(one !== other);
        expect(draw(new SeededRandom(one))).toEqual(draw(new SeededRandom(one)));
        expect(draw(new SeededRandom(one))).not.toEqual(draw(new SeededRandom(other)));
      }),
    );
  });

  test("gives these numbers on every machine", () => {
    expect(draw(new SeededRandom(1n))).toMatchInlineSnapshot(`
      [
        1695105466,
        1423115009,
        634581793,
        1068227753,
      ]
    `);
  });

  test("gives unsigned 32-bit integers", () => {
    const random = new SeededRandom(7n);
    for (let i = 0; i < 1_000; i += 1) {
      const value = random.u32();
      expect(Number.isInteger(value) && value >= 0 && value < 2 ** 32).toBe(true);
    }
  });

  test("gives as many bytes as asked for, the last word's rest unused", () => {
    fc.assert(
      fc.property(seed, fc.nat(70), (from, length) => {
        const bytes = new SeededRandom(from).bytes(length);
        expect(bytes.length).toBe(length);
        expect(bytes).toEqual(new SeededRandom(from).bytes(length + 9).subarray(0, length));
      }),
    );
  });

  test("forks a generator that goes its own way", () => {
    const random = new SeededRandom(3n);
    const fork = random.fork();
    expect(draw(fork)).not.toEqual(draw(random));
  });
});

describe("a draw below a bound", () => {
  test("stays below it, and comes to every value about equally often", () => {
    const random = new SeededRandom(11n);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 7_000; i += 1) counts[randomBelow(random, 7)]! += 1;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  test("draws again what would favour the low values", () => {
    // Given a source whose first number lies in the incomplete last group of 3
    const numbers = [0xffff_ffff, 5];
    const random = { u32: () => numbers.shift() ?? 0, bytes: () => new Uint8Array(0) };
    expect(randomBelow(random, 3)).toBe(2);
    expect(numbers).toEqual([]);
  });

  test("has only 0 below 1", () => {
    expect(randomBelow(new SeededRandom(1n), 1)).toBe(0);
  });
});

describe("a chance", () => {
  test("is never taken at 0 and always at 1", () => {
    const random = new SeededRandom(5n);
    for (let i = 0; i < 200; i += 1) {
      expect(randomChance(random, 0)).toBe(false);
      expect(randomChance(random, 1)).toBe(true);
    }
  });

  test("is taken about as often as it says", () => {
    const random = new SeededRandom(6n);
    let taken = 0;
    for (let i = 0; i < 10_000; i += 1) if (randomChance(random, 0.3)) taken += 1;
    expect(Math.abs(taken - 3_000)).toBeLessThan(200);
  });
});

function draw(random: SeededRandom): number[] {
  return Array.from({ length: 4 }, () => random.u32());
}
