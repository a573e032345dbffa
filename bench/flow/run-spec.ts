// What the host asks of the guest for one run: a line, a contestant, a time. It crosses as JSON.

import type { LinkTrace } from "../../sim/link-traces.ts";

/** A bandwidth for each direction, kbit/s. */
export interface RatePair {
  readonly downloadKbit: number;
  readonly uploadKbit: number;
}

/** What stands on the router while one run lasts. */
export interface ContestantSpec {
  readonly name: string;
  /** CAKE on both directions before anything starts, as sqm would set it up; null: nothing. */
  readonly cake: RatePair | null;
  /** The share of the true capacity that CAKE is set to at every step of the trace; null: never touched. */
  readonly followCapacityShare: number | null;
  /** What is started in the router's namespace, in a cgroup of its own; null: nothing. */
  readonly program: {
    readonly argv: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    /** The cgroup's memory.max; null: none. */
    readonly memoryBytesMax: number | null;
  } | null;
}

export interface RunSpec {
  /** The run's folder in the guest; everything it records is there. */
  readonly folder: string;
  readonly trace: LinkTrace;
  readonly contestant: ContestantSpec;
  /** Probes, voice and contestant run this long before the load starts. */
  readonly warmUpMs: number;
  /** No probes and no call either: what the contestant does when nobody is at home. */
  readonly isIdle: boolean;
}

/** One line of a run's `marks.ndjson`; times are the guest's wall clock, milliseconds. */
export type Mark =
  | { readonly kind: "load-start" | "load-end"; readonly atMs: number }
  /** A step of the trace, when the kernel had been told. */
  | {
      readonly kind: "line";
      readonly atMs: number;
      readonly downloadKbit: number;
      readonly uploadKbit: number;
      readonly pathRttMs: number;
    }
  /** The contestant's cgroup and processes. */
  | {
      readonly kind: "usage";
      readonly atMs: number;
      readonly cpuMs: number;
      readonly pssBytes: number;
      readonly rssBytes: number;
      readonly processes: number;
      readonly memoryBytes: number;
      readonly memoryPeakBytes: number;
      readonly memoryLimitHits: number;
    }
  /** Packets that each tin of each CAKE has sent, in the order of its statistics. */
  | {
      readonly kind: "tins";
      readonly atMs: number;
      readonly device: string;
      readonly packets: readonly number[];
    }
  /** How late the stage's own timer came: what the guest's processors were short of. */
  | {
      readonly kind: "lag";
      readonly atMs: number;
      readonly medianMs: number;
      readonly p99Ms: number;
    }
  | { readonly kind: "contestant-exit"; readonly atMs: number; readonly how: string };
