// `npm run lab`: runs lab scripts in virtual machines; `npm run lab:shell` opens one.

import { setInterval } from "node:timers";
import { Agenda, type RunnableScript } from "./agenda.ts";
import { HELP, type LabArguments, readArguments } from "./arguments.ts";
import { HostLacksError, LabError } from "./errors.ts";
import { Laboratory } from "./laboratory.ts";
import { Runner, type Tally } from "./runner.ts";
import { chooseScripts, listScripts, loadScript } from "./script-files.ts";
import { openTerminal } from "./terminal.ts";

const EXIT = { passed: 0, failed: 1, usage: 2, hostLacks: 69, interrupted: 130 } as const;

/** How often the driver looks whether the one who started it is still there. */
const PARENT_LOOK_MS = 1000;

const print = (line: string): void => console.log(line);

async function main(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (typeof options === "string") {
    console.error(`${options}\nMore with --help.`);
    return EXIT.usage;
  }
  if (options.action === "help") {
    print(HELP);
    return EXIT.passed;
  }
  const root = process.cwd();
  if (options.action === "list") {
    await printList(root);
    return EXIT.passed;
  }
  const scripts = await loadScripts(root, options);
  const laboratory = await Laboratory.open({
    root,
    accelerator: options.accelerator,
    say: (line) => print(`» ${line}`),
    ...(options.verbose ? { trace: print } : {}),
  });
  print(`» accelerator ${laboratory.accelerator}, image ${laboratory.image.hash}`);
  return options.action === "shell"
    ? await runShell(laboratory, scripts[0] ?? null)
    : await runScripts(laboratory, scripts, options);
}

async function printList(root: string): Promise<void> {
  const all = listScripts(root);
  const width = Math.max(...all.map(({ name }) => name.length));
  for (const named of all) {
    const { title } = await loadScript(root, named);
    print(`${named.name.padEnd(width)}  ${title}`);
  }
}

async function loadScripts(root: string, options: LabArguments): Promise<RunnableScript[]> {
  const all = listScripts(root);
  const everything = options.scripts.length === 0 && options.action === "run";
  const chosen = everything ? all : chooseScripts(options.scripts, all);
  const scripts: RunnableScript[] = [];
  for (const named of chosen) {
    scripts.push({ name: named.name, script: await loadScript(root, named) });
  }
  return scripts;
}

async function runScripts(
  laboratory: Laboratory,
  scripts: readonly RunnableScript[],
  { keep }: LabArguments,
): Promise<number> {
  const startMs = performance.now();
  const agenda = new Agenda(scripts);
  const width = Math.max(...scripts.map(({ name }) => name.length));
  const tell = (script: string, line: string): void =>
    print(agenda.lanes > 1 ? `${script.padEnd(width)} ${line}` : line);
  const runners = Array.from({ length: agenda.lanes }, () => new Runner(laboratory, tell, keep));
  endOnInterruption(async () => {
    await Promise.all(runners.map((runner) => runner.abort()));
    laboratory.close();
  });
  await Promise.all(runners.map((runner, lane) => runner.run(agenda, lane)));
  if (keep) print(`» kept: ${laboratory.scratch}`);
  else laboratory.close();
  const total = (kind: keyof Tally): number =>
    runners.reduce((sum, { tally }) => sum + tally[kind], 0);
  print(`» everything took ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  print(`${total("passed")} passed, ${total("failed")} failed, ${total("skipped")} skipped`);
  return total("failed") === 0 ? EXIT.passed : EXIT.failed;
}

async function runShell(laboratory: Laboratory, chosen: RunnableScript | null): Promise<number> {
  const set = await laboratory.guests(chosen?.script.machines ?? { guest: {} });
  try {
    await openTerminal(laboratory, set);
  } finally {
    await set.destroy();
    laboratory.close();
  }
  return EXIT.passed;
}

/** Ends the process after `cleanUp` on a signal, or when the one who started it has gone. */
function endOnInterruption(cleanUp: () => Promise<void>): void {
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    void cleanUp().finally(() => process.exit(EXIT.interrupted));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, PARENT_LOOK_MS).unref();
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  console.error(`lab: ${error.message}`);
  process.exitCode = error instanceof HostLacksError ? EXIT.hostLacks : EXIT.failed;
}
