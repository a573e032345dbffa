import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PACKET_BYTES, RECORD_BYTES_MAX } from "../../src/kernel/limits.ts";
import type { Crypto } from "../../src/kernel/ports.ts";
import { decodeDeployPacket, encodeDeployPacket } from "../../src/schema/deploy-packet.ts";
import { FormatError } from "../../src/schema/varint.ts";

const crypto = {
  sha256: (data: Uint8Array) => new Uint8Array(createHash("sha256").update(data).digest()),
} as Crypto;
const author = "0123456789abcdef";
const record = fc.uint8Array({ minLength: 1, maxLength: RECORD_BYTES_MAX });

describe("a deploy packet", () => {
  it("gives back the record it was made of, in 1024 bytes", () => {
    fc.assert(
      fc.property(record, (bytes) => {
        const packet = encodeDeployPacket(crypto, author, bytes);
        expect(packet.length).toBe(PACKET_BYTES);
        expect(decodeDeployPacket(crypto, packet)).toEqual(bytes);
      }),
    );
  });

  it("is refused with any byte changed", () => {
    fc.assert(
      fc.property(
        record,
        fc.nat({ max: PACKET_BYTES - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (bytes, at, change) => {
          const packet = encodeDeployPacket(crypto, author, bytes);
          packet[at] = packet[at]! ^ change;
          expect(() => decodeDeployPacket(crypto, packet)).toThrow(FormatError);
        },
      ),
    );
  });

  it("is refused at any other length, saying both", () => {
    expect(() => decodeDeployPacket(crypto, new Uint8Array(12))).toThrow("1024 bytes; found 12");
  });

  it("only ever fails with a FormatError on arbitrary bytes", () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.uint8Array({ minLength: PACKET_BYTES, maxLength: PACKET_BYTES }),
    );
    fc.assert(
      fc.property(anything, (bytes) => {
        expect(() => decodeDeployPacket(crypto, bytes)).toThrow(FormatError);
      }),
    );
  });
});
