// What the flow plane tells of itself: the API's answer, the command line's picture, the metrics.
// Plain data that survives JSON.

import type { FlowSettings } from "../schema/flow-settings.ts";
import type { Persona } from "../schema/service.ts";
import type { Decision, FlowVerdict, LinkState, Tin } from "./interface.ts";

/** Where the plane is in its life. `waiting`: something is missing, said in `problem`; it tries again by itself. */
export type FlowPhase = "stopped" | "starting" | "running" | "waiting";

/** Something people should know that is no decision of the loop. `code` is stable. */
export interface FlowNotice {
  readonly level: "info" | "warn" | "error";
  readonly code: string;
  readonly message: string;
}

export interface TinStatus {
  readonly tin: Tin;
  /** Since the second before. */
  readonly rateKbit: number;
  readonly backlogBytes: number;
  readonly droppedPackets: number;
  readonly ecnMarkedPackets: number;
  /** CAKE's average delay of the packets it lets through. */
  readonly averageDelayUs: number;
  readonly flows: number;
}

export interface DirectionStatus {
  /** What the loop wants; null: this direction is not shaped. */
  readonly shaperKbit: number | null;
  /** What the kernel said last. */
  readonly readBackKbit: number | null;
  /** What crosses the line; null: not known yet. */
  readonly throughputKbit: number | null;
  readonly backlogBytes: number | null;
  readonly tins: readonly TinStatus[];
}

export interface ReflectorStatus {
  readonly address: string;
  readonly tin: Tin;
  readonly rttMs: number | null;
  readonly lossPercent: number | null;
}

/** One second of the near past, for charts. Null: not known. */
export interface FlowHistoryPoint {
  readonly atMs: number;
  readonly downloadKbit: number | null;
  readonly uploadKbit: number | null;
  readonly downloadShaperKbit: number | null;
  readonly uploadShaperKbit: number | null;
  /** The best reply of the second. */
  readonly rttMs: number | null;
  /** The increase over the baseline at its end. */
  readonly increaseMs: number | null;
}

export interface FlowStatus {
  readonly phase: FlowPhase;
  readonly mode: FlowSettings["mode"];
  /** The interface of the line; null: none found yet. */
  readonly device: string | null;
  readonly link: LinkState | null;
  /** Why it waits, or what works only in part; for people. */
  readonly problem: string | null;
  /** The loop changes nothing at present. */
  readonly frozen: boolean;
  readonly samplingHz: number;
  readonly download: DirectionStatus;
  readonly upload: DirectionStatus;
  readonly pingerAlive: boolean;
  readonly reflectors: readonly ReflectorStatus[];
  /** Of the daemon and its children; null: not measured yet. */
  readonly cpuPercent: number | null;
  readonly residentBytes: number | null;
  readonly flowCount: number;
  /** What the marks' table holds in the kernel. */
  readonly markedFlowCount: number;
  /** Newest last. */
  readonly decisions: readonly Decision[];
  /** Oldest first, one a second. */
  readonly history: readonly FlowHistoryPoint[];
  readonly recording: boolean;
}

/** One flow that was recognised, with what it carried. */
export interface FlowReport extends FlowVerdict {
  readonly dscp: number;
  readonly uploadBytes: number;
  readonly downloadBytes: number;
  readonly lastSeenMs: number;
}

/** What a device does, derived from its flows. */
export interface DeviceReport {
  readonly address: string;
  readonly mac: string | null;
  readonly persona: Persona;
  readonly flowCount: number;
  readonly uploadBytes: number;
  readonly downloadBytes: number;
}

/** One number of the metrics: Prometheus' `mycoflow_NAME{LABELS} VALUE`. */
export interface FlowMetric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface FlowListener {
  /** Each decision once, in order: to be logged with its cause. */
  onDecision(decision: Decision): void;
  onNotice(notice: FlowNotice): void;
  /** From now on `tick` is wanted this often. */
  onPace(samplingHz: number): void;
}
