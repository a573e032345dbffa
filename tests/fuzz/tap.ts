// Feeds the tap captures that were damaged on purpose: generated ones, and those of a folder.
//
//   npm run fuzz -- --seconds 30 --seed 1 [--corpus DIR] [--case N]
//
// Counts exceptions, broken promises (every flow ends once, no packet is lost or invented) and slow
// inputs: those that take far longer than their size explains. The case that went wrong is named; the
// same seed and corpus give it again with `--case`. Exit status 1 when anything was found.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CaptureReader } from "../../src/flow/tap/capture.ts";
import type { FlowFeatures, PayloadMatcher } from "../../src/flow/tap/features.ts";
import { Tap } from "../../src/flow/tap/tap.ts";
import { NodeQuicCrypto } from "../../src/io/quic-crypto.ts";
import { randomBelow, SeededRandom } from "../../src/kernel/random.ts";
import {
  certificate,
  clientHello,
  cryptoFrame,
  initialPacket,
  records,
  serverFlight,
} from "../flow/handshakes.ts";
import {
  ACK,
  ascii,
  bytesOf,
  type Captured,
  CLIENT,
  CLIENT6,
  captureOf,
  pcap,
  SERVER,
  SERVER6,
  SYN,
  tcp,
  udp,
} from "../flow/packets.ts";

/** Processor time that a byte may take at most, and that an input may however small, on a slow machine. */
const SLOW_NS_PER_BYTE = 3_000;
const SLOW_NS_MIN = 200e6;
/** Of larger captures, the beginning is damaged. */
const INPUT_BYTES_MAX = 512 * 1024;

interface Finding {
  readonly caseNumber: number;
  readonly source: string;
  readonly what: string;
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    corpus: { type: "string" },
    case: { type: "string" },
  },
});

/** Captures to damage, by name. */
function corpus(): ReadonlyMap<string, Uint8Array> {
  const files = new Map([["generated", generatedCapture()]]);
  if (values.corpus === undefined) return files;
  for (const name of readdirSync(values.corpus).sort()) {
    if (!/\.p?cap(ng)?$/.test(name)) continue;
    const content = new Uint8Array(readFileSync(join(values.corpus, name)));
    files.set(name, content.subarray(0, INPUT_BYTES_MAX));
  }
  return files;
}

/** A conversation of every kind the tap has a parser for. */
function generatedCapture(): Uint8Array {
  const hello = records(
    clientHello({ serverName: "a.example", alpn: ["h2"], paddingBytes: 900 }),
    300,
  );
  const flight = records(serverFlight(certificate("b.example", ["c.example", "*.d.example"])));
  const resolver = { ...SERVER, port: 53 };
  const question = [...[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], 1, 0x61, 0, 0, 1, 0, 1];
  const answer = [
    ...[0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0x61, 0, 0, 1, 0, 1],
    ...[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, 0x62, 0xc0, 12],
    ...[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 198, 51, 100, 7],
  ];
  const quic = [0, 1].map((half) =>
    initialPacket({
      version: half === 0 ? "v1" : "v2",
      connectionId: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
      frames: [2, 0, 0, 0, 0, ...cryptoFrame(0, clientHello({ serverName: "q.example" }))],
    }),
  );
  const web = { ...SERVER, port: 80 };
  return captureOf([
    tcp(CLIENT, SERVER, 99, SYN),
    tcp(CLIENT, SERVER, 500, ACK, hello.slice(400)),
    tcp(CLIENT, SERVER, 100, ACK, hello.slice(0, 400)),
    tcp(SERVER, CLIENT, 7, ACK, flight.slice(0, 300)),
    tcp(SERVER, CLIENT, 307, ACK, flight.slice(300)),
    udp(CLIENT, resolver, question),
    udp(resolver, CLIENT, answer),
    tcp(CLIENT, resolver, 1, ACK, [0, question.length, ...question]),
    udp(CLIENT6, SERVER6, quic[0]!),
    udp(CLIENT, SERVER, [...quic[1]!, ...quic[1]!]),
    udp({ ...CLIENT, port: 5 }, SERVER, [
      9,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      ...ascii("Q043CHLO\u0001\u0000\u0000\u0000SNI\u0000\u0003\u0000\u0000\u0000a.b"),
    ]),
    tcp(
      CLIENT6,
      { ...SERVER6, port: 80 },
      1,
      ACK,
      ascii("GET / HTTP/1.1\r\nHost: e.example\r\n\r\n"),
    ),
    tcp(CLIENT, web, 1, ACK, ascii("CONNECT e.example:443 HTTP/1.1\r\n\r\n")),
    tcp(web, CLIENT, 1, ACK, ascii("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n")),
  ]);
}

/** The frames of one capture, each with what comes before it in time. */
function framesOf(capture: Uint8Array): { linkType: number; frames: Captured[] } {
  const frames: Captured[] = [];
  let linkType = 1;
  const reader = new CaptureReader((bytes, start, end, type, atMs) => {
    linkType = type;
    frames.push({ atMs, frame: Array.from(bytes.subarray(start, end)) });
  });
  reader.push(capture);
  return { linkType, frames };
}

/** Damages frames one by one, so that the capture around them stays readable to its end. */
function damageFrames(original: Uint8Array, random: SeededRandom): Uint8Array {
  const { linkType, frames } = framesOf(original);
  const from = randomBelow(random, Math.max(1, frames.length - 50));
  const some = frames.slice(from, from + 200).map(({ atMs, frame }) => {
    const isDamaged = randomBelow(random, 3) > 0;
    const bytes = Uint8Array.from(frame);
    return { atMs, frame: Array.from(isDamaged ? damage(bytes, random) : bytes) };
  });
  // Repeated and in another order, as networks do.
  for (let swaps = randomBelow(random, 20); swaps > 0 && some.length > 0; swaps -= 1) {
    some[randomBelow(random, some.length)] = some[randomBelow(random, some.length)]!;
  }
  return pcap(some, linkType);
}

/** Values at which parsers change their mind. */
const ODD_BYTES = [0, 1, 2, 3, 6, 0x0d, 0x16, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

function damage(original: Uint8Array, random: SeededRandom): Uint8Array {
  const below = (bound: number) => randomBelow(random, bound);
  let bytes: Uint8Array = original.slice();
  for (let rounds = 1 + below(12); rounds > 0 && bytes.length > 0; rounds -= 1) {
    const at = below(bytes.length);
    switch (below(6)) {
      case 0:
        bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        bytes[at] = ODD_BYTES[below(ODD_BYTES.length)]!;
        break;
      case 2:
        bytes.fill(ODD_BYTES[below(ODD_BYTES.length)]!, at, at + 1 + below(8));
        break;
      case 3:
        bytes.copyWithin(at, below(bytes.length), below(bytes.length));
        break;
      case 4:
        bytes = bytesOf(
          bytes.subarray(0, at),
          bytes.subarray(Math.min(bytes.length, at + 1 + below(40))),
        );
        break;
      default:
        bytes = bytes.slice(0, Math.max(1, at));
    }
  }
  return bytes;
}

/** Reads everything a consumer may, as the persona room would. */
function touch(flow: FlowFeatures): number {
  const { key, fromClient, fromServer, alpn } = flow;
  const texts = [flow.serverName, flow.dnsName, flow.certificateName, flow.dnsQuestion];
  const size = texts.reduce((sum, text) => sum + (text?.length ?? 0), alpn.length);
  return size + key.client.length + fromClient.sizeHistogram[0]! + fromServer.interArrivalMeanMs;
}

const touchingMatcher: PayloadMatcher = {
  match(payload, context) {
    context.state += payload[0]! + payload[payload.length - 1]!;
    return context.index % 5 === 0 ? "fuzz" : null;
  },
};

/** @returns what went wrong, or null */
function runCase(bytes: Uint8Array, random: SeededRandom): string | null {
  const open = new Set<number>();
  let broken: string | null = null;
  const tap = new Tap({
    crypto: new NodeQuicCrypto(),
    matcher: touchingMatcher,
    flowsMax: 1 + randomBelow(random, 64),
    namesMax: 1 + randomBelow(random, 16),
    streamsMax: 1 + randomBelow(random, 4),
    idleMs: 10_000,
    hashSeed: random.u32(),
    onFlow(flow, news) {
      if (!Number.isFinite(touch(flow))) broken = "a flow's figures are not finite";
      open.add(flow.id);
      if (news === "end" && !open.delete(flow.id)) broken = "a flow ended twice";
    },
  });
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + randomBelow(random, 70_000);
    tap.push(bytes.subarray(at, at + length));
    at += length;
  }
  tap.finish();
  if (open.size > 0) return "a flow did not end";
  return broken;
}

function main(): number {
  const files = [...corpus()];
  const seed = BigInt(values.seed);
  const endMs = performance.now() + Number(values.seconds) * 1e3;
  const findings: Finding[] = [];
  const first = values.case === undefined ? 0 : Number(values.case);
  let caseNumber = first;
  let sizeBytes = 0;
  let slowest = { nsPerByte: 0, source: "" };
  while (values.case === undefined ? performance.now() < endMs : caseNumber === first) {
    // A generator for each case, so that one can be run alone.
    const random = new SeededRandom((seed << 32n) ^ BigInt(caseNumber));
    const [source, original] = files[randomBelow(random, files.length)]!;
    const bytes =
      randomBelow(random, 3) === 0 ? damage(original, random) : damageFrames(original, random);
    const before = process.cpuUsage();
    let what: string | null;
    try {
      what = runCase(bytes, random);
    } catch (error) {
      what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    const { user, system } = process.cpuUsage(before);
    const tookNs = (user + system) * 1e3;
    const nsPerByte = tookNs / bytes.length;
    if (bytes.length > 10_000 && nsPerByte > slowest.nsPerByte) slowest = { nsPerByte, source };
    if (tookNs > SLOW_NS_MIN + SLOW_NS_PER_BYTE * bytes.length) what ??= `slow: ${tookNs / 1e6} ms`;
    if (what !== null) findings.push({ caseNumber, source, what });
    sizeBytes += bytes.length;
    caseNumber += 1;
    if (findings.length >= 20) break;
  }
  report(caseNumber - first, sizeBytes, slowest, findings);
  return findings.length === 0 ? 0 : 1;
}

function report(
  cases: number,
  sizeBytes: number,
  slowest: { nsPerByte: number; source: string },
  findings: readonly Finding[],
): void {
  for (const { caseNumber, source, what } of findings) {
    console.log(`case ${caseNumber} (${source}): ${what}`);
  }
  const size = (sizeBytes / 1e6).toFixed(1);
  console.log(`${cases} damaged captures, ${size} MB, seed ${values.seed}`);
  console.log(`slowest: ${slowest.nsPerByte.toFixed(0)} ns a byte, of ${slowest.source}`);
  console.log(findings.length === 0 ? "nothing found" : `${findings.length} FOUND`);
}

process.exitCode = main();
