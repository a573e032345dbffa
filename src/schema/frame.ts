// The frames inside a data packet's payload: probes, membership, key sets, records. A
// payload starts with its sender's digest, so that every packet tells how far its sender is.

import { PAYLOAD_BYTES, RECORD_BYTES_MAX } from "../kernel/limits.ts";
import { fromHex, NODE_ID_BYTES, type NodeId, toHex } from "./node-id.ts";
import { type ByteReader, type ByteWriter, FormatError } from "./varint.ts";

/** What a sender holds, in 16 bytes. */
export interface Digest {
  readonly rootHigh: number;
  readonly rootLow: number;
  /** Tombstones at or below this stamp are gone from the sender's table. */
  readonly reapedThrough: number;
}

/** A digest's `reapedThrough` of one who may have lost deletions, and cannot speak for what is gone. */
export const REAPED_UNKNOWN = 0;
/** A digest's `reapedThrough` of one who has let go of nothing yet: below every stamp. */
export const REAPED_NOTHING = 1;

export const MEMBER_STATUSES = ["alive", "suspect", "dead", "left"] as const;
export type MemberStatus = (typeof MEMBER_STATUSES)[number];

/** News of a member (SWIM): its status at an incarnation, and who says so. */
export interface MemberRumour {
  readonly nodeId: NodeId;
  readonly status: MemberStatus;
  readonly incarnation: number;
  /** Who accuses; for Lifeguard's confirmations. The subject itself when alive or left. */
  readonly source: NodeId;
}

/** Which slots a key set speaks of. */
export type ListScope =
  | {
      /** All with a stamp above `afterStamp`; the older ones are summed up in one XOR. */
      readonly kind: "recent";
      readonly afterStamp: number;
      readonly olderHigh: number;
      readonly olderLow: number;
    }
  | {
      /** All in the buckets whose bit is set in these 32 bytes. */
      readonly kind: "buckets";
      readonly buckets: Uint8Array;
    };

export interface ListHead {
  readonly scope: ListScope;
  readonly salt: number;
  /** Whether one who turns out to lack some of it is to answer with its own list. */
  readonly wantsAnswer: boolean;
}

export const FRAME = {
  ping: 1,
  ack: 2,
  pingRequest: 3,
  nack: 4,
  member: 5,
  list: 6,
  buckets: 7,
  record: 8,
} as const;

/** The digest's bytes. */
export const DIGEST_BYTES = 16;
/** A member frame at its longest: type, id, status, incarnation, source. */
export const MEMBER_FRAME_BYTES_MAX = 1 + NODE_ID_BYTES + 1 + 5 + NODE_ID_BYTES;
/** A list frame before its key set, at its longest. */
export const LIST_HEAD_BYTES_MAX = 1 + 1 + 4 + 32;
/** A record frame before its record. */
export const RECORD_FRAME_HEAD_BYTES = 3;
/** A whole buckets frame: type, salt and 256 digests of 3 bytes. */
export const BUCKETS_FRAME_BYTES = 1 + 4 + 256 * 3;

const LIST_RECENT = 0;
const LIST_BUCKETS = 1;
const LIST_WANTS_ANSWER = 2;

export function writeDigest(writer: ByteWriter, digest: Digest): void {
  writer.u32(digest.rootHigh);
  writer.u32(digest.rootLow);
  writer.u64(digest.reapedThrough);
}

export function readDigest(reader: ByteReader): Digest {
  return { rootHigh: reader.u32(), rootLow: reader.u32(), reapedThrough: reader.u64() };
}

export function writePing(writer: ByteWriter, sequence: number): void {
  writer.u8(FRAME.ping);
  writer.u16(sequence);
}

export function writeAck(writer: ByteWriter, sequence: number): void {
  writer.u8(FRAME.ack);
  writer.u16(sequence);
}

export function writeNack(writer: ByteWriter, sequence: number): void {
  writer.u8(FRAME.nack);
  writer.u16(sequence);
}

export function writePingRequest(writer: ByteWriter, sequence: number, target: NodeId): void {
  writer.u8(FRAME.pingRequest);
  writer.u16(sequence);
  writer.raw(fromHex(target));
}

export function writeMember(writer: ByteWriter, rumour: MemberRumour): void {
  writer.u8(FRAME.member);
  writer.raw(fromHex(rumour.nodeId));
  writer.u8(MEMBER_STATUSES.indexOf(rumour.status));
  writer.varint(rumour.incarnation);
  writer.raw(fromHex(rumour.source));
}

export function readMember(reader: ByteReader): MemberRumour {
  const nodeId = toHex(reader.raw(NODE_ID_BYTES));
  const status = MEMBER_STATUSES[reader.u8()];
  if (status === undefined) throw new FormatError("an unknown member status");
  const incarnation = reader.varint();
  if (incarnation > 0xffff_ffff) throw new FormatError("an incarnation is out of range");
  return { nodeId, status, incarnation, source: toHex(reader.raw(NODE_ID_BYTES)) };
}

export function readNodeId(reader: ByteReader): NodeId {
  return toHex(reader.raw(NODE_ID_BYTES));
}

export function writeListHead(writer: ByteWriter, head: ListHead): void {
  const answer = head.wantsAnswer ? LIST_WANTS_ANSWER : 0;
  writer.u8(FRAME.list);
  if (head.scope.kind === "recent") {
    writer.u8(LIST_RECENT | answer);
    writer.u32(head.salt);
    writer.u64(head.scope.afterStamp);
    writer.u32(head.scope.olderHigh);
    writer.u32(head.scope.olderLow);
  } else {
    writer.u8(LIST_BUCKETS | answer);
    writer.u32(head.salt);
    writer.raw(head.scope.buckets);
  }
}

export function readListHead(reader: ByteReader): ListHead {
  const form = reader.u8();
  if (form > (LIST_BUCKETS | LIST_WANTS_ANSWER)) throw new FormatError("an unknown list form");
  const wantsAnswer = (form & LIST_WANTS_ANSWER) !== 0;
  const salt = reader.u32();
  if ((form & LIST_BUCKETS) !== 0) {
    return { scope: { kind: "buckets", buckets: reader.raw(32) }, salt, wantsAnswer };
  }
  const afterStamp = reader.u64();
  const olderHigh = reader.u32();
  const olderLow = reader.u32();
  return { scope: { kind: "recent", afterStamp, olderHigh, olderLow }, salt, wantsAnswer };
}

export function writeRecordFrame(writer: ByteWriter, record: Uint8Array): void {
  writer.u8(FRAME.record);
  writer.u16(record.length);
  writer.raw(record);
}

export function readRecordFrame(reader: ByteReader): Uint8Array {
  const length = reader.u16();
  if (length > RECORD_BYTES_MAX) throw new FormatError("a record is too long");
  return reader.raw(length);
}

/** The room that a payload leaves for frames behind its digest. */
export const FRAMES_BYTES = PAYLOAD_BYTES - DIGEST_BYTES;
