import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COOKIE_ROTATION_MS } from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { CookieMint } from "../../src/net/cookie.ts";
import { COOKIE_BYTES, type KeyShare } from "../../src/net/handshake.ts";
import { crypto, flipped, NOW_MS } from "./nodes.ts";

const ADDRESS = "192.0.2.1:7946";
const mintOf = () => new CookieMint(crypto, new SeededRandom(1n), NOW_MS);
const share: KeyShare = {
  ephemeral: new Uint8Array(32).fill(1),
  nonce: new Uint8Array(16).fill(2),
  sessionId: 3,
};

test("a cookie holds for its address and key share, in the rotation it was made and the next", () => {
  fc.assert(
    fc.property(fc.nat({ max: COOKIE_ROTATION_MS }), fc.nat(), (laterMs, startMs) => {
      const mint = mintOf();
      const madeMs = NOW_MS + (startMs % 10) * COOKIE_ROTATION_MS;
      const cookie = mint.cookieFor(ADDRESS, share, madeMs);
      expect(cookie).toHaveLength(COOKIE_BYTES);
      expect(mint.cookieValid(ADDRESS, share, cookie, madeMs + laterMs)).toBe(true);
    }),
  );
});

describe("a cookie is refused", () => {
  const mint = mintOf();
  const cookie = mint.cookieFor(ADDRESS, share, NOW_MS);
  const valid = (address: string, other: KeyShare, bytes: Uint8Array) =>
    mint.cookieValid(address, other, bytes, NOW_MS);

  test("from another address or port", () => {
    expect(valid("192.0.2.1:7947", share, cookie)).toBe(false);
    expect(valid("[2001:db8::1]:7946", share, cookie)).toBe(false);
  });

  test("with another ephemeral or nonce", () => {
    expect(valid(ADDRESS, { ...share, ephemeral: flipped(share.ephemeral, 0) }, cookie)).toBe(
      false,
    );
    expect(valid(ADDRESS, { ...share, nonce: flipped(share.nonce, 15) }, cookie)).toBe(false);
  });

  test("with any byte changed, when missing, or of another length", () => {
    for (let i = 0; i < COOKIE_BYTES; i += 1) {
      expect(valid(ADDRESS, share, flipped(cookie, i))).toBe(false);
    }
    expect(valid(ADDRESS, share, new Uint8Array(COOKIE_BYTES))).toBe(false);
    expect(valid(ADDRESS, share, cookie.subarray(0, 8))).toBe(false);
    expect(valid(ADDRESS, share, cookie)).toBe(true);
  });

  test("from another node's mint", () => {
    const other = new CookieMint(crypto, new SeededRandom(2n), NOW_MS);
    expect(other.cookieValid(ADDRESS, share, cookie, NOW_MS)).toBe(false);
  });

  test.each([
    ["two rotations later, step by step", [1, 2]],
    ["long after, with nothing asked in between", [100]],
    ["when the clock was set back", [-1]],
  ])("%s", (_, rotations) => {
    const aged = mintOf();
    const old = aged.cookieFor(ADDRESS, share, NOW_MS);
    const verdicts = rotations.map((count) =>
      aged.cookieValid(ADDRESS, share, old, NOW_MS + count * COOKIE_ROTATION_MS),
    );
    expect(verdicts.at(-1)).toBe(false);
  });
});
