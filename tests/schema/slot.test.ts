// A slot's envelope: written, read back, and never believed with one byte changed.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { AssertionError } from "../../src/kernel/assert.ts";
import { RECORD_BYTES_MAX, SIGNATURE_BYTES, SLOT_BODY_BYTES_MAX } from "../../src/kernel/limits.ts";
import { nodeIdOf, toHex } from "../../src/schema/node-id.ts";
import {
  authorBytesOf,
  bodyOf,
  isDeployers,
  keyToHex,
  nodeKey,
  readSlot,
  SLOT_KIND,
  type SlotContent,
  serviceKey,
  slotSignatureHolds,
  writeSlot,
} from "../../src/schema/slot.ts";

const crypto = new NodeCrypto();
const signer = crypto.signer(new Uint8Array(32).fill(1));
const author = nodeIdOf(crypto, signer.publicKey);

const content: fc.Arbitrary<SlotContent> = fc
  .record({
    kind: fc.constantFrom(...Object.values(SLOT_KIND)),
    tombstone: fc.boolean(),
    key: fc.record({ high: fc.nat(0xffff_ffff), low: fc.nat(0xffff_ffff) }),
    stamp: fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER)),
    author: fc.uint8Array({ minLength: 8, maxLength: 8 }).map(toHex),
    body: fc.uint8Array({ maxLength: SLOT_BODY_BYTES_MAX }),
  })
  .map((drawn) => {
    const tombstone = drawn.tombstone && isDeployers(drawn.kind);
    return { ...drawn, tombstone, body: tombstone ? new Uint8Array(0) : drawn.body };
  });

describe("a slot", () => {
  test("is read as it was written, its signature holds, and it fits a record", () => {
    fc.assert(
      fc.property(content, (written) => {
        const record = writeSlot(written, signer);
        const slot = readSlot(record);
        expect(record.length).toBeLessThanOrEqual(RECORD_BYTES_MAX);
        expect(slot).toMatchObject({
          kind: written.kind,
          tombstone: written.tombstone,
          keyHigh: written.key.high,
          keyLow: written.key.low,
          stamp: written.stamp,
          author: written.author,
        });
        expect(slot!.body).toEqual(written.body);
        expect(bodyOf(record)).toEqual(written.body);
        expect(toHex(authorBytesOf(record))).toBe(written.author);
        expect(slotSignatureHolds(crypto, slot!, signer.publicKey)).toBe(true);
      }),
    );
  });

  test("is not believed once any bit of it has changed", () => {
    fc.assert(
      fc.property(content, fc.nat(), fc.nat(7), (written, position, bit) => {
        const record = writeSlot(written, signer);
        record[position % record.length]! ^= 1 << bit;
        const slot = readSlot(record);
        expect(slot !== null && slotSignatureHolds(crypto, slot, signer.publicKey)).toBe(false);
      }),
    );
  });

  test("of a usual size is not believed with any one byte changed", () => {
    const record = writeSlot({ ...plain(), body: new Uint8Array(60).fill(7) }, signer);
    for (let position = 0; position < record.length; position += 1) {
      const changed = record.slice();
      changed[position]! ^= 0x41;
      const slot = readSlot(changed);
      expect(slot !== null && slotSignatureHolds(crypto, slot, signer.publicKey)).toBe(false);
    }
  });

  test("is not believed with another's key, or cut, or with a byte more", () => {
    const record = writeSlot(plain(), signer);
    const stranger = crypto.signer(new Uint8Array(32).fill(2)).publicKey;
    expect(slotSignatureHolds(crypto, readSlot(record)!, stranger)).toBe(false);
    expect(readSlot(record.subarray(0, record.length - 1))).toBeNull();
    expect(readSlot(Uint8Array.from([...record, 0]))).toBeNull();
  });

  test("does not take a signature over the bare bytes, without its context", () => {
    const record = writeSlot(plain(), signer);
    const end = record.length - SIGNATURE_BYTES;
    record.set(signer.sign(record.subarray(0, end)), end);
    expect(slotSignatureHolds(crypto, readSlot(record)!, signer.publicKey)).toBe(false);
  });

  test("is read or refused, whatever the bytes", () => {
    const head = fc.constantFrom(1, 2, 3, 4, 0x81, 0x82, 0x83, 0x84, 0, 5, 0x70);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1_000 }), head, (bytes, first) => {
        if (bytes.length > 0) bytes[0] = first;
        const slot = readSlot(bytes);
        if (slot !== null) expect(slot.record).toBe(bytes);
      }),
    );
  });

  test.each([
    ["a node", SLOT_KIND.node],
    ["a revocation", SLOT_KIND.revocation],
  ])("is refused as a tombstone of %s", (_name, kind) => {
    const record = writeSlot({ ...plain(), kind }, signer);
    record[0] = record[0]! | 0x80;
    expect(readSlot(record)).toBeNull();
  });

  test("is refused as a tombstone with a body", () => {
    const record = writeSlot({ ...plain(), body: Uint8Array.of(1) }, signer);
    record[0] = record[0]! | 0x80;
    expect(readSlot(record)).toBeNull();
  });

  test("is refused with a stamp of 2^53, and not written with one", () => {
    const record = writeSlot(plain(), signer);
    record.set(Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0), 9);
    expect(readSlot(record)).toBeNull();
    expect(() => writeSlot({ ...plain(), stamp: 2 ** 53 }, signer)).toThrow(AssertionError);
  });

  test("is not written with a body above the bound, nor a tombstone with one at all", () => {
    const tooLong = new Uint8Array(SLOT_BODY_BYTES_MAX + 1);
    expect(() => writeSlot({ ...plain(), body: tooLong }, signer)).toThrow(AssertionError);
    const withBody = { ...plain(), tombstone: true, body: Uint8Array.of(1) };
    expect(() => writeSlot(withBody, signer)).toThrow(AssertionError);
  });
});

describe("a slot's key", () => {
  test("of a service is the first 8 bytes of SHA-256 of its name", () => {
    const hash = toHex(crypto.sha256(new TextEncoder().encode("web")));
    expect(keyToHex(serviceKey(crypto, "web"))).toBe(hash.slice(0, 16));
  });

  test("of a node is its id", () => {
    expect(keyToHex(nodeKey("00000001000000ff"))).toBe("00000001000000ff");
  });
});

function plain(): SlotContent {
  const key = serviceKey(crypto, "web");
  return {
    kind: SLOT_KIND.service,
    tombstone: false,
    key,
    stamp: 1_000,
    author,
    body: new Uint8Array(0),
  };
}
