// What a flow is taken for, by which signs, and how they are weighed against each other.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SERVICES } from "../../src/flow/interface.ts";
import { BEHAVIOUR_CONFIDENCE_MAX, guessByBehaviour } from "../../src/flow/persona/behaviour.ts";
import { Classifier, NOTHING_DECLARED } from "../../src/flow/persona/classifier.ts";
import { signatureIds } from "../../src/flow/persona/payload-matcher.ts";
import { PersonaRules } from "../../src/flow/persona/rules.ts";
import { shippedCatalog } from "../../src/flow/persona/shipped-catalog.ts";
import { formatVerdict } from "../../src/flow/persona/verdict-line.ts";
import { type FlowFeatures, PACKET_SIZE_BINS } from "../../src/flow/tap/features.ts";
import { PERSONAS } from "../../src/schema/service.ts";
import { direction, type FlowParts, flow, TCP, UDP } from "./features.ts";

const catalog = shippedCatalog();

function classifier(rules = new PersonaRules(), declared = NOTHING_DECLARED): Classifier {
  return new Classifier({ catalog, rules, declared });
}

const classify = (parts: FlowParts) => classifier().classify(flow(parts));
const tls = (serverName: string, parts: FlowParts = {}): FlowParts => ({
  key: { serverPort: 443 },
  application: "tls",
  serverName,
  serverNameSource: "tls",
  ...parts,
});
const histogram = (...bins: number[]) =>
  Uint32Array.from({ length: PACKET_SIZE_BINS }, (_, i) => bins[i] ?? 0);
const voice = direction({
  packets: 200,
  bytes: 200 * 200,
  interArrivalMeanMs: 20,
  interArrivalVarianceMs2: 9,
});

describe("the sign that decides", () => {
  test("is the name before anything else the wire shows", () => {
    expect(classify(tls("www.netflix.com", { dnsName: "cdn.example.org" }))).toMatchObject({
      service: "video_vod",
      persona: "streaming",
      signals: ["tls"],
      hostname: "www.netflix.com",
    });
  });

  test("a name nobody knows is a site somebody visits, with half the trust", () => {
    const verdict = classify(tls("www.wholly-unknown.example"));
    expect(verdict).toMatchObject({ service: "web_interactive", signals: ["tls", "port"] });
    expect(verdict.confidence).toBeLessThan(0.8);
  });

  test("is the name told by DNS where the flow shows none", () => {
    const verdict = classify({ key: { serverPort: 443 }, dnsName: "rr1.googlevideo.com" });
    expect(verdict).toMatchObject({ service: "video_vod", signals: ["dns"] });
    expect(verdict.confidence).toBeLessThan(classify(tls("rr1.googlevideo.com")).confidence);
  });

  test("is the name another flow showed to the same server, by its address", () => {
    const verdict = classify({ key: { serverPort: 443 }, siblingName: "rr1.googlevideo.com" });
    expect(verdict).toMatchObject({ service: "video_vod", signals: ["address"] });
  });

  test("is the certificate's name where the client sent none", () => {
    expect(
      classify({ application: "tls", certificateName: "AnyNet Relay", key: { serverPort: 443 } }),
    ).toMatchObject({ service: "remote_shell", signals: ["tls"] });
  });

  test("is the payload before the port", () => {
    expect(classify({ payload: "ssh", key: { serverPort: 443 } })).toMatchObject({
      service: "remote_shell",
      signals: ["payload"],
    });
  });

  test("is the port where nothing else speaks, with less trust", () => {
    const verdict = classify({ key: { serverPort: 22 } });
    expect(verdict).toMatchObject({ service: "remote_shell", signals: ["port"] });
    expect(verdict.confidence).toBeLessThan(0.7);
  });

  test("agreement takes doubt away", () => {
    const alone = classify({ key: { serverPort: 50_123 }, payload: "ssh" });
    const both = classify({ key: { serverPort: 22 }, payload: "ssh" });
    expect(both.signals).toEqual(["payload", "port"]);
    expect(both.confidence).toBeGreaterThan(alone.confidence);
  });

  test("nothing known is unknown, with no confidence", () => {
    expect(classify({})).toMatchObject({
      service: "unknown",
      persona: "unknown",
      confidence: 0,
      signals: [],
      hostname: null,
    });
  });

  test("a tunnel is recognised, to be left alone", () => {
    const key = { protocol: UDP, serverPort: 40_123 };
    const talk = { fromClient: voice, fromServer: voice };
    expect(classify({ key, payload: "wireguard", ...talk }).service).toBe("unknown");
    expect(classify({ key, ...talk }).service).not.toBe("unknown");
  });
});

describe("what shows no name", () => {
  test.each([
    ["tls", 8_443, "web_interactive"],
    ["quic", 443, "web_interactive"],
    ["http", 50_123, "web_interactive"],
  ] as const)("%s on port %i is the web, with little trust", (application, serverPort, service) => {
    const verdict = classify({ application, key: { serverPort } });
    expect(verdict.service).toBe(service);
    expect(verdict.confidence).toBeLessThan(0.6);
  });

  test("an exchange on UDP port 443 too small for QUIC is a system's question", () => {
    const key = { protocol: UDP, serverPort: 443 };
    expect(classify({ key }).service).toBe("system");
    const full = direction({ packets: 4, sizeHistogram: histogram(0, 0, 0, 0, 0, 0, 0, 4) });
    expect(classify({ key, fromServer: full }).service).toBe("web_interactive");
  });

  test("a system port that nobody claims is the system's", () => {
    const verdict = classify({ key: { serverPort: 999 } });
    expect(verdict).toMatchObject({ service: "system", confidence: 0.25, signals: ["port"] });
  });
});

describe("DNS and protocols without ports", () => {
  test("DNS is the system's, whatever it asks for", () => {
    const verdict = classify({
      key: { protocol: UDP, serverPort: 53 },
      application: "dns",
      dnsQuestion: "www.netflix.com",
    });
    expect(verdict).toMatchObject({ service: "system", hostname: "www.netflix.com" });
  });

  test("DNS over TLS goes by its ALPN, over a known resolver by its name", () => {
    expect(classify(tls("resolver.example", { alpn: ["dot"] })).service).toBe("system");
    expect(classify(tls("dns.quad9.net")).service).toBe("system");
  });

  test.each([1, 2, 58, 89, 112])("IP protocol %i is the system's", (protocol) => {
    expect(classify({ key: { protocol, clientPort: 0, serverPort: 0 } }).service).toBe("system");
  });

  test.each([47, 50])("IP protocol %i could carry anything", (protocol) => {
    expect(classify({ key: { protocol, clientPort: 0, serverPort: 0 } }).service).toBe("unknown");
  });
});

describe("media that anybody could send", () => {
  const key = { protocol: UDP, serverPort: 40_000 };

  test.each([
    ["web.whatsapp.com", "voip_call"],
    ["mmr.zoom.us", "video_conf"],
    ["us-east.discord.media", "voip_call"],
  ])("is the server's business: %s means %s", (dnsName, service) => {
    expect(classify({ key, payload: "stun", dnsName }).service).toBe(service);
  });

  test("goes by the network where no name is known, on either side", () => {
    const zoom = { server: "170.114.10.1" };
    expect(classify({ key: { ...key, ...zoom }, payload: "dtls" }).service).toBe("video_conf");
    expect(classify({ key: { ...key, client: zoom.server }, payload: "dtls" }).service).toBe(
      "video_conf",
    );
  });

  test("is a call, with little trust, where nobody is known", () => {
    const verdict = classify({ key, payload: "stun" });
    expect(verdict.service).toBe("voip_call");
    expect(verdict.confidence).toBeLessThan(0.7);
  });

  test("a call full of large packets is a video call", () => {
    const pictures = direction({
      packets: 300,
      bytes: 300_000,
      sizeHistogram: histogram(0, 0, 0, 0, 0, 60, 140, 100),
    });
    expect(classify({ key, payload: "rtp", fromServer: pictures })).toMatchObject({
      service: "video_conf",
      persona: "video",
    });
  });

  test("a company's UDP is its play, its pages are not", () => {
    expect(classify({ key, dnsName: "euw1.leagueoflegends.com" }).service).toBe("game_rt");
    expect(classify({ key: { protocol: UDP, serverPort: 7985 } }).service).toBe("voip_call");
    expect(classify(tls("euw1.leagueoflegends.com")).service).toBe("game_launcher");
    const quic = {
      application: "quic",
      serverName: "www.roblox.com",
      serverNameSource: "quic",
    } as const;
    expect(classify({ key: { protocol: UDP, serverPort: 443 }, ...quic })).toMatchObject({
      service: "game_launcher",
      signals: ["quic"],
    });
  });
});

describe("HTTP", () => {
  const http = (parts: FlowParts): FlowParts => ({
    key: { serverPort: 80 },
    application: "http",
    serverName: "files.unheard-of.example",
    serverNameSource: "http",
    ...parts,
  });

  test.each([
    ["a tracker's query", { httpTarget: "/announce?info_hash=%00" }, "torrent"],
    ["a film by its media type", { contentType: "video/mp4" }, "video_vod"],
    ["a live playlist", { httpTarget: "/live/ch1/index.m3u8" }, "video_live"],
    [
      "a package by its media type",
      { contentType: "application/vnd.debian.binary-package" },
      "bulk_dl",
    ],
    ["a file by its ending", { httpTarget: "/pool/setup.exe?x=1" }, "bulk_dl"],
    ["an updater by its name", { userAgent: "Windows-Update-Agent/10.0" }, "bulk_dl"],
    ["a launcher by its name", { userAgent: "Valve/Steam HTTP Client 1.0" }, "game_launcher"],
    ["a page", { contentType: "text/html", httpTarget: "/" }, "web_interactive"],
  ])("%s", (_, parts, service) => {
    expect(classify(http(parts)).service).toBe(service);
  });
});

describe("a name that is only the front's", () => {
  test("counts half under ECH", () => {
    const shown = classify(tls("www.netflix.com"));
    const hidden = classify(tls("www.netflix.com", { encryptedClientHello: true }));
    expect(hidden.confidence).toBeLessThan(shown.confidence);
  });
});

describe("rules and declarations", () => {
  test("a rule says the persona; the service stays what the wire tells", () => {
    const rules = new PersonaRules();
    rules.add({ persona: "gaming", device: "02:00:5e:10:00:01" });
    const verdict = classifier(rules).classify(flow(tls("www.netflix.com")));
    expect(verdict).toMatchObject({
      service: "video_vod",
      persona: "gaming",
      confidence: 1,
      signals: ["rule", "tls"],
    });
  });

  test("a declaration of the mesh comes next, for the server or the client side", () => {
    const declared = {
      personaAt: (protocol: number, address: string, port: number) =>
        protocol === TCP && address === "203.0.113.9" && port === 443 ? ("video" as const) : null,
    };
    const judge = classifier(new PersonaRules(), declared);
    expect(judge.classify(flow(tls("example.org")))).toMatchObject({
      persona: "video",
      confidence: 0.98,
    });
    const reversed = { client: "203.0.113.9", clientPort: 443, server: "192.168.1.7" };
    expect(judge.classify(flow({ key: reversed })).signals[0]).toBe("declared");
    expect(judge.classify(flow({ key: { server: "203.0.113.10" } })).persona).toBe("unknown");
  });

  test("a rule wins over a declaration", () => {
    const rules = new PersonaRules();
    rules.add({ persona: "bulk", port: "tcp/443" });
    const judge = classifier(rules, { personaAt: () => "voip" });
    expect(judge.classify(flow(tls("example.org"))).persona).toBe("bulk");
  });
});

describe("behaviour", () => {
  const udp = { protocol: UDP, serverPort: 40_123 };

  test.each([
    ["a steady exchange of voice frames", { fromClient: voice, fromServer: voice }, "voip_call"],
    [
      "small steady updates",
      {
        fromClient: direction({
          packets: 100,
          bytes: 8_000,
          interArrivalMeanMs: 50,
          interArrivalVarianceMs2: 100,
        }),
      },
      "game_rt",
    ],
    [
      "large packets one way",
      {
        fromServer: direction({
          packets: 400,
          bytes: 500_000,
          sizeHistogram: histogram(0, 0, 0, 0, 0, 0, 0, 400),
        }),
        symmetry: 0.02,
      },
      "video_live",
    ],
  ] as const)("%s", (_, parts, service) => {
    expect(guessByBehaviour(flow({ key: udp, ...parts }))?.service).toBe(service);
  });

  test("a message to everybody near is the system's", () => {
    for (const server of ["239.1.2.3", "255.255.255.255", "ff02::114"]) {
      expect(guessByBehaviour(flow({ key: { ...udp, server } }))?.service).toBe("system");
    }
  });

  test("too little says nothing", () => {
    expect(guessByBehaviour(flow({ key: udp }))).toBeNull();
    expect(guessByBehaviour(flow())).toBeNull();
  });
});

const count = fc.nat({ max: 100_000 });
const anyDirection = fc.record({
  packets: count,
  bytes: count,
  payloadPackets: count,
  payloadBytes: count,
  sizeHistogram: fc.uint32Array({ minLength: PACKET_SIZE_BINS, maxLength: PACKET_SIZE_BINS }),
  interArrivalMeanMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
  interArrivalVarianceMs2: fc.double({ min: 0, max: 1e9, noNaN: true }),
});
const anyName = fc.option(
  fc.oneof(fc.domain(), fc.string(), fc.constantFrom("stun.x", "www.google.com", "zoom.us")),
  { nil: null },
);
const anyFlow: fc.Arbitrary<FlowFeatures> = fc
  .record({
    protocol: fc.oneof(fc.constantFrom(TCP, UDP), fc.nat({ max: 255 })),
    ports: fc.tuple(fc.nat({ max: 65_535 }), fc.nat({ max: 65_535 })),
    addresses: fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.oneof(fc.ipV4(), fc.ipV6())),
    fromClient: anyDirection,
    fromServer: anyDirection,
    symmetry: fc.double({ min: 0, max: 1, noNaN: true }),
    application: fc.constantFrom(null, "tls", "quic", "http", "dns"),
    serverName: anyName,
    dnsName: anyName,
    siblingName: anyName,
    certificateName: anyName,
    userAgent: fc.option(fc.string(), { nil: null }),
    httpTarget: fc.option(fc.string(), { nil: null }),
    contentType: fc.option(fc.string(), { nil: null }),
    alpn: fc.array(fc.constantFrom("h2", "dot", "x"), { maxLength: 3 }),
    encryptedClientHello: fc.boolean(),
    payload: fc.option(fc.constantFrom(...signatureIds(UDP), ...signatureIds(TCP), "junk"), {
      nil: null,
    }),
  })
  .map(({ protocol, ports, addresses, application, ...parts }) =>
    flow({
      key: {
        protocol,
        client: addresses[0],
        clientPort: ports[0],
        server: addresses[1],
        serverPort: ports[1],
      },
      ...parts,
      application: application as FlowFeatures["application"],
      serverNameSource: parts.serverName === null ? null : "tls",
    }),
  );

describe("any flow", () => {
  test("has a verdict of the known words, and a confidence from 0 to 1", () => {
    const judge = classifier();
    fc.assert(
      fc.property(anyFlow, (any) => {
        const verdict = judge.classify(any);
        expect(SERVICES).toContain(verdict.service);
        expect(PERSONAS).toContain(verdict.persona);
        expect(verdict.confidence).toBeGreaterThanOrEqual(0);
        expect(verdict.confidence).toBeLessThanOrEqual(0.99);
        expect(verdict.signals.length === 0).toBe(verdict.service === "unknown");
        expect(new Set(verdict.signals).size).toBe(verdict.signals.length);
        expect(judge.classify(any)).toEqual(verdict);
        expect(() => JSON.parse(formatVerdict(verdict))).not.toThrow();
      }),
      { numRuns: 1_000 },
    );
  });

  test("is never trusted by its behaviour alone", () => {
    fc.assert(
      fc.property(anyFlow, (any) => {
        const confidence = guessByBehaviour(any)?.confidence ?? 0;
        expect(confidence).toBeLessThanOrEqual(BEHAVIOUR_CONFIDENCE_MAX);
      }),
    );
  });
});

test("a verdict is printed with its keys in order", () => {
  const line = formatVerdict(classify(tls("www.netflix.com")));
  expect(line).toBe(
    '{"proto":"tcp","src":"192.168.1.7","sport":51000,"dst":"203.0.113.9","dport":443,' +
      '"service":"video_vod","persona":"streaming","confidence":0.9,"signals":["tls"],"hostname":"www.netflix.com"}',
  );
});
