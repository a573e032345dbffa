// Asks the host's scheduler to serve the guest before everything else. A guest by the host's clock
// would show what it is short of as the line's delay; one by its own clock only takes longer.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, setPriority } from "node:os";

const NICE = -10;

/**
 * Every child of this process, all its threads.
 * @param together on one processor: QEMU's threads hand over to each other thousands of times a
 *   second when the guest's clock counts instructions, which costs half as much there
 * @returns false where that is not allowed
 */
export function favourChildren(together: boolean): boolean {
  try {
    for (const pid of childrenOf(process.pid)) {
      if (together) keepTogether(pid);
      for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), NICE);
      favourSession(pid);
    }
    return true;
  } catch {
    return false;
  }
}

/** Two benches at a time take two processors, if chance will have it. */
function keepTogether(pid: string): void {
  const processor = process.pid % cpus().length;
  spawnSync("taskset", ["-a", "-c", "-p", `${processor}`, pid]);
  // The first thread only passes on what the others have long done by themselves.
  spawnSync("chrt", ["--idle", "-p", "0", pid]);
}

/** Sessions are served in turn, whatever their threads' priorities (sched(7), autogroup). */
function favourSession(pid: string): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, `${NICE}`);
  } catch {
    // A kernel without autogroups goes by the threads alone.
  }
}

function childrenOf(parent: number): string[] {
  return readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
    } catch {
      return false;
    }
  });
}
