// What every simulated run is held to.
import { expect } from "vitest";
import { replayCommand, runSimulation, type SimulationResult } from "../../sim/simulation.ts";

/** Runs it; a failure shows the command that replays it. */
export function runWell(
  scenario: string,
  seed: bigint,
  options: { measureMemory?: boolean } = {},
): SimulationResult {
  const result = runSimulation({ scenario, seed, ...options });
  expect(result.failures, `again with: ${replayCommand(result)}`).toEqual([]);
  expect(result.converged).toBe(true);
  expect(result.stateHashes).toBe(1);
  return result;
}
