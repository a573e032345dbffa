// A queue with a bound and a rule for when it is full: the oldest makes room.

import { assert } from "./assert.ts";

/** First in, first out, over a ring of fixed size. Memory is taken once, at construction. */
export class BoundedQueue<T> {
  readonly capacity: number;
  readonly #ring: (T | undefined)[];
  #head = 0;
  #length = 0;
  #droppedCount = 0;

  /** @param capacity how many items it holds; more push the oldest out */
  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity > 0, "a queue holds at least one item");
    this.capacity = capacity;
    this.#ring = new Array<T | undefined>(capacity).fill(undefined);
  }

  get length(): number {
    return this.#length;
  }

  /** How many items were pushed out unread since construction. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Adds `item`; when full, drops and returns the oldest. */
  push(item: T): T | undefined {
    let dropped: T | undefined;
    if (this.#length === this.capacity) {
      dropped = this.shift();
      this.#droppedCount += 1;
    }
    this.#ring[(this.#head + this.#length) % this.capacity] = item;
    this.#length += 1;
    return dropped;
  }

  /** Takes the oldest item, or undefined when empty. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.capacity;
    this.#length -= 1;
    return item;
  }

  /** The items, oldest first. */
  toArray(): T[] {
    return Array.from(
      { length: this.#length },
      (_, index) => this.#ring[(this.#head + index) % this.capacity] as T,
    );
  }

  clear(): void {
    this.#ring.fill(undefined);
    this.#head = 0;
    this.#length = 0;
  }
}
