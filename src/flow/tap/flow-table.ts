// The flows that are watched: found by their five-tuple in either direction, the one longest
// silent making room. Open addressing over typed arrays; nothing is allocated once a place was used.

import { assert } from "../../kernel/assert.ts";
import { Flow, FlowCounters } from "./flow.ts";
import { FlowKeys } from "./flow-keys.ts";
import type { Packet } from "./packet.ts";

const NONE = -1;

export class FlowTable {
  readonly #capacity: number;
  readonly #keys: FlowKeys;
  readonly #counters: FlowCounters;
  /** Made when its place is first used. */
  readonly #flows: Flow[] = [];
  readonly #freeSlots: Int32Array;
  #freeCount: number;
  #nextId = 1;

  /** Slots by hash with linear probing; `NONE` where there is none. At most half full. */
  readonly #index: Int32Array;
  readonly #mask: number;
  readonly #hashes: Uint32Array;

  /** From the one longest silent to the one heard last. */
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  #oldest = NONE;
  #newest = NONE;

  /**
   * @param capacity flows at most
   * @param seed for the hash
   */
  constructor(capacity: number, seed: number) {
    assert(capacity > 0, "a flow table holds at least one flow");
    this.#capacity = capacity;
    this.#keys = new FlowKeys(capacity, seed);
    this.#counters = new FlowCounters(capacity);
    this.#freeSlots = Int32Array.from({ length: capacity }, (_, index) => capacity - 1 - index);
    this.#freeCount = capacity;
    this.#mask = 2 ** Math.ceil(Math.log2(2 * capacity)) - 1;
    this.#index = new Int32Array(this.#mask + 1).fill(NONE);
    this.#hashes = new Uint32Array(capacity);
    this.#older = new Int32Array(capacity).fill(NONE);
    this.#newer = new Int32Array(capacity).fill(NONE);
  }

  get size(): number {
    return this.#capacity - this.#freeCount;
  }

  get isFull(): boolean {
    return this.#freeCount === 0;
  }

  /** The flow longest silent, or null when there is none. */
  get oldest(): Flow | null {
    return this.#oldest === NONE ? null : this.#flows[this.#oldest]!;
  }

  /** The flow of `packet` as the one heard last, or null when it is not in the table. */
  find(packet: Packet): Flow | null {
    packet.senderIsFirst = this.#keys.read(packet);
    const slot = this.#index[this.#place(this.#keys.hash())]!;
    if (slot === NONE) return null;
    this.#unlink(slot);
    this.#linkNewest(slot);
    return this.#flows[slot]!;
  }

  /** Adds the flow of the packet that `find` last looked for in vain. There must be room. */
  add(packet: Packet): Flow {
    assert(!this.isFull, "room is made before a flow is added");
    const hash = this.#keys.hash();
    const place = this.#place(hash);
    assert(this.#index[place] === NONE, "a flow is added once");
    this.#freeCount -= 1;
    const slot = this.#freeSlots[this.#freeCount]!;
    this.#index[place] = slot;
    this.#hashes[slot] = hash;
    this.#keys.store(slot);
    this.#linkNewest(slot);
    this.#flows[slot] ??= new Flow(slot, this.#counters, this.#keys);
    const flow = this.#flows[slot];
    this.restart(flow, packet);
    return flow;
  }

  /** Makes a flow's place that of a new flow between the same endpoints. */
  restart(flow: Flow, packet: Packet): void {
    flow.start(this.#nextId, packet);
    this.#nextId += 1;
  }

  /** Keeps the hardware address of the packet's sender. */
  learnMac(flow: Flow, packet: Packet): void {
    this.#keys.storeMac(flow.slot, packet, packet.senderIsFirst);
  }

  remove(flow: Flow): void {
    const { slot } = flow;
    this.#removeFromIndex(slot);
    this.#unlink(slot);
    this.#freeSlots[this.#freeCount] = slot;
    this.#freeCount += 1;
  }

  /** Where the current key is in the index, or where it would be put. */
  #place(hash: number): number {
    let place = hash & this.#mask;
    for (;;) {
      const slot = this.#index[place]!;
      if (slot === NONE) return place;
      if (this.#hashes[slot] === hash && this.#keys.isAt(slot)) return place;
      place = (place + 1) & this.#mask;
    }
  }

  /** Closes the gap by moving later entries of the same run back (Knuth, volume 3, 6.4, algorithm R). */
  #removeFromIndex(slot: number): void {
    let gap = this.#hashes[slot]! & this.#mask;
    while (this.#index[gap] !== slot) gap = (gap + 1) & this.#mask;
    let place = gap;
    for (;;) {
      place = (place + 1) & this.#mask;
      const other = this.#index[place]!;
      if (other === NONE) break;
      const home = this.#hashes[other]! & this.#mask;
      const distanceFromHome = (place - home) & this.#mask;
      const distanceFromGap = (place - gap) & this.#mask;
      if (distanceFromHome < distanceFromGap) continue;
      this.#index[gap] = other;
      gap = place;
    }
    this.#index[gap] = NONE;
  }

  #linkNewest(slot: number): void {
    this.#older[slot] = this.#newest;
    this.#newer[slot] = NONE;
    if (this.#newest === NONE) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
  }

  #unlink(slot: number): void {
    const older = this.#older[slot]!;
    const newer = this.#newer[slot]!;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }
}
