// The scenarios of our own, each with what it alone promises.
import { describe, expect, it } from "vitest";
import { runWell } from "./expectations.ts";

describe("scenario seed", () => {
  it("brings 1,000 services to 50 nodes at half loss in time, within bytes and memory", () => {
    const result = runWell("seed", 1n, { measureMemory: true });
    expect(result.acknowledgedWrites).toBe(1_000);
    expect(result.convergenceTicks).toBeGreaterThan(0);
    expect(result.convergenceTicks).toBeLessThanOrEqual(250);
    expect(result.bytes).toBe(result.packets * 1_024);
    expect(result.bytes).toBeLessThanOrEqual(70_000_000);
    expect(result.memoryPerNodeBytes).toBeGreaterThan(256 * 1024);
    expect(result.memoryPerNodeBytes).toBeLessThan(512 * 1024);
  });
});

describe("scenario deletes", () => {
  it("forgets every deleted service on every node, and none comes back", () => {
    const result = runWell("deletes", 3n);
    expect(result.crashes).toBeGreaterThan(0);
    expect(result.partitions).toBeGreaterThan(0);
    expect(result.rottenLogs).toBeGreaterThan(0);
  });
});

describe("scenario restarts", () => {
  it("keeps all acknowledged writes while every node loses power in turn", () => {
    const result = runWell("restarts", 1n);
    expect(result.crashes).toBeGreaterThanOrEqual(20);
  });

  it("heals logs that rot while their node is down", () => {
    expect(runWell("restarts", 2n).rottenLogs).toBeGreaterThan(0);
  });
});

describe("scenario revocation", () => {
  it("forgets what revoked nodes wrote and lets no stranger in", () => {
    const result = runWell("revocation", 1n);
    expect(result.forgedPackets).toBeGreaterThan(500);
  });
});
