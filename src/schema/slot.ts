// The envelope of every slot: what it is about, when it was written, by whom, and the
// author's signature. Gossiped, logged and hashed as these very bytes.

import { assert } from "../kernel/assert.ts";
import {
  RECORD_BYTES_MAX,
  RECORD_HEAD_BYTES_MAX,
  SIGNATURE_BYTES,
  SLOT_BODY_BYTES_MAX,
} from "../kernel/limits.ts";
import type { Crypto, Signer } from "../kernel/ports.ts";
import { fromHex, NODE_ID_BYTES, type NodeId, toHex, u32FromHex } from "./node-id.ts";
import { ByteReader, ByteWriter, FormatError } from "./varint.ts";

export const SLOT_KIND = { service: 1, node: 2, revocation: 3, drain: 4 } as const;
export type SlotKind = (typeof SLOT_KIND)[keyof typeof SLOT_KIND];

/** In which order slots are told and kept: what another must be judged by comes before it. */
export const KINDS_IN_ORDER: readonly SlotKind[] = [
  SLOT_KIND.revocation,
  SLOT_KIND.node,
  SLOT_KIND.drain,
  SLOT_KIND.service,
];

const TOMBSTONE_BIT = 0x80;
const KEY_OFFSET = 1;
const STAMP_OFFSET = KEY_OFFSET + 8;
const AUTHOR_OFFSET = STAMP_OFFSET + 8;
const BODY_OFFSET = AUTHOR_OFFSET + NODE_ID_BYTES;

/** What a signature of a slot begins with, so that it can serve nowhere else. */
const SIGNATURE_CONTEXT = new TextEncoder().encode("myco slot v1\0");

/** One slot, decoded as far as its envelope. Views into the record's bytes. */
export interface Slot {
  readonly kind: SlotKind;
  /** A deleted slot: it has no body and only its key, stamp and author speak. */
  readonly tombstone: boolean;
  /** 8 bytes: SHA-256 of a service's name, a node's id, a revoked or drained node's id. */
  readonly keyHigh: number;
  readonly keyLow: number;
  /** Hybrid time (sync/hybrid-clock.ts). */
  readonly stamp: number;
  readonly author: NodeId;
  readonly body: Uint8Array;
  readonly record: Uint8Array;
}

/** The two u32 halves of a slot key, big-endian, so that they sort as the bytes do. */
export interface SlotKey {
  readonly high: number;
  readonly low: number;
}

/** The key of the service named `name`. */
export function serviceKey(crypto: Crypto, name: string): SlotKey {
  return keyFromBytes(crypto.sha256(new TextEncoder().encode(name)));
}

/** The key of a node's own slot, of its revocation and of its drain. */
export function nodeKey(nodeId: NodeId): SlotKey {
  return { high: u32FromHex(nodeId, 0), low: u32FromHex(nodeId, 8) };
}

/** Whether any deployer may write and delete slots of this kind. */
export function isDeployers(kind: SlotKind): boolean {
  return kind === SLOT_KIND.service || kind === SLOT_KIND.drain;
}

export function keyToHex(key: SlotKey): string {
  return key.high.toString(16).padStart(8, "0") + key.low.toString(16).padStart(8, "0");
}

function keyFromBytes(bytes: Uint8Array): SlotKey {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return { high: view.getUint32(0), low: view.getUint32(4) };
}

export interface SlotContent {
  readonly kind: SlotKind;
  readonly tombstone: boolean;
  readonly key: SlotKey;
  readonly stamp: number;
  readonly author: NodeId;
  readonly body: Uint8Array;
}

/** Encodes and signs a slot. */
export function writeSlot(content: SlotContent, signer: Signer): Uint8Array {
  assert(content.body.length <= SLOT_BODY_BYTES_MAX, "a slot's body fits its record");
  assert(!content.tombstone || content.body.length === 0, "a tombstone has no body");
  const writer = new ByteWriter(new Uint8Array(RECORD_BYTES_MAX));
  writer.u8(content.kind | (content.tombstone ? TOMBSTONE_BIT : 0));
  writeU32BigEndian(writer, content.key.high);
  writeU32BigEndian(writer, content.key.low);
  writer.u64(content.stamp);
  writer.raw(fromHex(content.author));
  writer.block(content.body);
  writer.raw(signer.sign(signedBytes(writer.written())));
  return writer.written().slice();
}

/** Reads an untrusted record's envelope; null when malformed. The signature is not checked here. */
export function readSlot(record: Uint8Array): Slot | null {
  if (record.length > RECORD_BYTES_MAX) return null;
  try {
    return readEnvelope(record);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

function readEnvelope(record: Uint8Array): Slot | null {
  const reader = new ByteReader(record);
  const head = reader.u8();
  const kind = kindFrom(head & ~TOMBSTONE_BIT);
  if (kind === null) return null;
  const tombstone = (head & TOMBSTONE_BIT) !== 0;
  const key = keyFromBytes(reader.raw(8));
  const stamp = reader.u64();
  const author = toHex(reader.raw(NODE_ID_BYTES));
  const body = reader.block(SLOT_BODY_BYTES_MAX);
  // Only what deployers write is ever deleted: a node leaves by revocation, a revocation stays.
  if (tombstone && (!isDeployers(kind) || body.length !== 0)) return null;
  if (reader.remaining !== SIGNATURE_BYTES) return null;
  return { kind, tombstone, keyHigh: key.high, keyLow: key.low, stamp, author, body, record };
}

function kindFrom(byte: number): SlotKind | null {
  return KINDS_IN_ORDER.find((kind) => kind === byte) ?? null;
}

/** Whether `publicKey` signed this slot. The caller knows that the key is the author's. */
export function slotSignatureHolds(crypto: Crypto, slot: Slot, publicKey: Uint8Array): boolean {
  const end = slot.record.length - SIGNATURE_BYTES;
  return crypto.verify(
    publicKey,
    signedBytes(slot.record.subarray(0, end)),
    slot.record.subarray(end),
  );
}

/** The author's bytes of a record known to be well formed, without decoding the rest. */
export function authorBytesOf(record: Uint8Array): Uint8Array {
  return record.subarray(AUTHOR_OFFSET, BODY_OFFSET);
}

/** The body of a record known to be well formed. */
export function bodyOf(record: Uint8Array): Uint8Array {
  return new ByteReader(record, BODY_OFFSET).block(SLOT_BODY_BYTES_MAX);
}

function signedBytes(unsigned: Uint8Array): Uint8Array {
  const message = new Uint8Array(SIGNATURE_CONTEXT.length + unsigned.length);
  message.set(SIGNATURE_CONTEXT);
  message.set(unsigned, SIGNATURE_CONTEXT.length);
  return message;
}

function writeU32BigEndian(writer: ByteWriter, value: number): void {
  writer.u8(value >>> 24);
  writer.u8((value >>> 16) & 0xff);
  writer.u8((value >>> 8) & 0xff);
  writer.u8(value & 0xff);
}

assert(BODY_OFFSET + 2 === RECORD_HEAD_BYTES_MAX, "a slot's head is as long as the limits say");
