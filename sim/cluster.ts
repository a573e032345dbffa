// The cluster that a simulation starts with: a root key, the nodes' keys, certificates and
// addresses, and the log of a node that has known all of them for long.

import { encodeLog } from "../src/db/log-format.ts";
import type { Crypto, Endpoint } from "../src/kernel/ports.ts";
import type { SeededRandom } from "../src/kernel/random.ts";
import { issueCertificate, ROLES } from "../src/net/certificate.ts";
import { type Identity, identityFromSeed } from "../src/net/identity.ts";
import type { LocalInfo } from "../src/node/interface.ts";
import { encodeNodeInfo } from "../src/schema/node-info-codec.ts";
import { ARCHITECTURES } from "../src/schema/service.ts";
import { nodeKey, SLOT_KIND, writeSlot } from "../src/schema/slot.ts";
import { STAMPS_PER_MS } from "../src/sync/hybrid-clock.ts";
import { drawInteger, drawItem } from "./draw.ts";
import { EPOCH_MS } from "./time.ts";

const PORT = 7946;
const ZONES = 3;
const TEN_YEARS_SECONDS = 10 * 365 * 24 * 3_600;
/** The nodes of a formed cluster wrote their slots this long before the simulation begins. */
const FORMED_BEFORE_MS = 3_600_000;

/** One node before it is started. */
export interface NodePlan {
  readonly index: number;
  readonly endpoint: Endpoint;
  readonly identity: Identity;
  readonly certificate: Uint8Array;
  readonly info: LocalInfo;
}

export interface ClusterPlan {
  readonly root: Identity;
  readonly nodes: readonly NodePlan[];
}

/** @param firstIndex of the nodes, from which their addresses follow */
export function planCluster(
  crypto: Crypto,
  random: SeededRandom,
  size: number,
  firstIndex = 0,
): ClusterPlan {
  const root = identityFromSeed(crypto, random.bytes(32));
  const nodes: NodePlan[] = [];
  for (let index = firstIndex; index < firstIndex + size; index += 1) {
    const identity = identityFromSeed(crypto, random.bytes(32));
    const certificate = issueCertificate(root.signer, {
      publicKey: identity.publicKey,
      zone: index % ZONES,
      roles: ROLES.member | ROLES.deployer,
      notAfterSeconds: EPOCH_MS / 1000 + TEN_YEARS_SECONDS,
      revocationBlock: 0,
    });
    nodes.push({
      index,
      endpoint: endpointOf(index),
      identity,
      certificate,
      info: drawInfo(random, index),
    });
  }
  return { root, nodes };
}

/** The log of a node that knows exactly `nodes`. */
export function formedLog(nodes: readonly NodePlan[]): Uint8Array<ArrayBuffer> {
  const records = nodes.map((node, order) => nodeRecord(node, order));
  return new Uint8Array(encodeLog(records, 0));
}

function nodeRecord(node: NodePlan, order: number): Uint8Array {
  const { nodeId, signer } = node.identity;
  const body = encodeNodeInfo({
    ...node.info,
    certificate: node.certificate,
    claims: [],
    tombstoneAck: null,
  });
  const stamp = (EPOCH_MS - FORMED_BEFORE_MS + order) * STAMPS_PER_MS;
  const head = { kind: SLOT_KIND.node, tombstone: false, key: nodeKey(nodeId), stamp };
  return writeSlot({ ...head, author: nodeId, body }, signer);
}

function endpointOf(index: number): Endpoint {
  const host = index + 1;
  return `10.0.${host >>> 8}.${host & 0xff}:${PORT}`;
}

function drawInfo(random: SeededRandom, index: number): LocalInfo {
  return {
    hostname: `node-${index}`,
    endpoints: [endpointOf(index)],
    arch: drawItem(random, ARCHITECTURES.slice(0, 2)),
    memoryMiB: 1_024 * drawInteger(random, [1, 64]),
    devices: [],
    labels: [["rack", `r${index % 4}`]],
    draining: false,
  };
}
