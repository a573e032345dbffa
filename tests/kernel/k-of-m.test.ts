import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KOfM } from "../../src/kernel/k-of-m.ts";

describe("k of m", () => {
  test("says what counting the last m votes says", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 0, max: 63 }),
        fc.array(fc.boolean(), { maxLength: 300 }),
        (m, lessThanM, votes) => {
          const k = Math.max(1, m - lessThanM);
          const verdict = new KOfM(k, m);
          votes.forEach((vote, index) => {
            const expected = votes.slice(Math.max(0, index + 1 - m), index + 1).filter(Boolean);
            expect(verdict.vote(vote)).toBe(expected.length >= k);
            expect(verdict.count).toBe(expected.length);
          });
        },
      ),
    );
  });

  test("starts anew after clear", () => {
    const verdict = new KOfM(2, 3);
    verdict.vote(true);
    verdict.vote(true);
    verdict.clear();
    expect(verdict.carried).toBe(false);
    expect(verdict.vote(true)).toBe(false);
    expect(verdict.vote(true)).toBe(true);
  });

  test("refuses a k above m", () => {
    expect(() => new KOfM(4, 3)).toThrow("k of m");
  });
});
