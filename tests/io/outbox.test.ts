import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Outbox, type OutboxPacket } from "../../src/io/outbox.ts";
import {
  OUTBOX_PACKETS,
  PACKET_BYTES,
  PEER_QUEUE_PACKETS,
  SENDS_IN_FLIGHT_MAX,
} from "../../src/kernel/limits.ts";

function packetOf(mark: number): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  new DataView(packet.buffer).setUint32(0, mark);
  return packet;
}

function markOf({ bytes }: OutboxPacket): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

describe("an outbox", () => {
  it("drops a peer's oldest packet when a sixth comes, and nobody else's", () => {
    const outbox = new Outbox();
    outbox.push(packetOf(100), "192.0.2.2:7946");
    for (let mark = 1; mark <= PEER_QUEUE_PACKETS + 1; mark += 1) {
      outbox.push(packetOf(mark), "192.0.2.1:7946");
    }
    const marks = [];
    for (let p = outbox.take(); p !== null; p = outbox.take()) marks.push(markOf(p));
    expect(marks).toEqual([100, 2, 3, 4, 5, 6]);
    expect(outbox.droppedCount).toBe(1);
  });

  it("drops the oldest of all when many peers fill it", () => {
    const outbox = new Outbox();
    for (let mark = 0; mark < OUTBOX_PACKETS + 3; mark += 1) {
      outbox.push(packetOf(mark), `192.0.2.1:${mark + 1}`);
    }
    expect(outbox.length).toBe(OUTBOX_PACKETS);
    expect(markOf(outbox.take()!)).toBe(3);
  });

  it("hands out no more than may be in flight", () => {
    const outbox = new Outbox();
    for (let mark = 0; mark < OUTBOX_PACKETS; mark += 1) outbox.push(packetOf(mark), `h:${mark}`);
    const taken = [];
    for (let p = outbox.take(); p !== null; p = outbox.take()) taken.push(p);
    expect(taken).toHaveLength(SENDS_IN_FLIGHT_MAX);
    outbox.release(taken[0]!);
    expect(markOf(outbox.take()!)).toBe(SENDS_IN_FLIGHT_MAX);
  });

  it("keeps order and bounds, and every packet whole until it is released", () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ push: fc.nat({ max: 80 }) }) },
      { weight: 2, arbitrary: fc.constant("take" as const) },
      { weight: 2, arbitrary: fc.constant("release" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const outbox = new Outbox();
        const inFlight: { packet: OutboxPacket; mark: number; to: string }[] = [];
        const lastByPeer = new Map<string, number>();
        let pushed = 0;
        for (const action of steps) {
          if (action === "take") {
            const packet = outbox.take();
            if (packet === null) continue;
            const mark = markOf(packet);
            expect(mark).toBeGreaterThan(lastByPeer.get(packet.to) ?? 0);
            lastByPeer.set(packet.to, mark);
            inFlight.push({ packet, mark, to: packet.to });
          } else if (action === "release") {
            const sent = inFlight.shift();
            if (sent !== undefined) outbox.release(sent.packet);
          } else {
            pushed += 1;
            outbox.push(packetOf(pushed), `192.0.2.1:${action.push + 1}`);
          }
          expect(outbox.length).toBeLessThanOrEqual(OUTBOX_PACKETS);
          expect(inFlight.length).toBeLessThanOrEqual(SENDS_IN_FLIGHT_MAX);
          for (const { packet, mark, to } of inFlight) {
            expect(markOf(packet)).toBe(mark);
            expect(packet.to).toBe(to);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});
