// Waiting for something real to happen, for as long as the test's own time-out allows.

import { readFileSync } from "node:fs";

const POLL_MS = 10;

/** Resolves when `condition` holds. Never gives up: the test's time-out says what hung. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Whether a process with this pid runs. A zombie does not. */
export function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !["Z", "X"].includes(stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3));
  } catch {
    return false;
  }
}
