// The checksum against its published check value and zlib's own.
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32 } from "../../src/db/crc32.ts";

test("gives the check value of CRC-32 for the digits 1 to 9", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
});

test("is 0 for no bytes", () => {
  expect(crc32(new Uint8Array())).toBe(0);
});

test("agrees with zlib on any bytes, at any place in a buffer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, start) => {
      const from = Math.min(start, bytes.length);
      expect(crc32(bytes, from)).toBe(zlibCrc32(bytes.subarray(from)));
    }),
  );
});

test("goes on from the checksum of what came before", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (before, after) => {
      const whole = new Uint8Array([...before, ...after]);
      expect(crc32(after, 0, after.length, crc32(before))).toBe(crc32(whole));
    }),
  );
});
