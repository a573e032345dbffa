// How many calls of the daemon's objects are answered. A client that calls without pause, or many
// that call once, must not hold up the loop.

import {
  UBUS_ALL_CALLS_A_SECOND,
  UBUS_ALL_CALLS_BURST,
  UBUS_CALLS_A_SECOND,
  UBUS_CALLS_BURST,
  UBUS_CLIENTS_MAX,
} from "../../kernel/limits.ts";

/** A token bucket. */
interface Bucket {
  tokens: number;
  filledAtMs: number;
}

export class CallLimiter {
  readonly #all: Bucket = { tokens: UBUS_ALL_CALLS_BURST, filledAtMs: 0 };
  /** By client id, the one longest silent first. */
  readonly #clients = new Map<number, Bucket>();

  /** How many clients are counted. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** Whether the call is to be answered. A client's call that is refused costs the others nothing. */
  take(client: number, nowMs: number): boolean {
    const own = this.#bucketOf(client, nowMs);
    fill(own, UBUS_CALLS_A_SECOND, UBUS_CALLS_BURST, nowMs);
    fill(this.#all, UBUS_ALL_CALLS_A_SECOND, UBUS_ALL_CALLS_BURST, nowMs);
    if (own.tokens < 1 || this.#all.tokens < 1) return false;
    own.tokens -= 1;
    this.#all.tokens -= 1;
    return true;
  }

  #bucketOf(client: number, nowMs: number): Bucket {
    const bucket = this.#clients.get(client) ?? { tokens: UBUS_CALLS_BURST, filledAtMs: nowMs };
    this.#clients.delete(client);
    if (this.#clients.size >= UBUS_CLIENTS_MAX) {
      const [silent] = this.#clients.keys();
      this.#clients.delete(silent!);
    }
    this.#clients.set(client, bucket);
    return bucket;
  }
}

function fill(bucket: Bucket, perSecond: number, burst: number, nowMs: number): void {
  const elapsedMs = Math.max(0, nowMs - bucket.filledAtMs);
  bucket.tokens = Math.min(burst, bucket.tokens + (elapsedMs * perSecond) / 1_000);
  bucket.filledAtMs = nowMs;
}
