// `npm run sim`: runs one scenario with one seed and tells how it went.

import { parseArgs } from "node:util";
import { SCENARIO_LIST } from "./scenarios.ts";
import { parseSeed, SEED_RULE } from "./seed.ts";
import {
  replayCommand,
  runSimulation,
  type SimulationResult,
  UnknownScenarioError,
} from "./simulation.ts";
import { runSoak } from "./soak.ts";

const HELP = `usage: npm run -s sim -- --scenario NAME --seed N [--json]

Runs the real replica, log and packets on a simulated network, disk and clock. The same
scenario and seed do the same on every machine.

  --scenario NAME    what to run; --list names them
  --seed N           ${SEED_RULE}; default 1
  --json             one JSON object on standard output
  --soak-minutes M   instead of one run: steady work for M minutes, and how memory grew
  --list             the scenarios
  --help             this

Exit code: 0 converged and every invariant held, 1 not, 2 the command was not understood.`;

process.exitCode = main(process.argv.slice(2));

function main(args: string[]): number {
  const options = readOptions(args);
  if (typeof options === "string") return refuse(options);
  if (options.help) return print(HELP);
  if (options.list) return print(scenarioList());
  const seed = parseSeed(options.seed);
  if (seed === null) return refuse(`--seed is "${options.seed}"; it has to be ${SEED_RULE}.`);
  if (options["soak-minutes"] !== undefined) return soak(options["soak-minutes"], seed);
  if (options.scenario === undefined) return refuse("--scenario is missing.");
  return run(options.scenario, seed, options.json);
}

function readOptions(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        scenario: { type: "string" },
        seed: { type: "string", default: "1" },
        json: { type: "boolean", default: false },
        "soak-minutes": { type: "string" },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return (error as Error).message;
  }
}

function run(scenario: string, seed: bigint, asJson: boolean): number {
  try {
    const result = runSimulation({ scenario, seed, measureMemory: true });
    console.log(asJson ? JSON.stringify(result) : summary(result));
    for (const { tick, invariant, message } of result.failures) {
      console.error(`failed at tick ${tick}: ${invariant}\n  ${message}`);
    }
    if (result.failures.length > 0) {
      console.error(`scenario ${scenario}, seed ${seed}; again with\n  ${replayCommand(result)}`);
    }
    return result.converged ? 0 : 1;
  } catch (error) {
    if (error instanceof UnknownScenarioError) return refuse(`${error.message}.`);
    throw error;
  }
}

function soak(minutesText: string, seed: bigint): number {
  const minutes = Number(minutesText);
  if (!(minutes > 0)) {
    return refuse(`--soak-minutes is "${minutesText}"; it has to be a number above 0.`);
  }
  const result = runSoak({ seed, minutes });
  console.log(JSON.stringify(result));
  return result.failures.length === 0 ? 0 : 1;
}

function summary(result: SimulationResult): string {
  const megabytes = (bytes: number) => (bytes / 1_000_000).toFixed(1);
  const verdict = result.converged ? "converged" : "FAILED";
  return [
    `${result.scenario}, seed ${result.seed}: ${verdict}`,
    `  nodes            ${result.nodes}, services ${result.services}, writes acknowledged ${result.acknowledgedWrites}`,
    `  agreed after     ${result.convergenceTicks} ticks from the last write (run: ${result.ticks} of at most ${result.tickLimit})`,
    `  sent             ${result.packets} packets, ${megabytes(result.bytes)} MB; ${result.bytesPerNodePerTick} bytes per node and tick`,
    `  states           ${result.stateHashes} (${result.stateHash.slice(0, 16)})`,
    `  went wrong       ${result.crashes} crashes, ${result.partitions} partitions, ${result.rottenLogs} rotten logs, ${result.forgedPackets} forged packets`,
    `  memory per node  ${(result.memoryPerNodeBytes / 1024).toFixed(0)} KiB; growth after warm-up ${(result.heapGrowthBytes / 1024).toFixed(0)} KiB in all`,
    `  trace            ${result.traceHash}, in ${(result.wallMs / 1000).toFixed(1)} s`,
  ].join("\n");
}

function scenarioList(): string {
  return SCENARIO_LIST.map(({ name, summary }) => `${name.padEnd(12)}${summary}`).join("\n");
}

function print(text: string): number {
  console.log(text);
  return 0;
}

function refuse(problem: string): number {
  console.error(`${problem}\nThe scenarios:\n${scenarioList()}\nMore with --help.`);
  return 2;
}
