// Frames of every link type and packets of both families lead to the same addresses, ports and payload.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readIp } from "../../src/flow/tap/ip.ts";
import { readLink } from "../../src/flow/tap/link.ts";
import { Packet } from "../../src/flow/tap/packet.ts";
import { readTransport } from "../../src/flow/tap/transport.ts";
import {
  ACK,
  be16,
  be32,
  bytesOf,
  CLIENT,
  CLIENT_MAC,
  CLIENT6,
  ethernet,
  ethertypeOf,
  ip,
  ipv4,
  ipv6,
  le16,
  SERVER,
  SERVER_MAC,
  SERVER6,
  tcp,
  tcpHead,
  udp,
  udpHead,
} from "./packets.ts";

function read(frame: readonly number[] | Uint8Array, linkType = 1) {
  const packet = new Packet();
  // Bytes around the frame, so that a reader which leaves it is caught by the figures.
  packet.bytes = bytesOf([0xee, 0xee, 0xee], frame, [0xee, 0xee, 0xee]);
  const isRead =
    readLink(packet, linkType, 3, 3 + frame.length) &&
    readIp(packet) &&
    (packet.isLaterFragment || readTransport(packet));
  return isRead ? packet : null;
}

function summary(packet: Packet | null) {
  if (packet === null) return null;
  const { bytes, sourceAt, destinationAt, addressBytes, protocol } = packet;
  return {
    protocol,
    source: Array.from(bytes.subarray(sourceAt, sourceAt + addressBytes)),
    destination: Array.from(bytes.subarray(destinationAt, destinationAt + addressBytes)),
    ports: [packet.sourcePort, packet.destinationPort],
    payload: Array.from(bytes.subarray(packet.payloadAt, packet.payloadEnd)),
    payloadWireBytes: packet.payloadWireBytes,
    wireBytes: packet.wireBytes,
  };
}

const payload = [1, 2, 3, 4, 5];
const packets = {
  v4: udp(CLIENT, SERVER, payload),
  v6: udp(CLIENT6, SERVER6, payload),
};
const expected = {
  v4: {
    ...{ protocol: 17, source: CLIENT.address, destination: SERVER.address },
    ...{ ports: [50_000, 443], payload, payloadWireBytes: 5, wireBytes: 33 },
  },
  v6: {
    ...{ protocol: 17, source: CLIENT6.address, destination: SERVER6.address },
    ...{ ports: [50_000, 443], payload, payloadWireBytes: 5, wireBytes: 53 },
  },
};

type Wrap = (packet: readonly number[]) => number[];
const macs = [...SERVER_MAC, ...CLIENT_MAC];
const tagged = (...tags: number[]) => tags.flatMap((tag, i) => [...be16(tag), ...be16(100 + i)]);
const pppOf = (packet: readonly number[]) => (ethertypeOf(packet) === 0x0800 ? 0x21 : 0x57);
/** netfilter attributes in the byte order of `u16`. */
function nflog(u16: (value: number) => number[]): Wrap {
  return (packet) => [
    ...[2, 0, 0, 5],
    ...[...u16(8), ...u16(1), 0x08, 0, 1, 0],
    ...[...u16(9), ...u16(10), 0x74, 0x61, 0x70, 0x31, 0, 0, 0, 0],
    ...[...u16(16), ...u16(8), 0, 6, 0, 0, ...CLIENT_MAC, 0, 0],
    ...[...u16(4 + packet.length), ...u16(9), ...packet],
  ];
}

const links: readonly (readonly [string, number, Wrap])[] = [
  ["Ethernet", 1, (p) => ethernet(p)],
  ["Ethernet with padding", 1, (p) => [...ethernet(p), ...new Array(30).fill(0x99)]],
  ["802.1Q", 1, (p) => [...macs, ...tagged(0x8100), ...be16(ethertypeOf(p)), ...p]],
  ["QinQ", 1, (p) => [...macs, ...tagged(0x88a8, 0x8100), ...be16(ethertypeOf(p)), ...p]],
  [
    "PPPoE",
    1,
    (p) => [
      ...macs,
      ...be16(0x8864),
      0x11,
      0,
      0,
      1,
      ...be16(p.length + 2),
      ...be16(pppOf(p)),
      ...p,
    ],
  ],
  ["MPLS", 1, (p) => [...macs, ...be16(0x8847), 0, 1, 0, 64, 0, 2, 1, 64, ...p]],
  [
    "SNAP",
    1,
    (p) => [...macs, ...be16(p.length + 8), 0xaa, 0xaa, 3, 0, 0, 0, ...be16(ethertypeOf(p)), ...p],
  ],
  ["BSD loopback", 0, (p) => [2, 0, 0, 0, ...p]],
  ["OpenBSD loopback", 108, (p) => [0, 0, 0, 2, ...p]],
  ["raw IP", 101, (p) => [...p]],
  ["raw IP, BSD's number", 12, (p) => [...p]],
  ["raw IP, OpenBSD's number", 14, (p) => [...p]],
  [
    "Linux cooked",
    113,
    (p) => [...be16(0), ...be16(1), ...be16(6), ...CLIENT_MAC, 0, 0, ...be16(ethertypeOf(p)), ...p],
  ],
  [
    "Linux cooked, version 2",
    276,
    (p) => [...be16(ethertypeOf(p)), 0, 0, ...be32(3), ...be16(1), 0, 6, ...CLIENT_MAC, 0, 0, ...p],
  ],
  ["NFLOG, little-endian", 239, nflog(le16)],
  ["NFLOG, big-endian", 239, nflog(be16)],
  ["PPP", 9, (p) => [0xff, 3, ...be16(pppOf(p)), ...p]],
  ["PPP, short protocol", 50, (p) => [pppOf(p), ...p]],
  [
    "PPP over Ethernet's own link type",
    51,
    (p) => [0x11, 0, 0, 1, ...be16(p.length + 2), ...be16(pppOf(p)), ...p],
  ],
  ["Cisco HDLC under PPP's link type", 50, (p) => [0x0f, 0, ...be16(ethertypeOf(p)), ...p]],
  ["Cisco HDLC", 104, (p) => [0x0f, 0, ...be16(ethertypeOf(p)), ...p]],
];

describe("a packet is found", () => {
  test.each(links)("in %s", (_, linkType, wrap) => {
    for (const family of ["v4", "v6"] as const) {
      expect(summary(read(wrap(packets[family]), linkType))).toEqual(expected[family]);
    }
  });

  test("with the sender's hardware address where the link has one", () => {
    const withMac = links.filter(([, linkType]) => [1, 113, 239, 276].includes(linkType));
    expect(withMac.length).toBeGreaterThan(5);
    for (const [, linkType, wrap] of withMac) {
      const packet = read(wrap(packets.v4), linkType)!;
      const at = packet.sourceMacAt;
      expect(Array.from(packet.bytes.subarray(at, at + 6))).toEqual(CLIENT_MAC);
    }
    expect(read(packets.v4, 101)?.sourceMacAt).toBe(-1);
  });

  test("behind IPv4 options and IPv6 extension headers", () => {
    const head = udpHead(CLIENT, SERVER, payload);
    const withOptions = ipv4(17, CLIENT.address, SERVER.address, head, { options: [1, 1, 1, 0] });
    expect(summary(read(withOptions, 101))).toEqual({ ...expected.v4, wireBytes: 37 });
    const extensions = [60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9];
    const cargo = [...extensions, ...udpHead(CLIENT6, SERVER6, payload)];
    const extended = ipv6(0, CLIENT6.address, SERVER6.address, cargo);
    expect(summary(read(extended, 101))).toEqual({ ...expected.v6, wireBytes: 77 });
  });

  test("inside 6in4, IP in IP and GRE with a key", () => {
    const outer = [203, 0, 113, 1];
    const far = [203, 0, 113, 2];
    const gre = [0x20, 0, ...be16(0x0800), 0, 0, 0, 7];
    expect(summary(read(ipv4(41, outer, far, packets.v6), 101))).toEqual(expected.v6);
    expect(summary(read(ipv4(4, outer, far, packets.v4), 101))).toEqual(expected.v4);
    expect(summary(read(ipv4(47, outer, far, [...gre, ...packets.v4]), 101))).toEqual(expected.v4);
  });

  test("as a flow of its own where a tunnel carries something else", () => {
    const pptp = [0x30, 0x01, ...be16(0x880b), ...be16(4), ...be16(1), 0, 0, 0, 1, 9, 9, 9, 9];
    const packet = read(ipv4(47, CLIENT.address, SERVER.address, pptp), 101);
    expect(summary(packet)).toMatchObject({ protocol: 47, ports: [0, 0], payload: pptp });
  });
});

describe("a payload", () => {
  test("of TCP begins after its options, with sequence and flags", () => {
    const head = tcpHead(CLIENT, SERVER, 0xfffffff0, ACK, []);
    head[12] = 0x70;
    const packet = read(ip(6, CLIENT, SERVER, [...head, 1, 1, 1, 1, 1, 1, 1, 1, ...payload]), 101)!;
    expect(summary(packet)).toMatchObject({ payload, payloadWireBytes: 5 });
    expect(packet.tcpSequence).toBe(0xfffffff0);
    expect(packet.tcpFlags).toBe(ACK);
  });

  test("of an ICMP packet is all that follows the IP header, without ports", () => {
    const echo = [8, 0, 0, 0, 0, 1, 0, 2];
    expect(summary(read(ip(1, CLIENT, SERVER, echo), 101))).toMatchObject({
      ...{ protocol: 1, ports: [0, 0], payload: echo },
    });
  });

  test("that the capture cut keeps its length on the wire", () => {
    const whole = tcp(CLIENT, SERVER, 1, ACK, new Array(1_000).fill(7));
    const packet = summary(read(whole.slice(0, 100), 101))!;
    expect(packet.payload).toHaveLength(60);
    expect(packet.payloadWireBytes).toBe(1_000);
    expect(packet.wireBytes).toBe(1_040);
  });

  test("of a first fragment is read; a later one is known for what it is", () => {
    const head = udpHead(CLIENT, SERVER, payload);
    const first = ipv4(17, CLIENT.address, SERVER.address, head, { fragment: 0x2000 });
    const later = ipv4(17, CLIENT.address, SERVER.address, payload, { fragment: 0x2001 });
    expect(summary(read(first, 101))).toEqual(expected.v4);
    expect(read(later, 101)?.isLaterFragment).toBe(true);
    const later6 = ipv6(44, CLIENT6.address, SERVER6.address, [
      17,
      0,
      0,
      9,
      0,
      0,
      0,
      1,
      ...payload,
    ]);
    expect(read(later6, 101)?.isLaterFragment).toBe(true);
  });
});

describe("hostile frames", () => {
  test("of any bytes under any link type are read within their bounds or refused", () => {
    const start = fc.constantFrom<number[]>([], ...links.map(([, , wrap]) => wrap(packets.v4)));
    fc.assert(
      fc.property(
        fc.constantFrom(...new Set(links.map(([, linkType]) => linkType))),
        start,
        fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 6 }),
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(120),
        (linkType, head, changes, rest, length) => {
          const bytes = bytesOf(head, rest).slice(0, length);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          const packet = read(bytes, linkType);
          if (packet === null || packet.isLaterFragment) return;
          expect(packet.payloadAt).toBeGreaterThanOrEqual(3);
          expect(packet.payloadEnd).toBeGreaterThanOrEqual(packet.payloadAt);
          expect(packet.payloadEnd).toBeLessThanOrEqual(3 + bytes.length);
          expect(packet.payloadWireBytes).toBeGreaterThanOrEqual(0);
          expect(packet.payloadWireBytes).toBeLessThan(packet.wireBytes + 1);
          expect(packet.destinationAt + packet.addressBytes).toBeLessThanOrEqual(3 + bytes.length);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("cut anywhere are read within their bounds or refused", () => {
    for (const [, linkType, wrap] of links) {
      const frame = wrap(packets.v6);
      for (let length = 0; length <= frame.length; length += 1) {
        const packet = read(frame.slice(0, length), linkType);
        if (packet !== null) expect(packet.payloadEnd).toBeLessThanOrEqual(3 + length);
      }
    }
  });
});
