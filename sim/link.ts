// `npm run sim:link`: the controller against the link plant, trace by trace, beside an oracle that
// knows the capacity and CAKE at a rate that never changes.

import { parseArgs } from "node:util";
import type { Decision } from "../src/flow/interface.ts";
import {
  LoopContestant,
  OracleContestant,
  StaticContestant,
  settingsOfTrace,
} from "./link-contestants.ts";
import {
  falseCuts,
  type LinkController,
  type LinkRun,
  NO_FAULTS,
  plantOfTrace,
  runLink,
  stepTimes,
} from "./link-plant.ts";
import { LINK_TRACES, type LinkTrace, traceMean } from "./link-traces.ts";

const HELP = `usage: npm run -s sim:link -- [--trace T1] [--seed N] [--decisions] [--ticks]

  --trace NAME   one of ${LINK_TRACES.map(({ name }) => name).join(", ")}; default: all
  --seed N       draws the jitter; default 1
  --decisions    also print what the loop decided, one JSON object a line
  --ticks        also print rates, capacities and the queue of each tick, as CSV`;

process.exitCode = main(process.argv.slice(2));

function main(args: string[]): number {
  const { values } = parseArgs({
    args,
    options: {
      trace: { type: "string" },
      seed: { type: "string", default: "1" },
      decisions: { type: "boolean", default: false },
      ticks: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const traces = LINK_TRACES.filter(
    ({ name }) => values.trace === undefined || name === values.trace,
  );
  if (traces.length === 0 || !/^\d{1,18}$/.test(values.seed)) {
    console.error(HELP);
    return 2;
  }
  console.log("trace contestant   p50 ms  p95 ms  p99 ms  down %   up %  usable %");
  for (const trace of traces) runTrace(trace, BigInt(values.seed), values.decisions, values.ticks);
  return 0;
}

function runTrace(
  trace: LinkTrace,
  seed: bigint,
  showDecisions: boolean,
  showTicks: boolean,
): void {
  const mean = (direction: "download" | "upload") =>
    Math.round(traceMean(trace[direction].capacityKbit, trace.durationMs));
  const loop = new LoopContestant(settingsOfTrace(trace));
  const mean95 = new StaticContestant({
    download: Math.round(0.95 * mean("download")),
    upload: Math.round(0.95 * mean("upload")),
  });
  print(trace, "CAKE at mean", run(trace, mean95, seed));
  print(trace, "oracle", run(trace, new OracleContestant(), seed));
  const ours = run(trace, loop, seed);
  print(trace, "myco", ours);
  for (const line of stepLines(trace, ours)) console.log(`      ${line}`);
  const wrong = falseCuts(loop.decisions, ours.ticks);
  const ofDirection = (name: string) =>
    wrong.filter(({ direction }: Decision) => direction === name).length;
  console.log(
    `      ${loop.decisions.length} decisions; cuts below the capacity: download ${ofDirection("download")}, upload ${ofDirection("upload")}`,
  );
  if (showDecisions) for (const decision of loop.decisions) console.log(JSON.stringify(decision));
  if (showTicks) printTicks(ours);
}

function run(trace: LinkTrace, controller: LinkController, seed: bigint): LinkRun {
  return runLink(plantOfTrace(trace, seed), controller, trace.durationMs, {
    faults: NO_FAULTS,
    seed,
    keep: true,
  });
}

function print(trace: LinkTrace, name: string, { figures }: LinkRun): void {
  const percent = (share: number) => (share * 100).toFixed(1).padStart(8);
  const ms = (value: number) => value.toFixed(1).padStart(8);
  console.log(
    `${trace.name.padEnd(5)} ${name.padEnd(12)}${ms(figures.p50Ms)}${ms(figures.p95Ms)}${ms(figures.p99Ms)}` +
      `${percent(figures.goodput)}${percent(figures.uploadGoodput)}${percent(figures.usable)}`,
  );
}

function stepLines(trace: LinkTrace, ours: LinkRun): string[] {
  const steps = trace.download.capacityKbit;
  if (steps.length > 10) return [];
  const time = (atMs: number | null) =>
    atMs === null ? "never" : `${(atMs / 1_000).toFixed(1)} s`;
  return steps.slice(1).map((step, index) => {
    const untilMs = steps[index + 2]?.atMs ?? trace.durationMs;
    const times = stepTimes(ours.ticks, "download", step.atMs, untilMs);
    return `at ${step.atMs / 1_000} s to ${step.value} kbit/s: under it after ${time(times.reactionMs)}, calm after ${time(times.calmMs)}, 85 % after ${time(times.recoveryMs)}`;
  });
}

function printTicks({ ticks }: LinkRun): void {
  console.log("at_ms,download_capacity,download_rate,upload_capacity,upload_rate,queue_ms");
  for (const { atMs, capacityKbit, rateKbit, queueMs } of ticks) {
    console.log(
      `${atMs},${capacityKbit.download},${rateKbit.download},${capacityKbit.upload},${rateKbit.upload},${queueMs.toFixed(1)}`,
    );
  }
}
