// A node's id: derived from its key, and written in hex that sorts as its bytes do.

import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { fromHex, nodeIdOf, toHex } from "../../src/schema/node-id.ts";

describe("a node's id", () => {
  test("is the first 8 bytes of SHA-256 of its public key", () => {
    const publicKey = new Uint8Array(32).fill(9);
    const expected = createHash("sha256").update(publicKey).digest("hex").slice(0, 16);
    expect(nodeIdOf(new NodeCrypto(), publicKey)).toBe(expected);
  });
});

describe("hex", () => {
  test("comes back to the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString("hex"));
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
  });

  test("sorts as the bytes do", () => {
    const eight = fc.uint8Array({ minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(eight, eight, (a, b) => {
        const byBytes = Math.sign(Buffer.compare(a, b));
        const byText = toHex(a) < toHex(b) ? -1 : toHex(a) > toHex(b) ? 1 : 0;
        expect(byText).toBe(byBytes);
      }),
    );
  });
});
