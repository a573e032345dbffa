// Draining: a deployer's word that a node takes no more work, for as long as the word stands.

import { describe, expect, test } from "vitest";
import { ROLES } from "../../src/net/certificate.ts";
import { encodeDrain } from "../../src/node/authority.ts";
import { SlotStore } from "../../src/node/slot-store.ts";
import type { NodeId } from "../../src/schema/node-id.ts";
import { nodeKey, SLOT_KIND, type SlotContent, writeSlot } from "../../src/schema/slot.ts";
import { identityOf, NOW_MS } from "../net/nodes.ts";
import { type ClusterNode, crypto, formedCluster, revocationOf, root } from "./cluster.ts";
import { nodeRecord, stampAt } from "./records.ts";

const SPREAD_MS = 20_000;

function drainedAt(observer: ClusterNode, target: ClusterNode): NodeId | null {
  return observer.replica.drainedBy(target.nodeId);
}

describe("a node that is drained", () => {
  test("is known as such everywhere, itself included, and its undoing too", () => {
    const cluster = formedCluster(["a", "b", "c"]);
    const [a, b, c] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
    // When one node drains another
    expect(a.replica.setDrained(c.nodeId, true, cluster.nowMs).ok).toBe(true);
    a.finishLog();
    // Then all know it, and who said so
    const isKnown = () => cluster.nodes.every((node) => drainedAt(node, c) === a.nodeId);
    expect(cluster.runUntil(isKnown, SPREAD_MS)).not.toBeNull();
    const views = b.replica.members(cluster.nowMs);
    expect(views.map(({ nodeId, drainedBy }) => [nodeId, drainedBy]).sort()).toEqual(
      [
        [a.nodeId, null],
        [b.nodeId, null],
        [c.nodeId, a.nodeId],
      ].sort(),
    );
    // When another takes it back
    expect(b.replica.setDrained(c.nodeId, false, cluster.nowMs).ok).toBe(true);
    b.finishLog();
    // Then nobody holds to it
    const isOver = () => cluster.nodes.every((node) => drainedAt(node, c) === null);
    expect(cluster.runUntil(isOver, SPREAD_MS)).not.toBeNull();
    expect(cluster.runUntil(() => cluster.hasConverged, SPREAD_MS)).not.toBeNull();
  });

  test("stays drained over restarts of all, from log and from snapshot", () => {
    const cluster = formedCluster(["a", "b"]);
    const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
    a.replica.setDrained(b.nodeId, true, cluster.nowMs);
    a.finishLog();
    expect(cluster.runUntil(() => drainedAt(b, b) === a.nodeId, SPREAD_MS)).not.toBeNull();
    a.snapshot();
    for (const node of cluster.nodes) node.stop();
    for (const node of cluster.nodes) node.start();
    expect(cluster.nodes.map((node) => drainedAt(node, b))).toEqual([a.nodeId, a.nodeId]);
  });

  test("may be down: it hears of it when it comes back", () => {
    const cluster = formedCluster(["a", "b"]);
    const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
    b.stop();
    a.replica.setDrained(b.nodeId, true, cluster.nowMs);
    a.finishLog();
    cluster.run(30_000);
    expect(a.statusOf(b)).toBe("dead");
    b.start();
    expect(cluster.runUntil(() => drainedAt(b, b) === a.nodeId, 60_000)).not.toBeNull();
  });

  test("is so only once the log has the word", () => {
    const cluster = formedCluster(["a", "b"]);
    const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
    a.isLogHeld = true;
    const answer = a.replica.setDrained(b.nodeId, true, cluster.nowMs);
    expect(drainedAt(a, b)).toBeNull();
    a.isLogHeld = false;
    a.finishLog();
    expect(drainedAt(a, b)).toBe(a.nodeId);
    expect(answer.ok && a.settled.get(answer.sequence)).toBe(true);
  });
});

describe("the word of one who may not drain", () => {
  test("is refused where it is given, and by everybody else", () => {
    const cluster = formedCluster(["a", { name: "worker", certificate: { roles: ROLES.member } }]);
    const [a, worker] = cluster.nodes as [ClusterNode, ClusterNode];
    const answer = worker.replica.setDrained(a.nodeId, true, cluster.nowMs);
    expect(answer).toEqual({ ok: false, reason: "not-a-deployer" });
    const { store } = storeThatKnows("worker", ROLES.member);
    expect(store.offer(drain(a.nodeId, "worker"), NOW_MS)).toBe("forged");
  });

  test("ends with its author's revocation", () => {
    const cluster = formedCluster(["a", "b", "c"]);
    const [a, b, c] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
    b.replica.setDrained(c.nodeId, true, cluster.nowMs);
    b.finishLog();
    expect(cluster.runUntil(() => drainedAt(a, c) === b.nodeId, SPREAD_MS)).not.toBeNull();
    a.offer(revocationOf(b.nodeId, 1, cluster.nowMs));
    expect(drainedAt(a, c)).toBeNull();
  });

  test("is refused when its body names another node than its key", () => {
    const { store, author } = storeThatKnows("boss", ROLES.member | ROLES.deployer);
    const target = identityOf("target").nodeId;
    const other = encodeDrain(identityOf("other").nodeId);
    expect(store.offer(drain(target, "boss", { body: other }), NOW_MS)).toBe("forged");
    expect(store.offer(drain(target, "boss", { body: new Uint8Array(0) }), NOW_MS)).toBe("forged");
    expect(store.offer(drain(target, "boss"), NOW_MS)).toBe("applied");
    expect(author.nodeId).not.toBe(target);
  });

  test("waits for its author's own slot", () => {
    const { store } = storeThatKnows("boss", ROLES.member | ROLES.deployer);
    expect(store.offer(drain(identityOf("x").nodeId, "unheard-of"), NOW_MS)).toBe("unknown-author");
  });
});

test("the later word wins, whoever gave it, in whatever order both come", () => {
  const target = identityOf("target").nodeId;
  const earlier = drain(target, "boss", { stamp: stampAt(1) });
  const later = drain(target, "boss", { stamp: stampAt(2), tombstone: true });
  for (const order of [
    [earlier, later],
    [later, earlier],
  ]) {
    const { store } = storeThatKnows("boss", ROLES.member | ROLES.deployer);
    for (const record of order) store.offer(record, NOW_MS);
    const key = nodeKey(target);
    expect(store.table.isTombstone(store.table.findKey(SLOT_KIND.drain, key))).toBe(true);
  }
});

test("drains leave the last eighth of a table to nodes and revocations", () => {
  const { store } = storeThatKnows("boss", ROLES.member | ROLES.deployer, 16);
  const results = Array.from({ length: 16 }, (_, index) =>
    store.offer(drain(identityOf(`target-${index}`).nodeId, "boss"), NOW_MS),
  );
  // One place of the fourteen is the author's own slot.
  expect(results.filter((result) => result === "applied")).toHaveLength(13);
  expect(store.offer(nodeRecord("another", { atMs: 0 }), NOW_MS)).toBe("applied");
});

function drain(target: NodeId, author: string, change: Partial<SlotContent> = {}): Uint8Array {
  const identity = identityOf(author);
  const content = {
    kind: SLOT_KIND.drain,
    tombstone: false,
    key: nodeKey(target),
    stamp: stampAt(0),
    author: identity.nodeId,
    body: encodeDrain(target),
    ...change,
  };
  const body = content.tombstone ? new Uint8Array(0) : content.body;
  return writeSlot({ ...content, body }, identity.signer);
}

/** A store that holds the slot of a node with these roles. */
function storeThatKnows(name: string, roles: number, slots = 64) {
  const self = identityOf("self");
  const author = identityOf(name);
  const store = new SlotStore({
    crypto,
    journal: { append: () => 1 },
    signer: self.signer,
    selfId: self.nodeId,
    rootPublicKey: root.publicKey,
    capacity: { slots, arenaBytes: 64 * 1_024 },
    listener: { slotApplied: () => {}, slotRemoved: () => {} },
  });
  store.offer(nodeRecord(name, { atMs: -10, certificate: { roles } }), NOW_MS);
  return { store, author };
}
