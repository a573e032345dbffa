// The checksum of the log's frames: CRC-32 as in IEEE 802.3 and RFC 1952.

/** The polynomial 0x04C11DB7, bits reversed. */
const POLYNOMIAL = 0xedb88320;

/** Four tables, so that the inner loop takes four bytes a turn. */
const [table0, table1, table2, table3] = buildTables();

function buildTables(): [Uint32Array, Uint32Array, Uint32Array, Uint32Array] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    }
    first[byte] = value;
  }
  const second = nextTable(first, first);
  const third = nextTable(second, first);
  return [first, second, third, nextTable(third, first)];
}

/** The table of one zero byte more than `table`. */
function nextTable(table: Uint32Array, first: Uint32Array): Uint32Array {
  return table.map((value) => (value >>> 8) ^ first[value & 0xff]!);
}

/**
 * The checksum of `bytes[start, end)`.
 * @param previous the checksum of what comes before, to go on from; 0 to begin
 * @returns an unsigned 32-bit integer
 */
export function crc32(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
  previous = 0,
): number {
  let crc = ~previous;
  let offset = start;
  for (; offset + 4 <= end; offset += 4) {
    crc ^=
      bytes[offset]! |
      (bytes[offset + 1]! << 8) |
      (bytes[offset + 2]! << 16) |
      (bytes[offset + 3]! << 24);
    crc =
      table3[crc & 0xff]! ^
      table2[(crc >>> 8) & 0xff]! ^
      table1[(crc >>> 16) & 0xff]! ^
      table0[crc >>> 24]!;
  }
  for (; offset < end; offset += 1) {
    crc = (crc >>> 8) ^ table0[(crc ^ bytes[offset]!) & 0xff]!;
  }
  return ~crc >>> 0;
}
