// How often, and how far at once, one direction's rate may change.

import { assert } from "../../kernel/assert.ts";
import type { BandwidthSettings, FlowSettings } from "../../schema/flow-settings.ts";

export type StepSettings = Pick<
  FlowSettings,
  "rho" | "tauSeconds" | "stepUpPercent" | "stepDownPercent"
>;

/** The window in which `rho` changes are counted. */
const WINDOW_MS = 1_000;

export class ChangeLimiter {
  #settings: StepSettings;
  #bounds: BandwidthSettings;
  /** When the last `rho` changes were made, oldest first from `#next`. */
  #changesMs: Float64Array;
  #next = 0;

  constructor(settings: StepSettings, bounds: BandwidthSettings) {
    this.#settings = settings;
    this.#bounds = bounds;
    this.#changesMs = new Float64Array(settings.rho).fill(Number.NEGATIVE_INFINITY);
  }

  /** Takes other settings; changes made just before them still count. */
  reconfigure(settings: StepSettings, bounds: BandwidthSettings): void {
    const lastMs = this.#lastMs;
    this.#settings = settings;
    this.#bounds = bounds;
    this.#changesMs = new Float64Array(settings.rho).fill(lastMs);
    this.#next = 0;
  }

  /** Whether a change may be made at `nowMs`. */
  open(nowMs: number): boolean {
    const { tauSeconds } = this.#settings;
    if (nowMs - this.#lastMs < tauSeconds * 1_000) return false;
    return nowMs - this.#changesMs[this.#next]! >= WINDOW_MS;
  }

  /** The rate nearest to `toKbit` that one change from `fromKbit` may reach; min and max come first. */
  bound(fromKbit: number, toKbit: number): number {
    assert(Number.isFinite(fromKbit) && Number.isFinite(toKbit), "a rate is a number");
    const { stepUpPercent, stepDownPercent } = this.#settings;
    const { minKbit, maxKbit } = this.#bounds;
    const highest = Math.floor(fromKbit * (1 + stepUpPercent / 100));
    const lowest = Math.ceil(fromKbit * (1 - stepDownPercent / 100));
    return clamp(clamp(Math.round(toKbit), lowest, highest), minKbit, maxKbit);
  }

  /** Counts a change made at `nowMs`. */
  count(nowMs: number): void {
    this.#changesMs[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#changesMs.length;
  }

  get #lastMs(): number {
    const { length } = this.#changesMs;
    return this.#changesMs[(this.#next - 1 + length) % length]!;
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
