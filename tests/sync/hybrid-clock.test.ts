// The hybrid clock: stamps that only grow, whatever the wall clock and the others do.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CLOCK_DRIFT_MAX_MS,
  HybridClock,
  STAMPS_PER_MS,
  stampMs,
} from "../../src/sync/hybrid-clock.ts";

const NOW_MS = 1_800_000_000_000;
const wallMs = fc.integer({ min: NOW_MS - 60_000, max: NOW_MS + 60_000 });

type Step =
  | { readonly do: "next"; readonly nowMs: number }
  | { readonly do: "observe" | "restore"; readonly nowMs: number; readonly stamp: number };

const stamp = wallMs.map((ms) => ms * STAMPS_PER_MS + (ms % STAMPS_PER_MS));
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("next" as const), nowMs: wallMs }),
  fc.record({ do: fc.constantFrom("observe" as const, "restore" as const), nowMs: wallMs, stamp }),
);

describe("a hybrid clock", () => {
  test("gives stamps above all that it gave or took note of, whatever the wall clock does", () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const clock = new HybridClock();
        let greatest = 0;
        for (const each of steps) {
          if (each.do === "next") {
            const given = clock.next(each.nowMs);
            expect(given).toBeGreaterThan(greatest);
            expect(stampMs(given)).toBeGreaterThanOrEqual(each.nowMs);
            greatest = given;
          } else if (each.do === "restore") {
            clock.restore(each.stamp);
            greatest = Math.max(greatest, each.stamp);
          } else if (clock.observe(each.stamp, each.nowMs)) {
            greatest = Math.max(greatest, each.stamp);
          }
          expect(clock.last).toBe(greatest);
        }
      }),
    );
  });

  test("takes note of a stamp up to the bound ahead, and of none beyond", () => {
    const atBound = (NOW_MS + CLOCK_DRIFT_MAX_MS) * STAMPS_PER_MS + STAMPS_PER_MS - 1;
    const clock = new HybridClock();
    expect(clock.observe(atBound + 1, NOW_MS)).toBe(false);
    expect(clock.last).toBe(0);
    expect(clock.observe(atBound, NOW_MS)).toBe(true);
    expect(clock.last).toBe(atBound);
  });

  test("follows the wall clock again once it has caught up", () => {
    const clock = new HybridClock();
    clock.observe((NOW_MS + 5_000) * STAMPS_PER_MS, NOW_MS);
    expect(stampMs(clock.next(NOW_MS))).toBe(NOW_MS + 5_000);
    expect(clock.next(NOW_MS + 6_000)).toBe((NOW_MS + 6_000) * STAMPS_PER_MS);
  });

  test("gives whole stamps for a wall clock with fractions", () => {
    expect(Number.isSafeInteger(new HybridClock().next(NOW_MS + 0.7))).toBe(true);
  });

  test("gives safe integers until the year 2109", () => {
    const lastMs = 2 ** 42 - 1;
    expect(new Date(lastMs).getUTCFullYear()).toBe(2109);
    expect(Number.isSafeInteger(new HybridClock().next(lastMs))).toBe(true);
  });
});
