// `npm run bench:flow`: plays lines of changing capacity on a real kernel, and compares who shapes
// them. docs/bench-flow.md says what each figure means.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../../src/kernel/random.ts";
import { HostLacksError, LabError } from "../../tests/lab/errors.ts";
import { Laboratory } from "../../tests/lab/laboratory.ts";
import type { Machine } from "../../tests/lab/machine.ts";
import { type BenchArguments, HELP, readArguments } from "./arguments.ts";
import {
  contestantSpec,
  GUEST_FOLDER,
  IDLE_TRACE,
  MYCO_BUNDLE,
  MYCO_NODE,
  MYCO_SETTINGS,
  mycoSettings,
} from "./contestants.ts";
import { favourChildren } from "./favour.ts";
import { measure, type RunFigures, seriesOf } from "./metrics.ts";
import { expectedMs, findTraces, type PlannedRun, planRuns, WARM_UP_MS } from "./plan.ts";
import { type PlottedRun, plotTrace } from "./plot.ts";
import { markdownReport } from "./report.ts";
import { readRunLogs } from "./run-logs.ts";
import type { RunSpec } from "./run-spec.ts";
import { type MeasuredRun, summarize } from "./summary.ts";

const EXIT = { done: 0, failed: 1, usage: 2, hostLacks: 69 } as const;
const GUEST_MEMORY_MIB = 2_048;
/** Above this share of its own timer's period late, the guest was starved and says so. */
const LAG_MS_WORTH_SAYING = 60;
/** After which QEMU is there, and its processors inherit what it is given. */
const SPAWN_MS = 500;
const RUN_FOLDER = "/run/bench";

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
  if (!options.reportOnly && missing.length > 0) await play(options, missing, runs.length);
  report(options, runs);
  return EXIT.done;
}

/** Boots a guest, and plays in it whatever has no figures yet. */
async function play(
  options: BenchArguments,
  missing: readonly PlannedRun[],
  all: number,
): Promise<void> {
  const minutes = Math.ceil(expectedMs(missing) / 60_000);
  say(
    `${missing.length} of ${all} runs to play, about ${minutes} minutes; raw logs in ${options.out}`,
  );
  const root = process.cwd();
  const brought = bring(options);
  const laboratory = await Laboratory.open({ root, say });
  const guests = await laboratory.guests({
    line: { memoryMiB: GUEST_MEMORY_MIB, clock: options.clock },
  });
  try {
    const guest = guests.machines.line;
    guest.start();
    await sleep(SPAWN_MS);
    if (!favourChildren(options.clock === "instructions"))
      say("without root the guest gets no priority, and takes longer");
    await guests.startAll();
    await guest.copyFromHost(brought, GUEST_FOLDER);
    await guest.succeed(ownNode());
    for (const [index, run] of missing.entries()) {
      await playOne(options, run, guest, `${index + 1}/${missing.length}`);
    }
  } finally {
    await guests.destroy();
    laboratory.close();
    rmSync(brought, { recursive: true });
  }
}

/** What goes into the guest: the stage, the call, Myco, and others' executables. */
function bring(options: BenchArguments): string {
  const folder = mkdtempSync(join(tmpdir(), "myco-bench-flow-"));
  run("node_modules/.bin/esbuild", [
    "bench/flow/guest/stage.ts",
    ...["--bundle", "--platform=node", "--format=esm", "--target=node20", "--log-level=warning"],
    `--outfile=${join(folder, "stage.mjs")}`,
  ]);
  copyFileSync("bench/flow/guest/voice.py", join(folder, "voice.py"));
  if (options.contestants.some((name) => name.startsWith("myco"))) {
    run(process.execPath, ["scripts/build.mjs"]);
    copyFileSync("dist/myco.mjs", join(folder, "myco.mjs"));
  }
  for (const { name, executable } of options.guests) {
    copyFileSync(executable, join(folder, name));
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

/** Shell text: a copy of Node and its libraries, which nothing else in the guest maps. */
function ownNode(): string {
  return [
    `mkdir -p ${MYCO_NODE}`,
    `cp -L "$(command -v node)" ${MYCO_NODE}/node`,
    `ldd "$(command -v node)" | awk '/=> \\//{print $3}' | xargs -I{} cp -L {} ${MYCO_NODE}/`,
    `test ! -e ${MYCO_BUNDLE} || chmod 755 ${MYCO_BUNDLE}`,
  ].join("\n");
}

async function playOne(
  options: BenchArguments,
  planned: PlannedRun,
  guest: Machine,
  progress: string,
): Promise<void> {
  const { trace, contestant, repeat } = planned;
  const target = runFolder(options.out, planned);
  const spec: RunSpec = {
    folder: `${RUN_FOLDER}/${trace.name}-${contestant}-${repeat}`,
    trace,
    contestant: contestantSpec(contestant, trace),
    warmUpMs: WARM_UP_MS,
    isIdle: trace.name === IDLE_TRACE,
  };
  const specText = `${JSON.stringify(spec)}\n`;
  if (contestant.startsWith("myco")) {
    const settings = Buffer.from(mycoSettings(contestant, trace));
    await guest.succeed(`rm -rf /run/bench-myco && cat > ${MYCO_SETTINGS}`, { input: settings });
  }
  await guest.succeed(`cat > ${GUEST_FOLDER}/spec.json`, { input: Buffer.from(specText) });
  await guest.succeed(`node ${GUEST_FOLDER}/stage.mjs ${GUEST_FOLDER}/spec.json >&2`);
  rmSync(target, { recursive: true, force: true });
  await guest.copyToHost(spec.folder, join(target, ".."));
  renameSync(join(target, "..", `${trace.name}-${contestant}-${repeat}`), target);
  await guest.succeed(`rm -rf ${spec.folder}`);
  writeFileSync(join(target, "spec.json"), specText);
  const figures = measure(readRunLogs(target));
  writeFileSync(figuresFile(options.out, planned), `${JSON.stringify(figures, null, 1)}\n`);
  say(`${progress} ${trace.name} ${contestant} ${repeat}: ${brief(figures)}`);
}

function brief({ rtt, download, upload, lagP99Ms }: RunFigures): string {
  const whole = (value: number | null): string => (value === null ? "–" : value.toFixed(0));
  const share = (value: number | null): string => (value === null ? "–" : (100 * value).toFixed(0));
  const starved =
    lagP99Ms > LAG_MS_WORTH_SAYING ? `; the guest was starved, ${whole(lagP99Ms)} ms` : "";
  return (
    `RTT +${whole(rtt.p50Ms)} / +${whole(rtt.p95Ms)} ms, goodput ${share(download.goodputShare)} / ` +
    `${share(upload.goodputShare)} %, usable ${share(download.usableShare)} / ${share(upload.usableShare)} %${starved}`
  );
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
    `${measured.length} runs on ${machine}, ${new Date().toISOString().slice(0, 10)}, in one guest of two processors.`,
    ...(starved > 0
      ? [
          `In ${starved} runs the guest was short of processor (its own timer came more than ${LAG_MS_WORTH_SAYING} ms late, p99): their delays are too high.`,
        ]
      : []),
  ];
}

function runFolder(out: string, { trace, contestant, repeat }: PlannedRun): string {
  const folder = join(out, trace.name, contestant);
  mkdirSync(folder, { recursive: true });
  return join(folder, `${repeat}`);
}

function figuresFile(out: string, planned: PlannedRun): string {
  return join(runFolder(out, planned), "figures.json");
}

function run(program: string, args: readonly string[]): void {
  const { status } = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${program} ended with ${status}`);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
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
