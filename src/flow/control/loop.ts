// The controller: what a router's loop decides from what it was told. Pure: the same inputs in the
// same order give the same decisions, byte for byte, so that a recording can be replayed.

import type { FlowSettings } from "../../schema/flow-settings.ts";
import {
  type Decision,
  DIRECTIONS,
  type Direction,
  type FlowCommand,
  type FlowInput,
  type FlowSample,
  type FlowStep,
} from "../interface.ts";
import { charges } from "./attribution.ts";
import { ChangeCheck } from "./change-check.ts";
import { type DelayFacts, DelaySense } from "./delay.ts";
import { DirectionController, type Move } from "./direction.ts";
import { type FreezeCause, Guard } from "./guard.ts";
import type { FlowView } from "./view.ts";

/** The rates the shapers run at when the loop begins. */
export interface StartRates {
  readonly downloadKbit: number;
  readonly uploadKbit: number;
}

type Input<K extends FlowInput["kind"]> = Extract<FlowInput, { readonly kind: K }>;
interface Wanted {
  readonly toKbit: number;
  readonly cause: string;
}
type Evidence = Decision["evidence"];

/** A direction's turn to look for more lasts this long, and longer while it finds. */
const TURN_MS = 1_200;
/** After an outage the line's queue empties first. */
const GRACE_MS = 700;
/** Probes that stay dead for so long say that nothing is known any more: to the base rates. */
const BLIND_MS = 60_000;
/** Between two tries to have the qdiscs made anew. */
const REINSTALL_MS_MIN = 2_000;
const REINSTALL_MS_MAX = 60_000;
/** Both directions below this share of their minimum for so long: the loop may doze. */
const ASLEEP_SHARE = 0.25;
const ASLEEP_AFTER_MS = 20_000;
const ASLEEP_HZ = 2;
/** What a child said is evidence up to here. */
const ERROR_CHARACTERS_MAX = 120;

const NOTHING: FlowStep = { decisions: [], commands: [] };

/** One loop over both directions of one line. */
export class FlowLoop {
  #settings: FlowSettings;
  readonly #directions: Readonly<Record<Direction, DirectionController>>;
  readonly #checks: Readonly<Record<Direction, ChangeCheck>>;
  /** Rates to go back to, step by step, before anything else; null: none. */
  readonly #wanted: Record<Direction, Wanted | null> = { download: null, upload: null };
  readonly #delay: DelaySense;
  readonly #guard = new Guard();
  #frozenBecause: FreezeCause | null = null;
  #nowMs = Number.NEGATIVE_INFINITY;
  #graceUntilMs = Number.NEGATIVE_INFINITY;
  #turn: Direction = "download";
  #turnSinceMs = Number.NEGATIVE_INFINITY;
  #quietSinceMs: number | null = null;
  #asleep = false;
  #reinstallWaitMs = REINSTALL_MS_MIN;
  #reinstallNotBeforeMs = Number.NEGATIVE_INFINITY;
  #decisions: Decision[] = [];
  #commands: FlowCommand[] = [];

  /** @param start the rates as installed; default: the base rates */
  constructor(settings: FlowSettings, start: StartRates = baseRates(settings)) {
    this.#settings = settings;
    this.#delay = new DelaySense(settings);
    this.#checks = { download: new ChangeCheck(), upload: new ChangeCheck() };
    this.#directions = {
      download: new DirectionController("download", settings, start.downloadKbit),
      upload: new DirectionController("upload", settings, start.uploadKbit),
    };
  }

  /** Takes one input; inputs come in the order of their times. */
  step(input: FlowInput): FlowStep {
    switch (input.kind) {
      case "sample":
        this.#sample(input);
        break;
      case "applied":
        this.#applied(input);
        break;
      case "link":
        this.#link(input);
        break;
      case "pinger":
        this.#guard.set("pinger-dead", !input.alive, input.atMs);
        this.#freezeOrThaw(input.atMs, { reason: cut(input.reason) });
        break;
      case "usage":
        this.#usage(input);
        break;
    }
    return this.#answer();
  }

  /** Takes other settings from now on; rates outside the new bounds move inside. */
  reconfigure(settings: FlowSettings, atMs: number): FlowStep {
    this.#settings = settings;
    this.#delay.reconfigure(settings);
    for (const direction of DIRECTIONS) {
      const controller = this.#directions[direction];
      const toKbit = controller.reconfigure(settings);
      if (toKbit !== controller.rateKbit) this.#wanted[direction] = { toKbit, cause: "settings" };
      this.#goBack(atMs, direction);
    }
    return this.#answer();
  }

  /** A picture of the loop as it is now; made anew on each call. */
  get view(): FlowView {
    const { download, upload } = this.#directions;
    const pace = this.#guard.pace(this.#settings);
    return {
      state: this.#frozenBecause === null ? "running" : "frozen",
      frozenBecause: this.#frozenBecause,
      samplingHz: this.#asleep ? Math.min(ASLEEP_HZ, pace) : pace,
      asleep: this.#asleep,
      deltaMs: this.#delay.deltaMs,
      baselineMs: this.#delay.reflectors.baselineMs(this.#nowMs),
      reflectors: this.#delay.reflectors.views(),
      directions: { download: download.view(), upload: upload.view() },
    };
  }

  #answer(): FlowStep {
    if (this.#decisions.length === 0 && this.#commands.length === 0) return NOTHING;
    const step = { decisions: this.#decisions, commands: this.#commands };
    this.#decisions = [];
    this.#commands = [];
    return step;
  }

  #sample(sample: FlowSample): void {
    // A clock that stood still or went back tells nothing.
    if (sample.atMs <= this.#nowMs) return;
    const atMs = sample.atMs;
    this.#nowMs = atMs;
    const { download, upload } = this.#directions;
    download.sample(atMs, sample.download);
    upload.sample(atMs, sample.upload);
    const calm = !download.loaded && !upload.loaded;
    const packetMs = download.packetMs + upload.packetMs;
    const facts = this.#delay.sample(sample, calm, packetMs);
    this.#guard.watch(atMs, this.#delay.reflectors, download.traffic.lineKbit);
    this.#watchRates(sample);
    this.#freezeOrThaw(atMs, {});
    this.#doze(atMs);
    this.#repair(atMs);
    for (const direction of DIRECTIONS) this.#goBack(atMs, direction);
    if (this.#frozenBecause === null && atMs >= this.#graceUntilMs) this.#steer(facts);
  }

  #steer(facts: DelayFacts): void {
    const { download, upload } = this.#directions;
    const charged = charges(download, upload, facts);
    this.#takeTurns(facts.atMs);
    for (const direction of DIRECTIONS) {
      if (!this.#steers(direction, facts.atMs)) continue;
      const controller = this.#directions[direction];
      const move = controller.decide(facts, charged[direction], this.#turn === direction);
      if (move !== null) this.#change(facts.atMs, direction, move, evidenceOf(controller, facts));
    }
    this.#learnPath(facts);
    this.#leaveBadReflector(facts);
  }

  #steers(direction: Direction, atMs: number): boolean {
    if (!this.#shapes(direction) || this.#wanted[direction] !== null) return false;
    return !this.#checks[direction].blocked(atMs);
  }

  #shapes(direction: Direction): boolean {
    return direction === "upload" || this.#settings.ingress;
  }

  /** One direction at a time looks for more, so that a delay tells whose it is. */
  #takeTurns(atMs: number): void {
    const holder = this.#directions[this.#turn];
    const other: Direction = this.#turn === "download" ? "upload" : "download";
    if (holder.exploring || !this.#directions[other].mayProbe(atMs)) return;
    if (holder.mayProbe(atMs) && atMs - this.#turnSinceMs < TURN_MS) return;
    this.#turn = other;
    this.#turnSinceMs = atMs;
  }

  /** A delay that no cut of ours shortens is the path's: it becomes the baseline. */
  #learnPath(facts: DelayFacts): void {
    const { atMs, risenSinceMs, deltas } = facts;
    if (risenSinceMs === null || !facts.bloated) return;
    const blamable = DIRECTIONS.filter((direction) => this.#directions[direction].loaded);
    const acquitted = blamable.filter((direction) =>
      this.#directions[direction].acquitted(atMs, risenSinceMs),
    );
    if (acquitted.length === 0 || acquitted.length < blamable.length) return;
    const byMs = deltas.least(atMs - 1_000);
    if (byMs === null || byMs <= 0) return;
    this.#delay.reflectors.rebase(byMs);
    this.#delay.interrupt();
    this.#decide(atMs, "settle", null, "path-longer", { deltaMs: tenth(byMs) });
  }

  #leaveBadReflector({ atMs, deltaMs }: DelayFacts): void {
    if (deltaMs === null) return;
    const reflector = this.#delay.reflectors.judge(atMs, deltaMs);
    if (reflector !== null) this.#commands.push({ kind: "rotate-reflector", reflector });
  }

  #doze(atMs: number): void {
    const quiet = DIRECTIONS.every((direction) => {
      const { lineKbit } = this.#directions[direction].traffic;
      return lineKbit !== null && lineKbit < ASLEEP_SHARE * this.#settings[direction].minKbit;
    });
    if (!quiet) this.#quietSinceMs = null;
    else this.#quietSinceMs ??= atMs;
    const quietMs = this.#quietSinceMs === null ? 0 : atMs - this.#quietSinceMs;
    this.#asleep = this.#frozenBecause === null && quietMs >= ASLEEP_AFTER_MS;
  }

  #applied(input: Input<"applied">): void {
    const { atMs, direction, requestedKbit, readBackKbit, error } = input;
    const check = this.#checks[direction];
    const outcome = check.judge(atMs, requestedKbit, readBackKbit, error);
    if (outcome === "applied") {
      if (DIRECTIONS.every((each) => !this.#checks[each].given)) {
        this.#guard.set("change-failed", false, atMs);
        this.#freezeOrThaw(atMs, {});
      }
      return;
    }
    const said = error === null ? {} : { error: cut(error) };
    const read = readBackKbit === null ? {} : { readBackKbit };
    this.#rollBack(atMs, direction, outcome, { requestedKbit, ...read, ...said });
  }

  /** The kernel shapes to another rate than ours, tick after tick: somebody else's doing. */
  #watchRates(sample: FlowSample): void {
    if (this.#settings.mode === "shadow" || !this.#guard.canAct) return;
    for (const direction of DIRECTIONS) {
      const readBackKbit = sample[direction]?.shaper?.rateKbit;
      if (readBackKbit === undefined || this.#wanted[direction] !== null) continue;
      const { rateKbit } = this.#directions[direction];
      if (!this.#checks[direction].drifted(sample.atMs, readBackKbit, rateKbit)) continue;
      this.#rollBack(sample.atMs, direction, "rate-drift", { readBackKbit });
    }
  }

  /** The change is not what the kernel has: back to the last stable rate; after several, freeze. */
  #rollBack(atMs: number, direction: Direction, cause: string, evidence: Evidence): void {
    const controller = this.#directions[direction];
    const check = this.#checks[direction];
    const toKbit = controller.stableKbit;
    this.#wanted[direction] = { toKbit, cause };
    const { rateKbit: fromKbit } = controller;
    const told = { ...evidence, failures: check.failures };
    this.#decide(atMs, "rollback", direction, cause, told, fromKbit, toKbit);
    if (!check.given) return;
    this.#guard.set("change-failed", true, atMs);
    this.#freezeOrThaw(atMs, {});
  }

  #link({ atMs, state }: Input<"link">): void {
    this.#guard.link(state, atMs);
    if (state === "shaped") {
      for (const direction of DIRECTIONS) this.#checks[direction].reset();
      this.#guard.set("change-failed", false, atMs);
    }
    this.#freezeOrThaw(atMs, { link: state });
    this.#repair(atMs);
  }

  #usage({ atMs, cpuPercent, residentBytes }: Input<"usage">): void {
    const before = this.#guard.pace(this.#settings);
    this.#guard.usage(cpuPercent, residentBytes, this.#settings, atMs);
    const samplingHz = this.#guard.pace(this.#settings);
    const evidence = { cpuPercent: tenth(cpuPercent), residentBytes, samplingHz };
    if (samplingHz !== before) this.#decide(atMs, "settle", null, "pace", evidence);
    this.#freezeOrThaw(atMs, evidence);
  }

  /** Takes note of what the guard found since the last input. */
  #freezeOrThaw(atMs: number, evidence: Evidence): void {
    const cause = this.#guard.frozenBecause;
    if (cause === this.#frozenBecause) return;
    const before = this.#frozenBecause;
    this.#frozenBecause = cause;
    if (cause === null) {
      this.#decide(atMs, "thaw", null, before ?? "", evidence);
      this.#delay.interrupt();
      this.#graceUntilMs = atMs + GRACE_MS;
      for (const direction of DIRECTIONS) this.#directions[direction].interrupt(atMs);
      return;
    }
    this.#decide(atMs, "freeze", null, cause, evidence);
    for (const direction of DIRECTIONS) {
      const toKbit = this.#directions[direction].stableKbit;
      this.#wanted[direction] ??= { toKbit, cause };
    }
  }

  /** Starts again what is in trouble, with growing pauses. */
  #repair(atMs: number): void {
    if (this.#guard.wantsPinger(atMs)) this.#commands.push({ kind: "restart-pinger" });
    const cause = this.#frozenBecause;
    if (cause !== "qdisc-replaced" && cause !== "change-failed") {
      if (atMs - this.#reinstallNotBeforeMs > REINSTALL_MS_MAX) {
        this.#reinstallWaitMs = REINSTALL_MS_MIN;
      }
      return;
    }
    if (atMs < this.#reinstallNotBeforeMs) return;
    this.#reinstallNotBeforeMs = atMs + this.#reinstallWaitMs;
    this.#reinstallWaitMs = Math.min(2 * this.#reinstallWaitMs, REINSTALL_MS_MAX);
    this.#reinstall(atMs, cause);
  }

  #reinstall(atMs: number, cause: string): void {
    const { download, upload } = this.#directions;
    for (const controller of [download, upload]) {
      controller.rateChanged(atMs, controller.stableKbit);
      this.#wanted[controller.direction] = null;
      this.#checks[controller.direction].reset();
    }
    const rates = { downloadKbit: download.rateKbit, uploadKbit: upload.rateKbit };
    this.#decide(atMs, "restore", null, cause, rates);
    this.#commands.push({ kind: "reinstall", ...rates });
    // Whether the new qdiscs take changes is shown by the next one.
    this.#guard.set("change-failed", false, atMs);
    this.#freezeOrThaw(atMs, {});
  }

  /** One step back to the rate that is wanted, as soon as one may be made. */
  #goBack(atMs: number, direction: Direction): void {
    const controller = this.#directions[direction];
    const check = this.#checks[direction];
    const frozen = this.#frozenBecause;
    const blind = frozen === "pinger-dead" || frozen === "probes-unanswered";
    if (blind && atMs - this.#guard.sinceMs > BLIND_MS) {
      this.#wanted[direction] = { toKbit: this.#settings[direction].baseKbit, cause: frozen };
    }
    const wanted = this.#wanted[direction];
    if (wanted === null || !this.#guard.canAct) return;
    if (check.blocked(atMs) || !controller.limiter.open(atMs)) return;
    const toKbit = controller.limiter.bound(controller.rateKbit, wanted.toKbit);
    const there = toKbit === controller.rateKbit;
    if (there || toKbit === wanted.toKbit) this.#wanted[direction] = null;
    // After a failed change the rate is told again, even when it is the one we believe to have.
    if (!this.#shapes(direction) || (there && check.failures === 0)) return;
    this.#change(atMs, direction, { kind: "restore", cause: wanted.cause, toKbit }, {});
  }

  #change(atMs: number, direction: Direction, move: Move, evidence: Evidence): void {
    const controller = this.#directions[direction];
    const { kind, cause, toKbit } = move;
    this.#decide(atMs, kind, direction, cause, evidence, controller.rateKbit, toKbit);
    this.#commands.push({ kind: "set-rate", direction, rateKbit: toKbit });
    controller.rateChanged(atMs, toKbit);
    this.#checks[direction].asked(atMs);
  }

  #decide(
    atMs: number,
    kind: Decision["kind"],
    direction: Direction | null,
    cause: string,
    evidence: Evidence,
    fromKbit: number | null = null,
    toKbit: number | null = null,
  ): void {
    this.#decisions.push({ atMs, kind, direction, fromKbit, toKbit, cause, evidence });
  }
}

/** The figures that spoke, those that are known. */
function evidenceOf(controller: DirectionController, facts: DelayFacts): Evidence {
  const { lineKbit, backlogBytes, loadPercent, capacityKbit } = controller.view();
  const { deltaMs, votes, slope } = facts;
  return {
    votes,
    ...(deltaMs === null ? {} : { deltaMs: tenth(deltaMs), slopePercent: Math.round(slope * 100) }),
    ...(lineKbit === null ? {} : { lineKbit }),
    ...(loadPercent === null ? {} : { loadPercent }),
    ...(backlogBytes === null ? {} : { backlogBytes }),
    ...(capacityKbit === null ? {} : { capacityKbit }),
  };
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

function cut(text: string): string {
  return text.slice(0, ERROR_CHARACTERS_MAX);
}

function baseRates(settings: FlowSettings): StartRates {
  return { downloadKbit: settings.download.baseKbit, uploadKbit: settings.upload.baseKbit };
}
