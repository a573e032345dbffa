// Who a node is: an Ed25519 key, and the id that follows from it.

import { assert } from "../kernel/assert.ts";
import type { Crypto, Signer } from "../kernel/ports.ts";
import { type NodeId, nodeIdOf } from "../schema/node-id.ts";

/** The private half of an identity: what `myco` keeps in its key file. */
export const KEY_SEED_BYTES = 32;

export interface Identity {
  readonly nodeId: NodeId;
  readonly publicKey: Uint8Array;
  readonly signer: Signer;
}

/** @param seed the 32-byte private key of RFC 8032; serves nodes and the cluster's root alike */
export function identityFromSeed(crypto: Crypto, seed: Uint8Array): Identity {
  assert(seed.length === KEY_SEED_BYTES, "a key seed is 32 bytes");
  const signer = crypto.signer(seed);
  return {
    nodeId: nodeIdOf(crypto, signer.publicKey),
    publicKey: signer.publicKey,
    signer,
  };
}
