// The invitation as text: whole, or refused.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeJoinToken, encodeJoinToken } from "../../src/cli/join-token.ts";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { JOIN_TOKEN_CHARACTERS_MAX, JOIN_TOKEN_SEEDS_MAX } from "../../src/kernel/limits.ts";
import { FormatError } from "../../src/schema/varint.ts";

const crypto = new NodeCrypto();

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const endpoint = fc
  .tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 }))
  .map(([address, port]) => `${address}:${port}`);
const token = fc.record({
  rootPublicKey: bytes(32),
  certificate: fc.uint8Array({ maxLength: 128 }),
  keySeed: fc.option(bytes(32)),
  seeds: fc.array(endpoint, { maxLength: JOIN_TOKEN_SEEDS_MAX }),
});

function decodeOrNull(text: string) {
  try {
    return decodeJoinToken(crypto, text);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return null;
  }
}

test("what was encoded is decoded, white space around it included", () => {
  fc.assert(
    fc.property(token, (given) => {
      const text = encodeJoinToken(crypto, given);
      expect(text.length).toBeLessThanOrEqual(JOIN_TOKEN_CHARACTERS_MAX);
      expect(decodeJoinToken(crypto, ` ${text}\n`)).toEqual(given);
    }),
  );
});

test("a token cut off anywhere is refused", () => {
  fc.assert(
    fc.property(token, fc.nat(), (given, cut) => {
      const text = encodeJoinToken(crypto, given);
      expect(decodeOrNull(text.slice(0, cut % (text.length - 1)))).toBeNull();
    }),
  );
});

test("anything else is refused with a FormatError", () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => decodeOrNull(text) === null));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (content) => {
      const checked = Buffer.concat([content, crypto.sha256(content).subarray(0, 4)]);
      const decoded = decodeOrNull(checked.toString("base64url"));
      if (decoded !== null) expect(content[0]).toBe(1);
    }),
  );
});
