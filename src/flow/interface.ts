// The flow plane's words: directions, tins, services, what a tick senses, what the loop decides.
// Everything here is plain data that survives JSON, because a recording is made of it.

import type { Persona } from "../schema/service.ts";

/** Seen from the people behind the router: download comes in on the line, upload leaves by it. */
export const DIRECTIONS = ["download", "upload"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** CAKE's tins under `diffserv4`, in the order its statistics list them (tc-cake(8)). */
export const TINS = ["bulk", "besteffort", "video", "voice"] as const;
export type Tin = (typeof TINS)[number];

/** What a flow is, as precisely as the wire tells. */
export const SERVICES = [
  "unknown",
  "voip_call",
  "game_rt",
  "video_conf",
  "video_live",
  "video_vod",
  "web_interactive",
  "messaging",
  "remote_shell",
  "game_launcher",
  "bulk_dl",
  "file_sync",
  "torrent",
  "system",
] as const;
export type Service = (typeof SERVICES)[number];

/** What each service needs of the line. */
export const PERSONA_OF_SERVICE: Readonly<Record<Service, Persona>> = {
  unknown: "unknown",
  voip_call: "voip",
  game_rt: "gaming",
  video_conf: "video",
  video_live: "video",
  video_vod: "streaming",
  web_interactive: "web",
  messaging: "web",
  remote_shell: "interactive",
  game_launcher: "bulk",
  bulk_dl: "bulk",
  file_sync: "bulk",
  torrent: "torrent",
  system: "system",
};

/** One tin's counters since its qdisc was made (tc-cake(8), struct cake_tin_stats). */
export interface TinSample {
  readonly sentBytes: number;
  readonly backlogBytes: number;
  readonly droppedPackets: number;
  readonly ecnMarkedPackets: number;
  readonly peakDelayUs: number;
  readonly averageDelayUs: number;
  readonly baseDelayUs: number;
  readonly sparseFlows: number;
  readonly bulkFlows: number;
  readonly unresponsiveFlows: number;
}

/** One CAKE qdisc, read back from the kernel. */
export interface ShaperSample {
  /** The bandwidth the kernel shapes to; 0: unlimited. */
  readonly rateKbit: number;
  readonly sentBytes: number;
  readonly backlogBytes: number;
  readonly droppedPackets: number;
  /** In the order of `TINS` under diffserv4; one item under besteffort. */
  readonly tins: readonly TinSample[];
}

/** What one tick read about one direction. */
export interface DirectionSample {
  /** Bytes that crossed the line since the interface exists: received for download, sent for upload. Null: not read. */
  readonly lineBytes: number | null;
  /** Null: not read, or no CAKE there. */
  readonly shaper: ShaperSample | null;
}

/** One answer of a reflector. A probe without one is never invented: it is in `ProbeLoss`. */
export interface ProbeReply {
  /** The reflector's address as configured. */
  readonly reflector: string;
  /** The tin its packets are marked for. */
  readonly tin: Tin;
  /** When the answer came, on the loop's clock. */
  readonly atMs: number;
  readonly rttMs: number;
}

/** A probe that had no answer in time. */
export interface ProbeLoss {
  readonly reflector: string;
  readonly tin: Tin;
  readonly atMs: number;
}

/** Everything one tick sensed. What could not be read is null, never zero. */
export interface FlowSample {
  readonly atMs: number;
  readonly download: DirectionSample | null;
  readonly upload: DirectionSample | null;
  /** Since the tick before, oldest first. */
  readonly replies: readonly ProbeReply[];
  readonly losses: readonly ProbeLoss[];
}

/** The state of the interface that is shaped, as the actor found it. */
export type LinkState =
  /** Up, and the qdiscs are ours. */
  | "shaped"
  /** It exists but has no carrier or is down. */
  | "down"
  /** No such interface. */
  | "gone"
  /** Up, but someone else put another qdisc in place of ours. */
  | "replaced";

/** What the loop is told. A recording holds these, one a line, in the order they came. */
export type FlowInput =
  | ({ readonly kind: "sample" } & FlowSample)
  /** How a bandwidth change ended: `readBackKbit` is what the kernel then said, null when it could not be asked. */
  | {
      readonly kind: "applied";
      readonly atMs: number;
      readonly direction: Direction;
      readonly requestedKbit: number;
      readonly readBackKbit: number | null;
      readonly error: string | null;
    }
  | { readonly kind: "link"; readonly atMs: number; readonly state: LinkState }
  /** The pinger child ended or came back; `reason` for people. */
  | {
      readonly kind: "pinger";
      readonly atMs: number;
      readonly alive: boolean;
      readonly reason: string;
    }
  /** What the daemon and its children used since the last one: percent of one processor, resident bytes. */
  | {
      readonly kind: "usage";
      readonly atMs: number;
      readonly cpuPercent: number;
      readonly residentBytes: number;
    };

/** What moved the loop. `kind` is stable; the rest is for the reader of a decision line. */
export type DecisionKind =
  | "lower"
  | "raise"
  | "settle"
  | "freeze"
  | "thaw"
  | "rollback"
  | "restore";

/** One decision: the log line, the line of a replay, the event of the API. */
export interface Decision {
  readonly atMs: number;
  readonly kind: DecisionKind;
  /** Null: both. */
  readonly direction: Direction | null;
  readonly fromKbit: number | null;
  readonly toKbit: number | null;
  /** A stable name of why, such as `bloat`, `probe-up`, `idle-return`, `readback-mismatch`. */
  readonly cause: string;
  /** The figures that spoke, rounded for people, such as `deltaMs`, `loadPercent`, `backlogBytes`. */
  readonly evidence: Readonly<Record<string, number | string>>;
}

/** What the loop asks of the world. */
export type FlowCommand =
  | { readonly kind: "set-rate"; readonly direction: Direction; readonly rateKbit: number }
  /** Make the qdiscs again as they should be, at these rates. */
  | { readonly kind: "reinstall"; readonly downloadKbit: number; readonly uploadKbit: number }
  /** Start the pinger again, or leave a reflector for the next one of the list. */
  | { readonly kind: "restart-pinger" }
  | { readonly kind: "rotate-reflector"; readonly reflector: string };

/** The answer of one step. In shadow mode the driver drops `commands`; nothing else differs. */
export interface FlowStep {
  readonly decisions: readonly Decision[];
  readonly commands: readonly FlowCommand[];
}

/** One flow, by its five-tuple. `client` is the side that asked. Addresses in canonical text (RFC 5952). */
export interface FlowKey {
  /** IP protocol number: 6 TCP, 17 UDP, 1 and 58 ICMP. */
  readonly protocol: number;
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly serverPort: number;
}

/** What spoke for a verdict, strongest first, such as `declared`, `rule`, `tls`, `quic`, `dns`, `payload`, `port`, `behaviour`. */
export type Signal =
  | "rule"
  | "declared"
  | "tls"
  | "quic"
  | "http"
  | "payload"
  | "dns"
  | "port"
  | "address"
  | "behaviour";

/** What a flow is taken for. */
export interface FlowVerdict {
  readonly key: FlowKey;
  readonly service: Service;
  readonly persona: Persona;
  /** 0 to 1. */
  readonly confidence: number;
  readonly signals: readonly Signal[];
  /** The name the flow was asked for by, or null. */
  readonly hostname: string | null;
}
