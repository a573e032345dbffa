// The six scenarios of the peers, inside their own limits of ticks, packets and flight.
import { describe, expect, it } from "vitest";
import { runWell } from "./expectations.ts";

describe("the peers' scenarios", () => {
  it.each(["50", "heavy", "extreme", "100", "256"])("%s converges by hash in time", (name) => {
    const result = runWell(name, 1n);
    expect(result.acknowledgedWrites).toBe(result.services);
    expect(result.convergenceTicks).toBeGreaterThan(0);
    expect(result.ticks).toBeLessThanOrEqual(result.tickLimit);
  });

  it("edge converges by hash with 250,000 packets and 3,000 in flight", () => {
    const result = runWell("edge", 1n);
    expect(result.ticks).toBeLessThanOrEqual(3_500);
    expect(result.packets).toBeLessThanOrEqual(250_000);
    expect(result.packetsInFlightPeak).toBeLessThanOrEqual(3_000);
  });
});
