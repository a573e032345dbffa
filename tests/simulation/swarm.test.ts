// Clusters and faults that the seed draws, and the promise that a seed tells all.
import { describe, expect, it } from "vitest";
import { runSimulation } from "../../sim/simulation.ts";
import { runWell } from "./expectations.ts";

const SEEDS = Array.from({ length: 20 }, (_, i) => BigInt(i + 1));

describe("swarm", () => {
  it.each(SEEDS)("seed %s keeps every invariant and converges", (seed) => {
    runWell("swarm", seed);
  });
});

describe("a seed", () => {
  it.each([7n, 0xdead_beef_0000_0001n])("%s gives the same trace twice", (seed) => {
    const first = runSimulation({ scenario: "swarm", seed });
    const second = runSimulation({ scenario: "swarm", seed });
    expect({ ...second, wallMs: 0 }).toEqual({ ...first, wallMs: 0 });
  });

  it("gives a trace of its own", () => {
    const traces = [7n, 8n].map((seed) => runSimulation({ scenario: "swarm", seed }).traceHash);
    expect(new Set(traces).size).toBe(2);
  });
});
