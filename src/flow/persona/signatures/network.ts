// What machines say among themselves, and tunnels, which are recognised to be left alone.
// Sources: RFC 2131 (DHCP), UPnP Device Architecture, WS-Discovery, RFC 1157 and 3416 (SNMP),
// RFC 3164 and 5424 (syslog), RFC 3954 and 7011 (NetFlow, IPFIX), sFlow 5, RFC 6886 and 6887 (NAT
// port mapping), RFC 5880 (BFD), RFC 2281 (HSRP), RFC 1002 (NetBIOS), RFC 5905 (NTP), RFC 2608
// (SLP), RFC 7252 (CoAP), MQTT 3.1.1, IEEE 1588 (PTP), RFC 5036 (LDP), RFC 4271 (BGP), DNSCrypt 2,
// RFC 7296 (IKE), WireGuard's and OpenVPN's descriptions.

import { u16, u32 } from "../../tap/bytes.ts";
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

/** Where DNSCrypt's resolvers usually listen. */
const DNSCRYPT_PORTS = [53, 54, 443, 553, 1443, 2053, 4343, 4434, 5353, 5443, 8443];
const DHCP_COOKIE_AT = 236;
const DHCP_COOKIE = 0x63825363;

function isDhcp(payload: Uint8Array): boolean {
  const isBootp = payload.length >= 240 && (payload[0] === 1 || payload[0] === 2);
  return isBootp && u32(payload, DHCP_COOKIE_AT) === DHCP_COOKIE;
}

function isSsdp(payload: Uint8Array, context: PayloadContext): boolean {
  if (begins(payload, "M-SEARCH *")) return true;
  if (begins(payload, "NOTIFY *")) return !holds(payload, "BT-SEARCH", 64);
  return onPort(context, 1900) && begins(payload, "HTTP/1.1 200 OK");
}

function isWsDiscovery(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 3702)) return false;
  return (
    begins(payload, "<?xml") ||
    begins(payload, "<soap") ||
    begins(payload, "<s:") ||
    begins(payload, "<")
  );
}

/** A BER sequence that opens with version 1, 2c or 3. */
function isSnmp(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 12 || payload[0] !== 0x30) return false;
  const at = payload[1]! < 0x80 ? 2 : 2 + (payload[1]! & 0x7f);
  const isVersion =
    at <= 5 && payload[at] === 2 && payload[at + 1] === 1 && [0, 1, 3].includes(payload[at + 2]!);
  return isVersion && (onPorts(context, 161, 162) || payload[at + 3] === 4);
}

/** `<` priority of at most 191 `>`. */
function isSyslog(payload: Uint8Array): boolean {
  if (payload.length < 6 || payload[0] !== 0x3c) return false;
  const close = payload.indexOf(0x3e);
  if (close < 2 || close > 4) return false;
  const priority = Number(String.fromCharCode(...payload.subarray(1, close)));
  return (
    priority >= 0 &&
    priority <= 191 &&
    isText(payload, close + 1, Math.min(payload.length, close + 12))
  );
}

/** NetFlow 1 to 9 and IPFIX: a version, a count or length that fits. */
function isFlowExport(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 20 || (context.fromClient === false && context.serverPort < 1024))
    return false;
  const version = u16(payload, 0);
  const count = u16(payload, 2);
  if (version === 10) return count === context.payloadBytes;
  if (version === 5) return count >= 1 && count <= 30 && 24 + count * 48 === context.payloadBytes;
  return version === 9 && count >= 1 && count <= 100 && onPorts(context, 2055, 9999);
}

function isSflow(payload: Uint8Array): boolean {
  return (
    payload.length >= 28 &&
    u32(payload, 0) === 5 &&
    (u32(payload, 4) === 1 || u32(payload, 4) === 2) &&
    u32(payload, 8) !== 0
  );
}

function isNatMapping(payload: Uint8Array, context: PayloadContext): boolean {
  return onPorts(context, 5350, 5351) && payload.length >= 2 && payload[0]! <= 2;
}

/** SIP's and HTTP's neighbours by text on UDP: service location of version 1 and 2. */
function isServiceLocation(payload: Uint8Array, context: PayloadContext): boolean {
  return onPort(context, 427) && payload.length >= 12 && (payload[0] === 1 || payload[0] === 2);
}

/** Version 1 to 4 and a mode; control and private messages (6, 7) are short. */
function isNtp(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 123) || payload.length < 8) return false;
  const version = (payload[0]! >>> 3) & 0x07;
  const mode = payload[0]! & 0x07;
  return version >= 1 && version <= 4 && mode >= 1 && (mode >= 6 || payload.length >= 48);
}

function isDnsCrypt(payload: Uint8Array): boolean {
  return begins(payload, "r6fnvWj8") || begins(payload, "DNSC");
}

/** A CoAP message: version 1, a token of at most 8 bytes, a method or response code. */
function isCoap(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPorts(context, 5683, 5684) || payload.length < 4) return false;
  return payload[0]! >>> 6 === 1 && (payload[0]! & 0x0f) <= 8;
}

/** MQTT's CONNECT: the packet type, a length, the protocol's name. */
function isMqtt(payload: Uint8Array): boolean {
  if (payload[0] !== 0x10) return false;
  return [2, 3, 4].some(
    (at) => textAt(payload, at, "\0\x04MQTT") || textAt(payload, at, "\0\x06MQIsdp"),
  );
}

function isBgp(payload: Uint8Array): boolean {
  if (payload.length < 19) return false;
  for (let at = 0; at < 16; at += 1) if (payload[at] !== 0xff) return false;
  return payload[18]! >= 1 && payload[18]! <= 5;
}

function isLdp(payload: Uint8Array, context: PayloadContext): boolean {
  return onPort(context, 646) && payload.length >= 10 && u16(payload, 0) === 1;
}

/** Length of an LDAP message in BER, its number, then an operation of the application class. */
function isLdap(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 8 || payload[0] !== 0x30 || !onPort(context, 389, 3268)) return false;
  return true;
}

/** RADIUS: a code, and a length that fits. */
function isRadius(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 20 || u16(payload, 2) !== context.payloadBytes) return false;
  return (
    payload[0]! >= 1 &&
    payload[0]! <= 52 &&
    (onPorts(context, 1812, 1813) || onPorts(context, 1645, 1646) || onPort(context, 3799))
  );
}

/** TURN's and DNS' neighbour: the beacon of MikroTik, Ubiquiti and others on their ports. */
function isNeighbourBeacon(payload: Uint8Array, context: PayloadContext): boolean {
  return (
    onPort(context, 5678, 10001) &&
    payload.length >= 4 &&
    payload[0]! <= 2 &&
    context.protocol === 17
  );
}

/** Diameter: version 1 and a length that fits. */
function isDiameter(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 20 || payload[0] !== 1 || !onPort(context, 3868)) return false;
  return true;
}

/** BFD's control packet: version 1, its length of 24 (26 with a password) in the fourth byte. */
function isBfd(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 3784, 4784, 6784) || payload.length < 24) return false;
  return payload[0]! >>> 5 === 1 && payload[3]! >= 24 && payload[3]! <= context.payloadBytes;
}

/** RMCP, which carries IPMI: version 6, no answer wanted (0xff), class ASF or IPMI. */
function isRmcp(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 623, 664) || payload.length < 4) return false;
  return payload[0] === 6 && [6, 7, 0x86].includes(payload[3]!);
}

/** A session of NetBIOS (RFC 1002): a request with two encoded names, or its answer. */
function isNetbiosSession(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 139) || payload.length < 4) return false;
  const type = payload[0]!;
  return type >= 0x81 && type <= 0x85 && u16(payload, 2) + 4 === context.payloadBytes;
}

/** Roughtime's frame, or a first message of tags. */
function isRoughtime(payload: Uint8Array): boolean {
  return begins(payload, "ROUGHTIM") || (payload.length >= 1024 && holds(payload, "NONC", 64));
}

/** Printers and recorders that are looked for by words of their own: Canon, TiVo. */
function isDeviceSearch(payload: Uint8Array): boolean {
  return beginsWithAny(payload, [
    "BJNP",
    "BJNB",
    "MFNP",
    "MFNB",
    "tivoconnect=",
    "TiVoConnect=",
    "DLEP",
  ]);
}

/**
 * DNSCrypt's query: a magic, a key and half a nonce, then text sealed to a multiple of 64 bytes, of
 * 256 at least.
 */
function isDnsCryptQuery(payload: Uint8Array, context: PayloadContext): boolean {
  if (context.index !== 0 || !context.fromClient) return false;
  if (!DNSCRYPT_PORTS.includes(context.serverPort)) return false;
  const sealedBytes = context.payloadBytes - 68;
  return sealedBytes >= 256 && sealedBytes <= 1280 && sealedBytes % 64 === 0 && payload.length > 68;
}

/** CAPWAP's preamble: version 0 and plain or DTLS, on its ports. */
function isCapwap(payload: Uint8Array, context: PayloadContext): boolean {
  return (
    onPort(context, 5246, 5247) && payload.length >= 8 && (payload[0] === 0 || payload[0] === 1)
  );
}

/** Checkmk, Zabbix and Munin agents open with words of theirs. */
function isMonitoring(payload: Uint8Array): boolean {
  return beginsWithAny(payload, ["ZBXD\x01", "<<<check_mk>>>", "# munin node at", "*KISMET:"]);
}

/** IKE's head on its ports: version 1 or 2, a length that fits; on the second behind four zeros. */
function isIke(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPort(context, 500, 4500)) return false;
  const at = payload.length >= 4 && u32(payload, 0) === 0 ? 4 : 0;
  if (payload.length < at + 28) return false;
  const isVersion = payload[at + 17] === 0x10 || payload[at + 17] === 0x20;
  return isVersion && u32(payload, at + 24) === context.payloadBytes - at;
}

/** WireGuard's three fixed lengths, or data: a type with three zeros. */
function isWireGuard(payload: Uint8Array, context: PayloadContext): boolean {
  if (payload.length < 32) return false;
  const word = u32(payload, 0);
  if (word === 0x01000000) return context.payloadBytes === 148;
  if (word === 0x02000000) return context.payloadBytes === 92;
  if (word === 0x03000000) return context.payloadBytes === 64;
  return word === 0x04000000 && context.payloadBytes % 16 === 0 && onPorts(context, 51820, 51830);
}

/** OpenVPN's hard reset of client or server, its key number 0; over TCP behind a length. */
function isOpenVpn(payload: Uint8Array, context: PayloadContext): boolean {
  const at = context.protocol === 6 ? 2 : 0;
  if (context.index > 3 || payload.length < at + 14) return false;
  if (at === 2 && u16(payload, 0) + 2 !== context.payloadBytes) return false;
  const opcode = payload[at]!;
  return (
    (opcode === 0x38 || opcode === 0x40 || opcode === 0x50) &&
    (onPort(context, 1194) || isResetShape(payload, at))
  );
}

/** Session id, no acknowledgements, packet number 0: the reset without `tls-auth`. */
function isResetShape(payload: Uint8Array, at: number): boolean {
  return payload[at + 9] === 0 && u32(payload, at + 10) === 0 && payload.length === at + 14;
}

function isSocks(payload: Uint8Array, context: PayloadContext): boolean {
  if (!onPorts(context, 1080, 1089) || payload.length < 3) return false;
  return payload[0] === 5 || payload[0] === 4;
}

/** Mail, databases and control of plants: known, and none of the services. */
function isMail(payload: Uint8Array, context: PayloadContext): boolean {
  if (beginsWithAny(payload, ["EHLO ", "HELO ", "+OK ", "* OK ", "MAIL FROM:"])) return true;
  return begins(payload, "220 ") && onPort(context, 25, 465, 587);
}

const RECOGNISED_TCP: readonly Signature[] = [
  signature("mail", "web_interactive", 0.3, isMail),
  signature("openvpn", "unknown", 0.8, isOpenVpn),
  signature("socks", "unknown", 0.6, isSocks),
];

export const NETWORK_TCP: readonly Signature[] = [
  signature("bgp", "system", 0.97, isBgp),
  signature("ldp", "system", 0.95, isLdp),
  signature("netbios-session", "system", 0.85, isNetbiosSession),
  signature("mqtt", "system", 0.6, isMqtt),
  signature("syslog", "system", 0.8, isSyslog),
  signature("ldap", "system", 0.8, isLdap),
  signature("diameter", "system", 0.85, isDiameter),
  signature("monitoring", "system", 0.9, isMonitoring),
  signature("dnscrypt", "system", 0.9, isDnsCrypt),
  ...RECOGNISED_TCP,
];

export const NETWORK_UDP: readonly Signature[] = [
  signature("dhcp", "system", 0.98, isDhcp),
  signature("ntp", "system", 0.95, isNtp),
  signature("ssdp", "system", 0.97, isSsdp),
  signature("ws-discovery", "system", 0.95, isWsDiscovery),
  signature("snmp", "system", 0.93, isSnmp),
  signature("syslog", "system", 0.9, isSyslog),
  signature("sflow", "system", 0.9, isSflow),
  signature("flow-export", "system", 0.85, isFlowExport),
  signature("nat-mapping", "system", 0.93, isNatMapping),
  signature("slp", "system", 0.9, isServiceLocation),
  signature("radius", "system", 0.95, isRadius),
  signature("ldap", "system", 0.8, isLdap),
  signature("ldp", "system", 0.95, isLdp),
  signature("dnscrypt", "system", 0.9, isDnsCrypt),
  signature("bfd", "system", 0.95, isBfd),
  signature("rmcp", "system", 0.92, isRmcp),
  signature("roughtime", "system", 0.9, isRoughtime),
  signature("device-search", "system", 0.92, isDeviceSearch),
  signature("dnscrypt-query", "system", 0.6, isDnsCryptQuery),
  signature("capwap", "system", 0.9, isCapwap),
  signature("coap", "system", 0.75, isCoap),
  signature("neighbour-beacon", "system", 0.75, isNeighbourBeacon),
  signature("wireguard", "unknown", 0.85, isWireGuard),
  signature("openvpn", "unknown", 0.8, isOpenVpn),
  signature("ike", "unknown", 0.9, isIke),
];
