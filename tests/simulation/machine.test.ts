// The simulated network, disk and clock do what they are told, no more.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_SKEW, SimulatedClock } from "../../sim/clock.ts";
import { SimulatedDisk } from "../../sim/disk.ts";
import { drawDistinct, drawGeometric, drawInteger } from "../../sim/draw.ts";
import { type NetworkParameters, SimulatedNetwork } from "../../sim/network.ts";
import { parseSeed } from "../../sim/seed.ts";
import { TraceHash } from "../../sim/trace.ts";
import { PACKET_BYTES } from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";

const PERFECT: NetworkParameters = {
  lossRate: 0,
  latencyMinTicks: 1,
  latencyJitterTicks: 0,
  tailRate: 0,
  duplicateRate: 0,
  inFlightMax: 1_000,
};
const ENDPOINTS = ["10.0.0.1:7946", "10.0.0.2:7946", "10.0.0.3:7946"];

function networkWith(parameters: Partial<NetworkParameters>, seed = 1n): SimulatedNetwork {
  return new SimulatedNetwork({
    random: new SeededRandom(seed),
    trace: new TraceHash(),
    endpoints: ENDPOINTS,
    parameters: { ...PERFECT, ...parameters },
  });
}

function packet(mark: number): Uint8Array {
  return new Uint8Array(PACKET_BYTES).fill(mark);
}

/** What arrives from tick 1 on: when, where, and its first byte. */
function arrivals(network: SimulatedNetwork, ticks: number): [number, number, number][] {
  const seen: [number, number, number][] = [];
  for (let tick = 1; tick <= ticks; tick += 1) {
    network.deliver(tick, (to, bytes) => seen.push([tick, to, bytes[0]!]));
  }
  return seen;
}

describe("the network", () => {
  it("brings a copy of each packet once, after its latency", () => {
    const network = networkWith({ latencyMinTicks: 3 });
    const bytes = packet(7);
    network.send(0, bytes, ENDPOINTS[1]!);
    bytes.fill(8);
    expect(arrivals(network, 10)).toEqual([[3, 1, 7]]);
    expect(network.inFlight).toBe(0);
  });

  it("counts what was sent even where all is lost", () => {
    const network = networkWith({ lossRate: 1 });
    network.send(0, packet(1), ENDPOINTS[1]!);
    network.send(0, packet(1), "192.0.2.1:1");
    expect(arrivals(network, 5)).toEqual([]);
    expect(network.counters).toMatchObject({ packetsSent: 2, bytesSent: 2_048, packetsLost: 2 });
  });

  it("loses, spreads and repeats packets at the rates it was given", () => {
    const network = networkWith({ lossRate: 0.5, latencyJitterTicks: 2, duplicateRate: 0.25 });
    for (let i = 0; i < 800; i += 1) network.send(0, packet(1), ENDPOINTS[1]!);
    const seen = arrivals(network, 5);
    expect(seen.length).toBeGreaterThan(800 * 0.5 * 1.25 * 0.85);
    expect(seen.length).toBeLessThan(800 * 0.5 * 1.25 * 1.15);
    expect(new Set(seen.map(([tick]) => tick))).toEqual(new Set([1, 2, 3]));
  });

  it("cuts the isolated off both ways, or one way only", () => {
    const reached = (cut: "both" | "inward" | "outward") => {
      const network = networkWith({});
      network.partition([2], cut);
      network.send(0, packet(1), ENDPOINTS[2]!);
      network.send(2, packet(1), ENDPOINTS[0]!);
      return arrivals(network, 3).map(([, to]) => to);
    };
    expect(reached("both")).toEqual([]);
    expect(reached("inward")).toEqual([0]);
    expect(reached("outward")).toEqual([2]);
  });

  it("holds a clogged direction back, and only that one", () => {
    const network = networkWith({});
    network.clog(0, 1, 6);
    network.send(0, packet(1), ENDPOINTS[1]!);
    network.send(1, packet(2), ENDPOINTS[0]!);
    expect(arrivals(network, 10)).toEqual([
      [1, 0, 2],
      [7, 1, 1],
    ]);
  });

  it("drops and counts what is over its bound in flight", () => {
    const network = networkWith({ inFlightMax: 5, latencyMinTicks: 2 });
    for (let i = 0; i < 8; i += 1) network.send(0, packet(1), ENDPOINTS[1]!);
    expect(network.counters).toMatchObject({ packetsOverflowed: 3, inFlightPeak: 5 });
    expect(arrivals(network, 3)).toHaveLength(5);
  });

  it("forges packets of every length up to a packet's", () => {
    const network = networkWith({});
    for (let i = 0; i < 200; i += 1) network.forge();
    const lengths: number[] = [];
    network.deliver(1, (_, bytes) => lengths.push(bytes.length));
    expect(lengths).toHaveLength(200);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(PACKET_BYTES);
    expect(network.counters.packetsSent).toBe(0);
  });

  it("does the same for the same seed", () => {
    const run = (seed: bigint) => {
      const network = networkWith({ lossRate: 0.3, latencyJitterTicks: 9, tailRate: 0.2 }, seed);
      for (let i = 0; i < 100; i += 1) network.send(0, packet(i), ENDPOINTS[1]!);
      return arrivals(network, 300);
    };
    expect(run(5n)).toEqual(run(5n));
    expect(run(5n)).not.toEqual(run(6n));
  });
});

describe("the disk", () => {
  function diskWith(content: number[], writeTicks = 0, seed = 1n): SimulatedDisk {
    const disk = new SimulatedDisk(new SeededRandom(seed));
    disk.format(Uint8Array.from(content));
    disk.writeTicks = writeTicks;
    return disk;
  }

  it("makes a write durable after its ticks", () => {
    const disk = diskWith([1], 2);
    const ends: (Error | null)[] = [];
    disk.append(Uint8Array.of(2, 3), (error) => ends.push(error));
    disk.tick(1);
    expect([ends, [...disk.content]]).toEqual([[], [1]]);
    disk.tick(2);
    expect([ends, [...disk.content]]).toEqual([[null], [1, 2, 3]]);
  });

  it("changes no other disk that began with the same bytes", () => {
    const image = Uint8Array.of(1, 2, 3);
    const disks = [1n, 2n].map((seed) => new SimulatedDisk(new SeededRandom(seed)));
    for (const disk of disks) disk.format(image);
    disks[0]!.rot();
    disks[0]!.append(Uint8Array.of(4), () => {});
    disks[0]!.tick(0);
    expect([...disks[1]!.content]).toEqual([1, 2, 3]);
  });

  it("keeps what was durable through a crash, and of an append at most what was asked", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (seed) => {
        const disk = diskWith([1, 2, 3], 5, seed);
        disk.append(new Uint8Array(40).fill(9), () => expect.unreachable("it never ends"));
        disk.crash();
        disk.tick(9);
        const content = disk.read();
        expect([...content.subarray(0, 3)]).toEqual([1, 2, 3]);
        expect(content.length).toBeLessThanOrEqual(43);
      }),
    );
  });

  it("replaces whole or not at all when it crashes", () => {
    const outcomes = new Set<string>();
    for (let seed = 0n; seed < 20n; seed += 1n) {
      const disk = diskWith([1, 2], 5, seed);
      disk.replace(Uint8Array.of(8, 8, 8), () => {});
      disk.crash();
      outcomes.add([...disk.content].join());
    }
    expect(outcomes).toEqual(new Set(["1,2", "8,8,8"]));
  });

  it("says that it is full, and leaves the old content in place of a replacement", () => {
    const disk = diskWith([1]);
    disk.fullUntilTick = 10;
    const codes: unknown[] = [];
    const done = (error: Error | null) => codes.push(error && "code" in error ? error.code : null);
    disk.replace(Uint8Array.of(2), done);
    disk.tick(5);
    disk.replace(Uint8Array.of(3), done);
    disk.tick(10);
    expect([codes, [...disk.content]]).toEqual([["ENOSPC", null], [3]]);
  });
});

describe("the clock", () => {
  it("tells true time where nothing is wrong", () => {
    const clock = new SimulatedClock(NO_SKEW, 1_000);
    expect([1_100, 1_200].map((trueMs) => clock.nowMs(trueMs))).toEqual([1_100, 1_200]);
  });

  it("drifts, swings and steps, each in its way", () => {
    const errorAfter = (skew: Partial<typeof NO_SKEW>, elapsedMs: number) =>
      new SimulatedClock({ ...NO_SKEW, ...skew }, 0).errorMs(elapsedMs);
    expect(errorAfter({ driftPpm: 100 }, 1_000_000)).toBe(100);
    const swing = { swingMs: 50, swingPeriodMs: 400 };
    expect([0, 100, 200, 300, 400].map((ms) => errorAfter(swing, ms))).toEqual([0, 50, 0, -50, 0]);
    const clock = new SimulatedClock(NO_SKEW, 0);
    clock.step(-70);
    expect(clock.errorMs(10)).toBe(-70);
    clock.setRight(20);
    expect(clock.errorMs(20)).toBe(0);
  });
});

describe("draws", () => {
  const seeds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

  it("stay within their bounds", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 0, max: 50 }),
        fc.integer({ min: 0, max: 50 }),
        (seed, a, b) => {
          const random = new SeededRandom(seed);
          const [least, most] = [Math.min(a, b), Math.max(a, b)];
          const value = drawInteger(random, [least, most]);
          expect(value >= least && value <= most).toBe(true);
          const geometric = drawGeometric(random, 0.9, 20);
          expect(geometric >= 1 && geometric <= 20).toBe(true);
          const distinct = drawDistinct(random, most + 1, least + 1);
          expect(new Set(distinct).size).toBe(least + 1);
        },
      ),
    );
  });
});

describe("a seed as text", () => {
  it("is any u64, in decimal or hex", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (seed) => {
        expect(parseSeed(String(seed))).toBe(seed);
        expect(parseSeed(`0x${seed.toString(16)}`)).toBe(seed);
      }),
    );
  });

  it.each(["", "-1", "1.5", "0x", "18446744073709551616", "0x10000000000000000", "one"])(
    "is not %j",
    (text) => expect(parseSeed(text)).toBe(null),
  );
});

describe("the trace", () => {
  it("tells apart bytes that differ in one bit, in length or in order", () => {
    const hashOf = (...parts: Uint8Array[]) => {
      const trace = new TraceHash();
      for (const part of parts) trace.bytes(part);
      return trace.hex;
    };
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(511), (bytes, bit) => {
        const flipped = bytes.slice();
        flipped[(bit >>> 3) % bytes.length]! ^= 1 << (bit & 7);
        expect(hashOf(flipped)).not.toBe(hashOf(bytes));
        expect(hashOf(bytes.subarray(1))).not.toBe(hashOf(bytes));
        expect(hashOf(bytes, flipped)).not.toBe(hashOf(flipped, bytes));
      }),
    );
  });
});
