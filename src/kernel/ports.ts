// The doors through which the deciding rooms reach the world. Each has one real
// implementation in src/io and one simulated implementation in sim.

/** Where a node is reached: `192.0.2.1:7946` or `[2001:db8::1]:7946`, in canonical form. */
export type Endpoint = string;

/** A source of random numbers: the kernel's in production, a seeded PRNG in the simulator. */
export interface Random {
  /** A uniform integer in [0, 2^32). */
  u32(): number;
  /** `length` random bytes, newly allocated. */
  bytes(length: number): Uint8Array;
}

/** An Ed25519 private key that can sign (RFC 8032). */
export interface Signer {
  readonly publicKey: Uint8Array;
  /** 64 bytes over `message`. */
  sign(message: Uint8Array): Uint8Array;
}

/** One side's X25519 ephemeral (RFC 7748). */
export interface KeyAgreement {
  readonly publicKey: Uint8Array;
  /** The 32-byte shared secret, or null when the peer's point is of small order. */
  agree(peerPublicKey: Uint8Array): Uint8Array | null;
}

/** ChaCha20-Poly1305 under one key (RFC 8439). The 12-byte nonce is 4 zero bytes and a u64 LE counter. */
export interface Aead {
  /** Writes ciphertext and 16-byte tag into `out`, which is `plaintext.length + 16` long. `out` may be the memory of `plaintext`. */
  seal(counter: number, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array): void;
  /** Writes the plaintext into `out` (`sealed.length - 16` long); false, and `out` undefined, when the tag is wrong. */
  open(counter: number, aad: Uint8Array, sealed: Uint8Array, out: Uint8Array): boolean;
}

/** The primitives the protocol is made of. All pure: the same input gives the same output. */
export interface Crypto {
  sha256(data: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** RFC 5869, extract and expand. */
  hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /** @param seed the 32-byte private key of RFC 8032 */
  signer(seed: Uint8Array): Signer;
  /** False for any malformed key or signature; never throws. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** @param privateKey 32 bytes, clamped by the implementation */
  keyAgreement(privateKey: Uint8Array): KeyAgreement;
  aead(key: Uint8Array): Aead;
}

/** Tells how a write to storage ended: null, or why it failed (ENOSPC, EIO, …). */
export type WriteDone = (error: Error | null) => void;

/**
 * The one file a write-ahead log lives in. Writes complete in the order they were asked
 * for, and one is under way at a time; the log waits for `done` before the next.
 */
export interface LogStorage {
  /** The whole content, read once at start. */
  read(): Uint8Array;
  /** Cuts the file to `sizeBytes`, durably, at start only. */
  truncate(sizeBytes: number): void;
  /** Writes `bytes` at the end and makes them durable with one fdatasync. `bytes` may be reused after `done`. */
  append(bytes: Uint8Array, done: WriteDone): void;
  /** Puts `bytes` in place of the whole content, atomically and durably (write aside, fdatasync, rename, sync of the folder). */
  replace(bytes: Uint8Array, done: WriteDone): void;
}

/** What the replica asks of its log. Implemented by db/wal.ts. */
export interface Journal {
  /**
   * Queues one record for the next group commit.
   * @returns its sequence number (from 1, growing by 1), or 0 when the queue is full or the log has failed
   */
  append(record: Uint8Array): number;
}

/** A datagram on its way out. */
export interface OutgoingPacket {
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}
