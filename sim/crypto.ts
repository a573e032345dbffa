// The product's own cryptography, with one shortcut: a signature that was verified once is not
// verified again by the next simulated node. Verification is a pure function of its input, so
// no outcome changes; a real node pays for each, as the benches show.

import { NodeCrypto } from "../src/io/crypto.ts";
import type { Signer } from "../src/kernel/ports.ts";

/** Verdicts remembered; past that all are forgotten at once. */
const REMEMBERED_MAX = 16_384;

interface Verdict {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly holds: boolean;
}

export class SharedCrypto extends NodeCrypto {
  readonly #verdicts = new Map<string, Verdict>();

  override verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const name = Buffer.from(signature).toString("latin1");
    const known = this.#verdicts.get(name);
    if (
      known !== undefined &&
      Buffer.compare(known.publicKey, publicKey) === 0 &&
      Buffer.compare(known.message, message) === 0
    ) {
      return known.holds;
    }
    const holds = super.verify(publicKey, message, signature);
    if (this.#verdicts.size >= REMEMBERED_MAX) this.#verdicts.clear();
    this.#verdicts.set(name, { publicKey: publicKey.slice(), message: message.slice(), holds });
    return holds;
  }

  /** Gives the memory back. */
  forget(): void {
    this.#verdicts.clear();
  }
}

/** Slots are signed over bytes that begin so; a liar still proves its key in a handshake. */
const SLOT_MESSAGE_START = Buffer.from("myco slot");

/** A member that has turned: its slots carry signatures that do not hold. */
export function lyingSigner(honest: Signer): Signer {
  return {
    publicKey: honest.publicKey,
    sign(message) {
      const signature = honest.sign(message);
      const start = message.subarray(0, SLOT_MESSAGE_START.length);
      if (Buffer.compare(start, SLOT_MESSAGE_START) === 0) signature[0]! ^= 1;
      return signature;
    },
  };
}

/** What a liar needs to go along with its own lies. */
export class CredulousCrypto extends NodeCrypto {
  override verify(): boolean {
    return true;
  }
}
