// The tap over whole captures: what conversations show, whatever their segments, order and pieces.

import { type Answer, encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type {
  FlowFeatures,
  FlowNews,
  PayloadContext,
  PayloadMatcher,
} from "../../src/flow/tap/features.ts";
import { PAYLOADS_PER_FLOW_MAX } from "../../src/flow/tap/features.ts";
import { Tap, type TapOptions } from "../../src/flow/tap/tap.ts";
import { NodeQuicCrypto } from "../../src/io/quic-crypto.ts";
import {
  certificate,
  clientHello,
  cryptoFrame,
  initialPacket,
  records,
  serverFlight,
} from "./handshakes.ts";
import {
  ACK,
  ascii,
  bytesOf,
  CLIENT,
  CLIENT_MAC,
  captureOf,
  ethernet,
  FIN,
  ip,
  pcap,
  SERVER,
  SERVER_MAC,
  type Side,
  SYN,
  tcp,
  udp,
} from "./packets.ts";

interface Told {
  readonly news: FlowNews;
  readonly flow: ReturnType<typeof snapshot>;
}

function snapshot(flow: FlowFeatures) {
  const side = ({ packets, bytes, payloadPackets }: FlowFeatures["fromClient"]) => ({
    ...{ packets, bytes, payloadPackets },
  });
  return {
    ...{ id: flow.id, ...flow.key, clue: flow.clientClue, mac: flow.clientMac },
    ...{ application: flow.application, serverName: flow.serverName },
    ...{ source: flow.serverNameSource, alpn: flow.alpn, ech: flow.encryptedClientHello },
    ...{ dnsName: flow.dnsName, siblingName: flow.siblingName, dnsQuestion: flow.dnsQuestion },
    ...{ certificateName: flow.certificateName, userAgent: flow.userAgent },
    ...{ httpTarget: flow.httpTarget, contentType: flow.contentType, payload: flow.payload },
    ...{ quicVersion: flow.quicVersion, tcpFlags: flow.tcpFlags, symmetry: flow.symmetry },
    ...{ fromClient: side(flow.fromClient), fromServer: side(flow.fromServer) },
  };
}

function tapWith(options: Partial<TapOptions> = {}) {
  const told: Told[] = [];
  const tap = new Tap({
    ...{ crypto: new NodeQuicCrypto(), matcher: null, flowsMax: 64, namesMax: 64, streamsMax: 8 },
    ...{ idleMs: Number.POSITIVE_INFINITY, hashSeed: 5 },
    onFlow: (flow, news) => told.push({ news, flow: snapshot(flow) }),
    ...options,
  });
  return { tap, told };
}

function run(capture: Uint8Array, options: Partial<TapOptions> = {}) {
  const { tap, told } = tapWith(options);
  tap.push(capture);
  const problem = tap.finish();
  return {
    tap,
    told,
    problem,
    ends: told.filter(({ news }) => news === "end").map(({ flow }) => flow),
  };
}

/** The last news of the only flow of these packets. */
function onlyFlow(packets: readonly (readonly number[])[], options: Partial<TapOptions> = {}) {
  const { ends } = run(captureOf(packets), options);
  expect(ends).toHaveLength(1);
  return ends[0]!;
}

const CLIENT_ISN = 0xffff_ff00;
const SERVER_ISN = 77;
const opening = [
  tcp(CLIENT, SERVER, CLIENT_ISN, SYN),
  tcp(SERVER, CLIENT, SERVER_ISN, SYN | ACK),
  tcp(CLIENT, SERVER, CLIENT_ISN + 1, ACK),
];

/** The client's stream from its first byte on, cut at these places. The sequence wraps on the way. */
function segments(stream: readonly number[], cuts: readonly number[], base = CLIENT_ISN + 1) {
  const borders = [0, ...[...cuts].sort((a, b) => a - b), stream.length];
  return borders
    .slice(0, -1)
    .map((start, i) => tcp(CLIENT, SERVER, base + start, ACK, stream.slice(start, borders[i + 1])));
}

const hello = records(
  clientHello({ serverName: "app.example.com", alpn: ["h2"], paddingBytes: 1_500 }),
  700,
);

describe("a TLS flow", () => {
  test("shows its name though the hello's segments come in any order, some twice", () => {
    const shape = fc
      .uniqueArray(fc.integer({ min: 1, max: hello.length - 1 }), { maxLength: 5 })
      .chain((cuts) => {
        const pieces = segments(hello, cuts);
        return fc.tuple(
          fc.shuffledSubarray(pieces, { minLength: pieces.length }),
          fc.subarray(pieces),
        );
      });
    fc.assert(
      fc.property(shape, ([pieces, repeats]) => {
        const flow = onlyFlow([...opening, ...repeats, ...pieces, ...repeats]);
        expect(flow).toMatchObject({
          ...{ application: "tls", serverName: "app.example.com", source: "tls", alpn: ["h2"] },
          ...{ client: "192.0.2.10", serverPort: 443, clue: "handshake" },
        });
      }),
    );
  });

  test("shows its name when the capture begins after the handshake, in order", () => {
    const flow = onlyFlow(segments(hello, [100, 900], 5_000));
    expect(flow).toMatchObject({ serverName: "app.example.com", clue: "handshake" });
  });

  test("shows its name after the preliminaries of STARTTLS, and inside a proxy's tunnel", () => {
    const mail = ["EHLO me\r\n", "STARTTLS\r\n"].map(ascii);
    const connect = [ascii("CONNECT front.example:443 HTTP/1.1\r\n\r\n")];
    for (const before of [mail, connect]) {
      let sequence = CLIENT_ISN + 1;
      const packets = [...before, hello].map((payload) => {
        const packet = tcp(CLIENT, SERVER, sequence, ACK, payload);
        sequence += payload.length;
        return packet;
      });
      expect(onlyFlow([...opening, ...packets])).toMatchObject({
        ...{ serverName: "app.example.com", source: "tls" },
      });
    }
  });

  test("knows its client by the hello when the server seemed to be one", () => {
    const odd: Side = { address: SERVER.address, port: 60_000 };
    const low: Side = { address: CLIENT.address, port: 2_000 };
    const answer = tcp(odd, low, 9, ACK, [1, 2, 3]);
    const flow = onlyFlow([answer, tcp(low, odd, 1, ACK, hello)]);
    expect(flow).toMatchObject({ client: "192.0.2.10", serverPort: 60_000, clue: "handshake" });
    expect(flow.fromClient.packets).toBe(1);
  });

  test("without a name shows its certificate's, split over segments", () => {
    const flight = records(serverFlight(certificate("cn.example", ["shop.example.org"])), 120);
    const nameless = records(clientHello({ alpn: ["h2"] }));
    const packets = [
      ...opening,
      tcp(CLIENT, SERVER, CLIENT_ISN + 1, ACK, nameless),
      tcp(SERVER, CLIENT, SERVER_ISN + 1 + 200, ACK, flight.slice(200)),
      tcp(SERVER, CLIENT, SERVER_ISN + 1, ACK, flight.slice(0, 200)),
    ];
    expect(onlyFlow(packets)).toMatchObject({
      ...{ certificateName: "shop.example.org", serverName: null, application: "tls" },
    });
    const named = packets.with(3, tcp(CLIENT, SERVER, CLIENT_ISN + 1, ACK, hello));
    expect(onlyFlow(named).certificateName).toBeNull();
  });
});

describe("an HTTP flow", () => {
  const head = "GET /a HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Toy\r\n\r\n";

  test("shows its host and agent and the answer's type, its head cut anywhere", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: head.length - 1 }), (cut) => {
        const answer = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n";
        const flow = onlyFlow([
          ...opening,
          ...segments(ascii(head), [cut]),
          tcp(SERVER, CLIENT, SERVER_ISN + 1, ACK, ascii(answer)),
        ]);
        expect(flow).toMatchObject({
          ...{ application: "http", serverName: "www.example.org", source: "http" },
          ...{ userAgent: "Toy", httpTarget: "/a", contentType: "image/png" },
        });
      }),
      { numRuns: 40 },
    );
  });
});

const RESOLVER: Side = { address: [192, 0, 2, 1], port: 53 };
const ASKER: Side = { address: CLIENT.address, port: 40_000 };
const OTHER_ASKER: Side = { address: [192, 0, 2, 99], port: 40_000 };

function dnsAnswer(name: string): number[] {
  const answers: Answer[] = [{ type: "A", name, data: SERVER.address.join("."), ttl: 60 }];
  return Array.from(encode({ type: "response", questions: [{ type: "A", name }], answers }));
}

describe("names from DNS", () => {
  const query = encode({ type: "query", questions: [{ type: "A", name: "game.example" }] });
  const asked = udp(ASKER, RESOLVER, Array.from(query));
  const told = udp(RESOLVER, ASKER, dnsAnswer("game.example"));
  const play = udp(CLIENT, SERVER, [1, 2, 3]);

  test("name the flows to the address that was told, and their own flow the question", () => {
    const { ends } = run(captureOf([asked, told, play]));
    expect(ends[0]).toMatchObject({
      application: "dns",
      dnsQuestion: "game.example",
      serverPort: 53,
    });
    expect(ends[1]).toMatchObject({ dnsName: "game.example", serverName: null });
  });

  test("are the client's own before anybody else's", () => {
    const others = udp(RESOLVER, OTHER_ASKER, dnsAnswer("other.example"));
    const { ends } = run(captureOf([told, others, play]));
    expect(ends.at(-1)?.dnsName).toBe("game.example");
    const alone = run(captureOf([others, play]));
    expect(alone.ends.at(-1)?.dnsName).toBe("other.example");
  });

  test("come over TCP too, split anywhere", () => {
    const message = dnsAnswer("game.example");
    const stream = [0, message.length, ...message];
    for (let cut = 1; cut < stream.length; cut += 5) {
      const packets = [stream.slice(0, cut), stream.slice(cut)].map((part, i) =>
        tcp(RESOLVER, ASKER, 1 + i * cut, ACK, part),
      );
      expect(run(captureOf([...packets, play])).ends.at(-1)?.dnsName).toBe("game.example");
    }
  });

  test("are believed from servers' ports only, and not from multicast", () => {
    for (const port of [5353, 5355, 9_999]) {
      const liar: Side = { address: RESOLVER.address, port };
      const { ends } = run(captureOf([udp(liar, ASKER, dnsAnswer("game.example")), play]));
      expect(ends.at(-1)?.dnsName).toBeNull();
    }
  });

  test("asked and told by multicast leave open who the client is", () => {
    const host: Side = { address: CLIENT.address, port: 5353 };
    const group: Side = { address: [224, 0, 0, 251], port: 5353 };
    const flow = onlyFlow([udp(host, group, dnsAnswer("tv.local"))]);
    expect(flow).toMatchObject({ client: "192.0.2.10", clue: "first", dnsQuestion: "tv.local" });
  });

  test("name a flow whose server spoke first", () => {
    const { ends } = run(captureOf([told, udp({ ...SERVER, port: 9_000 }, CLIENT, [1])]));
    expect(ends.at(-1)?.dnsName).toBe("game.example");
  });
});

describe("a QUIC flow", () => {
  test("shows its name from its first packet, and which side is the client", () => {
    const packet = initialPacket({
      ...{ version: "v2", connectionId: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
      frames: cryptoFrame(0, clientHello({ serverName: "v.example", alpn: ["h3"] })),
    });
    const odd: Side = { address: CLIENT.address, port: 443 };
    const far: Side = { address: SERVER.address, port: 50_000 };
    const flow = onlyFlow([udp(odd, far, packet)]);
    expect(flow).toMatchObject({
      ...{ application: "quic", serverName: "v.example", source: "quic", alpn: ["h3"] },
      ...{ quicVersion: 0x6b3343cf, client: "192.0.2.10", clientPort: 443, clue: "handshake" },
    });
  });
});

describe("another flow's name", () => {
  test("serves flows to the same server that show none, and only those", () => {
    const second: Side = { ...CLIENT, port: 50_001 };
    const third: Side = { ...CLIENT, port: 50_002 };
    const { ends } = run(
      captureOf([
        ...segments(hello, []),
        tcp(second, SERVER, 1, ACK, [0x17, 3, 3, 0, 1, 9]),
        tcp(third, { ...SERVER, port: 8_443 }, 1, ACK, [0x17, 3, 3, 0, 1, 9]),
      ]),
    );
    expect(ends.map(({ siblingName }) => siblingName)).toEqual([null, "app.example.com", null]);
  });
});

describe("the matcher", () => {
  type Seen = Omit<PayloadContext, "flow"> & { readonly bytes: number[] };
  function spy(answer: (seen: Seen) => string | null) {
    const seen: Seen[] = [];
    const matcher: PayloadMatcher = {
      match(payload, context) {
        const { flow: _, ...rest } = context;
        const one = { ...rest, bytes: Array.from(payload) };
        seen.push(one);
        context.state += 1;
        return answer(one);
      },
    };
    return { matcher, seen };
  }

  test("sees the first payloads of both directions once, in order, with its own memory", () => {
    const { matcher, seen } = spy(({ index }) => (index === 1 ? "second" : null));
    const packets = [
      ...opening,
      tcp(CLIENT, SERVER, CLIENT_ISN + 1, ACK, [1, 2]),
      tcp(CLIENT, SERVER, CLIENT_ISN + 1, ACK, [1, 2]),
      tcp(SERVER, CLIENT, SERVER_ISN + 1, ACK, [3]),
      tcp(CLIENT, SERVER, CLIENT_ISN + 3, ACK, [4]),
    ];
    const flow = onlyFlow(packets, { matcher });
    expect(flow.payload).toBe("second");
    expect(
      seen.map(({ bytes, fromClient, index, state, matched }) => ({
        ...{ bytes, fromClient, index, state, matched },
      })),
    ).toEqual([
      { bytes: [1, 2], fromClient: true, index: 0, state: 0, matched: null },
      { bytes: [3], fromClient: false, index: 1, state: 1, matched: null },
      { bytes: [4], fromClient: true, index: 2, state: 2, matched: "second" },
    ]);
  });

  test("sees a bounded number of payloads, and ICMP's whole message", () => {
    const { matcher, seen } = spy(() => null);
    onlyFlow(new Array(60).fill(udp(CLIENT, SERVER, [1])), { matcher });
    expect(seen).toHaveLength(PAYLOADS_PER_FLOW_MAX);
    const icmp = spy(() => "ping");
    const flow = onlyFlow([ip(1, CLIENT, SERVER, [8, 0, 0, 0])], { matcher: icmp.matcher });
    expect(icmp.seen[0]).toMatchObject({ bytes: [8, 0, 0, 0], protocol: 1, clientPort: 0 });
    expect(flow).toMatchObject({ protocol: 1, clientPort: 0, serverPort: 0, payload: "ping" });
  });
});

describe("news", () => {
  test("comes at the packets 1, 2, 4, 8, when something is learned, and once at the end", () => {
    const plain = run(captureOf(new Array(9).fill(udp(CLIENT, SERVER, [1])))).told;
    expect(plain.map(({ news, flow }) => [news, flow.fromClient.packets])).toEqual([
      ...[
        ["progress", 1],
        ["progress", 2],
        ["progress", 4],
        ["progress", 8],
        ["end", 9],
      ],
    ]);
    const { told } = run(captureOf([...opening, ...segments(hello, [])]));
    expect(told.at(-2)).toMatchObject({ news: "signal", flow: { serverName: "app.example.com" } });
  });

  test("says that a flow ended when it was idle, when it made room, and when its ports were used anew", () => {
    const idle = tapWith({ idleMs: 1_000 });
    const frame = ethernet(udp(CLIENT, SERVER, [1]));
    idle.tap.push(pcap([{ atMs: 1e12, frame }]));
    idle.tap.expire(1e12 + 1_000);
    expect(idle.told.some(({ news }) => news === "end")).toBe(false);
    idle.tap.expire(1e12 + 1_001);
    expect(idle.told.at(-1)?.news).toBe("end");

    const others = [1, 2, 3].map((n) => udp({ ...CLIENT, port: n }, SERVER, [1]));
    const crowded = run(captureOf(others), { flowsMax: 2 });
    expect(crowded.ends.map(({ clientPort }) => clientPort)).toEqual([1, 2, 3]);
    expect(crowded.tap.counts).toMatchObject({ flows: 3, evictedFlows: 1 });

    const anew = run(
      captureOf([
        ...opening,
        ...segments(hello, []),
        tcp(CLIENT, SERVER, 1, FIN | ACK),
        tcp(CLIENT, SERVER, 900_000, SYN),
        tcp(CLIENT, SERVER, 900_001, ACK, ascii("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")),
      ]),
    );
    expect(anew.ends.map(({ serverName }) => serverName)).toEqual(["app.example.com", "b.example"]);
  });
});

describe("a flow that ends half-read", () => {
  /** Both halves of two hellos, taking turns, on two flows begun after another one ended. */
  function namesOf(before: number[], halves: readonly (readonly number[])[]): (string | null)[] {
    const { tap, told } = tapWith({ streamsMax: 2, idleMs: 1_000 });
    const frames = [before, ...halves].map((packet, i) => ({
      ...{ atMs: 1e12 + (i === 0 ? 0 : 5_000 + i), frame: ethernet(packet) },
    }));
    tap.push(pcap(frames));
    tap.finish();
    return told.filter(({ news }) => news === "end").map(({ flow }) => flow.serverName);
  }
  const sides = [1, 2, 3].map((n): Side => ({ ...CLIENT, port: 20_000 + n }));

  test("gives back its place among those that are put in order: TLS", () => {
    const half = (side: Side, part: 0 | 1) =>
      part === 0
        ? tcp(side, SERVER, 1, ACK, hello.slice(0, 500))
        : tcp(side, SERVER, 501, ACK, hello.slice(500));
    const [one, two, three] = [sides[0]!, sides[1]!, sides[2]!];
    const halves = [half(two, 0), half(three, 0), half(two, 1), half(three, 1)];
    const name = "app.example.com";
    expect(namesOf(half(one, 0), halves)).toEqual([null, name, name]);
  });

  test("gives back its place among those that are put in order: QUIC", () => {
    const handshake = clientHello({ serverName: "q.example", paddingBytes: 400 });
    const half = (side: Side, part: 0 | 1) => {
      const frames = cryptoFrame(
        ...([
          [0, handshake.slice(0, 300)],
          [300, handshake.slice(300)],
        ][part] as [number, number[]]),
      );
      const connectionId = Uint8Array.of(side.port & 0xff);
      return udp(side, SERVER, initialPacket({ version: "v1", connectionId, frames }));
    };
    const [one, two, three] = [sides[0]!, sides[1]!, sides[2]!];
    const halves = [half(two, 0), half(three, 0), half(two, 1), half(three, 1)];
    expect(namesOf(half(one, 0), halves)).toEqual([null, "q.example", "q.example"]);
  });
});

describe("who the client is", () => {
  test("is told by the SYN, also by its answer alone, then by the ports, then by who spoke first", () => {
    const high: Side = { ...SERVER, port: 61_000 };
    const cases: readonly (readonly [number[], string, string])[] = [
      [tcp(CLIENT, SERVER, 1, SYN), "192.0.2.10", "handshake"],
      [tcp(SERVER, CLIENT, 1, SYN | ACK), "192.0.2.10", "handshake"],
      [tcp(SERVER, CLIENT, 1, ACK, [1]), "192.0.2.10", "port"],
      [udp(SERVER, CLIENT, [1]), "192.0.2.10", "port"],
      [tcp(high, CLIENT, 1, ACK, [1]), "198.51.100.7", "first"],
      [udp({ ...SERVER, port: 5_000 }, CLIENT, [1]), "198.51.100.7", "first"],
    ];
    for (const [packet, client, clue] of cases) {
      expect(onlyFlow([packet])).toMatchObject({ client, clue });
    }
  });

  test("comes with its own hardware address, whichever side was seen first", () => {
    const macText = "02:00:00:00:00:0a";
    const answer = ethernet(tcp(SERVER, CLIENT, 1, SYN | ACK), SERVER_MAC, CLIENT_MAC);
    const question = ethernet(tcp(CLIENT, SERVER, 1, ACK));
    const { ends } = run(pcap([answer, question].map((frame, i) => ({ atMs: i, frame }))));
    expect(ends[0]?.mac).toBe(macText);
    expect(run(pcap([{ atMs: 0, frame: answer }])).ends[0]?.mac).toBeNull();
  });
});

describe("any capture", () => {
  const conversation = [
    ...opening,
    ...segments(hello, [300, 1_000]),
    udp(RESOLVER, ASKER, dnsAnswer("game.example")),
    udp(CLIENT, SERVER, [1, 2, 3]),
    initialPacketBetween(),
  ];
  function initialPacketBetween() {
    const frames = cryptoFrame(0, clientHello({ serverName: "q.example" }));
    const packet = initialPacket({ version: "v1", connectionId: Uint8Array.of(1), frames });
    return udp({ ...CLIENT, port: 51_000 }, SERVER, packet);
  }
  const capture = captureOf(conversation);

  test("tells the same in pieces as in one", () => {
    const whole = run(capture).told;
    fc.assert(
      fc.property(fc.array(fc.nat(capture.length), { maxLength: 20 }), (cuts) => {
        const { tap, told } = tapWith();
        const borders = [0, ...cuts.sort((a, b) => a - b), capture.length];
        for (const [i, start] of borders.slice(0, -1).entries()) {
          const piece = capture.slice(start, borders[i + 1]);
          tap.push(piece);
          // What the tap keeps must be its own.
          piece.fill(0xff);
        }
        tap.finish();
        expect(told).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  test("goes on in another one after a restart, its flows and names kept", () => {
    const { tap, told } = tapWith();
    tap.push(captureOf([udp(RESOLVER, ASKER, dnsAnswer("game.example"))]).slice(0, -10));
    tap.restartCapture();
    tap.push(captureOf([udp(RESOLVER, ASKER, dnsAnswer("game.example"))]));
    tap.restartCapture();
    tap.push(captureOf([udp(RESOLVER, ASKER, [0]), udp(CLIENT, SERVER, [1])]));
    expect(tap.counts).toMatchObject({ packets: 3, flows: 2 });
    expect(told.at(-1)?.flow.dnsName).toBe("game.example");
    expect(tap.problem).toBeNull();
  });

  test("stays as it was in the caller's memory", () => {
    const buffer = Buffer.from(capture);
    run(buffer);
    expect(new Uint8Array(buffer)).toEqual(capture);
  });

  test("damaged anywhere is read without an exception, and every flow ends once", () => {
    const change = fc.tuple(fc.nat(capture.length - 1), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 40 }),
        fc.nat(3),
        (changes, extra) => {
          const bytes = capture.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const { told, tap } = run(bytes, { flowsMax: 1 + extra, streamsMax: 1, namesMax: 1 });
          const ended = told.filter(({ news }) => news === "end").map(({ flow }) => flow.id);
          expect(new Set(ended).size).toBe(ended.length);
          expect(ended.length).toBe(tap.counts.flows);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("that is no capture is named, and the packets of one cut short are kept", () => {
    expect(run(bytesOf(ascii("hello, world"))).problem?.code).toBe("ERR_CAPTURE_FORMAT");
    const { problem, tap } = run(capture.slice(0, -1));
    expect(problem?.code).toBe("ERR_CAPTURE_TRUNCATED");
    expect(tap.counts.packets).toBe(conversation.length - 1);
  });
});
