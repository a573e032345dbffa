// The records that the killed writer and the test that reads after it agree upon.

export const KEYS = 64;
const RECORD_BYTES = 220;

/** A record that holds `count` for its key, filled so that a modified one cannot pass. */
export function writeCount(count: number): Uint8Array {
  const record = new Uint8Array(RECORD_BYTES).fill(count & 0xff);
  new DataView(record.buffer).setUint32(0, count);
  return record;
}

/** @throws Error when the record is not one of `writeCount` */
export function readCount(record: Uint8Array): { key: number; count: number } {
  const count = new DataView(record.buffer, record.byteOffset).getUint32(0);
  const filled = record.subarray(4).every((byte) => byte === (count & 0xff));
  if (record.length !== RECORD_BYTES || !filled) throw new Error(`record of ${count} is modified`);
  return { key: count % KEYS, count };
}
