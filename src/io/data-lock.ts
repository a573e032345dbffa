// One daemon to a data folder: a file that names the process which holds it. A holder that is
// gone (kill -9, power loss) is recognised, so that nobody has to tidy up after it.

import {
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Another process works in the folder. */
export class DataLockError extends Error {
  override readonly name = "DataLockError";
  readonly code = "ERR_DATA_LOCKED";
  readonly pid: number;

  constructor(folder: string, pid: number) {
    super(
      `The data folder ${folder} is in use by process ${pid}. Stop that daemon first, or give this one a data folder of its own.`,
    );
    this.pid = pid;
  }
}

/**
 * Takes the lock file `lock` in `folder`, which exists.
 * Processes that do not see each other's pids (containers) must not share a folder.
 * @returns releases the lock
 * @throws DataLockError while another process that lives holds it
 */
export function lockData(folder: string): () => void {
  const path = join(folder, "lock");
  const mine = `${process.pid} ${identityOf(process.pid)}\n`;
  const draft = `${path}.${process.pid}`;
  writeDraft(draft, mine);
  try {
    if (!linkUnlessThere(draft, path)) {
      removeStale(folder, path);
      if (!linkUnlessThere(draft, path)) throw new DataLockError(folder, holderOf(path).pid);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return () => rmSync(path, { force: true });
}

function writeDraft(draft: string, content: string): void {
  rmSync(draft, { force: true });
  const file = openSync(draft, "wx", 0o600);
  try {
    writeSync(file, content);
  } finally {
    closeSync(file);
  }
}

/** The whole lock appears at once, or not at all: no reader ever finds half of it. */
function linkUnlessThere(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Moves a dead holder's lock out of the way. Two daemons may do so at once: what was moved is
 * looked at again, and put back if it turns out to be the other's new one.
 */
function removeStale(folder: string, path: string): void {
  const found = holderOf(path);
  if (found.alive) throw new DataLockError(folder, found.pid);
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = holderOf(aside);
  if (moved.alive) linkUnlessThere(aside, path);
  rmSync(aside, { force: true });
}

function holderOf(path: string): { pid: number; alive: boolean } {
  const content = readIfThere(path);
  const match = /^([1-9]\d{0,9}) (.*)\n$/.exec(content);
  if (match === null) return { pid: 0, alive: false };
  const pid = Number(match[1]);
  return { pid, alive: isRunning(pid) && match[2] === identityOf(pid) };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Tells a process from a later one with the same pid: the boot, and its start in ticks since (proc_pid_stat(5), field 22). */
function identityOf(pid: number): string {
  const boot = readIfThere("/proc/sys/kernel/random/boot_id").trim();
  const stat = readIfThere(`/proc/${pid}/stat`);
  const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return `${boot} ${afterName[19] ?? ""}`.trim();
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
