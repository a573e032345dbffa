// One direction's controller: lowers its rate to what the line was seen to carry, waits until the
// line's queue is empty, settles just below, and looks for more while there is demand.

import { Ewma } from "../../kernel/ewma.ts";
import type { BandwidthSettings, FlowSettings } from "../../schema/flow-settings.ts";
import type { DecisionKind, Direction, DirectionSample } from "../interface.ts";
import type { DelayFacts } from "./delay.ts";
import { ChangeLimiter } from "./limiter.ts";
import { Steering } from "./steering.ts";
import { Traffic } from "./traffic.ts";
import type { DirectionView, Phase } from "./view.ts";

/** What is held of a direction while the delay is high. */
export interface Charge {
  /** It is to blame, as far as can be told. */
  readonly guilty: boolean;
  /** If it is not, the other direction may be. */
  readonly alternative: boolean;
}

/** A change of rate that a direction asks for. */
export interface Move {
  readonly kind: DecisionKind;
  readonly toKbit: number;
  readonly cause: string;
}

/** A drain aims to empty the line's queue in this time. */
const DRAIN_MS = 350;
const UNDERSHOOT_MIN = 0.06;
const UNDERSHOOT_MAX = 0.25;
/** A queue so long is worth a deeper cut. */
const UNDERSHOOT_DEEP = 0.45;
const DEEP_QUEUE_MS = 200;
/** Time for a change to show in the probes, beside the path's RTT: a tick, a probe, the actor. */
const EFFECT_MS = 150;
/** The share of the capacity met that is left free after a drain, so that an empty queue stays empty. */
const MARGIN_MIN = 0.04;
/** More where delay came back without a probe; less again with each probe that ends in time. */
const MARGIN_MAX = 0.15;
const MARGIN_GROWTH = 1.5;
const MARGIN_DECAY = 0.8;
/** A capacity that fell further is another, and no reason for more room. */
const SAME_CAPACITY_SHARE = 0.85;
/** Half of the margin is taken back once the line is calm: up to there is nothing to find out. */
const KNOWN_MARGIN_SHARE = 0.4;
/** All of it is left where packets are so long that this is how long a look takes. */
const KNOWN_MARGIN_LOOK_MS = 600;
const AT_CAPACITY_SHARE = 0.985;
/** What arrives at less than this share of our rate is what we let through. */
const OWN_RATE_SHARE = 1.02;
/** The capacity met is believed so long. */
const KNOWN_MS = 30_000;
/** After a drain, before looking for more; less where the capacity changes all the time. */
const PROBE_PAUSE_MS = 1_500;
const PROBE_PAUSE_LOOKS = 10;
const LOOK_MS_MIN = 100;
const PROBE_PAUSE_SHARE_MIN = 0.2;
const VOLATILITY_SHARE = 0.3;
const VOLATILE = 0.25;
/** Between two raises of a probe, beside the path's RTT: its effect has to be seen. */
const PROBE_STEP_MS = 100;
const STEP_SET_POINTS = 2;
/** A probe whose rate is not used up for so long is over. */
const PROBE_LULL_MS = 1_500;
/** So far around the known capacity a probe goes in small steps; beyond, each is larger than the last. */
const NEAR_KNOWN_SHARE = 1.03;
/** A probe ends when the delay is above what it was by this share of the set-point, or by twice its noise, in two ticks. */
const PROBE_RISE_SHARE = 0.4;
const PROBE_RISE_NOISES = 2;
/** A rate is proven when it was in full use so long without delay. */
const PROVEN_MS = 600;
/** What was found guilty is suspected first for a while. */
const GUILT_HALF_LIFE_MS = 20_000;
/** A rate held so long without delay is one to come back to. */
const STABLE_MS = 1_000;
/** Little use for so long is idleness; then the rate goes back to the base, a step each time. */
const IDLE_AFTER_MS = 5_000;
const IDLE_SHARE = 0.5;
const IDLE_STEP_MS = 5_000;
const IDLE_STEP_SHARE = 0.1;
/** An upload whose queue no longer grows is full: the slope tells nothing, so cut by this. */
const FULL_QUEUE_SHARE = 0.6;
const FULL_QUEUE_MS = 200;
/** A cut is judged when it should have taken this much off the delay; less than this share of it is no effect. */
const JUDGED_MS = 12;
const EFFECT_SHARE = 0.35;
/** While more than this share of our rate arrives, a cut of the download is not judged, for so long at most. */
const DRAINS_SHARE = 1.03;
const DRAINS_MS_MAX = 1_000;
const BITING_SHARE = 0.85;
/** Cuts without effect before the delay is held to be somebody else's, when no other suspect is there. */
const VAIN_CUTS_MAX = 3;
/** So long it is then not blamed again. */
const ACQUITTED_MS = 5_000;
/** Changes smaller than this are not worth a system call. */
const CHANGE_SHARE_MIN = 0.004;

/** A rate is good when it was in full use without delay for so long, and some looks; what a cut leaves of it. */
const GOOD_MS = 600;
const GOOD_LOOKS = 2;
const GOOD_KEPT_SHARE = 0.9;
const BELOW_GOOD_SHARE = 0.93;

const PACKET_BITS = 8 * 1_514;
/** Half a packet at each of the two. */
const PACKETS_MET = 0.9;

interface Drain {
  /** The rate, the capacity held for true and how much it changed, before the first cut. */
  readonly fromKbit: number;
  readonly capacityKbit: number | null;
  readonly volatility: number;
  readonly cause: string;
  readonly cuts: number;
  readonly startMs: number;
  readonly deltaMs: number;
  /** When a cut of the right direction shows, by how much it does then at least, and when its queue should be gone. */
  readonly judgeMs: number;
  readonly judgedDeltaMs: number;
  readonly deadlineMs: number;
}

export class DirectionController {
  readonly direction: Direction;
  readonly traffic: Traffic;
  readonly limiter: ChangeLimiter;
  readonly #steering = new Steering();
  #bounds: BandwidthSettings;
  #rateKbit: number;
  #rateSinceMs = Number.NEGATIVE_INFINITY;
  #phase: Phase = "idle";
  #drain: Drain | null = null;
  /** What cuts without effect took and steps up have not brought back yet; null: nothing. */
  #owedKbit: number | null = null;
  #capacityKbit: number | null = null;
  #capacityAtMs = 0;
  /** Mean change of the capacity from one meeting to the next, as a natural logarithm. */
  readonly #volatility = new Ewma(VOLATILITY_SHARE);
  #provenKbit = 0;
  /** The highest rate of late that was free of delay for long; a little delay later does not refute it at once. */
  #goodKbit = 0;
  #stableKbit: number;
  #probeNotBeforeMs = Number.NEGATIVE_INFINITY;
  /** The delay and the rate when the probe under way began. */
  #probeDeltaMs = 0;
  #probeFromKbit = 0;
  #idleSinceMs: number | null = null;
  #idleStepMs = 0;
  #margin = MARGIN_MIN;
  #vainCuts = 0;
  #acquittedAtMs = Number.NEGATIVE_INFINITY;
  #guilt = 0;
  #guiltAtMs = 0;

  constructor(direction: Direction, settings: FlowSettings, rateKbit: number) {
    this.direction = direction;
    this.#bounds = settings[direction];
    this.#rateKbit = rateKbit;
    this.#stableKbit = rateKbit;
    this.traffic = new Traffic(settings.linkLayer);
    this.limiter = new ChangeLimiter(settings, this.#bounds);
  }

  get rateKbit(): number {
    return this.#rateKbit;
  }

  /** The last rate that was held for a while without delay. */
  get stableKbit(): number {
    return this.#stableKbit;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether the rate is about what the line carried when it was last met: a little more is too much. */
  get atCapacity(): boolean {
    return this.#capacityKbit !== null && this.#rateKbit >= AT_CAPACITY_SHARE * this.#capacityKbit;
  }

  /** Whether the rate was in full use for a while without delay. */
  get proven(): boolean {
    return this.#rateKbit <= this.#provenKbit;
  }

  /** Whether the rate is well below one that was free of delay for long. */
  get belowGood(): boolean {
    return this.#rateKbit < BELOW_GOOD_SHARE * this.#goodKbit;
  }

  /** Whether the rate is beyond what has been proven to be free of delay. */
  get exploring(): boolean {
    return this.#phase === "probe" && this.#rateKbit > this.#provenKbit;
  }

  /** Whether the delay has answered the probe that is under way. */
  probeAnswered({ deltas, noiseMs, setPointMs, lookMs, atMs }: DelayFacts): boolean {
    if (!this.exploring) return false;
    const riseMs = Math.max(PROBE_RISE_SHARE * setPointMs, PROBE_RISE_NOISES * noiseMs);
    const leastMs = deltas.least(atMs - 150) ?? 0;
    const meanMs = deltas.mean(atMs - lookMs) ?? 0;
    return Math.min(leastMs, meanMs) > this.#probeDeltaMs + riseMs;
  }

  /** How far beyond, as a share: the delay cannot grow faster than that by its fault alone. */
  get overshoot(): number {
    return this.#provenKbit === 0 ? 1 : this.#rateKbit / this.#provenKbit - 1;
  }

  /** Whether it could look for more now, were it its turn. */
  mayProbe(atMs: number): boolean {
    return this.saturated && this.#drain === null && atMs >= this.#probeNotBeforeMs;
  }

  /** Enough traffic that a queue could be of its making, and a cut could shorten it. */
  get loaded(): boolean {
    return (this.traffic.lineKbit ?? 0) >= 0.9 * this.#bounds.minKbit;
  }

  /** How long a probe waits for packets that are being sent, by our shaper and then by the line. */
  get packetMs(): number {
    return this.loaded ? (PACKETS_MET * PACKET_BITS) / this.#rateKbit : 0;
  }

  get saturated(): boolean {
    return this.traffic.saturated(this.#rateKbit);
  }

  /** How often of late a cut of it, other than of a probe, was what shortened the delay. */
  guilt(atMs: number): number {
    return this.#guilt * 0.5 ** ((atMs - this.#guiltAtMs) / GUILT_HALF_LIFE_MS);
  }

  /** Cutting it has been seen to change nothing, in the present spell of delay. */
  acquitted(atMs: number, risenSinceMs: number): boolean {
    return this.#acquittedAtMs >= risenSinceMs && atMs - this.#acquittedAtMs < ACQUITTED_MS;
  }

  sample(atMs: number, sample: DirectionSample | null): void {
    this.traffic.add(atMs, sample, this.#rateKbit);
  }

  /** What to do now. @param mayProbe whether it is its turn to look for more */
  decide(facts: DelayFacts, charge: Charge, mayProbe: boolean): Move | null {
    this.#prove(facts);
    if (this.#drain !== null) return this.#whileDraining(facts, this.#drain, charge);
    if (charge.guilty) return this.#cut(facts);
    if (this.#owedKbit !== null) return this.#giveBack(facts.atMs, this.#owedKbit);
    if (this.traffic.lineKbit === null || facts.deltaMs === null) return null;
    if (this.saturated) return this.#climb(facts, mayProbe);
    return this.#rest(facts.atMs);
  }

  /** The rate has been changed, for whatever reason. */
  rateChanged(atMs: number, rateKbit: number): void {
    const fromKbit = this.#rateKbit;
    this.#rateKbit = rateKbit;
    this.#rateSinceMs = atMs;
    this.#provenKbit = Math.min(this.#provenKbit, rateKbit);
    // What it was acquitted of was at another rate.
    if (rateKbit > fromKbit && this.#phase === "probe") {
      this.#acquittedAtMs = Number.NEGATIVE_INFINITY;
    }
    this.limiter.count(atMs);
  }

  /** Takes other settings. @returns the rate the new bounds allow */
  reconfigure(settings: FlowSettings): number {
    this.#bounds = settings[this.direction];
    this.traffic.linkLayer = settings.linkLayer;
    this.limiter.reconfigure(settings, this.#bounds);
    this.#stableKbit = clamp(this.#stableKbit, this.#bounds.minKbit, this.#bounds.maxKbit);
    return clamp(this.#rateKbit, this.#bounds.minKbit, this.#bounds.maxKbit);
  }

  /** Forgets what was under way, as after an outage; what was learned of the line stays. */
  interrupt(atMs: number): void {
    this.#drain = null;
    this.#owedKbit = null;
    this.#phase = "hold";
    this.#vainCuts = 0;
    this.#steering.reset();
    this.#probeNotBeforeMs = atMs + this.#pauseMs(LOOK_MS_MIN);
  }

  view(): DirectionView {
    const { lineKbit, backlogBytes } = this.traffic;
    return {
      phase: this.#phase,
      rateKbit: this.#rateKbit,
      lineKbit: lineKbit === null ? null : Math.round(lineKbit),
      capacityKbit: this.#capacityKbit === null ? null : Math.round(this.#capacityKbit),
      loadPercent: lineKbit === null ? null : Math.round((100 * lineKbit) / this.#rateKbit),
      backlogBytes,
    };
  }

  #prove(facts: DelayFacts): void {
    const { atMs, deltaMs, risenSinceMs } = facts;
    if (deltaMs === null || risenSinceMs !== null) return;
    const heldMs = atMs - this.#rateSinceMs;
    if (heldMs >= STABLE_MS && this.#drain === null) this.#stableKbit = this.#rateKbit;
    if (heldMs < PROVEN_MS || !this.saturated) return;
    this.#provenKbit = Math.max(this.#provenKbit, this.#rateKbit);
    if (heldMs >= GOOD_MS + GOOD_LOOKS * facts.lookMs) {
      this.#goodKbit = Math.max(this.#goodKbit, this.#rateKbit);
    }
    this.#vainCuts = 0;
  }

  #cut(facts: DelayFacts): Move | null {
    const { atMs, deltaMs, baselineMs } = facts;
    if (deltaMs === null || this.traffic.lineKbit === null) return null;
    if (!this.limiter.open(atMs)) return null;
    const capacityKbit = this.#estimate(facts);
    if (capacityKbit === null) return null;
    this.#owedKbit = null;
    const undershoot = undershootFor(deltaMs);
    const seenMs = atMs + baselineMs + EFFECT_MS + Math.max(facts.lookMs - LOOK_MS_MIN, 0);
    const expectedMs = Math.min(Math.max(JUDGED_MS, 0.3 * deltaMs), deltaMs);
    const cause = this.#drain?.cause ?? (this.exploring ? "probe-end" : "bloat");
    this.#drain = {
      cause,
      cuts: (this.#drain?.cuts ?? 0) + 1,
      fromKbit: this.#drain?.fromKbit ?? (this.exploring ? this.#probeFromKbit : this.#rateKbit),
      capacityKbit: this.#drain?.capacityKbit ?? this.#capacityKbit,
      volatility: this.#drain?.volatility ?? this.#volatility.value ?? 0,
      startMs: atMs,
      deltaMs,
      judgeMs: seenMs + expectedMs / undershoot,
      judgedDeltaMs: deltaMs - EFFECT_SHARE * expectedMs,
      deadlineMs: seenMs + (1.3 * deltaMs) / undershoot,
    };
    const surelyKbit = this.#surelyKbit(capacityKbit);
    const keptKbit = facts.severe ? 0 : GOOD_KEPT_SHARE * this.#goodKbit;
    this.#goodKbit = Math.min(this.#goodKbit, Math.max(capacityKbit, keptKbit));
    this.#meet(atMs, capacityKbit);
    this.#phase = "drain";
    this.#steering.reset();
    const wantedKbit = Math.min(surelyKbit, this.#rateKbit) * (1 - undershoot);
    return this.#move("lower", cause, wantedKbit);
  }

  /** What the line carries, from what it did while its queue grew. */
  #estimate(facts: DelayFacts): number | null {
    const { atMs, risenSinceMs } = facts;
    const sinceMs = Math.max(risenSinceMs ?? atMs - 300, atMs - 500, this.#rateSinceMs + 50);
    const lineKbit = this.traffic.rateSince(Math.min(sinceMs, atMs - 90));
    if (lineKbit === null) return null;
    const upload = this.direction === "upload";
    const seenKbit = upload ? uploadCapacity(lineKbit, this.saturated, facts) : lineKbit;
    // What was proven before a probe is not less for the probe's delay.
    return this.exploring && !facts.severe ? Math.max(seenKbit, this.#provenKbit) : seenKbit;
  }

  /** A rate at which the queue empties: an upload's capacity is guessed, what was proven is not. */
  #surelyKbit(capacityKbit: number): number {
    const guessed = this.direction === "upload" && this.exploring && this.#provenKbit > 0;
    return guessed ? Math.min(capacityKbit, this.#provenKbit) : capacityKbit;
  }

  #meet(atMs: number, capacityKbit: number): void {
    const metKbit = clamp(capacityKbit, this.#bounds.minKbit, this.#bounds.maxKbit);
    this.#volatility.add(Math.abs(Math.log(metKbit / (this.#capacityKbit ?? metKbit))));
    this.#capacityKbit = metKbit;
    this.#capacityAtMs = atMs;
    this.#provenKbit = Math.min(this.#provenKbit, metKbit);
  }

  #whileDraining(facts: DelayFacts, drain: Drain, charge: Charge): Move | null {
    const { atMs, deltaMs } = facts;
    if (deltaMs === null) return null;
    if (deltaMs <= facts.setPointMs / 2) return this.#settle(facts, drain);
    if (atMs < drain.judgeMs) return null;
    if (this.#stillDrains(facts, drain)) return null;
    const leastMs = facts.deltas.least(atMs - facts.lookMs) ?? deltaMs;
    if (charge.guilty && leastMs > drain.judgedDeltaMs) {
      // A rate that holds nothing back was not low enough to show anything.
      const again = !this.#bites && !(charge.alternative && drain.cuts > 1);
      return again ? this.#cut(facts) : this.#vain(facts, drain, charge);
    }
    if (atMs < drain.deadlineMs) return null;
    return charge.guilty ? this.#cut(facts) : this.#settle(facts, drain);
  }

  /** More arrives than we let through: the line's queue still empties, or the senders have not heard of it. */
  #stillDrains({ atMs, lookMs }: DelayFacts, drain: Drain): boolean {
    if (this.direction === "upload" || atMs >= drain.judgeMs + DRAINS_MS_MAX) return false;
    const arrivesKbit = this.traffic.rateSince(atMs - 150 - lookMs) ?? 0;
    return arrivesKbit > DRAINS_SHARE * this.#rateKbit;
  }

  get #bites(): boolean {
    return this.traffic.queued || (this.traffic.lineKbit ?? 0) >= BITING_SHARE * this.#rateKbit;
  }

  /** The last cut had no effect: cut deeper, or let go of it when another suspect is there or enough was tried. */
  #vain(facts: DelayFacts, drain: Drain, { alternative }: Charge): Move | null {
    if (!this.limiter.open(facts.atMs)) return null;
    if (!alternative && this.#vainCuts < VAIN_CUTS_MAX - 1) {
      this.#vainCuts += 1;
      return this.#cut(facts);
    }
    return this.#acquit(facts, drain);
  }

  /** The queue is empty: just below what the line carried meanwhile. */
  #settle(facts: DelayFacts, drain: Drain): Move | null {
    const { atMs, baselineMs } = facts;
    if (!this.limiter.open(atMs)) return null;
    const busySinceMs = drain.startMs + baselineMs / 2;
    if (this.direction === "download" && atMs - busySinceMs >= 200) {
      const carriedKbit = this.traffic.rateSince(busySinceMs, atMs - baselineMs / 2);
      // While its queue lasted the line was busy; what it carried is what it can.
      // No more than our own rate tells nothing of the line after a probe that began from a good rate.
      const ownRate = (carriedKbit ?? 0) <= OWN_RATE_SHARE * this.#rateKbit;
      if (carriedKbit !== null && !(ownRate && drain.cause === "probe-end")) {
        this.#meet(atMs, Math.max(carriedKbit, this.#rateKbit));
      }
    }
    this.#adaptMargin(drain);
    if (drain.cause === "bloat") {
      this.#guilt = this.guilt(atMs) + 1;
      this.#guiltAtMs = atMs;
    }
    this.#drain = null;
    this.#phase = "hold";
    this.#vainCuts = 0;
    this.#probeNotBeforeMs = atMs + this.#pauseMs(facts.lookMs);
    return this.#move(
      "settle",
      "drained",
      (1 - this.#margin) * (this.#capacityKbit ?? this.#rateKbit),
    );
  }

  #adaptMargin({ cause, capacityKbit }: Drain): void {
    const sameLine = (this.#capacityKbit ?? 0) >= SAME_CAPACITY_SHARE * (capacityKbit ?? 0);
    if (cause === "bloat" && !sameLine) return;
    const factor = cause === "bloat" ? MARGIN_GROWTH : MARGIN_DECAY;
    this.#margin = clamp(factor * this.#margin, MARGIN_MIN, MARGIN_MAX);
  }

  /** The cuts changed nothing, so this direction was not at fault: back to where it was. */
  #acquit(facts: DelayFacts, drain: Drain): Move | null {
    const { atMs } = facts;
    this.#acquittedAtMs = atMs;
    this.#capacityKbit = drain.capacityKbit ?? drain.fromKbit;
    this.#capacityAtMs = atMs;
    this.#volatility.shift(drain.volatility - (this.#volatility.value ?? 0));
    this.#drain = null;
    this.#phase = "hold";
    this.#vainCuts = 0;
    this.#probeNotBeforeMs = atMs + this.#pauseMs(facts.lookMs);
    return this.#giveBack(atMs, drain.fromKbit);
  }

  /** One step up to what was taken without effect, as soon as one may be made. */
  #giveBack(atMs: number, owedKbit: number): Move | null {
    this.#owedKbit = owedKbit;
    if (!this.limiter.open(atMs)) return null;
    const move = this.#move("restore", "no-effect", owedKbit);
    // Where the capacity is another each time, what it was says little of what it is.
    const isSure = this.#restlessness < 1;
    if (move === null || move.toKbit >= owedKbit || !isSure) this.#owedKbit = null;
    return move;
  }

  /** In full use: up to what is known at once, beyond it by steering, when it is its turn. */
  #climb(facts: DelayFacts, mayProbe: boolean): Move | null {
    const { atMs, deltaMs } = facts;
    this.#idleSinceMs = null;
    if (this.#phase === "idle") this.#phase = "hold";
    if (deltaMs === null || !facts.calm || !this.limiter.open(atMs)) return null;
    const knownKbit = this.#knownKbit(facts);
    const known = this.#move("raise", "known-capacity", knownKbit);
    // An upload's is a guess: not while the other direction looks for more, or neither could be told from the other.
    const isSure = this.direction === "download" || mayProbe;
    if (isSure && known !== null && known.toKbit > this.#rateKbit) return known;
    if (!mayProbe || atMs < this.#probeNotBeforeMs) return null;
    if (atMs - this.#rateSinceMs < facts.baselineMs + PROBE_STEP_MS + facts.lookMs) return null;
    const nearKnown = this.#rateKbit < NEAR_KNOWN_SHARE * knownKbit;
    const steeredShare = this.#steering.step(facts, nearKnown, this.#restlessness);
    // The queue it may make before it can be seen.
    const stepShare = Math.min(steeredShare, (STEP_SET_POINTS * facts.setPointMs) / facts.lookMs);
    if (stepShare <= 0) return null;
    if (this.#phase !== "probe")
      this.#beginProbe(facts.deltas.mean(atMs - facts.lookMs) ?? deltaMs);
    return this.#move("raise", "probe-up", this.#rateKbit * (1 + stepShare));
  }

  #beginProbe(deltaMs: number): void {
    this.#phase = "probe";
    this.#probeDeltaMs = deltaMs;
    this.#probeFromKbit = this.#rateKbit;
  }

  /** 0: the capacity stays as it is; 1: it is another each time. An upload's is too uncertain to say. */
  get #restlessness(): number {
    if (this.direction === "upload") return 0;
    return Math.min((this.#volatility.value ?? 0) / VOLATILE, 1);
  }

  #pauseMs(lookMs: number): number {
    return (
      (PROBE_PAUSE_MS + PROBE_PAUSE_LOOKS * Math.max(lookMs - LOOK_MS_MIN, 0)) *
      Math.max(1 - this.#restlessness, PROBE_PAUSE_SHARE_MIN)
    );
  }

  #knownKbit({ atMs, lookMs }: DelayFacts): number {
    if (this.#capacityKbit === null || atMs - this.#capacityAtMs > KNOWN_MS) return 0;
    const marginShare = Math.min(KNOWN_MARGIN_SHARE + lookMs / KNOWN_MARGIN_LOOK_MS, 1);
    const metKbit = (1 - marginShare * this.#margin) * this.#capacityKbit;
    return Math.max(metKbit, (1 - this.#margin) * this.#goodKbit);
  }

  /** Not in full use: never up for that, and back to the base when it lasts. */
  #rest(atMs: number): Move | null {
    const { baseKbit } = this.#bounds;
    if (this.#phase === "probe" && atMs - this.#rateSinceMs > PROBE_LULL_MS) this.#phase = "hold";
    if ((this.traffic.lineKbit ?? 0) > IDLE_SHARE * this.#rateKbit) {
      this.#idleSinceMs = null;
      return null;
    }
    this.#idleSinceMs ??= atMs;
    if (atMs - this.#idleSinceMs < IDLE_AFTER_MS) return null;
    this.#phase = "idle";
    this.#steering.reset();
    if (atMs - this.#idleStepMs < IDLE_STEP_MS || !this.limiter.open(atMs)) return null;
    if (this.#rateKbit === baseKbit) return null;
    this.#idleStepMs = atMs;
    const stepKbit = IDLE_STEP_SHARE * this.#rateKbit;
    const wantedKbit = clamp(baseKbit, this.#rateKbit - stepKbit, this.#rateKbit + stepKbit);
    const toKbit = this.limiter.bound(this.#rateKbit, wantedKbit);
    return { kind: "settle", cause: "idle-return", toKbit };
  }

  #move(kind: DecisionKind, cause: string, wantedKbit: number): Move | null {
    const toKbit = this.limiter.bound(this.#rateKbit, wantedKbit);
    if (Math.abs(toKbit - this.#rateKbit) < CHANGE_SHARE_MIN * this.#rateKbit) return null;
    return { kind, toKbit, cause };
  }
}

/**
 * Behind the modem we see only the delay: it grows by what was sent beyond the capacity. Once the
 * senders wait for it, they send what it carries.
 * @param pushing more than the rate would be sent if it could
 */
function uploadCapacity(lineKbit: number, pushing: boolean, facts: DelayFacts): number {
  const { slope } = facts;
  if ((facts.deltaMs ?? 0) > FULL_QUEUE_MS && slope < 0.05) return FULL_QUEUE_SHARE * lineKbit;
  return pushing ? lineKbit / (1 + Math.max(slope, 0.02)) : lineKbit;
}

function undershootFor(deltaMs: number): number {
  const max = deltaMs > DEEP_QUEUE_MS ? UNDERSHOOT_DEEP : UNDERSHOOT_MAX;
  return clamp(deltaMs / DRAIN_MS, UNDERSHOOT_MIN, max);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
