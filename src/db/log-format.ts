// The bytes of the log's file: a header that says whose it is, then frames. And how to read
// them back after anything: a power loss, bit rot, somebody else's file.
//
//   header   "MYCO-WAL" (8), version u32, CRC-32 of these 12 bytes u32
//   frame    record length u32, CRC-32 of the length and the record u32, record
//
// All integers are little-endian.

import { assert } from "../kernel/assert.ts";
import { LOG_BATCH_BYTES, LOG_BYTES_MAX, LOG_RECORD_BYTES_MAX } from "../kernel/limits.ts";
import { crc32 } from "./crc32.ts";

export const LOG_HEADER_BYTES = 16;
/** What a frame adds to its record. */
export const FRAME_HEAD_BYTES = 8;

const LOG_VERSION = 1;
const VERSION_OFFSET = 8;
const HEADER_CRC_OFFSET = 12;
/** A disk writes at least this much at once; a lost write leaves zeros from one of its multiples on. */
const SECTOR_BYTES = 512;

const logHeader = headerOf(LOG_VERSION);

/** A file that cannot be this program's log. Nothing was changed in it. */
export class LogFormatError extends Error {
  override readonly name = "LogFormatError";
  /** ERR_LOG_FOREIGN: not a log of Myco. ERR_LOG_VERSION: one of another version. */
  readonly code: "ERR_LOG_FOREIGN" | "ERR_LOG_VERSION";

  constructor(code: "ERR_LOG_FOREIGN" | "ERR_LOG_VERSION", message: string) {
    super(message);
    this.code = code;
  }
}

/** Where a log's file stopped making sense. */
export interface LogDamage {
  readonly offset: number;
  /** Bytes from there to the end, which are dropped. 0 when only the header is damaged. */
  readonly lostBytes: number;
  /**
   * `torn-tail`: the last write did not reach the disk whole, as after a power loss; nothing
   * acknowledged is gone. `corrupt`: what was once durable has changed; a peer has the rest.
   */
  readonly kind: "torn-tail" | "corrupt";
}

/** What a log's file held when it was opened. */
export interface ReplayReport {
  /** Intact records, all of them given to the reader. */
  readonly records: number;
  /** Bytes kept, header included. */
  readonly validBytes: number;
  readonly damaged: LogDamage | null;
}

/** The 16 bytes a log begins with. */
export function headerOf(version: number): Uint8Array {
  const header = new Uint8Array(LOG_HEADER_BYTES);
  header.set(new TextEncoder().encode("MYCO-WAL"));
  writeU32(header, VERSION_OFFSET, version);
  writeU32(header, HEADER_CRC_OFFSET, crc32(header, 0, HEADER_CRC_OFFSET));
  return header;
}

/** Writes the header at the start of `out`. @returns the offset after it */
export function writeHeader(out: Uint8Array): number {
  out.set(logHeader);
  return LOG_HEADER_BYTES;
}

/** Writes one frame at `offset`, where it must fit. @returns the offset after it */
export function writeFrame(out: Uint8Array, offset: number, record: Uint8Array): number {
  const recordOffset = offset + FRAME_HEAD_BYTES;
  writeU32(out, offset, record.length);
  out.set(record, recordOffset);
  const recordEnd = recordOffset + record.length;
  const crc = crc32(out, recordOffset, recordEnd, crc32(out, offset, offset + 4));
  writeU32(out, offset + 4, crc);
  return recordEnd;
}

/** A whole file of `records`, at most LOG_BYTES_MAX. @param expectedBytes a first guess of its size */
export function encodeLog(records: Iterable<Uint8Array>, expectedBytes: number): Uint8Array {
  let image = new Uint8Array(Math.min(LOG_BYTES_MAX, Math.max(LOG_HEADER_BYTES, expectedBytes)));
  let offset = writeHeader(image);
  for (const record of records) {
    assertRecord(record);
    const end = offset + FRAME_HEAD_BYTES + record.length;
    assert(end <= LOG_BYTES_MAX, "a snapshot fits the log");
    if (end > image.length) {
      const larger = new Uint8Array(
        Math.min(LOG_BYTES_MAX, 2 * image.length + LOG_RECORD_BYTES_MAX),
      );
      larger.set(image);
      image = larger;
    }
    offset = writeFrame(image, offset, record);
  }
  return image.subarray(0, offset);
}

export function assertRecord(record: Uint8Array): void {
  assert(
    record.length > 0 && record.length <= LOG_RECORD_BYTES_MAX,
    "a log record has 1 to LOG_RECORD_BYTES_MAX bytes",
  );
}

/**
 * Reads a log's file up to the first byte that cannot be.
 * @param onRecord called with each intact record in order, as a view: copy what is kept
 * @throws LogFormatError when the file is not a log of this version
 */
export function replayLog(bytes: Uint8Array, onRecord: (record: Uint8Array) => void): ReplayReport {
  const header = inspectHeader(bytes);
  if (header === "absent") {
    const damaged: LogDamage | null =
      bytes.length === 0 ? null : { offset: 0, lostBytes: bytes.length, kind: "torn-tail" };
    return { records: 0, validBytes: 0, damaged };
  }
  let records = 0;
  let offset = LOG_HEADER_BYTES;
  for (;;) {
    const end = frameEnd(bytes, offset);
    if (end === 0) break;
    onRecord(bytes.subarray(offset + FRAME_HEAD_BYTES, end));
    records += 1;
    offset = end;
  }
  return { records, validBytes: offset, damaged: damageAt(bytes, offset, header) };
}

/** `absent`: empty, or a first write that was torn. */
function inspectHeader(bytes: Uint8Array): "good" | "damaged" | "absent" {
  const comparedBytes = Math.min(bytes.length, LOG_HEADER_BYTES);
  let wrongBytes = 0;
  for (let i = 0; i < comparedBytes; i += 1) {
    if (bytes[i] !== logHeader[i]) wrongBytes += 1;
  }
  if (wrongBytes > 0) {
    if (isZero(bytes, 0, bytes.length)) return "absent";
    refuseOtherVersion(bytes);
    refuseForeign(bytes, wrongBytes, comparedBytes);
  }
  if (bytes.length < LOG_HEADER_BYTES) return "absent";
  return wrongBytes === 0 ? "good" : "damaged";
}

function refuseOtherVersion(bytes: Uint8Array): void {
  if (bytes.length < LOG_HEADER_BYTES) return;
  const version = readU32(bytes, VERSION_OFFSET);
  if (headerOf(version).some((byte, i) => byte !== bytes[i])) return;
  throw new LogFormatError(
    "ERR_LOG_VERSION",
    `The log has format version ${version}; this program reads version ${LOG_VERSION}. Start the version of Myco that wrote it, or move the file away to start empty and sync from a peer.`,
  );
}

/** A byte or few of rot leave the rest of a header recognisable; another file has nothing of it. */
function refuseForeign(bytes: Uint8Array, wrongBytes: number, comparedBytes: number): void {
  if (wrongBytes * 4 <= comparedBytes) return;
  const found = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0"));
  throw new LogFormatError(
    "ERR_LOG_FOREIGN",
    `The file is not a log of Myco: it begins with the bytes ${found.join(" ")}, not with "MYCO-WAL". Check the data folder in the configuration, or move the file away to start with an empty log.`,
  );
}

/** The end of the intact frame at `offset`, or 0 when there is none. */
function frameEnd(bytes: Uint8Array, offset: number): number {
  if (offset + FRAME_HEAD_BYTES > bytes.length) return 0;
  const length = readU32(bytes, offset);
  const recordOffset = offset + FRAME_HEAD_BYTES;
  if (length === 0 || length > LOG_RECORD_BYTES_MAX) return 0;
  if (recordOffset + length > bytes.length) return 0;
  const crc = crc32(bytes, recordOffset, recordOffset + length, crc32(bytes, offset, offset + 4));
  return crc === readU32(bytes, offset + 4) ? recordOffset + length : 0;
}

function damageAt(bytes: Uint8Array, offset: number, header: "good" | "damaged"): LogDamage | null {
  const lostBytes = bytes.length - offset;
  if (lostBytes > 0) {
    return { offset, lostBytes, kind: isTornTail(bytes, offset) ? "torn-tail" : "corrupt" };
  }
  return header === "damaged" ? { offset: 0, lostBytes: 0, kind: "corrupt" } : null;
}

/**
 * True when what begins at `offset` looks like a write cut short: a frame that runs past the
 * end, or sectors of zeros up to it, and no intact frame after. In doubt it is rot, which
 * costs a sync with a peer and no record. At most one group commit is looked through, for no
 * more can be torn.
 */
function isTornTail(bytes: Uint8Array, offset: number): boolean {
  const end = bytes.length;
  if (end - offset > LOG_BATCH_BYTES) return false;
  if (!runsPastEnd(bytes, offset)) {
    const lastSector = end - 1 - ((end - 1) % SECTOR_BYTES);
    if (!isZero(bytes, Math.max(offset, lastSector), end)) return false;
  }
  for (let later = offset + 1; later < end; later += 1) {
    if (frameEnd(bytes, later) !== 0) return false;
  }
  return true;
}

function runsPastEnd(bytes: Uint8Array, offset: number): boolean {
  if (offset + FRAME_HEAD_BYTES > bytes.length) return true;
  const length = readU32(bytes, offset);
  return length <= LOG_RECORD_BYTES_MAX && offset + FRAME_HEAD_BYTES + length > bytes.length;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) {
    if (bytes[i] !== 0) return false;
  }
  return true;
}

function readU32(bytes: Uint8Array, offset: number): number {
  const low = bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16);
  return (low | (bytes[offset + 3]! << 24)) >>> 0;
}

function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value & 0xff;
  bytes[offset + 1] = (value >>> 8) & 0xff;
  bytes[offset + 2] = (value >>> 16) & 0xff;
  bytes[offset + 3] = value >>> 24;
}
