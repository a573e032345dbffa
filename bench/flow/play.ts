// Boots guests and plays runs in them: every line in one guest from its first contestant to its
// last, several lines at a time where the guests' clocks do not mind.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Laboratory } from "../../tests/lab/laboratory.ts";
import type { Machine } from "../../tests/lab/machine.ts";
import type { GuestClock } from "../../tests/lab/qemu.ts";
import type { BenchArguments } from "./arguments.ts";
import {
  contestantSpec,
  GUEST_FOLDER,
  IDLE_TRACE,
  MYCO_BUNDLE,
  MYCO_NODE,
  MYCO_SETTINGS,
  mycoSettings,
} from "./contestants.ts";
import { allowedProcessors, favourNewChildren } from "./favour.ts";
import { measure, type RunFigures } from "./metrics.ts";
import { type PlannedRun, WARM_UP_MS } from "./plan.ts";
import { figuresFile, runFolder } from "./run-folders.ts";
import { readRunLogs } from "./run-logs.ts";
import type { RunSpec } from "./run-spec.ts";

const GUEST_MEMORY_MIB = 2_048;
/** Logs are brought home through the memory of this process: no more guests than that is good for. */
const GUESTS_MAX = 4;
/** After which QEMU is there, and its processors inherit what it is given. */
const SPAWN_MS = 500;
/** A guest whose own timer comes later than this, p99, was starved. */
export const LAG_MS_WORTH_SAYING = 60;
const RUN_FOLDER = "/run/bench";

type Say = (line: string) => void;

/** By the host's clock a second guest would take the first one's time. */
export function guestsAtATime(missing: readonly PlannedRun[], clock: GuestClock): number {
  if (clock === "host") return 1;
  return Math.min(linesOf(missing).length, allowedProcessors().length, GUESTS_MAX);
}

export async function playRuns(
  options: BenchArguments,
  missing: readonly PlannedRun[],
  guests: number,
  say: Say,
): Promise<void> {
  const brought = bring(options);
  const laboratory = await Laboratory.open({ root: process.cwd(), say });
  const waiting = linesOf(missing);
  let played = 0;
  const playLine = async (guest: Machine): Promise<boolean> => {
    const line = waiting.shift();
    for (const planned of line ?? []) {
      const figures = await playOne(options, planned, guest);
      played += 1;
      const { trace, contestant, repeat } = planned;
      const which = `${trace.name} ${contestant} ${repeat}`;
      say(`${played}/${missing.length} ${which}: ${brief(figures)}`);
    }
    return line !== undefined;
  };
  try {
    const rooms = Array.from({ length: guests }, async (_, index) => {
      await sleep(index * 2 * SPAWN_MS);
      await withGuest(laboratory, options.clock, brought, index, say, async (guest) => {
        while (await playLine(guest));
      });
    });
    // One guest's end is not the others': what they play stays played.
    const ends = await Promise.allSettled(rooms);
    const failure = ends.find((end) => end.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  } finally {
    laboratory.close();
    rmSync(brought, { recursive: true });
  }
}

/** The runs of each line, as planned. */
function linesOf(runs: readonly PlannedRun[]): PlannedRun[][] {
  const names = new Set(runs.map((planned) => planned.trace.name));
  return [...names].map((name) => runs.filter((planned) => planned.trace.name === name));
}

async function withGuest(
  laboratory: Laboratory,
  clock: GuestClock,
  brought: string,
  index: number,
  say: Say,
  use: (guest: Machine) => Promise<void>,
): Promise<void> {
  const guests = await laboratory.guests({ line: { memoryMiB: GUEST_MEMORY_MIB, clock } });
  try {
    const guest = guests.machines.line;
    guest.start();
    await sleep(SPAWN_MS);
    const processor = clock === "instructions" ? allowedProcessors()[index]! : null;
    if (!favourNewChildren(processor)) say("without root the guest gets no priority");
    await guests.startAll();
    await guest.copyFromHost(brought, GUEST_FOLDER);
    await guest.succeed(ownNode());
    await use(guest);
  } finally {
    await guests.destroy();
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
): Promise<RunFigures> {
  const { trace, contestant, repeat } = planned;
  const spec: RunSpec = {
    folder: `${RUN_FOLDER}/${trace.name}-${contestant}-${repeat}`,
    trace,
    contestant: contestantSpec(contestant, trace),
    warmUpMs: WARM_UP_MS,
    isIdle: trace.name === IDLE_TRACE,
  };
  if (contestant.startsWith("myco")) {
    const settings = Buffer.from(mycoSettings(contestant, trace));
    await guest.succeed(`rm -rf /run/bench-myco && cat > ${MYCO_SETTINGS}`, { input: settings });
  }
  const specText = Buffer.from(`${JSON.stringify(spec)}\n`);
  await guest.succeed(`cat > ${GUEST_FOLDER}/spec.json`, { input: specText });
  await guest.succeed(`node ${GUEST_FOLDER}/stage.mjs ${GUEST_FOLDER}/spec.json >&2`);
  const target = runFolder(options.out, planned);
  await bringHome(guest, spec.folder, target);
  writeFileSync(join(target, "spec.json"), specText);
  const figures = measure(readRunLogs(target));
  writeFileSync(figuresFile(options.out, planned), `${JSON.stringify(figures, null, 1)}\n`);
  return figures;
}

async function bringHome(guest: Machine, source: string, target: string): Promise<void> {
  const parent = dirname(target);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(parent, { recursive: true });
  await guest.copyToHost(source, parent);
  renameSync(join(parent, source.slice(source.lastIndexOf("/") + 1)), target);
  await guest.succeed(`rm -rf ${source}`);
}

function brief({ rtt, download, upload, lagP99Ms }: RunFigures): string {
  const whole = (value: number | null): string => (value === null ? "–" : value.toFixed(0));
  const share = (value: number | null): string => whole(value === null ? null : 100 * value);
  const starved =
    lagP99Ms > LAG_MS_WORTH_SAYING ? `; the guest was starved, ${whole(lagP99Ms)} ms` : "";
  return (
    `RTT +${whole(rtt.p50Ms)} / +${whole(rtt.p95Ms)} ms, goodput ${share(download.goodputShare)} / ` +
    `${share(upload.goodputShare)} %, usable ${share(download.usableShare)} / ${share(upload.usableShare)} %${starved}`
  );
}

function run(program: string, args: readonly string[]): void {
  const { status } = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${program} ended with ${status}`);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
