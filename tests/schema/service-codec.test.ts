// A service as a slot's body: nothing lost, nothing unsound believed, and small.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SLOT_BODY_BYTES_MAX } from "../../src/kernel/limits.ts";
import { SlotTooLargeError } from "../../src/schema/fields.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { decodeService, encodeService } from "../../src/schema/service-codec.ts";
import { HEALTH_TIMING_DEFAULT, SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";
import { ServiceError, validateService } from "../../src/schema/service-rules.ts";
import * as tokens from "../../src/schema/tokens.ts";
import { FormatError } from "../../src/schema/varint.ts";
import { anyService } from "./arbitraries.ts";

const usual: ServiceSpec = {
  ...SERVICE_DEFAULTS,
  name: "web",
  flake: "github:acme/website#server",
  exec: "bin/web",
  args: ["--port", "8080"],
  ports: [{ port: 8080, protocol: "tcp", name: "http" }],
  health: { kind: "http", port: 8080, path: "/health", ...HEALTH_TIMING_DEFAULT },
  replicas: 2,
};

const elaborate: ServiceSpec = {
  ...usual,
  name: "video-transcoder",
  flake: "github:NixOS/nixpkgs/nixos-24.11#jellyfin",
  args: ["serve", "--data-dir", "/var/lib/transcoder"],
  env: [
    ["LOG_LEVEL", "info"],
    ["PORT", "8080"],
  ],
  ports: [
    { port: 8080, protocol: "tcp", name: "http" },
    { port: 7000, protocol: "udp", name: "" },
  ],
  arch: ["x86_64", "aarch64"],
  devices: ["/dev/dri"],
  zone: 2,
  labels: [["room", "cellar"]],
  preStart: ["bin/transcoder", "migrate"],
  memoryMaxBytes: 512 * 2 ** 20,
  cpuQuotaPercent: 150,
  persona: "streaming",
};

/** A body with one field replaced or added, to say what no encoder writes. */
function body(...fields: readonly number[][]): Uint8Array {
  return Uint8Array.from(fields.flat());
}
const nameField = [0x03, 1, 0x61];
const execField = [0x07, 4, 0x85, 0x73, 0x68, 0x31];

describe("encoding a service", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(anyService, (spec) => {
        expect(decodeService(encodeService(spec))).toEqual(spec);
      }),
      { numRuns: 500 },
    );
  });

  it("writes a usual service in less than 60 bytes and an elaborate one in less than 150", () => {
    expect(encodeService(usual).length).toBeLessThan(60);
    expect(encodeService(elaborate).length).toBeLessThan(150);
    expect(decodeService(encodeService(elaborate))).toEqual(elaborate);
  });

  it("keeps to the bytes that were signed before", () => {
    expect(Buffer.from(encodeService(usual)).toString("hex")).toBe(GOLDEN_USUAL);
  });

  it("keeps a lock as the bytes it stands for", () => {
    const locked = encodeService({ ...usual, lock: "0123456789abcdef".repeat(4) });
    expect(locked.length).toBe(encodeService(usual).length + 2 + 32);
  });

  it("leaves defaults out", () => {
    const least: ServiceSpec = { ...SERVICE_DEFAULTS, name: "a", exec: "/bin/sh1" };
    expect([...encodeService(least)]).toEqual([0x03, 1, 0x61, 0x07, 2, 0x86, 0x31]);
  });

  it("names the largest fields of a service that does not fit", () => {
    const args = Array.from({ length: 4 }, () => "x".repeat(300));
    const encode = (): Uint8Array => encodeService({ ...usual, args });
    expect(encode).toThrow(SlotTooLargeError);
    expect(encode).toThrow(/service "web" takes 12\d\d bytes and \d+ are allowed.*args \(12\d\d\)/);
  });

  it("names every broken rule", () => {
    const encode = (): Uint8Array =>
      encodeService({ ...usual, name: "Web", singleton: true, args: ["a\nb"] });
    expect(encode).toThrow(ServiceError);
    expect(encode).toThrow(/name: found "Web".*args\[0\]: found "a\\nb".*replicas: found 2/);
  });
});

describe("decoding a service", () => {
  it("survives arbitrary bytes with a FormatError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: SLOT_BODY_BYTES_MAX + 10 }), (bytes) => {
        expectFormatErrorOrFixedPoint(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("survives a flipped byte, and believes only what it would write the same way", () => {
    fc.assert(
      fc.property(anyService, fc.nat(), fc.integer({ min: 1, max: 255 }), (spec, at, flip) => {
        const bytes = encodeService(spec).slice();
        bytes[at % bytes.length]! ^= flip;
        expectFormatErrorOrFixedPoint(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("skips the fields of a newer version, numbers and bytes alike", () => {
    const bytes = encodeService(usual);
    const newer = body([...bytes], [0xc8, 0x01, 0x85, 0x01], [0xcb, 0x01, 3, 0xff, 0xff, 0xff]);
    expect(decodeService(newer)).toEqual(usual);
  });

  it.each([
    ["fields that do not ascend", body(execField, nameField), /ascend/],
    ["a field twice", body(nameField, nameField, execField), /ascend/],
    ["no program", body(nameField), /exec/],
    ["no name", body(execField), /name/],
    ["a number where a text stands", body([0x02, 5], execField), /not a number|is a number/],
    ["a token nobody knows", body(nameField, [0x07, 2, 0xbf, 0x31]), /token/],
    ["a text that is not UTF-8", body(nameField, [0x07, 2, 0x2f, 0xff]), /UTF-8/],
    ["a field longer than the body", body(nameField, [0x07, 90, 0x2f]), /allowed|early/],
    ["an unknown architecture", body(nameField, execField, [0x0e, 0x20]), /arch/],
    ["an unknown persona", body(nameField, execField, [0x2e, 10]), /persona/],
    ["a health port alone", body(nameField, execField, [0x1c, 80]), /without/],
    ["a health time alone", body(nameField, execField, [0x22, 80]), /without/],
    ["two health checks", body(nameField, execField, [0x1b, 1, 0x2f, 0x1e, 80]), /two/],
    ["a port without its end", body(nameField, execField, [0x0d, 2, 80, 0]), /early/],
    ["port 0", body(nameField, execField, [0x0d, 3, 0, 0, 0]), /port/],
    ["a lock that is neither commit nor hash", body(nameField, execField, [0x31, 1, 0x61]), /lock/],
    ["a lock of nothing", body(nameField, execField, [0x31, 20, ...new Array(20).fill(1)]), /lock/],
    ["a flag above 1", body(nameField, execField, [0x32, 2]), /jit/],
    ["an unknown reach", body(nameField, execField, [0x42, 3]), /network/],
    ["no tasks at all", body(nameField, execField, [0x44, 0]), /tasks/],
    ["33 arguments", body(nameField, execField, [0x09, 33, ...new Array(33).fill(0)]), /32/],
  ])("refuses %s", (_, bytes, reason) => {
    expect(() => decodeService(bytes)).toThrow(FormatError);
    expect(() => decodeService(bytes)).toThrow(reason);
  });
});

describe("the rules of a service", () => {
  const broken: [string, Partial<ServiceSpec>][] = [
    ["name", { name: "a-" }],
    ["name", { name: "a".repeat(64) }],
    ["flake", { flake: "./here" }],
    ["flake", { flake: "path:." }],
    ["flake", { flake: "--impure" }],
    ["flake", { flake: "github:a b" }],
    ["exec", { exec: "" }],
    ["exec", { exec: "../bin/sh" }],
    ["exec", { exec: "bin/web", flake: "" }],
    ["exec", { exec: "/bin/\u0000sh" }],
    ["args[0]", { args: ["\u001b[2J"] }],
    ["args[0]", { args: ["\u2028"] }],
    ["args[0]", { args: ["\ud800"] }],
    ["args[0]", { args: ["\ufeffx"] }],
    ["args[1]", { args: ["", "ü".repeat(201)] }],
    ["env.1A", { env: [["1A", ""]] }],
    [
      "env",
      {
        env: [
          ["B", ""],
          ["A", ""],
        ],
      },
    ],
    [
      "env",
      {
        env: [
          ["A", ""],
          ["A", ""],
        ],
      },
    ],
    ["ports[1]", { ports: [usual.ports[0]!, { ...usual.ports[0]!, name: "x" }] }],
    ["ports[1].name", { ports: [usual.ports[0]!, { ...usual.ports[0]!, port: 81 }] }],
    ["ports[0].port", { ports: [{ port: 65_536, protocol: "tcp", name: "" }] }],
    ["arch", { arch: ["aarch64", "x86_64"] }],
    ["devices[0]", { devices: ["/dev/../etc/shadow"] }],
    ["devices[0]", { devices: ["/etc/shadow"] }],
    ["zone", { zone: 256 }],
    ["replicas", { replicas: 0 }],
    ["replicas", { replicas: 1.5 }],
    ["replicas", { replicas: "all", singleton: true }],
    ["memory", { memoryMaxBytes: 256 }],
    ["cpu", { cpuQuotaPercent: -1 }],
    ["health.http", { health: { ...HEALTH_TIMING_DEFAULT, kind: "http", port: 1, path: "x" } }],
    ["health.http", { health: { ...HEALTH_TIMING_DEFAULT, kind: "http", port: 1, path: "/ x" } }],
    ["health.tcp", { health: { ...HEALTH_TIMING_DEFAULT, kind: "tcp", port: 0 } }],
    ["health.exec", { health: { ...HEALTH_TIMING_DEFAULT, kind: "exec", command: [] } }],
    ["health.timeout", { health: { ...usual.health!, timeoutMs: 10_001 } }],
    ["health.interval", { health: { ...usual.health!, intervalMs: 99, timeoutMs: 99 } }],
    ["exec", { exec: "bin/it's" }],
    ["exec", { exec: "bin/a\\b" }],
    ["exec", { exec: `bin/${"x".repeat(256)}` }],
    ["args[0]", { args: ["\uffff"] }],
    ["lock", { lock: "main" }],
    ["lock", { lock: "A".repeat(40) }],
    ["lock", { lock: "a".repeat(40), flake: "", exec: "/bin/web" }],
    ["secrets[0]", { secrets: ["../key"] }],
    ["secrets[0]", { secrets: [".key"] }],
    ["secrets", { secrets: ["b", "a"] }],
    ["secrets", { secrets: Array.from({ length: 17 }, (_, index) => `s${index + 10}`) }],
    ["environmentFiles", { environmentFiles: ["a", "a"] }],
    ["environmentFiles[0]", { environmentFiles: ["a:b"] }],
    ["watchdog", { watchdogMs: 999 }],
    ["watchdog", { watchdogMs: 3_600_001 }],
    ["schedule", { schedule: "now and then", health: null }],
    ["schedule", { schedule: "daily\nUnit=x", health: null }],
    ["health", { schedule: "daily" }],
    ["watchdog", { schedule: "daily", health: null, watchdogMs: 5_000 }],
    ["socketActivated", { schedule: "daily", health: null, socketActivated: true }],
    ["socketActivated", { ports: [], socketActivated: true }],
    ["slice", { slice: "../system" }],
    ["slice", { slice: "Media" }],
    ["ports", { network: "none" }],
    ["health", { network: "none", ports: [] }],
    ["tasks", { tasksMax: 0 }],
    ["tasks", { tasksMax: 32_769 }],
  ];

  it.each(broken)("%s is refused in %j", (place, change) => {
    const places = validateService({ ...usual, ...change }).map(({ path }) =>
      path
        .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
        .join("")
        .slice(1),
    );
    expect(places).toContain(place);
  });

  it("finds nothing in a sound service", () => {
    expect(validateService(elaborate)).toEqual([]);
  });
});

describe("the token tables", () => {
  it("are only ever appended to: the released part is what it was", () => {
    const released = [
      tokens.FLAKE_TOKENS.slice(0, 32),
      tokens.EXEC_TOKENS.slice(0, 18),
      tokens.ARGUMENT_TOKENS.slice(0, 62),
      tokens.ENV_NAME_TOKENS.slice(0, 36),
      tokens.HTTP_PATH_TOKENS.slice(0, 17),
      tokens.DEVICE_TOKENS.slice(0, 16),
    ];
    const digest = createHash("sha256").update(JSON.stringify(released)).digest("hex");
    expect(digest).toBe(GOLDEN_TOKENS);
  });

  it("write each of their entries as one byte, and read it back", () => {
    for (const table of [tokens.FLAKE_TOKENS, tokens.ARGUMENT_TOKENS, tokens.DEVICE_TOKENS]) {
      for (const text of table) {
        const bytes = tokens.encodeText(text, table);
        expect(bytes.length).toBe(1);
        expect(tokens.decodeText(bytes, table)).toBe(text);
      }
    }
  });

  it("take the longest beginning", () => {
    const bytes = tokens.encodeText("github:NixOS/nixpkgs#hello", tokens.FLAKE_TOKENS);
    expect(bytes.length).toBe(1 + "hello".length);
  });
});

function expectFormatErrorOrFixedPoint(bytes: Uint8Array): void {
  let spec: ServiceSpec;
  try {
    spec = decodeService(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return;
  }
  const again = encodeService(spec);
  expect(decodeService(again)).toEqual(spec);
  expect(again.length).toBeLessThanOrEqual(bytes.length);
}

const GOLDEN_USUAL =
  "030377656205148061636d652f77656273697465237365727665720704807765620904018101bd0d08901f02046874747016021b0180";
const GOLDEN_TOKENS = "d7bb986d0721b973bb5f7f44d04b4b11328e9f5e57f9e61f8bdc8418197c009f";
