// The five-tuples of the flow table, as bytes in one array: both directions of a flow have the
// same key, because its endpoints are put in order.

import { formatIpv6 } from "../../schema/endpoint.ts";
import { latin1Text, u16 } from "./bytes.ts";
import type { Packet } from "./packet.ts";

const KEY_BYTES = 40;
const KEY_WORDS = KEY_BYTES / 4;
const ADDRESS_BYTES_MAX = 16;
/** Within a key: two addresses, two ports, the protocol, the addresses' length; the rest is zero. */
const PORTS_AT = 2 * ADDRESS_BYTES_MAX;
const PROTOCOL_AT = PORTS_AT + 4;
const SIZE_AT = PROTOCOL_AT + 1;

const MAC_BYTES = 6;

/** Slots are those of the table; endpoints are the first and the second in byte order. */
export class FlowKeys {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #macs: Uint8Array;
  readonly #seed: number;
  /** The key of the packet looked at. */
  readonly #current = new Uint8Array(KEY_BYTES);
  readonly #currentWords = new Uint32Array(this.#current.buffer);

  /** @param seed a number an outsider cannot know, so that none can make keys collide on purpose */
  constructor(flowsMax: number, seed: number) {
    this.#words = new Uint32Array(flowsMax * KEY_WORDS);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#macs = new Uint8Array(flowsMax * 2 * MAC_BYTES);
    this.#seed = seed | 0;
  }

  /** Makes `packet`'s key the current one. @returns whether its sender is the first endpoint */
  read(packet: Packet): boolean {
    const { bytes, addressBytes, sourceAt, destinationAt, sourcePort, destinationPort } = packet;
    const key = this.#current;
    const senderIsFirst = comesFirst(packet);
    const firstAt = senderIsFirst ? sourceAt : destinationAt;
    const secondAt = senderIsFirst ? destinationAt : sourceAt;
    const firstPort = senderIsFirst ? sourcePort : destinationPort;
    const secondPort = senderIsFirst ? destinationPort : sourcePort;
    key.fill(0);
    for (let i = 0; i < addressBytes; i += 1) {
      key[i] = bytes[firstAt + i]!;
      key[ADDRESS_BYTES_MAX + i] = bytes[secondAt + i]!;
    }
    key[PORTS_AT] = firstPort >>> 8;
    key[PORTS_AT + 1] = firstPort;
    key[PORTS_AT + 2] = secondPort >>> 8;
    key[PORTS_AT + 3] = secondPort;
    key[PROTOCOL_AT] = packet.protocol;
    key[SIZE_AT] = addressBytes;
    return senderIsFirst;
  }

  /** Of the current key. MurmurHash3's mixing (Appleby, public domain). */
  hash(): number {
    let hash = this.#seed;
    for (let word = 0; word < KEY_WORDS; word += 1) {
      let k = Math.imul(this.#currentWords[word]!, 0xcc9e2d51);
      k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
      hash ^= k;
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  /** Whether the current key is that of `slot`. */
  isAt(slot: number): boolean {
    const base = slot * KEY_WORDS;
    for (let word = 0; word < KEY_WORDS; word += 1) {
      if (this.#words[base + word] !== this.#currentWords[word]) return false;
    }
    return true;
  }

  /** Keeps the current key at `slot`, without hardware addresses. */
  store(slot: number): void {
    this.#words.set(this.#currentWords, slot * KEY_WORDS);
    this.#macs.fill(0, 2 * slot * MAC_BYTES, 2 * (slot + 1) * MAC_BYTES);
  }

  /** Keeps the hardware address that the packet's sender has on the tapped link. */
  storeMac(slot: number, packet: Packet, senderIsFirst: boolean): void {
    if (packet.sourceMacAt < 0) return;
    const at = macAt(slot, senderIsFirst);
    for (let i = 0; i < MAC_BYTES; i += 1) {
      this.#macs[at + i] = packet.bytes[packet.sourceMacAt + i]!;
    }
  }

  /** RFC 5952. */
  addressText(slot: number, ofFirst: boolean): string {
    const at = addressAt(slot, ofFirst);
    const address = this.#bytes.subarray(at, at + this.#addressBytes(slot));
    return address.length === 4 ? address.join(".") : formatIpv6(address);
  }

  /** For the name tables. */
  addressKey(slot: number, ofFirst: boolean): string {
    const at = addressAt(slot, ofFirst);
    return latin1Text(this.#bytes, at, at + this.#addressBytes(slot));
  }

  macText(slot: number, ofFirst: boolean): string | null {
    const at = macAt(slot, ofFirst);
    const mac = Array.from(this.#macs.subarray(at, at + MAC_BYTES));
    if (mac.every((byte) => byte === 0)) return null;
    return mac.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  }

  #addressBytes(slot: number): number {
    return this.#bytes[slot * KEY_BYTES + SIZE_AT]!;
  }
}

/** Whether the sender's address and port come before the receiver's, byte by byte. */
function comesFirst(packet: Packet): boolean {
  const { bytes, sourceAt, destinationAt } = packet;
  for (let i = 0; i < packet.addressBytes; i += 2) {
    const difference = u16(bytes, sourceAt + i) - u16(bytes, destinationAt + i);
    if (difference !== 0) return difference < 0;
  }
  return packet.sourcePort <= packet.destinationPort;
}

function addressAt(slot: number, ofFirst: boolean): number {
  return slot * KEY_BYTES + (ofFirst ? 0 : ADDRESS_BYTES_MAX);
}

function macAt(slot: number, ofFirst: boolean): number {
  return (2 * slot + (ofFirst ? 0 : 1)) * MAC_BYTES;
}
