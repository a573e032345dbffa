// Spreading slots: to those who lack them, what matters first, within the bounds of a tick.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SeededRandom } from "../../src/kernel/random.ts";
import { Gossip } from "../../src/node/gossip.ts";
import {
  LIST_INTERVAL_MS,
  RECORD_PACKETS_PER_PEER,
  RECORD_RUMOUR_SENDS_MAX,
  RECORD_RUMOURS_MAX,
} from "../../src/node/pace.ts";
import { Peer } from "../../src/node/peer.ts";
import { FRAME, FRAMES_BYTES, readRecordFrame } from "../../src/schema/frame.ts";
import type { NodeId } from "../../src/schema/node-id.ts";
import { readSlot, SLOT_KIND, type Slot, type SlotKind } from "../../src/schema/slot.ts";
import { ByteReader, ByteWriter, FormatError } from "../../src/schema/varint.ts";
import { SlotTable } from "../../src/sync/slot-table.ts";
import { sessionsOf } from "../net/nodes.ts";
import { makeSlot } from "../sync/slots.ts";
import { crypto } from "./cluster.ts";

describe("fresh records", () => {
  test("fill packets, the least sent first, each a bounded number of times", () => {
    const side = new Side("a");
    for (let key = 0; key < 30; key += 1) side.spread(slotOf(key, 100), null);
    const sends = new Map<string, number>();
    for (let i = 0; i < 100; i += 1) {
      const payload = new ByteWriter(new Uint8Array(500));
      side.gossip.writeRumours(payload, side.peer);
      for (const record of recordsIn(payload.written())) {
        sends.set(record, (sends.get(record) ?? 0) + 1);
      }
    }
    expect(sends.size).toBe(30);
    expect([...sends.values()].every((count) => count === RECORD_RUMOUR_SENDS_MAX)).toBe(true);
    expect(side.gossip.rumourCount).toBe(0);
  });

  test("go to all but the one who told", () => {
    const side = new Side("a");
    side.spread(slotOf(1, 10), side.peer.nodeId);
    const payload = new ByteWriter(new Uint8Array(500));
    side.gossip.writeRumours(payload, side.peer);
    expect(payload.offset).toBe(0);
    side.gossip.writeRumours(payload, new Peer("00000000000000cc", "10.0.0.9:1"));
    expect(recordsIn(payload.written()).length).toBe(1);
  });

  test("are bounded, and never leave a packet's room", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 120 }), fc.nat(900), (sizes, room) => {
        const side = new Side("a");
        sizes.forEach((bytes, key) => {
          side.spread(slotOf(key, bytes), null);
        });
        expect(side.gossip.rumourCount).toBeLessThanOrEqual(RECORD_RUMOURS_MAX);
        const payload = new ByteWriter(new Uint8Array(room));
        side.gossip.writeRumours(payload, side.peer);
        expect(payload.offset).toBeLessThanOrEqual(room);
      }),
      { numRuns: 40 },
    );
  });

  test("are forgotten with their slot", () => {
    const side = new Side("a");
    const index = side.spread(slotOf(1, 10), null);
    side.gossip.forget(index);
    expect(side.gossip.rumourCount).toBe(0);
  });
});

describe("lists", () => {
  test("go to those that differ, the longest waiting first, one an interval", () => {
    const side = new Side("a");
    const peers = [1, 2, 3].map((n) => side.addPeer(`00000000000000d${n}`));
    side.hold(slotOf(1, 10));
    // Given one of three that holds the same
    peers[2]!.rootHigh = side.table.merkle.rootHigh;
    peers[2]!.rootLow = side.table.merkle.rootLow;
    side.peers.delete(side.peer.nodeId);
    const order: NodeId[] = [];
    for (let nowMs = 0; nowMs < 6 * LIST_INTERVAL_MS; nowMs += 100) {
      side.gossip.tick(nowMs);
      order.push(...side.sent.splice(0).map((packet) => packet.to));
    }
    const [one, two] = [peers[0]!.nodeId, peers[1]!.nodeId];
    expect(order).toEqual([one, two, one, two, one, two]);
  });

  test("are answered with what they lack: revocations, then nodes, then services", () => {
    const [rich, poor] = pair();
    for (let key = 0; key < 6; key += 1) {
      rich.hold(slotOf(key, 20, SLOT_KIND.service));
      rich.hold(slotOf(key, 20, SLOT_KIND.node));
      rich.hold(slotOf(key, 20, SLOT_KIND.revocation));
    }
    poor.gossip.sendList(poor.peer, 1_000);
    rich.receive(poor.sent.splice(0), 1_000);
    const kinds = rich.sent.flatMap((packet) => packet.records.map((record) => kindOf(record)));
    expect(kinds.length).toBe(18);
    expect(kinds).toEqual([...kinds].sort((a, b) => b - a));
  });

  test("are answered in a bounded number of packets a tick", () => {
    const [rich, poor] = pair();
    for (let key = 0; key < 200; key += 1) rich.hold(slotOf(key, 200));
    for (let i = 0; i < 4; i += 1) {
      poor.gossip.sendList(poor.peer, 1_000);
      rich.receive(poor.sent.splice(0), 1_000);
    }
    const withRecords = () => rich.sent.filter((packet) => packet.records.length > 0).length;
    expect(withRecords()).toBe(RECORD_PACKETS_PER_PEER);
    rich.gossip.tick(1_100);
    poor.gossip.sendList(poor.peer, 1_100);
    rich.receive(poor.sent.splice(0), 1_100);
    expect(withRecords()).toBe(2 * RECORD_PACKETS_PER_PEER);
  });

  test("bring nothing that may not be offered", () => {
    const [rich, poor] = pair();
    const secret = rich.hold(slotOf(1, 20));
    rich.hold(slotOf(2, 20));
    rich.withheld.add(secret);
    poor.gossip.sendList(poor.peer, 1_000);
    rich.receive(poor.sent.splice(0), 1_000);
    expect(rich.sent.flatMap((packet) => packet.records).length).toBe(1);
  });

  test("tell when nothing is lacking, and not when something is", () => {
    const [left, right] = pair();
    left.hold(slotOf(1, 20));
    right.hold(slotOf(1, 20));
    right.hold(slotOf(2, 20));
    right.gossip.sendList(right.peer, 1_000);
    left.receive(right.sent.splice(0), 1_000);
    expect(left.caughtUpCount).toBe(0);
    left.gossip.sendList(left.peer, 2_000);
    right.receive(left.sent.splice(0), 2_000);
    expect(right.caughtUpCount).toBeGreaterThan(0);
  });

  test("that are no lists are refused in one way", () => {
    const side = new Side("a");
    for (let key = 0; key < 20; key += 1) side.hold(slotOf(key, 20));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 900 }), fc.boolean(), (bytes, isBuckets) => {
        const reader = new ByteReader(bytes);
        try {
          if (isBuckets) side.gossip.receiveBuckets(side.peer, reader, 1_000);
          else side.gossip.receiveList(side.peer, reader, 1_000);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
        side.sent.length = 0;
      }),
    );
  });
});

describe("two that gossip", () => {
  test("come to one table, whatever each held, and then fall silent", () => {
    const shapes = fc.uniqueArray(
      fc.record({ key: fc.nat(400), stamp: fc.integer({ min: 1, max: 50 }) }),
      { maxLength: 400, selector: (shape) => shape.key },
    );
    fc.assert(
      fc.property(shapes, shapes, (ours, theirs) => {
        const [left, right] = pair();
        for (const { key, stamp } of ours) left.hold(slotOf(key, 10, SLOT_KIND.service, stamp));
        for (const { key, stamp } of theirs) right.hold(slotOf(key, 10, SLOT_KIND.service, stamp));
        let nowMs = 1_000;
        for (; nowMs < 60_000 && left.root !== right.root; nowMs += 100)
          exchange(left, right, nowMs);
        expect(left.root).toBe(right.root);
        // Each hears the other's root once more, and there is nothing left to say
        for (const endMs = nowMs + 1_000; nowMs < endMs; nowMs += 100) exchange(left, right, nowMs);
        exchange(left, right, nowMs);
        expect(left.packetCount + right.packetCount).toBe(0);
      }),
      { numRuns: 25 },
    );
  });
});

interface SentPacket {
  readonly to: NodeId;
  readonly frames: Uint8Array;
  readonly records: readonly Uint8Array[];
}

/** One end of a line, with a table of its own. Packets carry frames and their sender's root. */
class Side {
  readonly table = new SlotTable(1_024, 512 * 1_024);
  readonly peers = new Map<NodeId, Peer>();
  readonly peer: Peer;
  readonly gossip: Gossip;
  readonly withheld = new Set<number>();
  sent: SentPacket[] = [];
  caughtUpCount = 0;
  /** Sent in the last exchange. */
  packetCount = 0;

  constructor(name: "a" | "b") {
    this.peer = this.addPeer(name === "a" ? "00000000000000bb" : "00000000000000aa");
    this.gossip = new Gossip(
      {
        peers: this.peers,
        send: (peer, _nowMs, write) => this.#send(peer, write),
        mayOffer: (slot) => !this.withheld.has(slot),
        caughtUp: () => {
          this.caughtUpCount += 1;
        },
      },
      this.table,
      new SeededRandom(name === "a" ? 1n : 2n),
    );
  }

  addPeer(nodeId: NodeId): Peer {
    const peer = new Peer(nodeId, "10.0.0.2:1");
    peer.session = sessionsOf().initiator;
    this.peers.set(nodeId, peer);
    return peer;
  }

  hold(slot: Slot): number {
    this.table.apply(slot, crypto.sha256(slot.record));
    return this.table.find(slot.kind, slot.keyHigh, slot.keyLow);
  }

  spread(slot: Slot, from: NodeId | null): number {
    const index = this.hold(slot);
    this.gossip.spread(index, from);
    return index;
  }

  get root(): string {
    return `${this.table.merkle.rootHigh}/${this.table.merkle.rootLow}`;
  }

  receive(packets: readonly SentPacket[], nowMs: number): void {
    for (const { frames } of packets) {
      const reader = new ByteReader(frames);
      while (reader.remaining > 0) this.#receiveFrame(reader, nowMs);
    }
  }

  #receiveFrame(reader: ByteReader, nowMs: number): void {
    switch (reader.u8()) {
      case FRAME.list:
        this.gossip.receiveList(this.peer, reader, nowMs);
        break;
      case FRAME.buckets:
        this.gossip.receiveBuckets(this.peer, reader, nowMs);
        break;
      case FRAME.record:
        this.hold(readSlot(readRecordFrame(reader).slice())!);
        break;
      default:
        throw new Error("gossip sent a frame that is not its own");
    }
  }

  #send(peer: Peer, write: (payload: ByteWriter) => void): void {
    const payload = new ByteWriter(new Uint8Array(FRAMES_BYTES));
    write(payload);
    const frames = payload.written();
    const records = frames[0] === FRAME.record ? framesOf(frames) : [];
    this.sent.push({ to: peer.nodeId, frames, records });
  }
}

function pair(): [Side, Side] {
  return [new Side("a"), new Side("b")];
}

/** One tick of both, each packet with its sender's root. */
function exchange(left: Side, right: Side, nowMs: number): void {
  left.packetCount = 0;
  right.packetCount = 0;
  for (const side of [left, right]) side.gossip.tick(nowMs);
  for (let round = 0; round < 6; round += 1) {
    for (const [from, to] of [
      [left, right],
      [right, left],
    ] as const) {
      const packets = from.sent.splice(0);
      from.packetCount += packets.length;
      if (packets.length === 0) continue;
      to.peer.rootHigh = from.table.merkle.rootHigh;
      to.peer.rootLow = from.table.merkle.rootLow;
      to.receive(packets, nowMs);
    }
  }
}

function slotOf(
  key: number,
  bodyBytes: number,
  kind: SlotKind = SLOT_KIND.service,
  stamp = key + 1,
): Slot {
  return makeSlot({ kind, key, stamp, author: 1, bodyBytes });
}

function kindOf(record: Uint8Array): number {
  return readSlot(record)!.kind;
}

function framesOf(frames: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(frames);
  const records: Uint8Array[] = [];
  while (reader.remaining > 0 && reader.u8() === FRAME.record) {
    records.push(readRecordFrame(reader).slice());
  }
  return records;
}

function recordsIn(frames: Uint8Array): string[] {
  return framesOf(frames).map((record) => Buffer.from(record).toString("hex"));
}
