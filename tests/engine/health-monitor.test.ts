// From single probes to a verdict.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  HealthTally,
  RESTART_AFTER_FAILURES,
  UNHEALTHY_AFTER_FAILURES,
} from "../../src/engine/health-monitor.ts";

const GRACE_MS = 1_000;

describe("a tally of probes", () => {
  test("is healthy at the first success, inside the grace time too", () => {
    expect(new HealthTally(GRACE_MS).count(true, 0)).toBe("healthy");
  });

  test("does not count failures inside the grace time", () => {
    const tally = new HealthTally(GRACE_MS);
    for (let i = 0; i < 100; i += 1) expect(tally.count(false, GRACE_MS - 1)).toBeNull();
    expect(tally.wasWell).toBe(false);
  });

  test("is unhealthy after three failures in a row, past hope after six", () => {
    const tally = new HealthTally(0);
    const verdicts = Array.from({ length: 6 }, () => tally.count(false, 0));
    expect(verdicts).toEqual([null, null, "unhealthy", "unhealthy", "unhealthy", "restart"]);
  });

  test("follows the length of the latest row of failures, whatever came before", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 40 }), (results) => {
        const tally = new HealthTally(GRACE_MS);
        let row = 0;
        for (const well of results) {
          row = well ? 0 : row + 1;
          const expected = well
            ? "healthy"
            : row >= RESTART_AFTER_FAILURES
              ? "restart"
              : row >= UNHEALTHY_AFTER_FAILURES
                ? "unhealthy"
                : null;
          expect(tally.count(well, GRACE_MS)).toBe(expected);
        }
      }),
    );
  });
});
