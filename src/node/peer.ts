// One member that this node talks with, or tries to: its keys, its round trip, and what we
// know of its table. Bounded fields only; SESSIONS_MAX of them at most.

import type { Endpoint } from "../kernel/ports.ts";
import type { Initiator } from "../net/initiator.ts";
import type { Session } from "../net/session.ts";
import type { NodeId } from "../schema/node-id.ts";
import { PROBE_TIMEOUT_MIN_MS, PROBE_TIMEOUT_ROUND_TRIPS, ROUND_TRIP_GUESS_MS } from "./pace.ts";

/** A handshake that this side started. */
export interface Dial {
  readonly initiator: Initiator;
  readonly startedMs: number;
  /** INITs that it may still send. */
  sendsLeft: number;
  nextSendMs: number;
  retryMs: number;
  attempts: number;
}

/** The pings of one probe: each has a sequence of its own, so that any answer tells its time. */
export interface PingTimes {
  readonly firstSequence: number;
  readonly sentMs: number[];
}

/** Our FINISH, on its way until the peer's first packet under the new keys comes. */
export interface Finish {
  readonly packet: Uint8Array;
  readonly startedMs: number;
  nextSendMs: number;
}

/** A probe under way (SWIM): asked directly first, then through others. */
export interface Probe {
  /** Of the relays' answers. */
  readonly sequence: number;
  readonly startedMs: number;
  deadlineMs: number;
  nextPingMs: number;
  /** Whether others are asked by now. */
  isIndirect: boolean;
  /** Those that were asked. */
  relays: readonly NodeId[];
  /** How many of them told us that they heard nothing either. */
  nackCount: number;
}

export class Peer {
  readonly nodeId: NodeId;
  /** Where it was last heard, or is tried. */
  endpoint: Endpoint;
  session: Session | null = null;
  /** Under the old keys, for packets that were on their way at a rekey. */
  oldSession: Session | null = null;
  oldSessionUntilMs = 0;
  finish: Finish | null = null;
  dial: Dial | null = null;
  probe: Probe | null = null;
  lastHeardMs = Number.NEGATIVE_INFINITY;
  lastListMs = Number.NEGATIVE_INFINITY;
  lastBucketsMs = Number.NEGATIVE_INFINITY;
  pings: PingTimes | null = null;
  /** 0 until a ping measured it. */
  smoothedRoundTripMs = 0;
  /** How long the handshake took, repeats included: serves until a ping measured better. */
  handshakeMs = ROUND_TRIP_GUESS_MS;
  /** Its table's root, as its last packet had it. */
  rootHigh = 0;
  rootLow = 0;
  reapedThrough = 0;
  /** The root that our last packet to it told. */
  toldRootHigh = 0;
  toldRootLow = 0;
  /** Packets of records sent in this tick. */
  recordPackets = 0;

  constructor(nodeId: NodeId, endpoint: Endpoint) {
    this.nodeId = nodeId;
    this.endpoint = endpoint;
  }

  /** RFC 6298's smoothing, with its gain of 1/8. */
  measured(roundTripMs: number): void {
    this.smoothedRoundTripMs =
      this.smoothedRoundTripMs === 0
        ? roundTripMs
        : this.smoothedRoundTripMs + (roundTripMs - this.smoothedRoundTripMs) / 8;
  }

  get roundTripMs(): number {
    return this.smoothedRoundTripMs === 0 ? this.handshakeMs : this.smoothedRoundTripMs;
  }

  /** How long an answer may take before it counts as missing. */
  get timeoutMs(): number {
    return Math.max(PROBE_TIMEOUT_MIN_MS, PROBE_TIMEOUT_ROUND_TRIPS * this.roundTripMs);
  }
}
