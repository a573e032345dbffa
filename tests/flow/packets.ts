// Builds packets and captures by hand for the tap's tests, by other code than the one that reads them.

/** One side of a flow. */
export interface Side {
  readonly address: readonly number[];
  readonly port: number;
}

export const CLIENT: Side = { address: [192, 0, 2, 10], port: 50_000 };
export const SERVER: Side = { address: [198, 51, 100, 7], port: 443 };
export const CLIENT6: Side = {
  address: [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10],
  port: 50_000,
};
export const SERVER6: Side = {
  address: [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
  port: 443,
};

export const CLIENT_MAC = [0x02, 0, 0, 0, 0, 0x0a];
export const SERVER_MAC = [0x02, 0, 0, 0, 0, 0x07];

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

export function be16(value: number): number[] {
  return [(value >>> 8) & 0xff, value & 0xff];
}
export function be24(value: number): number[] {
  return [(value >>> 16) & 0xff, ...be16(value & 0xffff)];
}
export function be32(value: number): number[] {
  return [...be16(value >>> 16), ...be16(value & 0xffff)];
}
export function le16(value: number): number[] {
  return be16(value).reverse();
}
export function le32(value: number): number[] {
  return be32(value).reverse();
}
export function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
export function bytesOf(...parts: (readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part)));
}

/** Without a checksum: the tap does not check what the kernel already has. */
export function ipv4(
  protocol: number,
  from: readonly number[],
  to: readonly number[],
  cargo: readonly number[],
  { options = [], fragment = 0 }: { options?: readonly number[]; fragment?: number } = {},
): number[] {
  const headBytes = 20 + options.length;
  return [
    0x40 | (headBytes / 4),
    0,
    ...be16(headBytes + cargo.length),
    ...be16(1),
    ...be16(fragment),
    64,
    protocol,
    ...be16(0),
    ...from,
    ...to,
    ...options,
    ...cargo,
  ];
}

export function ipv6(
  nextHeader: number,
  from: readonly number[],
  to: readonly number[],
  cargo: readonly number[],
): number[] {
  return [0x60, 0, 0, 0, ...be16(cargo.length), nextHeader, 64, ...from, ...to, ...cargo];
}

export function udpHead(from: Side, to: Side, payload: readonly number[]): number[] {
  return [...be16(from.port), ...be16(to.port), ...be16(8 + payload.length), 0, 0, ...payload];
}

export function tcpHead(
  from: Side,
  to: Side,
  sequence: number,
  flags: number,
  payload: readonly number[],
): number[] {
  const head = [...be16(from.port), ...be16(to.port), ...be32(sequence >>> 0), ...be32(0)];
  return [...head, 0x50, flags, ...be16(65_535), ...be16(0), ...be16(0), ...payload];
}

/** An IP packet of either family. */
export function ip(protocol: number, from: Side, to: Side, cargo: readonly number[]): number[] {
  const isV4 = from.address.length === 4;
  return (isV4 ? ipv4 : ipv6)(protocol, from.address, to.address, cargo);
}
export function udp(from: Side, to: Side, payload: readonly number[]): number[] {
  return ip(17, from, to, udpHead(from, to, payload));
}
export function tcp(
  from: Side,
  to: Side,
  sequence: number,
  flags: number,
  payload: readonly number[] = [],
): number[] {
  return ip(6, from, to, tcpHead(from, to, sequence, flags, payload));
}

export function ethertypeOf(packet: readonly number[]): number {
  return packet[0]! >>> 4 === 4 ? 0x0800 : 0x86dd;
}
export function ethernet(packet: readonly number[], from = CLIENT_MAC, to = SERVER_MAC): number[] {
  return [...to, ...from, ...be16(ethertypeOf(packet)), ...packet];
}

/** One frame of a capture. */
export interface Captured {
  readonly atMs: number;
  readonly frame: readonly number[];
}

/** pcap, little-endian, microseconds. */
export function pcap(frames: readonly Captured[], linkType = 1): Uint8Array {
  const head = [...le32(0xa1b2c3d4), ...le16(2), ...le16(4), ...le32(0), ...le32(0)];
  const records = frames.map(({ atMs, frame }) => {
    const seconds = Math.floor(atMs / 1e3);
    const micros = Math.round((atMs - seconds * 1e3) * 1e3);
    const lengths = [...le32(frame.length), ...le32(frame.length)];
    return [...le32(seconds), ...le32(micros), ...lengths, ...frame];
  });
  return bytesOf(head, le32(262_144), le32(linkType), ...records);
}

/** Packets a millisecond apart, as Ethernet frames whose hardware addresses follow the sender. */
export function captureOf(packets: readonly (readonly number[])[]): Uint8Array {
  return pcap(packets.map((packet, index) => ({ atMs: 1e12 + index, frame: ethernet(packet) })));
}
