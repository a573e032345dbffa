// Each payload signature against a packet made by the protocol's own description.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Catalog } from "../../src/flow/persona/catalog.ts";
import {
  payloadMeaning,
  SignatureMatcher,
  signatureIds,
} from "../../src/flow/persona/payload-matcher.ts";
import { shippedCatalog } from "../../src/flow/persona/shipped-catalog.ts";
import type { PayloadContext } from "../../src/flow/tap/features.ts";
import { flow, payloadContext, TCP, UDP } from "./features.ts";
import { ascii, be16, be32, le16, le32 } from "./packets.ts";

const zeros = (count: number) => new Array<number>(count).fill(0);
const filler = (count: number) => Array.from({ length: count }, (_, i) => (i * 37 + 11) & 0xff);

const matcher = new SignatureMatcher(new Catalog([]));

/** Packets of one flow in turn; the last answer that was not null. */
function matchAll(
  payloads: readonly (readonly number[])[],
  parts: Partial<PayloadContext> = {},
  using = matcher,
): string | null {
  const context = payloadContext(parts);
  let matched: string | null = null;
  for (const [index, payload] of payloads.entries()) {
    const next: PayloadContext = {
      ...context,
      index,
      matched,
      payloadBytes: payload.length,
    };
    matched = using.match(Uint8Array.from(payload), next) ?? matched;
    context.state = next.state;
  }
  return matched;
}

const stun = (type: number, attributes: readonly number[] = []) => [
  ...be16(type),
  ...be16(attributes.length),
  ...be32(0x2112a442),
  ...filler(12),
  ...attributes,
];
const attribute = (type: number, value: readonly number[]) => [
  ...be16(type),
  ...be16(value.length),
  ...value,
  ...zeros((4 - (value.length % 4)) % 4),
];
const rtp = (payloadType: number, sequence: number, body: readonly number[] = filler(160)) => [
  0x80,
  payloadType,
  ...be16(sequence),
  ...be32(sequence * 160),
  ...be32(0x1234_5678),
  ...body,
];
const rpcCall = (program: number) => [
  ...be32(7),
  ...be32(0),
  ...be32(2),
  ...be32(program),
  ...be32(3),
  ...be32(0),
  ...zeros(16),
];
const kcp = (command: number) => [
  ...le32(99),
  command,
  0,
  ...le16(128),
  ...le32(1000),
  ...le32(1),
  ...le32(0),
  ...le32(12),
  ...filler(12),
];

interface Example {
  readonly id: string;
  readonly protocol: number;
  readonly packets: readonly (readonly number[])[];
  readonly context?: Partial<PayloadContext>;
}

const tcp = (id: string, packet: readonly number[], context: Partial<PayloadContext> = {}) => ({
  id,
  protocol: TCP,
  packets: [packet],
  context,
});
const udp = (id: string, packet: readonly number[], context: Partial<PayloadContext> = {}) => ({
  id,
  protocol: UDP,
  packets: [packet],
  context,
});

const RAKNET = [
  0x00, 0xff, 0xff, 0x00, 0xfe, 0xfe, 0xfe, 0xfe, 0xfd, 0xfd, 0xfd, 0xfd, 0x12, 0x34, 0x56, 0x78,
];
const UDP_EXAMPLES: readonly Example[] = [
  udp("sip", ascii("INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP")),
  udp("mgcp", ascii("RQNT 1201 aaln/1@gateway.example.org MGCP 1.0\r\n"), { serverPort: 2427 }),
  udp("megaco", ascii("MEGACO/1 [192.0.2.1]:2944 T=1{")),
  udp("iax2", [0x80, 1, 0, 0, ...be32(3), 0, 0, 6, 1, ...filler(20)], { serverPort: 4569 }),
  udp("whatsapp-stun", stun(0x0003, attribute(0x4000, filler(32)))),
  udp("microsoft-stun", stun(0x0001, attribute(0x8070, be32(3)))),
  udp("discord", [...be16(1), ...be16(70), ...be32(77), ...zeros(66)]),
  udp("telegram-relay", [...filler(16), ...new Array<number>(12).fill(0xff), ...filler(12)]),
  udp("teamspeak", ascii("TS3INIT1\x00\x65\x00")),
  udp("facetime", stun(0x0001), { serverPort: 16_393 }),
  udp("zoom", [0x05, ...be16(1), ...filler(40)], { serverPort: 8801 }),
  udp("mumble-ping", [...be32(0), ...filler(8)], { serverPort: 64_739 }),
  udp("stun", stun(0x0001)),
  { id: "rtp", protocol: UDP, packets: [rtp(0, 100), rtp(0, 101)] },
  { id: "rtp-video", protocol: UDP, packets: [rtp(34, 100), rtp(34, 101)] },
  udp("rtp-transport-stream", rtp(33, 5, [0x47, ...filler(187)])),
  udp("rtcp", [0x80, 200, ...be16(6), ...be32(0x1234_5678), ...filler(20)]),
  udp("turn-channel", [...be16(0x4001), ...be16(60), ...filler(60)], { serverPort: 3478 }),
  udp("stun-classic", [...be16(0x0001), ...be16(8), ...filler(16), ...attribute(3, be32(0))]),
  udp("dtls", [22, 0xfe, 0xff, ...be16(0), ...zeros(6), ...be16(10), ...filler(10)]),
  udp("h323-ras", [0x0e, ...filler(40)], { serverPort: 1719 }),
  udp("bittorrent", ascii(`\x13BitTorrent protocol${"x".repeat(48)}`)),
  udp("bittorrent-tracker", ascii("GET /announce?info_hash=%12 HTTP/1.1\r\n")),
  udp("bittorrent-peer", [...be32(13), 6, ...zeros(12)], { serverPort: 6881 }),
  udp("gnutella", ascii("GND\x02\x01")),
  udp("gnutella-udp", [...filler(16), 0x00, 3, 0, ...le32(4), ...zeros(4)]),
  udp("direct-connect", ascii("$SR bob file")),
  udp("bittorrent-dht", ascii("d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe")),
  udp("bittorrent-udp-tracker", [...be32(0x417), ...be32(0x27101980), ...be32(0), ...be32(9)]),
  udp("bittorrent-local", ascii("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n")),
  udp("utp-syn", [
    0x41,
    0,
    ...be16(7),
    ...be32(55),
    ...be32(0),
    ...be32(1 << 20),
    ...be16(1),
    ...be16(0),
  ]),
  udp(
    "utp",
    [0x01, 0, ...be16(7), ...be32(55), ...be32(9), ...be32(1 << 20), ...be16(4), ...be16(3)],
    { serverPort: 6881 },
  ),
  udp("edonkey", [0xe3, 0x96, ...filler(4)], { serverPort: 4665 }),
  udp("dropbox-lan", ascii('{"host_int": 12345, "version": [2, 0]}'), {
    clientPort: 17_500,
    serverPort: 17_500,
  }),
  udp("syncthing-local", [...be32(0x2ea7d90b), ...filler(40)], { serverPort: 21_027 }),
  udp("resilio", ascii("BSYNC\0d1:m4:ping")),
  udp("tftp", [...be16(1), ...ascii("boot.img\0octet\0")], { serverPort: 69 }),
  udp("tftp-data", [...be16(3), ...be16(1), ...filler(512)]),
  udp("nfs", rpcCall(100_003), { serverPort: 2049 }),
  udp("rpc", rpcCall(100_000), { serverPort: 111 }),
  udp("rdp", [...new Array<number>(4).fill(0xff), ...be16(64), ...be16(0x1001), ...zeros(1224)]),
  udp("teamviewer", [0, ...filler(10), 0x17, 0x24, ...filler(20)]),
  udp("nomachine", [1, 0, 1, 0, ...le16(10), ...zeros(4)], { serverPort: 4000 }),
  udp("pcanywhere", ascii("NQ"), { serverPort: 5632 }),
  udp("xdmcp", [...be16(1), ...be16(2), ...be16(1), 0], { serverPort: 177 }),
  udp("rtsp", ascii("DESCRIBE rtsp://198.51.100.7/cam RTSP/1.0\r\n")),
  udp("transport-stream", Array.from({ length: 7 }, () => [0x47, ...filler(187)]).flat()),
  udp("srt", [...be32(0x80000000), ...be32(0), ...be32(5), ...be32(0), ...be32(4), ...filler(44)]),
  udp("qq", [0x02, ...filler(20), 0x03], { serverPort: 8000 }),
  udp("source-query", [...new Array<number>(4).fill(0xff), ...ascii("TSource Engine Query\0")]),
  udp("id-tech", [0xff, 0xff, ...ascii("getInfo xxx")]),
  udp("steam", ascii("VS01\x00\x00\x00\x06")),
  udp("raknet", [0x05, ...RAKNET, 10, ...zeros(100)]),
  udp("kcp-handshake", [
    ...be32(0xff),
    ...be32(0),
    ...be32(0),
    ...be32(1_234_567_890),
    ...be32(0xffffffff),
  ]),
  udp("enet", [...be16(0x8fff), ...be16(100), 0x82, 0xff, ...be16(1), ...filler(40)]),
  udp("photon", [
    ...be16(0xffff),
    0,
    1,
    ...be32(9),
    ...be32(77),
    2,
    0xff,
    1,
    4,
    ...be32(44),
    ...be32(1),
    ...filler(32),
  ]),
  udp("netcode", [0, ...ascii("NETCODE 1.02\0"), ...filler(40)]),
  udp("pia", [...be32(0x32ab9864), ...filler(40)]),
  udp("gamespy", [0xfe, 0xfd, 0x09, ...filler(4)]),
  udp("game-status", ascii("\\status\\")),
  udp("kcp", kcp(81)),
  udp("dhcp", [1, 1, 6, 0, ...zeros(232), ...be32(0x63825363), 53, 1, 1, 255], { serverPort: 67 }),
  udp("ntp", [0x23, ...zeros(47)], { serverPort: 123 }),
  udp("ssdp", ascii("M-SEARCH * HTTP/1.1\r\nST: upnp:rootdevice\r\n"), { serverPort: 1900 }),
  udp("ws-discovery", ascii('<?xml version="1.0"?><soap:Envelope'), { serverPort: 3702 }),
  udp("snmp", [0x30, 40, 2, 1, 1, 4, 6, ...ascii("public"), ...filler(30)], { serverPort: 161 }),
  udp("syslog", ascii("<34>Oct 11 22:14:15 host su: failed"), { serverPort: 514 }),
  udp("sflow", [...be32(5), ...be32(1), ...be32(0x0a000001), ...zeros(20)], { serverPort: 6343 }),
  udp("flow-export", [...be16(5), ...be16(1), ...zeros(68)], { serverPort: 2055 }),
  udp("nat-mapping", [0, 1, ...zeros(10)], { serverPort: 5351 }),
  udp("slp", [2, 1, 0, 0, 49, ...filler(44)], { serverPort: 427 }),
  udp("radius", [1, 5, ...be16(24), ...filler(20)], { serverPort: 1812 }),
  udp("ldap", [0x30, 0x25, 2, 1, 1, 0x63, ...filler(33)], { serverPort: 389 }),
  udp("ldp", [...be16(1), ...be16(30), ...filler(30)], { serverPort: 646 }),
  udp("dnscrypt", [...ascii("r6fnvWj8"), ...filler(80)]),
  udp("dnscrypt-query", [0x71, ...filler(67 + 256)], { serverPort: 443 }),
  udp("coap", [0x40, 1, 0, 9, 0xbb], { serverPort: 5683 }),
  udp("neighbour-beacon", [1, 0, 0, 0], { serverPort: 10_001 }),
  udp("bfd", [0x20, 0xc0, 3, 24, ...zeros(20)], { serverPort: 3784 }),
  udp("rmcp", [6, 0, 0xff, 7, ...zeros(19)], { serverPort: 623 }),
  udp("roughtime", ascii(`ROUGHTIM${"\0".repeat(40)}`)),
  udp("device-search", ascii("BJNP\x01\x01\0\0")),
  udp("capwap", [0, 0x10, 2, 0, ...filler(20)], { serverPort: 5246 }),
  udp("wireguard", [1, 0, 0, 0, ...filler(144)]),
  udp("ike", [...filler(16), 33, 0x20, 34, 8, ...be32(0), ...be32(60), ...filler(32)], {
    serverPort: 500,
  }),
  udp("openvpn", [0x38, ...filler(8), 0, ...be32(0)], { serverPort: 1194 }),
];

const TCP_EXAMPLES: readonly Example[] = [
  tcp("ssh", ascii("SSH-2.0-OpenSSH_9.9\r\n")),
  tcp("rfb", ascii("RFB 003.008\n")),
  tcp("rdp", [3, 0, ...be16(19), 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0]),
  tcp("telnet", [0xff, 0xfd, 0x18, 0xff, 0xfd, 0x20], { serverPort: 23 }),
  tcp("teamviewer", [0x17, 0x24, 0x0a, 0x20, 0, 0]),
  tcp("radmin", [1, 0, 0, 0, 1, 0, 0, 0, 8, 8]),
  tcp("nomachine", ascii("NXSH-7.0.0\n")),
  tcp("x11", [0x6c, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  tcp("spice", ascii("REDQ\x02\0\0\0")),
  tcp("citrix", ascii("\x7f\x7fICA\0")),
  tcp("rsh", ascii("1022\0alice\0bob\0ls\0"), { serverPort: 514 }),
  tcp("vmware", ascii("220 VMware Authentication Daemon Version 1.10\r\n"), { serverPort: 902 }),
  tcp("rlogin", ascii("\0alice\0bob\0xterm/38400\0"), { serverPort: 513 }),
  tcp("pcanywhere", [0, 0, 0, 0], { serverPort: 5631 }),
  tcp("dameware", [...le32(0x1130), ...filler(12)], { serverPort: 6129 }),
  tcp("bittorrent", ascii(`\x13BitTorrent protocol${"x".repeat(48)}`)),
  tcp("bittorrent-tracker", ascii("GET /announce?info_hash=%12 HTTP/1.1\r\n")),
  tcp("bittorrent-peer", [...be32(13), 6, ...zeros(12)], { serverPort: 6881 }),
  tcp("gnutella", ascii("GNUTELLA CONNECT/0.6\r\n")),
  tcp("direct-connect", ascii("$Lock EXTENDEDPROTOCOL Pk=x|")),
  tcp("edonkey", [0xe3, ...le32(6), 0x01, ...filler(5)], { serverPort: 4662 }),
  tcp("soulseek", [...le32(8), ...le32(1), ...filler(4)], { serverPort: 2242 }),
  tcp("git", ascii("0032git-upload-pack /project.git\0host=example.org\0"), { serverPort: 9418 }),
  tcp("rsync", ascii("@RSYNCD: 31.0\n")),
  tcp("subversion", ascii("( success ( 2 2 ( ANONYMOUS ) ) )")),
  tcp("smb", [0, ...zeros(2), 60, 0xfe, ...ascii("SMB"), ...filler(56)], { serverPort: 445 }),
  tcp("afp", [0, 4, ...be16(1), ...be32(0), ...be32(20), ...be32(0)], { serverPort: 548 }),
  tcp("ftp", ascii("220 ProFTPD Server ready\r\n"), { serverPort: 21 }),
  tcp("nntp", ascii("200 news.example.org ready\r\n"), { serverPort: 119 }),
  tcp("webdav", ascii("PROPFIND /files/ HTTP/1.1\r\n")),
  tcp("ceph", ascii("ceph v027")),
  tcp("nfs", [...be32(0x80000028), ...rpcCall(100_003)], { serverPort: 2049 }),
  tcp("rpc", [...be32(0x80000028), ...rpcCall(100_000)], { serverPort: 111 }),
  tcp("syncthing-relay", [...be32(0x9e79bc40), ...zeros(8)]),
  tcp("sip", ascii("REGISTER sip:example.org SIP/2.0\r\n")),
  tcp("megaco", ascii("!/1 [192.0.2.1]:2944")),
  tcp("skinny", [...le32(4), ...le32(0), ...le32(0)], { serverPort: 2000 }),
  tcp("h323", [3, 0, ...be16(80), 8, 2, 0, 1, ...filler(72)], { serverPort: 1720 }),
  tcp("whatsapp-stun", stun(0x0801)),
  tcp("microsoft-stun", [2, 0, ...be16(40), ...stun(0x0003, attribute(0x8008, be32(6)))]),
  tcp("teamspeak", ascii("TS3\n\rWelcome")),
  tcp("msrp", ascii("MSRP a786hjs2 SEND\r\n")),
  tcp("ventrilo", [...le16(4), ...filler(4)], { serverPort: 3784 }),
  tcp("stun", [...be16(20), ...stun(0x0001, attribute(6, be32(1)))]),
  tcp("mumble-version", [...be16(0), ...be32(10), ...filler(10)], { serverPort: 64_738 }),
  tcp("xmpp", ascii("<?xml version='1.0'?><stream:stream to='example.org' xmlns='jabber:client'")),
  tcp("irc", ascii("NICK alice\r\nUSER alice 0 * :Alice\r\n"), { serverPort: 6667 }),
  tcp("whatsapp", ascii("WA\x06\x03\0\0\x24")),
  tcp("mtproto", [...be32(0xeeeeeeee), ...filler(12)], { serverPort: 443 }),
  tcp("msn", ascii("VER 1 MSNP18 CVR0\r\n")),
  tcp("ymsg", ascii("YMSG\0\x10")),
  tcp("oscar", [0x2a, 1, ...be16(1), ...be16(4), ...be32(1)]),
  tcp("qq", [0x02, ...be16(20), ...filler(16), 0x03]),
  tcp("wechat", [...be32(20), ...be16(16), ...be16(1), ...be32(6), ...be32(1), ...filler(4)]),
  tcp("viber", [...le16(10), ...filler(8)], { serverPort: 5242 }),
  tcp("rtsp", ascii("OPTIONS rtsp://198.51.100.7/cam RTSP/1.0\r\n")),
  tcp("rtmp", [3, ...be32(0), ...be32(0), ...filler(1528)]),
  tcp("mms", [1, 0, 0, 0, ...be32(0xcefa0bb0), ...zeros(16)]),
  tcp("icecast", ascii("ICY 200 OK\r\n")),
  tcp("minecraft", [16, 0, 0xf5, 5, 9, ...ascii("localhost"), ...be16(25_565), 1]),
  tcp("warcraft", [0, 8, 34, 0, ...ascii("WoW\0"), ...filler(26)], { serverPort: 3724 }),
  tcp("steam", [20, 0, 0, 0, ...ascii("VT01"), ...filler(20)]),
  tcp("battle-net", [0xff, 0x50, 58, 0, ...filler(54)], { serverPort: 6112 }),
  tcp("game-status", ascii("\\status\\")),
  tcp("bgp", [...new Array<number>(16).fill(0xff), ...be16(19), 4]),
  tcp("ldp", [...be16(1), ...be16(30), ...filler(30)], { serverPort: 646 }),
  tcp("netbios-session", [0x81, 0, ...be16(68), ...filler(68)], { serverPort: 139 }),
  tcp("mqtt", [0x10, 16, ...ascii("\0\x04MQTT\x04\x02\0\x3c\0\x04"), ...ascii("node")]),
  tcp("syslog", ascii("<165>1 2003-10-11T22:14:15.003Z host app - - - x"), { serverPort: 601 }),
  tcp("ldap", [0x30, 12, 2, 1, 1, 0x60, 7, ...filler(7)], { serverPort: 389 }),
  tcp("diameter", [1, 0, 0, 20, ...filler(20)], { serverPort: 3868 }),
  tcp("monitoring", ascii("ZBXD\x01\x08")),
  tcp("dnscrypt", ascii("DNSC\0\x01")),
  tcp("mail", ascii("EHLO mail.example.org\r\n"), { serverPort: 25 }),
  tcp("openvpn", [...be16(14), 0x38, ...filler(8), 0, ...be32(0)], { serverPort: 1194 }),
  tcp("socks", [5, 1, 0], { serverPort: 1080 }),
];

describe.each([
  ["UDP", UDP, UDP_EXAMPLES],
  ["TCP", TCP, TCP_EXAMPLES],
] as const)("payload signatures over %s", (_, protocol, examples) => {
  test("each one has its example", () => {
    const shown = new Set(examples.map(({ id }) => id));
    expect(signatureIds(protocol).filter((id) => !shown.has(id))).toEqual([]);
  });

  test.each(examples.map((example) => [example.id, example] as const))("%s", (id, example) => {
    expect(matchAll(example.packets, { protocol, ...example.context })).toBe(id);
  });

  test("any bytes match a known signature or none, and never throw", () => {
    const known = new Set(signatureIds(protocol));
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 80 }), { minLength: 1, maxLength: 4 }),
        fc.nat({ max: 65_535 }),
        fc.nat({ max: 65_535 }),
        fc.boolean(),
        (payloads, clientPort, serverPort, fromClient) => {
          const context = { protocol, clientPort, serverPort, fromClient };
          const found = matchAll(
            payloads.map((payload) => [...payload]),
            context,
          );
          expect(found === null || known.has(found)).toBe(true);
          if (found !== null) expect(payloadMeaning(protocol, found)).not.toBeNull();
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("what a capture cut short, or a bit that fell over, never throws", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...examples),
        fc.nat({ max: 200 }),
        fc.nat({ max: 200 }),
        fc.nat({ max: 255 }),
        ({ packets, context }, length, at, flip) => {
          const [whole = []] = packets;
          const cut = whole.slice(0, length).map((byte, i) => (i === at ? byte ^ flip : byte));
          const told = payloadContext({ protocol, ...context, payloadBytes: whole.length });
          expect(() => matcher.match(Uint8Array.from(cut), told)).not.toThrow();
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe("the signature that is kept", () => {
  test("gives way to one that is trusted more, and to no other", () => {
    const binding = stun(0x0001);
    const whatsApp = stun(0x0003, attribute(0x4000, filler(32)));
    expect(matchAll([binding, whatsApp])).toBe("whatsapp-stun");
    expect(matchAll([whatsApp, binding])).toBe("whatsapp-stun");
  });

  test("names the service of the realm a STUN server asks credentials for", () => {
    const shipped = new SignatureMatcher(shippedCatalog());
    const viber = stun(0x0113, attribute(0x0014, ascii("viber.com")));
    const stranger = stun(0x0113, attribute(0x0014, ascii("example.invalid")));
    expect(matchAll([viber], {}, shipped)).toBe("stun:voip_call");
    expect(payloadMeaning(UDP, "stun:voip_call")).toEqual({
      service: "voip_call",
      confidence: 0.9,
      isMedia: false,
    });
    expect(matchAll([stranger], {}, shipped)).toBe("stun");
  });

  test("is not looked for where a parser has read the flow", () => {
    const context = { flow: flow({ application: "tls" }) };
    expect(matchAll([ascii("SSH-2.0-x")], { protocol: TCP, ...context })).toBeNull();
  });

  test("one packet that looks like RTP proves nothing", () => {
    expect(matchAll([rtp(0, 100)])).toBeNull();
    expect(matchAll([rtp(0, 100), rtp(0, 40_000)])).toBeNull();
  });

  test("RTP is followed in one direction while the other one talks", () => {
    const context = payloadContext();
    const send = (fromClient: boolean, sequence: number) => {
      const payload = Uint8Array.from(rtp(0, sequence));
      Object.assign(context, { fromClient, payloadBytes: payload.length });
      return matcher.match(payload, context);
    };
    expect(send(true, 7)).toBeNull();
    expect(send(false, 900)).toBeNull();
    expect(send(true, 8)).toBe("rtp");
  });

  test("a protocol without ports has none", () => {
    expect(matchAll([filler(40)], { protocol: 89 })).toBeNull();
  });
});
