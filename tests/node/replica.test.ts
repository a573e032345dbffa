// The replica as a whole: tables that meet become one, and a node's past is what its log and
// its peers make of it.

import { describe, expect, test } from "vitest";
import { CLOCK_DRIFT_MAX_MS, STAMPS_PER_MS } from "../../src/sync/hybrid-clock.ts";
import { Cluster, formedCluster, names, revocationOf } from "./cluster.ts";

describe("replicas", () => {
  test("come to one table, whoever wrote what", () => {
    // Given three nodes, each with services of its own and one name that all of them want
    const cluster = formedCluster(names(3));
    for (const node of cluster.nodes) {
      node.put(`own-${node.name}`);
      node.put("shared", { args: [node.name] });
    }
    // When they talk
    const tookMs = cluster.runUntil(() => cluster.hasConverged, 10_000);
    // Then all hold all, and the same winner
    expect(tookMs).not.toBeNull();
    for (const node of cluster.nodes) {
      expect(node.services).toEqual(["own-node-0", "own-node-1", "own-node-2", "shared"]);
      expect(node.replica.service("shared")).toEqual(cluster.nodes[0]!.replica.service("shared"));
    }
  });

  test("come to one table though every third packet is lost", () => {
    const cluster = formedCluster(names(5));
    cluster.lossChance = 0.33;
    for (const node of cluster.nodes) for (let i = 0; i < 8; i += 1) node.put(`${node.name}-${i}`);
    expect(cluster.runUntil(() => cluster.hasConverged, 60_000)).not.toBeNull();
    expect(cluster.nodes[0]!.services.length).toBe(40);
  });

  test("forget a deleted service everywhere, and keep it deleted against older copies", () => {
    const cluster = formedCluster(names(3));
    const [first, second, third] = cluster.nodes;
    first!.put("web");
    cluster.runUntil(() => cluster.hasConverged, 10_000);
    // Given one that sleeps while another deletes
    third!.stop();
    second!.delete("web");
    cluster.run(2_000);
    third!.start();
    expect(third!.services).toEqual(["web"]);
    // When it is back
    expect(cluster.runUntil(() => cluster.hasConverged, 20_000)).not.toBeNull();
    // Then the deletion wins
    for (const node of cluster.nodes) expect(node.services).toEqual([]);
  });

  test("bring an empty newcomer a thousand services through a seed alone", () => {
    const cluster = formedCluster(["seed"]);
    const seed = cluster.node("seed");
    for (let i = 0; i < 1_000; i += 1) seed.put(`service-${i}`);
    const joiner = cluster.add("joiner");
    expect(cluster.runUntil(() => joiner.replica.synced, 120_000)).not.toBeNull();
    expect(joiner.replica.services().length).toBe(1_000);
    expect(cluster.runUntil(() => cluster.hasConverged, 20_000)).not.toBeNull();
  });
});

describe("a write", () => {
  test("takes effect and is told of only when the log has it", () => {
    const cluster = formedCluster(["only"]);
    const node = cluster.node("only");
    node.isLogHeld = true;
    const answer = node.put("web");
    cluster.run(1_000);
    expect(answer.ok).toBe(true);
    expect(node.services).toEqual([]);
    expect(node.settled.size).toBe(0);
    node.isLogHeld = false;
    node.finishLog();
    expect(node.services).toEqual(["web"]);
    expect([...node.settled.values()]).toEqual([true]);
  });

  test("fails when its author is revoked while it waits for the log", () => {
    const cluster = formedCluster(names(2));
    const [first, second] = cluster.nodes;
    second!.isLogHeld = true;
    second!.put("late");
    first!.offer(revocationOf(second!.nodeId, 1, cluster.nowMs));
    second!.replica.offerRecord(revocationOf(second!.nodeId, 1, cluster.nowMs), cluster.nowMs);
    second!.isLogHeld = false;
    second!.finishLog();
    expect(second!.services).toEqual([]);
  });

  test("is refused by a node that is shut out", () => {
    const cluster = formedCluster(["only"]);
    const node = cluster.node("only");
    node.offer(revocationOf(node.nodeId, 1, cluster.nowMs));
    cluster.run(200);
    expect(node.replica.excluded).toBe(true);
    expect(node.put("web")).toEqual({ ok: false, reason: "revoked" });
    const other = new Cluster(["other"]).node("other");
    expect(node.offer(revocationOf(other.nodeId, 2, cluster.nowMs))).toEqual({
      ok: false,
      reason: "revoked",
    });
  });
});

describe("a node", () => {
  test("is synced once its table equals a peer's, and not before", () => {
    const cluster = formedCluster(["seed"]);
    for (let i = 0; i < 50; i += 1) cluster.node("seed").put(`service-${i}`);
    const joiner = cluster.add("joiner");
    expect(joiner.replica.synced).toBe(false);
    while (!joiner.replica.synced) {
      expect(joiner.replica.rootHash).not.toBe(cluster.node("seed").replica.rootHash);
      cluster.run(100);
    }
    expect(joiner.replica.services().length).toBe(50);
  });

  test("takes its own table for complete when nobody is to be found", () => {
    const cluster = new Cluster([{ name: "alone", seeds: [] }]);
    const node = cluster.node("alone");
    cluster.run(2_000);
    expect(node.replica.synced).toBe(false);
    cluster.run(10_000);
    expect(node.replica.synced).toBe(true);
  });

  test("that knows living members waits for one of them", () => {
    // Given a node whose log knows another that does not answer
    const cluster = formedCluster(names(2));
    const [first, second] = cluster.nodes;
    first!.stop();
    second!.stop();
    second!.start();
    // Then it is not synced before it has found the other dead
    cluster.run(5_500);
    expect(second!.replica.synced).toBe(false);
    expect(cluster.runUntil(() => second!.replica.synced, 120_000)).not.toBeNull();
    expect(second!.statusOf(first!)).toBe("dead");
  });

  test("publishes its own slot again after a restart only when it says something else", () => {
    const cluster = formedCluster(["only"]);
    const node = cluster.node("only");
    const before = node.replica.rootHash;
    const logged = node.log.length;
    node.stop();
    node.start();
    expect(node.replica.rootHash).toBe(before);
    expect(node.log.length).toBe(logged);
    node.replica.publishClaims([{ service: 1, generation: 2, state: "healthy" }], cluster.nowMs);
    expect(node.replica.rootHash).not.toBe(before);
    const claimed = node.replica.rootHash;
    node.replica.publishClaims([{ service: 1, generation: 2, state: "healthy" }], cluster.nowMs);
    expect(node.replica.rootHash).toBe(claimed);
  });

  test("writes over its own slot out of a life that its log does not remember", () => {
    // Given a node that claimed a service, and lost its disk
    const cluster = formedCluster(names(3));
    const node = cluster.nodes[2]!;
    node.replica.publishClaims([{ service: 7, generation: 7, state: "healthy" }], cluster.nowMs);
    cluster.runUntil(() => cluster.hasConverged, 10_000);
    node.stop();
    node.log = [];
    // When it comes back with a clock that lags behind its former life
    cluster.skip(-CLOCK_DRIFT_MAX_MS / 2);
    node.start();
    cluster.run(10_000);
    expect(cluster.runUntil(() => cluster.hasConverged, 30_000)).not.toBeNull();
    // Then nobody believes the old claim
    const [view] = cluster.nodes[0]!.replica.members(cluster.nowMs).filter(
      (member) => member.nodeId === node.nodeId,
    );
    expect(view!.info.claims).toEqual([]);
  });

  test("is shut out everywhere once revoked, with what it wrote", () => {
    const cluster = formedCluster(names(4));
    const [first, , , last] = cluster.nodes;
    last!.put("theirs");
    first!.put("ours");
    cluster.runUntil(() => cluster.hasConverged, 10_000);
    first!.offer(revocationOf(last!.nodeId, 1, cluster.nowMs));
    cluster.run(5_000);
    const others = cluster.nodes.slice(0, 3);
    expect(new Set(others.map((node) => node.replica.rootHash)).size).toBe(1);
    for (const node of others) {
      expect(node.services).toEqual(["ours"]);
      expect(node.statusOf(last!)).toBeUndefined();
      expect(node.hasSessionWith(last!)).toBe(false);
      expect(node.replica.revocationBlock).toBe(1);
    }
    // And however long it knocks
    last!.put("again");
    cluster.run(60_000);
    for (const node of others) expect(node.services).toEqual(["ours"]);
  });

  test("learns that it was revoked", () => {
    const cluster = formedCluster(names(3));
    const [first, second, last] = cluster.nodes;
    first!.offer(revocationOf(last!.nodeId, 1, cluster.nowMs));
    cluster.run(5_000);
    expect(last!.replica.excluded).toBe(true);
    expect(second!.replica.excluded).toBe(false);
  });

  test("is let in again by a later certificate, without what it wrote before", () => {
    const cluster = formedCluster(names(3));
    const [first, second, last] = cluster.nodes;
    last!.put("before");
    cluster.runUntil(() => cluster.hasConverged, 10_000);
    first!.offer(revocationOf(last!.nodeId, 1, cluster.nowMs));
    cluster.run(5_000);
    last!.stop();
    last!.certificate = certificateAt(last!.name, 1);
    cluster.run(1_000);
    last!.start();
    expect(
      cluster.runUntil(() => cluster.hasConverged && last!.replica.synced, 60_000),
    ).not.toBeNull();
    last!.put("after");
    cluster.run(5_000);
    for (const node of [first!, second!, last!]) expect(node.services).toEqual(["after"]);
  });

  test("says itself again when a revocation of its former certificate voids its slot", () => {
    // Given a node whose certificate counts block 1 already
    const cluster = formedCluster([
      "node-0",
      { name: "node-1", certificate: { revocationBlock: 1 } },
    ]);
    const [first, second] = cluster.nodes;
    // When that block's revocation comes late, stamped after what the node has written
    first!.offer(revocationOf(second!.nodeId, 1, cluster.nowMs + 100));
    // Then it is a member as before
    cluster.run(30_000);
    expect(second!.replica.excluded).toBe(false);
    expect(cluster.hasConverged).toBe(true);
    for (const node of cluster.nodes) {
      expect(node.replica.members(cluster.nowMs).map((member) => member.status)).toEqual([
        "alive",
        "alive",
      ]);
    }
  });

  test("goes silent when its certificate ends", () => {
    const notAfterSeconds = Math.floor(new Cluster([]).nowMs / 1000) + 30;
    const cluster = formedCluster(["seed", { name: "guest", certificate: { notAfterSeconds } }]);
    cluster.run(40_000);
    expect(cluster.node("guest").replica.excluded).toBe(true);
    expect(cluster.node("seed").replica.members(cluster.nowMs).length).toBe(1);
  });

  test("takes no record from further ahead than clocks may differ, until time has come", () => {
    const cluster = formedCluster(names(2));
    const [first, second] = cluster.nodes;
    const aheadMs = CLOCK_DRIFT_MAX_MS + 5_000;
    const record = revocationOf("00000000000000aa", 1, cluster.nowMs + aheadMs);
    expect(first!.offer(record).ok).toBe(false);
    cluster.run(aheadMs - CLOCK_DRIFT_MAX_MS + 1_000);
    expect(first!.offer(record).ok).toBe(true);
    expect(cluster.runUntil(() => second!.replica.revocationBlock === 1, 10_000)).not.toBeNull();
  });

  test("gives stamps above all that its log holds", () => {
    const cluster = formedCluster(["only"]);
    const node = cluster.node("only");
    const answer = node.put("web");
    if (!answer.ok) throw new Error(answer.reason);
    node.stop();
    cluster.skip(-3_600_000);
    node.start();
    const again = node.put("web", { args: ["again"] });
    expect(again.ok && again.stamp > answer.stamp).toBe(true);
    expect(answer.stamp).toBeGreaterThan(cluster.nowMs * STAMPS_PER_MS);
  });
});

function certificateAt(name: string, revocationBlock: number): Uint8Array {
  return new Cluster([{ name, certificate: { revocationBlock } }]).node(name).certificate;
}
