// How much memory a run holds, after collecting garbage.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects until nothing more comes free: finalizers release memory only in the next round. */
const COLLECTIONS = 3;

let collect: (() => void) | null = null;

/** Bytes of live objects and of the memory outside V8's heap that they hold. */
export function liveBytes(): number {
  collect ??= exposedCollector();
  for (let i = 0; i < COLLECTIONS; i += 1) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** V8's collector, whether or not the process was started with --expose-gc. */
function exposedCollector(): () => void {
  if (globalThis.gc !== undefined) return () => globalThis.gc!();
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
