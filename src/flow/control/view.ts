// What the loop shows of itself: the status command, the API and the driver's own pace read it.

import type { Direction, Tin } from "../interface.ts";

/** One reflector as probed in one tin. */
export interface ReflectorView {
  readonly reflector: string;
  readonly tin: Tin;
  /** RTT without queues, as learned. */
  readonly baselineMs: number;
  /** Newest RTT above the baseline. */
  readonly deltaMs: number;
  /** Mean deviation of successive RTTs (RFC 3550, section 6.4.1). */
  readonly jitterMs: number;
  /** Missed or far-off answers among the last ones. */
  readonly offences: number;
}

/** What a direction's controller is doing. */
export type Phase =
  /** Little traffic: back to the base rate, slowly. */
  | "idle"
  /** Loaded, and neither raised nor lowered now. */
  | "hold"
  /** Looking for more capacity. */
  | "probe"
  /** Below the capacity until the line's queue is empty. */
  | "drain";

export interface DirectionView {
  readonly phase: Phase;
  /** What the shaper was last told. */
  readonly rateKbit: number;
  /** What crosses the line; null: not known. */
  readonly lineKbit: number | null;
  /** The line's capacity as last met; null: never met. */
  readonly capacityKbit: number | null;
  /** Percent of the shaper's rate in use; null: not known. */
  readonly loadPercent: number | null;
  /** Waiting in our own shaper; null: not known. */
  readonly backlogBytes: number | null;
}

export interface FlowView {
  readonly state: "running" | "frozen";
  /** Why the loop is frozen; null when it runs. */
  readonly frozenBecause: string | null;
  /** How often the driver shall sample: the setting, or less while the line is idle or the processor is short. */
  readonly samplingHz: number;
  /** Both directions have been idle for a while: probes may be sparse too. */
  readonly asleep: boolean;
  /** Robust RTT increase over all reflectors; null: no fresh answer. */
  readonly deltaMs: number | null;
  /** Median of the reflectors' baselines; null: none yet. */
  readonly baselineMs: number | null;
  readonly reflectors: readonly ReflectorView[];
  readonly directions: Readonly<Record<Direction, DirectionView>>;
}
