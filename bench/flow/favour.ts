// Asks the host's scheduler to serve the guest before everything else. A guest by the host's clock
// would show what it is short of as the line's delay; one by its own clock only takes longer.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";

const NICE = -10;

const favoured = new Set<string>();

/**
 * The children that this process has started since the last time, all their threads.
 * @param processor keeps them on this one: QEMU's threads hand over to each other thousands of times
 *   a second when the guest's clock counts instructions, which costs half as much there; null: any
 * @returns false where that is not allowed
 */
export function favourNewChildren(processor: number | null): boolean {
  try {
    for (const pid of childrenOf(process.pid)) {
      if (favoured.has(pid)) continue;
      favoured.add(pid);
      if (processor !== null) spawnSync("taskset", ["-a", "-c", "-p", `${processor}`, pid]);
      for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), NICE);
      favourSession(pid);
    }
    return true;
  } catch {
    return false;
  }
}

/** Sessions are served in turn, whatever their threads' priorities (sched(7), autogroup). */
function favourSession(pid: string): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, `${NICE}`);
  } catch {
    // A kernel without autogroups goes by the threads alone.
  }
}

/** The processors this process may use, such as `[0, 1]` (proc_pid_status(5), Cpus_allowed_list). */
export function allowedProcessors(): number[] {
  const status = readFileSync("/proc/self/status", "utf8");
  const ranges = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1]?.split(",") ?? ["0"];
  return ranges.flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
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
