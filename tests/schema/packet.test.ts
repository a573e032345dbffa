// The packet's header: written, read back, and refused in every form that is not ours.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/kernel/assert.ts";
import { HEADER_BYTES, PACKET_BYTES, PAYLOAD_BYTES } from "../../src/kernel/limits.ts";
import { toHex } from "../../src/schema/node-id.ts";
import {
  OFFSET,
  PACKET_KIND,
  type PacketHeader,
  payloadOf,
  readHeader,
  writeHeader,
} from "../../src/schema/packet.ts";

const nodeId = fc.uint8Array({ minLength: 8, maxLength: 8 }).map(toHex);
const header: fc.Arbitrary<PacketHeader> = fc.record({
  kind: fc.constantFrom(...Object.values(PACKET_KIND)),
  zone: fc.nat(0xff),
  payloadLength: fc.nat(PAYLOAD_BYTES),
  revocationBlock: fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER)),
  source: nodeId,
  destination: nodeId,
  session: fc.nat(0xffff_ffff),
  counter: fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER)),
});

describe("a packet's header", () => {
  test("is read as it was written, and leaves payload and tag alone", () => {
    fc.assert(
      fc.property(header, (written) => {
        const packet = new Uint8Array(PACKET_BYTES).fill(0xa5);
        writeHeader(packet, written);
        expect(readHeader(packet)).toEqual(written);
        expect(packet.subarray(HEADER_BYTES)).toEqual(
          new Uint8Array(PACKET_BYTES - HEADER_BYTES).fill(0xa5),
        );
      }),
    );
  });

  test("is read out of the middle of a larger buffer too", () => {
    const memory = new Uint8Array(PACKET_BYTES + 7);
    const packet = memory.subarray(7);
    const [written] = fc.sample(header, { numRuns: 1, seed: 1 });
    writeHeader(packet, written!);
    expect(readHeader(packet)).toEqual(written);
  });

  test("is read or refused, whatever the bytes, and what is read writes the same bytes", () => {
    const bytes = fc.uint8Array({ minLength: HEADER_BYTES, maxLength: HEADER_BYTES });
    fc.assert(
      fc.property(bytes, fc.boolean(), fc.nat(7), (head, isNearlyOurs, kind) => {
        const packet = new Uint8Array(PACKET_BYTES);
        packet.set(head);
        if (isNearlyOurs) makeNearlyOurs(packet, kind);
        const read = readHeader(packet);
        if (read === null) return;
        const again = new Uint8Array(PACKET_BYTES);
        writeHeader(again, read);
        expect(again).toEqual(packet);
      }),
    );
  });

  test.each([0, 1, PACKET_BYTES - 1, PACKET_BYTES + 1, 65_507])(
    "is not read from %i bytes",
    (length) => {
      const bytes = new Uint8Array(length);
      bytes.set(soundPacket().subarray(0, length));
      expect(readHeader(bytes)).toBeNull();
    },
  );

  test.each([
    ["another magic", OFFSET.magic, 0],
    ["another version", OFFSET.version, 2],
    ["kind 0", OFFSET.kind, 0],
    ["an unknown kind", OFFSET.kind, 7],
    ["flags", OFFSET.flags, 1],
    ["reserved bytes in use", OFFSET.reserved + 3, 1],
    ["a payload longer than its room", OFFSET.payloadLength + 1, 0xff],
    ["a revocation block of 2^53", OFFSET.revocationBlock + 6, 0x20],
    ["a counter of 2^53", OFFSET.counter + 6, 0x20],
  ])("is refused with %s", (_name, offset, value) => {
    const packet = soundPacket();
    packet[offset] = value;
    expect(readHeader(packet)).toBeNull();
  });

  test.each([
    { payloadLength: PAYLOAD_BYTES + 1 },
    { counter: Number.MAX_SAFE_INTEGER + 1 },
    { revocationBlock: -1 },
  ])("is not written with %o", (change) => {
    const packet = new Uint8Array(PACKET_BYTES);
    expect(() => writeHeader(packet, { ...readHeader(soundPacket())!, ...change })).toThrow(
      AssertionError,
    );
  });
});

describe("a packet's payload", () => {
  test("is a view of all that lies between header and tag", () => {
    const packet = soundPacket();
    payloadOf(packet).fill(1);
    expect(payloadOf(packet).length).toBe(PAYLOAD_BYTES);
    expect(packet[OFFSET.payload - 1]).toBe(0);
    expect(packet[OFFSET.payload]).toBe(1);
    expect(packet[OFFSET.tag]).toBe(0);
  });
});

function soundPacket(): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  writeHeader(packet, {
    kind: PACKET_KIND.data,
    zone: 1,
    payloadLength: 10,
    revocationBlock: 2,
    source: "0011223344556677",
    destination: "8899aabbccddeeff",
    session: 3,
    counter: 4,
  });
  return packet;
}

function makeNearlyOurs(packet: Uint8Array, kind: number): void {
  packet.set(soundPacket().subarray(OFFSET.magic, OFFSET.kind));
  packet[OFFSET.kind] = kind;
  packet[OFFSET.flags] = 0;
  packet[OFFSET.payloadLength + 1] = packet[OFFSET.payloadLength + 1]! & 3;
  packet[OFFSET.revocationBlock + 7] = 0;
  packet[OFFSET.counter + 7] = 0;
  packet.fill(0, OFFSET.reserved, OFFSET.payload);
}
