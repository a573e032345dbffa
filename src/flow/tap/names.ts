// Which name an address goes by: learned from DNS answers, kept for as long as they are good,
// the least recently used making room.

import { assert } from "../../kernel/assert.ts";

/** Programs keep connections, and addresses, beyond what an answer allows. */
const LIFETIME_MS_MIN = 10 * 60_000;
const LIFETIME_MS_MAX = 6 * 3_600_000;

interface Entry {
  readonly name: string;
  readonly untilMs: number;
}

/** Keys are strings of address bytes, one character a byte. */
export class NameTable {
  readonly #capacity: number;
  /** A map keeps the order of insertion: the first is the least recently used. */
  readonly #entries = new Map<string, Entry>();

  constructor(capacity: number) {
    assert(capacity > 0, "a name table holds at least one name");
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @param lifetimeMs how long the name is good, stretched to ten minutes and cut at six hours */
  learn(key: string, name: string, nowMs: number, lifetimeMs: number): void {
    const keptMs = Math.min(LIFETIME_MS_MAX, Math.max(LIFETIME_MS_MIN, lifetimeMs));
    this.#entries.delete(key);
    if (this.#entries.size === this.#capacity) {
      const [oldest] = this.#entries.keys();
      this.#entries.delete(oldest!);
    }
    this.#entries.set(key, { name, untilMs: nowMs + keptMs });
  }

  /** The name, or null when none is known or it is no longer good. */
  find(key: string, nowMs: number): string | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#entries.delete(key);
    if (entry.untilMs < nowMs) return null;
    this.#entries.set(key, entry);
    return entry.name;
  }
}
