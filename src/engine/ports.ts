// What the engine needs of a machine with systemd and nix, as ports: the deciding code knows
// neither children nor files, and its tests put a machine of their own in their place.

/** What systemd says of one unit (`systemctl show`). */
export interface UnitStatus {
  /** With its suffix, such as `myco-web.service`. */
  readonly unit: string;
  /** `loaded`, `not-found`, `bad-setting`, `error`, `masked`. */
  readonly load: string;
  /** `active`, `activating`, `deactivating`, `inactive`, `failed`, `reloading`. */
  readonly active: string;
  /** `running`, `dead`, `auto-restart`, `start-pre`, `exited`, … */
  readonly sub: string;
  /** Why it ended: `success`, `exit-code`, `signal`, `timeout`, `watchdog`, `oom-kill`, `start-limit-hit`, … */
  readonly result: string;
  readonly exitStatus: number;
  /** 0: none. */
  readonly mainPid: number;
  /** How often systemd started it again by itself. */
  readonly restartCount: number;
  /** Null where systemd does not count. */
  readonly memoryBytes: number | null;
  /** Since when it has been active, of the monotonic clock; 0: it is not. */
  readonly activeSinceMs: number;
  /** Another one after every start; empty: it has never run. */
  readonly invocation: string;
}

/** Unit files of ours, by file name. Names not in `files` that are in `removed` go away. */
export interface UnitFilesChange {
  readonly files: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
}

/** How a command of systemd's ended. */
export type UnitOutcome = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** The service manager. Every call may take long; none holds the loop. */
export interface ServiceManager {
  /** Every unit of ours that is loaded, by name; null: systemd does not answer. */
  list(): Promise<ReadonlyMap<string, UnitStatus> | null>;
  /** The text of our unit files by file name, as they lie on disk. */
  readFiles(): ReadonlyMap<string, string>;
  /**
   * Writes and removes files, each whole or not at all, then reloads if anything changed: once for
   * all changes that are asked for at the same time.
   */
  change(change: UnitFilesChange): Promise<UnitOutcome>;
  /** Returns when the job is queued (`--no-block`). */
  start(unit: string): Promise<UnitOutcome>;
  restart(unit: string): Promise<UnitOutcome>;
  /** Returns when the jobs are queued; `list` tells when they have ended. */
  stop(units: readonly string[]): Promise<UnitOutcome>;
  /** Forgets that it failed and how often. */
  resetFailed(unit: string): Promise<UnitOutcome>;
  /** systemd's exposure score of a unit file that lies on disk, 0 to 10; null: it cannot be told. */
  exposure(unitFile: string): Promise<number | null>;
}

/** The notes of the services, by name; each is replaced as a whole or not at all. */
export interface NoteFolder {
  readAll(): ReadonlyMap<string, string>;
  /** Durable when it settles; false when the disk refuses. */
  write(name: string, text: string): Promise<boolean>;
  remove(name: string): void;
}

/** Where a flake leads: what every replica will build. */
export interface LockedFlake {
  /** A flake URI that names one content only, without the attribute. */
  readonly uri: string;
  /** As ServiceSpec.lock. */
  readonly lock: string;
}

/** What a build says of itself. */
export interface BuildProgress {
  readonly phase: "queued" | "locking" | "fetching" | "building" | "waiting";
  /** For people: what is being done now, or why it waits. */
  readonly detail: string;
  readonly doneCount: number;
  /** Derivations and downloads that are known of so far; 0: none yet. */
  readonly expectedCount: number;
}

export interface BuildRequest {
  readonly service: string;
  readonly generation: number;
  /** With its attribute. */
  readonly flake: string;
  /** As ServiceSpec.lock; empty: resolve it first. */
  readonly lock: string;
}

export type BuildOutcome =
  | { readonly ok: true; readonly storePath: string; readonly lock: string }
  /** `retry`: another try may end otherwise; it is made after a wait that grows. */
  | { readonly ok: false; readonly message: string; readonly retry: boolean };

/** One at a time for each service: a request with another generation takes the place of the older. */
export interface Builder {
  /** Builds in the background. `onEnd` comes once, unless it was cancelled. */
  build(
    request: BuildRequest,
    onProgress: (progress: BuildProgress) => void,
    onEnd: (outcome: BuildOutcome) => void,
  ): void;
  /** Ends the build of this service, if there is one. */
  cancel(service: string): void;
  /** Keeps exactly these store paths from the collector for this service; none: lets go of all. */
  keep(service: string, storePaths: readonly string[]): void;
  /** Resolves a flake to what it is now, for the node that takes a deployment. */
  lock(flake: string): Promise<LockedFlake | { readonly error: string }>;
  close(done: () => void): void;
}
