// Network prefixes, and the table that finds the longest one an address lies in.

import { parseIpv6 } from "../../schema/endpoint.ts";

/** A prefix: the numbers of its first and last address, IPv6 by its leading 53 bits. */
export interface Network {
  readonly family: 4 | 6;
  readonly first: number;
  readonly last: number;
  /** 1 to 32, or 1 to 64 for IPv6: the rest of an address names the host, not the network. */
  readonly prefixBits: number;
}

const IPV4_BITS = 32;
const IPV6_BITS_MAX = 64;
/** What of an IPv6 address fits a number: more than what an operator announces (/48). */
const IPV6_BITS_COMPARED = 53;

/** `192.0.2.0/24` or `2001:db8::/32`; host bits are cleared. Null for anything else. */
export function parseNetwork(text: string): Network | null {
  const match = /^([0-9a-fA-F:.]{2,45})\/([1-9][0-9]?)$/.exec(text);
  if (match === null) return null;
  const address = match[1]!;
  const prefixBits = Number(match[2]);
  const family = address.includes(":") ? 6 : 4;
  const number = addressNumber(address);
  if (number === -1 || prefixBits > (family === 4 ? IPV4_BITS : IPV6_BITS_MAX)) return null;
  const hostBits = Math.max(0, (family === 4 ? IPV4_BITS : IPV6_BITS_COMPARED) - prefixBits);
  const size = 2 ** hostBits;
  const first = Math.floor(number / size) * size;
  return { family, first, last: first + size - 1, prefixBits };
}

/** The address as a number that compares as addresses of its family do, or -1. */
export function addressNumber(text: string): number {
  if (!text.includes(":")) return ipv4Number(text);
  const bytes = parseIpv6(text);
  if (bytes === null) return -1;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11);
}

/** Four decimal bytes without leading zeros, or -1. Every flow asks: nothing is allocated. */
function ipv4Number(text: string): number {
  let number = 0;
  let byte = -1;
  let dots = 0;
  for (let at = 0; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit === -2 && byte !== -1) {
      number = number * 256 + byte;
      byte = -1;
      dots += 1;
    } else if (digit >= 0 && digit <= 9 && byte !== 0) {
      byte = byte === -1 ? digit : byte * 10 + digit;
      if (byte > 255) return -1;
    } else return -1;
  }
  return dots === 3 && byte !== -1 ? number * 256 + byte : -1;
}

/** A network and what it stands for. */
export interface NetworkClaim {
  readonly network: Network;
  readonly value: number;
}

/** Longest prefix match over a few hundred networks: two binary searches, whatever they hold. */
export class NetworkTable {
  readonly #families: Readonly<Record<4 | 6, Runs>>;

  /** @param claims of equal networks, the last counts */
  constructor(claims: readonly NetworkClaim[]) {
    const runsOf = (family: 4 | 6) =>
      new Runs(claims.filter(({ network }) => network.family === family));
    this.#families = { 4: runsOf(4), 6: runsOf(6) };
  }

  /** The value of the longest network that holds `address`, or -1. */
  get(address: string): number {
    const number = addressNumber(address);
    return number === -1 ? -1 : this.#families[address.includes(":") ? 6 : 4].get(number);
  }
}

/** Addresses of one family, cut where what holds them changes. */
class Runs {
  /** The first address of each run, ascending. */
  readonly #starts: Float64Array;
  readonly #values: Int32Array;

  constructor(claims: readonly NetworkClaim[]) {
    const cuts = claims.flatMap(({ network }) => [network.first, network.last + 1]);
    this.#starts = Float64Array.from([...new Set([0, ...cuts])]).sort();
    this.#values = Int32Array.from(this.#starts, (start) => longest(claims, start));
  }

  get(number: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#starts[middle]! <= number) low = middle;
      else high = middle - 1;
    }
    return this.#values[low]!;
  }
}

function longest(claims: readonly NetworkClaim[], number: number): number {
  let best: NetworkClaim | null = null;
  for (const claim of claims) {
    const { first, last, prefixBits } = claim.network;
    const isHolder = number >= first && number <= last;
    if (isHolder && prefixBits >= (best?.network.prefixBits ?? 0)) best = claim;
  }
  return best?.value ?? -1;
}
