// The bytes of ubus: literal vectors, round trips, and whatever else may come.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BlobTooLongError,
  type BlobValue,
  decodeTable,
  encodeTable,
} from "../../src/flow/ubus/blobmsg.ts";
import {
  decodeMessage,
  encodeMessage,
  UBUS_MESSAGE,
  type UbusMessage,
  UbusMessageReader,
} from "../../src/flow/ubus/message.ts";
import { UBUS_DEPTH_MAX, UBUS_MESSAGE_BYTES_MAX } from "../../src/kernel/limits.ts";

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(/\s/g, ""), "hex");
}

/** A copy with ordinary prototypes, for comparing. */
function plain(value: unknown): unknown {
  return structuredClone(value);
}

const word = fc
  .string({ unit: "grapheme", maxLength: 20 })
  .map((text) => text.replaceAll("\0", ""));
const { value: blobValue } = fc.letrec<{ value: BlobValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer(),
    fc.double({ noNaN: true }),
    word,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(word, tie("value"), { maxKeys: 5 }),
  ),
}));
const table = fc.dictionary(word, blobValue, { maxKeys: 6 });

describe("the values", () => {
  it.each([
    ["a whole number", { id: 1 }, "85000010 0002 6964 00000000 00000001"],
    ["a negative one", { id: -2 }, "85000010 0002 6964 00000000 fffffffe"],
    ["one beyond 32 bits", { id: 2 ** 32 + 5 }, "84000014 0002 6964 00000000 00000001 00000005"],
    ["a text", { name: "wan" }, "83000010 0004 6e616d65 0000 77616e00"],
    ["yes", { up: true }, "8700000d 0002 7570 00000000 01000000"],
    ["nothing", { x: null }, "80000008 0001 78 00"],
    ["a double", { ms: 0.5 }, "88000014 0002 6d73 00000000 3fe0000000000000"],
    ["a list", { l: [1] }, "81000014 0001 6c 00 8500000c 0000 0000 00000001"],
    ["a table", { t: { a: 1 } }, "82000014 0001 74 00 8500000c 0001 61 00 00000001"],
  ])("write %s as libubox does", (_, value, expected) => {
    const vector = hex(bytesOf(expected));
    expect(hex(encodeTable(value))).toBe(vector);
    expect(plain(decodeTable(bytesOf(expected)))).toEqual(value);
  });

  it("read what only others write: 16 bits, and names of the language", () => {
    expect(plain(decodeTable(bytesOf("8600000a 0001 6b 00 fffe 0000")))).toEqual({ k: -2 });
    const fields = decodeTable(encodeTable(JSON.parse('{"__proto__": 1, "constructor": 2}')));
    expect(Object.entries(fields!)).toEqual([
      ["__proto__", 1],
      ["constructor", 2],
    ]);
  });

  it("come back as they went", () => {
    fc.assert(
      fc.property(table, (value) => {
        const bytes = encodeTable(value);
        expect(bytes.length % 4).toBe(0);
        expect(plain(decodeTable(bytes))).toEqual(plain(value));
      }),
    );
  });

  it("never end a text early for a NUL inside", () => {
    expect(plain(decodeTable(encodeTable({ a: "x\0y" })))).toEqual({ a: "x\ufffdy" });
  });

  it("are refused where they are longer than a message", () => {
    expect(() => encodeTable({ a: "x".repeat(UBUS_MESSAGE_BYTES_MAX) })).toThrow(BlobTooLongError);
  });

  it("are refused where they are too deep", () => {
    let inner = Buffer.from(bytesOf("80000008 0000 0000"));
    for (let depth = 0; depth <= UBUS_DEPTH_MAX; depth += 1) {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(0x8100_0000 + 8 + inner.length);
      inner = Buffer.concat([head, inner]);
    }
    expect(decodeTable(inner)).toBeNull();
    expect(decodeTable(inner.subarray(16))).not.toBeNull();
  });

  it("are read or refused, whatever the bytes", () => {
    const mutated = fc
      .tuple(table, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }))
      .map(([value, changes]) => {
        const bytes = encodeTable(value).slice();
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        const found = decodeTable(bytes);
        expect(found === null || typeof found === "object").toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

const messageArbitrary: fc.Arbitrary<UbusMessage> = fc.record({
  type: fc.integer({ min: 0, max: 11 }),
  sequence: fc.nat(0xffff),
  peer: fc.nat(0xffff_ffff),
  attributes: fc.record(
    {
      status: fc.nat(13),
      objectPath: word,
      objectId: fc.nat(0xffff_ffff),
      method: word,
      data: table,
      active: fc.boolean(),
      noReply: fc.boolean(),
      target: fc.nat(0xffff_ffff),
    },
    { requiredKeys: [] },
  ),
});

describe("the messages", () => {
  it("are ubusd's, byte for byte", () => {
    const hello = bytesOf("00 00 0000 9a336195 00000004");
    expect(decodeMessage(hello)).toEqual({
      type: UBUS_MESSAGE.hello,
      sequence: 0,
      peer: 0x9a336195,
      attributes: {},
    });
    const lookup = {
      type: UBUS_MESSAGE.lookup,
      sequence: 7,
      peer: 0,
      attributes: { objectPath: "uci" },
    };
    expect(hex(encodeMessage(lookup))).toBe("00040007000000000000000c0200000875636900");
    const status = bytesOf("00 01 0007 df03d829 00000014 01000008 00000004 03000008 df03d829");
    expect(decodeMessage(status)).toEqual({
      type: UBUS_MESSAGE.status,
      sequence: 7,
      peer: 0xdf03d829,
      attributes: { status: 4, objectId: 0xdf03d829 },
    });
    const invoke = {
      type: UBUS_MESSAGE.invoke,
      sequence: 1,
      peer: 1,
      attributes: { objectId: 1, method: "x", data: { a: 1 } },
    };
    expect(hex(encodeMessage(invoke))).toBe(
      hex(
        bytesOf(
          "00 05 0001 00000001 00000024 03000008 00000001 04000006 78000000 07000010 8500000c 0001 61 00 00000001",
        ),
      ),
    );
  });

  it.each([
    [
      "an object that is offered, with its methods' arguments",
      UBUS_MESSAGE.addObject,
      { objectPath: "a", signature: { m: { x: 5 } } },
      "02000006 61000000 06000018 82000014 0001 6d00 8500000c 0001 7800 00000005",
    ],
    [
      "the id that the object got",
      UBUS_MESSAGE.data,
      { objectId: 0xdf03d829, objectType: 0x9a336195 },
      "03000008 df03d829 05000008 9a336195",
    ],
    [
      "a call, by a user and a group",
      UBUS_MESSAGE.invoke,
      { objectId: 17, method: "m", user: "u", group: "g", data: {} },
      "03000008 00000011 04000006 6d000000 07000004 0c000006 75000000 0d000006 67000000",
    ],
    [
      "its answer",
      UBUS_MESSAGE.data,
      { objectId: 17, data: { a: true } },
      "03000008 00000011 07000010 87000009 0001 6100 01000000",
    ],
    [
      "a subscription",
      UBUS_MESSAGE.subscribe,
      { objectId: 17, target: 34 },
      "03000008 00000011 08000008 00000022",
    ],
    [
      "the first subscriber",
      UBUS_MESSAGE.notify,
      { objectId: 17, active: true },
      "03000008 00000011 09000005 01000000",
    ],
    [
      "a notification that wants no answer",
      UBUS_MESSAGE.notify,
      { objectId: 17, method: "d", noReply: true, data: {} },
      "03000008 00000011 04000006 64000000 07000004 0a000005 01000000",
    ],
  ])("are ubusd's in both directions: %s", (_, type, attributes, body) => {
    const content = bytesOf(body);
    const head = Buffer.from([0, type, 0, 9, 0, 0, 0, 7, 0, 0, 0, 4 + content.length]);
    const vector = Buffer.concat([head, content]);
    const told: UbusMessage = { type, sequence: 9, peer: 7, attributes };
    expect(hex(encodeMessage(told))).toBe(hex(vector));
    expect(plain(decodeMessage(vector))).toEqual(told);
  });

  it("come back as they went, in whatever pieces they come", () => {
    fc.assert(
      fc.property(
        fc.array(messageArbitrary, { maxLength: 4 }),
        fc.integer({ min: 1, max: 40 }),
        (sent, step) => {
          const bytes = Buffer.concat(sent.map(encodeMessage));
          const reader = new UbusMessageReader();
          const got: UbusMessage[] = [];
          for (let at = 0; at < bytes.length; at += step) {
            expect(reader.push(bytes.subarray(at, at + step), (each) => got.push(each))).toBe(true);
          }
          expect(plain(got)).toEqual(plain(sent));
        },
      ),
    );
  });

  it("pass over one whose attributes are malformed", () => {
    const bad = bytesOf("00 02 0001 00000000 0000000c 03000005 00000000");
    const good = bytesOf("00 00 0000 00000001 00000004");
    const got: UbusMessage[] = [];
    expect(new UbusMessageReader().push(Buffer.concat([bad, good]), (each) => got.push(each))).toBe(
      true,
    );
    expect(got.map(({ type }) => type)).toEqual([UBUS_MESSAGE.hello]);
  });

  it("take up to a mebibyte, and no more", () => {
    const data = { a: "x".repeat(UBUS_MESSAGE_BYTES_MAX - 100) };
    const bytes = encodeMessage({ type: 2, sequence: 1, peer: 1, attributes: { data } });
    const got: UbusMessage[] = [];
    const reader = new UbusMessageReader();
    for (let at = 0; at < bytes.length; at += 50_000) {
      reader.push(bytes.subarray(at, at + 50_000), (each) => got.push(each));
    }
    expect(got[0]?.attributes.data).toEqual(data);
    const long = bytesOf("00 02 0001 00000000 00100001");
    expect(new UbusMessageReader().push(long, () => {})).toBe(false);
  });

  it("end the stream, or are told, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (chunks) => {
        const reader = new UbusMessageReader();
        for (const chunk of chunks) {
          if (!reader.push(chunk, (each) => expect(each.type).toBeLessThan(256))) return;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
