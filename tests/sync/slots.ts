// Slots for tests of the table and of anti-entropy: well formed, their signatures left zero,
// since the table takes what was verified before.

import { RECORD_BYTES_MAX, SIGNATURE_BYTES } from "../../src/kernel/limits.ts";
import { fromHex } from "../../src/schema/node-id.ts";
import { readSlot, type Slot, type SlotKind } from "../../src/schema/slot.ts";
import { ByteWriter } from "../../src/schema/varint.ts";

export interface SlotShape {
  readonly kind: SlotKind;
  readonly key: number;
  readonly stamp: number;
  readonly author: number;
  readonly tombstone?: boolean;
  readonly bodyBytes: number;
}

/** A slot of the given shape. Its key is spread over all 64 bits. */
export function makeSlot(shape: SlotShape): Slot {
  const tombstone = shape.tombstone === true && shape.kind === 1;
  const writer = new ByteWriter(new Uint8Array(RECORD_BYTES_MAX));
  writer.u8(shape.kind | (tombstone ? 0x80 : 0));
  writer.u32(Math.imul(shape.key + 1, 0x9e3779b1) >>> 0);
  writer.u32(Math.imul(shape.key + 7, 0x85ebca6b) >>> 0);
  writer.u64(shape.stamp);
  writer.raw(fromHex(shape.author.toString(16).padStart(16, "0")));
  writer.block(new Uint8Array(tombstone ? 0 : shape.bodyBytes).fill(shape.bodyBytes));
  writer.raw(new Uint8Array(SIGNATURE_BYTES));
  return makeSlot.read(writer.written().slice());
}

makeSlot.read = (record: Uint8Array): Slot => {
  const slot = readSlot(record);
  if (slot === null) throw new Error("a test built a malformed slot");
  return slot;
};
