// Reads integers and text out of untrusted bytes. Callers check bounds first: what lies past the
// end of the memory reads as 0.

/** Longest DNS name in text form (RFC 1035, 2.3.4). */
export const HOSTNAME_CHARACTERS_MAX = 253;

/** Big-endian, as network headers are. */
export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function u24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

export function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

/** Little-endian, as Google's QUIC and most captures are. */
export function u16le(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function u32le(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

/** Whether the ASCII `text` stands at `at`, wholly before `end`. */
export function hasText(bytes: Uint8Array, at: number, end: number, text: string): boolean {
  if (at + text.length > end) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (bytes[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** Where text is put together: appending character by character leaves a string in many pieces. */
const scratch = new Uint8Array(512);

/** One flat string, a character a byte. */
export function latin1Text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
}

/** Printable ASCII of `[start, end)`; other bytes are left out. At most `charactersMax`, which is at most 512. */
export function printableText(
  bytes: Uint8Array,
  start: number,
  end: number,
  charactersMax: number,
): string {
  let length = 0;
  for (let at = start; at < end && length < charactersMax; at += 1) {
    const byte = bytes[at]!;
    if (byte < 0x20 || byte >= 0x7f) continue;
    scratch[length] = byte;
    length += 1;
  }
  return latin1Text(scratch, 0, length);
}

/**
 * A host name or address literal in lower case, without a dot at its end; null when it holds
 * anything but letters, digits and `-_.:[]`, or is empty or too long.
 */
export function hostnameText(bytes: Uint8Array, start: number, end: number): string | null {
  const last = end > start && bytes[end - 1] === 0x2e ? end - 1 : end;
  if (last <= start || last - start > HOSTNAME_CHARACTERS_MAX) return null;
  for (let at = start; at < last; at += 1) {
    const byte = lowerCase(bytes[at]!);
    if (!isHostnameByte(byte)) return null;
    scratch[at - start] = byte;
  }
  return latin1Text(scratch, 0, last - start);
}

/** ASCII only. */
export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

function isHostnameByte(byte: number): boolean {
  const isLetter = byte >= 0x61 && byte <= 0x7a;
  // From "-" to ":" without "/": the dot and the digits lie between.
  const isDigitOrMark = byte >= 0x2d && byte <= 0x3a && byte !== 0x2f;
  return isLetter || isDigitOrMark || byte === 0x5f || byte === 0x5b || byte === 0x5d;
}
