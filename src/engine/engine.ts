// What runs services on this machine, whatever it is made of: child processes here,
// systemd units elsewhere. It does as it is told and reports what happens; what should run
// is decided in reconcile.ts.

import type { ServiceSpec } from "../schema/service.ts";

/**
 * - `building`: nothing of it runs yet, and what it runs from is being fetched or built.
 * - `starting`: the pre-start command runs, or the program runs and is not known to be well.
 * - `healthy`: its health check passes, or it has none and has stayed up for a moment.
 * - `unhealthy`: it runs, and its health check fails.
 * - `backoff`: it ended, and is started again after a wait.
 * - `refused`: this engine cannot run it; the detail says why. It is not tried again.
 * - `idle`: an earlier daemon left it here and it does not run; it waits to be started or stopped.
 * - `stopping`: it was told to end and has not yet.
 */
export const INSTANCE_STATES = [
  "building",
  "starting",
  "healthy",
  "unhealthy",
  "backoff",
  "refused",
  "idle",
  "stopping",
] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];

/** One service on this node. There is at most one of each name. */
export interface Instance {
  readonly name: string;
  /** Which version of the service: the low 32 bits of its record's fingerprint. */
  readonly generation: number;
  readonly spec: ServiceSpec;
}

export interface InstanceStatus {
  readonly name: string;
  readonly generation: number;
  readonly state: InstanceState;
  /** For people: why it is in this state; empty when there is nothing to say. */
  readonly detail: string;
  /** How often it was started again after it ended by itself. */
  readonly restartCount: number;
  /** The process that runs it, or null while none does or the engine does not know. */
  readonly pid: number | null;
  /** The generation that is being made ready while this one goes on; null: none. */
  readonly next: { readonly generation: number; readonly detail: string } | null;
  /** The generation that was tried here, failed, and gave way to this one; null: none. */
  readonly rolledBackFrom: number | null;
  /** What its flake was locked to; empty where there is none. */
  readonly lock: string;
  /** What the service runs from; empty where nothing was built. */
  readonly storePath: string;
  /** systemd's exposure score, 0 to 10; null where no unit confines it. */
  readonly exposure: number | null;
  /** What it uses now; null where nobody counts. */
  readonly memoryBytes: number | null;
}

/** An instance's new state. After `stopped` the engine no longer lists it. */
export type OnInstanceState = (
  name: string,
  state: InstanceState | "stopped",
  detail: string,
) => void;

/** What the instances print. Kept after they end, as long as there is room. */
export interface InstanceLogs {
  /** The last `lineCount` lines, oldest first, or fewer when no more are kept. */
  tail(name: string, lineCount: number): Promise<readonly string[]>;
  /**
   * Calls `onLine` for the last `lineCount` lines and for every line from now on, whether the
   * service runs yet or not.
   * @returns what ends it, or null when too many follow already
   */
  follow(name: string, lineCount: number, onLine: (line: string) => void): (() => void) | null;
}

/** Calls return at once; what comes of them is told through `OnInstanceState`. */
export interface Engine {
  /** False until the engine knows what an earlier daemon left here: nothing is decided before. */
  readonly ready: boolean;
  /** Whether services would run on if the daemon ended now. */
  readonly outlivesDaemon: boolean;
  /**
   * Runs `instance`. One of the same name and another generation is stopped first; the same
   * generation again has no effect.
   */
  start(instance: Instance): void;
  /** Ends the instance of this name, if there is one. */
  stop(name: string): void;
  list(): readonly InstanceStatus[];
  /** Once a tick: does what is due. @param nowMs monotonic */
  tick(nowMs: number): void;
  readonly logs: InstanceLogs;
  /**
   * Ends the instances that do not outlive the daemon, then calls `done`. Nothing can be started
   * afterwards.
   */
  close(done: () => void): void;
}

/** What an engine says that builds nothing, confines nothing and counts nothing. */
export const NOTHING_BUILT = {
  next: null,
  rolledBackFrom: null,
  lock: "",
  storePath: "",
  exposure: null,
  memoryBytes: null,
} as const;
