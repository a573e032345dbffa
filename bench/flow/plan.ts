// Which runs there are, and in what order: every repeat takes every contestant over a line once,
// in an order drawn from the seed, so that whatever drifts strikes all alike.

import { LINK_TRACES, type LinkTrace, traceMean } from "../../sim/link-traces.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import type { GuestClock } from "../../tests/lab/qemu.ts";
import { differsOn, IDLE_TRACE } from "./contestants.ts";

export const DEFAULT_TRACES: readonly string[] = [
  ...["T0", "T1", "T2", "T4", "T6", "T7", "T8", "T9"],
  IDLE_TRACE,
];
/** Before the load: a contestant comes up from a cold disk, and its pinger learns the line. */
export const WARM_UP_MS = 16_000;
/** Building and clearing away the namespaces, stopping a contestant, bringing the logs home. */
const AROUND_MS = 9_000;
const BOOT_MS = 40_000;
/** Seconds of one processor of 2026 for a second of the guest, and more for what its line carries. */
const SLOWNESS_IDLE = 1.2;
const SLOWNESS_PER_MBIT = 0.03;
/** `--quick` plays the beginning of a line only. */
const QUICK_MS = 30_000;

/** The lines of sim/link-traces.ts, and one on which nobody sends anything. */
const TRACES: readonly LinkTrace[] = [...LINK_TRACES, idleTrace()];

export interface PlannedRun {
  readonly trace: LinkTrace;
  readonly contestant: string;
  readonly repeat: number;
}

export interface PlanOptions {
  readonly traces: readonly LinkTrace[];
  readonly contestants: readonly string[];
  readonly repeats: number;
  readonly seed: bigint;
}

export function planRuns({ traces, contestants, repeats, seed }: PlanOptions): PlannedRun[] {
  const random = new SeededRandom(seed);
  const runs: PlannedRun[] = [];
  for (let repeat = 1; repeat <= repeats; repeat += 1) {
    for (const trace of traces) {
      const names = contestants.filter((name) => differsOn(name, trace));
      for (const contestant of shuffled(names, random)) runs.push({ trace, contestant, repeat });
    }
  }
  return runs;
}

/** By the instructions' clock a quiet line passes quickly, and a fast one slowly. */
export function expectedMs(runs: readonly PlannedRun[], clock: GuestClock): number {
  return runs.reduce((sum, { trace }) => {
    const guestMs = trace.durationMs + WARM_UP_MS + AROUND_MS;
    const slowness = clock === "host" ? 1 : SLOWNESS_IDLE + SLOWNESS_PER_MBIT * carriedMbit(trace);
    return sum + guestMs * slowness;
  }, BOOT_MS);
}

function carriedMbit(trace: LinkTrace): number {
  const directions = [trace.download, trace.upload].filter((of) => of.tcpFlows > 0);
  const kbit = directions.map((of) => traceMean(of.capacityKbit, trace.durationMs));
  return kbit.reduce((sum, each) => sum + each, 0) / 1_000;
}

/** @throws when there is no line of that name */
export function findTraces(names: readonly string[], quick: boolean): LinkTrace[] {
  return names.map((name) => {
    const trace = TRACES.find((candidate) => candidate.name === name);
    if (trace === undefined) {
      const known = TRACES.map((candidate) => candidate.name).join(", ");
      throw new Error(`there is no trace ${name}; there are ${known}`);
    }
    return quick ? { ...trace, durationMs: Math.min(trace.durationMs, QUICK_MS) } : trace;
  });
}

/** T7's line before anything happens to it. */
function idleTrace(): LinkTrace {
  const quiet = LINK_TRACES.find((candidate) => candidate.name === "T7")!;
  return {
    ...quiet,
    name: IDLE_TRACE,
    title: "nobody at home: no load, no call, no probes but the contestant's own",
    pathRttMs: quiet.pathRttMs.slice(0, 1),
    badReflector: null,
  };
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[], random: SeededRandom): Item[] {
  const result = [...items];
  for (let index = result.length - 1; index > 0; index -= 1) {
    const other = random.u32() % (index + 1);
    [result[index], result[other]] = [result[other]!, result[index]!];
  }
  return result;
}
