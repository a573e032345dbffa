// Keys between peers: made once, kept through loss, rekeying and restarts, and no way in for
// packets that are not a peer's.

import { describe, expect, test } from "vitest";
import {
  HANDSHAKES_MAX,
  PACKET_BYTES,
  SESSION_EXPIRY_MS,
  SESSION_REKEY_MS,
  SESSIONS_MAX,
} from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { Initiator } from "../../src/net/initiator.ts";
import { Links } from "../../src/node/links.ts";
import { OLD_SESSION_MS } from "../../src/node/pace.ts";
import { OFFSET, PACKET_KIND, type PacketKind, readHeader } from "../../src/schema/packet.ts";
import { flipped, nodeOf } from "../net/nodes.ts";
import { Cluster, type ClusterNode, formedCluster, NOW_MS, names } from "./cluster.ts";

describe("a handshake", () => {
  test.each([
    ["INIT", PACKET_KIND.handshakeInit],
    ["RESPONSE", PACKET_KIND.handshakeResponse],
    ["FINISH", PACKET_KIND.handshakeFinish],
  ])("gets through though the first two of each %s are lost", (_name, kind) => {
    const cluster = new Cluster(names(2));
    const [first, second] = cluster.nodes;
    dropFirst(cluster, kind, 2);
    const tookMs = cluster.runUntil(() => cluster.hasConverged && sessionsStand(cluster), 10_000);
    expect(tookMs).not.toBeNull();
    expect(first!.replica.statistics.sessions).toBe(1);
    expect(second!.replica.statistics.sessions).toBe(1);
  });

  test("that both start at once gives one pair of keys, which lasts", () => {
    // Given two that know each other, and start in the same tick
    const cluster = formedCluster(names(2));
    for (const node of cluster.nodes) node.stop();
    cluster.skip(1_000);
    for (const node of cluster.nodes) node.start();
    expectLastingSession(cluster);
  });

  test("that both start at once as each other's seeds gives keys that last", () => {
    const cluster = new Cluster([
      { name: "left", seeds: ["right"], isStarted: false },
      { name: "right", seeds: ["left"], isStarted: false },
    ]);
    for (const node of cluster.nodes) node.start();
    expectLastingSession(cluster);
  });
});

describe("a session", () => {
  test("is rekeyed before it ends, and traffic never stops", () => {
    const cluster = formedCluster(names(3));
    const untilMs = cluster.nowMs + SESSION_REKEY_MS + 150_000;
    while (cluster.nowMs < untilMs) {
      cluster.run(5_000);
      for (const node of cluster.nodes) expect(statusesSeenBy(node)).toEqual(["alive"]);
    }
    const opened = cluster.nodes[0]!.events.filter((event) => event.kind === "session-opened");
    expect(opened.length).toBeGreaterThan(cluster.nodes.length - 1);
    const closed = cluster.nodes.flatMap((node) => node.events.filter(isClosing));
    expect(closed).toEqual([]);
  });

  test("is made anew when its peer has forgotten it", () => {
    const cluster = formedCluster(names(2));
    const [first, second] = cluster.nodes;
    second!.stop();
    cluster.skip(1_000);
    second!.start();
    first!.put("news");
    expect(cluster.runUntil(() => second!.services.includes("news"), 10_000)).not.toBeNull();
    cluster.run(60_000);
    expect(statusesSeenBy(first!)).toEqual(["alive"]);
  });

  test("ends when nothing could rekey it", () => {
    const cluster = formedCluster(names(2));
    cluster.isCut = () => true;
    cluster.run(SESSION_EXPIRY_MS + 1_000);
    for (const node of cluster.nodes) expect(node.replica.statistics.sessions).toBe(0);
  });

  test("ends with its peer's certificate, at the next packet", () => {
    const notAfterSeconds = NOW_MS / 1000 + 60;
    const cluster = formedCluster(["node-0", { name: "guest", certificate: { notAfterSeconds } }]);
    const [first, guest] = cluster.nodes;
    const toFirst = captured(cluster, (from) => from === guest);
    cluster.runUntil(() => toFirst.length > 3, 30_000);
    const late = toFirst.at(-1)!;
    cluster.isCut = () => true;
    cluster.skip(notAfterSeconds * 1000 - cluster.nowMs);
    const before = first!.replica.statistics.packetsRefused;
    first!.receive(late.slice(), guest!.endpoint);
    expect(first!.replica.statistics.packetsRefused).toBe(before + 1);
  });

  test("follows its peer to a new address, by packets that open alone", () => {
    const cluster = formedCluster(names(2));
    const [first, second] = cluster.nodes;
    const sent = captured(cluster, (from) => from === second);
    cluster.runUntil(() => sent.length > 5, 30_000);
    // Given a thief who sends what he overheard, and what he changed, from elsewhere
    const thief = "10.9.9.9:1";
    for (const packet of sent) {
      first!.receive(packet.slice(), thief);
      first!.receive(flipped(packet, 500), thief);
    }
    let toThief = 0;
    let toSecond = 0;
    cluster.onSend = (_packet, _from, to) => {
      if (to === thief) toThief += 1;
      if (to === second!.endpoint) toSecond += 1;
    };
    cluster.run(5_000);
    expect(toThief).toBe(0);
    expect(toSecond).toBeGreaterThan(0);
    // When the peer itself moves
    cluster.move(second!, "10.0.0.77:7946");
    cluster.run(30_000);
    first!.put("news");
    cluster.run(5_000);
    expect(second!.services).toEqual(["news"]);
    expect(statusesSeenBy(first!)).toEqual(["alive"]);
  });
});

describe("a packet that is no peer's", () => {
  test.each([
    ["comes again", (packet: Uint8Array) => packet],
    ["has a bit changed in its payload", (packet: Uint8Array) => flipped(packet, 700)],
    ["has a bit changed in its header", (packet: Uint8Array) => flipped(packet, OFFSET.zone)],
    ["has a bit changed in its counter", (packet: Uint8Array) => flipped(packet, OFFSET.counter)],
    ["has a bit changed in its tag", (packet: Uint8Array) => flipped(packet, PACKET_BYTES - 1)],
    ["names another session", (packet: Uint8Array) => flipped(packet, OFFSET.session)],
    ["is cut", (packet: Uint8Array) => packet.slice(0, 1_023)],
  ])("changes nothing when it %s", (_name, change) => {
    const cluster = formedCluster(names(2));
    const [first, second] = cluster.nodes;
    const sent = captured(cluster, (from) => from === second);
    second!.put("web");
    cluster.runUntil(() => cluster.hasConverged && sent.length > 3, 30_000);
    cluster.isCut = () => false;
    cluster.run(100);
    const before = stateOf(first!);
    const refused = first!.replica.statistics.packetsRefused;
    for (const packet of sent) first!.receive(change(packet.slice()), second!.endpoint);
    expect(stateOf(first!)).toEqual(before);
    expect(first!.replica.statistics.packetsRefused).toBe(refused + sent.length);
  });

  test("changes nothing when it comes out of another cluster, or out of nowhere", () => {
    const cluster = formedCluster(names(2));
    const [first] = cluster.nodes;
    const before = stateOf(first!);
    const random = new SeededRandom(8n);
    const sound = new Initiator(nodeOf("stranger"), first!.nodeId, 5).init;
    for (let i = 0; i < 200; i += 1) {
      const junk = random.bytes(PACKET_BYTES);
      if (i % 2 === 0) junk.set(sound.subarray(0, OFFSET.payload));
      junk[OFFSET.kind] = 1 + (i % 6);
      first!.receive(junk, "10.9.9.9:1");
    }
    expect(stateOf(first!)).toEqual(before);
  });
});

describe("links", () => {
  test("keep a bounded number of half-open handshakes, and ask for cookies above half of it", () => {
    const { links, sent } = linksOf("alice");
    for (let i = 0; i < 3 * HANDSHAKES_MAX; i += 1) {
      links.receive(initOf(`stranger-${i}`), `10.1.0.${i}:1`, NOW_MS);
    }
    expect(links.halfOpenCount).toBe(HANDSHAKES_MAX / 2);
    expect(sent.filter((kind) => kind === PACKET_KIND.handshakeResponse).length).toBe(
      HANDSHAKES_MAX / 2,
    );
    expect(sent.filter((kind) => kind === PACKET_KIND.handshakeCookie).length).toBe(
      3 * HANDSHAKES_MAX - HANDSHAKES_MAX / 2,
    );
  });

  test("answer one who brings its cookie, and make the oldest give way at the bound", () => {
    const { links, packets } = linksOf("alice");
    for (let i = 0; i < 3 * HANDSHAKES_MAX; i += 1) {
      const from = `10.1.0.${i}:1`;
      const initiator = new Initiator(nodeOf(`stranger-${i}`), alice.identity.nodeId, 5);
      links.receive(initiator.init.slice(), from, NOW_MS);
      const answer = packets.at(-1)!;
      if (readHeader(answer)!.kind !== PACKET_KIND.handshakeCookie) continue;
      expect(initiator.receiveCookie(answer).ok).toBe(true);
      links.receive(initiator.init.slice(), from, NOW_MS);
      expect(readHeader(packets.at(-1)!)!.kind).toBe(PACKET_KIND.handshakeResponse);
      expect(links.halfOpenCount).toBeLessThanOrEqual(HANDSHAKES_MAX);
    }
    expect(links.halfOpenCount).toBe(HANDSHAKES_MAX);
    links.tick(NOW_MS + 60_000);
    expect(links.halfOpenCount).toBe(0);
  });

  test("answer the same INIT again with the same RESPONSE", () => {
    const { links, packets } = linksOf("alice");
    const init = initOf("bob");
    links.receive(init.slice(), "10.1.0.1:1", NOW_MS);
    links.receive(init.slice(), "10.1.0.1:1", NOW_MS + 700);
    expect(packets[1]).toEqual(packets[0]);
    expect(links.halfOpenCount).toBe(1);
  });

  test("hold a bounded number of peers: one without keys, then the longest silent, makes room", () => {
    const { links, wanted } = linksOf("alice");
    for (let i = 0; i < SESSIONS_MAX; i += 1) links.peerFor(idOf(i), `10.1.0.${i}:1`, NOW_MS);
    for (const peer of links.peers.values()) peer.lastHeardMs = NOW_MS;
    links.peers.get(idOf(9))!.lastHeardMs = NOW_MS - 1_000;
    wanted.add(idOf(9));
    links.peers.get(idOf(5))!.lastHeardMs = NOW_MS - 500;
    expect(links.peerFor(idOf(100), "10.2.0.1:1", NOW_MS)).not.toBeNull();
    expect(links.peers.size).toBe(SESSIONS_MAX);
    expect(links.peers.has(idOf(5))).toBe(false);
    expect(links.peers.has(idOf(9))).toBe(true);
  });

  test("take no new peer when all they hold are wanted", () => {
    const { links, wanted } = linksOf("alice");
    for (let i = 0; i < SESSIONS_MAX; i += 1) {
      wanted.add(idOf(i));
      links.peerFor(idOf(i), `10.1.0.${i}:1`, NOW_MS);
    }
    expect(links.peerFor(idOf(100), "10.2.0.1:1", NOW_MS)).toBeNull();
    expect(links.peers.size).toBe(SESSIONS_MAX);
  });
});

const alice = nodeOf("alice");

function linksOf(name: string) {
  const sent: PacketKind[] = [];
  const packets: Uint8Array[] = [];
  const wanted = new Set<string>();
  const links = new Links({
    context: nodeOf(name),
    random: new SeededRandom(1n),
    nowMs: NOW_MS,
    send: (packet) => {
      sent.push(readHeader(packet)!.kind);
      packets.push(packet.slice());
    },
    isWanted: (nodeId) => wanted.has(nodeId),
    listener: {
      sessionOpened: () => {},
      sessionClosed: () => {},
      handshakeRefused: () => {},
      payloadReceived: () => {},
    },
  });
  return { links, sent, packets, wanted };
}

function initOf(name: string): Uint8Array {
  return new Initiator(nodeOf(name), alice.identity.nodeId, 5).init;
}

function idOf(index: number): string {
  return (index + 1).toString(16).padStart(16, "0");
}

function dropFirst(cluster: Cluster, kind: PacketKind, count: number): void {
  const seen = new Map<ClusterNode, number>();
  cluster.isCut = (from, _to, packet) => {
    if (readHeader(packet)?.kind !== kind) return false;
    seen.set(from, (seen.get(from) ?? 0) + 1);
    return seen.get(from)! <= count;
  };
}

/** Copies of the data packets that `matches` says true of, from here on. They arrive all the same. */
function captured(cluster: Cluster, matches: (from: ClusterNode) => boolean): Uint8Array[] {
  const packets: Uint8Array[] = [];
  cluster.isCut = (from, _to, packet) => {
    if (matches(from) && readHeader(packet)?.kind === PACKET_KIND.data)
      packets.push(packet.slice());
    return false;
  };
  return packets;
}

function sessionsStand(cluster: Cluster): boolean {
  return cluster.nodes.every((node) => node.replica.statistics.sessions > 0);
}

/** Nobody is ever doubted, and no handshake follows the first, for long after it. */
function expectLastingSession(cluster: Cluster): void {
  expect(
    cluster.runUntil(() => cluster.hasConverged && sessionsStand(cluster), 10_000),
  ).not.toBeNull();
  cluster.run(3_000);
  const started = cluster.nodes.map((node) => node.replica.statistics.handshakesStarted);
  const untilMs = cluster.nowMs + 6 * OLD_SESSION_MS;
  while (cluster.nowMs < untilMs) {
    cluster.run(500);
    for (const node of cluster.nodes) expect(statusesSeenBy(node)).toEqual(["alive"]);
  }
  expect(cluster.nodes.map((node) => node.replica.statistics.handshakesStarted)).toEqual(started);
}

function statusesSeenBy(node: ClusterNode): string[] {
  return [...new Set(node.replica.members(NOW_MS).map((view) => view.status))];
}

function isClosing(event: { kind: string }): boolean {
  return event.kind === "session-closed";
}

function stateOf(node: ClusterNode): unknown {
  const { sessions, members, living, slots, recordsReceived } = node.replica.statistics;
  const { rootHash, version, lastStamp } = node.replica;
  return { sessions, members, living, slots, recordsReceived, rootHash, version, lastStamp };
}
