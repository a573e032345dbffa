// Asks the host's scheduler to serve the guest before everything else: what the guest is short of
// would be measured as the line's delay.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";

const NICE = -10;

/** Every child of this process, all its threads. @returns false where that is not allowed */
export function favourChildren(): boolean {
  try {
    for (const pid of childrenOf(process.pid)) {
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
