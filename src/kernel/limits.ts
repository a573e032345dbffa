// Every bound of the program, in one place, checked against each other below. A queue, table
// or cache elsewhere takes its size from here.

import { assert } from "./assert.ts";

/** Bytes of a mesh packet: below every link's MTU, so that none is ever fragmented. */
export const PACKET_BYTES = 1024;
export const HEADER_BYTES = 48;
/** Poly1305's tag. */
export const TAG_BYTES = 16;
export const PAYLOAD_BYTES = PACKET_BYTES - HEADER_BYTES - TAG_BYTES;

/** Ed25519. */
export const SIGNATURE_BYTES = 64;
export const PUBLIC_KEY_BYTES = 32;

/** The longest encoded slot, signature included; one fits a packet beside its frame's head. */
export const RECORD_BYTES_MAX = 900;
/** What precedes a slot's body: kind, key, stamp, author and a two-byte length. */
export const RECORD_HEAD_BYTES_MAX = 27;
export const SLOT_BODY_BYTES_MAX = RECORD_BYTES_MAX - RECORD_HEAD_BYTES_MAX - SIGNATURE_BYTES;

/** Services one node may run at a time: their claims fit its node slot. */
export const CLAIMS_MAX = 48;
export const ENDPOINTS_MAX = 6;
/** Encoded certificate: version, key, zone, roles, not-after, block, signature. */
export const CERTIFICATE_BYTES_MAX = 128;

/** Nodes of a cluster, the dead included. */
export const MEMBERS_MAX = 1_100;
/** Slots of all kinds. */
export const SLOTS_MAX = 8_192;
/** Bytes of all slots' records together. */
export const ARENA_BYTES = 2 * 1024 * 1024;

/** Packets waiting for one peer; the oldest makes room. */
export const PEER_QUEUE_PACKETS = 5;
/** Packets waiting for the socket, all peers together; the oldest makes room. */
export const OUTBOX_PACKETS = 256;
/** Peers a node keeps keys with; the least recently heard makes room. */
export const SESSIONS_MAX = 32;
/** Half-open handshakes; above half of it a cookie is asked for. */
export const HANDSHAKES_MAX = 16;

/** The log's file; a snapshot takes its place before it grows beyond. */
export const LOG_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of one group commit; records wait in memory meanwhile. */
export const LOG_BATCH_BYTES = 256 * 1024;

/** An API request's body. */
export const API_BODY_BYTES_MAX = 64 * 1024;
/** The flight recorder's ring. */
export const FLIGHT_RECORDER_BYTES = 1024 * 1024;
/** One service's captured output on disk: two files of this size. */
export const SERVICE_LOG_BYTES = 1024 * 1024;

assert(HEADER_BYTES + PAYLOAD_BYTES + TAG_BYTES === PACKET_BYTES, "a packet is its three parts");
assert(RECORD_BYTES_MAX + 8 <= PAYLOAD_BYTES, "a record and its frame's head fit one packet");
assert(CLAIMS_MAX * 9 + CERTIFICATE_BYTES_MAX < SLOT_BODY_BYTES_MAX / 1.3, "claims fit a node slot");
assert(ARENA_BYTES * 2 < LOG_BYTES_MAX, "a snapshot fits the log twice");
assert(ARENA_BYTES >= SLOTS_MAX * 200, "the arena serves a full table of usual slots");
assert(PEER_QUEUE_PACKETS * SESSIONS_MAX <= OUTBOX_PACKETS, "one peer cannot starve the others");
