// Captures are read as they stream in: whatever the format and the pieces, the same packets come out.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CaptureReader } from "../../src/flow/tap/capture.ts";
import { CAPTURE_PACKET_BYTES_MAX } from "../../src/kernel/limits.ts";
import { be16, be32, bytesOf, le16, le32 } from "./packets.ts";

interface Read {
  readonly linkType: number;
  readonly atMs: number;
  readonly frame: number[];
}

function readAll(pieces: readonly Uint8Array[]) {
  const packets: Read[] = [];
  const reader = new CaptureReader((bytes, start, end, linkType, atMs) => {
    packets.push({ linkType, atMs, frame: Array.from(bytes.subarray(start, end)) });
  });
  for (const piece of pieces) reader.push(piece);
  return { packets, problem: reader.finish() };
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const borders = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b)];
  // Copies, so that a reader which kept a view of one would read garbage.
  return borders.map((start, i) => bytes.slice(start, borders[i + 1] ?? bytes.length));
}

const frame = fc.array(fc.nat(255), { maxLength: 60 });
const cuts = fc.array(fc.nat(5_000), { maxLength: 12 });

interface PcapKind {
  readonly littleEndian: boolean;
  readonly isNano: boolean;
  readonly isPatched: boolean;
}
const pcapKind = fc.record({
  littleEndian: fc.boolean(),
  isNano: fc.boolean(),
  isPatched: fc.boolean(),
});

interface Stamped {
  readonly seconds: number;
  readonly fraction: number;
  readonly frame: readonly number[];
}
const stamped = fc.record({
  seconds: fc.integer({ min: 0, max: 0xffff_ffff }),
  fraction: fc.nat(999_999),
  frame,
});

function pcapFile(kind: PcapKind, linkType: number, packets: readonly Stamped[]): Uint8Array {
  const [u16, u32] = kind.littleEndian ? [le16, le32] : [be16, be32];
  const magic = kind.isPatched ? 0xa1b2cd34 : kind.isNano ? 0xa1b23c4d : 0xa1b2c3d4;
  const extra = kind.isPatched ? [1, 2, 3, 4, 5, 6, 7, 8] : [];
  const records = packets.map(({ seconds, fraction, frame: bytes }) =>
    bytesOf(
      [...u32(seconds), ...u32(fraction), ...u32(bytes.length), ...u32(bytes.length + 100)],
      extra,
      bytes,
    ),
  );
  // The top bits of the link type tell of a frame check sequence.
  const head = [...u32(magic), ...u16(2), ...u16(4), ...u32(0), ...u32(0), ...u32(65_535)];
  return bytesOf(head, u32((linkType | 0x2400_0000) >>> 0), ...records);
}

describe("pcap", () => {
  test("gives its packets whatever its byte order, its resolution and the pieces it comes in", () => {
    fc.assert(
      fc.property(
        pcapKind,
        fc.nat(400),
        fc.array(stamped, { maxLength: 8 }),
        cuts,
        (kind, linkType, packets, at) => {
          const { packets: read, problem } = readAll(split(pcapFile(kind, linkType, packets), at));
          const unitMs = kind.isNano && !kind.isPatched ? 1e-6 : 1e-3;
          expect(problem).toBeNull();
          expect(read).toEqual(
            packets.map(({ seconds, fraction, frame: bytes }) => ({
              linkType,
              atMs: seconds * 1e3 + fraction * unitMs,
              frame: bytes,
            })),
          );
        },
      ),
    );
  });

  test("cut anywhere gives the packets before the cut and says that it is cut", () => {
    const kind = { littleEndian: true, isNano: false, isPatched: false };
    const packets = [1, 2, 3].map((n) => ({
      seconds: n,
      fraction: 0,
      frame: new Array(20).fill(n),
    }));
    const file = pcapFile(kind, 1, packets);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: file.length - 1 }), cuts, (length, at) => {
        const { packets: read, problem } = readAll(split(file.slice(0, length), at));
        const whole = Math.max(0, Math.floor((length - 24) / 36));
        const isBetween = length >= 24 && (length - 24) % 36 === 0;
        expect(read).toHaveLength(whole);
        if (length < 4) expect(problem?.code).toBe("ERR_CAPTURE_FORMAT");
        else if (isBetween) expect(problem).toBeNull();
        else expect(problem?.code).toBe("ERR_CAPTURE_TRUNCATED");
      }),
    );
  });

  test("with a packet of an impossible size is damaged, and nothing is allocated for it", () => {
    const head = bytesOf(le32(0xa1b2c3d4), new Array(16).fill(0), le32(1));
    const record = bytesOf(le32(0), le32(0), le32(CAPTURE_PACKET_BYTES_MAX + 1), le32(0));
    const { problem } = readAll([head, record, new Uint8Array(1_000)]);
    expect(problem?.code).toBe("ERR_CAPTURE_DAMAGED");
    expect(problem?.message).toContain(String(CAPTURE_PACKET_BYTES_MAX + 1));
  });
});

interface Block {
  readonly kind: "enhanced" | "simple" | "old" | "unknown" | "interface";
  readonly interfaceIndex: number;
  readonly ticks: number;
  readonly optionBytes: number;
  readonly frame: readonly number[];
}
const block = fc.record({
  kind: fc.constantFrom("enhanced", "simple", "old", "unknown", "interface") as fc.Arbitrary<
    Block["kind"]
  >,
  interfaceIndex: fc.nat(3),
  ticks: fc.nat(2 ** 31),
  optionBytes: fc.nat(10).map((words) => 4 * words),
  frame,
});

/** Interfaces count link types up from 101; every second one counts time in 2^-10 seconds, 100 s late. */
const unitsOf = (index: number) =>
  index % 2 === 0 ? { ms: 1e-3, offsetMs: 0 } : { ms: 1e3 / 1024, offsetMs: 1e5 };

function pcapngSection(littleEndian: boolean, blocks: readonly Block[]) {
  const [u16, u32] = littleEndian ? [le16, le32] : [be16, be32];
  const out: number[] = [];
  const expected: Read[] = [];
  let interfaces = 0;
  let lastMs = 0;
  const put = (type: number, body: readonly number[]) => {
    const padded = [...body, ...new Array((4 - (body.length % 4)) % 4).fill(0)];
    out.push(...u32(type), ...u32(padded.length + 12), ...padded, ...u32(padded.length + 12));
  };
  const u64 = (value: number) =>
    littleEndian ? [...u32(value), ...u32(0)] : [...u32(0), ...u32(value)];
  put(0x0a0d0d0a, [
    ...u32(0x1a2b3c4d),
    ...u16(1),
    ...u16(0),
    ...u32(0xffffffff),
    ...u32(0xffffffff),
  ]);
  for (const { kind, interfaceIndex, ticks, optionBytes, frame: bytes } of blocks) {
    const { ms, offsetMs } = unitsOf(interfaceIndex);
    const options = new Array(optionBytes).fill(0x5a);
    const padding = new Array((4 - (bytes.length % 4)) % 4).fill(0);
    const times = [...u32(0), ...u32(ticks)];
    const lengths = [...u32(bytes.length), ...u32(bytes.length + 9)];
    const isKnown = interfaceIndex < interfaces;
    if (kind === "interface") {
      const isSlow = interfaces % 2 === 1;
      const clock = [...u16(9), ...u16(1), 0x80 | 10, 0, 0, 0, ...u16(14), ...u16(8), ...u64(100)];
      const comment = [...u16(1), ...u16(3), 0x61, 0x62, 0x63, 0];
      put(1, [
        ...u16(101 + interfaces),
        0,
        0,
        ...u32(0),
        ...comment,
        ...(isSlow ? clock : []),
        ...u32(0),
      ]);
      interfaces += 1;
    } else if (kind === "unknown") put(0x0bad, [...times, ...bytes]);
    else if (kind === "simple") {
      put(3, [...u32(bytes.length), ...bytes]);
      if (interfaces > 0) expected.push({ linkType: 101, atMs: lastMs, frame: [...bytes] });
    } else {
      const head = kind === "enhanced" ? u32(interfaceIndex) : [...u16(interfaceIndex), ...u16(7)];
      put(kind === "enhanced" ? 6 : 2, [
        ...head,
        ...times,
        ...lengths,
        ...bytes,
        ...padding,
        ...options,
      ]);
      if (isKnown) {
        lastMs = ticks * ms + offsetMs;
        expected.push({ linkType: 101 + interfaceIndex, atMs: lastMs, frame: [...bytes] });
      }
    }
  }
  return { bytes: bytesOf(out), expected, lastMs };
}

describe("pcapng", () => {
  test("gives the packets of all its interfaces, in either byte order and in any pieces", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(block, { maxLength: 14 }),
        cuts,
        (isLittle, blocks, at) => {
          const { bytes, expected } = pcapngSection(isLittle, blocks);
          const { packets, problem } = readAll(split(bytes, at));
          expect(problem).toBeNull();
          expect(packets).toEqual(expected);
        },
      ),
    );
  });

  test("of two sections reads the second in its own byte order, its interfaces counted anew", () => {
    const packet: Block = {
      ...{ kind: "enhanced", interfaceIndex: 0, ticks: 5_000, optionBytes: 4 },
      frame: [1, 2, 3],
    };
    const one = pcapngSection(true, [{ ...packet, kind: "interface" }, packet]);
    const two = pcapngSection(false, [packet, { ...packet, kind: "interface" }, packet]);
    const { packets } = readAll([bytesOf(one.bytes, two.bytes)]);
    expect(packets).toEqual([...one.expected, ...two.expected]);
    expect(packets).toHaveLength(2);
  });

  test("with more interfaces than are allowed is damaged", () => {
    const one: Block = {
      kind: "interface",
      interfaceIndex: 0,
      ticks: 0,
      optionBytes: 0,
      frame: [],
    };
    const { bytes } = pcapngSection(true, new Array(300).fill(one));
    expect(readAll([bytes]).problem?.code).toBe("ERR_CAPTURE_DAMAGED");
  });
});

describe("what is no capture", () => {
  test("is refused, and gzip named", () => {
    expect(readAll([]).problem?.code).toBe("ERR_CAPTURE_FORMAT");
    expect(readAll([new Uint8Array(100)]).problem?.message).toContain("neither pcap nor pcapng");
    expect(
      readAll([bytesOf([0x1f, 0x8b, 8, 0], new Array(50).fill(1))]).problem?.message,
    ).toContain("gzip");
  });

  test("never makes the reader throw, nor read a packet outside its bytes", () => {
    const magics = [
      [0xd4, 0xc3, 0xb2, 0xa1],
      [0xa1, 0xb2, 0x3c, 0x4d],
      [0x0a, 0x0d, 0x0d, 0x0a],
    ];
    const pcapngHead = [...[0x0a, 0x0d, 0x0d, 0x0a], ...le32(12), ...le32(0x1a2b3c4d)];
    fc.assert(
      fc.property(
        fc.constantFrom<number[]>([], ...magics, pcapngHead),
        fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 6, 12, 32)), { maxLength: 400 }),
        cuts,
        (head, rest, at) => {
          const bytes = bytesOf(head, rest);
          const whole = readAll([bytes]);
          const pieces = readAll(split(bytes, at));
          expect(pieces).toEqual(whole);
        },
      ),
    );
  });
});
