import { expect, test } from "vitest";
import { SystemRandom } from "../../src/io/random.ts";

test("numbers are u32, and do not repeat when the pool is filled again", () => {
  const random = new SystemRandom();
  const drawn = Array.from({ length: 2_000 }, () => random.u32());
  expect(drawn.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32)).toBe(true);
  // 2,000 draws of 2^32 repeat one number with a chance of 1 in 2,100; six, never.
  expect(new Set(drawn).size).toBeGreaterThan(1_994);
});

test("bytes are as many as asked for, in their own memory, and differ", () => {
  const random = new SystemRandom();
  expect(random.bytes(0)).toHaveLength(0);
  const first = random.bytes(32);
  expect(first.constructor).toBe(Uint8Array);
  expect(first).toHaveLength(32);
  expect(first).not.toEqual(random.bytes(32));
});
