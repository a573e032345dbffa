// The mesh packet: 1024 bytes, little-endian, its layout one table from which offsets and
// types are computed. A layout whose fields do not add up to 1024 does not compile.

import { assert } from "../kernel/assert.ts";
import { HEADER_BYTES, PACKET_BYTES, PAYLOAD_BYTES, TAG_BYTES } from "../kernel/limits.ts";
import { fromHex, type NodeId, toHex } from "./node-id.ts";

/** Name and size in bytes of each field, in the order of the wire. */
const LAYOUT = [
  ["magic", 2],
  ["version", 1],
  ["kind", 1],
  ["zone", 1],
  ["flags", 1],
  ["payloadLength", 2],
  ["revocationBlock", 8],
  ["source", 8],
  ["destination", 8],
  ["session", 4],
  ["counter", 8],
  ["reserved", 4],
  ["payload", 960],
  ["tag", 16],
] as const;

type Layout = typeof LAYOUT;
type FieldName = Layout[number][0];

type TupleOf<Length extends number, T extends unknown[] = []> = T["length"] extends Length
  ? T
  : TupleOf<Length, [...T, 0]>;
/** The sum of all sizes, computed by the compiler. */
type SizeOf<
  Fields extends readonly unknown[],
  Sum extends unknown[] = [],
> = Fields extends readonly [readonly [string, infer Size extends number], ...infer Rest]
  ? SizeOf<Rest, [...Sum, ...TupleOf<Size>]>
  : Sum["length"];

/** Fails to compile when LAYOUT is not exactly one packet. */
export const LAYOUT_BYTES: SizeOf<Layout> = PACKET_BYTES;

/** Where each field starts. */
export const OFFSET: Readonly<Record<FieldName, number>> = offsets();

function offsets(): Record<FieldName, number> {
  const result: Partial<Record<FieldName, number>> = {};
  let offset = 0;
  for (const [name, size] of LAYOUT) {
    result[name] = offset;
    offset += size;
  }
  assert(result.payload === HEADER_BYTES, "the header ends where the payload starts");
  assert(result.tag === HEADER_BYTES + PAYLOAD_BYTES, "the tag follows the payload");
  assert(offset - TAG_BYTES === result.tag, "the tag ends the packet");
  return result as Record<FieldName, number>;
}

const MAGIC = 0x594d; // "MY"
export const PROTOCOL_VERSION = 1;

export const PACKET_KIND = {
  handshakeInit: 1,
  handshakeCookie: 2,
  handshakeResponse: 3,
  handshakeFinish: 4,
  data: 5,
  /** A signed slot on its way into a daemon's API; never on the network. */
  deploy: 6,
} as const;
export type PacketKind = (typeof PACKET_KIND)[keyof typeof PACKET_KIND];
const PACKET_KIND_MAX = 6;

/** The clear, authenticated head of every packet. */
export interface PacketHeader {
  readonly kind: PacketKind;
  readonly zone: number;
  readonly payloadLength: number;
  /** The highest revocation the sender knows: a receiver that knows less asks for the rest. */
  readonly revocationBlock: number;
  readonly source: NodeId;
  readonly destination: NodeId;
  /** The receiver's name for the session. */
  readonly session: number;
  readonly counter: number;
}

/** Writes the header into `packet`, which is PACKET_BYTES long. Payload and tag are left alone. */
export function writeHeader(packet: Uint8Array, header: PacketHeader): void {
  assert(packet.length === PACKET_BYTES, "a packet is 1024 bytes");
  assert(header.payloadLength <= PAYLOAD_BYTES, "a payload fits its packet");
  const view = new DataView(packet.buffer, packet.byteOffset, HEADER_BYTES);
  view.setUint16(OFFSET.magic, MAGIC, true);
  packet[OFFSET.version] = PROTOCOL_VERSION;
  packet[OFFSET.kind] = header.kind;
  packet[OFFSET.zone] = header.zone;
  packet[OFFSET.flags] = 0;
  view.setUint16(OFFSET.payloadLength, header.payloadLength, true);
  writeU64(view, OFFSET.revocationBlock, header.revocationBlock);
  packet.set(fromHex(header.source), OFFSET.source);
  packet.set(fromHex(header.destination), OFFSET.destination);
  view.setUint32(OFFSET.session, header.session, true);
  writeU64(view, OFFSET.counter, header.counter);
  view.setUint32(OFFSET.reserved, 0, true);
}

/** Reads an untrusted packet's header; null when it is not one of ours. */
export function readHeader(packet: Uint8Array): PacketHeader | null {
  if (packet.length !== PACKET_BYTES) return null;
  const view = new DataView(packet.buffer, packet.byteOffset, HEADER_BYTES);
  if (view.getUint16(OFFSET.magic, true) !== MAGIC) return null;
  if (packet[OFFSET.version] !== PROTOCOL_VERSION) return null;
  const kind = packet[OFFSET.kind]!;
  if (kind === 0 || kind > PACKET_KIND_MAX) return null;
  if (packet[OFFSET.flags] !== 0 || view.getUint32(OFFSET.reserved, true) !== 0) return null;
  const payloadLength = view.getUint16(OFFSET.payloadLength, true);
  const revocationBlock = readU64(view, OFFSET.revocationBlock);
  const counter = readU64(view, OFFSET.counter);
  if (payloadLength > PAYLOAD_BYTES || revocationBlock === null || counter === null) return null;
  return {
    kind: kind as PacketKind,
    zone: packet[OFFSET.zone]!,
    payloadLength,
    revocationBlock,
    source: toHex(packet.subarray(OFFSET.source, OFFSET.source + 8)),
    destination: toHex(packet.subarray(OFFSET.destination, OFFSET.destination + 8)),
    session: view.getUint32(OFFSET.session, true),
    counter,
  };
}

/** The payload's whole room, as a view. */
export function payloadOf(packet: Uint8Array): Uint8Array {
  return packet.subarray(OFFSET.payload, OFFSET.tag);
}

function writeU64(view: DataView, offset: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "a u64 field takes a safe integer");
  view.setUint32(offset, value % 0x1_0000_0000, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Null above 2^53: no honest counter gets there. */
function readU64(view: DataView, offset: number): number | null {
  const high = view.getUint32(offset + 4, true);
  if (high >= 0x20_0000) return null;
  return high * 0x1_0000_0000 + view.getUint32(offset, true);
}
