// Waits between restarts: they grow, they are bounded, and a long life ends them.

import fc from "fast-check";
import { expect, test } from "vitest";
import { RestartBackoff } from "../../src/flow/sense/restart-backoff.ts";
import {
  CHILD_RESTART_MS_MAX,
  CHILD_RESTART_MS_MIN,
  CHILD_STEADY_MS,
} from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";

test("every wait is between half the shortest and the longest", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 2 * CHILD_STEADY_MS })),
      fc.bigInt({ min: 0n, max: 1_000n }),
      (lives, seed) => {
        const backoff = new RestartBackoff(new SeededRandom(seed));
        for (const livedMs of lives) {
          const waitMs = backoff.nextWaitMs(livedMs);
          expect(waitMs).toBeGreaterThanOrEqual(CHILD_RESTART_MS_MIN / 2);
          expect(waitMs).toBeLessThanOrEqual(CHILD_RESTART_MS_MAX);
        }
      },
    ),
  );
});

test("short lives double the wait, a long one brings the shortest back", () => {
  const backoff = new RestartBackoff(new SeededRandom(3n));
  const waits = Array.from({ length: 12 }, () => backoff.nextWaitMs(0));
  expect(waits[1]!).toBeGreaterThanOrEqual(CHILD_RESTART_MS_MIN);
  expect(waits.at(-1)!).toBeGreaterThanOrEqual(CHILD_RESTART_MS_MAX / 2);
  expect(backoff.nextWaitMs(CHILD_STEADY_MS)).toBeLessThanOrEqual(CHILD_RESTART_MS_MIN);
});
