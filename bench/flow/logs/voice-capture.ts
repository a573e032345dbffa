// The call, seen at both ends: RTP packets in two captures (pcap, Ethernet, IPv4, UDP). One kernel
// stamped both, so that a one-way delay is the difference of two times.

/** One RTP packet as one end saw it. */
interface Sighting {
  readonly atMs: number;
  readonly source: number;
  readonly sequence: number;
  readonly dscp: number;
}

export interface VoicePacket {
  readonly sentMs: number;
  /** Null: it never arrived. */
  readonly receivedMs: number | null;
  /** As it arrived; null when it did not. */
  readonly dscp: number | null;
}

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const ETHERNET_BYTES = 14;
const UDP_BYTES = 8;
const RTP_BYTES = 12;

/** The packets of the RTP source `ssrc`, in the order they were sent. */
export function parseVoice(
  senderCapture: Uint8Array,
  receiverCapture: Uint8Array,
  ssrc: number,
): VoicePacket[] {
  const arrived = new Map<number, Sighting>();
  for (const seen of sightings(receiverCapture)) {
    if (seen.source === ssrc && !arrived.has(seen.sequence)) arrived.set(seen.sequence, seen);
  }
  const packets: VoicePacket[] = [];
  for (const sent of sightings(senderCapture)) {
    if (sent.source !== ssrc) continue;
    const seen = arrived.get(sent.sequence);
    packets.push({
      sentMs: sent.atMs,
      receivedMs: seen?.atMs ?? null,
      dscp: seen?.dscp ?? null,
    });
  }
  return packets;
}

/**
 * Every record that is RTP over UDP over IPv4; what is cut short ends the list. A run is
 * shorter than the ten minutes in which sequence numbers come again.
 */
function* sightings(capture: Uint8Array): Generator<Sighting> {
  const view = new DataView(capture.buffer, capture.byteOffset, capture.byteLength);
  if (view.byteLength < FILE_HEADER_BYTES) return;
  if (view.getUint32(0, true) !== MAGIC_MICROSECONDS) return;
  let offset = FILE_HEADER_BYTES;
  while (offset + RECORD_HEADER_BYTES <= view.byteLength) {
    const atMs = view.getUint32(offset, true) * 1_000 + view.getUint32(offset + 4, true) / 1_000;
    const length = view.getUint32(offset + 8, true);
    const start = offset + RECORD_HEADER_BYTES;
    if (start + length > view.byteLength) return;
    offset = start + length;
    const ip = start + ETHERNET_BYTES;
    if (length < ETHERNET_BYTES + 20 || view.getUint16(start + 12) !== 0x0800) continue;
    const rtp = ip + (view.getUint8(ip) & 0x0f) * 4 + UDP_BYTES;
    if (view.getUint8(ip + 9) !== 17 || rtp + RTP_BYTES > offset) continue;
    const source = view.getUint32(rtp + 8);
    const sequence = view.getUint16(rtp + 2);
    yield { atMs, source, sequence, dscp: view.getUint8(ip + 1) >> 2 };
  }
}
