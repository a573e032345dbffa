// The replicated state: one table of slots in typed arrays, last writer wins by hybrid time
// with the author's id as tie-break. All memory is taken at construction.

import { assert } from "../kernel/assert.ts";
import { SLOTS_MAX } from "../kernel/limits.ts";
import type { SlotKey, SlotKind } from "../schema/slot.ts";
import { authorBytesOf, isDeployers, KINDS_IN_ORDER, type Slot } from "../schema/slot.ts";
import { MerkleBuckets } from "./merkle.ts";

/** What became of a slot offered to the table. */
export type ApplyResult = "new" | "newer" | "same" | "older" | "full";

/** What deployers write may fill this much of a table: a revocation must always find room. */
const DEPLOYERS_SHARE = 7 / 8;
const NO_SLOT = -1;
/** Index states; a stored slot index is `value - 2`. */
const EMPTY = 0;
const VACATED = 1;
const TOMBSTONE_BIT = 0x80;

/** Work memory of one call at a time, shared by all tables of the process. */
const stampScratch = new Float64Array(SLOTS_MAX);

export class SlotTable {
  readonly merkle = new MerkleBuckets();
  readonly #capacity: number;
  readonly #arena: Uint8Array;
  readonly #kinds: Uint8Array;
  readonly #keyHighs: Uint32Array;
  readonly #keyLows: Uint32Array;
  readonly #stamps: Float64Array;
  readonly #fingerprintHighs: Uint32Array;
  readonly #fingerprintLows: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #lengths: Uint16Array;
  readonly #index: Uint16Array;
  readonly #freeSlots: Uint16Array;
  #freeCount: number;
  #size = 0;
  /** Slots at or above this were never used. */
  #highWater = 0;
  #arenaEnd = 0;
  #arenaUsed = 0;
  #vacatedCount = 0;
  /** The last answer of `stampBelowNewest`. */
  #newestFloor = 0;

  /**
   * @param capacity how many slots it holds, at most SLOTS_MAX
   * @param arenaBytes room for their records together
   */
  constructor(capacity: number, arenaBytes: number) {
    assert(capacity > 0 && capacity <= SLOTS_MAX, "a table is within the limits");
    this.#capacity = capacity;
    this.#arena = new Uint8Array(arenaBytes);
    this.#kinds = new Uint8Array(capacity);
    this.#keyHighs = new Uint32Array(capacity);
    this.#keyLows = new Uint32Array(capacity);
    this.#stamps = new Float64Array(capacity);
    this.#fingerprintHighs = new Uint32Array(capacity);
    this.#fingerprintLows = new Uint32Array(capacity);
    this.#offsets = new Uint32Array(capacity);
    this.#lengths = new Uint16Array(capacity);
    this.#index = new Uint16Array(indexSizeFor(capacity));
    this.#freeSlots = new Uint16Array(capacity);
    this.#freeCount = 0;
  }

  /** How many slots it holds, tombstones included. */
  get size(): number {
    return this.#size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Bytes of all records held. */
  get recordBytes(): number {
    return this.#arenaUsed;
  }

  /** Every slot index is below this; not each of them is held. For loops where `slots` is too slow. */
  get end(): number {
    return this.#highWater;
  }

  /** The slot's index, or -1. Stable for as long as the slot is held. */
  find(kind: SlotKind, keyHigh: number, keyLow: number): number {
    const mask = this.#index.length - 1;
    let probe = hashKey(kind, keyHigh, keyLow) & mask;
    for (;;) {
      const entry = this.#index[probe]!;
      if (entry === EMPTY) return NO_SLOT;
      if (entry !== VACATED && this.#isKey(entry - 2, kind, keyHigh, keyLow)) return entry - 2;
      probe = (probe + 1) & mask;
    }
  }

  findKey(kind: SlotKind, key: SlotKey): number {
    return this.find(kind, key.high, key.low);
  }

  holds(slot: number): boolean {
    return slot >= 0 && slot < this.#highWater && this.#lengths[slot] !== 0;
  }

  kind(slot: number): SlotKind {
    return (this.#kinds[slot]! & ~TOMBSTONE_BIT) as SlotKind;
  }

  isTombstone(slot: number): boolean {
    return (this.#kinds[slot]! & TOMBSTONE_BIT) !== 0;
  }

  keyHigh(slot: number): number {
    return this.#keyHighs[slot]!;
  }

  keyLow(slot: number): number {
    return this.#keyLows[slot]!;
  }

  stamp(slot: number): number {
    return this.#stamps[slot]!;
  }

  fingerprintHigh(slot: number): number {
    return this.#fingerprintHighs[slot]!;
  }

  fingerprintLow(slot: number): number {
    return this.#fingerprintLows[slot]!;
  }

  /** The record's bytes, as a view that is valid until the next `apply` or `remove`. */
  record(slot: number): Uint8Array {
    const offset = this.#offsets[slot]!;
    return this.#arena.subarray(offset, offset + this.#lengths[slot]!);
  }

  recordLength(slot: number): number {
    return this.#lengths[slot]!;
  }

  /**
   * Takes `offered` in when it wins over what is held under its key. Its signature has been
   * checked by the caller.
   * @param fingerprint the first 8 bytes of SHA-256 of the record
   */
  apply(offered: Slot, fingerprint: Uint8Array): ApplyResult {
    const kind = offered.kind;
    const held = this.find(kind, offered.keyHigh, offered.keyLow);
    if (held === NO_SLOT) return this.#insert(offered, fingerprint) ? "new" : "full";
    const order = this.#compare(offered, held);
    if (order < 0) return "older";
    if (order === 0) return "same";
    return this.#replace(held, offered, fingerprint) ? "newer" : "full";
  }

  /** What `apply` would answer, without applying: saves verifying what would lose. */
  wouldApply(offered: Slot): boolean {
    const held = this.find(offered.kind, offered.keyHigh, offered.keyLow);
    return held === NO_SLOT || this.#compare(offered, held) > 0;
  }

  /** Whether `count` new slots of deployers, of `recordBytes` together, still find room. */
  hasRoomFor(count: number, recordBytes: number): boolean {
    return (
      this.#size + count <= this.#capacity * DEPLOYERS_SHARE &&
      this.#arenaUsed + recordBytes <= this.#arena.length * DEPLOYERS_SHARE
    );
  }

  /** Forgets a slot: a tombstone that all have seen, or a slot whose author lost its right. */
  remove(slot: number): void {
    assert(this.holds(slot), "only a held slot is removed");
    this.#toggleMerkle(slot);
    this.#vacateIndex(slot);
    this.#arenaUsed -= this.#lengths[slot]!;
    this.#lengths[slot] = 0;
    this.#freeSlots[this.#freeCount++] = slot;
    this.#size -= 1;
  }

  /** The greatest stamp that at most `count` slots lie above; 0, and all do, in a small table. */
  stampBelowNewest(count: number): number {
    if (this.#size <= count) return 0;
    // New slots push the answer up, so that those above the last one nearly always suffice.
    if (this.#collectStamps(this.#newestFloor) <= count) this.#newestFloor = 0;
    const length = this.#collectStamps(this.#newestFloor);
    const stamps = stampScratch.subarray(0, length).sort();
    this.#newestFloor = stamps[length - 1 - count]!;
    return this.#newestFloor;
  }

  /** Every held slot's index, in no order of meaning. */
  *slots(): Generator<number> {
    for (let slot = 0; slot < this.#highWater; slot += 1) {
      if (this.#lengths[slot] !== 0) yield slot;
    }
  }

  /** Every held record, ordered by kind and key: equal tables give equal bytes. */
  *sortedRecords(): Generator<Uint8Array> {
    const order = [...this.slots()].sort((a, b) => this.#compareKeys(a, b));
    for (const slot of order) yield this.record(slot);
  }

  /** Writes the stamps above `floor` into the scratch. Returns how many. */
  #collectStamps(floor: number): number {
    let length = 0;
    for (let slot = 0; slot < this.#highWater; slot += 1) {
      if (this.#lengths[slot] === 0 || this.#stamps[slot]! <= floor) continue;
      stampScratch[length++] = this.#stamps[slot]!;
    }
    return length;
  }

  #insert(offered: Slot, fingerprint: Uint8Array): boolean {
    if (isDeployers(offered.kind) && !this.hasRoomFor(1, offered.record.length)) return false;
    if (this.#freeCount === 0 && this.#highWater === this.#capacity) return false;
    const offset = this.#allocate(offered.record.length);
    if (offset === NO_SLOT) return false;
    const slot = this.#freeCount > 0 ? this.#freeSlots[--this.#freeCount]! : this.#highWater++;
    this.#keyHighs[slot] = offered.keyHigh;
    this.#keyLows[slot] = offered.keyLow;
    this.#store(slot, offset, offered, fingerprint);
    this.#enterIndex(slot);
    this.#size += 1;
    return true;
  }

  #replace(slot: number, offered: Slot, fingerprint: Uint8Array): boolean {
    const oldLength = this.#lengths[slot]!;
    // The old record is given up only once there is room for the new one beside the rest.
    const used = this.#arenaUsed - oldLength + offered.record.length;
    const share = isDeployers(offered.kind) ? DEPLOYERS_SHARE : 1;
    const grows = offered.record.length > oldLength;
    if (grows && used > this.#arena.length * share) return false;
    this.#toggleMerkle(slot);
    this.#arenaUsed -= oldLength;
    this.#lengths[slot] = 0;
    const offset = this.#allocate(offered.record.length);
    assert(offset !== NO_SLOT, "the room was counted above");
    this.#store(slot, offset, offered, fingerprint);
    return true;
  }

  #store(slot: number, offset: number, offered: Slot, fingerprint: Uint8Array): void {
    this.#kinds[slot] = offered.kind | (offered.tombstone ? TOMBSTONE_BIT : 0);
    this.#stamps[slot] = offered.stamp;
    this.#offsets[slot] = offset;
    this.#lengths[slot] = offered.record.length;
    this.#arena.set(offered.record, offset);
    this.#fingerprintHighs[slot] = readU32BigEndian(fingerprint, 0);
    this.#fingerprintLows[slot] = readU32BigEndian(fingerprint, 4);
    this.#toggleMerkle(slot);
  }

  #allocate(length: number): number {
    if (this.#arenaUsed + length > this.#arena.length) return NO_SLOT;
    if (this.#arenaEnd + length > this.#arena.length) this.#compact();
    const offset = this.#arenaEnd;
    this.#arenaEnd += length;
    this.#arenaUsed += length;
    return offset;
  }

  /** Moves all records to the front of the arena, closing the holes that replaced ones left. */
  #compact(): void {
    const order = Uint16Array.from(this.slots()).sort(
      (a, b) => this.#offsets[a]! - this.#offsets[b]!,
    );
    let end = 0;
    for (const slot of order) {
      const offset = this.#offsets[slot]!;
      const length = this.#lengths[slot]!;
      this.#arena.copyWithin(end, offset, offset + length);
      this.#offsets[slot] = end;
      end += length;
    }
    assert(end === this.#arenaUsed, "the arena's count matches what lies in it");
    this.#arenaEnd = end;
  }

  /** Last writer wins; at the same instant the greater author; then the greater bytes. */
  #compare(offered: Slot, held: number): number {
    if (offered.stamp !== this.#stamps[held]) return offered.stamp - this.#stamps[held]!;
    const heldRecord = this.record(held);
    const byAuthor = compareBytes(authorBytesOf(offered.record), authorBytesOf(heldRecord));
    return byAuthor !== 0 ? byAuthor : compareBytes(offered.record, heldRecord);
  }

  #compareKeys(a: number, b: number): number {
    return (
      this.kind(a) - this.kind(b) ||
      this.#keyHighs[a]! - this.#keyHighs[b]! ||
      this.#keyLows[a]! - this.#keyLows[b]!
    );
  }

  #isKey(slot: number, kind: SlotKind, keyHigh: number, keyLow: number): boolean {
    return (
      this.#keyLows[slot] === keyLow && this.#keyHighs[slot] === keyHigh && this.kind(slot) === kind
    );
  }

  #toggleMerkle(slot: number): void {
    this.merkle.toggle(
      this.#keyLows[slot]!,
      this.#fingerprintHighs[slot]!,
      this.#fingerprintLows[slot]!,
    );
  }

  #enterIndex(slot: number): void {
    const mask = this.#index.length - 1;
    let probe = this.#hashSlot(slot) & mask;
    while (this.#index[probe]! > VACATED) probe = (probe + 1) & mask;
    if (this.#index[probe] === VACATED) this.#vacatedCount -= 1;
    this.#index[probe] = slot + 2;
  }

  #vacateIndex(slot: number): void {
    const mask = this.#index.length - 1;
    let probe = this.#hashSlot(slot) & mask;
    while (this.#index[probe] !== slot + 2) probe = (probe + 1) & mask;
    this.#index[probe] = VACATED;
    this.#vacatedCount += 1;
    // Marks of vacated entries lengthen every search; past a quarter the index is made anew.
    if (this.#vacatedCount > this.#index.length / 4) this.#rebuildIndex(slot);
  }

  #rebuildIndex(leftOut: number): void {
    this.#index.fill(EMPTY);
    this.#vacatedCount = 0;
    for (const slot of this.slots()) if (slot !== leftOut) this.#enterIndex(slot);
  }

  #hashSlot(slot: number): number {
    return hashKey(this.kind(slot), this.#keyHighs[slot]!, this.#keyLows[slot]!);
  }
}

/** A power of two that stays at most half full. */
function indexSizeFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity * 2));
}

/** Keys are hashes already; the kind tells a node's slot from its revocation and its drain. */
function hashKey(kind: SlotKind, keyHigh: number, keyLow: number): number {
  return (keyLow ^ Math.imul(keyHigh, 0x9e3779b1) ^ Math.imul(kind, 0x85ebca6b)) >>> 0;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function readU32BigEndian(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) |
      (bytes[offset + 1]! << 16) |
      (bytes[offset + 2]! << 8) |
      bytes[offset + 3]!) >>>
    0
  );
}

assert(Math.max(...KINDS_IN_ORDER) < TOMBSTONE_BIT, "a kind and its tombstone mark share a byte");
assert(SLOTS_MAX + 2 < 2 ** 16, "slot indexes and the marks of the index fit 16 bits");
