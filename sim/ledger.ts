// What the outside world was promised: every write that a node acknowledged, and every write
// that was tried, so that an invariant can tell a loss from a later writer's doing.

import { keyToHex, type SlotKey } from "../src/schema/slot.ts";
import type { HeldSlot } from "./node-host.ts";

/** All that is known from outside about one service's slot. */
export interface LedgerEntry {
  readonly key: SlotKey;
  /** The acknowledged write with the greatest stamp. */
  acknowledged: HeldSlot | null;
  /** The node that acknowledged it, and so has it on its disk; -1 once that disk has rotted. */
  keeper: number;
  /** The greatest stamps that were tried, acknowledged or not; 0 for none. */
  triedPutStamp: number;
  triedDeleteStamp: number;
}

export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  /** The same in a fixed order, for checks that take turns. */
  readonly entries: LedgerEntry[] = [];
  acknowledgedCount = 0;

  /** A node took a write and will settle it. */
  tried(key: SlotKey, write: HeldSlot): void {
    const entry = this.#entryOf(key);
    if (write.tombstone) entry.triedDeleteStamp = Math.max(entry.triedDeleteStamp, write.stamp);
    else entry.triedPutStamp = Math.max(entry.triedPutStamp, write.stamp);
  }

  /** The node of this index says that the write will last. */
  acknowledge(key: SlotKey, write: HeldSlot, keeper: number): void {
    const entry = this.#entryOf(key);
    this.acknowledgedCount += 1;
    if (entry.acknowledged === null || write.stamp > entry.acknowledged.stamp) {
      entry.acknowledged = write;
      entry.keeper = keeper;
    }
  }

  /** A disk has rotted: what it is known to hold, it may hold no more. */
  rotted(keeper: number): void {
    for (const entry of this.entries) if (entry.keeper === keeper) entry.keeper = -1;
  }

  clear(): void {
    this.#entries.clear();
    this.entries.length = 0;
  }

  #entryOf(key: SlotKey): LedgerEntry {
    const name = keyToHex(key);
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { key, acknowledged: null, keeper: -1, triedPutStamp: 0, triedDeleteStamp: 0 };
      this.#entries.set(name, entry);
      this.entries.push(entry);
    }
    return entry;
  }
}

/**
 * Whether what a node holds keeps the promise: the acknowledged write or a later one, or
 * nothing at all where a delete came last and its tombstone may be reaped.
 */
export function keepsPromise(entry: LedgerEntry, held: HeldSlot | null): boolean {
  const promised = entry.acknowledged;
  if (promised === null) return true;
  if (held !== null) return held.stamp >= promised.stamp;
  return promised.tombstone || entry.triedDeleteStamp > promised.stamp;
}
