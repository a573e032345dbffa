// Where a node is reached, as text and as bytes: `192.0.2.1:7946` and `[2001:db8::1]:7946`.
// IPv6 is written in its canonical form (RFC 5952), so that equal endpoints are equal strings.

import { assert } from "../kernel/assert.ts";
import type { Endpoint } from "../kernel/ports.ts";

/** An address of 4 or 16 bytes in network order, and a port from 0 to 65535. */
export interface EndpointAddress {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly port: number;
}

const ENDPOINT_LENGTH_MAX = 53;
const IPV6_GROUPS = 8;

/**
 * Reads an endpoint: a dotted quad, or any form of RFC 4291 in brackets, then a decimal port
 * without leading zeros. No host names, no scopes. Null for anything else.
 */
export function parseEndpoint(text: string): EndpointAddress | null {
  if (text.length > ENDPOINT_LENGTH_MAX) return null;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(0|[1-9][0-9]{0,4})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65_535) return null;
  const family = match[1] === undefined ? 4 : 6;
  const address = family === 4 ? parseIpv4(match[2]!) : parseIpv6(match[1]!);
  return address === null ? null : { family, address, port };
}

/** The canonical text of an endpoint. */
export function formatEndpoint({ family, address, port }: EndpointAddress): Endpoint {
  assert(address.length === (family === 4 ? 4 : 16), "an address has its family's length");
  return family === 4 ? `${address.join(".")}:${port}` : `[${formatIpv6(address)}]:${port}`;
}

/** The canonical text of what `text` says, or null when it is no endpoint. */
export function canonicalEndpoint(text: string): Endpoint | null {
  const endpoint = parseEndpoint(text);
  return endpoint === null ? null : formatEndpoint(endpoint);
}

/** Whether a packet can be sent there: a port that is not 0, no wildcard, multicast or broadcast. */
export function isDialable({ family, address, port }: EndpointAddress): boolean {
  if (port === 0 || address.every((byte) => byte === 0)) return false;
  const first = address[0]!;
  return family === 4 ? first < 224 : first !== 0xff;
}

/** Four decimal bytes without leading zeros, or null. */
export function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const address = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    address[index] = Number(part);
  }
  return address;
}

/** The 16 bytes of RFC 4291's text forms, or null. */
export function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const isCompressed = halves.length === 2;
  const head = parseGroups(halves[0]!, !isCompressed);
  const tail = isCompressed ? parseGroups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = IPV6_GROUPS - head.length - tail.length;
  if (isCompressed ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff]));
}

/** 16-bit groups; the last two may stand as a dotted quad where the address ends. */
function parseGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = mayEndInIpv4 && index === parts.length - 1 ? parseIpv4(part) : null;
    if (quad === null) return null;
    groups.push((quad[0]! << 8) | quad[1]!, (quad[2]! << 8) | quad[3]!);
  }
  return groups;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as `::`. */
export function formatIpv6(address: Uint8Array): string {
  if (isIpv4Mapped(address)) return `::ffff:${address.subarray(12).join(".")}`;
  const groups: string[] = [];
  for (let i = 0; i < address.length; i += 2) {
    groups.push(((address[i]! << 8) | address[i + 1]!).toString(16));
  }
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

/** `::ffff:0:0/96`, which RFC 5952 section 5 writes with a dotted quad. */
function isIpv4Mapped(address: Uint8Array): boolean {
  const prefix = address.subarray(0, 10);
  return prefix.every((byte) => byte === 0) && address[10] === 0xff && address[11] === 0xff;
}

function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index += 1) {
    if (index < groups.length && groups[index] === "0") continue;
    if (index - start > best.length) best = { start, length: index - start };
    start = index + 1;
  }
  return best;
}
