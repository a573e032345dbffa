// Packets on their way to a socket: copied into memory taken once, a few for each peer, the
// oldest making room. Gossip that waits is worth less than the gossip that comes after it.

import { assert } from "../kernel/assert.ts";
import {
  OUTBOX_PACKETS,
  PACKET_BYTES,
  PEER_QUEUE_PACKETS,
  SENDS_IN_FLIGHT_MAX,
} from "../kernel/limits.ts";
import type { Endpoint } from "../kernel/ports.ts";

/** A packet in the outbox's memory. */
export interface OutboxPacket {
  readonly bytes: Uint8Array;
  to: Endpoint;
}

/** The waiting packets, and those in flight, which keep their memory until they are released. */
export class Outbox {
  readonly #free: OutboxPacket[] = [];
  /** In the order they came. */
  readonly #waiting: OutboxPacket[] = [];
  readonly #waitingByPeer = new Map<Endpoint, number>();
  #inFlightCount = 0;
  #droppedCount = 0;

  constructor() {
    const packetCount = OUTBOX_PACKETS + SENDS_IN_FLIGHT_MAX;
    const memory = new Uint8Array(packetCount * PACKET_BYTES);
    for (let offset = 0; offset < memory.length; offset += PACKET_BYTES) {
      this.#free.push({ bytes: memory.subarray(offset, offset + PACKET_BYTES), to: "" });
    }
  }

  /** How many packets wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** How many were pushed out unsent. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Copies a packet in. A full peer's oldest makes room, and in a full outbox the oldest of all. */
  push(packet: Uint8Array, to: Endpoint): void {
    assert(packet.length === PACKET_BYTES, "a packet is 1024 bytes");
    const waitingHere = this.#waitingByPeer.get(to) ?? 0;
    if (waitingHere >= PEER_QUEUE_PACKETS) this.#drop(this.#waiting.findIndex((p) => p.to === to));
    else if (this.#waiting.length >= OUTBOX_PACKETS) this.#drop(0);
    const slot = this.#free.pop();
    assert(slot !== undefined, "there is memory for all that waits and all in flight");
    slot.bytes.set(packet);
    slot.to = to;
    this.#waiting.push(slot);
    this.#waitingByPeer.set(to, (this.#waitingByPeer.get(to) ?? 0) + 1);
  }

  /** The oldest packet, to be sent and then released; null when none waits or enough are in flight. */
  take(): OutboxPacket | null {
    if (this.#waiting.length === 0 || this.#inFlightCount >= SENDS_IN_FLIGHT_MAX) return null;
    this.#inFlightCount += 1;
    return this.#remove(0);
  }

  /** Gives a packet's memory back once the kernel has taken it. */
  release(packet: OutboxPacket): void {
    assert(this.#inFlightCount > 0, "only what was taken is released");
    this.#inFlightCount -= 1;
    this.#free.push(packet);
  }

  #drop(index: number): void {
    this.#droppedCount += 1;
    this.#free.push(this.#remove(index));
  }

  #remove(index: number): OutboxPacket {
    const [packet] = this.#waiting.splice(index, 1);
    assert(packet !== undefined, "only a waiting packet leaves the queue");
    const left = (this.#waitingByPeer.get(packet.to) ?? 0) - 1;
    if (left > 0) this.#waitingByPeer.set(packet.to, left);
    else this.#waitingByPeer.delete(packet.to);
    return packet;
  }
}
