// The doors of the flow plane: child processes, small system files, and the ciphers that open QUIC
// Initial packets. src/io holds the real ones.

export type {
  Child,
  ChildCommand,
  ChildEvents,
  Children,
  OpenFile,
  RunResult,
  SystemFiles,
} from "../kernel/system-ports.ts";

/** The time of a loop: Unix milliseconds that keep the pace of a monotonic clock. */
export interface LoopClock {
  nowMs(): number;
}

/** What opens a QUIC Initial packet (RFC 9001, section 5; RFC 9369). */
export interface QuicCrypto {
  /** HMAC-SHA-256. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** One 16-byte block under AES-128 in ECB mode: the header protection mask. */
  aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array;
  /** AES-128-GCM; null when the tag is wrong. `sealed` ends with the 16-byte tag. */
  aes128GcmOpen(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | null;
}
