// Network prefixes, and the table that finds the longest one an address lies in.

import { parseIpv4, parseIpv6 } from "../../schema/endpoint.ts";

/** A prefix: the network's leading 64 bits (IPv4: its 32), the rest zero, and their length. */
export interface Network {
  readonly family: 4 | 6;
  readonly high: number;
  /** IPv6 only: the second 32 bits; 0 for IPv4. */
  readonly low: number;
  /** 1 to 32, or 1 to 64 for IPv6: the rest of an address names the host, not the network. */
  readonly prefixBits: number;
}

const IPV4_BITS = 32;
/** What of an IPv6 address is compared. */
const IPV6_BITS = 64;

/** `192.0.2.0/24` or `2001:db8::/32`; host bits are cleared. Null for anything else. */
export function parseNetwork(text: string): Network | null {
  const match = /^([0-9a-fA-F:.]{2,45})\/([1-9][0-9]?)$/.exec(text);
  if (match === null) return null;
  const address = parseAddress(match[1]!);
  const prefixBits = Number(match[2]);
  if (address === null || prefixBits > (address.family === 4 ? IPV4_BITS : IPV6_BITS)) return null;
  return maskTo(address, prefixBits);
}

/** An address as the network of its own that holds it; null when it is none. */
export function parseAddress(text: string): Network | null {
  const isIpv6 = text.includes(":");
  const bytes = isIpv6 ? parseIpv6(text) : parseIpv4(text);
  if (bytes === null) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return isIpv6
    ? { family: 6, high: view.getUint32(0), low: view.getUint32(4), prefixBits: IPV6_BITS }
    : { family: 4, high: view.getUint32(0), low: 0, prefixBits: IPV4_BITS };
}

function maskTo({ family, high, low }: Network, prefixBits: number): Network {
  return {
    family,
    high: maskWord(high, prefixBits),
    low: maskWord(low, prefixBits - 32),
    prefixBits,
  };
}

/** Keeps the `bits` leading bits of a 32-bit word; none when `bits` is below 1. */
function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word : (word & (-1 << (32 - bits))) >>> 0;
}

/** Longest prefix match over a few hundred networks: one map for each length in use. */
export class NetworkTable {
  /** By family and length, the longest first. */
  readonly #tables: { family: 4 | 6; bits: number; values: Map<number, number> }[] = [];

  /** A network given before gives way. */
  set(network: Network, value: number): void {
    this.#tableOf(network).set(keyOf(network), value);
  }

  /** The value of the longest network that holds `address`, or -1. */
  get(address: string): number {
    const host = parseAddress(address);
    if (host === null) return -1;
    for (const { family, bits, values } of this.#tables) {
      const value = family === host.family ? values.get(keyOf(maskTo(host, bits))) : undefined;
      if (value !== undefined) return value;
    }
    return -1;
  }

  #tableOf({ family, prefixBits }: Network): Map<number, number> {
    const found = this.#tables.find(
      (table) => table.family === family && table.bits === prefixBits,
    );
    if (found !== undefined) return found.values;
    const values = new Map<number, number>();
    this.#tables.push({ family, bits: prefixBits, values });
    this.#tables.sort((a, b) => b.bits - a.bits);
    return values;
  }
}

/** Exact for IPv4 and for IPv6 down to /53, which is longer than what an operator announces (/48). */
function keyOf({ high, low }: Network): number {
  return high * 2 ** 21 + (low >>> 11);
}
