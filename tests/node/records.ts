// Signed records of a small cluster, for the tests of who may write what.

import type { CertificateFields } from "../../src/net/certificate.ts";
import type { Identity } from "../../src/net/identity.ts";
import { encodeNodeInfo } from "../../src/schema/node-info-codec.ts";
import { encodeService } from "../../src/schema/service-codec.ts";
import { nodeKey, SLOT_KIND, serviceKey, writeSlot } from "../../src/schema/slot.ts";
import { STAMPS_PER_MS } from "../../src/sync/hybrid-clock.ts";
import { identityOf, NOW_MS } from "../net/nodes.ts";
import { certificateFor, crypto, infoOf, serviceOf } from "./cluster.ts";

/** The stamp of this many milliseconds after NOW_MS. */
export function stampAt(afterMs: number): number {
  return (NOW_MS + afterMs) * STAMPS_PER_MS;
}

export interface NodeRecordShape {
  /** ms after NOW_MS. */
  readonly atMs: number;
  readonly certificate?: Partial<CertificateFields>;
  /** Default: the node's own, from the root. */
  readonly certificateBytes?: Uint8Array;
  /** Who signs, and says so. Default: the node. */
  readonly signer?: Identity;
}

/** The slot of the node of this name. */
export function nodeRecord(name: string, shape: NodeRecordShape): Uint8Array {
  const identity = identityOf(name);
  const author = shape.signer ?? identity;
  const certificate = shape.certificateBytes ?? certificateFor(identity, shape.certificate);
  return writeSlot(
    {
      kind: SLOT_KIND.node,
      tombstone: false,
      key: nodeKey(identity.nodeId),
      stamp: stampAt(shape.atMs),
      author: author.nodeId,
      body: encodeNodeInfo({
        ...infoOf(name, "10.0.0.1:7946"),
        certificate,
        claims: [],
        tombstoneAck: null,
      }),
    },
    author.signer,
  );
}

/** A service, or its deletion, by `author`. */
export function serviceRecord(
  name: string,
  author: Identity,
  atMs: number,
  tombstone = false,
): Uint8Array {
  return writeSlot(
    {
      kind: SLOT_KIND.service,
      tombstone,
      key: serviceKey(crypto, name),
      stamp: stampAt(atMs),
      author: author.nodeId,
      body: tombstone ? new Uint8Array(0) : encodeService(serviceOf(name)),
    },
    author.signer,
  );
}
