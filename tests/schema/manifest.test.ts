// The manifest: what people write is read as they mean it, and each mistake is shown where it is.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileSchemas } from "../../scripts/compile-schemas.mjs";
import * as limits from "../../src/kernel/limits.ts";
import { isRelativeFlake, resolveFlake } from "../../src/schema/flake.ts";
import { ManifestError, readManifest } from "../../src/schema/manifest.ts";
import {
  ARCHITECTURES,
  NETWORK_REACHES,
  PERSONAS,
  RESTART_POLICIES,
  type ServiceSpec,
} from "../../src/schema/service.ts";
import { HEALTH_TIMING_DEFAULT, SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";
import { validateService } from "../../src/schema/service-rules.ts";
import { parseDurationMs, parseSizeBytes } from "../../src/schema/units.ts";
import { anyService } from "./arbitraries.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const MANIFEST_KEYS = Object.keys(
  JSON.parse(readFileSync(`${root}docs/manifest.schema.json`, "utf8")).$defs.service.properties,
).filter((key) => key !== "$schema");

describe("a manifest", () => {
  it("of a name and a program leaves the rest at its defaults", () => {
    expect(readManifest('{"name": "web", "exec": "/bin/web"}')).toEqual([
      { ...SERVICE_DEFAULTS, name: "web", exec: "/bin/web" },
    ]);
  });

  it("is read in the units people use", () => {
    const [spec] = readManifest(`{
      "$schema": "docs/manifest.schema.json",
      "name": "web", "flake": ".#server", "exec": "bin/web",
      "env": { "PORT": "8080", "HOST": "::" },
      "ports": [8080, { "port": 53, "protocol": "udp", "name": "dns" }],
      "arch": ["aarch64", "x86_64"],
      "labels": { "room": "cellar" },
      "replicas": "all",
      "health": { "http": "/health", "interval": "500ms", "timeout": "250ms", "grace": "2m" },
      "memory": "256M", "cpu": "150%", "watchdog": "30s", "tasks": 12,
      "secrets": ["token", "db-password"], "network": "local", "restart": "on-failure"
    }`);
    expect(spec).toEqual({
      ...SERVICE_DEFAULTS,
      name: "web",
      flake: ".#server",
      exec: "bin/web",
      env: [
        ["HOST", "::"],
        ["PORT", "8080"],
      ],
      ports: [
        { port: 8080, protocol: "tcp", name: "" },
        { port: 53, protocol: "udp", name: "dns" },
      ],
      arch: ["x86_64", "aarch64"],
      labels: [["room", "cellar"]],
      replicas: "all",
      health: {
        kind: "http",
        path: "/health",
        port: 8080,
        intervalMs: 500,
        timeoutMs: 250,
        graceMs: 120_000,
      },
      memoryMaxBytes: 256 * 2 ** 20,
      cpuQuotaPercent: 150,
      watchdogMs: 30_000,
      tasksMax: 12,
      secrets: ["db-password", "token"],
      network: "local",
      restart: "on-failure",
    });
  });

  it("may hold several services", () => {
    const specs = readManifest(
      '{"services": [{"name": "a", "exec": "/a"}, {"name": "b", "exec": "/b"}]}',
    );
    expect(specs.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it("can say every service there is", () => {
    fc.assert(
      fc.property(anyService, (spec) => {
        const read = readManifest(JSON.stringify(manifestOf(spec)));
        expect(read).toEqual([{ ...spec, lock: "" }]);
      }),
    );
  });

  it("is read or refused with a ManifestError, whatever the text", () => {
    const nearly = fc
      .tuple(anyService, fc.nat(), fc.string({ maxLength: 3 }))
      .map(([spec, at, text]) => {
        const json = JSON.stringify(manifestOf(spec), null, 1);
        return json.slice(0, at % json.length) + text + json.slice((at % json.length) + 1);
      });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), nearly), (text) => {
        expectServicesOrManifestError(text);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is read as JSON.parse reads it, when it is read at all", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        const error = refusal(text);
        if (error !== null && !/given twice|nested/.test(error.message)) {
          expect(error.code).toBe("ERR_MANIFEST_INVALID");
        }
      }),
    );
  });

  it("cannot reach an object's prototype", () => {
    const error = refusal('{"name": "a", "exec": "/a", "__proto__": {"flake": "x"}}');
    expect(error?.message).toContain('unknown key "__proto__"');
  });

  it("is refused above its bounds without being read further", () => {
    expect(refusal(" ".repeat(limits.API_BODY_BYTES_MAX + 1))?.message).toContain(
      "deploy in parts",
    );
    expect(refusal("[".repeat(50_000))?.message).toContain("nested more than");
    const keys = Array.from({ length: 5_000 }, (_, index) => `"k${index}": 1`).join();
    expect(refusal(`{${keys}}`)?.problems.length).toBe(20);
  });
});

describe("a mistake in a manifest", () => {
  it.each([
    [
      "a misspelled key",
      '{\n  "name": "web",\n  "exec": "/bin/web",\n  "replica": 2\n}',
      `myco.json:4:3: replica: unknown key "replica"; did you mean "replicas"?
  4 |   "replica": 2
    |   ^`,
    ],
    [
      "a key of something else",
      '{"name": "web", "exec": "/w", "ports": [{"port": 1, "hostNetwork": true}]}',
      `myco.json:1:53: ports[0].hostNetwork: unknown key "hostNetwork"; allowed: port, protocol, name
  1 | {"name": "web", "exec": "/w", "ports": [{"port": 1, "hostNetwork": true}]}
    |                                                     ^`,
    ],
    [
      "a comma too many",
      '{\n  "name": "web",\n  "exec": "/bin/web",\n}',
      `myco.json:3:21: not JSON: a comma after the last item; take it away
  3 |   "exec": "/bin/web",
    |                     ^`,
    ],
    [
      "a comma too few",
      '{\n  "name": "web"\n  "exec": "/bin/web"\n}',
      `myco.json:3:3: not JSON: expected a comma or }
  3 |   "exec": "/bin/web"
    |   ^`,
    ],
    [
      "a comment",
      '{\n  // the web\n  "name": "web" }',
      `myco.json:2:3: not JSON: JSON has no comments; take this one away
  2 |   // the web
    |   ^`,
    ],
    [
      "a missing program",
      '{"name": "web"}',
      `myco.json:1:1: "exec" is missing: The program: an absolute path, or one below the flake's output such as bin/server.
  1 | {"name": "web"}
    | ^`,
    ],
    [
      "a number where a text belongs",
      '{"name": "web", "exec": "/w",\n "env": {"PORT": 8080}}',
      `myco.json:2:18: env.PORT: found 8080; allowed: a text in double quotes
  2 |  "env": {"PORT": 8080}}
    |                  ^`,
    ],
    [
      "a size in a unit that is not known",
      '{"name": "web", "exec": "/w", "memory": "256MB"}',
      `myco.json:1:41: memory: found "256MB"; allowed: a size such as "256M" or "1G", a number of bytes, or null for no limit
  1 | {"name": "web", "exec": "/w", "memory": "256MB"}
    |                                         ^`,
    ],
    [
      "a duration without a unit",
      '{"name": "web", "exec": "/w", "health": {"tcp": 80, "interval": 10}}',
      `myco.json:1:65: health.interval: found 10; allowed: a duration with its unit, such as "10s" or "500ms"
  1 | {"name": "web", "exec": "/w", "health": {"tcp": 80, "interval": 10}}
    |                                                                 ^`,
    ],
    [
      "two checks in one",
      '{"name": "web", "exec": "/w", "health": {"tcp": 80, "http": "/"}}',
      `myco.json:1:41: health: found tcp and http; allowed: exactly one of http, tcp and exec
  1 | {"name": "web", "exec": "/w", "health": {"tcp": 80, "http": "/"}}
    |                                         ^`,
    ],
    [
      "a word that is nearly right",
      '{"name": "web", "exec": "/w", "persona": "gamming"}',
      `myco.json:1:42: persona: found "gamming"; allowed: ${PERSONAS.join(", ")}; did you mean "gaming"?
  1 | {"name": "web", "exec": "/w", "persona": "gamming"}
    |                                          ^`,
    ],
    [
      "a program below a flake that is not given",
      '{"name": "web", "exec": "bin/web"}',
      `myco.json:1:25: exec: found "bin/web"; allowed: an absolute path, because the service has no flake
  1 | {"name": "web", "exec": "bin/web"}
    |                         ^`,
    ],
    [
      "a check of a port that is not given",
      '{"name": "web", "exec": "/w", "health": {"http": "/"}}',
      `myco.json:1:41: health.port: found nothing; allowed: a port from 1 to 65535
  1 | {"name": "web", "exec": "/w", "health": {"http": "/"}}
    |                                         ^`,
    ],
    [
      "a lock, which the node that takes the deployment finds out",
      '{"name": "web", "flake": "nixpkgs#web", "exec": "bin/w", "lock": ""}',
      `myco.json:1:58: lock: unknown key "lock"; allowed: ${MANIFEST_KEYS.join(", ")}
  1 | {"name": "web", "flake": "nixpkgs#web", "exec": "bin/w", "lock": ""}
    |                                                          ^`,
    ],
    [
      "a schedule that no calendar has",
      '{"name": "web", "exec": "/w", "schedule": "Mon 25:00"}',
      `myco.json:1:43: schedule: found "Mon 25:00"; allowed: a calendar event such as "daily", "Mon..Fri 03:30", "*-*-01 00:00 UTC" or "*:0/15"
  1 | {"name": "web", "exec": "/w", "schedule": "Mon 25:00"}
    |                                           ^`,
    ],
    [
      "a secret that leaves its folder",
      '{"name": "web", "exec": "/w", "secrets": ["../key"]}',
      `myco.json:1:43: secrets[0]: found "../key"; allowed: letters, digits and . _ - in a file's name, the first a letter or digit, at most 64
  1 | {"name": "web", "exec": "/w", "secrets": ["../key"]}
    |                                           ^`,
    ],
    [
      "ports that nobody could reach",
      '{"name": "web", "exec": "/w", "network": "none", "ports": [80]}',
      `myco.json:1:59: ports: found a list of 1; allowed: no ports, because network is "none"; with socketActivated it may have them
  1 | {"name": "web", "exec": "/w", "network": "none", "ports": [80]}
    |                                                           ^`,
    ],
    [
      "a singleton of two",
      '{"name": "web", "exec": "/w", "replicas": 2, "singleton": true}',
      `myco.json:1:43: replicas: found 2; allowed: 1, because it is a singleton
  1 | {"name": "web", "exec": "/w", "replicas": 2, "singleton": true}
    |                                           ^`,
    ],
    [
      "a name given twice",
      '{"services": [\n  {"name": "a", "exec": "/a"},\n  {"name": "a", "exec": "/b"}\n]}',
      `myco.json:3:12: services[1].name: found "a"; allowed: a name that no other service of the manifest has
  3 |   {"name": "a", "exec": "/b"}
    |            ^`,
    ],
    [
      "a key given twice",
      '{"name": "a",\n "name": "b"}',
      `myco.json:2:2: name: not JSON: this key is given twice
  2 |  "name": "b"}
    |  ^`,
    ],
    [
      "a text without its end",
      '{"name": "a\n}',
      `myco.json:1:10: name: not JSON: a string without its end, or with a line break or a wrong \\ in it
  1 | {"name": "a
    |          ^`,
    ],
    [
      "no object at all",
      "[]",
      `myco.json:1:1: found an empty list; allowed: an object
  1 | []
    | ^`,
    ],
  ])("is shown: %s", (_, text, message) => {
    expect(refusal(text)?.message).toBe(message);
  });

  it("is shown with every other, in the order of the text", () => {
    const error = refusal('{"nam": "a",\n "exec": 5,\n "zone": 300}');
    expect(error?.problems.map(({ line, path }) => [line, path.join()])).toEqual([
      [1, ""],
      [1, "nam"],
      [2, "exec"],
      [3, "zone"],
    ]);
  });

  it("is shown in part when its line is long, without control characters", () => {
    const long = `{"name": "web", "args": [${`"${"x".repeat(9)}", `.repeat(20)}\t"\\u0007", 5], "exec": "/w"}`;
    const [head = "", source = "", mark = ""] = refusal(long)?.message.split("\n") ?? [];
    expect(head).toContain("args[21]: found 5");
    expect(source.length).toBeLessThan(110);
    expect(source).not.toContain("\t");
    expect(source[mark.indexOf("^")]).toBe("5");
  });
});

describe("the published schema", () => {
  const schema = JSON.parse(readFileSync(`${root}docs/manifest.schema.json`, "utf8"));
  const service = schema.$defs.service.properties;

  it("and the code compiled from it are up to date", () => {
    for (const [path, text] of Object.entries(compileSchemas())) {
      const hint = `${path} is stale: run node scripts/compile-schemas.mjs`;
      expect(readFileSync(`${root}${path}`, "utf8") === text, hint).toBe(true);
    }
  });

  it("is a valid schema that accepts every service", () => {
    const validate = new Ajv2020({ strict: false }).compile(schema);
    fc.assert(
      fc.property(anyService, (spec) => {
        expect(validate(manifestOf(spec))).toBe(true);
        expect(validate({ services: [manifestOf(spec)] })).toBe(true);
      }),
    );
  });

  it("says of every property what it is for, and what leaving it out means", () => {
    const required = ["name", "exec", "http", "tcp", "port", "services", "health"];
    for (const part of Object.values<{ properties?: Record<string, Described> }>(schema.$defs)) {
      for (const [name, property] of Object.entries(part.properties ?? {})) {
        if (name === "$schema") continue;
        expect(property.description, name).toMatch(/\.$/);
        if (!required.includes(name)) expect(property, name).toHaveProperty("default");
      }
    }
  });

  it("gives the defaults and the bounds the code has", () => {
    const defaults = Object.fromEntries(
      Object.entries<Described>(service).flatMap(([name, property]) =>
        property.default === undefined ? [] : [[name, property.default]],
      ),
    );
    const text = JSON.stringify({ ...defaults, name: "a", exec: "/a" });
    expect(readManifest(text)).toEqual([{ ...SERVICE_DEFAULTS, name: "a", exec: "/a" }]);
    const { interval, timeout, grace } = schema.$defs.health.properties;
    expect(parseDurationMs(interval.default)).toBe(HEALTH_TIMING_DEFAULT.intervalMs);
    expect(parseDurationMs(timeout.default)).toBe(HEALTH_TIMING_DEFAULT.timeoutMs);
    expect(parseDurationMs(grace.default)).toBe(HEALTH_TIMING_DEFAULT.graceMs);
    expect(service.arch.items.enum).toEqual(ARCHITECTURES);
    expect(service.persona.enum).toEqual(PERSONAS);
    expect(service.network.enum).toEqual(NETWORK_REACHES);
    expect(service.restart.enum).toEqual(RESTART_POLICIES);
    expect(service.secrets.maxItems).toBe(limits.SECRETS_MAX);
    expect(service.environmentFiles.maxItems).toBe(limits.ENVIRONMENT_FILES_MAX);
    expect(service.tasks.maximum).toBe(limits.SERVICE_TASKS_MAX);
    expect(service.args.maxItems).toBe(limits.ARGS_MAX);
    expect(service.env.maxProperties).toBe(limits.ENV_MAX);
    expect(service.ports.maxItems).toBe(limits.PORTS_MAX);
    expect(service.devices.maxItems).toBe(limits.DEVICES_MAX);
    expect(service.labels.maxProperties).toBe(limits.LABELS_MAX);
    expect(service.replicas.maximum).toBe(limits.REPLICAS_MAX);
    expect(service.exec.maxLength).toBe(limits.TEXT_BYTES_MAX);
    expect(schema.$defs.deployment.properties.services.maxItems).toBe(limits.MANIFEST_SERVICES_MAX);
  });
});

describe("a flake", () => {
  it.each([
    [".", "path:/home/me/app"],
    [".#web", "path:/home/me/app#web"],
    ["..", "path:/home/me"],
    ["./sub/../web?dir=x#y", "path:/home/me/app/web?dir=x#y"],
    ["path:.", "path:/home/me/app"],
    ["path:sub#web", "path:/home/me/app/sub#web"],
    ["git+file:.#web", "git+file:/home/me/app#web"],
    ["../../../../../etc", "path:/etc"],
  ])("that is relative, %s, is made absolute beside its manifest", (flake, absolute) => {
    expect(isRelativeFlake(flake)).toBe(true);
    expect(resolveFlake(flake, "/home/me/app")).toBe(absolute);
    expect(isRelativeFlake(absolute)).toBe(false);
  });

  it.each(["", "nixpkgs#hello", "github:a/b", "path:/srv/app", "git+file:///srv/app", "/srv/app"])(
    "that any node understands, %j, stays as it is",
    (flake) => {
      expect(resolveFlake(flake, "/home/me/app")).toBe(flake);
    },
  );
});

describe("a unit", () => {
  it("is read as people mean it", () => {
    expect(["250ms", "10s", "5m", "1h", "0s"].map(parseDurationMs)).toEqual([
      250, 10_000, 300_000, 3_600_000, 0,
    ]);
    expect(["64K", "256M", "1G", "2T"].map(parseSizeBytes)).toEqual([
      65_536,
      268_435_456,
      2 ** 30,
      2 ** 41,
    ]);
  });

  it("is refused when it is not known", () => {
    for (const text of ["", "10", "s", "1.5s", "-1s", "10 s", "1d", "10S"]) {
      expect(parseDurationMs(text), text).toBeNull();
    }
    for (const text of ["", "10", "M", "0M", "1.5G", "1MB", "1MiB", "1m", "1P"]) {
      expect(parseSizeBytes(text), text).toBeNull();
    }
  });
});

interface Described {
  description?: string;
  default?: unknown;
}

/** A service as people would write it. */
function manifestOf(spec: ServiceSpec): object {
  const { health } = spec;
  const target =
    health === null
      ? {}
      : health.kind === "http"
        ? { http: health.path, port: health.port }
        : health.kind === "tcp"
          ? { tcp: health.port }
          : { exec: health.command };
  const { env, labels, memoryMaxBytes, cpuQuotaPercent, watchdogMs, tasksMax, ...rest } = spec;
  const { health: _, lock: __, ...same } = rest;
  return {
    ...same,
    env: Object.fromEntries(env),
    labels: Object.fromEntries(labels),
    ...(health === null
      ? {}
      : {
          health: {
            ...target,
            interval: `${health.intervalMs}ms`,
            timeout: `${health.timeoutMs}ms`,
            grace: `${health.graceMs}ms`,
          },
        }),
    memory: memoryMaxBytes === 0 ? null : memoryMaxBytes,
    cpu: cpuQuotaPercent === 0 ? null : `${cpuQuotaPercent}%`,
    watchdog: watchdogMs === 0 ? null : `${watchdogMs}ms`,
    tasks: tasksMax,
  };
}

function refusal(text: string): ManifestError | null {
  try {
    readManifest(text);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(ManifestError);
    return error as ManifestError;
  }
}

function expectServicesOrManifestError(text: string): void {
  if (refusal(text) !== null) return;
  for (const spec of readManifest(text)) {
    expect(validateService({ ...spec, flake: resolveFlake(spec.flake, "/") })).toEqual([]);
  }
}
