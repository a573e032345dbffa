// One node's disk as its log sees it: writes that take ticks, run out of space, are lost or
// torn by a crash, and bytes that rot.

import { assert } from "../src/kernel/assert.ts";
import { LOG_BYTES_MAX } from "../src/kernel/limits.ts";
import type { LogStorage, Random, WriteDone } from "../src/kernel/ports.ts";
import { randomBelow, randomChance } from "../src/kernel/random.ts";

/** A write on its way to the disk. */
interface PendingWrite {
  readonly kind: "append" | "replace";
  readonly bytes: Uint8Array;
  readonly dueTick: number;
  readonly done: WriteDone;
}

/** What a disk says when it is full, with the code that the system gives. */
export class DiskFullError extends Error {
  override readonly name = "DiskFullError";
  readonly code = "ENOSPC";
}

export class SimulatedDisk implements LogStorage {
  /** Ticks that a write takes; at 0 it ends with the tick in which it began. */
  writeTicks = 0;
  /** Writes that begin before this tick find no space. */
  fullUntilTick = 0;
  /** The log's bytes and room to grow; `#sizeBytes` of them count. */
  #buffer = new Uint8Array();
  #sizeBytes = 0;
  /** The buffer belongs to others too: it is copied before it is changed. */
  #isShared = true;
  #pending: PendingWrite | null = null;
  #tick = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** What a start would find, as a view. */
  get content(): Uint8Array {
    return this.#buffer.subarray(0, this.#sizeBytes);
  }

  /** Memory that stands for this disk alone: the simulator's, not the node's. */
  get ownedBytes(): number {
    return this.#isShared ? 0 : this.#buffer.length;
  }

  get isWriting(): boolean {
    return this.#pending !== null;
  }

  /** Puts a log in place before the first start. It may serve many disks. */
  format(content: Uint8Array<ArrayBuffer>): void {
    this.#buffer = content;
    this.#sizeBytes = content.length;
    this.#isShared = true;
  }

  read(): Uint8Array {
    return this.content;
  }

  truncate(sizeBytes: number): void {
    this.#sizeBytes = Math.min(this.#sizeBytes, sizeBytes);
  }

  append(bytes: Uint8Array, done: WriteDone): void {
    this.#begin({ kind: "append", bytes, done, dueTick: this.#tick + this.writeTicks });
  }

  replace(bytes: Uint8Array, done: WriteDone): void {
    this.#begin({ kind: "replace", bytes, done, dueTick: this.#tick + this.writeTicks });
  }

  /** Ends the writes that are due, those that they give rise to included. */
  tick(tick: number): void {
    this.#tick = tick;
    while (this.#pending !== null && tick >= this.#pending.dueTick) this.#end(this.#pending);
  }

  /**
   * The machine stops. A replacement is there whole or not at all; an append as far as it
   * came: nothing, all of it, a part, or a part and whatever stood in the sectors after it.
   */
  crash(): void {
    const pending = this.#pending;
    this.#pending = null;
    if (pending === null) return;
    if (pending.kind === "replace") {
      if (randomChance(this.#random, 0.5)) this.#put(pending.bytes);
      return;
    }
    this.#extend(this.#torn(pending.bytes));
  }

  /** Flips some bits of what was durable. @returns whether there was anything to flip */
  rot(): boolean {
    if (this.#sizeBytes === 0) return false;
    this.#reserve(0);
    for (let flips = 1 + randomBelow(this.#random, 3); flips > 0; flips -= 1) {
      const at = randomBelow(this.#random, this.#sizeBytes);
      this.#buffer[at]! ^= 1 << randomBelow(this.#random, 8);
    }
    return true;
  }

  #begin(write: PendingWrite): void {
    assert(this.#pending === null, "the log has one write under way at a time");
    this.#pending = write;
  }

  #end({ kind, bytes, done }: PendingWrite): void {
    this.#pending = null;
    if (this.#tick < this.fullUntilTick) {
      // A full disk takes a part of an append; a replacement leaves the old content alone.
      if (kind === "append") this.#extend(this.#part(bytes));
      done(new DiskFullError("no space left on the simulated disk"));
      return;
    }
    if (kind === "append") this.#extend(bytes);
    else this.#put(bytes);
    assert(this.#sizeBytes <= LOG_BYTES_MAX, "the log keeps its bound");
    done(null);
  }

  #put(content: Uint8Array): void {
    this.#sizeBytes = 0;
    this.#buffer = new Uint8Array();
    this.#extend(content);
  }

  #extend(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#sizeBytes);
    this.#sizeBytes += bytes.length;
  }

  /** Makes the buffer our own, with room for `bytes` more. */
  #reserve(bytes: number): void {
    const wanted = this.#sizeBytes + bytes;
    if (!this.#isShared && wanted <= this.#buffer.length) return;
    const buffer = new Uint8Array(wanted + (wanted >>> 2));
    buffer.set(this.content);
    this.#buffer = buffer;
    this.#isShared = false;
  }

  #part(bytes: Uint8Array): Uint8Array {
    return bytes.subarray(0, randomBelow(this.#random, bytes.length + 1));
  }

  #torn(bytes: Uint8Array): Uint8Array {
    const kept = this.#part(bytes);
    const rest = bytes.length - kept.length;
    switch (randomBelow(this.#random, 4)) {
      case 0:
        return new Uint8Array();
      case 1:
        return kept;
      case 2:
        return joined(kept, new Uint8Array(rest));
      default:
        return joined(kept, this.#random.bytes(rest));
    }
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}
