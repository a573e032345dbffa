// A cluster at daily work for minutes on end, to see whether anything grows. The wall clock
// only says when to stop and when to weigh.

import { Simulation } from "./simulation.ts";

export interface SoakOptions {
  readonly seed: bigint;
  readonly minutes: number;
}

export interface SoakResult {
  readonly scenario: string;
  readonly seed: string;
  readonly nodes: number;
  readonly ticks: number;
  readonly writes: number;
  readonly packets: number;
  /** Mean of the heap after GC in the last tenth, less that of the first tenth after warm-up. */
  readonly heapGrowthBytes: number;
  readonly heapBytes: number;
  readonly wallMs: number;
  readonly failures: readonly string[];
}

const SCENARIO = "steady";
/** A tenth of the time warms up; the rest gives this many samples. */
const SAMPLES = 40;
const WARM_UP_SHARE = 0.1;
/** Looking at the wall clock costs more than a tick of a small cluster. */
const TICKS_BETWEEN_LOOKS = 50;
/** Ticks between two writes. */
const WRITE_TICKS = 5;

export function runSoak({ seed, minutes }: SoakOptions): SoakResult {
  const startedMs = performance.now();
  const totalMs = minutes * 60_000;
  const simulation = new Simulation(SCENARIO, seed);
  const samples: number[] = [];
  const failures: string[] = [];
  const shareOfTime = () => (performance.now() - startedMs) / totalMs;
  try {
    for (let share = 0; share < 1; share = shareOfTime()) {
      runTicks(simulation);
      const samplesDue = ((share - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)) * SAMPLES;
      if (samplesDue >= samples.length) samples.push(simulation.weighNodes());
    }
  } catch (error) {
    failures.push(`tick ${simulation.tick}: ${error instanceof Error ? error.stack : error}`);
  }
  const tenth = Math.max(1, Math.floor(samples.length / 10));
  return {
    scenario: SCENARIO,
    seed: String(seed),
    nodes: simulation.scenario.nodes,
    ticks: simulation.tick,
    writes: simulation.workload.ledger.acknowledgedCount,
    packets: simulation.network.counters.packetsSent,
    heapGrowthBytes: Math.round(mean(samples.slice(-tenth)) - mean(samples.slice(0, tenth))),
    heapBytes: Math.round(mean(samples.slice(-tenth))),
    wallMs: Math.round(performance.now() - startedMs),
    failures,
  };
}

function runTicks(simulation: Simulation): void {
  for (let i = 0; i < TICKS_BETWEEN_LOOKS; i += 1) {
    if (simulation.tick % WRITE_TICKS === 0) simulation.workload.addUpdate();
    simulation.step();
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
