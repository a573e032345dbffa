// Finding what differs between two tables: build a list of what we hold, and from another's
// list tell which of our slots it lacks. Stateless: every list stands by itself, so a lost
// packet costs a retry and nothing else.

import {
  BUCKETS_FRAME_BYTES,
  FRAME,
  LIST_HEAD_BYTES_MAX,
  type ListHead,
  type ListScope,
  writeListHead,
} from "../schema/frame.ts";
import { type ByteReader, type ByteWriter, FormatError } from "../schema/varint.ts";
import {
  KEY_SET_ELEMENTS_MAX,
  keySetBytes,
  keySetElementsFitting,
  keySetHas,
  readKeySet,
  toRange,
  writeKeySet,
} from "./key-set.ts";
import { BUCKET_COUNT, bucketOf, saltedHash } from "./merkle.ts";
import type { SlotTable } from "./slot-table.ts";

/** Work memory of one call at a time, shared by all tables of the process. */
const hashScratch = new Uint32Array(KEY_SET_ELEMENTS_MAX);

/** How two tables compare within one list's scope. */
export interface Comparison {
  /** Slots that we hold and the list does not. A view of shared memory: use it before the next call. */
  readonly lacking: readonly number[];
  /** Whether the list holds versions that we do not. */
  readonly weAreBehind: boolean;
  /** Whether what lies before the scope differs too. Always false for buckets. */
  readonly olderDiffers: boolean;
}

/** Writes a list of our newest slots: as many as fit `roomBytes`, `countMax` at most. */
export function writeRecentList(
  writer: ByteWriter,
  table: SlotTable,
  options: { roomBytes: number; countMax: number; salt: number; wantsAnswer: boolean },
): void {
  const room = keySetElementsFitting(options.roomBytes - LIST_HEAD_BYTES_MAX);
  const afterStamp = table.stampBelowNewest(Math.min(room, options.countMax));
  let count = 0;
  let olderHigh = 0;
  let olderLow = 0;
  for (let slot = 0; slot < table.end; slot += 1) {
    if (!table.holds(slot)) continue;
    const high = table.fingerprintHigh(slot);
    const low = table.fingerprintLow(slot);
    if (table.stamp(slot) > afterStamp) {
      hashScratch[count++] = saltedHash(high, low, options.salt);
    } else {
      olderHigh = (olderHigh ^ high) >>> 0;
      olderLow = (olderLow ^ low) >>> 0;
    }
  }
  writeListHead(writer, {
    scope: { kind: "recent", afterStamp, olderHigh, olderLow },
    salt: options.salt,
    wantsAnswer: options.wantsAnswer,
  });
  writeKeySet(writer, hashScratch.subarray(0, count));
}

/** Writes our 256 bucket sums. Takes BUCKETS_FRAME_BYTES. */
export function writeBuckets(writer: ByteWriter, table: SlotTable, salt: number): void {
  writer.u8(FRAME.buckets);
  writer.u32(salt);
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket += 1) {
    const digest = table.merkle.digest(bucket, salt);
    writer.u16(digest & 0xffff);
    writer.u8(digest >>> 16);
  }
}

/** Reads another's bucket sums: a bit for each bucket in which we differ, or null when none. */
export function readDifferingBuckets(reader: ByteReader, table: SlotTable): Uint8Array | null {
  if (reader.remaining < BUCKETS_FRAME_BYTES - 1) throw new FormatError("buckets end too early");
  const salt = reader.u32();
  const differing = new Uint8Array(BUCKET_COUNT / 8);
  let any = false;
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket += 1) {
    const digest = reader.u16() | (reader.u8() << 16);
    if (digest === table.merkle.digest(bucket, salt)) continue;
    setBit(differing, bucket);
    any = true;
  }
  return any ? differing : null;
}

/**
 * Writes a list of our slots in as many of the `wanted` buckets as fit. Starts at a bucket
 * drawn from the salt, so that repeated lists come to all of them.
 */
export function writeBucketList(
  writer: ByteWriter,
  table: SlotTable,
  wanted: Uint8Array,
  options: { roomBytes: number; salt: number; wantsAnswer: boolean },
): void {
  const room = keySetElementsFitting(options.roomBytes - LIST_HEAD_BYTES_MAX);
  const counts = new Uint16Array(BUCKET_COUNT);
  for (const slot of table.slots()) counts[bucketOf(table.keyLow(slot))]! += 1;
  const chosen = new Uint8Array(BUCKET_COUNT / 8);
  let total = 0;
  for (let i = 0; i < BUCKET_COUNT; i += 1) {
    const bucket = (i + options.salt) % BUCKET_COUNT;
    if (!hasBit(wanted, bucket) || total + counts[bucket]! > room) continue;
    setBit(chosen, bucket);
    total += counts[bucket]!;
  }
  let count = 0;
  for (const slot of table.slots()) {
    if (!hasBit(chosen, bucketOf(table.keyLow(slot)))) continue;
    hashScratch[count++] = hashOf(table, slot, options.salt);
  }
  writeListHead(writer, {
    scope: { kind: "buckets", buckets: chosen },
    salt: options.salt,
    wantsAnswer: options.wantsAnswer,
  });
  writeKeySet(writer, hashScratch.subarray(0, count));
}

/** The bytes that a list of `count` versions takes. */
export function listBytes(count: number): number {
  return LIST_HEAD_BYTES_MAX + keySetBytes(count);
}

/** Reads a list behind its head and compares it with our table. Throws FormatError. */
export function compareWithList(reader: ByteReader, head: ListHead, table: SlotTable): Comparison {
  const values = readKeySet(reader);
  const lacking: number[] = [];
  let matchedCount = 0;
  let olderHigh = 0;
  let olderLow = 0;
  for (let slot = 0; slot < table.end; slot += 1) {
    if (!table.holds(slot)) continue;
    if (inScope(table, slot, head.scope)) {
      const value = toRange(hashOf(table, slot, head.salt), values.length);
      if (keySetHas(values, value)) matchedCount += 1;
      else lacking.push(slot);
    } else {
      olderHigh = (olderHigh ^ table.fingerprintHigh(slot)) >>> 0;
      olderLow = (olderLow ^ table.fingerprintLow(slot)) >>> 0;
    }
  }
  const scope = head.scope;
  return {
    lacking,
    weAreBehind: matchedCount < values.length,
    olderDiffers:
      scope.kind === "recent" && (scope.olderHigh !== olderHigh || scope.olderLow !== olderLow),
  };
}

function inScope(table: SlotTable, slot: number, scope: ListScope): boolean {
  return scope.kind === "recent"
    ? table.stamp(slot) > scope.afterStamp
    : hasBit(scope.buckets, bucketOf(table.keyLow(slot)));
}

function hashOf(table: SlotTable, slot: number, salt: number): number {
  return saltedHash(table.fingerprintHigh(slot), table.fingerprintLow(slot), salt);
}

function setBit(bits: Uint8Array, position: number): void {
  bits[position >>> 3]! |= 1 << (position & 7);
}

function hasBit(bits: Uint8Array, position: number): boolean {
  return (bits[position >>> 3]! & (1 << (position & 7))) !== 0;
}
