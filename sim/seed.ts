// Seeds as people write them.

export const SEED_RULE = "a whole number from 0 to 2^64 - 1, decimal or 0x and hex digits";

/** A u64, or null. */
export function parseSeed(text: string): bigint | null {
  if (!/^(?:[0-9]{1,20}|0x[0-9a-fA-F]{1,16})$/.test(text)) return null;
  const seed = BigInt(text);
  return seed < 1n << 64n ? seed : null;
}
