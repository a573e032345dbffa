// Flows are found in both directions, counted as they should be, and make room in their order.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PACKET_SIZE_BOUNDS } from "../../src/flow/tap/features.ts";
import type { Flow } from "../../src/flow/tap/flow.ts";
import { FlowTable } from "../../src/flow/tap/flow-table.ts";
import { readIp } from "../../src/flow/tap/ip.ts";
import { NameTable } from "../../src/flow/tap/names.ts";
import { Packet } from "../../src/flow/tap/packet.ts";
import { readTransport } from "../../src/flow/tap/transport.ts";
import { bytesOf, CLIENT, CLIENT6, ip, SERVER, SERVER6, type Side, udp } from "./packets.ts";

function packetOf(bytes: readonly number[], atMs = 0): Packet {
  const packet = new Packet();
  packet.bytes = bytesOf(bytes);
  packet.networkEnd = bytes.length;
  packet.atMs = atMs;
  expect(readIp(packet) && readTransport(packet)).toBe(true);
  return packet;
}

/** As the tap does: finds the packet's flow, or makes room for it. */
function meet(table: FlowTable, packet: Packet): Flow {
  const known = table.find(packet);
  if (known !== null) return known;
  if (table.isFull) table.remove(table.oldest!);
  return table.add(packet);
}

/** Few of everything, so that keys meet again and hashes fall together. */
const side = fc.tuple(fc.nat(3), fc.nat(2), fc.boolean()).map(([host, port, isV4]): Side => {
  const base = isV4 ? CLIENT.address : CLIENT6.address;
  return { address: [...base.slice(0, -1), host], port: 1_000 + port };
});
const pair = fc.tuple(side, side).filter(([from, to]) => from.address.length === to.address.length);

const nameOf = ([from, to]: readonly [Side, Side], protocol: number) =>
  [`${from.address}:${from.port}`, `${to.address}:${to.port}`]
    .sort()
    .concat(`${protocol}`)
    .join(" ");

describe("the table", () => {
  test("does what a map with the same bound does", () => {
    const step = fc.record({ ends: pair, protocol: fc.constantFrom(17, 33), removes: fc.nat(9) });
    fc.assert(
      fc.property(
        // Powers of two fill half of the index: long runs of neighbours, as at their worst.
        fc.constantFrom(1, 3, 8, 16, 32),
        fc.nat(),
        fc.array(step, { maxLength: 300, size: "max" }),
        (capacity, seed, steps) => {
          const table = new FlowTable(capacity, seed);
          // A map keeps the order of insertion: its first is the one longest silent.
          const model = new Map<string, number>();
          for (const { ends, protocol, removes } of steps) {
            const name = nameOf(ends, protocol);
            const packet = packetOf(
              ip(protocol, ...ends, [
                ...udp(...ends, new Array(8).fill(0)).slice(ends[0].address.length === 4 ? 20 : 40),
              ]),
            );
            const known = model.get(name);
            if (known === undefined && model.size === capacity) {
              model.delete([...model.keys()][0]!);
            }
            const flow = meet(table, packet);
            if (known !== undefined) expect(flow.id).toBe(known);
            model.delete(name);
            model.set(name, flow.id);
            if (removes === 0) {
              table.remove(flow);
              model.delete(name);
            }
            expect(table.size).toBe(model.size);
            expect(table.oldest?.id ?? null).toBe([...model.values()][0] ?? null);
          }
        },
      ),
    );
  });

  test("gives a flow's key from its client's side, in canonical text", () => {
    const table = new FlowTable(4, 1);
    const flow = meet(table, packetOf(udp(SERVER6, CLIENT6, [1])));
    expect(flow.key).toEqual({
      ...{ protocol: 17, client: "2001:db8:1::7", clientPort: 443 },
      ...{ server: "2001:db8::10", serverPort: 50_000 },
    });
    flow.setClient(!flow.clientIsFirst, "port");
    expect(flow.key).toMatchObject({ client: "2001:db8::10", serverPort: 443 });
    // A weaker clue, or one as strong, changes nothing any more.
    flow.setClient(!flow.clientIsFirst, "port");
    expect(flow.key.serverPort).toBe(443);
    expect(meet(table, packetOf(udp(CLIENT6, SERVER6, [1])))).toBe(flow);
  });

  test("starts a used place from nothing", () => {
    const table = new FlowTable(1, 1);
    const first = meet(table, packetOf(udp(CLIENT, SERVER, [1]), 5));
    first.sideOf(packetOf(udp(CLIENT, SERVER, [1]))).packets;
    first.fromClient.count(packetOf(udp(CLIENT, SERVER, [1]), 5));
    first.setServerName("a.example", "tls");
    first.payload = "x";
    const second = meet(table, packetOf(udp(CLIENT6, SERVER6, [1]), 9));
    expect(second.id).not.toBe(1);
    expect(second).toMatchObject({ serverName: null, payload: null, packets: 0, firstSeenMs: 9 });
    expect(Array.from(second.fromClient.sizeHistogram).every((count) => count === 0)).toBe(true);
  });
});

describe("the counters of a direction", () => {
  test("are those computed from all packets at once", () => {
    const packet = fc.record({
      gapMs: fc.float({ min: 0, max: 5_000, noNaN: true }),
      payloadBytes: fc.nat(1_400),
    });
    fc.assert(
      fc.property(fc.array(packet, { minLength: 1, maxLength: 40 }), (packets) => {
        const flow = meet(new FlowTable(1, 1), packetOf(udp(CLIENT, SERVER, [])));
        const { fromClient } = flow;
        let atMs = 1.7e12;
        const gaps: number[] = [];
        const sizes: number[] = [];
        for (const { gapMs, payloadBytes } of packets) {
          const before = atMs;
          atMs += gapMs;
          if (sizes.length > 0) gaps.push(atMs - before);
          sizes.push(payloadBytes);
          fromClient.count(packetOf(udp(CLIENT, SERVER, new Array(payloadBytes).fill(0)), atMs));
        }
        const mean = gaps.reduce((sum, gap) => sum + gap, 0) / Math.max(1, gaps.length);
        const squares = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0);
        expect(fromClient.packets).toBe(sizes.length);
        expect(fromClient.bytes).toBe(sizes.reduce((sum, size) => sum + size + 28, 0));
        expect(fromClient.payloadPackets).toBe(sizes.filter((size) => size > 0).length);
        expect(fromClient.payloadBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
        expect(fromClient.interArrivalMeanMs).toBeCloseTo(mean, 3);
        const variance = gaps.length < 2 ? 0 : squares / gaps.length;
        expect(fromClient.interArrivalVarianceMs2).toBeCloseTo(variance, -1);
        const bins = [...PACKET_SIZE_BOUNDS, Number.POSITIVE_INFINITY].map((bound, i) => {
          const lower = PACKET_SIZE_BOUNDS[i - 1] ?? -1;
          return sizes.filter((size) => size + 28 > lower && size + 28 <= bound).length;
        });
        expect(Array.from(fromClient.sizeHistogram)).toEqual(bins);
      }),
      { numRuns: 60 },
    );
  });

  test("take no harm from a clock that steps back", () => {
    const flow = meet(new FlowTable(1, 1), packetOf(udp(CLIENT, SERVER, [])));
    for (const atMs of [1_000, 2_000, 500, 1_500]) {
      flow.fromClient.count(packetOf(udp(CLIENT, SERVER, []), atMs));
    }
    expect(flow.fromClient.interArrivalMeanMs).toBeCloseTo(2_000 / 3);
  });
});

describe("the names", () => {
  const key = "\x01\x02\x03\x04";

  test("make room in the order they were last used in", () => {
    const step = fc.tuple(fc.nat(6), fc.boolean());
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step), (capacity, steps) => {
        const table = new NameTable(capacity);
        const model = new Map<string, string>();
        for (const [index, learns] of steps) {
          const name = `n${index}`;
          if (learns) {
            model.delete(name);
            if (model.size === capacity) model.delete([...model.keys()][0]!);
            model.set(name, name);
            table.learn(name, name, 0, 0);
          } else {
            const found = table.find(name, 0);
            expect(found).toBe(model.get(name) ?? null);
            if (found !== null) {
              model.delete(name);
              model.set(name, found);
            }
          }
          expect(table.size).toBe(model.size);
        }
      }),
    );
  });

  test("are good for as long as the answer allows, ten minutes at least, six hours at most", () => {
    const minuteMs = 60_000;
    for (const [lifetimeMs, goodMs] of [
      [0, 10 * minuteMs],
      [60 * minuteMs, 60 * minuteMs],
      [1e12, 360 * minuteMs],
    ] as const) {
      const table = new NameTable(2);
      table.learn(key, "a.example", 1_000, lifetimeMs);
      expect(table.find(key, 1_000 + goodMs)).toBe("a.example");
      expect(table.find(key, 1_001 + goodMs)).toBeNull();
      expect(table.size).toBe(0);
    }
  });
});
