// What the reflectors say of the line: a baseline for each reflector and tin, and one robust figure
// of how far RTT is above them, which a single bad reflector cannot move.

import { assert } from "../../kernel/assert.ts";
import { Ewma } from "../../kernel/ewma.ts";
import { KOfM } from "../../kernel/k-of-m.ts";
import { PROBE_SLOTS_MAX } from "../../kernel/limits.ts";
import type { ProbeLoss, ProbeReply, Tin } from "../interface.ts";
import type { ReflectorView } from "./view.ts";

/** An answer speaks for the line this long. */
const FRESH_MS = 350;
/** A lower RTT is believed at once, nearly: nothing but the path can make it. */
const ALPHA_DOWN = 0.5;
/** Under load a higher RTT is a queue until shown otherwise: some minutes to learn it. */
const ALPHA_UP_LOADED = 0.0003;
/** Without load there is no queue of ours: a few seconds. */
const ALPHA_UP_CALM = 0.03;
/** RFC 3550, section 6.4.1. */
const JITTER_SHARE = 1 / 16;
/** This many offences of the last so many probes, and another reflector takes its place. */
const OFFENCES = 20;
const OFFENCE_PROBES = 60;
/** A reflector is asked about again after this long. */
const ROTATE_EVERY_MS = 30_000;
/** Weight of one gap between answers, and what an outage counts for at most. */
const GAP_SHARE = 0.2;
const GAP_MS_MAX = 2_000;
/** A delta this far above the others' is the reflector's own trouble. */
const FAR_OFF_MS = 25;

interface Slot {
  readonly reflector: string;
  readonly tin: Tin;
  readonly baseline: Ewma;
  readonly offences: KOfM;
  lastRttMs: number;
  deltaMs: number;
  jitterMs: number;
  heardMs: number;
  rotatedMs: number;
}

/** Bounded by `PROBE_SLOTS_MAX`; the longest silent one makes room. */
export class ReflectorTable {
  readonly #slots: Slot[] = [];
  readonly #deltas = new Float64Array(PROBE_SLOTS_MAX);
  readonly #gap = new Ewma(GAP_SHARE);
  #heardMs = Number.NEGATIVE_INFINITY;

  /** Usual time between two answers of any reflector. */
  get gapMs(): number {
    return this.#gap.value ?? 0;
  }

  /** When any reflector last answered; minus infinity: never. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** @param calm whether the line carries too little for a queue of ours */
  reply(reply: ProbeReply, calm: boolean): void {
    if (!(reply.rttMs >= 0) || !Number.isFinite(reply.rttMs)) return;
    const slot = this.#slotOf(reply.reflector, reply.tin) ?? this.#open(reply);
    const first = slot.baseline.value === null;
    const baselineMs = slot.baseline.add(reply.rttMs, calm ? ALPHA_UP_CALM : ALPHA_UP_LOADED);
    slot.deltaMs = reply.rttMs - baselineMs;
    if (!first) {
      slot.jitterMs += (Math.abs(reply.rttMs - slot.lastRttMs) - slot.jitterMs) * JITTER_SHARE;
    }
    slot.lastRttMs = reply.rttMs;
    slot.heardMs = reply.atMs;
    if (reply.atMs <= this.#heardMs) return;
    if (!first) this.#gap.add(Math.min(reply.atMs - this.#heardMs, GAP_MS_MAX));
    this.#heardMs = reply.atMs;
  }

  /** A probe without answer: an offence where others did answer. */
  loss(loss: ProbeLoss): void {
    const othersAnswered = loss.atMs - this.#heardMs < FRESH_MS;
    if (othersAnswered) this.#slotOf(loss.reflector, loss.tin)?.offences.vote(true);
  }

  /**
   * RTT above the baseline as the lower median of the reflectors heard of late: with three, one may
   * lie; with two, the better one speaks. Null: none was heard.
   */
  deltaMs(nowMs: number): number | null {
    let count = 0;
    for (const slot of this.#slots) {
      if (nowMs - slot.heardMs > FRESH_MS) continue;
      insertSorted(this.#deltas, count, slot.deltaMs);
      count += 1;
    }
    return count === 0 ? null : this.#deltas[(count - 1) >> 1]!;
  }

  /** Median of the baselines heard of late; null: none. */
  baselineMs(nowMs: number): number | null {
    let count = 0;
    for (const slot of this.#slots) {
      if (nowMs - slot.heardMs > FRESH_MS) continue;
      insertSorted(this.#deltas, count, slot.baseline.value ?? 0);
      count += 1;
    }
    return count === 0 ? null : this.#deltas[(count - 1) >> 1]!;
  }

  /** Counts who is far off the others, and tells one that should be left for another. */
  judge(nowMs: number, deltaMs: number): string | null {
    let worst: Slot | null = null;
    for (const slot of this.#slots) {
      if (nowMs - slot.heardMs > FRESH_MS) continue;
      slot.offences.vote(slot.deltaMs > deltaMs + FAR_OFF_MS);
      if (!slot.offences.carried || nowMs - slot.rotatedMs < ROTATE_EVERY_MS) continue;
      if (worst === null || slot.offences.count > worst.offences.count) worst = slot;
    }
    if (worst === null) return null;
    worst.rotatedMs = nowMs;
    worst.offences.clear();
    return worst.reflector;
  }

  /** Takes the path as longer by `byMs` for good. */
  rebase(byMs: number): void {
    for (const slot of this.#slots) {
      slot.baseline.shift(byMs);
      slot.deltaMs -= byMs;
    }
  }

  views(): ReflectorView[] {
    return this.#slots.map((slot) => ({
      reflector: slot.reflector,
      tin: slot.tin,
      baselineMs: round(slot.baseline.value ?? 0),
      deltaMs: round(slot.deltaMs),
      jitterMs: round(slot.jitterMs),
      offences: slot.offences.count,
    }));
  }

  #slotOf(reflector: string, tin: Tin): Slot | undefined {
    for (const slot of this.#slots) {
      if (slot.reflector === reflector && slot.tin === tin) return slot;
    }
    return undefined;
  }

  #open(reply: ProbeReply): Slot {
    if (this.#slots.length === PROBE_SLOTS_MAX) this.#forgetSilent();
    const slot: Slot = {
      reflector: reply.reflector,
      tin: reply.tin,
      baseline: new Ewma(ALPHA_UP_LOADED, ALPHA_DOWN),
      offences: new KOfM(OFFENCES, OFFENCE_PROBES),
      lastRttMs: reply.rttMs,
      deltaMs: 0,
      jitterMs: 0,
      heardMs: reply.atMs,
      rotatedMs: Number.NEGATIVE_INFINITY,
    };
    this.#slots.push(slot);
    return slot;
  }

  #forgetSilent(): void {
    let silent = 0;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.heardMs < this.#slots[silent]!.heardMs) silent = index;
    }
    this.#slots.splice(silent, 1);
  }
}

function insertSorted(values: Float64Array, count: number, value: number): void {
  assert(count < values.length, "there is room for every slot");
  let index = count;
  for (; index > 0 && values[index - 1]! > value; index -= 1) values[index] = values[index - 1]!;
  values[index] = value;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
