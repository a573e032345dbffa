// What a user may set about the flow plane: one schema for YAML and UCI.

import type { Persona } from "./service.ts";

/** Bandwidths of one direction, kbit/s: `min` ≤ `base` ≤ `max`. */
export interface BandwidthSettings {
  readonly minKbit: number;
  readonly baseKbit: number;
  readonly maxKbit: number;
}

/** What is done for the flows of a persona: its usual tin, one better, or the Bulk tin. */
export type PersonaTreatment = "normal" | "boost" | "throttle";

/** `flow:` of the configuration, defaults filled in and units resolved. */
export interface FlowSettings {
  readonly enabled: boolean;
  /** active: decide and act. shadow: decide only. dummy: decide on generated metrics, act on nothing. */
  readonly mode: "active" | "shadow" | "dummy";
  /** The interface of the line; null: that of the default route. */
  readonly egressIface: string | null;
  /** Shape downloads too, through an IFB. */
  readonly ingress: boolean;
  readonly download: BandwidthSettings;
  readonly upload: BandwidthSettings;
  /** Ticks a second. */
  readonly sampleHz: number;
  /** Percent of one processor above which the loop slows its sampling, then freezes. */
  readonly maxCpuPercent: number;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error";
  /** Addresses that answer ICMP echo, best first; a few are in use at a time. */
  readonly reflectors: readonly string[];
  /** RTT increase over the baseline the controller steers to. */
  readonly delaySetPointMs: number;
  /** Bloat is when `k` of the last `m` samples say so. */
  readonly k: number;
  readonly m: number;
  /** Changes a second at most, each direction. */
  readonly rho: number;
  /** Seconds between two changes of one direction at least. */
  readonly tauSeconds: number;
  /** Largest single change, percent of the rate before. */
  readonly stepUpPercent: number;
  readonly stepDownPercent: number;
  /** Recognise flows and sort them into tins. */
  readonly persona: {
    readonly enabled: boolean;
    readonly treatment: Readonly<Partial<Record<Persona, PersonaTreatment>>>;
    /** Where first packets come from: nflog through nft, a BPF filter, the first of both that works, or nowhere. */
    readonly tap: "auto" | "nflog" | "pcap" | "off";
    readonly catalogDir: string;
  };
  /** What the line adds to a packet (tc-cake(8), overhead compensation). */
  readonly linkLayer: {
    readonly framing: "none" | "atm" | "ptm";
    readonly overheadBytes: number;
    readonly mpuBytes: number;
  };
  /** Look through NAT for the host behind a flow (tc-cake(8), nat). */
  readonly nat: boolean;
  /** Where metrics are written once a second; null: nowhere. */
  readonly metricsFile: string | null;
}
