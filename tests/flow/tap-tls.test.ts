// TLS shows its names: in hellos split over records, in certificates, and never out of garbage.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { certificateName } from "../../src/flow/tap/certificate-name.ts";
import {
  parseClientHello,
  startsClientHello,
  startsServerHello,
  TlsReader,
} from "../../src/flow/tap/tls.ts";
import { certificate, clientHello, message, records, serverFlight } from "./handshakes.ts";
import { ascii, be16, bytesOf } from "./packets.ts";

const hostname = fc
  .array(fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?$/), { minLength: 1, maxLength: 5 })
  .map((labels) => labels.join("."));
const parts = fc.record(
  {
    serverName: hostname,
    alpn: fc.array(fc.constantFrom("h2", "http/1.1", "h3", "dot"), { maxLength: 4 }),
    ech: fc.boolean(),
    paddingBytes: fc.nat(3_000),
  },
  { requiredKeys: [] },
);
type Parts = Parameters<typeof clientHello>[0];

function read(bytes: Uint8Array) {
  const reader = new TlsReader();
  const hello = reader.readClientHello(bytes, 0, bytes.length);
  return { hello, wantsMore: reader.wantsMore };
}

describe("a ClientHello", () => {
  test("shows its server name, protocols and ECH however its records are cut", () => {
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 4_000 }), (given, recordBytes) => {
        const bytes = bytesOf(records(clientHello(given as Parts), recordBytes));
        // Record heads take room of their own; what does not fit is not read.
        if (bytes.length > 8_000) return;
        expect(read(bytes)).toEqual({
          hello: {
            serverName: given.serverName ?? null,
            alpn: given.alpn ?? [],
            encryptedClientHello: given.ech ?? false,
            userAgent: null,
          },
          wantsMore: false,
        });
      }),
    );
  });

  test("cut anywhere shows the true name or none, and wants more", () => {
    const whole = bytesOf(
      records(clientHello({ serverName: "api.example.org", alpn: ["h2"] }), 90),
    );
    for (let length = 0; length < whole.length; length += 1) {
      const { hello, wantsMore } = read(whole.slice(0, length));
      expect([null, undefined, "api.example.org"]).toContain(hello?.serverName);
      expect(wantsMore).toBe(true);
    }
  });

  test("with a name that is no host name shows none", () => {
    for (const name of ["", "a b.example", "x\0y", "é.example"]) {
      expect(
        read(bytesOf(records(clientHello({ serverName: name })))).hello?.serverName,
      ).toBeNull();
    }
  });

  test("shows its name in lower case and without a dot at its end", () => {
    const bytes = bytesOf(records(clientHello({ serverName: "WWW.Example.ORG." })));
    expect(read(bytes).hello?.serverName).toBe("www.example.org");
  });

  test("is told from a ServerHello and from other records", () => {
    const hello = bytesOf(records(clientHello({})));
    const server = bytesOf(records(serverFlight(certificate("x", []))));
    expect(startsClientHello(hello, 0, hello.length)).toBe(true);
    expect(startsServerHello(hello, 0, hello.length)).toBe(false);
    expect(startsServerHello(server, 0, server.length)).toBe(true);
    expect(startsClientHello(server, 0, server.length)).toBe(false);
    const data = bytesOf([23, 3, 3], be16(20), new Array(20).fill(1));
    expect(startsClientHello(data, 0, data.length)).toBe(false);
    expect(read(data)).toEqual({ hello: null, wantsMore: false });
  });
});

describe("a certificate", () => {
  function nameIn(bytes: Uint8Array) {
    const reader = new TlsReader();
    const name = reader.readCertificateName(bytes, 0, bytes.length);
    return { name, wantsMore: reader.wantsMore };
  }

  test("shows its first DNS name, however its records are cut", () => {
    fc.assert(
      fc.property(
        hostname,
        fc.array(hostname, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 8, max: 4_000 }),
        (common, names, recordBytes) => {
          const flight = bytesOf(records(serverFlight(certificate(common, names)), recordBytes));
          expect(nameIn(flight)).toEqual({ name: names[0], wantsMore: false });
        },
      ),
    );
  });

  test("shows its common name when it has no other, and a wildcard without its star", () => {
    const common = bytesOf(records(serverFlight(certificate("mail.example.com", []))));
    expect(nameIn(common).name).toBe("mail.example.com");
    const wildcard = bytesOf(records(serverFlight(certificate("x.example", ["*.example.com"]))));
    expect(nameIn(wildcard).name).toBe("example.com");
    const noHost = bytesOf(records(serverFlight(certificate("Some Company Ltd", []))));
    expect(nameIn(noHost).name).toBeNull();
  });

  test("cut anywhere shows one of its own names or none", () => {
    const whole = bytesOf(records(serverFlight(certificate("cn.example", ["san.example"])), 200));
    const seen = new Set<string | null>();
    for (let length = 0; length < whole.length; length += 1) {
      seen.add(nameIn(whole.slice(0, length)).name);
    }
    expect([...seen].sort()).toEqual(["cn.example", null, "san.example"].sort());
  });

  test("is not looked for in TLS 1.3, where it is sealed", () => {
    const hello = message(2, [3, 3, ...new Array(32).fill(1), 0, 0x13, 0x01, 0, 0, 0]);
    const bytes = bytesOf(records(hello), [20, 3, 3, 0, 1, 1], [23, 3, 3, 0, 4, 1, 2, 3, 4]);
    expect(nameIn(bytes)).toEqual({ name: null, wantsMore: false });
  });
});

describe("hostile bytes", () => {
  const seeds: number[][] = [
    [],
    records(clientHello({ serverName: "a.example", alpn: ["h2"], ech: true, quicUserAgent: "x" })),
    records(serverFlight(certificate("a.example", ["b.example", "c.example"]))),
  ];
  const changes = fc.array(fc.tuple(fc.nat(700), fc.nat(255)), { maxLength: 12 });

  test("never make a reader throw or loop", () => {
    const reader = new TlsReader();
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        changes,
        fc.uint8Array({ maxLength: 300 }),
        (seed, spots, rest) => {
          const bytes = bytesOf(seed, rest);
          for (const [at, value] of spots) if (at < bytes.length) bytes[at] = value;
          reader.readClientHello(bytes, 0, bytes.length);
          reader.readCertificateName(bytes, 0, bytes.length);
          for (const start of [0, 5, 9]) {
            if (start > bytes.length) continue;
            parseClientHello(bytes, start, bytes.length);
            const name = certificateName(bytes, start, bytes.length);
            if (name !== null) expect(name).toMatch(/^[a-z0-9._:[\]-]+$/);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("of a certificate's own shape give no text outside the certificate", () => {
    const name = "inside.example";
    const outside = ascii("outside.example");
    const inner = certificate(name, []);
    fc.assert(
      fc.property(changes, (spots) => {
        const bytes = bytesOf(inner, outside);
        for (const [at, value] of spots) if (at < inner.length) bytes[at] = value;
        expect(certificateName(bytes, 0, inner.length) ?? "").not.toContain("outside");
      }),
    );
  });
});
