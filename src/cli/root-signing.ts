// What the operator signs with the root key: revocations, and services that outlive the node
// that deployed them.

import type { Crypto } from "../kernel/ports.ts";
import type { Identity } from "../net/identity.ts";
import { encodeRevocation } from "../node/authority.ts";
import { encodeDeployPacket } from "../schema/deploy-packet.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ServiceSpec } from "../schema/service.ts";
import { encodeService } from "../schema/service-codec.ts";
import { nodeKey, SLOT_KIND, serviceKey, writeSlot } from "../schema/slot.ts";
import { STAMPS_PER_MS } from "../sync/hybrid-clock.ts";

/** A stamp above all of `slots` and not behind the wall clock. */
export function stampAfter(slots: readonly { readonly stamp: number }[], nowMs: number): number {
  return slots.reduce(
    (stamp, slot) => Math.max(stamp, slot.stamp + 1),
    Math.floor(nowMs) * STAMPS_PER_MS,
  );
}

/** @returns the deploy packet of the service under the root's own signature */
export function signService(
  crypto: Crypto,
  root: Identity,
  spec: ServiceSpec,
  stamp: number,
): Uint8Array {
  const record = writeSlot(
    {
      kind: SLOT_KIND.service,
      tombstone: false,
      key: serviceKey(crypto, spec.name),
      stamp,
      author: root.nodeId,
      body: encodeService(spec),
    },
    root.signer,
  );
  return encodeDeployPacket(crypto, root.nodeId, record);
}

/**
 * @param block one above the highest the cluster knows
 * @returns the signed record
 */
export function signRevocation(
  root: Identity,
  target: NodeId,
  block: number,
  stamp: number,
): Uint8Array {
  return writeSlot(
    {
      kind: SLOT_KIND.revocation,
      tombstone: false,
      key: nodeKey(target),
      stamp,
      author: root.nodeId,
      body: encodeRevocation(block),
    },
    root.signer,
  );
}
