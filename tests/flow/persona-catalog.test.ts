// The catalogue: files people write, and look-ups.
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileCatalog } from "../../scripts/compile-catalog.mjs";
import { Catalog } from "../../src/flow/persona/catalog.ts";
import {
  type CatalogEntry,
  ENTRY_CONFIDENCE,
  parsePorts,
} from "../../src/flow/persona/catalog-entry.ts";
import { CatalogError, parseCatalogFile } from "../../src/flow/persona/catalog-file.ts";
import { addressNumber, NetworkTable, parseNetwork } from "../../src/flow/persona/network.ts";
import { loadCatalog, shippedCatalog } from "../../src/flow/persona/shipped-catalog.ts";
import { CATALOG_FILE_BYTES_MAX, CATALOG_FILES_MAX } from "../../src/kernel/limits.ts";
import { TCP, UDP } from "./features.ts";

const FOLDER = new URL("../../src/flow/persona/catalog/", import.meta.url);

function entry(parts: Partial<CatalogEntry> & Pick<CatalogEntry, "service">): CatalogEntry {
  return {
    realtime: null,
    confidence: ENTRY_CONFIDENCE,
    names: [],
    ports: [],
    networks: [],
    agents: [],
    certificates: [],
    ...parts,
  };
}

function refusal(source: string): string {
  try {
    parseCatalogFile(source, "mine.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(CatalogError);
    expect((error as CatalogError).code).toBe("ERR_CATALOG");
    return (error as CatalogError).message;
  }
  throw new Error("the file was not refused");
}

describe("a catalogue file", () => {
  test("is entries by title, with defaults where nothing is said", () => {
    const source = "Example:\n  service: messaging\n  names: [example.org, chat-*.example.net]\n";
    expect(parseCatalogFile(source, "mine.yaml")).toEqual([
      entry({ service: "messaging", names: ["example.org", "chat-*.example.net"] }),
    ]);
  });

  test("may be empty", () => {
    expect(parseCatalogFile("# nothing yet\n", "mine.yaml")).toEqual([]);
  });

  test.each([
    [
      "a service with a slip",
      "A:\n  service: mesaging\n",
      /mine\.yaml:2:12: A\.service: .*did you mean "messaging"/,
    ],
    [
      "a key nothing reads",
      "A:\n  service: system\n  nmaes: []\n",
      /mine\.yaml:3:3: A\.nmaes: unknown key "nmaes"; did you mean "names"/,
    ],
    [
      "a missing service",
      "A:\n  names: [example.org]\n",
      /A\.service: found nothing; allowed: unknown, voip_call/,
    ],
    [
      "a port without protocol",
      'A:\n  service: system\n  ports: ["53"]\n',
      /A\.ports\[0\]: found "53"; allowed: tcp\/PORT/,
    ],
    ["a range that runs backwards", "A:\n  service: system\n  ports: [udp/9-3]\n", /A\.ports\[0\]/],
    [
      "a network without length",
      "A:\n  service: system\n  networks: [192.0.2.1]\n",
      /A\.networks\[0\]: .*allowed: a network/,
    ],
    [
      "a name in capitals",
      "A:\n  service: system\n  names: [Example.org]\n",
      /A\.names\[0\]: found "Example\.org"/,
    ],
    [
      "a star in the middle",
      'A:\n  service: system\n  names: ["a*b.example.org"]\n',
      /A\.names\[0\]/,
    ],
    [
      "a confidence above 1",
      "A:\n  service: system\n  confidence: 2\n",
      /A\.confidence: found 2; allowed: a number above 0/,
    ],
    ["a list in place of entries", "- service: system\n", /entries by title/],
    [
      "an entry that is a word",
      "A: system\n",
      /A: found "system"; allowed: an object with service/,
    ],
    ["what is no YAML", "A: [", /not YAML/],
    ["too large a file", `# ${"x".repeat(CATALOG_FILE_BYTES_MAX)}`, /split it/],
  ])("%s is refused with its place", (_, source, message) => {
    expect(refusal(source)).toMatch(message);
  });

  test("is read or refused, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), (source) => {
        try {
          parseCatalogFile(source, "mine.yaml");
        } catch (error) {
          expect(error).toBeInstanceOf(CatalogError);
        }
      }),
    );
  });
});

describe("names", () => {
  const catalog = new Catalog([
    entry({ service: "web_interactive", names: ["example.org"] }),
    entry({ service: "video_vod", names: ["video.example.org", "cdn-*.example.org"] }),
    entry({ service: "voip_call", names: ["stun.*", "sip*.*"] }),
  ]);
  const serviceOf = (name: string) => catalog.byName(name)?.service ?? null;

  test.each([
    ["example.org", "web_interactive"],
    ["www.example.org", "web_interactive"],
    ["a.video.example.org", "video_vod"],
    ["cdn-7.example.org", "video_vod"],
    ["x.cdn-7.example.org", "video_vod"],
    ["notexample.org", null],
    ["org", null],
    ["stun.example.net", "voip_call"],
    ["sip3.example.net", "voip_call"],
    ["stun.example.org", "web_interactive"],
    ["stun", null],
    ["", null],
  ])("%s is %s", (name, service) => {
    expect(serviceOf(name)).toBe(service);
  });

  test("a first label only hints", () => {
    expect(catalog.byName("stun.example.net")!.confidence).toBeLessThan(ENTRY_CONFIDENCE);
  });

  test("the longest suffix that is known wins, whatever stands before it", () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), fc.nat(3), (labels, cut) => {
        const full = labels.join(".");
        const suffix = labels.slice(Math.min(cut, labels.length - 1)).join(".");
        const known = new Catalog([entry({ service: "bulk_dl", names: [suffix] })]);
        expect(known.byName(full)?.service).toBe("bulk_dl");
        expect(known.byName(`${full}x`)).toBeNull();
      }),
    );
  });
});

describe("ports", () => {
  test("go to the entry that is trusted most, then to the narrower range", () => {
    const catalog = new Catalog([
      entry({ service: "system", ports: ["udp/100-200"], confidence: 0.5 }),
      entry({ service: "game_rt", ports: ["udp/150"], confidence: 0.5 }),
      entry({ service: "torrent", ports: ["udp/160-170"], confidence: 0.9 }),
      entry({ service: "bulk_dl", ports: ["udp/165"], confidence: 0.4 }),
    ]);
    const services = [99, 100, 150, 165, 200, 201].map(
      (port) => catalog.byPort(UDP, port)?.service,
    );
    expect(services).toEqual([undefined, "system", "game_rt", "torrent", "system", undefined]);
    expect(catalog.byPort(TCP, 150)).toBeNull();
  });

  test("answer as painting each range in turn would", () => {
    const range = fc.tuple(fc.integer({ min: 1, max: 400 }), fc.nat(60), fc.nat(3));
    const services = ["system", "torrent", "bulk_dl", "game_rt"] as const;
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), fc.nat(500), (ranges, port) => {
        const added = ranges.map(([first, width, which]) =>
          entry({ service: services[which]!, ports: [`tcp/${first}-${first + width}`] }),
        );
        const last = ranges.findLast(([first, width]) => port >= first && port <= first + width);
        const wanted = last === undefined ? null : services[last[2]];
        expect(new Catalog([], added).byPort(TCP, port)?.service ?? null).toBe(wanted);
      }),
    );
  });

  test.each(["tcp/0", "tcp/65536", "udp", "sctp/9", "udp/1-", "tcp/01"])("%s is none", (text) => {
    expect(parsePorts(text)).toBeNull();
  });
});

describe("networks", () => {
  test("the longest prefix that holds the address wins, in both families", () => {
    const catalog = new Catalog([
      entry({ service: "web_interactive", networks: ["198.51.100.0/22", "2001:db8::/32"] }),
      entry({ service: "game_rt", networks: ["198.51.100.128/25", "2001:db8:1::/48"] }),
    ]);
    const addresses = [
      "198.51.101.1",
      "198.51.100.129",
      "192.0.2.1",
      "2001:db8:2::1",
      "2001:db8:1::1",
      "::1",
      "junk",
    ];
    const services = addresses.map((address) => catalog.byAddress(address)?.service ?? null);
    expect(services).toEqual([
      "web_interactive",
      "game_rt",
      null,
      "web_interactive",
      "game_rt",
      null,
      null,
    ]);
  });

  test("an address is held by exactly the networks whose bits it shares", () => {
    const word = fc.nat({ max: 0xffffffff });
    const text = (value: number) =>
      [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
    fc.assert(
      fc.property(word, word, fc.integer({ min: 1, max: 32 }), (base, other, bits) => {
        const network = parseNetwork(`${text(base)}/${bits}`)!;
        const table = new NetworkTable([{ network, value: 5 }]);
        const shares = (base ^ other) >>> (32 - bits) === 0;
        expect(table.get(text(base))).toBe(5);
        expect(table.get(text(other))).toBe(shares ? 5 : -1);
      }),
    );
  });

  test.each(["10.0.0.0/0", "10.0.0.0/33", "2001:db8::/65", "10.0.0/8", "10.0.0.0", "/8", "::/1x"])(
    "%s is none",
    (text) => {
      expect(parseNetwork(text)).toBeNull();
    },
  );

  test("the longest of several wins, the last of equals, as asking each in turn would", () => {
    const part = fc.tuple(fc.nat({ max: 7 }), fc.integer({ min: 28, max: 32 }));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.nat({ max: 15 }), (parts, host) => {
        const claims = parts.map(([low, bits], value) => ({
          network: parseNetwork(`10.0.0.${low}/${bits}`)!,
          value,
        }));
        const holders = claims.filter(({ network }) => {
          const number = addressNumber(`10.0.0.${host}`);
          return number >= network.first && number <= network.last;
        });
        const bits = Math.max(0, ...holders.map(({ network }) => network.prefixBits));
        const wanted = holders.findLast(({ network }) => network.prefixBits === bits);
        expect(new NetworkTable(claims).get(`10.0.0.${host}`)).toBe(wanted?.value ?? -1);
      }),
    );
  });

  test("addresses compare as numbers", () => {
    expect(addressNumber("192.0.2.1")).toBe(0xc0000201);
    expect(addressNumber("2001:db8::1")).toBeLessThan(addressNumber("2001:db9::"));
    expect(addressNumber("example.org")).toBe(-1);
  });
});

describe("programs and certificates", () => {
  const catalog = new Catalog([
    entry({ service: "bulk_dl", agents: ["Updater"] }),
    entry({ service: "game_launcher", agents: ["Updater/Game"] }),
    entry({ service: "remote_shell", certificates: ["Relay Net"], names: ["relay.example.org"] }),
  ]);

  test("the longest part of a User-Agent wins", () => {
    expect(catalog.byAgent("X Updater/Game 1")?.service).toBe("game_launcher");
    expect(catalog.byAgent("Updater/1")?.service).toBe("bulk_dl");
    expect(catalog.byAgent("updater")).toBeNull();
  });

  test("a certificate goes by its common name, or by the host it names", () => {
    expect(catalog.byCertificate("relay net")?.service).toBe("remote_shell");
    expect(catalog.byCertificate("a.relay.example.org")?.service).toBe("remote_shell");
    expect(catalog.byCertificate("Other Net")).toBeNull();
  });
});

describe("the shipped catalogue", () => {
  test.each(readdirSync(FOLDER))("%s has no mistake", (name) => {
    const source = readFileSync(new URL(name, FOLDER), "utf8");
    expect(() => parseCatalogFile(source, name)).not.toThrow();
  });

  test("claims no name twice", () => {
    const seen = new Map<string, string>();
    const twice: string[] = [];
    for (const file of readdirSync(FOLDER)) {
      for (const { names } of parseCatalogFile(readFileSync(new URL(file, FOLDER), "utf8"), file)) {
        for (const name of names) {
          if (seen.has(name)) twice.push(`${name} in ${seen.get(name)} and ${file}`);
          seen.set(name, file);
        }
      }
    }
    expect(twice).toEqual([]);
  });

  test("was packed after its last change: node scripts/compile-catalog.mjs", () => {
    for (const [path, text] of Object.entries(compileCatalog())) {
      expect(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")).toBe(text);
    }
  });

  test.each([
    ["rr3---sn-4g5e6nsk.googlevideo.com", "video_vod"],
    ["www.google.com", "web_interactive"],
    ["mtalk.google.com", "messaging"],
    ["fe2cr.update.microsoft.com", "bulk_dl"],
    ["one.one.one.one", "system"],
    ["us04web.zoom.us", "video_conf"],
    ["igcdn-photos-z-a.akamaihd.net", "web_interactive"],
    ["steamcdn-a.akamaihd.net", "game_launcher"],
    ["gateway.icloud.com", "file_sync"],
  ])("takes %s for %s", (name, service) => {
    expect(shippedCatalog().byName(name)?.service).toBe(service);
  });
});

describe("a folder of the user's files", () => {
  const folderOf = (files: Readonly<Record<string, string>>) => ({
    list: () => Object.keys(files).sort(),
    readText: (path: string) => files[path.slice("/etc/c/".length)] ?? null,
  });

  test("adds to what ships, and the later file wins", () => {
    const files = {
      "10-a.yaml": "A:\n  service: messaging\n  names: [netflix.com]\n  ports: [udp/53]\n",
      "20-b.yml": "B:\n  service: bulk_dl\n  names: [netflix.com]\n",
      "README.md": "not a catalogue",
      ".hidden.yaml": "A: [",
    };
    const { catalog, files: loaded, refused } = loadCatalog(folderOf(files), "/etc/c");
    expect(catalog.byName("www.netflix.com")?.service).toBe("bulk_dl");
    expect(catalog.byPort(UDP, 53)?.service).toBe("messaging");
    expect(catalog.byName("youtube.com")?.service).toBe("video_vod");
    expect(loaded).toEqual(["/etc/c/10-a.yaml", "/etc/c/20-b.yml"]);
    expect(refused).toEqual([]);
  });

  test("a file with a mistake is left out as a whole and named; the rest stays", () => {
    const files = {
      "a.yaml": "Good:\n  service: messaging\n  names: [netflix.com]\nBad:\n  service: chess\n",
      "b.yaml": "Fine:\n  service: bulk_dl\n  names: [example.org]\n",
    };
    const { catalog, files: loaded, refused } = loadCatalog(folderOf(files), "/etc/c");
    expect(catalog.byName("netflix.com")?.service).toBe("video_vod");
    expect(catalog.byName("example.org")?.service).toBe("bulk_dl");
    expect(loaded).toEqual(["/etc/c/b.yaml"]);
    expect(refused).toEqual([
      { file: "/etc/c/a.yaml", message: expect.stringContaining("a.yaml:5:12: Bad.service") },
    ]);
  });

  test("files beyond the bound, and those that cannot be read, are named", () => {
    const names = Array.from({ length: CATALOG_FILES_MAX + 1 }, (_, i) => `${100 + i}.yaml`);
    const files = Object.fromEntries(names.map((name) => [name, ""]));
    const { refused } = loadCatalog(folderOf(files), "/etc/c");
    expect(refused.map(({ file }) => file)).toEqual([`/etc/c/${names.at(-1)}`]);
    const gone = { list: () => ["x.yaml"], readText: () => null };
    expect(loadCatalog(gone, "/etc/c").refused[0]?.message).toMatch(/cannot be read/);
  });
});
