// Tells a packet that came before from one that is only late: RFC 6479's sliding bitmap, whose
// ring of words moves by whole words, so that nothing is ever shifted.

import { assert } from "../kernel/assert.ts";
import { REPLAY_WINDOW_PACKETS } from "../kernel/limits.ts";

const WORD_BITS = 32;
/** One word more than the window: the newest may be only partly in use. */
const WORDS = REPLAY_WINDOW_PACKETS / WORD_BITS + 1;

assert(Number.isInteger(WORDS), "the window is whole words");

/**
 * Counters already received. A counter is fresh when it is above the highest one received, or
 * at most REPLAY_WINDOW_PACKETS below it and not seen yet.
 */
export class ReplayWindow {
  readonly #words = new Uint32Array(WORDS);
  #highest = -1;

  /** Whether `counter` is new. Changes nothing: ask before the tag is checked. */
  isFresh(counter: number): boolean {
    if (counter > this.#highest) return true;
    if (this.#highest - counter > REPLAY_WINDOW_PACKETS) return false;
    return (this.#words[wordOf(counter)]! & bitOf(counter)) === 0;
  }

  /** Marks a fresh counter as received. Only for packets whose tag held. */
  accept(counter: number): void {
    if (counter > this.#highest) this.#advance(counter);
    const word = wordOf(counter);
    this.#words[word] = this.#words[word]! | bitOf(counter);
  }

  #advance(counter: number): void {
    const from = this.#highest < 0 ? -1 : Math.floor(this.#highest / WORD_BITS);
    const passed = Math.min(Math.floor(counter / WORD_BITS) - from, WORDS);
    for (let i = 1; i <= passed; i += 1) this.#words[(from + i) % WORDS] = 0;
    this.#highest = counter;
  }
}

function wordOf(counter: number): number {
  return Math.floor(counter / WORD_BITS) % WORDS;
}

function bitOf(counter: number): number {
  return (1 << (counter % WORD_BITS)) >>> 0;
}
