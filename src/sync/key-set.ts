// A set of slot versions in a few bits each: salted hashes, sorted, their gaps Golomb-Rice
// coded. A receiver learns exactly which of its own slots are in it, but for one in 256 that
// it takes for present by mistake; the next set has another salt.
// Source: Putze, Sanders, Singler, "Cache-, hash- and space-efficient bloom filters" (2009).

import { type ByteReader, type ByteWriter, FormatError } from "../schema/varint.ts";

/** One in 2^8 of the absent are taken for present. */
const RICE_BITS = 8;
const RANGE_PER_ELEMENT = 2 ** RICE_BITS;
/** How many versions one set may list. */
export const KEY_SET_ELEMENTS_MAX = 640;

/** A u32 hash brought into a set's range; multiplication keeps the order of hashes. */
export function toRange(hash: number, elementCount: number): number {
  return Math.floor((hash / 0x1_0000_0000) * elementCount * RANGE_PER_ELEMENT);
}

/** Bytes that a set of `count` may take, at most nearly always: 8 + 2 bits each and its count. */
export function keySetBytes(count: number): number {
  return 4 + Math.ceil((count * (RICE_BITS + 2)) / 8);
}

/** How many elements surely fit `bytes`. */
export function keySetElementsFitting(bytes: number): number {
  const count = Math.floor(((bytes - 4) * 8) / (RICE_BITS + 2));
  return Math.max(0, Math.min(count, KEY_SET_ELEMENTS_MAX));
}

/** Writes the hashes (u32, sorted here in place). The caller left keySetBytes of room. */
export function writeKeySet(writer: ByteWriter, hashes: Uint32Array): void {
  writer.varint(hashes.length);
  hashes.sort();
  let bits = 0;
  let bitCount = 0;
  let previous = 0;
  const put = (value: number, width: number): void => {
    bits |= value << bitCount;
    bitCount += width;
    while (bitCount >= 8) {
      writer.u8(bits & 0xff);
      bits >>>= 8;
      bitCount -= 8;
    }
  };
  for (const hash of hashes) {
    const value = toRange(hash, hashes.length);
    const gap = value - previous;
    for (let unary = Math.floor(gap / RANGE_PER_ELEMENT); unary > 0; unary -= 1) put(1, 1);
    put(0, 1);
    put(gap % RANGE_PER_ELEMENT, RICE_BITS);
    previous = value;
  }
  if (bitCount > 0) writer.u8(bits & 0xff);
}

/** Reads a set's values, ascending. Throws FormatError on anything that is not one. */
export function readKeySet(reader: ByteReader): Uint32Array {
  const count = reader.varint();
  if (count > KEY_SET_ELEMENTS_MAX) throw new FormatError("a key set is too large");
  const values = new Uint32Array(count);
  let bits = 0;
  let bitCount = 0;
  const take = (width: number): number => {
    while (bitCount < width) {
      bits |= reader.u8() << bitCount;
      bitCount += 8;
    }
    const value = bits & ((1 << width) - 1);
    bits >>>= width;
    bitCount -= width;
    return value;
  };
  let previous = 0;
  for (let i = 0; i < count; i += 1) {
    let gap = 0;
    while (take(1) === 1) gap += RANGE_PER_ELEMENT;
    gap += take(RICE_BITS);
    previous += gap;
    if (previous >= count * RANGE_PER_ELEMENT) throw new FormatError("a key set leaves its range");
    values[i] = previous;
  }
  return values;
}

/** Whether the sorted `values` hold `value`. */
export function keySetHas(values: Uint32Array, value: number): boolean {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low < values.length && values[low] === value;
}
