// `npm run gauntlet`: swarm runs, one seed after the other, on every core, until the time is up.

import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { parseSeed, SEED_RULE } from "./seed.ts";
import { replayCommand, runSimulation } from "./simulation.ts";

const SCENARIO = "swarm";
const HELP = `usage: npm run gauntlet -- --minutes M [--seed-start N]

Runs the scenario "${SCENARIO}" with the seeds N, N + 1, … until M minutes have passed, and prints
how many passed and the command that replays each failure.

  --minutes M       how long to go on; default 1
  --seed-start N    ${SEED_RULE}; default drawn from the time of day
  --help            this

Exit code: 0 all passed, 1 some failed, 2 the command was not understood.`;

/** What one process tells of one seed. */
interface SeedOutcome {
  readonly seed: string;
  readonly passed: boolean;
  readonly message: string;
}

interface GauntletResult {
  readonly passed: number;
  readonly failed: readonly SeedOutcome[];
}

/** One swarm run. */
function runSeed(seed: bigint): SeedOutcome {
  const { converged, failures } = runSimulation({ scenario: SCENARIO, seed });
  const [failure] = failures;
  const message = failure === undefined ? "" : `tick ${failure.tick}: ${failure.message}`;
  return { seed: String(seed), passed: converged, message };
}

/**
 * Runs seeds from `seedStart` on, `concurrency` at a time in processes of this very program,
 * and starts no more once `minutes` have passed.
 */
async function runGauntlet(
  seedStart: bigint,
  minutes: number,
  concurrency: number,
): Promise<GauntletResult> {
  const endMs = performance.now() + minutes * 60_000;
  const failed: SeedOutcome[] = [];
  let passed = 0;
  let nextSeed = seedStart;
  const lane = async (): Promise<void> => {
    const worker = fork(process.argv[1]!, [], { env: { ...process.env, MYCO_GAUNTLET: "worker" } });
    while (performance.now() < endMs) {
      const seed = BigInt.asUintN(64, nextSeed++);
      const outcome = await ask(worker, seed);
      if (outcome.passed) passed += 1;
      else failed.push(outcome);
      report(outcome, passed, failed.length, endMs);
    }
    worker.disconnect();
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return { passed, failed };
}

/** One seed to a worker; a worker that dies counts as a failure of that seed. */
function ask(worker: ChildProcess, seed: bigint): Promise<SeedOutcome> {
  return new Promise((resolve) => {
    const onExit = (code: number | null): void => {
      resolve({ seed: String(seed), passed: false, message: `the process ended with ${code}` });
    };
    if (!worker.connected) return onExit(worker.exitCode);
    worker.once("exit", onExit);
    worker.once("message", (outcome: SeedOutcome) => {
      worker.off("exit", onExit);
      resolve(outcome);
    });
    worker.send({ seed: String(seed) });
  });
}

function report(outcome: SeedOutcome, passed: number, failed: number, endMs: number): void {
  if (!outcome.passed) {
    if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
    const replay = replayCommand({ scenario: SCENARIO, seed: outcome.seed });
    console.log(`seed ${outcome.seed} failed, ${outcome.message}\n  ${replay}`);
  }
  if (!process.stdout.isTTY) return;
  const leftSeconds = Math.max(0, Math.ceil((endMs - performance.now()) / 1000));
  process.stdout.write(`\r\x1b[K${passed} passed, ${failed} failed; ${leftSeconds} s left`);
}

function serveSeeds(): void {
  process.on("message", ({ seed }: { seed: string }) => process.send!(runSeed(BigInt(seed))));
}

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === "string") return refuse(options);
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const minutes = Number(options.minutes);
  if (!(minutes > 0)) return refuse(`--minutes is "${options.minutes}"; it has to be above 0.`);
  const seedStart = parseSeed(options["seed-start"] ?? String(Date.now() * 1_000));
  if (seedStart === null) return refuse(`--seed-start has to be ${SEED_RULE}.`);
  console.log(`» ${minutes} minutes of swarm runs from seed ${seedStart}`);
  const { passed, failed } = await runGauntlet(seedStart, minutes, availableParallelism());
  if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
  console.log(`${passed} of ${passed + failed.length} seeds passed`);
  return failed.length === 0 ? 0 : 1;
}

function readOptions(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        minutes: { type: "string", default: "1" },
        "seed-start": { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return (error as Error).message;
  }
}

function refuse(problem: string): number {
  console.error(`${problem}\nMore with --help.`);
  return 2;
}

if (process.env.MYCO_GAUNTLET === "worker") serveSeeds();
else process.exitCode = await main(process.argv.slice(2));
