// Finds the IP packet in a captured frame, for the link types that routers and captures have.
// Source: the list of LINKTYPE_ values of tcpdump.org.

import { u16, u16le } from "./bytes.ts";
import type { Packet } from "./packet.ts";

const LINK_TYPE = {
  null: 0,
  ethernet: 1,
  ppp: 9,
  rawBsd: 12,
  rawOpenBsd: 14,
  pppSerial: 50,
  pppEther: 51,
  raw: 101,
  ciscoHdlc: 104,
  loop: 108,
  linuxSll: 113,
  ipv4: 228,
  ipv6: 229,
  nflog: 239,
  linuxSll2: 276,
} as const;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** Below it, the field is a length (IEEE 802.3). */
const ETHERTYPE_MIN = 0x0600;

const TAGS_MAX = 4;
const MPLS_LABELS_MAX = 8;
const NFLOG_ATTRIBUTES_MAX = 32;
const NFLOG_HARDWARE_ADDRESS = 8;
const NFLOG_PAYLOAD = 9;

/**
 * Sets `networkAt`, `networkEnd` and `sourceMacAt` of `packet`, whose `bytes` are set.
 * @returns false when there is no IP packet in the frame
 */
export function readLink(packet: Packet, linkType: number, start: number, end: number): boolean {
  packet.sourceMacAt = -1;
  packet.networkEnd = end;
  switch (linkType) {
    case LINK_TYPE.ethernet:
      return readEthernet(packet, start, end);
    case LINK_TYPE.raw:
    case LINK_TYPE.rawBsd:
    case LINK_TYPE.rawOpenBsd:
    case LINK_TYPE.ipv4:
    case LINK_TYPE.ipv6:
      return readNetwork(packet, start, end);
    case LINK_TYPE.null:
    case LINK_TYPE.loop:
      // Four bytes of address family, whose numbers differ between systems: IP tells by itself.
      return readNetwork(packet, start + 4, end);
    case LINK_TYPE.linuxSll:
      return readCooked(packet, start, end, 16, start + 14, start + 6);
    case LINK_TYPE.linuxSll2:
      return readCooked(packet, start, end, 20, start, start + 12);
    case LINK_TYPE.nflog:
      return readNflog(packet, start, end);
    case LINK_TYPE.ppp:
    case LINK_TYPE.pppSerial:
      return readPpp(packet, start, end);
    case LINK_TYPE.pppEther:
      return readPpp(packet, start + 6, end);
    case LINK_TYPE.ciscoHdlc:
      return readCiscoHdlc(packet, start, end);
    default:
      return false;
  }
}

function readEthernet(packet: Packet, start: number, end: number): boolean {
  if (end - start < 14) return false;
  packet.sourceMacAt = start + 6;
  return readEthertype(packet, u16(packet.bytes, start + 12), start + 14, end);
}

/** Linux "cooked" frames: a head of fixed length with an EtherType and a hardware address in it. */
function readCooked(
  packet: Packet,
  start: number,
  end: number,
  headBytes: number,
  ethertypeAt: number,
  macAt: number,
): boolean {
  if (end - start < headBytes) return false;
  packet.sourceMacAt = macAt;
  return readEthertype(packet, u16(packet.bytes, ethertypeAt), start + headBytes, end);
}

/** Follows VLAN tags, PPPoE, MPLS and 802.2 SNAP to the IP header. */
function readEthertype(packet: Packet, first: number, start: number, end: number): boolean {
  const { bytes } = packet;
  let ethertype = first;
  let at = start;
  for (let tags = 0; isVlanTag(ethertype); tags += 1) {
    if (tags === TAGS_MAX || end - at < 4) return false;
    ethertype = u16(bytes, at + 2);
    at += 4;
  }
  switch (ethertype) {
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
      return readNetwork(packet, at, end);
    case 0x8864:
      return readPpp(packet, at + 6, end);
    case 0x8847:
    case 0x8848:
      return readMpls(packet, at, end);
    default:
      return ethertype < ETHERTYPE_MIN && readSnap(packet, at, end);
  }
}

function isVlanTag(ethertype: number): boolean {
  return ethertype === 0x8100 || ethertype === 0x88a8 || ethertype === 0x9100;
}

function readSnap(packet: Packet, at: number, end: number): boolean {
  const { bytes } = packet;
  if (end - at < 8 || bytes[at] !== 0xaa || bytes[at + 1] !== 0xaa) return false;
  const ethertype = u16(bytes, at + 6);
  return (
    (ethertype === ETHERTYPE_IPV4 || ethertype === ETHERTYPE_IPV6) &&
    readNetwork(packet, at + 8, end)
  );
}

function readMpls(packet: Packet, start: number, end: number): boolean {
  const { bytes } = packet;
  for (let label = 0; label < MPLS_LABELS_MAX; label += 1) {
    const at = start + 4 * label;
    if (end - at < 4) return false;
    const isBottom = (bytes[at + 2]! & 1) === 1;
    if (isBottom) return readNetwork(packet, at + 4, end);
  }
  return false;
}

/** RFC 1661, with and without RFC 1662's address and control bytes, and its short protocol form. */
function readPpp(packet: Packet, start: number, end: number): boolean {
  const { bytes } = packet;
  let at = start;
  if (end - at < 4) return false;
  // Cisco's framing is captured under the same link types; its address says so.
  if (bytes[at] === 0x0f || bytes[at] === 0x8f) return readCiscoHdlc(packet, at, end);
  if (bytes[at] === 0xff && bytes[at + 1] === 0x03) at += 2;
  const isShort = (bytes[at]! & 1) === 1;
  const protocol = isShort ? bytes[at]! : u16(bytes, at);
  const isIp = protocol === 0x21 || protocol === 0x57;
  return isIp && readNetwork(packet, at + (isShort ? 1 : 2), end);
}

/** Address, control, EtherType. */
function readCiscoHdlc(packet: Packet, start: number, end: number): boolean {
  return end - start >= 4 && readEthertype(packet, u16(packet.bytes, start + 2), start + 4, end);
}

/** Type-length-value attributes in the byte order of the machine that captured. */
function readNflog(packet: Packet, start: number, end: number): boolean {
  const { bytes } = packet;
  let at = start + 4;
  // The first attribute is short, so one byte of its length is zero: which one tells the order.
  const read = bytes[at] === 0 ? u16 : u16le;
  for (let index = 0; index < NFLOG_ATTRIBUTES_MAX && at + 4 <= end; index += 1) {
    const length = read(bytes, at);
    if (length < 4 || at + length > end) return false;
    const type = read(bytes, at + 2) & 0x7fff;
    if (type === NFLOG_HARDWARE_ADDRESS && length >= 14 && bytes[at + 5]! + bytes[at + 4]! === 6) {
      packet.sourceMacAt = at + 8;
    }
    if (type === NFLOG_PAYLOAD) return readNetwork(packet, at + 4, at + length);
    at += Math.ceil(length / 4) * 4;
  }
  return false;
}

function readNetwork(packet: Packet, at: number, end: number): boolean {
  packet.networkAt = at;
  packet.networkEnd = end;
  return at < end;
}
