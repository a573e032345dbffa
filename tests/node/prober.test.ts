// Finding out who is gone: no one is accused before others were asked, and no one for what only
// we cannot hear.

import { describe, expect, test } from "vitest";
import { SeededRandom } from "../../src/kernel/random.ts";
import { Membership } from "../../src/node/membership.ts";
import { INDIRECT_PROBES, RELAYED_PROBES_MAX } from "../../src/node/pace.ts";
import { Peer } from "../../src/node/peer.ts";
import { Prober } from "../../src/node/prober.ts";
import { FRAME, readNodeId } from "../../src/schema/frame.ts";
import type { NodeId } from "../../src/schema/node-id.ts";
import { ByteReader, ByteWriter } from "../../src/schema/varint.ts";
import { sessionsOf } from "../net/nodes.ts";
import { type Cluster, type ClusterNode, formedCluster, names } from "./cluster.ts";

describe("a prober", () => {
  test("leaves those alone that were heard within the interval", () => {
    const world = new World(3);
    world.hearFrom(1, 2, 3);
    world.run(900);
    expect(world.sent).toEqual([]);
  });

  test("asks the silent directly, then through others, and only then accuses", () => {
    const world = new World(5);
    // Given one that says nothing while all others do
    const order: string[] = [];
    for (let i = 0; i < 200 && world.membership.status(1) === "alive"; i += 1) {
      world.hearFrom(2, 3, 4, 5);
      world.run(100);
      for (const frame of world.sent.splice(0)) {
        if (frame.to === idOf(1)) order.push(frame.kind);
        if (frame.kind === "pingRequest") order.push("pingRequest");
      }
    }
    expect(world.membership.status(1)).toBe("suspect");
    expect(order[0]).toBe("ping");
    expect(order.filter((kind) => kind === "pingRequest").length).toBe(INDIRECT_PROBES);
    expect(order.indexOf("pingRequest")).toBeGreaterThan(1);
    expect(world.redialled).toEqual([idOf(1)]);
  });

  test("lets go of its suspicion when a relay got an answer", () => {
    const world = new World(5);
    const request = world.runUntilAsked(1);
    world.prober.receiveAck(world.peer(request.to), request.sequence, world.nowMs);
    world.run(3_000, 2, 3, 4, 5);
    expect(world.membership.status(1)).toBe("alive");
  });

  test("takes no other's word than a relay's that it asked", () => {
    const world = new World(9);
    const request = world.runUntilAsked(1);
    const asked = new Set(
      world.sent.filter((each) => each.kind === "pingRequest").map((each) => each.to),
    );
    for (const member of [2, 3, 4, 5, 6, 7, 8, 9]) {
      if (asked.has(idOf(member))) continue;
      world.prober.receiveAck(world.peer(idOf(member)), request.sequence, world.nowMs);
    }
    world.run(5_000, 2, 3, 4, 5, 6, 7, 8, 9);
    expect(world.membership.status(1)).toBe("suspect");
  });

  test("blames itself where even the relays keep silent, and not where they answer", () => {
    const deaf = new World(5);
    deaf.runUntilAsked(1);
    deaf.run(5_000, 2, 3, 4, 5);
    expect(deaf.membership.localHealth).toBeGreaterThan(0);
    const hearing = new World(5);
    hearing.runUntilAsked(1);
    for (const request of hearing.sent.filter((each) => each.kind === "pingRequest")) {
      hearing.prober.receiveNack(hearing.peer(request.to), request.sequence);
    }
    hearing.run(5_000, 2, 3, 4, 5);
    expect(hearing.membership.status(1)).toBe("suspect");
    expect(hearing.membership.localHealth).toBe(0);
  });

  test("gives up the probe of one that is no neighbour any more", () => {
    const world = new World(5);
    world.runUntilAsked(1);
    world.wanted.delete(idOf(1));
    world.run(30_000, 2, 3, 4, 5);
    expect(world.membership.status(1)).toBe("alive");
    expect(world.peer(idOf(1)).probe).toBeNull();
  });

  test("answers for another: an ack when its target is heard, a nack when it is not", () => {
    const world = new World(3);
    world.prober.receivePingRequest(world.peer(idOf(2)), 77, idOf(1), world.nowMs);
    expect(world.sent.map((each) => [each.kind, each.to])).toEqual([["ping", idOf(1)]]);
    world.run(200);
    world.hearFrom(1);
    world.run(100);
    expect(world.sent).toContainEqual({ kind: "ack", to: idOf(2), sequence: 77 });
    world.prober.receivePingRequest(world.peer(idOf(2)), 78, idOf(3), world.nowMs);
    world.run(30_000);
    expect(world.sent).toContainEqual({ kind: "nack", to: idOf(2), sequence: 78 });
  });

  test("does not take the answer to another's probe for one to its own", () => {
    // Given a relay that probes one silent member itself, under the sequence another asks it with
    const world = new World(5);
    const request = world.runUntilAsked(1);
    world.prober.receivePingRequest(world.peer(idOf(3)), request.sequence, idOf(2), world.nowMs);
    const ping = world.sent.findLast((each) => each.kind === "ping" && each.to === idOf(2))!;
    // When the target answers
    world.prober.receiveAck(world.peer(idOf(2)), ping.sequence, world.nowMs);
    // Then the silent one is no less silent
    world.run(5_000, 2, 3, 4, 5);
    expect(world.membership.status(1)).toBe("suspect");
  });

  test("measures only its own pings", () => {
    // Given a member measured long ago
    const world = new World(3);
    world.run(1_200, 2, 3);
    const [own] = world.sent.filter((each) => each.kind === "ping" && each.to === idOf(1));
    world.nowMs += 20;
    world.prober.receiveAck(world.peer(idOf(1)), own!.sequence, world.nowMs);
    world.hearFrom(1);
    const before = world.peer(idOf(1)).smoothedRoundTripMs;
    // When it answers another's probe, through us, under the same sequence
    world.run(20_000, 1, 2, 3);
    world.sent.length = 0;
    world.prober.receivePingRequest(world.peer(idOf(2)), own!.sequence, idOf(1), world.nowMs);
    const relayed = world.sent.find((each) => each.kind === "ping")!;
    world.prober.receiveAck(world.peer(idOf(1)), relayed.sequence, world.nowMs + 20);
    // Then its round trip is what it was
    expect(world.peer(idOf(1)).smoothedRoundTripMs).toBeLessThanOrEqual(Math.max(before, 20));
  });

  test("runs a bounded number of probes for others, and refuses the rest at once", () => {
    const world = new World(3);
    for (let i = 0; i < 2 * RELAYED_PROBES_MAX; i += 1) {
      world.prober.receivePingRequest(world.peer(idOf(2)), i, idOf(1), world.nowMs);
    }
    const nacks = world.sent.filter((each) => each.kind === "nack");
    expect(nacks.length).toBe(RELAYED_PROBES_MAX);
  });
});

describe("a cluster", () => {
  test("finds a killed node dead within a bound, everywhere, and nobody else", () => {
    const cluster = formedCluster(names(7));
    const victim = cluster.nodes[6]!;
    const others = cluster.nodes.slice(0, 6);
    cluster.run(10_000);
    victim.stop();
    const tookMs = cluster.runUntil(
      () => others.every((node) => node.statusOf(victim) === "dead"),
      120_000,
    );
    expect(tookMs).not.toBeNull();
    expect(tookMs!).toBeLessThan(40_000);
    for (const node of others) {
      for (const other of others) expect(node.statusOf(other)).toBe("alive");
    }
  });

  test("does not take a node for dead that one of them cannot hear", () => {
    const cluster = formedCluster(names(6));
    const [deaf, unheard] = cluster.nodes;
    cluster.isCut = (from, to) => from === unheard && to === deaf;
    for (let i = 0; i < 120; i += 1) {
      cluster.run(1_000);
      for (const node of cluster.nodes) expect(node.statusOf(unheard!)).not.toBe("dead");
    }
  });

  test("doubts nobody for long on a line that loses every fourth packet", () => {
    const cluster = formedCluster(names(6));
    cluster.lossChance = 0.25;
    for (let i = 0; i < 60; i += 1) {
      cluster.run(1_000);
      for (const node of cluster.nodes) {
        for (const other of cluster.nodes) expect(node.statusOf(other)).not.toBe("dead");
      }
    }
  });

  test("finds together again after a partition that lasted until all were dead to each other", () => {
    const cluster = formedCluster(names(6));
    const isLeft = (node: ClusterNode): boolean => cluster.nodes.indexOf(node) < 3;
    cluster.isCut = (from, to) => isLeft(from) !== isLeft(to);
    const isSplit = () =>
      cluster.nodes.every((node) =>
        cluster.nodes.every(
          (other) => isLeft(node) === isLeft(other) || node.statusOf(other) === "dead",
        ),
      );
    expect(cluster.runUntil(isSplit, 180_000)).not.toBeNull();
    cluster.nodes[0]!.put("left");
    cluster.nodes[5]!.put("right");
    cluster.isCut = () => false;
    const tookMs = cluster.runUntil(() => allSeeAllAlive(cluster) && cluster.hasConverged, 60_000);
    expect(tookMs).not.toBeNull();
    expect(cluster.nodes[2]!.services).toEqual(["left", "right"]);
  });

  test("tells a late joiner who is dead, and one who missed it who came back", () => {
    // Given more nodes than one has neighbours, and one of them long dead
    const cluster = formedCluster(names(14));
    const victim = cluster.nodes[13]!;
    const others = cluster.nodes.slice(0, 13);
    victim.stop();
    const isFound = () => others.every((node) => node.statusOf(victim) === "dead");
    expect(cluster.runUntil(isFound, 240_000)).not.toBeNull();
    cluster.run(60_000);
    // When one joins that has heard none of it
    const joiner = cluster.add("late");
    expect(cluster.runUntil(() => joiner.statusOf(victim) === "dead", 60_000)).not.toBeNull();
    // And when the dead comes back while the joiner sleeps
    joiner.stop();
    victim.start();
    cluster.run(60_000);
    joiner.start();
    expect(cluster.runUntil(() => allSeeAllAlive(cluster), 120_000)).not.toBeNull();
  });

  test("sees one that left on purpose as left, and as alive when it is back", () => {
    const cluster = formedCluster(names(4));
    const leaver = cluster.nodes[3]!;
    leaver.replica.leave(cluster.nowMs);
    leaver.stop();
    const others = cluster.nodes.slice(0, 3);
    const hasLeft = () => others.every((node) => node.statusOf(leaver) === "left");
    expect(cluster.runUntil(hasLeft, 20_000)).not.toBeNull();
    cluster.run(60_000);
    expect(hasLeft()).toBe(true);
    leaver.start();
    expect(cluster.runUntil(() => allSeeAllAlive(cluster), 30_000)).not.toBeNull();
  });
});

interface SentFrame {
  readonly kind: "ping" | "ack" | "nack" | "pingRequest";
  readonly to: NodeId;
  readonly sequence: number;
}

/** One prober, its peers at the other end of nothing. Members are numbered from 1; 0 is itself. */
class World {
  nowMs = 0;
  readonly membership: Membership;
  readonly prober: Prober;
  readonly sent: SentFrame[] = [];
  readonly redialled: NodeId[] = [];
  readonly wanted = new Set<NodeId>();
  readonly #peers = new Map<NodeId, Peer>();

  constructor(count: number) {
    this.membership = new Membership({ selfId: idOf(0), capacity: 32, incarnation: 1, idOf });
    this.membership.add(0);
    const { initiator } = sessionsOf();
    for (let member = 1; member <= count; member += 1) {
      this.membership.add(member);
      const peer = new Peer(idOf(member), `10.0.0.${member}:1`);
      peer.session = initiator;
      peer.lastHeardMs = 0;
      peer.measured(20);
      this.#peers.set(peer.nodeId, peer);
      this.wanted.add(peer.nodeId);
    }
    this.prober = new Prober(
      {
        peers: this.#peers,
        send: (peer, _nowMs, write) => this.#send(peer, write),
        reach: (nodeId) => this.#peers.get(nodeId) ?? null,
        redial: (peer) => this.redialled.push(peer.nodeId),
        memberOf: (nodeId) => Number.parseInt(nodeId, 16),
      },
      this.membership,
      new SeededRandom(1n),
    );
  }

  peer(nodeId: NodeId): Peer {
    return this.#peers.get(nodeId)!;
  }

  hearFrom(...members: number[]): void {
    for (const member of members) this.peer(idOf(member)).lastHeardMs = this.nowMs;
  }

  /** Ticks for `ms`; those in `talking` are heard all along. */
  run(ms: number, ...talking: number[]): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += 100;
      this.hearFrom(...talking);
      this.prober.tick(this.wanted, this.nowMs);
    }
  }

  /** Only `silent` says nothing, until relays are asked to probe it. */
  runUntilAsked(silent: number): SentFrame {
    const others = [...this.#peers.keys()].map((id) => Number.parseInt(id, 16));
    for (let i = 0; i < 200; i += 1) {
      this.run(100, ...others.filter((member) => member !== silent));
      const request = this.sent.find((each) => each.kind === "pingRequest");
      if (request !== undefined) return request;
    }
    throw new Error("no relay was asked");
  }

  #send(peer: Peer, write: (payload: ByteWriter) => void): void {
    const writer = new ByteWriter(new Uint8Array(900));
    write(writer);
    const reader = new ByteReader(writer.written());
    const kind = KINDS[reader.u8()]!;
    this.sent.push({ kind, to: peer.nodeId, sequence: reader.u16() });
    if (kind === "pingRequest") readNodeId(reader);
    expect(reader.remaining).toBe(0);
  }
}

const KINDS: Readonly<Record<number, SentFrame["kind"]>> = {
  [FRAME.ping]: "ping",
  [FRAME.ack]: "ack",
  [FRAME.nack]: "nack",
  [FRAME.pingRequest]: "pingRequest",
};

function idOf(member: number): NodeId {
  return member.toString(16).padStart(16, "0");
}

function allSeeAllAlive(cluster: Cluster): boolean {
  return cluster.running.every((node) =>
    cluster.running.every((other) => node.statusOf(other) === "alive"),
  );
}
