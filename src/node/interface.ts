// What the outer rooms and the simulator see of a node's replica: the inputs that drive it,
// the commands it takes and the views it gives. Pure: time comes in with every call, packets
// and log records go out through the ports given at construction.

import type { Crypto, Endpoint, Journal, Random, Signer } from "../kernel/ports.ts";
import type { MemberStatus } from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { Claim, NodeInfo } from "../schema/node-info.ts";
import type { ServiceSpec } from "../schema/service.ts";

/** What a node says of itself; the rest of its slot the replica fills in. */
export type LocalInfo = Omit<NodeInfo, "certificate" | "claims" | "tombstoneAck">;

export interface ReplicaOptions {
  readonly crypto: Crypto;
  readonly random: Random;
  /** This node's identity. */
  readonly signer: Signer;
  /** This node's certificate, encoded. */
  readonly certificate: Uint8Array;
  readonly rootPublicKey: Uint8Array;
  readonly info: LocalInfo;
  /** Endpoints to dial while no member is known. */
  readonly seeds: readonly Endpoint[];
  readonly journal: Journal;
  /**
   * Sends one packet. The bytes are reused after the call returns: copy what is kept.
   */
  readonly send: (packet: Uint8Array, to: Endpoint) => void;
  readonly nowMs: number;
  readonly capacity?: ReplicaCapacity;
  /** Structured events for logs and the flight recorder. */
  readonly onEvent?: (event: ReplicaEvent) => void;
}

export interface ReplicaCapacity {
  /** Slots of all kinds; default SLOTS_MAX. */
  readonly slots: number;
  /** Bytes of their records; default ARENA_BYTES. */
  readonly arenaBytes: number;
}

/** What happened inside, for people and recorders. No event decides anything. */
export type ReplicaEvent =
  | { readonly kind: "session-opened"; readonly nodeId: NodeId; readonly endpoint: Endpoint }
  | { readonly kind: "session-closed"; readonly nodeId: NodeId; readonly reason: string }
  | { readonly kind: "handshake-refused"; readonly endpoint: Endpoint; readonly reason: string }
  | { readonly kind: "slot-refused"; readonly author: NodeId; readonly reason: string }
  | {
      readonly kind: "slot-applied";
      readonly slotKind: "service" | "node" | "revocation" | "drain";
      readonly key: string;
      readonly tombstone: boolean;
    }
  | { readonly kind: "table-full" }
  | { readonly kind: "tombstones-reaped"; readonly count: number }
  | { readonly kind: "first-sync" }
  | { readonly kind: "revoked" };

/** The answer to a write. `sequence` is settled by `onWriteSettled` once the log has it. */
export type WriteAnswer =
  | { readonly ok: true; readonly sequence: number; readonly key: string; readonly stamp: number }
  | { readonly ok: false; readonly reason: WriteRefusal };

export type WriteRefusal =
  | "not-a-deployer"
  | "log-unavailable"
  | "table-full"
  | "too-many-pending"
  | "invalid-record"
  | "unknown-author"
  | "superseded"
  | "revoked";

export interface MemberView {
  readonly nodeId: NodeId;
  readonly self: boolean;
  readonly status: MemberStatus;
  readonly incarnation: number;
  readonly info: NodeInfo;
  readonly zone: number;
  readonly roles: readonly string[];
  readonly notAfterMs: number;
  /** The deployer who said that it takes no more work; null when nobody did. */
  readonly drainedBy: NodeId | null;
  /** Smoothed round trip, or null without a session. */
  readonly rttMs: number | null;
  readonly hasSession: boolean;
}

export interface ServiceView {
  /** 16 hex digits. */
  readonly key: string;
  /** The first 4 bytes of the key, as claims name it. */
  readonly claimKey: number;
  readonly spec: ServiceSpec;
  readonly stamp: number;
  readonly author: NodeId;
  /** The low 32 bits of the record's fingerprint, as claims name it. */
  readonly generation: number;
}

export interface ReplicaStatistics {
  readonly packetsReceived: number;
  readonly packetsSent: number;
  /** Datagrams that were not ours, not openable, or malformed inside. */
  readonly packetsRefused: number;
  readonly handshakesStarted: number;
  readonly handshakesRefused: number;
  readonly recordsReceived: number;
  /** Of those, the ones that changed our table. */
  readonly recordsApplied: number;
  readonly recordsRefused: number;
  /** Of those, the ones stamped too far ahead of our clock: one of the two clocks is wrong. */
  readonly recordsFromFuture: number;
  readonly sessions: number;
  readonly members: number;
  readonly living: number;
  readonly slots: number;
  readonly recordBytes: number;
}

/**
 * One node of the mesh. Drive it: `restore` each record of the log, `start` once, then
 * `receive` each datagram and `tick` every TICK_MS.
 */
export interface ReplicaInterface {
  readonly nodeId: NodeId;

  /** Takes back one record of our own log. Before `start` only. */
  restore(record: Uint8Array): void;
  /**
   * Begins to speak.
   * @param damaged the log had lost records it once acknowledged: what only we hold of the
   *   past is then believed only once a peer confirms that it was not deleted meanwhile
   */
  start(nowMs: number, damaged: boolean): void;
  tick(nowMs: number): void;
  receive(datagram: Uint8Array, from: Endpoint, nowMs: number): void;
  /** The log has every record up to `sequence`: pending writes up to it take effect. */
  journalDurable(sequence: number, nowMs: number): void;
  /** The log lost these records: pending writes among them fail. */
  journalFailed(firstSequence: number, lastSequence: number): void;
  /** All that a fresh log needs, in the order in which `restore` wants it. */
  snapshot(): Iterable<Uint8Array>;

  /** Writes or replaces a service, signed by this node. */
  putService(spec: ServiceSpec, nowMs: number): WriteAnswer;
  /** Deletes a service, signed by this node. */
  deleteService(name: string, nowMs: number): WriteAnswer;
  /** Says, signed by this node, that a node takes no more work, or that it does again. */
  setDrained(nodeId: NodeId, drained: boolean, nowMs: number): WriteAnswer;
  /** Takes a record signed elsewhere: a deployer's service, the root's revocation. */
  offerRecord(record: Uint8Array, nowMs: number): WriteAnswer;
  /** Publishes what runs here. Nothing happens when nothing changed. */
  publishClaims(claims: readonly Claim[], nowMs: number): void;
  /** Publishes changed facts of this node: endpoints, labels, draining. */
  publishInfo(info: LocalInfo, nowMs: number): void;
  /** Tells the others that this node goes on purpose. */
  leave(nowMs: number): void;

  /** Set by the owner: a write of ours settled. Called from journalDurable and journalFailed. */
  onWriteSettled: (sequence: number, ok: boolean) => void;

  /** Grows with every change of the table or the membership; views are worth reading again. */
  readonly version: number;
  /** Whether the table once equalled a peer's, or no peer was to be found: placement may begin. */
  readonly synced: boolean;
  /** Whether this node's own certificate was revoked or has expired. */
  readonly excluded: boolean;
  readonly statistics: ReplicaStatistics;
  /** Whether the log lacks something that the table has: only a snapshot mends that. */
  readonly hasLogGap: boolean;
  /** 16 hex digits: equal on equal tables. */
  readonly rootHash: string;
  /** The highest revocation this node knows. */
  readonly revocationBlock: number;

  members(nowMs: number): MemberView[];
  /** The deployer who drained a node, whether it is a member or not; null when nobody did. */
  drainedBy(nodeId: NodeId): NodeId | null;
  services(): ServiceView[];
  service(name: string): ServiceView | null;
}

/** How often `tick` is to be called. */
export const TICK_MS = 100;
