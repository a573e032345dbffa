// The engine for machines with systemd: every service a hardened unit, built by nix where it is a
// flake. It drives one state machine a service (service-life.ts) with what systemd says, and carries
// out what they decide. Units outlive the daemon: the next one finds them by their notes.

import { assert } from "../kernel/assert.ts";
import type { HealthCheck } from "../schema/service.ts";
import type { Engine, Instance, InstanceLogs, InstanceStatus, OnInstanceState } from "./engine.ts";
import { HealthTally, type HealthVerdict } from "./health-monitor.ts";
import type {
  Builder,
  BuildProgress,
  NoteFolder,
  ServiceManager,
  UnitOutcome,
  UnitStatus,
} from "./ports.ts";
import {
  erased,
  failed,
  forgotten,
  isGone,
  type Life,
  type LifeEffect,
  type LifeTiming,
  lifeStatus,
  newLife,
  type Seen,
  saved,
  serviceUnit,
  startAsked,
  step,
  stopAsked,
  unitsOfService,
  want,
  watchedInvocation,
  withdraw,
  written,
} from "./service-life.ts";
import { formatNote, parseNote, type ServiceNote, type Version } from "./service-note.ts";

/** What a unit file says of where it comes from. */
export interface UnitOrigin {
  readonly service: string;
  readonly generation: number;
  readonly storePath: string;
}

/** What systemd's units are made of, as pure text (systemd.ts). */
export interface UnitCompiler {
  compile(version: Version): ReadonlyMap<string, string>;
  /** Null for a unit file that is none of ours. */
  origin(text: string): UnitOrigin | null;
}

/** A version went live here. @returns when that is on record, as far as it can be */
export type OnLive = (version: Version, units: ReadonlyMap<string, string>) => Promise<void>;
export type OnBuildProgress = (service: string, progress: BuildProgress) => void;

export interface SystemdEngineOptions {
  readonly manager: ServiceManager;
  readonly builder: Builder;
  readonly notes: NoteFolder;
  readonly units: UnitCompiler;
  readonly logs: InstanceLogs;
  readonly timing: LifeTiming;
  /**
   * One look at a running service. @returns what calls it off
   * @param onProbed null when it is well, else what is wrong
   */
  readonly probe: (
    version: Version,
    check: HealthCheck,
    onProbed: (problem: string | null) => void,
  ) => () => void;
  /** The path of the first file that a service needs on this node and that is not there, or null. */
  readonly missingSecret: (spec: Version["spec"]) => string | null;
  readonly onLive: OnLive;
  readonly onProgress: OnBuildProgress;
}

/** How often systemd is asked while something changes, and else. */
const LOOK_MS = 1_000;
const CALM_LOOK_MS = 5_000;
/** How often a service that is not up yet is probed, when its interval is longer. */
const STARTING_PROBE_MS = 500;
/** A daemon that has just come up has more to do than to score what it found. */
const SCORE_AFTER_MS = 10_000;

/** A service with what surrounds its state machine. */
interface Seat {
  life: Life;
  /** What is being done for it. */
  busy: LifeEffect["kind"] | null;
  /** No decision is taken by a look that began before. */
  lookFrom: number;
  watch: Watch | null;
  /** Null: not told yet, or it cannot be. */
  exposure: number | null;
  /** Whether the exposure of the units as they are was asked for. */
  isScored: boolean;
  /** The last state that was told. */
  told: string;
}

/** The health of one run. */
interface Watch {
  readonly invocation: string;
  readonly startMs: number;
  readonly tally: HealthTally;
  verdict: HealthVerdict | null;
  detail: string;
  dueMs: number;
  cancel: (() => void) | null;
}

export class SystemdEngine implements Engine {
  readonly logs: InstanceLogs;
  readonly #options: SystemdEngineOptions;
  readonly #onState: OnInstanceState;
  readonly #seats = new Map<string, Seat>();
  #units: ReadonlyMap<string, UnitStatus> = new Map();
  /** Looks that were begun, and the number of the last one that ended. */
  #looksBegun = 0;
  #lookEnded = 0;
  #isLooking = false;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  #isScoring = false;
  #scoreFromMs: number | null = null;
  #nowMs = 0;
  #onClosed: (() => void) | null = null;

  constructor(options: SystemdEngineOptions, onState: OnInstanceState) {
    this.logs = options.logs;
    this.#options = options;
    this.#onState = onState;
    this.#findEarlierLife();
  }

  /** False until systemd has been looked at once: before, what runs here is not known. */
  get ready(): boolean {
    return this.#lookEnded > 0;
  }

  /** Whether anything goes on when the daemon ends. */
  get outlivesDaemon(): boolean {
    return [...this.#seats.values()].some(({ life }) => this.#runs(life) && !isSingleton(life));
  }

  start(instance: Instance): void {
    assert(this.#onClosed === null, "nothing starts in a closed engine");
    const { name } = instance;
    const seat = this.#seats.get(name) ?? this.#newSeat(name);
    const before = seat.life.build;
    seat.life = want(seat.life, instance);
    if (before.kind === "running" && seat.life.build.kind === "none") {
      this.#options.builder.cancel(name);
    }
    this.#tell(seat);
  }

  stop(name: string): void {
    const seat = this.#seats.get(name);
    if (seat === undefined || seat.life.wanted === "withdrawn") return;
    this.#options.builder.cancel(name);
    this.#endWatch(seat);
    seat.life = withdraw(seat.life);
    this.#tell(seat);
  }

  list(): readonly InstanceStatus[] {
    return [...this.#seats.values()].map((seat) => this.#statusOf(seat));
  }

  /** Often: looks when it is due, and does what is to be done. @param nowMs monotonic */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#onClosed !== null) return;
    this.#look();
    if (!this.ready) return;
    for (const seat of [...this.#seats.values()]) {
      this.#advance(seat);
      this.#keepWatch(seat);
      this.#tell(seat);
    }
    this.#scoreNext();
  }

  /**
   * Lets the services run on: the next daemon adopts them. A singleton ends, since nobody would
   * stop it where the majority is lost.
   */
  close(done: () => void): void {
    this.#onClosed = done;
    const lone: string[] = [];
    for (const seat of this.#seats.values()) {
      this.#endWatch(seat);
      if (isSingleton(seat.life) && this.#runs(seat.life)) lone.push(seat.life.name);
    }
    const units = lone.flatMap((name) =>
      unitsOfService(name).filter((unit) => this.#units.has(unit)),
    );
    const stopped = units.length === 0 ? null : this.#options.manager.stop(units);
    this.#options.builder.close(() => void Promise.resolve(stopped).then(done));
  }

  /** Notes and unit files of an earlier daemon, each with the other or alone. */
  #findEarlierLife(): void {
    const filesOf = new Map<string, string[]>();
    const origins = new Map<string, UnitOrigin>();
    for (const [file, text] of this.#options.manager.readFiles()) {
      const origin = this.#options.units.origin(text);
      if (origin === null || !unitsOfService(origin.service).includes(file)) continue;
      filesOf.set(origin.service, [...(filesOf.get(origin.service) ?? []), file]);
      origins.set(origin.service, origin);
    }
    const notes = this.#options.notes.readAll();
    for (const name of new Set([...filesOf.keys(), ...notes.keys()])) {
      const text = notes.get(name);
      const note = text === undefined ? null : parseNote(text, name);
      if (text !== undefined && note === null) this.#options.notes.remove(name);
      const files = filesOf.get(name) ?? [];
      if (note === null && files.length === 0) continue;
      const isWritten =
        note !== null && note.stage === "started" && matches(note, origins.get(name));
      this.#seats.set(name, newSeat(newLife(name, { note, files, written: isWritten })));
      this.#keepPaths(name, note);
    }
  }

  #newSeat(name: string): Seat {
    const seat = newSeat(newLife(name, { note: null, files: [], written: false }));
    this.#seats.set(name, seat);
    return seat;
  }

  #look(): void {
    if (this.#isLooking || this.#nowMs < this.#nextLookMs) return;
    this.#isLooking = true;
    this.#looksBegun += 1;
    const number = this.#looksBegun;
    void this.#options.manager.list().then((units) => {
      this.#isLooking = false;
      this.#nextLookMs = this.#nowMs + (this.#isChanging() ? LOOK_MS : CALM_LOOK_MS);
      if (units === null) return;
      this.#units = units;
      this.#lookEnded = number;
    });
  }

  /** Whether anything is on its way to another state. */
  #isChanging(): boolean {
    return [...this.#seats.values()].some(
      ({ busy, told }) => busy !== null || !told.startsWith("healthy"),
    );
  }

  #advance(seat: Seat): void {
    if (seat.busy !== null || this.#lookEnded < seat.lookFrom) return;
    const seen = this.#seenOf(seat);
    const { life, effect } = step(seat.life, seen, this.#options.timing, this.#nowMs);
    seat.life = life;
    if (effect !== null) this.#perform(seat, effect);
    else if (isGone(seat.life, seen)) this.#remove(seat);
  }

  #perform(seat: Seat, effect: LifeEffect): void {
    switch (effect.kind) {
      case "forget":
        this.#forget(seat);
        return;
      case "build":
        this.#build(seat, effect);
        return;
      case "save":
        this.#await(seat, effect, this.#save(seat, effect));
        return;
      case "write":
        this.#await(seat, effect, this.#write(seat, effect.version));
        return;
      case "start":
        this.#await(seat, effect, this.#start(seat, effect));
        return;
      case "stop":
        this.#await(seat, effect, this.#stop(seat, effect.units));
        return;
      case "erase":
        this.#await(seat, effect, this.#erase(seat, effect.reset));
        return;
    }
  }

  /** No other effect for this service before it has ended; and a look after it, if it touched units. */
  #await(seat: Seat, effect: LifeEffect, work: Promise<UnitOutcome>): void {
    seat.busy = effect.kind;
    void work.then((outcome) => {
      seat.busy = null;
      if (effect.kind !== "save") {
        seat.lookFrom = this.#looksBegun + 1;
        this.#nextLookMs = Number.NEGATIVE_INFINITY;
      }
      if (outcome.ok) return;
      seat.life = failed(
        seat.life,
        effect.kind,
        outcome.message,
        this.#options.timing,
        this.#nowMs,
      );
    });
  }

  async #stop(seat: Seat, units: readonly string[]): Promise<UnitOutcome> {
    const outcome = await this.#options.manager.stop(units);
    if (outcome.ok) seat.life = stopAsked(seat.life, this.#nowMs);
    return outcome;
  }

  async #save(seat: Seat, { note, wentLive }: LifeEffect & { kind: "save" }): Promise<UnitOutcome> {
    const { name } = seat.life;
    // First of all on record: a death in between tells it twice, the other way round never.
    if (wentLive) {
      await this.#options.onLive(note.current, this.#options.units.compile(note.current));
    }
    const isWritten = await this.#options.notes.write(name, formatNote(note));
    if (!isWritten) {
      return { ok: false, message: "its note cannot be written: is the disk full?" };
    }
    seat.life = saved(seat.life, note);
    this.#keepPaths(name, note);
    return { ok: true };
  }

  /** Of one that is well, one after the other: systemd-analyze takes seconds on a small machine. */
  #scoreNext(): void {
    this.#scoreFromMs ??= this.#nowMs + SCORE_AFTER_MS;
    if (this.#isScoring || this.#nowMs < this.#scoreFromMs) return;
    for (const seat of this.#seats.values()) {
      if (seat.isScored || !seat.told.startsWith("healthy")) continue;
      void this.#score(seat);
      return;
    }
  }

  async #score(seat: Seat): Promise<void> {
    this.#isScoring = true;
    seat.isScored = true;
    const exposure = await this.#options.manager.exposure(serviceUnit(seat.life.name));
    this.#isScoring = false;
    // Written anew meanwhile, it is scored anew.
    if (seat.isScored) seat.exposure = exposure;
  }

  #forget(seat: Seat): void {
    this.#options.notes.remove(seat.life.name);
    this.#options.builder.keep(seat.life.name, []);
    seat.life = forgotten(seat.life);
  }

  #keepPaths(name: string, note: ServiceNote | null): void {
    const paths = [note?.current.storePath ?? "", note?.good?.storePath ?? ""];
    this.#options.builder.keep(name, [...new Set(paths.filter((path) => path !== ""))]);
  }

  #build(seat: Seat, { request }: LifeEffect & { kind: "build" }): void {
    const { name } = seat.life;
    const { generation } = request;
    const isWanted = (): boolean =>
      seat.life.build.kind === "running" && seat.life.build.generation === generation;
    this.#options.builder.build(
      request,
      (progress) => {
        if (!isWanted()) return;
        const detail = describeProgress(progress);
        seat.life = { ...seat.life, build: { kind: "running", generation, detail } };
        this.#options.onProgress(name, progress);
      },
      (outcome) => {
        const { wanted } = seat.life;
        if (!isWanted() || typeof wanted !== "object") return;
        const { spec } = wanted;
        seat.life = {
          ...seat.life,
          build: outcome.ok
            ? { kind: "built", version: { generation, spec, ...pathAndLock(outcome) } }
            : { kind: "failed", generation, message: outcome.message, retry: outcome.retry },
        };
      },
    );
  }

  async #write(seat: Seat, version: Version): Promise<UnitOutcome> {
    const files = this.#options.units.compile(version);
    const own = unitsOfService(seat.life.name);
    const removed = seat.life.files.filter((file) => !files.has(file));
    const outcome = await this.#options.manager.change({ files, removed });
    if (outcome.ok) {
      seat.life = written(
        seat.life,
        [...files.keys()].filter((file) => own.includes(file)),
      );
      seat.exposure = null;
      seat.isScored = false;
    }
    return outcome;
  }

  async #start(
    seat: Seat,
    { unit, how, reset }: LifeEffect & { kind: "start" },
  ): Promise<UnitOutcome> {
    const { manager } = this.#options;
    const before = this.#units.get(unit)?.invocation ?? "";
    for (const each of reset) await manager.resetFailed(each);
    this.#endWatch(seat);
    const outcome = how === "start" ? await manager.start(unit) : await manager.restart(unit);
    if (outcome.ok) seat.life = startAsked(seat.life, before, this.#nowMs);
    return outcome;
  }

  async #erase(seat: Seat, reset: readonly string[]): Promise<UnitOutcome> {
    const { manager } = this.#options;
    for (const unit of reset) await manager.resetFailed(unit);
    const outcome = await manager.change({ files: new Map(), removed: seat.life.files });
    if (outcome.ok) seat.life = erased(seat.life);
    return outcome;
  }

  #remove(seat: Seat): void {
    const { name } = seat.life;
    this.#endWatch(seat);
    this.#seats.delete(name);
    this.#onState(name, "stopped", "");
  }

  /** Probes the run that is up, and no other. */
  #keepWatch(seat: Seat): void {
    const { life } = seat;
    const invocation = watchedInvocation(life);
    const version = life.note?.current;
    const check = version?.spec.health ?? null;
    if (
      invocation === "" ||
      version === undefined ||
      check === null ||
      version.spec.schedule !== ""
    ) {
      this.#endWatch(seat);
      return;
    }
    if (seat.watch?.invocation !== invocation) {
      this.#endWatch(seat);
      seat.watch = newWatch(invocation, check, this.#nowMs);
    }
    this.#probe(seat.watch as Watch, version, check);
  }

  #probe(watch: Watch, version: Version, check: HealthCheck): void {
    if (watch.cancel !== null || this.#nowMs < watch.dueMs) return;
    watch.cancel = this.#options.probe(version, check, (problem) => {
      watch.cancel = null;
      const verdict = watch.tally.count(problem === null, this.#nowMs - watch.startMs);
      if (verdict !== null) watch.verdict = verdict;
      watch.detail = problem ?? "";
      const { intervalMs } = check;
      const waitMs = watch.tally.wasWell ? intervalMs : Math.min(intervalMs, STARTING_PROBE_MS);
      watch.dueMs = this.#nowMs + waitMs;
    });
  }

  #endWatch(seat: Seat): void {
    seat.watch?.cancel?.();
    seat.watch = null;
  }

  #seenOf({ watch }: Seat): Seen {
    const { missingSecret } = this.#options;
    const isTold = watch !== null && watch.verdict !== null;
    return {
      units: this.#units,
      health: isTold
        ? { invocation: watch.invocation, verdict: watch.verdict!, detail: watch.detail }
        : null,
      missingSecret: ({ spec }) => missingSecret(spec),
    };
  }

  #runs(life: Life): boolean {
    const active = this.#units.get(serviceUnit(life.name))?.active ?? "inactive";
    return active !== "inactive" && active !== "failed";
  }

  #statusOf(seat: Seat): InstanceStatus {
    return { ...lifeStatus(seat.life, this.#seenOf(seat)), exposure: seat.exposure };
  }

  /** Says a state once. */
  #tell(seat: Seat): void {
    if (!this.#seats.has(seat.life.name)) return;
    const { name, state, detail } = this.#statusOf(seat);
    // A build's progress is told as such.
    const told = state === "building" ? state : `${state} ${detail}`;
    if (told === seat.told) return;
    seat.told = told;
    this.#onState(name, state, detail);
  }
}

function newSeat(life: Life): Seat {
  return { life, busy: null, lookFrom: 0, watch: null, exposure: null, isScored: false, told: "" };
}

function newWatch(invocation: string, check: HealthCheck, nowMs: number): Watch {
  return {
    invocation,
    startMs: nowMs,
    tally: new HealthTally(check.graceMs),
    verdict: null,
    detail: "",
    dueMs: nowMs,
    cancel: null,
  };
}

function isSingleton({ note }: Life): boolean {
  return note?.current.spec.singleton === true;
}

/** Whether the files on disk are those of the note's version. */
function matches({ current }: ServiceNote, origin: UnitOrigin | undefined): boolean {
  return (
    origin !== undefined &&
    origin.generation === current.generation &&
    origin.storePath === current.storePath
  );
}

function pathAndLock({ storePath, lock }: { storePath: string; lock: string }): {
  storePath: string;
  lock: string;
} {
  return { storePath, lock };
}

function describeProgress({ phase, detail, doneCount, expectedCount }: BuildProgress): string {
  const count = expectedCount === 0 ? "" : ` ${doneCount} of ${expectedCount}`;
  return detail === "" ? `${phase}${count}` : `${phase}${count}: ${detail}`;
}
