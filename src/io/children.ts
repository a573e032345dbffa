// Long-lived programs of the flow plane, each leader of a group of its own, so that Ctrl-C reaches
// the daemon alone, and none outlives the daemon, whatever ends it.

import { type ChildProcess, spawn } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { assert } from "../kernel/assert.ts";
import {
  CHILD_INPUT_BYTES_MAX,
  CHILD_OUTPUT_BYTES_PER_SECOND_MAX,
  CHILD_POLL_BYTES,
  CHILD_POLL_READS_MAX,
  PIPE_WRITE_BYTES_MAX,
  RUN_OUTPUT_BYTES_MAX,
} from "../kernel/limits.ts";
import type {
  Child,
  ChildCommand,
  ChildEvents,
  Children,
  RunResult,
} from "../kernel/system-ports.ts";
import { DeathWatch } from "./death-watch.ts";
import { LineSplitter } from "./line-splitter.ts";
import { PipePool, type PooledPipe } from "./pipe-pool.ts";
import {
  describeExit,
  describeStartFailure,
  endProcessGroup,
  findNotedGroup,
  forgetGroup,
  killProcessGroup,
  noteGroup,
  readSlowly,
} from "./process-group.ts";

/** How long a child that was told to end may take. */
const END_GRACE_MS = 1_000;
/** How long an ended child's pipes are waited for, should another process hold them. */
const CLOSE_WAIT_MS = 1_000;
const RUN_TIMEOUT_MS = 10_000;
/**
 * The daemon's own PATH (on NixOS the only one there is), then where routers and servers keep tc,
 * nft and fping: a person's PATH often lacks the half of that.
 */
export const SYSTEM_PATH = [
  ...(process.env.PATH ?? "").split(":"),
  ..."/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".split(":"),
]
  .filter((folder, index, all) => folder.startsWith("/") && all.indexOf(folder) === index)
  .join(":");
/** In the environment of every child, so that a later daemon knows it for its own. */
const MARKER_NAME = "MYCO_CHILD";
const MARKER_VALUE = "flow";

export interface SystemChildrenOptions {
  /** Of the daemon's own: notes of what runs, and the pipes' names. Null: neither; nothing is polled then. */
  readonly stateDir: string | null;
}

/** The pipes of a polled child. */
interface PolledPipes {
  readonly input: PooledPipe;
  readonly output: PooledPipe;
}

const NOT_STARTED: Child = { pid: null, write: () => false, poll: () => {}, end: () => {} };

export class SystemChildren implements Children {
  readonly #notesDir: string | null;
  readonly #deathWatch = new DeathWatch(SYSTEM_PATH);
  readonly #pipes: PipePool | null;

  /** Ends what an earlier daemon on the same `stateDir` left running. */
  constructor(options: SystemChildrenOptions) {
    this.#notesDir = options.stateDir === null ? null : join(options.stateDir, "children");
    this.#pipes = this.#notesDir === null ? null : takeFolder(this.#notesDir);
  }

  start(command: ChildCommand, events: ChildEvents): Child {
    const pipes = command.polled === true ? this.#openPipes() : null;
    let process: ChildProcess;
    try {
      process = this.#spawn(command.program, command.args, [
        pipes?.input.childEnd ?? "pipe",
        pipes?.output.childEnd ?? "pipe",
      ]);
    } catch (error) {
      // No such program, or arguments beyond what the kernel takes.
      this.#closePipes(pipes);
      setImmediate(() => events.onExit(describeStartFailure(command.program, error as Error)));
      return NOT_STARTED;
    } finally {
      if (pipes !== null) closeSync(pipes.input.childEnd);
      if (pipes !== null) closeSync(pipes.output.childEnd);
    }
    this.#note(process);
    return new SystemChild(process, pipes, () => this.#closePipes(pipes), command, events);
  }

  run(
    program: string,
    args: readonly string[],
    options: { readonly input?: string; readonly timeoutMs?: number } = {},
  ): Promise<RunResult> {
    return new Promise((resolve) => {
      let process: ChildProcess;
      try {
        process = this.#spawn(program, args, ["pipe", "pipe"]);
      } catch (error) {
        const stderr = describeStartFailure(program, error as Error);
        resolve({ exitCode: null, stdout: "", stderr });
        return;
      }
      collect(process, program, options.timeoutMs ?? RUN_TIMEOUT_MS, resolve);
      (process.stdin as Writable).end(options.input ?? "");
    });
  }

  #spawn(
    program: string,
    args: readonly string[],
    stdio: readonly ["pipe" | number, "pipe" | number],
  ): ChildProcess {
    const process = spawn(findProgram(program), [...args], {
      cwd: "/",
      env: { PATH: SYSTEM_PATH, LC_ALL: "C", [MARKER_NAME]: MARKER_VALUE },
      detached: true,
      stdio: [...stdio, "pipe"],
    });
    // A child that has ended, or never was, reads nothing: its exit tells.
    process.stdin?.on("error", () => {});
    return process;
  }

  /** Null where no pipes can be had: the child is then read as it speaks. */
  #openPipes(): PolledPipes | null {
    const input = this.#pipes?.open("writes") ?? null;
    if (input === null) return null;
    const output = this.#pipes?.open("reads") ?? null;
    if (output !== null) return { input, output };
    closeSync(input.childEnd);
    this.#pipes?.close(input);
    return null;
  }

  #closePipes(pipes: PolledPipes | null): void {
    if (pipes === null) return;
    this.#pipes?.close(pipes.input);
    this.#pipes?.close(pipes.output);
  }

  /** For the shell that ends it should the daemon die, and for a later daemon should both. */
  #note(process: ChildProcess): void {
    const { pid } = process;
    if (pid === undefined) return;
    const note = this.#notesDir === null ? null : join(this.#notesDir, `${pid}.json`);
    this.#deathWatch.add(pid);
    if (note !== null) noteGroup(note, pid, `${MARKER_NAME}=${MARKER_VALUE}`, 0);
    process.once("exit", () => {
      this.#deathWatch.remove(pid);
      if (note !== null) forgetGroup(note);
    });
  }
}

/**
 * The path of `program`, looked for in `SYSTEM_PATH` unless it is one.
 * @throws a system error: ENOENT, EACCES
 */
export function findProgram(program: string): string {
  if (program.includes("/")) {
    accessSync(program, constants.X_OK);
    return program;
  }
  for (const folder of SYSTEM_PATH.split(":")) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  throw Object.assign(new Error(`there is no ${program}`), { code: "ENOENT" });
}

/** Ends the children of an earlier daemon, and makes the folder this one's. */
function takeFolder(folder: string): PipePool {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const group = name.endsWith(".json") ? findNotedGroup(path) : null;
    if (group !== null) killProcessGroup(group.pid);
    rmSync(path, { force: true });
  }
  return new PipePool(folder, SYSTEM_PATH);
}

class SystemChild implements Child {
  readonly pid: number | null;
  readonly #process: ChildProcess;
  readonly #closePipes: () => void;
  readonly #events: ChildEvents;
  readonly #stdoutLines: LineSplitter;
  readonly #stderrLines: LineSplitter;
  /** Of a polled child; null once it has ended. */
  #pipes: PolledPipes | null;
  #how: string | null = null;
  #ended = false;

  constructor(
    process: ChildProcess,
    pipes: PolledPipes | null,
    closePipes: () => void,
    command: ChildCommand,
    events: ChildEvents,
  ) {
    this.pid = process.pid ?? null;
    this.#process = process;
    this.#pipes = pipes;
    this.#closePipes = closePipes;
    this.#events = events;
    this.#stdoutLines = new LineSplitter(command.lineBytesMax);
    this.#stderrLines = new LineSplitter(command.lineBytesMax);
    this.#listen(process.stdout, (chunk) => this.#onStdout(chunk));
    this.#listen(process.stderr, (chunk) => this.#stderrLines.push(chunk, this.#onStderrLine));
    process.once("error", (error) => {
      if (process.pid === undefined) this.#onEnd(describeStartFailure(command.program, error));
    });
    process.once("exit", (code, signal) => this.#onExit(describeExit(code, signal)));
    process.once("close", () => this.#onEnd(this.#how ?? "ended"));
  }

  write(text: string): boolean {
    if (this.#pipes !== null) return writePipe(this.#pipes.input.daemonEnd, text);
    const stdin = this.#process.stdin;
    if (stdin === null || !stdin.writable) return false;
    if (stdin.writableLength + text.length > CHILD_INPUT_BYTES_MAX) return false;
    stdin.write(text);
    return true;
  }

  poll(): void {
    for (let reads = 0; reads < CHILD_POLL_READS_MAX && this.#pipes !== null; reads += 1) {
      const sizeBytes = readPipe(this.#pipes.output.daemonEnd);
      if (sizeBytes === 0) return;
      this.#onStdout(pollBuffer.subarray(0, sizeBytes));
      if (sizeBytes < CHILD_POLL_BYTES) return;
    }
  }

  end(): void {
    if (this.pid === null || this.#how !== null) return;
    endProcessGroup(this.pid, END_GRACE_MS, () => {});
  }

  #listen(stream: Readable | null, onChunk: (chunk: Buffer) => void): void {
    if (stream !== null) readSlowly(stream, CHILD_OUTPUT_BYTES_PER_SECOND_MAX, onChunk);
  }

  #onStdout(chunk: Buffer): void {
    if (this.#events.onBytes !== undefined) this.#events.onBytes(chunk);
    else this.#stdoutLines.push(chunk, this.#onStdoutLine);
  }

  readonly #onStdoutLine = (line: string): void => this.#events.onLine?.("stdout", line);
  readonly #onStderrLine = (line: string): void => this.#events.onLine?.("stderr", line);

  /** Its last words may still be in the pipes, which "close" waits for. */
  #onExit(how: string): void {
    this.#how = how;
    setTimeout(() => {
      this.#process.stdout?.destroy();
      this.#process.stderr?.destroy();
    }, CLOSE_WAIT_MS).unref();
  }

  #onEnd(how: string): void {
    // A child that could not be started has an error and an end of its pipes.
    if (this.#ended) return;
    this.#ended = true;
    this.poll();
    this.#pipes = null;
    this.#closePipes();
    this.#stdoutLines.finish(this.#onStdoutLine);
    this.#stderrLines.finish(this.#onStderrLine);
    this.#events.onExit(how);
  }
}

/** All polled children are read through this one, one after the other. */
const pollBuffer = Buffer.allocUnsafeSlow(CHILD_POLL_BYTES);

/** @returns the bytes now in `pollBuffer`; 0: nothing waits, or the child has ended */
function readPipe(pipe: number): number {
  try {
    return readSync(pipe, pollBuffer, 0, CHILD_POLL_BYTES, null);
  } catch {
    // EAGAIN: nothing waits.
    return 0;
  }
}

/** @returns false when the child has ended or its pipe is full */
function writePipe(pipe: number, text: string): boolean {
  assert(text.length <= PIPE_WRITE_BYTES_MAX, "a polled child is written to in short texts");
  try {
    return writeSync(pipe, text) === text.length;
  } catch {
    return false;
  }
}

/** Reads both outputs to the end; a program that takes longer is killed. */
function collect(
  process: ChildProcess,
  program: string,
  timeoutMs: number,
  resolve: (result: RunResult) => void,
): void {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    process[name]?.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text.slice(0, RUN_OUTPUT_BYTES_MAX - output[name].length);
    });
  }
  const timer = setTimeout(() => {
    output.stderr += `took longer than ${timeoutMs / 1_000} s`;
    if (process.pid !== undefined) killProcessGroup(process.pid);
  }, timeoutMs);
  process.once("error", (error) => {
    if (process.pid !== undefined) return;
    clearTimeout(timer);
    resolve({ exitCode: null, stdout: "", stderr: describeStartFailure(program, error) });
  });
  process.once("close", (exitCode) => {
    clearTimeout(timer);
    resolve({ exitCode, ...output });
  });
}
