// Files on their way, and what peers exchange. Sources: RFC 959 (FTP), RFC 1350 (TFTP), [MS-SMB],
// RFC 5531 (ONC RPC), Git's pack protocol, BEP 3, 5, 14, 15 and 29 (BitTorrent), the eMule and
// Gnutella protocol descriptions, Syncthing's BEP and local discovery.

import { u16, u32, u32le } from "../../tap/bytes.ts";
import type { PayloadContext } from "../../tap/features.ts";
import {
  begins,
  beginsWithAny,
  holds,
  isText,
  onPort,
  onPorts,
  type Signature,
  signature,
  textAt,
} from "./signature.ts";

const BITTORRENT_HELLO = "\x13BitTorrent protocol";
const HEX_DIGITS = Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const GIT_SERVICES = ["upload-pack ", "receive-pack ", "upload-archive "];
const UDP_TRACKER_MAGIC_HIGH = 0x0417;
const UDP_TRACKER_MAGIC_LOW = 0x27101980;

/** Bencoded queries, answers and errors of the DHT, with their usual first keys. */
function isDht(payload: Uint8Array): boolean {
  if (
    !beginsWithAny(payload, ["d1:ad2:id20:", "d1:rd2:id20:", "d2:ip", "d1:eli2", "d1:ad", "d1:rd"])
  ) {
    return false;
  }
  return payload.length < 20 || holds(payload, "1:y1:", 1400) || holds(payload, "2:id20:", 64);
}

function isUdpTracker(payload: Uint8Array): boolean {
  if (payload.length < 16) return false;
  return u32(payload, 0) === UDP_TRACKER_MAGIC_HIGH && u32(payload, 4) === UDP_TRACKER_MAGIC_LOW;
}

/**
 * uTP opening a connection (BEP 29): SYN is type 4 version 1 with no timestamp difference, sequence
 * 1 and nothing acknowledged; its extensions are bits (2) and selective acks (1).
 */
function isUtpSyn(payload: Uint8Array): boolean {
  if (payload.length < 20 || payload.length > 64 || payload[0] !== 0x41) return false;
  return (
    payload[1]! <= 2 && u32(payload, 8) === 0 && u16(payload, 16) === 1 && u16(payload, 18) === 0
  );
}

/** An answer or data of uTP: only believed where BitTorrent is at home. */
function isUtp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 20 || !onPorts(context, 6881, 6999)) return false;
  const type = payload[0]!;
  return (type & 0x0f) === 1 && type >>> 4 <= 4 && payload[1]! <= 2;
}

function isLocalPeerDiscovery(payload: Uint8Array): boolean {
  return begins(payload, "BT-SEARCH * HTTP/1.1");
}

/** A tracker's or web seed's request. */
function isTrackerRequest(payload: Uint8Array): boolean {
  if (!begins(payload, "GET /")) return false;
  return holds(payload, "info_hash=", 600) || begins(payload, "GET /webseed?info_hash");
}

function isBitTorrentHello(payload: Uint8Array): boolean {
  return begins(payload, BITTORRENT_HELLO);
}

/** A peer message of a connection whose beginning was missed: length, then a known id. */
function isBitTorrentPeer(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPorts(context, 6881, 6999) && !onPort(context, 51413)) return false;
  if (payload.length < 5) return false;
  const lengthBytes = u32(payload, 0);
  const id = payload[4]!;
  if (id === 4) return lengthBytes === 5;
  if (id === 6 || id === 8) return lengthBytes === 13;
  if (id === 7) return lengthBytes === 16_393;
  return id === 20 && lengthBytes < 65_536;
}

/** eDonkey and eMule over TCP: protocol byte, little-endian length that fits, an operation. */
function isEdonkeyTcp(payload: Uint8Array, context: PayloadContext): boolean {
  const mark = payload[0];
  if (mark !== 0xe3 && mark !== 0xc5 && mark !== 0xd4) return false;
  return payload.length >= 6 && u32le(payload, 1) + 5 === context.payloadBytes;
}

/** Over UDP: eDonkey servers and peers, and Kademlia plain or packed, by their operations. */
function isEdonkeyUdp(payload: Uint8Array, context: PayloadContext): boolean {
  const mark = payload[0] ?? 0;
  const operation = payload[1] ?? 0;
  if (payload.length < 2) return false;
  if (mark === 0xe3) return operation >= 0x90 && operation <= 0xa5 && payload.length < 512;
  if (mark === 0xe4 || mark === 0xe5) return operation <= 0x70 && onPorts(context, 4000, 65_535);
  return mark === 0xc5 && operation >= 0x90 && operation <= 0x95;
}

function isGnutella(payload: Uint8Array): boolean {
  return beginsWithAny(payload, [
    "GNUTELLA CONNECT/",
    "GNUTELLA/0.",
    "GNUTELLA PUSH",
    "GIV 0:",
    "GND\x02",
    "GND\x01",
  ]);
}

/** Gnutella over UDP: a 16-byte id, a kind, small TTL and hops, a little-endian length that fits. */
function isGnutellaUdp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 23 || payload[17]! > 10 || payload[18]! > 10) return false;
  const isKind = [0x00, 0x01, 0x02, 0x30, 0x31, 0x32, 0x40, 0x80, 0x81].includes(payload[16]!);
  return isKind && u32le(payload, 19) + 23 === context.payloadBytes;
}

function isDirectConnect(payload: Uint8Array): boolean {
  return beginsWithAny(payload, [
    "$Lock ",
    "$MyNick ",
    "$SR ",
    "$Search ",
    "$Ping ",
    "HSUP AD",
    "CSUP AD",
    "BINF ",
  ]);
}

function isSoulseek(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPorts(context, 2234, 2242) && !onPort(context, 2271, 2416)) return false;
  return payload.length >= 8 && u32le(payload, 0) + 4 === context.payloadBytes;
}

const TORRENTS: readonly Signature[] = [
  signature("bittorrent", "torrent", 0.97, isBitTorrentHello),
  signature("bittorrent-tracker", "torrent", 0.95, isTrackerRequest),
  signature("bittorrent-peer", "torrent", 0.8, isBitTorrentPeer),
  signature("gnutella", "torrent", 0.9, isGnutella),
  signature("direct-connect", "torrent", 0.85, isDirectConnect),
];

export const TRANSFERS_UDP: readonly Signature[] = [
  ...TORRENTS,
  signature("bittorrent-dht", "torrent", 0.97, isDht),
  signature("bittorrent-udp-tracker", "torrent", 0.95, isUdpTracker),
  signature("bittorrent-local", "torrent", 0.97, isLocalPeerDiscovery),
  signature("utp-syn", "torrent", 0.9, isUtpSyn),
  signature("utp", "torrent", 0.75, isUtp),
  signature("gnutella-udp", "torrent", 0.8, isGnutellaUdp),
  signature("edonkey", "torrent", 0.7, isEdonkeyUdp),
  signature("dropbox-lan", "file_sync", 0.97, (payload, context) => {
    return onPort(context, 17500) && begins(payload, "{") && holds(payload, '"host_int"');
  }),
  signature("syncthing-local", "file_sync", 0.97, isSyncthingDiscovery),
  signature("resilio", "file_sync", 0.9, (payload) => begins(payload, "BSYNC\0")),
  signature("tftp", "bulk_dl", 0.92, isTftpRequest),
  signature("tftp-data", "bulk_dl", 0.7, isTftpTransfer),
  signature("nfs", "bulk_dl", 0.85, (payload) => NFS_PROGRAMS.includes(rpcProgram(payload, 0))),
  signature("rpc", "system", 0.7, (payload) => rpcProgram(payload, 0) !== -1),
];

/** The local announcement's magic number, of both versions. */
function isSyncthingDiscovery(payload: Uint8Array): boolean {
  if (payload.length < 8) return false;
  const magic = u32(payload, 0);
  return magic === 0x2ea7d90b || magic === 0x9d79bc39 || magic === 0x9d79bc40;
}

/** A read or write request: operation, file name, and one of three modes. */
function isTftpRequest(payload: Uint8Array): boolean {
  if (payload.length < 9 || payload[0] !== 0 || (payload[1] !== 1 && payload[1] !== 2))
    return false;
  const nameEnd = payload.indexOf(0, 2);
  if (nameEnd <= 2 || !isText(payload, 2, nameEnd)) return false;
  const mode = String.fromCharCode(...payload.subarray(nameEnd + 1, nameEnd + 9)).toLowerCase();
  return mode.startsWith("octet") || mode.startsWith("netascii") || mode.startsWith("mail");
}

/** Data, its acknowledgement, options or an error, between two ports of their own. */
function isTftpTransfer(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 4 || payload[0] !== 0) return false;
  const block = u16(payload, 2);
  switch (payload[1]) {
    case 3:
      return block === 1
        ? context.payloadBytes <= 516
        : context.payloadBytes === 516 && block <= 32;
    case 4:
      return context.payloadBytes === 4 && block <= 32;
    case 5:
      return (
        block <= 8 &&
        payload[context.payloadBytes - 1] === 0 &&
        isText(payload, 4, payload.length - 1)
      );
    case 6:
      return beginsWithAny(payload.subarray(2), [
        "blksize\0",
        "tsize\0",
        "timeout\0",
        "windowsize\0",
      ]);
    default:
      return false;
  }
}

/** NFS and what mounts and locks for it: mountd, the lock manager, access lists. */
const NFS_PROGRAMS = [100_003, 100_005, 100_021, 100_227];

/** The program a call of ONC RPC names (RFC 5531), or -1: message type 0, version 2. `at` skips a record mark. */
function rpcProgram(payload: Uint8Array, at: number): number {
  if (payload.length < at + 24 || u32(payload, at + 4) !== 0 || u32(payload, at + 8) !== 2)
    return -1;
  const program = u32(payload, at + 12);
  return program >= 100_000 && program < 400_000 && u32(payload, at + 16) <= 10 ? program : -1;
}

/** A server's greeting that says so, or a command only FTP has. */
function isFtp(payload: Uint8Array, context: PayloadContext): boolean {
  if (beginsWithAny(payload, ["220 ", "220-"])) {
    return (
      onPort(context, 21, 2121) || holds(payload, "FTP", 200) || holds(payload, "FileZilla", 200)
    );
  }
  if (!onPort(context, 21, 2121, 990))
    return begins(payload, "EPSV\r\n") || begins(payload, "PASV\r\n");
  return isText(payload, 0, Math.min(payload.length, 16));
}

function isSmb(payload: Uint8Array): boolean {
  if (payload.length < 8) return false;
  const isFramed = payload[0] === 0 && textAt(payload, 5, "SMB");
  return isFramed && [0xff, 0xfe, 0xfd, 0xfc].includes(payload[4]!);
}

/** Four hex digits of length, then a service's name; or the line of a listing. */
function isGit(payload: Uint8Array): boolean {
  if (!textAt(payload, 4, "git-")) return false;
  const isLength = payload.subarray(0, 4).every((byte) => HEX_DIGITS.includes(byte));
  return isLength && GIT_SERVICES.some((service) => textAt(payload, 8, service));
}

/** AFP's session layer: request or answer, a command of 1 to 8, no reserved bits. */
function isAfp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 16 || !onPort(context, 548)) return false;
  return payload[0]! <= 1 && payload[1]! >= 1 && payload[1]! <= 8;
}

function isNntp(payload: Uint8Array, context: PayloadContext): boolean {
  if (onPort(context, 119)) return isText(payload, 0, Math.min(payload.length, 16));
  return beginsWithAny(payload, ["AUTHINFO USER", "MODE READER", "BODY <", "ARTICLE <"]);
}

export const TRANSFERS_TCP: readonly Signature[] = [
  ...TORRENTS,
  signature("edonkey", "torrent", 0.85, isEdonkeyTcp),
  signature("soulseek", "torrent", 0.8, isSoulseek),
  signature("git", "bulk_dl", 0.95, isGit),
  signature("rsync", "bulk_dl", 0.95, (payload) => begins(payload, "@RSYNCD:")),
  signature("subversion", "bulk_dl", 0.85, (payload) =>
    beginsWithAny(payload, ["( success ( ", "( 2 ( "]),
  ),
  signature("smb", "bulk_dl", 0.8, isSmb),
  signature("afp", "bulk_dl", 0.85, isAfp),
  signature("ftp", "bulk_dl", 0.9, isFtp),
  signature("nntp", "bulk_dl", 0.75, isNntp),
  signature("webdav", "file_sync", 0.7, (payload) => {
    return beginsWithAny(payload, ["PROPFIND /", "MKCOL /", "PROPPATCH /", "REPORT /"]);
  }),
  signature("ceph", "bulk_dl", 0.8, (payload) => begins(payload, "ceph v")),
  signature("nfs", "bulk_dl", 0.85, (payload) => NFS_PROGRAMS.includes(rpcProgram(payload, 4))),
  signature("rpc", "system", 0.7, (payload) => rpcProgram(payload, 4) !== -1),
  signature(
    "syncthing-relay",
    "file_sync",
    0.9,
    (payload) => payload.length >= 12 && u32(payload, 0) === 0x9e79bc40,
  ),
];
