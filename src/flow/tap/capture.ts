// Reads captures as they stream in: pcap (both byte orders, µs and ns) and pcapng (sections and
// interfaces). Memory is bounded by the largest packet, whatever the file says.
// Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.

import { CAPTURE_INTERFACES_MAX, CAPTURE_PACKET_BYTES_MAX } from "../../kernel/limits.ts";
import { u16, u16le, u32, u32le } from "./bytes.ts";

/** Why a capture cannot be read, or not to its end. `code` is stable; the message is for people. */
export interface CaptureProblem {
  readonly code: "ERR_CAPTURE_FORMAT" | "ERR_CAPTURE_DAMAGED" | "ERR_CAPTURE_TRUNCATED";
  readonly message: string;
}

/**
 * One captured frame: `bytes[start, end)`, valid until the call returns. `linkType` is a LINKTYPE_
 * number of tcpdump.org. How long the frame was before it was cut, its IP header tells.
 */
export type PacketListener = (
  bytes: Uint8Array,
  start: number,
  end: number,
  linkType: number,
  atMs: number,
) => void;

/**
 * Reads one record of `bytes[at, end)`.
 * @returns the bytes it took; or, negated, how many it needs from `at` on
 */
interface RecordReader {
  read(bytes: Uint8Array, at: number, end: number): number;
  /** Bytes after the record read last that are passed over unread. */
  skipBytes: number;
  problem: CaptureProblem | null;
}

const MAGIC_BYTES = 4;
const CARRY_BYTES_MIN = 4096;

/** Push bytes in pieces of any size; packets come out in order. */
export class CaptureReader {
  readonly #onPacket: PacketListener;
  #records: RecordReader | null = null;
  #problem: CaptureProblem | null = null;
  /** The beginning of a record whose rest has not come yet. */
  #carry = new Uint8Array(CARRY_BYTES_MIN);
  #carryLength = 0;
  #neededBytes = MAGIC_BYTES;
  #skipBytes = 0;

  constructor(onPacket: PacketListener) {
    this.#onPacket = onPacket;
  }

  /** Set once the capture turned out unreadable; what is pushed later is ignored. */
  get problem(): CaptureProblem | null {
    return this.#problem;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.#problem === null) {
      const skipped = Math.min(this.#skipBytes, chunk.length - at);
      this.#skipBytes -= skipped;
      at += skipped;
      if (this.#skipBytes === 0) at = this.#consume(chunk, at);
    }
  }

  /** Tells that no more comes. @returns why the capture was not read to a proper end, or null */
  finish(): CaptureProblem | null {
    if (this.#problem !== null) return this.#problem;
    if (this.#records === null) return format("is shorter than any capture");
    if (this.#carryLength === 0 && this.#skipBytes === 0) return null;
    return {
      code: "ERR_CAPTURE_TRUNCATED",
      message: "ends in the middle of a packet; what came before it was read",
    };
  }

  /** Reads records where they lie, or completes the one carried over. @returns where to go on */
  #consume(chunk: Uint8Array, start: number): number {
    if (this.#carryLength > 0) return this.#complete(chunk, start);
    let at = start;
    while (at < chunk.length) {
      const used = this.#read(chunk, at, chunk.length);
      if (this.#problem !== null) return chunk.length;
      if (used < 0) {
        this.#neededBytes = -used;
        return this.#keep(chunk, at);
      }
      at += used;
      if (this.#skipBytes > 0) return at;
    }
    return at;
  }

  /** Adds to the carry what its record still needs, and reads it when it is whole. */
  #complete(chunk: Uint8Array, start: number): number {
    const at = this.#keep(chunk, start);
    if (this.#carryLength < this.#neededBytes) return at;
    const used = this.#read(this.#carry, 0, this.#carryLength);
    if (used < 0) this.#neededBytes = -used;
    else this.#carryLength = 0;
    return at;
  }

  #keep(chunk: Uint8Array, start: number): number {
    const length = Math.min(this.#neededBytes - this.#carryLength, chunk.length - start);
    const total = this.#carryLength + length;
    if (total > this.#carry.length) {
      // Grows with what has come, never with what a header announces.
      const larger = new Uint8Array(Math.max(total, 2 * this.#carry.length));
      larger.set(this.#carry.subarray(0, this.#carryLength));
      this.#carry = larger;
    }
    this.#carry.set(chunk.subarray(start, start + length), this.#carryLength);
    this.#carryLength = total;
    return start + length;
  }

  #read(bytes: Uint8Array, at: number, end: number): number {
    if (this.#records === null) {
      if (end - at < MAGIC_BYTES) return -MAGIC_BYTES;
      this.#records = this.#readerFor(u32(bytes, at));
      if (this.#records === null) return end - at;
    }
    const records = this.#records;
    const used = records.read(bytes, at, end);
    this.#skipBytes = records.skipBytes;
    records.skipBytes = 0;
    this.#problem = records.problem;
    return used;
  }

  #readerFor(magic: number): RecordReader | null {
    if (magic === SECTION_HEADER_BLOCK) return new PcapngReader(this.#onPacket);
    const kind = PCAP_KINDS.get(magic);
    if (kind !== undefined) return new PcapReader(kind, this.#onPacket);
    this.#problem =
      magic >>> 16 === 0x1f8b
        ? format("is compressed with gzip; decompress it first")
        : format("is neither pcap nor pcapng");
    return null;
  }
}

function format(message: string): CaptureProblem {
  return { code: "ERR_CAPTURE_FORMAT", message };
}

function damaged(message: string): CaptureProblem {
  return { code: "ERR_CAPTURE_DAMAGED", message };
}

function tooLong(sizeBytes: number): CaptureProblem {
  return damaged(
    `holds a packet of ${sizeBytes} bytes where ${CAPTURE_PACKET_BYTES_MAX} are allowed: it is damaged, or no capture`,
  );
}

interface PcapKind {
  readonly littleEndian: boolean;
  /** Milliseconds in one unit of a timestamp's second half. */
  readonly fractionMs: number;
  readonly recordHeadBytes: number;
}

const MICROSECOND_MS = 1e-3;
const NANOSECOND_MS = 1e-6;

/** By the first four bytes, read big-endian. The longer heads are those of a patched libpcap. */
const PCAP_KINDS: ReadonlyMap<number, PcapKind> = new Map([
  [0xa1b2c3d4, { littleEndian: false, fractionMs: MICROSECOND_MS, recordHeadBytes: 16 }],
  [0xd4c3b2a1, { littleEndian: true, fractionMs: MICROSECOND_MS, recordHeadBytes: 16 }],
  [0xa1b23c4d, { littleEndian: false, fractionMs: NANOSECOND_MS, recordHeadBytes: 16 }],
  [0x4d3cb2a1, { littleEndian: true, fractionMs: NANOSECOND_MS, recordHeadBytes: 16 }],
  [0xa1b2cd34, { littleEndian: false, fractionMs: MICROSECOND_MS, recordHeadBytes: 24 }],
  [0x34cdb2a1, { littleEndian: true, fractionMs: MICROSECOND_MS, recordHeadBytes: 24 }],
]);
const PCAP_HEAD_BYTES = 24;

class PcapReader implements RecordReader {
  readonly #kind: PcapKind;
  readonly #onPacket: PacketListener;
  #linkType = -1;
  skipBytes = 0;
  problem: CaptureProblem | null = null;

  constructor(kind: PcapKind, onPacket: PacketListener) {
    this.#kind = kind;
    this.#onPacket = onPacket;
  }

  read(bytes: Uint8Array, at: number, end: number): number {
    if (this.#linkType < 0) return this.#readHead(bytes, at, end);
    const headBytes = this.#kind.recordHeadBytes;
    if (end - at < headBytes) return -headBytes;
    const capturedBytes = this.#u32(bytes, at + 8);
    if (capturedBytes > CAPTURE_PACKET_BYTES_MAX) {
      this.problem = tooLong(capturedBytes);
      return end - at;
    }
    const totalBytes = headBytes + capturedBytes;
    if (end - at < totalBytes) return -totalBytes;
    const atMs = this.#u32(bytes, at) * 1e3 + this.#u32(bytes, at + 4) * this.#kind.fractionMs;
    this.#onPacket(bytes, at + headBytes, at + totalBytes, this.#linkType, atMs);
    return totalBytes;
  }

  #readHead(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < PCAP_HEAD_BYTES) return -PCAP_HEAD_BYTES;
    // The upper bits tell of frame check sequences, which no parser here reaches.
    this.#linkType = this.#u32(bytes, at + 20) & 0xffff;
    return PCAP_HEAD_BYTES;
  }

  #u32(bytes: Uint8Array, at: number): number {
    return this.#kind.littleEndian ? u32le(bytes, at) : u32(bytes, at);
  }
}

interface CaptureInterface {
  readonly linkType: number;
  /** Captured bytes of a packet at most; 0: no limit. */
  readonly snapBytes: number;
  /** Milliseconds in one unit of its timestamps, and what is added to them. */
  readonly unitMs: number;
  readonly offsetMs: number;
}

const SECTION_HEADER_BLOCK = 0x0a0d0d0a;
const INTERFACE_BLOCK = 1;
const OLD_PACKET_BLOCK = 2;
const SIMPLE_PACKET_BLOCK = 3;
const ENHANCED_PACKET_BLOCK = 6;

const BLOCK_BYTES_MIN = 12;
/** What of an interface's description is read: its options of interest are among the first. */
const INTERFACE_BLOCK_BYTES_READ = 4096;
const OPTION_TIME_RESOLUTION = 9;
const OPTION_TIME_OFFSET = 14;

class PcapngReader implements RecordReader {
  readonly #onPacket: PacketListener;
  readonly #interfaces: CaptureInterface[] = [];
  #littleEndian = true;
  /** Simple packets have no time of their own. */
  #lastMs = 0;
  skipBytes = 0;
  problem: CaptureProblem | null = null;

  constructor(onPacket: PacketListener) {
    this.#onPacket = onPacket;
  }

  read(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < BLOCK_BYTES_MIN) return -BLOCK_BYTES_MIN;
    const isSection = u32(bytes, at) === SECTION_HEADER_BLOCK;
    if (isSection && !this.#startSection(u32(bytes, at + 8))) return end - at;
    const blockBytes = this.#u32(bytes, at + 4);
    if (blockBytes < BLOCK_BYTES_MIN || blockBytes % 4 !== 0) {
      this.problem = damaged(`holds a block of ${blockBytes} bytes, which cannot be`);
      return end - at;
    }
    const usedBytes = isSection ? BLOCK_BYTES_MIN : this.#readBlock(bytes, at, end, blockBytes);
    if (usedBytes > 0) this.skipBytes = Math.max(0, blockBytes - usedBytes);
    return usedBytes;
  }

  /** A new section has its own byte order, and interfaces counted from 0. */
  #startSection(byteOrderMagic: number): boolean {
    if (byteOrderMagic !== 0x1a2b3c4d && byteOrderMagic !== 0x4d3c2b1a) {
      this.problem = damaged("holds a section without a byte order");
      return false;
    }
    this.#littleEndian = byteOrderMagic === 0x4d3c2b1a;
    this.#interfaces.length = 0;
    return true;
  }

  /** @returns as `read` does, for the part of the block that is of interest */
  #readBlock(bytes: Uint8Array, at: number, end: number, blockBytes: number): number {
    switch (this.#u32(bytes, at)) {
      case INTERFACE_BLOCK: {
        const partBytes = Math.min(blockBytes, INTERFACE_BLOCK_BYTES_READ);
        if (end - at < partBytes) return -partBytes;
        this.#addInterface(bytes, at, at + partBytes);
        return partBytes;
      }
      case ENHANCED_PACKET_BLOCK:
        return this.#readPacket(bytes, at, end, blockBytes, this.#u32(bytes, at + 8));
      case OLD_PACKET_BLOCK:
        return this.#readPacket(bytes, at, end, blockBytes, this.#u16(bytes, at + 8));
      case SIMPLE_PACKET_BLOCK:
        return this.#readSimplePacket(bytes, at, end, blockBytes);
      default:
        return BLOCK_BYTES_MIN;
    }
  }

  #addInterface(bytes: Uint8Array, at: number, end: number): void {
    if (end - at < 20) return;
    if (this.#interfaces.length === CAPTURE_INTERFACES_MAX) {
      this.problem = damaged(`has more than ${CAPTURE_INTERFACES_MAX} interfaces`);
      return;
    }
    let unitMs = MICROSECOND_MS;
    let offsetMs = 0;
    for (let option = at + 16; option + 8 <= end; ) {
      const code = this.#u16(bytes, option);
      const length = this.#u16(bytes, option + 2);
      if (code === 0) break;
      if (code === OPTION_TIME_RESOLUTION) unitMs = timeUnitMs(bytes[option + 4]!);
      if (code === OPTION_TIME_OFFSET && option + 12 <= end) {
        offsetMs = 1e3 * this.#i64(bytes, option + 4);
      }
      option += 4 + Math.ceil(length / 4) * 4;
    }
    const linkType = this.#u16(bytes, at + 8);
    this.#interfaces.push({ linkType, snapBytes: this.#u32(bytes, at + 12), unitMs, offsetMs });
  }

  /** Enhanced and old packet blocks differ in how wide the interface's number is. */
  #readPacket(
    bytes: Uint8Array,
    at: number,
    end: number,
    blockBytes: number,
    interfaceIndex: number,
  ): number {
    const headBytes = 28;
    if (end - at < headBytes) return -headBytes;
    const capturedBytes = this.#u32(bytes, at + 20);
    if (!this.#fits(capturedBytes, headBytes, blockBytes)) return end - at;
    const usedBytes = headBytes + capturedBytes;
    if (end - at < usedBytes) return -usedBytes;
    const from = this.#interfaces[interfaceIndex];
    if (from === undefined) return usedBytes;
    const units = this.#u32(bytes, at + 12) * 0x1_0000_0000 + this.#u32(bytes, at + 16);
    this.#lastMs = units * from.unitMs + from.offsetMs;
    this.#onPacket(bytes, at + headBytes, at + usedBytes, from.linkType, this.#lastMs);
    return usedBytes;
  }

  #readSimplePacket(bytes: Uint8Array, at: number, end: number, blockBytes: number): number {
    const headBytes = 12;
    const wireBytes = this.#u32(bytes, at + 8);
    const from = this.#interfaces[0];
    const snapBytes = from === undefined || from.snapBytes === 0 ? wireBytes : from.snapBytes;
    const roomBytes = Math.max(0, blockBytes - headBytes - 4);
    const capturedBytes = Math.min(wireBytes, snapBytes, roomBytes);
    if (!this.#fits(capturedBytes, headBytes, blockBytes)) return end - at;
    const usedBytes = headBytes + capturedBytes;
    if (end - at < usedBytes) return -usedBytes;
    if (from !== undefined) {
      this.#onPacket(bytes, at + headBytes, at + usedBytes, from.linkType, this.#lastMs);
    }
    return usedBytes;
  }

  #fits(capturedBytes: number, headBytes: number, blockBytes: number): boolean {
    if (capturedBytes > CAPTURE_PACKET_BYTES_MAX) this.problem = tooLong(capturedBytes);
    else if (headBytes + capturedBytes > blockBytes) {
      this.problem = damaged("holds a packet that is longer than its block");
    }
    return this.problem === null;
  }

  #u16(bytes: Uint8Array, at: number): number {
    return this.#littleEndian ? u16le(bytes, at) : u16(bytes, at);
  }

  #u32(bytes: Uint8Array, at: number): number {
    return this.#littleEndian ? u32le(bytes, at) : u32(bytes, at);
  }

  /** Exact where it matters: an offset is a number of seconds. */
  #i64(bytes: Uint8Array, at: number): number {
    const [highAt, lowAt] = this.#littleEndian ? [at + 4, at] : [at, at + 4];
    return (this.#u32(bytes, highAt) | 0) * 0x1_0000_0000 + this.#u32(bytes, lowAt);
  }
}

/** `if_tsresol`: a negative power of 10, or of 2 when the top bit is set, in seconds. */
function timeUnitMs(resolution: number): number {
  const base = resolution & 0x80 ? 2 : 10;
  return 1e3 * base ** -(resolution & 0x7f);
}
