// `npm run bench:flow`: plays lines of changing capacity on a real kernel, and compares who shapes
// them. docs/bench-flow.md says what each figure means.

import { existsSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../../src/kernel/random.ts";
import { HostLacksError, LabError } from "../../tests/lab/errors.ts";
import { type BenchArguments, HELP, readArguments } from "./arguments.ts";
import { measure } from "./metrics.ts";
import { expectedMs, findTraces, type PlannedRun, planRuns } from "./plan.ts";
import { guestsAtATime, LAG_MS_WORTH_SAYING, playRuns } from "./play.ts";
import { type PlottedRun, plotTrace } from "./plot.ts";
import { markdownReport } from "./report.ts";
import { figuresFile, runFolder } from "./run-folders.ts";
import { readRunLogs } from "./run-logs.ts";
import { seriesOf } from "./series.ts";
import { type MeasuredRun, summarize } from "./summary.ts";

const EXIT = { done: 0, failed: 1, usage: 2, hostLacks: 69 } as const;

async function main(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (typeof options === "string") {
    console.error(`${options}\nMore with --help.`);
    return EXIT.usage;
  }
  if (options.help) {
    console.log(HELP);
    return EXIT.done;
  }
  const runs = planRuns({ ...options, traces: findTraces(options.traces, options.quick) });
  const missing = runs.filter((run) => !existsSync(figuresFile(options.out, run)));
  if (!options.reportOnly && missing.length > 0) {
    const guests = guestsAtATime(missing, options.clock);
    const minutes = Math.ceil(expectedMs(missing, options.clock) / guests / 60_000);
    say(
      `${missing.length} of ${runs.length} runs to play in ${guests} guests, about ${minutes} minutes; raw logs in ${options.out}`,
    );
    await playRuns(options, missing, guests, say);
  }
  report(options, runs);
  return EXIT.done;
}

/** Reads every run there is again, so that a changed definition needs no new measurement. */
function report(options: BenchArguments, runs: readonly PlannedRun[]): void {
  const played = runs.filter((planned) => existsSync(figuresFile(options.out, planned)));
  if (played.length === 0) throw new Error(`there are no runs in ${options.out}`);
  const logs = played.map((planned) => ({
    planned,
    logs: readRunLogs(runFolder(options.out, planned)),
  }));
  const measured: MeasuredRun[] = logs.map(({ planned, logs: of }) => ({
    trace: planned.trace.name,
    contestant: planned.contestant,
    repeat: planned.repeat,
    figures: measure(of),
  }));
  const order = (name: string): number => options.contestants.indexOf(name);
  measured.sort((a, b) => order(a.contestant) - order(b.contestant));
  const byTrace = options.traces.flatMap((name) => measured.filter((run) => run.trace === name));
  const summaries = summarize(byTrace, new SeededRandom(options.seed));
  const titles = Object.fromEntries(played.map(({ trace }) => [trace.name, trace.title]));
  const markdown = markdownReport({ summaries, titles, circumstances: circumstances(byTrace) });
  writeFileSync(join(options.out, "summary.md"), markdown);
  writeFileSync(join(options.out, "summary.json"), `${JSON.stringify(summaries, null, 1)}\n`);
  for (const [name, title] of Object.entries(titles)) {
    const plotted = logs
      .filter(({ planned }) => planned.trace.name === name && planned.repeat === 1)
      .sort((a, b) => order(a.planned.contestant) - order(b.planned.contestant))
      .map(
        ({ planned, logs: of }): PlottedRun => ({ name: planned.contestant, series: seriesOf(of) }),
      );
    if (plotted.length === 0) continue;
    writeFileSync(join(options.out, `${name}.svg`), plotTrace(`${name}: ${title}`, plotted));
  }
  console.log(markdown);
  say(`summary.md, summary.json and a plot for each line are in ${options.out}`);
}

function circumstances(measured: readonly MeasuredRun[]): string[] {
  const starved = measured.filter((run) => run.figures.lagP99Ms > LAG_MS_WORTH_SAYING).length;
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown processor"}`;
  return [
    `${measured.length} runs on ${machine}, ${new Date().toISOString().slice(0, 10)}, in emulated guests.`,
    ...(starved > 0
      ? [
          `In ${starved} runs the guest was short of processor (its own timer came more than ${LAG_MS_WORTH_SAYING} ms late, p99): their delays are too high.`,
        ]
      : []),
  ];
}

function say(line: string): void {
  console.error(`» ${line}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = error instanceof HostLacksError ? EXIT.hostLacks : EXIT.failed;
}
