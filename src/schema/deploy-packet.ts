// One signed slot on its way into a daemon's API: the mesh packet's 1024 bytes with the kind
// `deploy`. Its record carries the author's signature; the tag only tells a damaged transfer
// from a whole one.

import { assert } from "../kernel/assert.ts";
import { PACKET_BYTES, RECORD_BYTES_MAX, TAG_BYTES } from "../kernel/limits.ts";
import type { Crypto } from "../kernel/ports.ts";
import type { NodeId } from "./node-id.ts";
import { OFFSET, PACKET_KIND, payloadOf, readHeader, writeHeader } from "./packet.ts";
import { FormatError } from "./varint.ts";

/** Whoever receives it: a deploy packet is not addressed. */
const ANY_NODE: NodeId = "0".repeat(16);

/**
 * Packs one signed record.
 * @param author who signed it, for the header
 */
export function encodeDeployPacket(crypto: Crypto, author: NodeId, record: Uint8Array): Uint8Array {
  assert(record.length > 0 && record.length <= RECORD_BYTES_MAX, "a record fits its packet");
  const packet = new Uint8Array(PACKET_BYTES);
  writeHeader(packet, {
    kind: PACKET_KIND.deploy,
    zone: 0,
    payloadLength: record.length,
    revocationBlock: 0,
    source: author,
    destination: ANY_NODE,
    session: 0,
    counter: 0,
  });
  payloadOf(packet).set(record);
  packet.set(checksum(crypto, packet), OFFSET.tag);
  return packet;
}

/**
 * The record in an untrusted packet, as a view; the record itself is not looked at.
 * Throws FormatError, its message for people.
 */
export function decodeDeployPacket(crypto: Crypto, packet: Uint8Array): Uint8Array {
  if (packet.length !== PACKET_BYTES) {
    throw new FormatError(`a deploy packet has ${PACKET_BYTES} bytes; found ${packet.length}`);
  }
  const header = readHeader(packet);
  if (header === null) throw new FormatError("not a packet of this version of Myco");
  if (header.kind !== PACKET_KIND.deploy) throw new FormatError("a packet of another kind");
  const { payloadLength } = header;
  if (payloadLength === 0 || payloadLength > RECORD_BYTES_MAX) {
    throw new FormatError(`a record has 1 to ${RECORD_BYTES_MAX} bytes; found ${payloadLength}`);
  }
  const payload = payloadOf(packet);
  if (payload.subarray(payloadLength).some((byte) => byte !== 0)) {
    throw new FormatError("the room behind the record is not empty");
  }
  const expected = checksum(crypto, packet);
  if (!expected.every((byte, index) => byte === packet[OFFSET.tag + index])) {
    throw new FormatError("the packet's checksum does not match: it was damaged on its way");
  }
  return payload.subarray(0, payloadLength);
}

/** The first 16 bytes of SHA-256 over header and payload. */
function checksum(crypto: Crypto, packet: Uint8Array): Uint8Array {
  return crypto.sha256(packet.subarray(0, OFFSET.tag)).subarray(0, TAG_BYTES);
}
