// One direction's traffic as the ticks read it: what crosses the line, and whether it waits in our
// own shaper. A tick that could not be read leaves no trace.

import { assert } from "../../kernel/assert.ts";
import type { DirectionSample } from "../interface.ts";
import { History } from "./history.ts";
import type { LinkLayer } from "./link-layer.ts";
import { wireShare } from "./link-layer.ts";

/** Over which the usual rate is meant. */
const RATE_WINDOW_MS = 300;
/** Less than two packets, or a moment's worth, is no queue. */
const QUEUE_BYTES_MIN = 2 * 1_514;
const QUEUE_MS_MIN = 0.4;
/** No line of a router is faster: a counter that says so is wrong. */
const PLAUSIBLE_KBIT_MAX = 400_000_000;
/** A rate above this share of the shaper's means that more would come if it could. */
const SATURATED_SHARE = 0.92;

/** Rates are kbit/s as the shaper counts them, link layer included. */
export class Traffic {
  readonly #bytes = new History();
  #wireShare: number;
  #atMs = Number.NEGATIVE_INFINITY;
  #lineKbit: number | null = null;
  #backlogBytes: number | null = null;
  #dropped: number | null = null;
  /** The newest ticks in which our own queue was seen, one bit each. */
  #queuedBits = 0;

  constructor(linkLayer: LinkLayer) {
    this.#wireShare = wireShare(linkLayer);
  }

  set linkLayer(linkLayer: LinkLayer) {
    this.#wireShare = wireShare(linkLayer);
  }

  /** What crosses the line, over the last moments; null: not known. */
  get lineKbit(): number | null {
    return this.#lineKbit;
  }

  /** Waiting in our own shaper at the last tick; null: not known. */
  get backlogBytes(): number | null {
    return this.#backlogBytes;
  }

  /** Whether our own shaper held a queue in two of the last three ticks: the line did not hold us up. */
  get queued(): boolean {
    const bits = this.#queuedBits & 7;
    return bits === 7 || bits === 6 || bits === 5 || bits === 3;
  }

  /** Whether it held none in any of them: whatever waits, waits elsewhere. */
  get unqueued(): boolean {
    return (this.#queuedBits & 3) === 0;
  }

  /** @param rateKbit the shaper's */
  saturated(rateKbit: number): boolean {
    return this.queued || (this.#lineKbit ?? 0) >= SATURATED_SHARE * rateKbit;
  }

  add(atMs: number, sample: DirectionSample | null, rateKbit: number): void {
    assert(atMs > this.#atMs, "ticks come in order");
    this.#atMs = atMs;
    this.#addShaper(sample, rateKbit);
    const bytes = sample?.lineBytes ?? null;
    if (bytes === null) {
      this.#lineKbit = null;
      return;
    }
    const before = this.#bytes.last;
    // A counter that went back was made anew with its interface.
    if (before !== null && bytes < before) this.#bytes.clear();
    this.#bytes.add(atMs, bytes);
    this.#lineKbit = this.rateSince(atMs - RATE_WINDOW_MS);
  }

  /** Mean rate from `sinceMs` to `untilMs`, or to the last tick; null: not known. */
  rateSince(sinceMs: number, untilMs?: number): number | null {
    const bytesAMs = this.#bytes.growth(sinceMs, untilMs);
    if (bytesAMs === null) return null;
    const kbit = bytesAMs * 8 * this.#wireShare;
    return kbit <= PLAUSIBLE_KBIT_MAX ? kbit : null;
  }

  #addShaper(sample: DirectionSample | null, rateKbit: number): void {
    const shaper = sample?.shaper ?? null;
    this.#backlogBytes = shaper?.backlogBytes ?? null;
    if (shaper === null) return;
    const queueBytesMin = Math.max(QUEUE_BYTES_MIN, (rateKbit / 8) * QUEUE_MS_MIN);
    const dropping = this.#dropped !== null && shaper.droppedPackets > this.#dropped;
    this.#dropped = shaper.droppedPackets;
    const queued = dropping || shaper.backlogBytes >= queueBytesMin;
    this.#queuedBits = ((this.#queuedBits << 1) | (queued ? 1 : 0)) & 0xff;
  }
}
