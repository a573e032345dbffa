import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { VERIFY_KEYS_MAX } from "../../src/kernel/limits.ts";
import { fromHex, toHex } from "../../src/schema/node-id.ts";

const crypto = new NodeCrypto();
const text = (value: string) => new TextEncoder().encode(value);
const bytes = (maxLength = 300) => fc.uint8Array({ maxLength });
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const counter = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
/** noble costs milliseconds a curve operation. */
const fewRuns = { numRuns: 15 };

function nonceOf(value: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(value), true);
  return nonce;
}

describe("published vectors", () => {
  test("SHA-256 of FIPS 180-4 and HMAC of RFC 4231, case 2", () => {
    expect(toHex(crypto.sha256(text("abc")))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(toHex(crypto.hmacSha256(text("Jefe"), text("what do ya want for nothing?")))).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
  });

  test("HKDF-SHA-256 of RFC 5869, cases 1 and 3", () => {
    const secret = new Uint8Array(22).fill(0x0b);
    const salt = fromHex("000102030405060708090a0b0c");
    const info = fromHex("f0f1f2f3f4f5f6f7f8f9");
    expect(toHex(crypto.hkdfSha256(secret, salt, info, 42))).toBe(
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    const none = new Uint8Array(0);
    expect(toHex(crypto.hkdfSha256(secret, none, none, 42))).toBe(
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
  });

  test.each([
    [
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
  ])("Ed25519 of RFC 8032, seed %s", (seed, publicKey, message, signature) => {
    const signer = crypto.signer(fromHex(seed));
    expect(toHex(signer.publicKey)).toBe(publicKey);
    expect(toHex(signer.sign(fromHex(message)))).toBe(signature);
    expect(crypto.verify(fromHex(publicKey), fromHex(message), fromHex(signature))).toBe(true);
  });

  test("X25519 of RFC 7748, section 6.1", () => {
    const alice = crypto.keyAgreement(
      fromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
    );
    const bob = crypto.keyAgreement(
      fromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
    );
    const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    expect(toHex(alice.publicKey)).toBe(
      "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    );
    expect(toHex(alice.agree(bob.publicKey)!)).toBe(shared);
    expect(toHex(bob.agree(alice.publicKey)!)).toBe(shared);
  });

  test("the cross-check itself holds ChaCha20-Poly1305 of RFC 8439, section 2.8.2", () => {
    // Our nonces begin with four zero bytes and this vector's does not, so it reaches
    // NodeCrypto through the equality below.
    const cipher = chacha20poly1305(
      Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i),
      fromHex("070000004041424344454647"),
      fromHex("50515253c0c1c2c3c4c5c6c7"),
    );
    const sealed = cipher.encrypt(
      text(
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
      ),
    );
    expect(toHex(sealed)).toBe(
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
    );
  });
});

describe("node:crypto and noble agree", () => {
  test("on hashes and key derivation", () => {
    fc.assert(
      fc.property(
        bytes(),
        bytes(),
        bytes(),
        fc.integer({ min: 1, max: 200 }),
        (a, b, c, length) => {
          expect(crypto.sha256(a)).toEqual(sha256(a));
          expect(crypto.hmacSha256(a, b)).toEqual(hmac(sha256, a, b));
          expect(crypto.hkdfSha256(a, b, c, length)).toEqual(hkdf(sha256, a, b, c, length));
        },
      ),
    );
  });

  test("on sealed bytes, and each opens them in place", () => {
    fc.assert(
      fc.property(key, counter, bytes(), bytes(1000), (secret, count, aad, plaintext) => {
        const expected = chacha20poly1305(secret, nonceOf(count), aad).encrypt(plaintext);
        const aead = crypto.aead(secret);
        const memory = new Uint8Array(plaintext.length + 16);
        memory.set(plaintext);
        const inPlace = memory.subarray(0, plaintext.length);
        aead.seal(count, aad, inPlace, memory);
        expect(memory).toEqual(expected);
        expect(aead.open(count, aad, memory, inPlace)).toBe(true);
        expect(inPlace).toEqual(plaintext);
      }),
    );
  });

  test("on signatures", () => {
    fc.assert(
      fc.property(key, bytes(), (seed, message) => {
        const signer = crypto.signer(seed);
        const signature = signer.sign(message);
        expect(signer.publicKey).toEqual(ed25519.getPublicKey(seed));
        expect(signature).toEqual(ed25519.sign(message, seed));
        expect(crypto.verify(signer.publicKey, message, signature)).toBe(true);
      }),
      fewRuns,
    );
  });

  test("on shared secrets", () => {
    fc.assert(
      fc.property(key, key, (own, other) => {
        const agreement = crypto.keyAgreement(own);
        const peer = x25519.getPublicKey(other);
        expect(agreement.publicKey).toEqual(x25519.getPublicKey(own));
        expect(agreement.agree(peer)).toEqual(x25519.getSharedSecret(own, peer));
      }),
      fewRuns,
    );
  });
});

describe("what is wrong is refused", () => {
  test("a changed byte of ciphertext, tag or associated data, another counter, another key", () => {
    fc.assert(
      fc.property(
        key,
        fc.nat({ max: 1000 }),
        bytes(40),
        bytes(80),
        fc.nat(),
        (k, n, aad, p, at) => {
          const aead = crypto.aead(k);
          const sealed = new Uint8Array(p.length + 16);
          aead.seal(n, aad, p, sealed);
          const out = new Uint8Array(p.length);
          const changed = sealed.slice();
          changed[at % changed.length]! ^= 1;
          expect(aead.open(n, aad, changed, out)).toBe(false);
          expect(aead.open(n + 1, aad, sealed, out)).toBe(false);
          expect(aead.open(n, Uint8Array.of(...aad, 0), sealed, out)).toBe(false);
          const otherKey = k.map((byte) => byte ^ 1);
          expect(crypto.aead(otherKey).open(n, aad, sealed, out)).toBe(false);
          expect(aead.open(n, aad, sealed, out)).toBe(true);
        },
      ),
    );
  });

  test("bytes too short for a tag", () => {
    const aead = crypto.aead(new Uint8Array(32));
    expect(aead.open(0, new Uint8Array(0), new Uint8Array(15), new Uint8Array(0))).toBe(false);
  });

  test("arbitrary keys and signatures, without a throw", () => {
    fc.assert(
      fc.property(bytes(70), bytes(), bytes(70), (publicKey, message, signature) => {
        expect(crypto.verify(publicKey, message, signature)).toBe(false);
      }),
    );
    fc.assert(
      fc.property(
        key,
        bytes(),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        (publicKey, message, signature) => {
          fc.pre(publicKey.some((byte) => byte > 1 && byte < 0xec));
          expect(crypto.verify(publicKey, message, signature)).toBe(false);
        },
      ),
    );
  });

  test("another message or another key, with the cache warm", () => {
    const one = crypto.signer(new Uint8Array(32).fill(1));
    const two = crypto.signer(new Uint8Array(32).fill(2));
    const signature = one.sign(text("message"));
    for (let round = 0; round < 2; round += 1) {
      expect(crypto.verify(one.publicKey, text("message"), signature)).toBe(true);
      expect(crypto.verify(one.publicKey, text("massage"), signature)).toBe(false);
      expect(crypto.verify(two.publicKey, text("message"), signature)).toBe(false);
    }
  });

  test("points of small order, canonical or not, and points of a wrong length", () => {
    const ends = (first: string, middle: string, last: string) => first + middle.repeat(30) + last;
    const agreement = crypto.keyAgreement(new Uint8Array(32).fill(9));
    for (const point of [
      ends("00", "00", "00"),
      ends("01", "00", "00"),
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      ends("ec", "ff", "7f"),
      ends("ed", "ff", "7f"),
      ends("ee", "ff", "7f"),
    ]) {
      expect(agreement.agree(fromHex(point)), point).toBeNull();
    }
    expect(agreement.agree(new Uint8Array(31).fill(9))).toBeNull();
    expect(agreement.agree(new Uint8Array(33).fill(9))).toBeNull();
  });
});

test("given more keys than the cache holds, when each verifies again, then all still do", () => {
  const signers = Array.from({ length: VERIFY_KEYS_MAX * 2 + 1 }, (_, i) => {
    const seed = new Uint8Array(32);
    seed[0] = i;
    return crypto.signer(seed);
  });
  for (let round = 0; round < 2; round += 1) {
    for (const signer of signers) {
      const message = text(`round ${round}`);
      expect(crypto.verify(signer.publicKey, message, signer.sign(message))).toBe(true);
    }
  }
});

test("results are plain arrays of their own memory, so that slice copies", () => {
  const results = [
    crypto.sha256(text("a")),
    crypto.hmacSha256(text("a"), text("b")),
    crypto.hkdfSha256(text("a"), text("b"), text("c"), 32),
    crypto.signer(new Uint8Array(32)).publicKey,
    crypto.signer(new Uint8Array(32)).sign(text("a")),
    crypto.keyAgreement(new Uint8Array(32)).publicKey,
  ];
  for (const result of results) {
    expect(result.constructor).toBe(Uint8Array);
    expect(result.buffer.byteLength).toBe(result.length);
  }
});
