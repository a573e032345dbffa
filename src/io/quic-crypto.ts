// What opens QUIC Initial packets, on OpenSSL. Keys are used for a packet or two: they are not kept.

import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { TAG_BYTES } from "../kernel/limits.ts";

const EMPTY = new Uint8Array(0);

/** The `QuicCrypto` of src/flow/ports.ts, a room above this one. */
export class NodeQuicCrypto {
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
    return new Uint8Array(createHmac("sha256", key).update(data).digest());
  }

  aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array {
    const cipher = createCipheriv("aes-128-ecb", key, null);
    cipher.setAutoPadding(false);
    return new Uint8Array(cipher.update(block));
  }

  aes128GcmOpen(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | null {
    const textBytes = sealed.length - TAG_BYTES;
    if (textBytes < 0) return null;
    const decipher = createDecipheriv("aes-128-gcm", key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(aad);
    decipher.setAuthTag(sealed.subarray(textBytes));
    const text = decipher.update(sealed.subarray(0, textBytes));
    try {
      decipher.final();
    } catch {
      return null;
    }
    return text.length === 0 ? EMPTY : new Uint8Array(text.buffer, text.byteOffset, text.length);
  }
}
