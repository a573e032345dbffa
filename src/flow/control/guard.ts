// When the loop must not steer: the line is out, the probes are dead, the qdiscs are not ours, changes
// fail, or the daemon itself costs too much. Congestion is none of these.

import { FLOW_RESIDENT_BYTES_MAX } from "../../kernel/limits.ts";
import type { FlowSettings } from "../../schema/flow-settings.ts";
import type { LinkState } from "../interface.ts";

/** Why the loop is frozen; several may hold at a time, the first of this list is told. */
export const FREEZE_CAUSES = [
  "link-gone",
  "link-down",
  "qdisc-replaced",
  "change-failed",
  "outage",
  "pinger-dead",
  "probes-unanswered",
  "cpu",
  "memory",
] as const;
export type FreezeCause = (typeof FREEZE_CAUSES)[number];

/** No answer and no traffic for so long, or for several usual gaps between answers: the line is out. */
const OUTAGE_AFTER_MS = 1_000;
const OUTAGE_AFTER_GAPS = 5;
/** Downloads below this are nothing: stray packets of the access network. */
const OUTAGE_KBIT = 20;
/** No answer for so long though traffic flows: the probes are in trouble. */
const UNANSWERED_AFTER_MS = 2_500;
/** So long after that the pinger is started again, and again. */
const PINGER_RESTART_AFTER_MS = 5_000;
const PINGER_RESTART_EVERY_MS = 30_000;
/** Reports of too much processor, or of little, in a row before the pace changes. */
const CPU_STRIKES = 3;
const CPU_CALM_REPORTS = 5;
const CPU_CALM_SHARE = 0.7;
const PACE_HZ_MIN = 2;
const MEMORY_CALM_SHARE = 0.9;

export type PaceSettings = Pick<FlowSettings, "sampleHz" | "maxCpuPercent">;

/** When any reflector last answered, and how often one usually does. */
export interface Heard {
  readonly heardMs: number;
  readonly gapMs: number;
}

export class Guard {
  readonly #causes = new Set<FreezeCause>();
  #sinceMs = 0;
  /** Since when answers are expected. */
  #watchedMs: number | null = null;
  #pingerRestartMs = Number.NEGATIVE_INFINITY;
  #cpuStrikes = 0;
  #cpuCalm = 0;
  /** How often the sampling has been halved. */
  #halvings = 0;

  /** The gravest cause that holds; null: the loop may steer. */
  get frozenBecause(): FreezeCause | null {
    return FREEZE_CAUSES.find((cause) => this.#causes.has(cause)) ?? null;
  }

  /** Since when it is frozen. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Whether the qdiscs are there and ours, so that a change can be asked for. */
  get canAct(): boolean {
    const causes = this.#causes;
    return !causes.has("link-gone") && !causes.has("link-down") && !causes.has("qdisc-replaced");
  }

  set(cause: FreezeCause, holds: boolean, atMs: number): void {
    if (!holds) {
      this.#causes.delete(cause);
      return;
    }
    if (this.#causes.size === 0) this.#sinceMs = atMs;
    this.#causes.add(cause);
  }

  link(state: LinkState, atMs: number): void {
    this.set("link-gone", state === "gone", atMs);
    this.set("link-down", state === "down", atMs);
    this.set("qdisc-replaced", state === "replaced", atMs);
  }

  /** Looks for an outage, and for probes that nobody answers. */
  watch(atMs: number, { heardMs, gapMs }: Heard, downloadKbit: number | null): void {
    this.#watchedMs ??= atMs;
    const silentMs = atMs - Math.max(heardMs, this.#watchedMs);
    const quiet = downloadKbit !== null && downloadKbit < OUTAGE_KBIT;
    if (silentMs < Math.max(OUTAGE_AFTER_MS, OUTAGE_AFTER_GAPS * gapMs)) {
      this.set("outage", false, atMs);
      this.set("probes-unanswered", false, atMs);
    } else if (quiet) {
      this.set("outage", true, atMs);
    } else if (silentMs >= UNANSWERED_AFTER_MS && downloadKbit !== null) {
      this.set("outage", false, atMs);
      this.set("probes-unanswered", true, atMs);
    }
  }

  /** Whether the pinger should be started again now. */
  wantsPinger(atMs: number): boolean {
    if (!this.#causes.has("probes-unanswered")) return false;
    if (atMs - this.#sinceMs < PINGER_RESTART_AFTER_MS) return false;
    if (atMs - this.#pingerRestartMs < PINGER_RESTART_EVERY_MS) return false;
    this.#pingerRestartMs = atMs;
    return true;
  }

  /** First the sampling slows, then the loop freezes; both end when the cost has fallen. */
  usage(cpuPercent: number, residentBytes: number, settings: PaceSettings, atMs: number): void {
    if (residentBytes > FLOW_RESIDENT_BYTES_MAX) this.set("memory", true, atMs);
    else if (residentBytes < MEMORY_CALM_SHARE * FLOW_RESIDENT_BYTES_MAX) {
      this.set("memory", false, atMs);
    }
    const { maxCpuPercent } = settings;
    this.#cpuStrikes = cpuPercent > maxCpuPercent ? this.#cpuStrikes + 1 : 0;
    this.#cpuCalm = cpuPercent < CPU_CALM_SHARE * maxCpuPercent ? this.#cpuCalm + 1 : 0;
    if (this.#cpuStrikes >= CPU_STRIKES) {
      this.#cpuStrikes = 0;
      if (this.pace(settings) > PACE_HZ_MIN) this.#halvings += 1;
      else this.set("cpu", true, atMs);
    } else if (this.#cpuCalm >= CPU_CALM_REPORTS) {
      this.#cpuCalm = 0;
      this.#halvings = Math.max(this.#halvings - 1, 0);
      this.set("cpu", false, atMs);
    }
  }

  /** Ticks a second that the processor allows. */
  pace({ sampleHz }: PaceSettings): number {
    const least = Math.min(PACE_HZ_MIN, sampleHz);
    return Math.max(sampleHz / 2 ** this.#halvings, least);
  }
}
