// Gives a test script of NixOS's driver the lab's machines: nixos-bridge.py asks, and this answers.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { LabError } from "./errors.ts";
import type { Machine } from "./machine.ts";
import type { LabContext } from "./script.ts";

const BRIDGE = join("tests", "lab", "nixos-bridge.py");

/** What a script that fails outside of a subtest may have said. */
const SHOWN_CHARACTERS = 4000;

interface Request {
  readonly machine: string | null;
  readonly verb: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

type Arguments = Readonly<{
  command: string;
  commands: readonly string[];
  unit: string;
  property: string;
  port: number;
  address: string;
  path: string;
  source: string;
  target: string;
  /** Seconds; null is no limit. */
  timeout: number | null;
}>;

/** Each verb with what the machine does for it. */
const VERBS: Readonly<Record<string, (machine: Machine, the: Arguments) => Promise<unknown>>> = {
  execute: (machine, { command, timeout }) => machine.execute(command, { timeoutSeconds: timeout }),
  succeed: (machine, { commands, timeout }) =>
    machine.succeed(commands, { timeoutSeconds: timeout }),
  fail: (machine, { commands, timeout }) => machine.fail(commands, { timeoutSeconds: timeout }),
  waitUntilSucceeds: (machine, { command, timeout }) =>
    machine.waitUntilSucceeds(command, timeout ?? undefined),
  waitUntilFails: (machine, { command, timeout }) =>
    machine.waitUntilFails(command, timeout ?? undefined),
  waitForUnit: (machine, { unit, timeout }) => machine.waitForUnit(unit, timeout ?? undefined),
  unitProperty: (machine, { unit, property }) => machine.unitProperty(unit, property),
  waitForOpenPort: (machine, { port, address, timeout }) =>
    machine.waitForOpenPort(port, address, timeout ?? undefined),
  waitForClosedPort: (machine, { port, address, timeout }) =>
    machine.waitForClosedPort(port, address, timeout ?? undefined),
  waitForFile: (machine, { path, timeout }) => machine.waitForFile(path, timeout ?? undefined),
  copyFromHost: (machine, { source, target }) => machine.copyFromHost(source, target),
  start: (machine) => machine.connect(),
  crash: (machine) => machine.crash(),
  shutdown: (machine) => machine.shutdown(),
  block: (machine) => machine.block(),
  unblock: (machine) => machine.unblock(),
};

/**
 * Runs a script to its end, from the project's root.
 * @param script a Python file
 * @throws LabError with what the script said last when it fails
 */
export async function runNixosScript(script: string, lab: LabContext): Promise<void> {
  const words = [BRIDGE, script, ...Object.keys(lab.machines)];
  const child = spawn("python3", words, { stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise<number | null>((settle, fail) => {
    child.once("close", settle);
    child.once("error", fail);
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said = `${said}${chunk}`.slice(-SHOWN_CHARACTERS);
  });
  const subtests = new Subtests(lab);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const reply = await answer(lab, subtests, JSON.parse(line));
      child.stdin.write(`${JSON.stringify(reply)}\n`);
    }
    const exitCode = await ended;
    if (exitCode !== 0) throw new LabError("nixos-script", said.trim());
  } finally {
    child.kill();
  }
}

async function answer(lab: LabContext, subtests: Subtests, request: Request): Promise<object> {
  try {
    return { result: (await perform(lab, subtests, request)) ?? null };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

async function perform(lab: LabContext, subtests: Subtests, request: Request): Promise<unknown> {
  const { verb, arguments: the } = request;
  if (verb === "begin") return subtests.begin(String(the.name));
  if (verb === "end") return subtests.end(the.error === null ? null : String(the.error));
  if (verb === "startAll") return lab.startAll();
  if (verb === "note") return lab.note(String(the.message));
  const machine = lab.machines[request.machine ?? ""];
  const act = VERBS[verb];
  if (machine === undefined || act === undefined) {
    throw new LabError("nixos-script", `the lab cannot ${verb} ${request.machine ?? ""}`);
  }
  return act(machine, the as unknown as Arguments);
}

/** The script says where a subtest begins and ends; the lab wants a function. */
class Subtests {
  readonly #lab: LabContext;
  #finish: ((error: string | null) => void) | null = null;
  #counted: Promise<void> = Promise.resolve();

  constructor(lab: LabContext) {
    this.#lab = lab;
  }

  begin(name: string): void {
    const outcome = new Promise<void>((pass, fail) => {
      this.#finish = (error) =>
        error === null ? pass() : fail(new LabError("nixos-script", error));
    });
    // The script itself ends at what failed.
    this.#counted = this.#lab.subtest(name, () => outcome).catch(() => {});
  }

  async end(error: string | null): Promise<void> {
    this.#finish?.(error);
    this.#finish = null;
    await this.#counted;
  }
}
