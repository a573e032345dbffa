// Turns probes at intervals into what they mean: well, not well, or past hope.

import type { HealthCheck } from "../schema/service.ts";
import type { OnProbed } from "./health-probe.ts";

/** Failures in a row after which an instance is unhealthy, and after which it is started again. */
export const UNHEALTHY_AFTER_FAILURES = 3;
export const RESTART_AFTER_FAILURES = 6;

/** How often an instance that is not up yet is probed, when its interval is longer. */
const STARTING_INTERVAL_MS = 250;

export type HealthVerdict = "healthy" | "unhealthy" | "restart";

/** A verdict whenever there is a new one to give. */
export type OnVerdict = (verdict: HealthVerdict, detail: string) => void;

/** Counts a check's results. Pure: the caller holds the clock. */
export class HealthTally {
  readonly #graceMs: number;
  #failureCount = 0;
  #wasWell = false;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** Whether a probe has ever found the instance well. */
  get wasWell(): boolean {
    return this.#wasWell;
  }

  /**
   * @param sinceStartMs when the probe ended, counted from the instance's start
   * @returns the verdict this result brings, or null when it changes nothing
   */
  count(well: boolean, sinceStartMs: number): HealthVerdict | null {
    if (well) {
      this.#failureCount = 0;
      this.#wasWell = true;
      return "healthy";
    }
    if (sinceStartMs < this.#graceMs) return null;
    this.#failureCount += 1;
    if (this.#failureCount >= RESTART_AFTER_FAILURES) return "restart";
    return this.#failureCount >= UNHEALTHY_AFTER_FAILURES ? "unhealthy" : null;
  }
}

/** Probes one running instance until it is stopped. */
export class HealthMonitor {
  readonly #check: HealthCheck;
  readonly #probe: (onProbed: OnProbed) => () => void;
  readonly #onVerdict: OnVerdict;
  readonly #tally: HealthTally;
  readonly #startMs = performance.now();
  #cancel: () => void = () => {};

  /** @param probe starts one probe and returns what calls it off */
  constructor(check: HealthCheck, probe: (onProbed: OnProbed) => () => void, onVerdict: OnVerdict) {
    this.#check = check;
    this.#probe = probe;
    this.#onVerdict = onVerdict;
    this.#tally = new HealthTally(check.graceMs);
    this.#probeAfter(0);
  }

  stop(): void {
    this.#cancel();
  }

  #probeAfter(delayMs: number): void {
    const timer = setTimeout(() => {
      this.#cancel = this.#probe((problem) => this.#take(problem));
    }, delayMs);
    this.#cancel = () => clearTimeout(timer);
  }

  #take(problem: string | null): void {
    const { intervalMs } = this.#check;
    const verdict = this.#tally.count(problem === null, performance.now() - this.#startMs);
    this.#probeAfter(this.#tally.wasWell ? intervalMs : Math.min(intervalMs, STARTING_INTERVAL_MS));
    // Last, since the verdict may stop this monitor.
    if (verdict !== null) this.#onVerdict(verdict, problem ?? "");
  }
}
