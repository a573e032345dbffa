// Proof that an INIT's sender receives at the address it sends from, asked for when half-open
// handshakes grow many. Nothing is stored for it: the cookie is a MAC of what it stands for.

import { COOKIE_ROTATION_MS } from "../kernel/limits.ts";
import type { Crypto, Endpoint, Random } from "../kernel/ports.ts";
import { COOKIE_BYTES, equalBytes, type KeyShare } from "./handshake.ts";

const SECRET_BYTES = 32;
const textEncoder = new TextEncoder();

/** Makes and checks cookies under a secret that changes every COOKIE_ROTATION_MS; the one before is accepted too. */
export class CookieMint {
  readonly #crypto: Crypto;
  readonly #random: Random;
  #secret: Uint8Array;
  #previousSecret: Uint8Array;
  #rotatedMs: number;

  constructor(crypto: Crypto, random: Random, nowMs: number) {
    this.#crypto = crypto;
    this.#random = random;
    this.#secret = random.bytes(SECRET_BYTES);
    this.#previousSecret = this.#secret;
    this.#rotatedMs = nowMs;
  }

  /** COOKIE_BYTES for an INIT with this key share from this address. */
  cookieFor(endpoint: Endpoint, share: KeyShare, nowMs: number): Uint8Array {
    this.#rotate(nowMs);
    return this.#mac(this.#secret, endpoint, share);
  }

  cookieValid(endpoint: Endpoint, share: KeyShare, cookie: Uint8Array, nowMs: number): boolean {
    this.#rotate(nowMs);
    return [this.#secret, this.#previousSecret].some((secret) =>
      equalBytes(cookie, this.#mac(secret, endpoint, share)),
    );
  }

  #mac(secret: Uint8Array, endpoint: Endpoint, share: KeyShare): Uint8Array {
    const address = textEncoder.encode(endpoint);
    const { ephemeral, nonce } = share;
    // Ephemeral and nonce are of fixed length, so the address may come last as it is.
    const message = new Uint8Array(ephemeral.length + nonce.length + address.length);
    message.set(ephemeral);
    message.set(nonce, ephemeral.length);
    message.set(address, ephemeral.length + nonce.length);
    return this.#crypto.hmacSha256(secret, message).subarray(0, COOKIE_BYTES);
  }

  /** A clock set back counts as long passed: better a cookie asked for twice than one valid for ever. */
  #rotate(nowMs: number): void {
    const ageMs = nowMs - this.#rotatedMs;
    if (ageMs >= 0 && ageMs < COOKIE_ROTATION_MS) return;
    const isLongPast = ageMs < 0 || ageMs >= 2 * COOKIE_ROTATION_MS;
    const fresh = this.#random.bytes(SECRET_BYTES);
    this.#previousSecret = isLongPast ? fresh : this.#secret;
    this.#secret = fresh;
    this.#rotatedMs = nowMs;
  }
}
