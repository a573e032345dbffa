// Builds what services run from: a flake, locked to one content, to a path in the nix store that is
// kept from the collector. One build at a time, the others in the order they came; a build that
// failed is tried again after a wait that doubles.

import {
  BUILD_MESSAGE_CHARACTERS_MAX,
  BUILDS_AT_ONCE,
  BUILDS_WAITING_MAX,
  FLAKE_LOCK_MS_MAX,
  FLAKE_LOCKS_AT_ONCE,
  FOREIGN_REPOSITORIES_MAX,
} from "../kernel/limits.ts";
import type { LinkFolder, SystemFiles } from "../kernel/system-ports.ts";
import type { BackgroundRunner, BackgroundTask } from "./background.ts";
import { BuildLog, explainFailure } from "./build-log.ts";
import {
  isLock,
  lockableReference,
  lockedReference,
  readMetadata,
  repositoryFolderOf,
  splitFlake,
} from "./flake-lock.ts";
import type { Builder, BuildOutcome, BuildProgress, BuildRequest, LockedFlake } from "./ports.ts";

export interface NixBuilderOptions {
  readonly background: BackgroundRunner;
  readonly files: SystemFiles;
  /** One link for each path that is kept; nix registers them as roots of its collector. */
  readonly roots: LinkFolder;
  /** HOME of nix and git. It exists. */
  readonly homeDir: string;
  readonly buildTimeoutMs: number;
}

type OnProgress = (progress: BuildProgress) => void;
type OnEnd = (outcome: BuildOutcome) => void;

/** One request, until its end was told. */
interface Job {
  readonly request: BuildRequest;
  onProgress: OnProgress;
  onEnd: OnEnd;
  /** Null: it waits. */
  running: RunningBuild | null;
  /** What is told next, at most every PROGRESS_EVERY_MS. */
  progress: BuildProgress | null;
  toldAtMs: number;
}

interface RunningBuild {
  readonly task: BackgroundTask | null;
  readonly startedAtMs: number;
  isOverdue: boolean;
}

/** What is remembered of a service whose build failed. */
interface Failure {
  readonly generation: number;
  readonly count: number;
  readonly message: string;
  readonly retryAtMs: number;
}

const PROGRESS_EVERY_MS = 250;
const SYNC_MS_MAX = 5 * 60_000;
const RETRY_MS_MIN = 30_000;
const RETRY_MS_MAX = 3_600_000;
const STORE_PATH = /^\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+._?=-]{1,211}$/;
/** What `nix build --json` prints is short: one derivation. */
const RESULT_CHARACTERS_MAX = 16 * 1024;

/** Flags that nix 2.8 and all later ones know. */
const NIX_FLAGS: readonly string[] = [
  "--extra-experimental-features",
  "nix-command flakes",
  // A flake's own nixConfig could turn the sandbox off.
  ...["--option", "accept-flake-config", "false"],
  // What is locked in flake.lock is what is built, or it is an error.
  "--no-update-lock-file",
];

export class NixBuilder implements Builder {
  readonly #options: NixBuilderOptions;
  /** By service, in the order they came. */
  readonly #jobs = new Map<string, Job>();
  readonly #failures = new Map<string, Failure>();
  /** Of services whose build was cancelled and whose processes have not ended yet. */
  readonly #ending = new Set<string>();
  readonly #locksUnderWay = new Set<number>();
  readonly #foreignRepositories = new Set<string>();
  #isReady = false;
  #nowMs = 0;
  #onClosed: (() => void) | null = null;

  constructor(options: NixBuilderOptions) {
    this.#options = options;
    void options.background.endLeftovers().then(() => {
      this.#isReady = true;
    });
  }

  build(request: BuildRequest, onProgress: OnProgress, onEnd: OnEnd): void {
    const { service, generation } = request;
    const known = this.#jobs.get(service);
    if (known?.request.generation === generation) {
      Object.assign(known, { onProgress, onEnd });
      return;
    }
    this.cancel(service);
    if (this.#jobs.size >= BUILDS_WAITING_MAX) {
      const message = `${BUILDS_WAITING_MAX} builds wait already`;
      queueMicrotask(() => onEnd({ ok: false, message, retry: true }));
      return;
    }
    const job = { request, onProgress, onEnd, running: null, progress: null, toldAtMs: -Infinity };
    this.#jobs.set(service, job);
    this.#showWaiting(job);
  }

  cancel(service: string): void {
    const job = this.#jobs.get(service);
    if (job === undefined) return;
    this.#jobs.delete(service);
    if (job.running === null) return;
    this.#ending.add(service);
    job.running.task?.end();
  }

  keep(service: string, storePaths: readonly string[]): void {
    if (storePaths.length === 0) this.#failures.delete(service);
    const building = this.#jobs.get(service);
    const kept = new Set<string>();
    for (const { name, target } of this.#options.roots.list()) {
      if (serviceOfRoot(name) !== service) continue;
      const isNeeded = storePaths.includes(target) && !kept.has(target);
      const isBuilding = building !== undefined && isRootOf(name, building.request);
      if (isNeeded) kept.add(target);
      else if (!isBuilding) this.#options.roots.remove(name);
    }
  }

  /** Lets go of every store path of services that are not among these, as after a restart. */
  keepOnlyServices(services: ReadonlySet<string>): void {
    for (const { name } of this.#options.roots.list()) {
      const service = serviceOfRoot(name);
      if (!services.has(service) && !this.#jobs.has(service)) this.#options.roots.remove(name);
    }
  }

  async lock(flake: string): Promise<LockedFlake | { readonly error: string }> {
    const slot = this.#freeLockSlot();
    if (slot === null) {
      return { error: `${FLAKE_LOCKS_AT_ONCE} flakes are being resolved already; try again` };
    }
    this.#locksUnderWay.add(slot);
    try {
      return await this.#lock(flake, `deployment-${slot}`);
    } finally {
      this.#locksUnderWay.delete(slot);
    }
  }

  /** Once a tick: ends what takes too long, tells progress, starts what is due. @param nowMs monotonic */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const job of [...this.#jobs.values()]) {
      this.#endOverdue(job);
      this.#tellProgress(job);
    }
    this.#startDue();
  }

  close(done: () => void): void {
    this.#onClosed = done;
    for (const service of [...this.#jobs.keys()]) this.cancel(service);
    this.#finishClosing();
  }

  #finishClosing(): void {
    if (this.#ending.size > 0) return;
    const done = this.#onClosed;
    this.#onClosed = null;
    done?.();
  }

  #freeLockSlot(): number | null {
    for (let slot = 0; slot < FLAKE_LOCKS_AT_ONCE; slot += 1) {
      if (!this.#locksUnderWay.has(slot)) return slot;
    }
    return null;
  }

  async #lock(flake: string, name: string): Promise<LockedFlake | { readonly error: string }> {
    const { reference } = splitFlake(flake);
    await this.#options.background.endLeftovers();
    this.#trustRepository(reference);
    const result = await this.#options.background.run({
      purpose: "lock",
      name,
      program: "nix",
      // Nix takes what it fetched within the hour for what stands there now.
      args: [
        "flake",
        "metadata",
        "--json",
        "--refresh",
        ...NIX_FLAGS,
        lockableReference(reference),
      ],
      timeLimitMs: FLAKE_LOCK_MS_MAX,
    });
    if (result.exitCode !== 0) return { error: explainFailure(result.stderr, []).message };
    const found = readMetadata(result.stdout, reference);
    if ("error" in found) return found;
    const uri = lockedReference(reference, found.lock);
    return uri === null ? { error: `${reference} cannot be locked` } : { uri, lock: found.lock };
  }

  /**
   * Git refuses a repository that belongs to another user (safe.directory of git-config(1)); one
   * that a deployer named is meant. libgit2 in newer nix reads nothing but the file.
   */
  #trustRepository(reference: string): void {
    const folder = repositoryFolderOf(reference);
    if (folder === null || this.#foreignRepositories.has(folder)) return;
    const [oldest] = this.#foreignRepositories;
    const isFull = this.#foreignRepositories.size >= FOREIGN_REPOSITORIES_MAX;
    if (isFull && oldest !== undefined) this.#foreignRepositories.delete(oldest);
    this.#foreignRepositories.add(folder);
    const lines = [...this.#foreignRepositories].flatMap((path) =>
      [path, `${path}/.git`].map((trusted) => `\tdirectory = ${quoteForGit(trusted)}\n`),
    );
    this.#options.files.writeText(
      `${this.#options.homeDir}/.gitconfig`,
      `[safe]\n${lines.join("")}`,
    );
  }

  #startDue(): void {
    if (!this.#isReady) return;
    let runningCount = this.#ending.size;
    for (const { running } of this.#jobs.values()) runningCount += running === null ? 0 : 1;
    for (const job of [...this.#jobs.values()]) {
      if (runningCount >= BUILDS_AT_ONCE) return;
      if (job.running !== null || this.#ending.has(job.request.service)) continue;
      if (this.#retryAtMs(job.request) > this.#nowMs) continue;
      runningCount += 1;
      this.#start(job);
    }
  }

  #start(job: Job): void {
    const { lock } = job.request;
    const built = lock === "" ? null : this.#builtBefore(job.request);
    if (built !== null) {
      this.#finish(job, { ok: true, storePath: built, lock });
    } else if (lock === "") {
      void this.#lockThenBuild(job);
    } else {
      this.#startLocked(job, lock);
    }
  }

  /** A generation that is locked never means anything else: what its root leads to is its result. */
  #builtBefore(request: BuildRequest): string | null {
    const links = this.#options.roots
      .list()
      .filter(({ name, target }) => isRootOf(name, request) && STORE_PATH.test(target));
    const root = rootName(request);
    const link =
      links.find(({ name }) => name === `${root}-bin`) ??
      links.find(({ name }) => name === root) ??
      links[0];
    return link?.targetExists === true ? link.target : null;
  }

  async #lockThenBuild(job: Job): Promise<void> {
    const { service, flake } = job.request;
    const running: RunningBuild = { task: null, startedAtMs: this.#nowMs, isOverdue: false };
    job.running = running;
    job.progress = progressOf("locking", `resolving ${flake}`);
    const found = await this.#lock(flake, service);
    if (this.#isCancelled(job)) this.#ended(service);
    else if ("error" in found) this.#fail(job, found.error, true);
    else this.#startLocked(job, found.lock);
  }

  #startLocked(job: Job, lock: string): void {
    const { service, flake } = job.request;
    const { reference, attribute } = splitFlake(flake);
    const locked = isLock(lock) ? lockedReference(reference, lock) : null;
    if (locked === null) {
      const message = `the lock ${lock} says nothing of ${reference}; deploy the service again`;
      this.#fail(job, message, false);
      return;
    }
    this.#trustRepository(reference);
    const log = new BuildLog();
    let result = "";
    const task = this.#options.background.start(this.#buildCommand(job, locked, attribute), {
      onLine: (stream, line) => {
        if (stream === "stderr" && log.take(line)) job.progress = log.progress;
        if (stream === "stdout") result = (result + line).slice(0, RESULT_CHARACTERS_MAX);
      },
      onExit: (how) => {
        if (this.#isCancelled(job)) this.#ended(service);
        else this.#conclude(job, { how, log, result, lock });
      },
    });
    job.running = { task, startedAtMs: this.#nowMs, isOverdue: false };
    job.progress = log.progress;
  }

  #buildCommand(job: Job, locked: string, attribute: string) {
    const installable = attribute === "" ? locked : `${locked}#${attribute}`;
    const root = `${this.#options.roots.path}/${rootName(job.request)}`;
    return {
      purpose: "build",
      name: job.request.service,
      program: "nix",
      args: [
        ...["build", "--json", "--out-link", root, "--log-format", "internal-json"],
        ...NIX_FLAGS,
        installable,
      ],
      timeLimitMs: this.#options.buildTimeoutMs,
    } as const;
  }

  #conclude(job: Job, end: { how: string; log: BuildLog; result: string; lock: string }): void {
    const { how, log, result, lock } = end;
    const storePath = how === "exited with code 0" ? readStorePath(result) : null;
    if (storePath !== null) {
      void this.#finishOnDisk(job, storePath, lock);
    } else if (job.running?.isOverdue === true) {
      const minutes = Math.round(this.#options.buildTimeoutMs / 60_000);
      const tail = explainFailure("took too long", log.lastLines).message;
      this.#fail(
        job,
        `the build was ended after ${minutes} min (engine.buildTimeout): ${tail}`,
        true,
      );
    } else {
      const nothing = how === "exited with code 0" ? "nix named no store path" : `nix ${how}`;
      const { message, retry } = explainFailure(log.error || nothing, log.lastLines);
      this.#fail(job, message, retry);
    }
  }

  /**
   * Nix notes a path as built before the disk has its files, so that a power cut could leave them
   * empty for good (its setting fsync-store-paths is off by default). Where this cannot be done,
   * the path is as good as nix made it.
   */
  async #finishOnDisk(job: Job, storePath: string, lock: string): Promise<void> {
    const { service } = job.request;
    await this.#options.background.run({
      purpose: "build",
      name: service,
      program: "sync",
      args: ["--file-system", storePath],
      timeLimitMs: SYNC_MS_MAX,
    });
    if (this.#isCancelled(job)) this.#ended(service);
    else this.#finish(job, { ok: true, storePath, lock });
  }

  #isCancelled(job: Job): boolean {
    return this.#jobs.get(job.request.service) !== job;
  }

  /** The processes of a cancelled build are gone. */
  #ended(service: string): void {
    this.#ending.delete(service);
    this.#finishClosing();
  }

  #finish(job: Job, outcome: BuildOutcome & { readonly ok: true }): void {
    this.#failures.delete(job.request.service);
    this.#jobs.delete(job.request.service);
    job.onEnd(outcome);
  }

  #fail(job: Job, text: string, retry: boolean): void {
    const { service, generation } = job.request;
    const message = text.slice(0, BUILD_MESSAGE_CHARACTERS_MAX);
    const before = this.#failures.get(service);
    const count = before?.generation === generation ? before.count + 1 : 1;
    const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(count - 1, 20));
    this.#failures.delete(service);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size >= BUILDS_WAITING_MAX && oldest !== undefined) {
      this.#failures.delete(oldest);
    }
    this.#failures.set(service, { generation, count, message, retryAtMs: this.#nowMs + waitMs });
    this.#jobs.delete(service);
    job.onEnd({ ok: false, message, retry });
  }

  #retryAtMs({ service, generation }: BuildRequest): number {
    const failure = this.#failures.get(service);
    return failure?.generation === generation ? failure.retryAtMs : -Infinity;
  }

  #endOverdue(job: Job): void {
    const { running } = job;
    if (running === null || running.task === null || running.isOverdue) return;
    if (this.#nowMs - running.startedAtMs < this.#options.buildTimeoutMs) return;
    running.isOverdue = true;
    running.task.end();
  }

  #showWaiting(job: Job): void {
    const failure = this.#failures.get(job.request.service);
    job.progress =
      failure?.generation === job.request.generation && failure.retryAtMs > this.#nowMs
        ? progressOf("waiting", `tried again after a wait; the last try failed: ${failure.message}`)
        : progressOf("queued", "waits for its turn");
  }

  #tellProgress(job: Job): void {
    if (job.progress === null || this.#nowMs - job.toldAtMs < PROGRESS_EVERY_MS) return;
    const { progress } = job;
    job.progress = null;
    job.toldAtMs = this.#nowMs;
    job.onProgress(progress);
  }
}

function progressOf(phase: BuildProgress["phase"], detail: string): BuildProgress {
  return { phase, detail, doneCount: 0, expectedCount: 0 };
}

/** A service's name has no dot. Nix adds `-NAME` for outputs beside the first. */
function rootName({ service, generation }: BuildRequest): string {
  return `${service}.${generation}`;
}

function isRootOf(name: string, request: BuildRequest): boolean {
  const root = rootName(request);
  return name === root || name.startsWith(`${root}-`);
}

function serviceOfRoot(name: string): string {
  return name.slice(0, name.indexOf("."));
}

/** The output that holds programs, of what `nix build --json` printed; null when there is none. */
function readStorePath(json: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  const first: unknown = Array.isArray(value) ? value[0] : null;
  const outputs = (first as { outputs?: unknown } | null | undefined)?.outputs;
  if (typeof outputs !== "object" || outputs === null) return null;
  const { bin, out } = outputs as { bin?: unknown; out?: unknown };
  const path = bin ?? out ?? Object.values(outputs)[0];
  return typeof path === "string" && STORE_PATH.test(path) ? path : null;
}

/** A value of git's configuration in quotes (git-config(1), Syntax). */
function quoteForGit(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
