// The delay as the loop judges it: robust over reflectors, risen or not by k of m, with its noise
// and its slope.

import { Ewma } from "../../kernel/ewma.ts";
import { KOfM } from "../../kernel/k-of-m.ts";
import type { FlowSettings } from "../../schema/flow-settings.ts";
import type { FlowSample } from "../interface.ts";
import { History } from "./history.ts";
import { ReflectorTable } from "./reflectors.ts";

/** What a tick says of the delay; the same for both directions. */
export interface DelayFacts {
  readonly atMs: number;
  /** RTT increase by queues that is steered to. */
  readonly setPointMs: number;
  /** Robust RTT increase, less what packets in its way explain; null: no fresh answer, so nothing is known. */
  readonly deltaMs: number | null;
  /** Since when the delay has been above the set-point, in the current spell; null: it is not. */
  readonly risenSinceMs: number | null;
  /** Whether the last answers were well below the set-point: room for more. */
  readonly calm: boolean;
  /** Whether it has risen by k of m, or steeply. */
  readonly bloated: boolean;
  /** So much, or growing so fast, that even a proven rate is too high now. */
  readonly severe: boolean;
  /** Growth of the delay over the last moments, ms a ms: a fluid queue's overload. */
  readonly slope: number;
  /** Votes for bloat, of the last m. */
  readonly votes: number;
  readonly baselineMs: number;
  /** How much the robust delay differs from one tick to the next while nothing happens. */
  readonly noiseMs: number;
  /** How long one has to look to tell a queue from the packets that happen to be in a probe's way. */
  readonly lookMs: number;
  readonly deltas: History;
}

export type DelaySettings = Pick<FlowSettings, "delaySetPointMs" | "k" | "m">;

/** Over which the slope is taken. */
const SLOPE_MS = 350;
const SLOPE_PACKETS = 30;
const SLOPE_MS_MORE_MAX = 1_200;
/**
 * What a probe finds in its way differs by that much again from one to the next. Without it a slow
 * rate would be cut for its own long packets, and cut more the slower it gets.
 */
const NOISE_PACKETS = 0.6;
/** The newest tick, and more where a packet is long. */
const LOOK_MS = 50;
const LOOK_PACKETS = 20;
const LOOK_MS_MAX = 800;
/** A delay of so many set-points that still rises needs fewer votes. */
const STEEP_SET_POINTS = 3;
const STEEP_SLOPE = 0.1;
const SEVERE_SET_POINTS = 2.5;
const STEEP_VOTES = 2;
/** So many ticks in a row below this share of the set-point are calm. */
const CALM_TICKS = 2;
const CALM_SHARE = 0.7;
/** Weight of a tick in the delay's noise. */
const NOISE_SHARE = 0.02;
/** Assumed before the first answer. */
const BASELINE_MS = 50;

export class DelaySense {
  readonly reflectors = new ReflectorTable();
  readonly #deltas = new History();
  readonly #noise = new Ewma(NOISE_SHARE);
  #settings: DelaySettings;
  #votes: KOfM;
  #packetMs = 0;
  #calmTicks = 0;
  #deltaMs: number | null = null;
  #risenSinceMs: number | null = null;
  #baselineMs = BASELINE_MS;

  constructor(settings: DelaySettings) {
    this.#settings = settings;
    this.#votes = new KOfM(settings.k, settings.m);
  }

  /** What of the delta is a queue's. */
  get #queueMs(): number | null {
    return this.#deltaMs === null ? null : this.#deltaMs - this.#packetMs;
  }

  /** Above it the delay is too high: more than what is steered to where packets are long. */
  get #boundMs(): number {
    return this.#settings.delaySetPointMs + NOISE_PACKETS * this.#packetMs;
  }

  /** Robust RTT increase as measured. */
  get deltaMs(): number | null {
    return this.#deltaMs;
  }

  reconfigure(settings: DelaySettings): void {
    this.#settings = settings;
    this.#votes = new KOfM(settings.k, settings.m);
  }

  /** Forgets the present spell, as after an outage; baselines stay. */
  interrupt(): void {
    this.#votes.clear();
    this.#deltas.clear();
    this.#calmTicks = 0;
    this.#risenSinceMs = null;
  }

  /**
   * @param calm whether the line carries too little for a queue of ours
   * @param packetMs how long a probe waits for packets that are being sent, both directions together
   */
  sample(sample: FlowSample, calm: boolean, packetMs: number): DelayFacts {
    this.#packetMs = packetMs;
    for (const reply of sample.replies) this.reflectors.reply(reply, calm);
    for (const loss of sample.losses) this.reflectors.loss(loss);
    this.#deltaMs = this.reflectors.deltaMs(sample.atMs);
    this.#baselineMs = this.reflectors.baselineMs(sample.atMs) ?? this.#baselineMs;
    // Only what is new is a sample: an old answer is not counted twice.
    if (this.#queueMs !== null && sample.replies.length > 0) {
      this.#judge(sample.atMs, this.#queueMs);
    }
    return this.#facts(sample.atMs);
  }

  #judge(atMs: number, deltaMs: number): void {
    const beforeMs = this.#deltas.last;
    this.#deltas.add(atMs, deltaMs);
    const high = deltaMs > this.#boundMs;
    this.#votes.vote(high);
    this.#calmTicks =
      deltaMs <= CALM_SHARE * this.#settings.delaySetPointMs ? this.#calmTicks + 1 : 0;
    if (high) this.#risenSinceMs ??= atMs;
    else if (this.#votes.count === 0) this.#risenSinceMs = null;
    if (!high && beforeMs !== null) this.#noise.add(Math.abs(deltaMs - beforeMs));
  }

  #facts(atMs: number): DelayFacts {
    // Where a packet is long, the probes' noise is too: it takes a longer look.
    const slopeMs = SLOPE_MS + Math.min(SLOPE_PACKETS * this.#packetMs, SLOPE_MS_MORE_MAX);
    const slope = this.#deltas.slope(atMs - slopeMs) ?? 0;
    const setPointMs = this.#settings.delaySetPointMs;
    return {
      atMs,
      setPointMs,
      deltaMs: this.#queueMs,
      risenSinceMs: this.#risenSinceMs,
      calm: this.#calmTicks >= CALM_TICKS,
      bloated: this.#bloated(slope),
      severe: (this.#queueMs ?? 0) > SEVERE_SET_POINTS * this.#boundMs || slope > STEEP_SLOPE,
      slope,
      votes: this.#votes.count,
      baselineMs: this.#baselineMs,
      noiseMs: this.#noise.value ?? 0,
      lookMs: Math.min(LOOK_MS + LOOK_PACKETS * this.#packetMs, LOOK_MS_MAX),
      deltas: this.#deltas,
    };
  }

  #bloated(slope: number): boolean {
    const boundMs = this.#boundMs;
    const queueMs = this.#queueMs;
    if (queueMs === null || queueMs <= boundMs) return false;
    if (this.#votes.carried) return true;
    const steep = queueMs > STEEP_SET_POINTS * boundMs && slope > STEEP_SLOPE;
    return steep && this.#votes.count >= STEEP_VOTES;
  }
}
