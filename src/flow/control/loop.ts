// The controller: what a router's loop decides from what it was told. Pure: the same inputs in the
// same order give the same decisions, byte for byte, so that a recording can be replayed.

import { Ewma } from "../../kernel/ewma.ts";
import { KOfM } from "../../kernel/k-of-m.ts";
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
import { prime, suspicion } from "./attribution.ts";
import { type Charge, type DelayFacts, DirectionController, type Move } from "./direction.ts";
import { History } from "./history.ts";
import { ReflectorTable } from "./reflectors.ts";
import type { FlowView } from "./view.ts";

/** The rates the shapers run at when the loop begins. */
export interface StartRates {
  readonly downloadKbit: number;
  readonly uploadKbit: number;
}

/** A delay of so many set-points that still rises needs fewer votes. */
const STEEP_SET_POINTS = 3;
const STEEP_SLOPE = 0.1;
const STEEP_VOTES = 2;
/** A direction's turn to look for more lasts this long, and longer while it finds. */
const TURN_MS = 1_200;

/** Evidence that is not strong needs the delay to last. */
const PATIENCE_MS = 1_000;

/** Weight of a tick in the delay's noise. */
const NOISE_SHARE = 0.02;

const FREE: Charge = { guilty: false, alternative: false };
const GUILTY: Charge = { guilty: true, alternative: false };
const NO_CHARGES = { download: FREE, upload: FREE };
const NOTHING: FlowStep = { decisions: [], commands: [] };

/** One loop over both directions of one line. */
export class FlowLoop {
  #settings: FlowSettings;
  readonly #directions: Readonly<Record<Direction, DirectionController>>;
  readonly #reflectors = new ReflectorTable();
  readonly #deltas = new History();
  readonly #noise = new Ewma(NOISE_SHARE);
  #votes: KOfM;
  #nowMs = Number.NEGATIVE_INFINITY;
  #deltaMs: number | null = null;
  #risenSinceMs: number | null = null;
  #turn: Direction = "download";
  #turnSinceMs = Number.NEGATIVE_INFINITY;
  #decisions: Decision[] = [];
  #commands: FlowCommand[] = [];

  /** @param start the rates as installed; default: the base rates */
  constructor(settings: FlowSettings, start: StartRates = baseRates(settings)) {
    this.#settings = settings;
    this.#votes = new KOfM(settings.k, settings.m);
    this.#directions = {
      download: new DirectionController("download", settings, start.downloadKbit),
      upload: new DirectionController("upload", settings, start.uploadKbit),
    };
  }

  /** Takes one input; inputs come in the order of their times. */
  step(input: FlowInput): FlowStep {
    if (input.kind === "sample") this.#sample(input);
    if (this.#decisions.length === 0 && this.#commands.length === 0) return NOTHING;
    const step = { decisions: this.#decisions, commands: this.#commands };
    this.#decisions = [];
    this.#commands = [];
    return step;
  }

  #sample(sample: FlowSample): void {
    if (sample.atMs <= this.#nowMs) return;
    this.#nowMs = sample.atMs;
    for (const direction of DIRECTIONS) {
      this.#directions[direction].sample(sample.atMs, sample[direction]);
    }
    this.#senseDelay(sample);
    this.#decide(this.#delayFacts());
  }

  #senseDelay(sample: FlowSample): void {
    const calm = !this.#directions.download.loaded && !this.#directions.upload.loaded;
    for (const reply of sample.replies) this.#reflectors.reply(reply, calm);
    for (const loss of sample.losses) this.#reflectors.loss(loss);
    this.#deltaMs = this.#reflectors.deltaMs(sample.atMs);
    if (this.#deltaMs === null || sample.replies.length === 0) return;
    const before = this.#deltas.last;
    this.#deltas.add(sample.atMs, this.#deltaMs);
    const high = this.#deltaMs > this.#settings.delaySetPointMs;
    if (before !== null && !high) this.#noise.add(Math.abs(this.#deltaMs - before));
    this.#votes.vote(high);
    if (high) this.#risenSinceMs ??= sample.atMs;
    else if (this.#votes.count === 0) this.#risenSinceMs = null;
  }

  #delayFacts(): DelayFacts {
    return {
      atMs: this.#nowMs,
      deltaMs: this.#deltaMs,
      risenSinceMs: this.#risenSinceMs,
      baselineMs: this.#reflectors.baselineMs(this.#nowMs) ?? 50,
      noiseMs: this.#noise.value ?? 0,
      deltas: this.#deltas,
    };
  }

  #decide(facts: DelayFacts): void {
    const charges = this.#charges(facts);
    this.#takeTurns(facts.atMs);
    for (const direction of DIRECTIONS) {
      const controller = this.#directions[direction];
      const move = controller.decide(facts, charges[direction], this.#turn === direction);
      if (move !== null) this.#apply(direction, move, facts);
    }
  }

  /** Whose queue the delay is, when there is enough of it. */
  #charges(facts: DelayFacts): Readonly<Record<Direction, Charge>> {
    const { risenSinceMs, atMs } = facts;
    const slope = this.#deltas.slope(atMs - 350) ?? 0;
    const { download, upload } = this.#directions;
    if (risenSinceMs === null || !this.#bloated(facts, slope)) {
      if (download.probeAnswered(facts)) return { download: GUILTY, upload: FREE };
      if (upload.probeAnswered(facts)) return { download: FREE, upload: GUILTY };
      return NO_CHARGES;
    }
    const patient = atMs - risenSinceMs >= PATIENCE_MS ? 1 : 2;
    const suspects = DIRECTIONS.filter((direction) => {
      const controller = this.#directions[direction];
      return !controller.acquitted(atMs) && suspicion(controller, risenSinceMs) >= patient;
    });
    if (suspects.length === 0) return NO_CHARGES;
    const draining = DIRECTIONS.find((direction) => this.#directions[direction].phase === "drain");
    const both = suspects.length === 2;
    const guilty = draining ?? (both ? prime(download, upload, risenSinceMs, slope) : suspects[0]);
    return guilty === "download"
      ? { download: { guilty: true, alternative: suspects.includes("upload") }, upload: FREE }
      : { download: FREE, upload: { guilty: true, alternative: suspects.includes("download") } };
  }

  #bloated({ deltaMs }: DelayFacts, slope: number): boolean {
    const setPointMs = this.#settings.delaySetPointMs;
    if (deltaMs === null || deltaMs <= setPointMs) return false;
    if (this.#votes.carried) return true;
    const steep = deltaMs > STEEP_SET_POINTS * setPointMs && slope > STEEP_SLOPE;
    return steep && this.#votes.count >= STEEP_VOTES;
  }

  /** One direction at a time looks for more, so that a delay tells whose it is. */
  #takeTurns(atMs: number): void {
    const holder = this.#directions[this.#turn];
    const other: Direction = this.#turn === "download" ? "upload" : "download";
    if (holder.saturated && (holder.exploring || atMs - this.#turnSinceMs < TURN_MS)) return;
    if (!this.#directions[other].saturated) return;
    this.#turn = other;
    this.#turnSinceMs = atMs;
  }

  #apply(direction: Direction, move: Move, facts: DelayFacts): void {
    const controller = this.#directions[direction];
    this.#decisions.push({
      atMs: this.#nowMs,
      kind: move.kind,
      direction,
      fromKbit: controller.rateKbit,
      toKbit: move.toKbit,
      cause: move.cause,
      evidence: evidenceOf(controller, facts, this.#votes.count),
    });
    this.#commands.push({ kind: "set-rate", direction, rateKbit: move.toKbit });
    controller.rateChanged(this.#nowMs, move.toKbit);
  }

  /** Takes other settings from now on; rates outside the new bounds move inside. */
  reconfigure(settings: FlowSettings, _atMs: number): FlowStep {
    this.#settings = settings;
    this.#votes = new KOfM(settings.k, settings.m);
    return NOTHING;
  }

  /** A picture of the loop as it is now; made anew on each call. */
  get view(): FlowView {
    return {
      state: "running",
      frozenBecause: null,
      samplingHz: this.#settings.sampleHz,
      asleep: false,
      deltaMs: this.#deltaMs,
      baselineMs: this.#reflectors.baselineMs(this.#nowMs),
      reflectors: this.#reflectors.views(),
      directions: {
        download: this.#directions.download.view(),
        upload: this.#directions.upload.view(),
      },
    };
  }
}

function evidenceOf(
  controller: DirectionController,
  facts: DelayFacts,
  votes: number,
): Decision["evidence"] {
  const { lineKbit, backlogBytes, loadPercent, capacityKbit } = controller.view();
  const deltaMs = facts.deltaMs === null ? null : Math.round(facts.deltaMs * 10) / 10;
  return {
    votes,
    ...(deltaMs === null ? {} : { deltaMs }),
    ...(lineKbit === null ? {} : { lineKbit }),
    ...(loadPercent === null ? {} : { loadPercent }),
    ...(backlogBytes === null ? {} : { backlogBytes }),
    ...(capacityKbit === null ? {} : { capacityKbit }),
  };
}

function baseRates(settings: FlowSettings): StartRates {
  return { downloadKbit: settings.download.baseKbit, uploadKbit: settings.upload.baseKbit };
}
