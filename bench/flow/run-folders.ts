// Where each run's logs and figures are.

import { join } from "node:path";
import type { PlannedRun } from "./plan.ts";

export function runFolder(out: string, { trace, contestant, repeat }: PlannedRun): string {
  return join(out, trace.name, contestant, `${repeat}`);
}

/** There once the run has come to its end. */
export function figuresFile(out: string, planned: PlannedRun): string {
  return join(runFolder(out, planned), "figures.json");
}
