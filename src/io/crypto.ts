// The protocol's primitives on OpenSSL, through node:crypto. Keys are imported once into
// KeyObjects: a raw key costs more than the cipher it feeds.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { assert } from "../kernel/assert.ts";
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, TAG_BYTES, VERIFY_KEYS_MAX } from "../kernel/limits.ts";
import type { Aead, Crypto, KeyAgreement, Signer } from "../kernel/ports.ts";

/** The curves' names in a JSON Web Key (RFC 8037). */
type Curve = "Ed25519" | "X25519";

const CIPHER = "chacha20-poly1305";
const CIPHER_OPTIONS = { authTagLength: TAG_BYTES } as const;
const NONCE_BYTES = 12;

export class NodeCrypto implements Crypto {
  readonly #verifyKeys = new Map<string, KeyObject>();

  sha256(data: Uint8Array): Uint8Array {
    return new Uint8Array(createHash("sha256").update(data).digest());
  }

  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
    return new Uint8Array(createHmac("sha256", key).update(data).digest());
  }

  hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
    return new Uint8Array(hkdfSync("sha256", secret, salt, info, length));
  }

  signer(seed: Uint8Array): Signer {
    const privateKey = importPrivateKey("Ed25519", seed);
    return {
      publicKey: publicKeyOf(privateKey),
      sign: (message) => new Uint8Array(sign(null, message, privateKey)),
    };
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    try {
      return verify(null, message, this.#verifyKey(publicKey), signature);
    } catch {
      return false;
    }
  }

  keyAgreement(privateKey: Uint8Array): KeyAgreement {
    const ownKey = importPrivateKey("X25519", privateKey);
    return {
      publicKey: publicKeyOf(ownKey),
      agree: (peerPublicKey) => agree(ownKey, peerPublicKey),
    };
  }

  aead(key: Uint8Array): Aead {
    return new ChaCha20Poly1305(key);
  }

  /** The imported form of a raw key, from the cache when it was used lately. */
  #verifyKey(publicKey: Uint8Array): KeyObject {
    const name = Buffer.from(publicKey).toString("latin1");
    const key = this.#verifyKeys.get(name) ?? importPublicKey("Ed25519", publicKey);
    // A map keeps the order of insertion: taking out and putting back makes this the newest.
    this.#verifyKeys.delete(name);
    if (this.#verifyKeys.size === VERIFY_KEYS_MAX) {
      const [oldest] = this.#verifyKeys.keys();
      this.#verifyKeys.delete(oldest!);
    }
    this.#verifyKeys.set(name, key);
    return key;
  }
}

/** RFC 8439 under one key. Its nonce buffer is reused: one call at a time, as JavaScript has it. */
class ChaCha20Poly1305 implements Aead {
  readonly #key: KeyObject;
  readonly #nonce = new DataView(new ArrayBuffer(NONCE_BYTES));

  constructor(key: Uint8Array) {
    assert(key.length === 32, "a ChaCha20-Poly1305 key is 32 bytes");
    this.#key = createSecretKey(key);
  }

  seal(counter: number, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array): void {
    assert(out.length === plaintext.length + TAG_BYTES, "the tag follows the ciphertext");
    this.#setNonce(counter);
    const cipher = createCipheriv(CIPHER, this.#key, this.#nonce, CIPHER_OPTIONS);
    cipher.setAAD(aad, { plaintextLength: plaintext.length });
    out.set(cipher.update(plaintext));
    cipher.final();
    out.set(cipher.getAuthTag(), plaintext.length);
  }

  open(counter: number, aad: Uint8Array, sealed: Uint8Array, out: Uint8Array): boolean {
    const plaintextLength = sealed.length - TAG_BYTES;
    if (plaintextLength < 0) return false;
    assert(out.length === plaintextLength, "the plaintext is the sealed bytes less the tag");
    this.#setNonce(counter);
    const decipher = createDecipheriv(CIPHER, this.#key, this.#nonce, CIPHER_OPTIONS);
    decipher.setAAD(aad, { plaintextLength });
    decipher.setAuthTag(sealed.subarray(plaintextLength));
    const plaintext = decipher.update(sealed.subarray(0, plaintextLength));
    try {
      decipher.final();
    } catch {
      return false;
    }
    out.set(plaintext);
    return true;
  }

  #setNonce(counter: number): void {
    assert(Number.isSafeInteger(counter) && counter >= 0, "a counter is a safe integer");
    this.#nonce.setUint32(4, counter % 0x1_0000_0000, true);
    this.#nonce.setUint32(8, Math.floor(counter / 0x1_0000_0000), true);
  }
}

function agree(ownKey: KeyObject, peerPublicKey: Uint8Array): Uint8Array | null {
  if (peerPublicKey.length !== PUBLIC_KEY_BYTES) return null;
  const publicKey = importPublicKey("X25519", peerPublicKey);
  try {
    return new Uint8Array(diffieHellman({ privateKey: ownKey, publicKey }));
  } catch {
    // OpenSSL refuses the all-zero secret that a point of small order gives (RFC 7748, 6.1).
    return null;
  }
}

// Keys cross as JSON Web Keys, not as DER: OpenSSL 3's decoder takes ten times as long.

function importPrivateKey(curve: Curve, bytes: Uint8Array): KeyObject {
  assert(bytes.length === 32, "a private key is 32 bytes");
  const d = base64urlOf(bytes);
  // `x` must be there, but the public key is computed from `d` alone.
  return createPrivateKey({ key: { kty: "OKP", crv: curve, d, x: d }, format: "jwk" });
}

function importPublicKey(curve: Curve, bytes: Uint8Array): KeyObject {
  const key = { kty: "OKP", crv: curve, x: base64urlOf(bytes) };
  return createPublicKey({ key, format: "jwk" });
}

function publicKeyOf(privateKey: KeyObject): Uint8Array {
  const { x } = privateKey.export({ format: "jwk" });
  assert(x !== undefined, "an exported key has its public part");
  return new Uint8Array(Buffer.from(x, "base64url"));
}

function base64urlOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}
