// The configuration file: complete without a word, and exact about what it refuses.

import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type * as z from "zod/mini";
import {
  CONFIGURATION_SCHEMA,
  type Configuration,
  ConfigurationError,
  parseConfiguration,
} from "../../src/schema/configuration.ts";
import { closestWord } from "../../src/schema/problem.ts";
import { SETTING_DESCRIPTIONS } from "../../src/schema/setting.ts";
import { anyEndpoint, deviceList, labelList } from "./arbitraries.ts";

const FLOW_DEFAULTS: Configuration["flow"] = {
  enabled: false,
  mode: "active",
  egressIface: null,
  ingress: true,
  download: { minKbit: 5_000, baseKbit: 20_000, maxKbit: 80_000 },
  upload: { minKbit: 5_000, baseKbit: 20_000, maxKbit: 35_000 },
  sampleHz: 10,
  maxCpuPercent: 40,
  logLevel: "info",
  reflectors: [
    "1.1.1.1",
    "8.8.8.8",
    "9.9.9.9",
    "208.67.222.222",
    "1.0.0.1",
    "8.8.4.4",
    "149.112.112.112",
    "208.67.220.220",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2620:fe::fe",
  ],
  delaySetPointMs: 10,
  k: 3,
  m: 6,
  rho: 4,
  tauSeconds: 0.2,
  stepUpPercent: 25,
  stepDownPercent: 80,
  persona: { enabled: true, treatment: {}, tap: "auto", catalogDir: "/etc/mycoflow/catalog.d" },
  linkLayer: { framing: "none", overheadBytes: 0, mpuBytes: 0 },
  nat: true,
  metricsFile: null,
};

const DEFAULTS: Configuration = {
  dataDir: "/var/lib/myco",
  socket: "/run/myco/myco.sock",
  listen: ["0.0.0.0:7946", "[::]:7946"],
  advertise: [],
  hostname: null,
  peers: [],
  labels: [],
  devices: [],
  memoryMiB: null,
  dns: { listen: "127.0.0.1:53", ttlSeconds: 5, domain: "myco" },
  engine: {
    kind: "embedded",
    maxConcurrentStarts: 2,
    stableWaitMs: 2_000,
    workDir: "/var/lib/myco/work",
    address: null,
    secretsDir: "/etc/myco/secrets",
    auditLog: "/var/log/myco/audit.log",
    buildTimeoutMs: 3_600_000,
    reserveBytes: 500 * 2 ** 20,
    collectAbovePercent: 85,
  },
  log: { level: "info", format: "json" },
  mesh: { enabled: true },
  flow: FLOW_DEFAULTS,
  uci: null,
  ubus: "auto",
};

describe("a configuration", () => {
  it.each(["", "# nothing yet\n", "{}", "dns: {}"])(
    "that says nothing, %j, is all defaults",
    (text) => {
      expect(parseConfiguration(text, "myco.yaml")).toEqual(DEFAULTS);
    },
  );

  it("says what differs, in the units people use", () => {
    const configuration = parseConfiguration(
      `
dataDir: /srv/myco
listen: ["127.0.0.1:0", "[::0001]:7946"]
advertise:
  - 192.0.2.1:7946
peers: ["node1.example.org:7946", "[2001:DB8::1]:7946"]
labels: { room: cellar, disk: ssd }
devices: [/dev/kvm, /dev/dri, /dev/kvm]
memory: 4G
dns:
  listen: false
engine:
  kind: systemd
  stableWait: 500ms
  address: 127.0.0.2
  buildTimeout: 20m
  reserve: 0
  collectAbovePercent: 70
log:
  format: pretty
mesh: { enabled: false }
flow:
  enabled: true
  egressIface: pppoe-wan
  download: { min: 1000, base: 4000, max: 4000 }
  maxCpu: 25
  delaySetPoint: 15ms
  tau: 1s
  rho: 1
  stepUp: 10
  persona:
    treatment: { torrent: throttle, gaming: boost }
  linkLayer: { framing: atm, overhead: 44 }
uci: /etc/config/mycoflow
`,
      "myco.yaml",
    );
    expect(configuration).toEqual({
      ...DEFAULTS,
      dataDir: "/srv/myco",
      listen: ["127.0.0.1:0", "[::1]:7946"],
      advertise: ["192.0.2.1:7946"],
      peers: ["node1.example.org:7946", "[2001:db8::1]:7946"],
      labels: [
        ["disk", "ssd"],
        ["room", "cellar"],
      ],
      devices: ["/dev/dri", "/dev/kvm"],
      memoryMiB: 4096,
      dns: { ...DEFAULTS.dns, listen: null },
      engine: {
        ...DEFAULTS.engine,
        kind: "systemd",
        stableWaitMs: 500,
        workDir: "/srv/myco/work",
        address: "127.0.0.2",
        buildTimeoutMs: 1_200_000,
        reserveBytes: 0,
        collectAbovePercent: 70,
      },
      log: { level: "info", format: "pretty" },
      mesh: { enabled: false },
      flow: {
        ...FLOW_DEFAULTS,
        enabled: true,
        egressIface: "pppoe-wan",
        download: { minKbit: 1_000, baseKbit: 4_000, maxKbit: 4_000 },
        maxCpuPercent: 25,
        delaySetPointMs: 15,
        tauSeconds: 1,
        rho: 1,
        stepUpPercent: 10,
        persona: {
          ...FLOW_DEFAULTS.persona,
          treatment: { torrent: "throttle", gaming: "boost" },
        },
        linkLayer: { framing: "atm", overheadBytes: 44, mpuBytes: 0 },
      },
      uci: "/etc/config/mycoflow",
    });
  });

  it("comes back from any file that says its settings", () => {
    const settings = fc.record({
      listen: fc.array(anyEndpoint, { minLength: 1, maxLength: 6 }),
      advertise: fc.array(anyEndpoint, { maxLength: 6 }),
      labels: labelList,
      devices: deviceList,
      ttlSeconds: fc.integer({ min: 0, max: 3600 }),
      level: fc.constantFrom("trace", "debug", "info", "warn", "error", "fatal"),
    });
    fc.assert(
      fc.property(settings, ({ labels, ttlSeconds, level, ...same }) => {
        const text = stringify({
          ...same,
          labels: Object.fromEntries(labels),
          dns: { ttlSeconds },
          log: { level },
        });
        const { dns, log, ...rest } = parseConfiguration(text, "myco.yaml");
        expect(rest).toMatchObject({ ...same, labels });
        expect([dns.ttlSeconds, log.level]).toEqual([ttlSeconds, level]);
      }),
    );
  });

  it("is read or refused with a ConfigurationError, whatever the text", () => {
    const yamlish = fc
      .array(
        fc.constantFrom(
          "dns",
          "listen",
          "log",
          ":",
          ": ",
          "\n",
          "  ",
          "- ",
          "[",
          "]",
          "{",
          "}",
          "&a",
          "*a",
          "!!map",
          "|",
          ">",
          '"',
          "'",
          "#",
          "---",
          "<<",
          "null",
          "5",
          "?",
        ),
        { maxLength: 20 },
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.oneof(fc.string(), yamlish, fc.json()), (text) => {
        refusal(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["nests too deep", "[".repeat(60_000)],
    ["multiplies aliases", billionLaughs()],
    ["is too large", "#".repeat(65_537)],
  ])("that %s is refused, not suffered", (_, text) => {
    expect(refusal(text)).not.toBeNull();
  });
});

describe("a mistake in a configuration", () => {
  it.each([
    [
      "a misspelled key",
      "dataDir: /srv\nlisten_: []\n",
      `myco.yaml:2:1: listen_: unknown key "listen_"; did you mean "listen"?
  2 | listen_: []
    | ^`,
    ],
    [
      "a misspelled key of a section",
      "dns:\n  ttl: 5\n",
      `myco.yaml:2:3: dns.ttl: unknown key "ttl"; did you mean "ttlSeconds"?
  2 |   ttl: 5
    |   ^`,
    ],
    [
      "a key of something else",
      "engine: { runtime: docker }",
      `myco.yaml:1:11: engine.runtime: unknown key "runtime"; allowed: kind, maxConcurrentStarts, stableWait, workDir, address, secretsDir, auditLog, buildTimeout, reserve, collectAbovePercent
  1 | engine: { runtime: docker }
    |           ^`,
    ],
    [
      "a word that is nearly right",
      "log:\n  level: warning\n",
      `myco.yaml:2:10: log.level: found "warning"; allowed: trace, debug, info, warn, error, fatal; did you mean "warn"?
  2 |   level: warning
    |          ^`,
    ],
    [
      "an engine that there is not",
      "engine: { kind: docker }",
      `myco.yaml:1:17: engine.kind: found "docker"; allowed: "embedded", "systemd" or "none"
  1 | engine: { kind: docker }
    |                 ^`,
    ],
    [
      "a port without an address",
      "listen: [7946]",
      `myco.yaml:1:10: listen[0]: found 7946; allowed: an address and a port such as 0.0.0.0:7946, or [::]:7946 in quotes
  1 | listen: [7946]
    |          ^`,
    ],
    [
      "one endpoint where a list belongs",
      "listen: 0.0.0.0:7946",
      `myco.yaml:1:9: listen: found "0.0.0.0:7946"; allowed: a list of at most 6 items
  1 | listen: 0.0.0.0:7946
    |         ^`,
    ],
    [
      "an address nobody can reach",
      'advertise:\n  - "0.0.0.0:7946"',
      `myco.yaml:2:5: advertise[0]: found "0.0.0.0:7946"; allowed: an address others can reach and a port, such as 192.0.2.1:7946, or [2001:db8::1]:7946 in quotes
  2 |   - "0.0.0.0:7946"
    |     ^`,
    ],
    [
      "a size without a unit",
      "engine: { reserve: 500 }",
      `myco.yaml:1:20: engine.reserve: found 500; allowed: a size such as "500M", or 0
  1 | engine: { reserve: 500 }
    |                    ^`,
    ],
    [
      "a number in place of a duration",
      "engine:\n  stableWait: 2\n",
      `myco.yaml:2:15: engine.stableWait: found 2; allowed: a duration from "100ms" to "5m"
  2 |   stableWait: 2
    |               ^`,
    ],
    [
      "true where an endpoint or false belongs",
      "dns: { listen: true }",
      `myco.yaml:1:16: dns.listen: found true; allowed: an address and a port such as 127.0.0.1:53, or false
  1 | dns: { listen: true }
    |                ^`,
    ],
    [
      "a number that is too large",
      "dns: { ttlSeconds: 86400 }",
      `myco.yaml:1:20: dns.ttlSeconds: found 86400; allowed: a whole number from 0 to 3600
  1 | dns: { ttlSeconds: 86400 }
    |                    ^`,
    ],
    [
      "a label's name",
      "labels: { Room: cellar }",
      `myco.yaml:1:11: labels.Room: found "Room"; allowed: lower-case letters, digits and . _ / - inside a name, at most 63
  1 | labels: { Room: cellar }
    |           ^`,
    ],
    [
      "a label's number",
      "labels: { floor: 3 }",
      `myco.yaml:1:18: labels.floor: found 3; allowed: a text of at most 63 bytes, in quotes when it is a number
  1 | labels: { floor: 3 }
    |                  ^`,
    ],
    [
      "a path that is relative",
      "socket: myco.sock",
      `myco.yaml:1:9: socket: found "myco.sock"; allowed: an absolute path of at most 107 bytes, such as /run/myco/myco.sock
  1 | socket: myco.sock
    |         ^`,
    ],
    [
      "a section that is empty",
      "log:\n",
      `myco.yaml:1:5: log: found null; allowed: an object with level and format
  1 | log:
    |     ^`,
    ],
    [
      "a list where settings belong",
      "- dataDir",
      `myco.yaml:1:1: found a list of 1; allowed: settings by name, such as dataDir: /var/lib/myco
  1 | - dataDir
    | ^`,
    ],
    [
      "a misspelled key two sections down",
      "flow:\n  persona: { tab: off }\n",
      `myco.yaml:2:14: flow.persona.tab: unknown key "tab"; did you mean "tap"?
  2 |   persona: { tab: off }
    |              ^`,
    ],
    [
      "a persona that is none",
      "flow:\n  persona:\n    treatment: { torents: throttle }\n",
      `myco.yaml:3:18: flow.persona.treatment.torents: unknown key "torents"; did you mean "torrent"?
  3 |     treatment: { torents: throttle }
    |                  ^`,
    ],
    [
      "a base rate above the greatest",
      "flow:\n  download: { base: 50000, max: 40000 }\n",
      `myco.yaml:2:21: flow.download.base: found 50000; allowed: from min, 5000, to max, 40000; here it is 50000
  2 |   download: { base: 50000, max: 40000 }
    |                     ^`,
    ],
    [
      "a base rate that was left out, and does not fit the rest",
      "flow:\n  upload: { max: 10000 }\n",
      `myco.yaml:2:11: flow.upload.base: found nothing; allowed: from min, 5000, to max, 10000; here it is 20000
  2 |   upload: { max: 10000 }
    |           ^`,
    ],
    [
      "more votes than there are",
      "flow: { k: 9 }",
      `myco.yaml:1:12: flow.k: found 9; allowed: from 1 to m, 6; here it is 9
  1 | flow: { k: 9 }
    |            ^`,
    ],
    [
      "more changes than the pause between them allows",
      "flow: { rho: 10, tau: 500ms }",
      `myco.yaml:1:14: flow.rho: found 10; allowed: with tau 500ms, from 1 to 2; here it is 10
  1 | flow: { rho: 10, tau: 500ms }
    |              ^`,
    ],
    [
      "an interface that cannot be one",
      "flow: { egressIface: 'eth0; reboot' }",
      `myco.yaml:1:22: flow.egressIface: found "eth0; reboot"; allowed: an interface's name of at most 15 characters, such as wan
  1 | flow: { egressIface: 'eth0; reboot' }
    |                      ^`,
    ],
    [
      "a key given twice",
      "socket: /a\nsocket: /b\n",
      `myco.yaml:2:1: not YAML: Map keys must be unique
  2 | socket: /b
    | ^`,
    ],
  ])("is shown: %s", (_, text, message) => {
    expect(refusal(text)?.message).toBe(message);
  });

  it("is shown with every other, in the order of the file", () => {
    const problems = refusal("log: { level: 1 }\nzone: 3\ndns: { ttlSeconds: -1 }\n")?.problems;
    expect(problems?.map(({ line }) => line)).toEqual([1, 2, 3]);
  });

  it.each(["300.1.1.1:7946", "node1", "node1:0", "node1:70000", "::1:7946", "a b:1", "http://a:1"])(
    "is found in the peer %j",
    (peer) => {
      expect(refusal(stringify({ peers: [peer] }))?.message).toContain("peers[0]");
    },
  );
});

describe("the documentation of the configuration", () => {
  it("lists every setting with its default; `npx vitest -u` writes it anew", async () => {
    const file = fileURLToPath(new URL("../../docs/configuration.md", import.meta.url));
    await expect(documentation()).toMatchFileSnapshot(file);
  });
});

describe("the word that was meant", () => {
  it.each([
    ["replica", "replicas"],
    ["environment", "env"],
    ["prots", "ports"],
    ["Name", "name"],
    ["xyz", null],
    ["", null],
  ])("by %j is %j", (word, meant) => {
    expect(closestWord(word, ["name", "env", "ports", "replicas", "exec"])).toBe(meant);
  });
});

/** Nine levels of ten aliases each. */
function billionLaughs(): string {
  const lines = ["a0: &a0 [x, x]"];
  for (let level = 1; level < 10; level += 1) {
    lines.push(`a${level}: &a${level} [${new Array(10).fill(`*a${level - 1}`).join(", ")}]`);
  }
  return lines.join("\n");
}

function documentation(): string {
  return `# Configuration

\`myco daemon --config FILE\` reads its settings from a YAML file. Each may be left out; a key that is not listed here is refused.

| setting | default | what for |
|---|---|---|
${settingRows("", CONFIGURATION_SCHEMA).join("\n")}
`;
}

function settingRows(prefix: string, schema: z.ZodMiniObject): string[] {
  return Object.entries(schema.def.shape).flatMap(([key, optional]) => {
    const { innerType, defaultValue } = (optional as z.ZodMiniPrefault).def;
    const description = SETTING_DESCRIPTIONS.get(optional as z.ZodMiniType)?.description;
    expect(description, key).toBeDefined();
    if ("shape" in innerType._zod.def) {
      return settingRows(`${prefix}${key}.`, innerType as z.ZodMiniObject);
    }
    return [`| \`${prefix}${key}\` | \`${JSON.stringify(defaultValue)}\` | ${description} |`];
  });
}

function refusal(text: string): ConfigurationError | null {
  try {
    parseConfiguration(text, "myco.yaml");
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return error as ConfigurationError;
  }
}
