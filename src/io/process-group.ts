// Child processes, each the leader of a group of its own, so that what it starts ends with
// it; and the notes by which a later daemon finds groups that outlived an earlier one.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { SERVICE_OUTPUT_BYTES_PER_SECOND_MAX } from "../kernel/limits.ts";

export interface Command {
  /** Absolute, or a name to look up in the PATH of `env`. */
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** All the child's environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
}

export type OutputStream = "stdout" | "stderr";

export interface ProcessEvents {
  readonly onOutput: (stream: OutputStream, chunk: Buffer) => void;
  /**
   * Once: the leader ended, or never ran. Others of its group may live on.
   * @param how for people: "exited with code 1", "was ended by SIGKILL", "could not be started: …"
   */
  readonly onExit: (success: boolean, how: string) => void;
}

export interface ProcessGroup {
  /** The group's id and its leader's; null when it could not be started. */
  readonly pid: number | null;
}

/** How often a group that was told to end is looked at. */
const END_POLL_MS = 50;
/** How long a killed group is waited for; only a process stuck in the kernel takes longer. */
const KILL_WAIT_MS = 2_000;

/** Starts `command` in a new session. Failures come through `onExit` as well. */
export function startProcessGroup(command: Command, events: ProcessEvents): ProcessGroup {
  let child: ChildProcess;
  try {
    child = spawn(command.program, [...command.args], {
      cwd: command.cwd,
      env: { ...command.env },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    // Such as arguments beyond what the kernel takes.
    setImmediate(() => events.onExit(false, describeStartFailure(command.program, error as Error)));
    return { pid: null };
  }
  child.once("error", (error) => {
    if (child.pid === undefined) events.onExit(false, describeStartFailure(command.program, error));
  });
  child.once("exit", (code, signal) => events.onExit(code === 0, describeExit(code, signal)));
  for (const name of ["stdout", "stderr"] as const) {
    readSlowly(child[name] as Readable, SERVICE_OUTPUT_BYTES_PER_SECOND_MAX, (chunk) =>
      events.onOutput(name, chunk),
    );
  }
  return { pid: child.pid ?? null };
}

/** For people. One of `code` and `signal` is null. */
export function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
}

export function describeStartFailure(program: string, error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return `could not be started: there is no ${program}`;
  if (error.code === "EACCES") return `could not be started: ${program} is not executable`;
  return `could not be started: ${error.message}`;
}

/** Reads at a bounded rate, so that a child that prints without end cannot take the loop. */
export function readSlowly(
  stream: Readable,
  bytesPerSecondMax: number,
  onChunk: (chunk: Buffer) => void,
): void {
  let windowStartMs = performance.now();
  let windowBytes = 0;
  stream.on("data", (chunk: Buffer) => {
    const nowMs = performance.now();
    if (nowMs - windowStartMs >= 1_000) {
      windowStartMs = nowMs;
      windowBytes = 0;
    }
    windowBytes += chunk.length;
    onChunk(chunk);
    if (windowBytes < bytesPerSecondMax) return;
    stream.pause();
    setTimeout(() => stream.resume(), windowStartMs + 1_000 - nowMs).unref();
  });
  // The pipe breaks when the group is killed; its end is told by the exit.
  stream.on("error", () => {});
}

/** Asks every process of the group to end, kills it after `graceMs`, and calls `done` when none lives. */
export function endProcessGroup(pid: number, graceMs: number, done: () => void): void {
  const startMs = performance.now();
  let killed = false;
  signalGroup(pid, "SIGTERM");
  const look = (): void => {
    const elapsedMs = performance.now() - startMs;
    if (!groupLives(pid) || elapsedMs >= graceMs + KILL_WAIT_MS) {
      done();
      return;
    }
    if (!killed && elapsedMs >= graceMs) {
      signalGroup(pid, "SIGKILL");
      killed = true;
    }
    setTimeout(look, END_POLL_MS);
  };
  setImmediate(look);
}

/** Ends every process of the group now. */
export function killProcessGroup(pid: number): void {
  signalGroup(pid, "SIGKILL");
}

function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether any process of the group runs. Zombies do not count: not every init reaps them. */
function groupLives(pid: number): boolean {
  if (!signalGroup(pid, 0)) return false;
  const leader = readProcess(pid);
  if (leader !== null && leader.group === pid && !leader.zombie) return true;
  const members = groupMembers(pid);
  return members === null || members.length > 0;
}

interface ProcessFacts {
  readonly pid: number;
  readonly group: number;
  readonly zombie: boolean;
  /** Since boot, in the kernel's clock ticks: with the pid it names one process of one boot. */
  readonly startTicks: number;
}

/** From `/proc/PID/stat` (proc_pid_stat(5)); null when there is no such process or no procfs. */
function readProcess(pid: number): ProcessFacts | null {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the program's name in parentheses, which may hold any byte.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    group: Number(fields[2]),
    zombie: fields[0] === "Z" || fields[0] === "X",
    startTicks: Number(fields[19]),
  };
}

/** The living processes of a group; null where procfs cannot tell. */
function groupMembers(group: number): ProcessFacts[] | null {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return null;
  }
  const members: ProcessFacts[] = [];
  for (const name of names) {
    if (!/^[0-9]+$/.test(name)) continue;
    const facts = readProcess(Number(name));
    if (facts !== null && facts.group === group && !facts.zombie) members.push(facts);
  }
  return members;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** What is written down about a group, so that a later daemon can tell it from a stranger. */
export interface GroupNote {
  readonly pid: number;
  readonly startTicks: number;
  /** Pids and ticks begin anew at every boot. */
  readonly bootId: string;
  /** `NAME=VALUE` of the group's environment. */
  readonly marker: string;
  readonly generation: number;
}

/** Notes a group that was just started. Without procfs there is nothing to note. */
export function noteGroup(file: string, pid: number, marker: string, generation: number): void {
  const facts = readProcess(pid);
  const bootId = readBootId();
  if (facts === null || bootId === null) return;
  const note: GroupNote = { pid, startTicks: facts.startTicks, bootId, marker, generation };
  try {
    writeFileSync(file, JSON.stringify(note));
  } catch {
    // A full disk: the group runs all the same, only a crash of this daemon would lose it.
  }
}

export function forgetGroup(file: string): void {
  rmSync(file, { force: true });
}

/** The noted group when any of it still runs, and is no stranger with a pid used again. */
export function findNotedGroup(file: string): GroupNote | null {
  const note = parseNote(readText(file));
  if (note === null || note.bootId !== readBootId()) return null;
  const leader = readProcess(note.pid);
  if (leader !== null && leader.startTicks !== note.startTicks) return null;
  const members = groupMembers(note.pid) ?? [];
  // With its leader gone, only the environment still tells whose group it is.
  const ours = leader === null ? members.filter((m) => hasMarker(m.pid, note.marker)) : members;
  return ours.length > 0 ? note : null;
}

function hasMarker(pid: number, marker: string): boolean {
  return readText(`/proc/${pid}/environ`)?.split("\0").includes(marker) ?? false;
}

function readBootId(): string | null {
  return readText("/proc/sys/kernel/random/boot_id")?.trim() ?? null;
}

function parseNote(text: string | null): GroupNote | null {
  if (text === null) return null;
  let value: Partial<GroupNote> | null;
  try {
    value = JSON.parse(text) as Partial<GroupNote> | null;
  } catch {
    return null;
  }
  const { pid, startTicks, bootId, marker, generation } = value ?? {};
  // Group 1 and below would reach init or this very daemon.
  if (!Number.isSafeInteger(pid) || (pid as number) <= 1) return null;
  if (typeof startTicks !== "number" || typeof generation !== "number") return null;
  if (typeof bootId !== "string" || typeof marker !== "string") return null;
  return { pid: pid as number, startTicks, bootId, marker, generation };
}
