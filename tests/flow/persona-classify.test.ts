// A whole capture, classified by the class and by the command.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CaptureClassifier } from "../../src/flow/persona/classify.ts";
import { shippedCatalog } from "../../src/flow/persona/shipped-catalog.ts";
import { formatVerdict } from "../../src/flow/persona/verdict-line.ts";
import { NodeQuicCrypto } from "../../src/io/quic-crypto.ts";
import { myco } from "../cli/terminal.ts";
import { clientHello, records } from "./handshakes.ts";
import {
  ACK,
  ascii,
  CLIENT,
  CLIENT6,
  captureOf,
  SERVER,
  SERVER6,
  SYN,
  tcp,
  udp,
} from "./packets.ts";

const catalog = shippedCatalog();
const crypto = new NodeQuicCrypto();

/** A visit to a film service, a shell, a ping of a game over IPv6, and a question about the time. */
function capture(): Uint8Array {
  const shell = { ...SERVER, port: 22 };
  const game = { ...SERVER6, port: 27_015 };
  const clock = { ...SERVER, port: 123 };
  const hello = records(clientHello({ serverName: "www.netflix.com" }));
  const half = Math.floor(hello.length / 2);
  return captureOf([
    tcp(CLIENT, SERVER, 99, SYN),
    tcp(SERVER, CLIENT, 499, SYN | ACK),
    tcp(CLIENT, SERVER, 100, ACK, hello.slice(0, half)),
    tcp(shell, CLIENT, 1, ACK, ascii("SSH-2.0-OpenSSH_9.9\r\n")),
    tcp(CLIENT, SERVER, 100 + half, ACK, hello.slice(half)),
    udp(CLIENT6, game, [0xff, 0xff, 0xff, 0xff, ...ascii("TSource Engine Query\0")]),
    udp(CLIENT, clock, [0x23, ...new Array<number>(47).fill(0)]),
  ]);
}

function classify(bytes: Uint8Array, pieceBytes: number): string[] {
  const lines: string[] = [];
  const classifier = new CaptureClassifier({
    catalog,
    crypto,
    onVerdict: (verdict) => lines.push(formatVerdict(verdict)),
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    classifier.push(bytes.slice(at, at + pieceBytes));
  }
  expect(classifier.finish()).toBeNull();
  return lines;
}

test("every flow of a capture has its verdict, in both families", () => {
  const flows = classify(capture(), 1e6).map((line) => JSON.parse(line) as Record<string, unknown>);
  const told = flows.map(({ proto, dport, service, hostname }) => [
    proto,
    dport,
    service,
    hostname,
  ]);
  expect(told.sort()).toEqual(
    [
      ["tcp", 443, "video_vod", "www.netflix.com"],
      ["tcp", 22, "remote_shell", null],
      ["udp", 27_015, "game_rt", null],
      ["udp", 123, "system", null],
    ].sort(),
  );
});

test("verdicts do not depend on how the capture's bytes arrive", () => {
  const bytes = capture();
  const whole = classify(bytes, bytes.length);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), (pieceBytes) => {
      expect(classify(bytes, pieceBytes)).toEqual(whole);
    }),
    { numRuns: 50 },
  );
});

test("bytes that fell over never throw", () => {
  const bytes = capture();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 20 }),
      (flips) => {
        const broken = Uint8Array.from(bytes);
        for (const [at, bits] of flips) broken[at]! ^= bits;
        const classifier = new CaptureClassifier({ catalog, crypto, onVerdict: () => {} });
        classifier.push(broken);
        classifier.finish();
      },
    ),
    { numRuns: 300 },
  );
});

describe("myco flow classify", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "myco-classify-"));
    file = join(folder, "evening.pcap");
    writeFileSync(file, capture());
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const run = (...args: string[]) => myco(["flow", "classify", ...args], { cwd: folder });

  test("prints one line of JSON for each flow, without a daemon", async () => {
    const { exitCode, out, err } = await run("evening.pcap");
    expect([exitCode, err]).toEqual([0, ""]);
    const lines = out.trimEnd().split("\n");
    expect(lines.sort()).toEqual(classify(capture(), 1e6).sort());
    expect(Object.keys(JSON.parse(lines[0]!) as object)).toEqual([
      "proto",
      "src",
      "sport",
      "dst",
      "dport",
      "service",
      "persona",
      "confidence",
      "signals",
      "hostname",
    ]);
  });

  test("reads standard input, and several captures", async () => {
    const stdin = Buffer.from(capture()).toString("latin1");
    const one = await myco(["flow", "classify", "-"], { cwd: folder, stdin });
    expect(one.out.split("\n").length).toBe(5);
    const two = await run("evening.pcap", file);
    expect(two.out.split("\n").length).toBe(9);
  });

  test("takes names from a folder of the user's, and says which files it left out", async () => {
    mkdirSync(join(folder, "names"));
    writeFileSync(
      join(folder, "names", "a.yaml"),
      "Mine:\n  service: bulk_dl\n  names: [netflix.com]\n",
    );
    writeFileSync(join(folder, "names", "b.yaml"), "Mine:\n  service: chess\n");
    const { exitCode, out, err } = await run("evening.pcap", "--catalog", "names");
    expect(exitCode).toBe(0);
    expect(out).toMatch(/"service":"bulk_dl".*"hostname":"www.netflix.com"/);
    expect(err).toMatch(/b\.yaml is left out:\n.*b\.yaml:2:12: Mine\.service: found "chess"/);
  });

  test.each([
    ["a file that is not there", ["gone.pcap"], 4, /there is no .*gone\.pcap/],
    ["a folder", ["."], 2, /is a folder/],
    [
      "a catalogue that is not there",
      ["evening.pcap", "--catalog", "gone"],
      4,
      /there is no folder/,
    ],
    ["no file at all", [], 2, /missing required argument/],
  ])("%s is told in words", async (_, args, code, message) => {
    const { exitCode, err } = await run(...args);
    expect(exitCode).toBe(code);
    expect(err).toMatch(message);
  });

  test("what is no capture is refused", async () => {
    writeFileSync(file, "twelve o'clock and all is well");
    const { exitCode, err } = await run("evening.pcap");
    expect(exitCode).toBe(1);
    expect(err).toMatch(/evening\.pcap is neither pcap nor pcapng/);
  });

  test("a capture that was cut off tells what it holds", async () => {
    writeFileSync(file, capture().subarray(0, -9));
    const { exitCode, out, err } = await run("evening.pcap");
    expect(exitCode).toBe(0);
    expect(out.split("\n").length).toBe(4);
    expect(err).toMatch(/ends in the middle of a packet/);
  });
});
