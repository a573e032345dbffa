// `npm run bench:mesh`: the mesh's figures beside what they must reach, in one run.
//   npm run bench:mesh [-- --soak-minutes 10] [-- --skip-soak]

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { runSimulation, type SimulationResult } from "../sim/simulation.ts";
import { runSoak } from "../sim/soak.ts";
import { benchPrimitives } from "./primitives.ts";
import { type BenchRow, benchWal } from "./wal.ts";

/** One line of the table: what was measured, what it came to, what it must reach. */
interface FigureRow {
  readonly figure: string;
  readonly measured: string;
  readonly mustReach: string;
  readonly reached: boolean;
}

const PEER_SCENARIOS = ["50", "heavy", "extreme", "edge", "100", "256"];
const SEED = 1n;
const MEMORY_BYTES_MAX = 512 * 1024;
/** Noise of a heap of tens of megabytes. */
const GROWTH_BYTES_MAX = 512 * 1024;
/** A node of a thousand may send this much more than one of a hundred. */
const SENDING_GROWTH_MAX = 1.15;

const { values } = parseArgs({
  options: {
    "soak-minutes": { type: "string", default: "10" },
    "skip-soak": { type: "boolean", default: false },
  },
});

progress("primitives and the log");
const primitives = [...benchPrimitives(), ...(await benchWal())];
const figures = [...seedFigures(), ...peerFigures(), ...thousandFigures()];
if (!values["skip-soak"]) figures.push(growthFigure(Number(values["soak-minutes"])));

console.log(
  `\nNode ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown"}\n`,
);
printPrimitives(primitives);
printFigures(figures);
process.exitCode = figures.every((row) => row.reached) ? 0 : 1;

function seedFigures(): FigureRow[] {
  const result = simulate("seed");
  const megabytes = result.bytes / 1e6;
  const isOne = result.converged && result.stateHashes === 1;
  return [
    {
      figure: "seed: 50 nodes, 1,000 services, 50 % loss",
      measured: `${result.convergenceTicks} ticks, ${megabytes.toFixed(1)} MB, ${result.stateHashes} state`,
      mustReach: "≤ 250 ticks, ≤ 70 MB, one state (goal: 150, 45)",
      reached: isOne && result.convergenceTicks <= 250 && megabytes <= 70,
    },
    {
      figure: "seed: memory per node, all buffers",
      measured: `${Math.round(result.memoryPerNodeBytes / 1024)} KiB`,
      mustReach: "< 512 KiB",
      reached: result.memoryPerNodeBytes < MEMORY_BYTES_MAX,
    },
  ];
}

function peerFigures(): FigureRow[] {
  return PEER_SCENARIOS.map((scenario) => {
    const result = simulate(scenario);
    return {
      figure: `peers' scenario ${scenario}`,
      measured: `${result.ticks} ticks in all, ${result.stateHashes} state`,
      mustReach: `one state within ${result.tickLimit} ticks`,
      reached: result.converged,
    };
  });
}

function thousandFigures(): FigureRow[] {
  const hundred = simulate("hundred");
  const thousand = simulate("thousand");
  const growth = thousand.bytesPerNodePerTick / hundred.bytesPerNodePerTick;
  return [
    {
      figure: "thousand: 1,000 nodes, 1,000 services, 1 % loss",
      measured: `${thousand.convergenceTicks} ticks, ${thousand.stateHashes} state`,
      mustReach: "converges",
      reached: thousand.converged,
    },
    {
      figure: "bytes per node and tick, 1,000 nodes / 100 nodes",
      measured: `${thousand.bytesPerNodePerTick} / ${hundred.bytesPerNodePerTick} = ${growth.toFixed(2)}`,
      mustReach: "does not grow",
      reached: hundred.converged && growth <= SENDING_GROWTH_MAX,
    },
  ];
}

function growthFigure(minutes: number): FigureRow {
  progress(`steady work for ${minutes} minutes`);
  const result = runSoak({ seed: SEED, minutes });
  return {
    figure: `heap growth over ${minutes} minutes, ${result.writes} writes`,
    measured: `${Math.round(result.heapGrowthBytes / 1024)} KiB of ${Math.round(result.heapBytes / 1024)} KiB`,
    mustReach: "none",
    reached: result.failures.length === 0 && result.heapGrowthBytes <= GROWTH_BYTES_MAX,
  };
}

function simulate(scenario: string): SimulationResult {
  progress(`scenario ${scenario}`);
  const result = runSimulation({ scenario, seed: SEED, measureMemory: scenario === "seed" });
  for (const failure of result.failures) console.error(failure);
  return result;
}

function printPrimitives(rows: readonly BenchRow[]): void {
  printTable(
    ["figure", "per second", "bare primitive", "ratio"],
    rows.map((row) => [
      row.figure,
      thousands(row.perSecond),
      thousands(row.bare),
      row.ratio.toFixed(2),
    ]),
  );
}

function printFigures(rows: readonly FigureRow[]): void {
  printTable(
    ["figure", "measured", "must reach", ""],
    rows.map((row) => [row.figure, row.measured, row.mustReach, row.reached ? "yes" : "NO"]),
  );
}

function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(`| ${head.join(" | ")} |\n|${head.map(() => "---").join("|")}|`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
  console.log();
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function progress(what: string): void {
  console.error(`» ${what}`);
}
