// The name an X.509 certificate is for: its first DNS name, else its common name. Reads DER from
// untrusted bytes, also when the capture cut the certificate short. Source: RFC 5280, X.690.

import { hostnameText } from "./bytes.ts";

const TAG_SEQUENCE = 0x30;
const TAG_OID = 0x06;
const TAG_OCTET_STRING = 0x04;
const TAG_VERSION = 0xa0;
const TAG_EXTENSIONS = 0xa3;
/** `dNSName` among the choices of a GeneralName. */
const TAG_DNS_NAME = 0x82;

/** 2.5.4.3 and 2.5.29.17, encoded. */
const OID_COMMON_NAME = [0x55, 0x04, 0x03];
const OID_SUBJECT_ALTERNATIVE_NAME = [0x55, 0x1d, 0x11];

const EXTENSIONS_MAX = 64;
const NAME_PARTS_MAX = 32;

/** Walks the elements of one DER level; bounds are clipped to the bytes there are. */
class DerCursor {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #next: number;
  tag = 0;
  contentAt = 0;
  contentEnd = 0;
  /** False for the element that the capture cut. */
  #isWhole = false;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#next = start;
    this.#end = end;
  }

  /** Moves to the next element; false at the end, or where the bytes are no DER. */
  step(): boolean {
    if (this.#next + 2 > this.#end) return false;
    this.tag = this.#bytes[this.#next]!;
    const first = this.#bytes[this.#next + 1]!;
    const lengthBytes = first < 0x80 ? 0 : first - 0x80;
    // Certificates are shorter than 16 MiB; the indefinite form (0x80) is no DER.
    if (first === 0x80 || lengthBytes > 3) return false;
    let length = first < 0x80 ? first : 0;
    for (let i = 0; i < lengthBytes; i += 1) {
      length = length * 256 + (this.#bytes[this.#next + 2 + i] ?? 0);
    }
    this.contentAt = Math.min(this.#next + 2 + lengthBytes, this.#end);
    this.contentEnd = Math.min(this.contentAt + length, this.#end);
    this.#isWhole = this.contentEnd === this.#next + 2 + lengthBytes + length;
    this.#next = this.contentEnd;
    return true;
  }

  /** Moves to the next element when it has this tag. */
  stepTo(tag: number): boolean {
    return this.step() && this.tag === tag;
  }

  inside(): DerCursor {
    return new DerCursor(this.#bytes, this.contentAt, this.contentEnd);
  }

  hasContent(content: readonly number[]): boolean {
    return (
      this.contentEnd - this.contentAt === content.length &&
      content.every((byte, index) => this.#bytes[this.contentAt + index] === byte)
    );
  }

  /** The content as a host name, a leading `*.` left out; null when it is none, or cut. */
  hostname(): string | null {
    if (!this.#isWhole) return null;
    const isWildcard =
      this.contentEnd - this.contentAt > 2 &&
      this.#bytes[this.contentAt] === 0x2a &&
      this.#bytes[this.contentAt + 1] === 0x2e;
    return hostnameText(this.#bytes, this.contentAt + (isWildcard ? 2 : 0), this.contentEnd);
  }
}

/** @returns a host name without a wildcard's `*.`, or null when there is none in `bytes[start, end)` */
export function certificateName(bytes: Uint8Array, start: number, end: number): string | null {
  const certificate = new DerCursor(bytes, start, end);
  if (!certificate.stepTo(TAG_SEQUENCE)) return null;
  const toBeSigned = certificate.inside();
  if (!toBeSigned.stepTo(TAG_SEQUENCE)) return null;
  const field = toBeSigned.inside();
  if (!field.step()) return null;
  // The version may be left out; then this is the serial number already.
  if (field.tag === TAG_VERSION && !field.step()) return null;
  // Signature algorithm, issuer, validity, subject.
  for (let skipped = 0; skipped < 4; skipped += 1) {
    if (!field.stepTo(TAG_SEQUENCE)) return null;
  }
  const common = commonName(field.inside());
  while (field.step()) {
    if (field.tag === TAG_EXTENSIONS) return alternativeName(field.inside()) ?? common;
  }
  return common;
}

/** Name: a sequence of sets of (OID, string). */
function commonName(parts: DerCursor): string | null {
  for (let count = 0; count < NAME_PARTS_MAX && parts.step(); count += 1) {
    const set = parts.inside();
    if (!set.stepTo(TAG_SEQUENCE)) continue;
    const pair = set.inside();
    if (pair.stepTo(TAG_OID) && pair.hasContent(OID_COMMON_NAME) && pair.step()) {
      return pair.hostname();
    }
  }
  return null;
}

/** Extensions: a sequence of (OID, optional boolean, octet string of DER). */
function alternativeName(tagged: DerCursor): string | null {
  if (!tagged.stepTo(TAG_SEQUENCE)) return null;
  const extensions = tagged.inside();
  for (let count = 0; count < EXTENSIONS_MAX && extensions.stepTo(TAG_SEQUENCE); count += 1) {
    const parts = extensions.inside();
    if (!parts.stepTo(TAG_OID) || !parts.hasContent(OID_SUBJECT_ALTERNATIVE_NAME)) continue;
    while (parts.step()) {
      if (parts.tag === TAG_OCTET_STRING) return firstDnsName(parts.inside());
    }
  }
  return null;
}

function firstDnsName(names: DerCursor): string | null {
  if (!names.stepTo(TAG_SEQUENCE)) return null;
  const name = names.inside();
  for (let count = 0; count < NAME_PARTS_MAX && name.step(); count += 1) {
    const text = name.tag === TAG_DNS_NAME ? name.hostname() : null;
    if (text !== null) return text;
  }
  return null;
}
