// The frames of a payload: each read back as written, each refused when it cannot be.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RECORD_BYTES_MAX } from "../../src/kernel/limits.ts";
import {
  type Digest,
  FRAME,
  LIST_HEAD_BYTES_MAX,
  type ListHead,
  MEMBER_FRAME_BYTES_MAX,
  MEMBER_STATUSES,
  type MemberRumour,
  RECORD_FRAME_HEAD_BYTES,
  readDigest,
  readListHead,
  readMember,
  readNodeId,
  readRecordFrame,
  writeAck,
  writeDigest,
  writeListHead,
  writeMember,
  writeNack,
  writePing,
  writePingRequest,
  writeRecordFrame,
} from "../../src/schema/frame.ts";
import { toHex } from "../../src/schema/node-id.ts";
import { ByteReader, ByteWriter, FormatError } from "../../src/schema/varint.ts";

const u32 = fc.nat(0xffff_ffff);
const nodeId = fc.uint8Array({ minLength: 8, maxLength: 8 }).map(toHex);

const digest: fc.Arbitrary<Digest> = fc.record({
  rootHigh: u32,
  rootLow: u32,
  reapedThrough: fc.maxSafeNat(),
});
const rumour: fc.Arbitrary<MemberRumour> = fc.record({
  nodeId,
  status: fc.constantFrom(...MEMBER_STATUSES),
  incarnation: u32,
  source: nodeId,
});
const listHead: fc.Arbitrary<ListHead> = fc.record({
  scope: fc.oneof(
    fc.record({
      kind: fc.constant("recent" as const),
      afterStamp: fc.maxSafeNat(),
      olderHigh: u32,
      olderLow: u32,
    }),
    fc.record({
      kind: fc.constant("buckets" as const),
      buckets: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    }),
  ),
  salt: u32,
  wantsAnswer: fc.boolean(),
});

describe("a frame is read back as it was written:", () => {
  test("a digest", () => {
    fc.assert(
      fc.property(digest, (each) => {
        expect(readDigest(written((writer) => writeDigest(writer, each)))).toEqual(each);
      }),
    );
  });

  test("a member's rumour, within its bound", () => {
    fc.assert(
      fc.property(rumour, (each) => {
        const reader = written((writer) => writeMember(writer, each));
        expect(reader.end).toBeLessThanOrEqual(MEMBER_FRAME_BYTES_MAX);
        expect(reader.u8()).toBe(FRAME.member);
        expect(readMember(reader)).toEqual(each);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  test("a list's head, within its bound", () => {
    fc.assert(
      fc.property(listHead, (each) => {
        const reader = written((writer) => writeListHead(writer, each));
        expect(reader.end).toBeLessThanOrEqual(LIST_HEAD_BYTES_MAX);
        expect(reader.u8()).toBe(FRAME.list);
        expect(readListHead(reader)).toEqual(each);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  test("a record", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: RECORD_BYTES_MAX }), (each) => {
        const reader = written((writer) => writeRecordFrame(writer, each));
        expect(reader.end).toBe(RECORD_FRAME_HEAD_BYTES + each.length);
        expect(reader.u8()).toBe(FRAME.record);
        expect(readRecordFrame(reader)).toEqual(each);
      }),
    );
  });

  test("ping, ack, nack and the request to ping", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), nodeId, (sequence, target) => {
        const kinds = [
          [writePing, FRAME.ping],
          [writeAck, FRAME.ack],
          [writeNack, FRAME.nack],
        ] as const;
        for (const [write, kind] of kinds) {
          const reader = written((writer) => write(writer, sequence));
          expect([reader.u8(), reader.u16(), reader.remaining]).toEqual([kind, sequence, 0]);
        }
        const request = written((writer) => writePingRequest(writer, sequence, target));
        expect(request.u8()).toBe(FRAME.pingRequest);
        expect([request.u16(), readNodeId(request)]).toEqual([sequence, target]);
      }),
    );
  });
});

describe("a frame's reader", () => {
  const readers = { readDigest, readMember, readListHead, readNodeId, readRecordFrame };

  test.each(Object.entries(readers))(
    "%s meets any bytes with a value or a FormatError",
    (_, read) => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
          try {
            read(new ByteReader(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          }
        }),
      );
    },
  );

  test("refuses a status and a list form that it does not know", () => {
    const member = Uint8Array.of(...new Array<number>(8).fill(1), MEMBER_STATUSES.length, 1);
    expect(() => readMember(new ByteReader(member))).toThrow("unknown member status");
    expect(() => readListHead(new ByteReader(Uint8Array.of(4)))).toThrow("unknown list form");
  });

  test("refuses an incarnation of 2^32", () => {
    const writer = new ByteWriter(new Uint8Array(40));
    writer.raw(new Uint8Array(8));
    writer.u8(0);
    writer.varint(2 ** 32);
    writer.raw(new Uint8Array(8));
    expect(() => readMember(new ByteReader(writer.written()))).toThrow("incarnation");
  });

  test("refuses a record that is longer than one may be, or than what is there", () => {
    const tooLong = new Uint8Array(2 + RECORD_BYTES_MAX + 1);
    new ByteWriter(tooLong).u16(RECORD_BYTES_MAX + 1);
    expect(() => readRecordFrame(new ByteReader(tooLong))).toThrow("too long");
    expect(() => readRecordFrame(new ByteReader(Uint8Array.of(5, 0, 1)))).toThrow("too early");
  });
});

function written(write: (writer: ByteWriter) => void): ByteReader {
  const writer = new ByteWriter(new Uint8Array(1_024));
  write(writer);
  return new ByteReader(writer.written().slice());
}
