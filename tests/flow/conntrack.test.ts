// The kernel's connections: rows as kernel 6.12 prints them and any text, and a table that is bounded.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { CONNTRACK_FILE, ConntrackTable } from "../../src/flow/sense/conntrack.ts";
import { parseConntrackRow } from "../../src/flow/sense/conntrack-row.ts";
import {
  CONNTRACK_FLOWS_MAX,
  CONNTRACK_IDLE_MS,
  CONNTRACK_PASS_MS,
} from "../../src/kernel/limits.ts";
import { FakeFiles } from "./fakes.ts";

const captured = readFileSync(new URL("captures/nf_conntrack.txt", import.meta.url), "utf8");

interface RowFacts {
  readonly client?: string;
  readonly port?: number;
  readonly bytes?: number;
  readonly mark?: number;
}

function rowText({ client = "10.0.0.7", port = 40_000, bytes = 1_000, mark = 0 }: RowFacts = {}) {
  return (
    `ipv4     2 tcp      6 431999 ESTABLISHED src=${client} dst=203.0.113.9 sport=${port} dport=443 ` +
    `packets=10 bytes=${bytes} src=203.0.113.9 dst=198.51.100.2 sport=443 dport=${port} ` +
    `packets=20 bytes=${bytes * 3} [ASSURED] mark=${mark} zone=0 use=2`
  );
}

describe("a row", () => {
  test("of a translated connection tells both sides, counts, mark and who answers", () => {
    expect(parseConntrackRow(rowText({ mark: 4_261_412_864 }))).toEqual({
      protocol: 6,
      client: "10.0.0.7",
      clientPort: 40_000,
      server: "203.0.113.9",
      serverPort: 443,
      answerer: "203.0.113.9",
      answeredTo: "198.51.100.2",
      counts: {
        uploadPackets: 10,
        uploadBytes: 1_000,
        downloadPackets: 20,
        downloadBytes: 3_000,
      },
      mark: 4_261_412_864,
      isAnswered: true,
    });
  });

  test("of a kernel that does not count has no counts", () => {
    const row = rowText().replaceAll(/ (packets|bytes)=[0-9]+/g, "");
    expect(parseConntrackRow(row)).toMatchObject({ clientPort: 40_000, counts: null });
  });

  test("as conntrack -L prints it is the same", () => {
    expect(parseConntrackRow(rowText().replace(" zone=0", ""))).toEqual(
      parseConntrackRow(rowText()),
    );
  });

  test.each([
    "",
    "ipv4",
    "garbage src=1 src=2",
    rowText().slice(5),
    `${rowText()}${"x".repeat(2_000)}`,
  ])("of another form is none: %j", (row) => {
    expect(parseConntrackRow(row)).toBe(null);
  });

  test("with anything changed gives null or numbers that can be", () => {
    const row = rowText();
    fc.assert(
      fc.property(
        fc.nat(row.length),
        fc.nat(12),
        fc.oneof(
          fc.string({ maxLength: 8 }),
          fc.constantFrom("=99999999999999999999", " src=", "-1"),
        ),
        (at, cut, text) => {
          const parsed = parseConntrackRow(row.slice(0, at) + text + row.slice(at + cut));
          if (parsed === null) return;
          const { counts, clientPort, serverPort, mark } = parsed;
          for (const n of [clientPort, serverPort, mark, ...Object.values(counts ?? {})]) {
            expect(Number.isSafeInteger(n) && n >= 0).toBe(true);
          }
        },
      ),
    );
  });
});

describe("the table", () => {
  let files: FakeFiles;
  let table: ConntrackTable;
  let nowMs: number;

  beforeEach(() => {
    files = new FakeFiles();
    table = new ConntrackTable(files);
    nowMs = 0;
  });

  /** Ticks until a whole reading has ended. */
  function readAll(rows: readonly string[]): void {
    files.texts.set(CONNTRACK_FILE, rows.map((row) => `${row}\n`).join(""));
    nowMs += CONNTRACK_PASS_MS;
    for (let tick = 0; !table.tick(nowMs); tick += 1) {
      nowMs += 1;
      expect(tick).toBeLessThan(1_000);
    }
  }

  function clients(): string[] {
    return Array.from(table.flows(), ({ key }) => `${key.client}:${key.clientPort}`).sort();
  }

  test("holds what a kernel printed, IPv6 in its short form", () => {
    readAll(captured.trimEnd().split("\n"));
    expect(table.state).toBe("counted");
    const key = {
      protocol: 58,
      client: "fd09::1",
      clientPort: 0,
      server: "fd09::2",
      serverPort: 0,
    };
    expect(table.get(key)).toMatchObject({ answerer: "fd09::2", isAnswered: true });
    const tcp = { protocol: 6, client: "10.9.0.1", clientPort: 42_562, server: "10.9.0.2" };
    expect(table.get({ ...tcp, serverPort: 5_201 })?.counts.uploadBytes).toBe(1_665);
  });

  test("is the same however the kernel cuts what it gives", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), (readBytes) => {
        files.readBytes = readBytes;
        table = new ConntrackTable(files);
        readAll(captured.trimEnd().split("\n"));
        // Pings of two senders to one target differ in nothing that a flow is known by.
        expect(table.size).toBe(8);
      }),
    );
  });

  test("keeps what goes on, drops what ended, and learns of new ones", () => {
    readAll([rowText({ port: 1 }), rowText({ port: 2 })]);
    readAll([rowText({ port: 2, bytes: 5_000, mark: 9 }), rowText({ port: 3 })]);
    expect(clients()).toEqual(["10.0.0.7:2", "10.0.0.7:3"]);
    const key = { protocol: 6, client: "10.0.0.7", server: "203.0.113.9", serverPort: 443 };
    expect(table.get({ ...key, clientPort: 2 })).toMatchObject({
      mark: 9,
      counts: { downloadBytes: 15_000 },
      activeAtMs: nowMs,
    });
    expect(table.get({ ...key, clientPort: 1 })).toBe(undefined);
  });

  test("is read again only after its pause, and its file is closed in between", () => {
    readAll([rowText()]);
    expect(files.openCount).toBe(0);
    expect(table.tick(nowMs + 1)).toBe(false);
    expect(files.openCount).toBe(0);
  });

  test("tells where the kernel has no such file, or does not count", () => {
    expect(table.tick(0)).toBe(false);
    expect(table.state).toBe("missing");
    readAll([rowText().replaceAll(/ (packets|bytes)=[0-9]+/g, "")]);
    expect(table.state).toBe("uncounted");
  });

  test("when full takes a new connection for an idle one only", () => {
    const many = Array.from({ length: CONNTRACK_FLOWS_MAX }, (_, i) => rowText({ port: i + 1 }));
    const extra = rowText({ client: "10.0.0.8" });
    readAll([...many, extra]);
    expect([table.size, table.leftOutCount]).toEqual([CONNTRACK_FLOWS_MAX, 1]);
    nowMs += CONNTRACK_IDLE_MS;
    readAll([
      ...many.slice(1).map((row) => row.replace("bytes=1000", "bytes=1001")),
      many[0]!,
      extra,
    ]);
    expect(clients()).toContain("10.0.0.8:40000");
    expect(clients()).not.toContain("10.0.0.7:1");
    expect(table.size).toBe(CONNTRACK_FLOWS_MAX);
  });

  test("survives any text in its file", () => {
    const piece = fc.oneof(fc.string(), fc.constantFrom("\n", " src=", "ipv4     2 ", rowText()));
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        readAll(pieces);
        expect(table.size).toBeLessThanOrEqual(pieces.length);
      }),
    );
  });
});
