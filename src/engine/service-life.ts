// One service on a machine with systemd, as a pure state machine: from what is wanted, what is
// noted on disk and what systemd says, to the one thing to do next. It remembers nothing that a
// daemon killed at any point could not find again: what must not be lost is noted before it is
// done, so that whoever reads the note finishes it or takes it back.

import { assert } from "../kernel/assert.ts";
import type { Instance, InstanceState, InstanceStatus } from "./engine.ts";
import type { HealthVerdict } from "./health-monitor.ts";
import type { BuildRequest, UnitStatus } from "./ports.ts";
import { type ServiceNote, type Version, WHY_CHARACTERS_MAX } from "./service-note.ts";

export interface LifeTiming {
  /** The wait before a failed version is started again; every failure after it doubles it … */
  readonly backoffMinMs: number;
  /** … up to this. */
  readonly backoffMaxMs: number;
  /** A run of this length sets the wait back. */
  readonly stableRunMs: number;
  /** How long a service without a health check stays up before it counts as healthy. */
  readonly settleMs: number;
  /** How long systemd may take to show the effect of a command before it is given again. */
  readonly effectMs: number;
  /** How often a version that was never well may end before it has failed. */
  readonly trialRestarts: number;
}

export const LIFE_TIMING_DEFAULTS: LifeTiming = {
  backoffMinMs: 1_000,
  backoffMaxMs: 60_000,
  stableRunMs: 60_000,
  settleMs: 3_000,
  effectMs: 10_000,
  trialRestarts: 2,
};

/** A stop may take as long as the unit's own time-out. */
const STOP_AGAIN_MS = 120_000;
const SECRET_LOOK_MS = 5_000;

/** What there is to see of a service now. */
export interface Seen {
  /** Its units that systemd has loaded, by name. */
  readonly units: ReadonlyMap<string, UnitStatus>;
  /** The latest verdict on the run of this invocation; null: no probe has told yet. */
  readonly health: {
    readonly invocation: string;
    readonly verdict: HealthVerdict;
    readonly detail: string;
  } | null;
  /** The path of the first file it needs on this node and does not find; null: all are there. */
  missingSecret(version: Pick<Version, "spec">): string | null;
}

export type LifeBuild =
  | { readonly kind: "none" }
  | { readonly kind: "running"; readonly generation: number; readonly detail: string }
  | { readonly kind: "built"; readonly version: Version }
  | {
      readonly kind: "failed";
      readonly generation: number;
      readonly message: string;
      readonly retry: boolean;
    };

export interface Life {
  readonly name: string;
  /** `nothing`: nobody has said yet, since the daemon has just come up. */
  readonly wanted: Instance | "nothing" | "withdrawn";
  /** As it lies on disk. */
  readonly note: ServiceNote | null;
  /** Its unit files on disk. */
  readonly files: readonly string[];
  /** Whether `files` are those of the note's current version, and systemd has read them. */
  readonly written: boolean;
  readonly build: LifeBuild;
  /** The start that was asked for, and what ran before it; null: none, by this daemon. */
  readonly start: { readonly atMs: number; readonly before: string } | null;
  readonly stopAskedMs: number;
  /** The run that is watched. */
  readonly invocation: string;
  readonly upSinceMs: number;
  /** It was well when this daemon found it, and no probe has said otherwise. */
  readonly presumedWell: boolean;
  readonly failureCount: number;
  /** Nothing is written or started before. */
  readonly notBeforeMs: number;
  /** Why it waits or fails; empty: it does not. */
  readonly problem: string;
  /** It is down, or to be started again. */
  readonly isDown: boolean;
}

/** The one thing to do next. `save` and `forget` are done at once; the others take time. */
export type LifeEffect =
  | { readonly kind: "build"; readonly request: BuildRequest }
  | { readonly kind: "save"; readonly note: ServiceNote; readonly wentLive: boolean }
  | { readonly kind: "write"; readonly version: Version }
  | {
      readonly kind: "start";
      readonly unit: string;
      readonly how: "start" | "restart";
      /** Units whose failures are forgotten first. */
      readonly reset: readonly string[];
    }
  | { readonly kind: "stop"; readonly units: readonly string[] }
  | { readonly kind: "erase"; readonly reset: readonly string[] }
  | { readonly kind: "forget" };

export interface LifeStep {
  readonly life: Life;
  readonly effect: LifeEffect | null;
}

/** A service whose note, files or units were found, or that is new. */
export function newLife(
  name: string,
  found: {
    readonly note: ServiceNote | null;
    readonly files: readonly string[];
    readonly written: boolean;
  },
): Life {
  return {
    name,
    wanted: "nothing",
    ...found,
    build: { kind: "none" },
    start: null,
    stopAskedMs: Number.NEGATIVE_INFINITY,
    invocation: "",
    upSinceMs: 0,
    presumedWell: found.written && isGood(found.note),
    failureCount: 0,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    problem: "",
    isDown: false,
  };
}

/** Told to run: what is under way for an older generation gives way. */
export function want(life: Life, instance: Instance): Life {
  assert(instance.name === life.name, "an instance belongs to its service's life");
  const known = life.wanted;
  if (typeof known === "object" && known.generation === instance.generation) return life;
  const keepsBuild =
    life.build.kind !== "none" && buildGeneration(life.build) === instance.generation;
  return {
    ...life,
    wanted: instance,
    build: keepsBuild ? life.build : { kind: "none" },
    // What was being withdrawn may be half gone.
    written: known === "withdrawn" ? false : life.written,
    start: known === "withdrawn" ? null : life.start,
    notBeforeMs: Number.NEGATIVE_INFINITY,
  };
}

export function withdraw(life: Life): Life {
  return {
    ...life,
    wanted: "withdrawn",
    build: { kind: "none" },
    problem: "",
    stopAskedMs: Number.NEGATIVE_INFINITY,
  };
}

/** All that is left of a withdrawn service is gone. */
export function isGone(life: Life, seen: Seen): boolean {
  const { wanted, note, files } = life;
  return wanted === "withdrawn" && note === null && files.length === 0 && !runsAtAll(life, seen);
}

/** What to do next; the same life and the same sight give the same answer. */
export function step(life: Life, seen: Seen, timing: LifeTiming, nowMs: number): LifeStep {
  if (nowMs < life.notBeforeMs) return { life, effect: null };
  if (life.wanted === "withdrawn") return stepAway(life, seen, nowMs);
  const towards = stepTowards(life, seen, nowMs);
  if (towards !== null) return towards;
  const { note } = life;
  if (note === null) return { life, effect: null };
  // Whether it should still run here is not known yet; one that runs goes on.
  if (life.wanted === "nothing" && !runsAtAll(life, seen)) return { life, effect: null };
  if (note.stage === "install" || !life.written || isToStart(life, seen)) {
    return stepInstall(life, note, seen, timing, nowMs);
  }
  return stepRun(life, note, seen, timing, nowMs);
}

/** It failed and its wait runs, or nobody has started it since this daemon came up. */
function isToStart(life: Life, seen: Seen): boolean {
  return life.isDown || (life.start === null && life.invocation === "" && !runsAtAll(life, seen));
}

/** An effect could not be had: it is tried again after a wait. */
export function failed(
  life: Life,
  kind: LifeEffect["kind"],
  message: string,
  timing: LifeTiming,
  nowMs: number,
): Life {
  const waiting = waitLonger(life, message, timing, nowMs);
  if (kind === "start") return waiting;
  // What runs goes on meanwhile.
  const { failureCount, notBeforeMs, problem } = waiting;
  return { ...life, failureCount, notBeforeMs, problem };
}

/** All its units were told to end. */
export function stopAsked(life: Life, nowMs: number): Life {
  return { ...life, stopAskedMs: nowMs };
}

/** Its unit files are gone. */
export function erased(life: Life): Life {
  return { ...life, files: [], written: false, problem: "" };
}

/** Its files are on disk, and systemd has read them. */
export function written(life: Life, files: readonly string[]): Life {
  return {
    ...life,
    files,
    written: true,
    start: null,
    stopAskedMs: Number.NEGATIVE_INFINITY,
    problem: life.isDown ? life.problem : "",
  };
}

/** The start was asked for. @param before the invocation that ran when it was */
export function startAsked(life: Life, before: string, nowMs: number): Life {
  return {
    ...life,
    start: { atMs: nowMs, before },
    stopAskedMs: Number.NEGATIVE_INFINITY,
    invocation: "",
    presumedWell: false,
    problem: "",
    isDown: false,
  };
}

/** The note is on disk. */
export function saved(life: Life, note: ServiceNote): Life {
  const isOther = life.note?.current.generation !== note.current.generation;
  if (!isOther) return { ...life, note, problem: life.isDown ? life.problem : "" };
  return {
    ...life,
    note,
    build: { kind: "none" },
    written: false,
    start: null,
    presumedWell: false,
    failureCount: 0,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    problem: "",
    isDown: false,
  };
}

export function forgotten(life: Life): Life {
  return { ...life, note: null };
}

/** How a service stands, for whoever asks. */
export function lifeStatus(life: Life, seen: Seen): Omit<InstanceStatus, "exposure"> {
  const { note, name, wanted } = life;
  const service = seen.units.get(serviceUnit(name));
  const version = note?.current;
  const [state, detail] = stateOf(life, seen);
  const known = version ?? (typeof wanted === "object" ? wanted : null);
  return {
    name,
    generation: known?.generation ?? 0,
    state,
    detail,
    restartCount: service?.restartCount ?? 0,
    pid: service === undefined || service.mainPid === 0 ? null : service.mainPid,
    next: nextOf(life, seen),
    rolledBackFrom: note?.failed?.generation ?? null,
    lock: version?.lock ?? "",
    storePath: version?.storePath ?? "",
    memoryBytes: service?.memoryBytes ?? null,
  };
}

/** The run that health is judged by; empty: nothing runs, or not yet what should. */
export function watchedInvocation({ invocation, isDown, wanted }: Life): string {
  return isDown || wanted === "withdrawn" ? "" : invocation;
}

export function backoffOf(failureCount: number, timing: LifeTiming): number {
  return Math.min(timing.backoffMaxMs, timing.backoffMinMs * 2 ** Math.max(0, failureCount - 1));
}

/** The unit that is started for a service: what listens or waits for its time, else the service. */
export function mainUnit({ name, schedule, socketActivated }: Version["spec"]): string {
  if (schedule !== "") return `myco-${name}.timer`;
  return socketActivated ? `myco-${name}.socket` : serviceUnit(name);
}

export function serviceUnit(name: string): string {
  return `myco-${name}.service`;
}

/** All units a service may have, those first that start the others. */
export function unitsOfService(name: string): string[] {
  return ["timer", "socket", "service"].map((kind) => `myco-${name}.${kind}`);
}

/** From what is wanted to a version that can be installed. Null: nothing to do towards it. */
function stepTowards(life: Life, seen: Seen, nowMs: number): LifeStep | null {
  const { wanted, note, build } = life;
  if (!isAhead(life)) return null;
  assert(typeof wanted === "object", "only an instance is ahead");
  if (seen.missingSecret(wanted) !== null) return null;
  const { generation, spec } = wanted;
  if (spec.flake === "" && !spec.exec.startsWith("/")) {
    const message = `exec "${spec.exec}" is relative; without a flake it must be absolute here`;
    return refuse(life, note, generation, message);
  }
  if (spec.flake === "") return install(life, { generation, spec, lock: "", storePath: "" });
  if (build.kind === "built") return install(life, build.version);
  if (build.kind === "running") return null;
  if (build.kind === "failed" && !build.retry) return refuse(life, note, generation, build.message);
  const request = { service: life.name, generation, flake: spec.flake, lock: spec.lock };
  const detail = build.kind === "failed" ? build.message : "waits for its turn";
  const building: LifeBuild = { kind: "running", generation, detail };
  // The builder itself waits before it tries again.
  return {
    life: { ...life, build: building, notBeforeMs: nowMs },
    effect: { kind: "build", request },
  };
}

/** Whether something is wanted that is neither installed nor known to fail here. */
function isAhead({ wanted, note }: Life): boolean {
  if (typeof wanted !== "object") return false;
  if (note === null) return true;
  return (
    note.current.generation !== wanted.generation && note.failed?.generation !== wanted.generation
  );
}

function install(life: Life, current: Version): LifeStep {
  const good = life.note?.good ?? null;
  return save(life, { current, stage: "install", good, failed: null });
}

/** What cannot run here at all gives way to what runs. */
function refuse(
  life: Life,
  note: ServiceNote | null,
  generation: number,
  message: string,
): LifeStep {
  if (note === null) {
    return {
      life: { ...life, build: { kind: "failed", generation, message, retry: false } },
      effect: null,
    };
  }
  const why = message.slice(0, WHY_CHARACTERS_MAX);
  return save(life, { ...note, failed: { generation, why } });
}

/** The version is noted: its files are written, then it is started in the place of what runs. */
function stepInstall(
  life: Life,
  note: ServiceNote,
  seen: Seen,
  timing: LifeTiming,
  nowMs: number,
): LifeStep {
  const { current } = note;
  if (life.isDown && life.failureCount > timing.trialRestarts && canGoBack(note)) {
    return goBack(life, note, life.problem);
  }
  const missing = seen.missingSecret(current);
  if (missing !== null) {
    const waiting = { ...life, problem: missing, notBeforeMs: nowMs + SECRET_LOOK_MS };
    return { life: waiting, effect: null };
  }
  if (!life.written) {
    return mustClear(life, current, seen)
      ? stopAll(life, seen, nowMs)
      : { life, effect: { kind: "write", version: current } };
  }
  if (life.start !== null) return save(life, { ...note, stage: "started" });
  const unit = mainUnit(current.spec);
  const how = unit === serviceUnit(life.name) ? "restart" : "start";
  if (how === "start" && life.isDown && runsAtAll(life, seen)) return stopAll(life, seen, nowMs);
  return { life, effect: { kind: "start", unit, how, reset: failedUnits(life, seen) } };
}

/**
 * A service alone is started anew in one go, by systemd itself. What listens or waits for its
 * time cannot be: its units end first, so that nothing of the old version starts the new one.
 */
function mustClear(life: Life, current: Version, seen: Seen): boolean {
  const alone = serviceUnit(life.name);
  const others = activeUnits(life, seen).filter((unit) => unit !== alone);
  return others.length > 0 || (mainUnit(current.spec) !== alone && runsAtAll(life, seen));
}

/** It was started: is it well, and what if not? */
function stepRun(
  life: Life,
  note: ServiceNote,
  seen: Seen,
  timing: LifeTiming,
  nowMs: number,
): LifeStep {
  const main = seen.units.get(mainUnit(note.current.spec));
  const service = seen.units.get(serviceUnit(life.name));
  if (isReplacing(life, main)) return { life, effect: null };
  const isTrial = !isGood(note);
  const restartCount = service?.restartCount ?? 0;
  if (isTrial && restartCount > timing.trialRestarts) {
    const why = `it ended ${restartCount} times soon after its start`;
    return fail(life, note, why, timing, nowMs);
  }
  if (hasEndedWell(main)) return stepEnded(life, note);
  if (isUp(main)) return stepUp(watched(life, main!.invocation, nowMs), note, seen, timing, nowMs);
  if (main?.active === "activating" || main?.active === "deactivating") {
    return { life: { ...life, invocation: "", presumedWell: false }, effect: null };
  }
  if (main?.active !== "failed" && isFresh(life, timing, nowMs)) return { life, effect: null };
  return fail(life, note, endOf(main), timing, nowMs);
}

function stepUp(
  life: Life,
  note: ServiceNote,
  { health }: Seen,
  timing: LifeTiming,
  nowMs: number,
): LifeStep {
  const told = health !== null && health.invocation === life.invocation ? health : null;
  if (told?.verdict === "restart") {
    return fail(life, note, `its health check keeps failing: ${told.detail}`, timing, nowMs);
  }
  const upMs = nowMs - life.upSinceMs;
  const calm = { ...life, failureCount: upMs >= timing.stableRunMs ? 0 : life.failureCount };
  const isWell = isChecked(note.current) ? told?.verdict === "healthy" : upMs >= timing.settleMs;
  const judged = isWell || told !== null ? { ...calm, presumedWell: isWell } : calm;
  return isWell && !isGood(note) ? promote(judged, note) : { life: judged, effect: null };
}

/** A program that may end and has, without a complaint. */
function stepEnded(life: Life, note: ServiceNote): LifeStep {
  const ended = { ...life, presumedWell: true, invocation: "" };
  return isGood(note) ? { life: ended, effect: null } : promote(ended, note);
}

function promote(life: Life, note: ServiceNote): LifeStep {
  const good = note.current;
  return { life, effect: { kind: "save", note: { ...note, good }, wentLive: true } };
}

/** A version that was never well gives way to the last that was; else it is started again later. */
function fail(
  life: Life,
  note: ServiceNote,
  reason: string,
  timing: LifeTiming,
  nowMs: number,
): LifeStep {
  if (canGoBack(note)) return goBack(life, note, reason);
  return { life: waitLonger(life, reason, timing, nowMs), effect: null };
}

function canGoBack(note: ServiceNote): note is ServiceNote & { good: Version } {
  return note.good !== null && !isGood(note);
}

function goBack(
  life: Life,
  { current, good }: ServiceNote & { good: Version },
  why: string,
): LifeStep {
  const failed = { generation: current.generation, why: why.slice(0, WHY_CHARACTERS_MAX) };
  return save(life, { current: good, stage: "install", good, failed });
}

/** Everything of it ends: its units, then their files, then the note. */
function stepAway(life: Life, seen: Seen, nowMs: number): LifeStep {
  if (runsAtAll(life, seen)) return stopAll(life, seen, nowMs);
  const reset = failedUnits(life, seen);
  if (life.files.length > 0) return { life, effect: { kind: "erase", reset } };
  if (life.note !== null) return { life, effect: { kind: "forget" } };
  return { life, effect: null };
}

function stopAll(life: Life, seen: Seen, nowMs: number): LifeStep {
  if (nowMs - life.stopAskedMs < STOP_AGAIN_MS) return { life, effect: null };
  return { life, effect: { kind: "stop", units: activeUnits(life, seen) } };
}

function save(life: Life, note: ServiceNote): LifeStep {
  return { life, effect: { kind: "save", note, wentLive: false } };
}

function waitLonger(life: Life, problem: string, timing: LifeTiming, nowMs: number): Life {
  const failureCount = life.failureCount + 1;
  const notBeforeMs = nowMs + backoffOf(failureCount, timing);
  return {
    ...life,
    failureCount,
    notBeforeMs,
    problem,
    start: null,
    invocation: "",
    presumedWell: false,
    isDown: true,
  };
}

/** The same run goes on, or another begins. */
function watched(life: Life, invocation: string, nowMs: number): Life {
  if (life.invocation === invocation) return life;
  const presumedWell = life.presumedWell && life.invocation === "";
  return { ...life, invocation, upSinceMs: nowMs, presumedWell };
}

/** What ran before the start is still seen: the job waits, or the old process is ending. */
function isReplacing({ start }: Life, main: UnitStatus | undefined): boolean {
  if (start === null || start.before === "" || main?.invocation !== start.before) return false;
  return main.active !== "inactive" && main.active !== "failed";
}

/** So soon after a start that nothing to see means nothing. */
function isFresh({ start }: Life, timing: LifeTiming, nowMs: number): boolean {
  return start !== null && nowMs - start.atMs < timing.effectMs;
}

function isUp(unit: UnitStatus | undefined): boolean {
  return unit?.active === "active" || unit?.active === "reloading";
}

/** Whether anything of it runs, or is about to start or end. */
function runsAtAll(life: Life, seen: Seen): boolean {
  return activeUnits(life, seen).length > 0;
}

function activeUnits({ name }: Life, { units }: Seen): string[] {
  return unitsOfService(name).filter((unit) => {
    const active = units.get(unit)?.active ?? "inactive";
    return active !== "inactive" && active !== "failed";
  });
}

function failedUnits({ name }: Life, { units }: Seen): string[] {
  return unitsOfService(name).filter((unit) => units.get(unit)?.active === "failed");
}

function isGood(note: ServiceNote | null): boolean {
  return note !== null && note.good?.generation === note.current.generation;
}

/** Jobs end by themselves: what keeps them is their timer. */
function isChecked({ spec }: Version): boolean {
  return spec.health !== null && spec.schedule === "";
}

/** Only a service that may end stays up without a process (RemainAfterExit). */
function hasEndedWell(main: UnitStatus | undefined): boolean {
  return main?.active === "active" && main.sub === "exited";
}

function buildGeneration(build: LifeBuild): number | null {
  if (build.kind === "none") return null;
  return build.kind === "built" ? build.version.generation : build.generation;
}

/** How a run ended, for people. */
function endOf(unit: UnitStatus | undefined): string {
  if (unit === undefined) return "it does not run";
  if (unit.load !== "loaded") return `systemd has its unit as ${unit.load}`;
  const { result, exitStatus } = unit;
  if (result === "exit-code") return `exited with code ${exitStatus}`;
  if (result === "start-limit-hit") return "ended too often in a short time";
  if (result === "oom-kill") return "was ended for using more memory than it may";
  if (result === "success" || result === "") return "it does not run";
  return `ended: ${result}`;
}

function nextOf(life: Life, seen: Seen): InstanceStatus["next"] {
  const { wanted, note, build } = life;
  if (note === null || !isAhead(life) || typeof wanted !== "object") return null;
  const missing = seen.missingSecret(wanted);
  const detail = missing ?? (build.kind === "running" ? build.detail : "");
  return { generation: wanted.generation, detail };
}

function stateOf(life: Life, seen: Seen): readonly [InstanceState, string] {
  const { note, wanted } = life;
  if (wanted === "withdrawn") return ["stopping", ""];
  if (note === null) return unnotedState(life, seen);
  if (wanted === "nothing" && !runsAtAll(life, seen)) {
    return ["idle", "left by an earlier daemon; waits for its placement"];
  }
  const isRunning = note.stage === "started" && life.written && !life.isDown;
  if (life.problem !== "" && !isRunning) return ["backoff", life.problem];
  if (note.stage === "install" || !life.written) return ["starting", ""];
  return runningState(life, note, seen);
}

function runningState(
  life: Life,
  note: ServiceNote,
  { units, health }: Seen,
): readonly [InstanceState, string] {
  const main = units.get(mainUnit(note.current.spec));
  if (main?.sub === "auto-restart") return ["backoff", endOf(main)];
  const told = health !== null && health.invocation === life.invocation ? health : null;
  if (told?.verdict === "unhealthy") return ["unhealthy", told.detail];
  if (life.problem !== "") return [life.presumedWell ? "healthy" : "starting", life.problem];
  if (!life.presumedWell) return ["starting", told?.detail ?? ""];
  if (note.failed !== null) return ["healthy", `rolled back: ${note.failed.why}`];
  return ["healthy", jobDetail(note.current, units.get(serviceUnit(life.name)))];
}

/** What a job's last run came to. */
function jobDetail({ spec }: Version, service: UnitStatus | undefined): string {
  if (spec.schedule === "" || service === undefined || service.invocation === "") return "";
  if (service.active === "activating" || service.active === "active") return "runs now";
  return service.result === "success" ? "its last run succeeded" : `its last run ${endOf(service)}`;
}

/** Nothing of it is installed; what runs under its name, if anything, nobody knows any more. */
function unnotedState(life: Life, seen: Seen): readonly [InstanceState, string] {
  const { wanted, build } = life;
  if (typeof wanted !== "object") {
    return runsAtAll(life, seen)
      ? ["unhealthy", "its note is lost; it is started anew"]
      : ["idle", "left by an earlier daemon; waits for its placement"];
  }
  const missing = seen.missingSecret(wanted);
  if (missing !== null) return ["backoff", missing];
  if (build.kind === "failed" && !build.retry) return ["refused", build.message];
  if (build.kind === "running" || build.kind === "failed") {
    return ["building", build.kind === "running" ? build.detail : build.message];
  }
  return life.problem === "" ? ["starting", ""] : ["backoff", life.problem];
}
