// Services as units: what a slot says comes out as exactly that, confined, and nothing of it as syntax.

import { posix } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compileUnits,
  readUnitNote,
  serviceNameOf,
  type UnitSurroundings,
  unitNameOf,
  userNameOf,
} from "../../src/engine/systemd.ts";
import { formatUnit } from "../../src/engine/unit-text.ts";
import { AssertionError } from "../../src/kernel/assert.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { validateService } from "../../src/schema/service-rules.ts";
import { anyService } from "../schema/arbitraries.ts";
import { serviceSpec } from "./specs.ts";
import {
  readCommand,
  readEnvironment,
  readUnit,
  splitWords,
  type UnitSection,
  valuesOf,
  withoutSpecifiers,
} from "./unit-reader.ts";

const STORE_PATH = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-web-1.0";
const GENERATION = 0xfedc_ba98;

function around(spec: ServiceSpec): UnitSurroundings {
  return {
    storePath: spec.flake === "" ? "" : STORE_PATH,
    nodeId: "0123456789abcdef",
    address: "192.0.2.7",
    secretsDir: "/etc/myco/secrets",
  };
}

function compile(spec: ServiceSpec): ReadonlyMap<string, string> {
  return compileUnits(spec, GENERATION, around(spec));
}

function serviceUnit(changes: Partial<ServiceSpec>): UnitSection[] {
  const spec = serviceSpec(changes);
  expect(validateService(spec)).toEqual([]);
  return readUnit(compile(spec).get(unitNameOf(spec.name))!);
}

function service(changes: Partial<ServiceSpec>, directive: string): string[] {
  return valuesOf(serviceUnit(changes), "Service", directive);
}

/** How systemd writes a variable inside a word. */
function variable(name: string): string {
  return `$\{${name}}`;
}

/** Texts that have broken out of something before. */
const nasty = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    ";",
    "\\;",
    "\\",
    "a\\",
    '"',
    "'",
    "%",
    "%%",
    "%n",
    "%h/x",
    "$",
    "$$",
    "$PORT",
    variable("PORT"),
    "-x",
    "@x",
    "+/bin/sh",
    "!!x",
    "#",
    "; ExecStart=/bin/sh",
    '" "x',
    "' 'x",
    "\\x0aUser=root",
    "[Service]",
    "日本語",
    "a b",
    "é",
    "\u{1f344}",
    "\u00a0",
  ),
  fc.string({ unit: fc.constantFrom(..."\\\"'%$;#=[]-@:+! ax{}\u00a0é"), maxLength: 12 }),
);
const nastyPath = nasty
  .map((text) => `/${text.replaceAll(/["'\\]/g, "")}/x`)
  .filter((path) => !path.split("/").includes(".."));

/** Sound services with every text as bad as it may be. */
const nastyService: fc.Arbitrary<ServiceSpec> = fc
  .record({
    spec: anyService,
    args: fc.array(nasty, { maxLength: 6 }),
    exec: fc.oneof(fc.constant(null), nastyPath),
    values: fc.array(nasty, { maxLength: 4 }),
    preStart: fc.oneof(
      fc.constant([]),
      fc.tuple(nastyPath, fc.array(nasty, { maxLength: 3 })).map(([path, args]) => [path, ...args]),
    ),
  })
  .map(({ spec, args, exec, values, preStart }) => ({
    ...spec,
    args,
    preStart,
    exec: exec ?? spec.exec,
    env: values.map((value, index) => [`V${index}`, value] as const),
  }));

const anySoundService = fc
  .oneof(anyService, nastyService)
  .filter((spec) => validateService(spec).length === 0);

/** The path as the system would follow it. */
function simplified(exec: string): string {
  return posix.normalize(exec.startsWith("/") ? exec : `${STORE_PATH}/${exec}`);
}

describe("a service's unit", () => {
  it("starts exactly what the service says, in exactly that environment", () => {
    fc.assert(
      fc.property(anySoundService, (spec) => {
        const sections = readUnit(compile(spec).get(unitNameOf(spec.name))!);
        const env = readEnvironment(sections);
        const own = new Set(spec.env.map(([name]) => name));
        for (const [name, value] of spec.env) expect(env.get(name)).toBe(value);
        const added = [...env.keys()].filter((name) => !own.has(name));
        const known = ["HOME", "LANG", "MYCO_SERVICE", "MYCO_NODE", "MYCO_ADDRESS", "PORT"];
        expect(added.filter((name) => !known.includes(name))).toEqual([]);

        const [start, ...more] = valuesOf(sections, "Service", "ExecStart");
        expect(more).toEqual([]);
        expect(readCommand(start!, env)).toEqual([simplified(spec.exec), ...spec.args]);
        const before = valuesOf(sections, "Service", "ExecStartPre").map((line) =>
          readCommand(line, env),
        );
        const [program, ...args] = spec.preStart;
        expect(before).toEqual(program === undefined ? [] : [[simplified(program), ...args]]);
      }),
      { numRuns: 1_000 },
    );
  });

  it("has the sections and directives that this compiler writes, each where it belongs, and no other", () => {
    fc.assert(
      fc.property(anySoundService, (spec) => {
        for (const [file, text] of compile(spec)) {
          const suffix = file.slice(file.lastIndexOf(".") + 1);
          const sections = readUnit(text);
          expect(sections.map(({ name }) => name)).toEqual(["X-Myco", "Unit", SECTION_OF[suffix]]);
          for (const { name, directives } of sections) {
            const once = new Set<string>();
            for (const [directive] of directives) {
              expect(DIRECTIVES[name]).toContain(directive);
              if (!REPEATED.includes(directive)) expect(once.has(directive), directive).toBe(false);
              once.add(directive);
            }
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it("is never confined less than this, whatever the service asks for", () => {
    fc.assert(
      fc.property(anySoundService, (spec) => {
        const sections = readUnit(compile(spec).get(unitNameOf(spec.name))!);
        const one = (name: string): string | undefined =>
          valuesOf(sections, "Service", name).at(-1);
        for (const [name, value] of Object.entries(MANDATORY)) expect(one(name), name).toBe(value);
        expect(one("TasksMax")).toBe(String(spec.tasksMax));
        expect(one("MemoryDenyWriteExecute")).toBe(spec.jit ? undefined : "yes");
        const isPrivileged = !spec.socketActivated && spec.ports.some(({ port }) => port < 1024);
        const capability = isPrivileged ? "CAP_NET_BIND_SERVICE" : "";
        expect(one("CapabilityBoundingSet")).toBe(capability);
        expect(one("AmbientCapabilities") ?? "").toBe(capability);
        expect(one("PrivateUsers")).toBe(isPrivileged ? undefined : "yes");
        expect(one("PrivateNetwork")).toBe(spec.network === "none" ? "yes" : undefined);
        expect(one("IPAddressDeny")).toBe(spec.network === "any" ? undefined : "any");
        const allowed = valuesOf(sections, "Service", "SocketBindAllow");
        const own = spec.socketActivated ? [] : spec.ports;
        expect(allowed).toEqual(own.map(({ protocol, port }) => `${protocol}:${port}`));
      }),
      { numRuns: 200 },
    );
  });

  it("is told from every other by what it says of itself", () => {
    fc.assert(
      fc.property(anySoundService, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (spec, generation) => {
        const surroundings = around(spec);
        for (const [file, text] of compileUnits(spec, generation, surroundings)) {
          const { storePath } = surroundings;
          expect(readUnitNote(text)).toEqual({
            service: spec.name,
            generation,
            storePath,
            lock: spec.lock,
          });
          expect(serviceNameOf(file)).toBe(file.endsWith(".service") ? spec.name : null);
        }
      }),
    );
  });
});

describe("what a service asks for", () => {
  it("comes as little as it says: a plain one restarts for ever and reaches everything", () => {
    expect(service({}, "Type")).toEqual(["exec"]);
    expect(service({}, "Restart")).toEqual(["always"]);
    expect(service({}, "TasksMax")).toEqual(["100"]);
    expect(service({}, "MemoryMax")).toEqual([]);
    expect(service({}, "IPAddressDeny")).toEqual([]);
    expect(service({}, "ExecStart")).toEqual([":/bin/sleep"]);
    expect(service({}, "Slice")).toEqual(["myco.slice"]);
    expect([...compile(serviceSpec({})).keys()]).toEqual(["myco-web.service"]);
  });

  it("has its limits, and no swap to get around them", () => {
    const limited = { memoryMaxBytes: 256 * 2 ** 20, cpuQuotaPercent: 150, tasksMax: 7 };
    expect(service(limited, "MemoryMax")).toEqual(["268435456"]);
    expect(service(limited, "MemorySwapMax")).toEqual(["0"]);
    expect(service(limited, "CPUQuota")).toEqual(["150%"]);
    expect(service(limited, "TasksMax")).toEqual(["7"]);
  });

  it("finds its secrets as credentials and in its environment, from the node's folder only", () => {
    const spec = serviceSpec({ secrets: ["token"], environmentFiles: ["web.env", "more"] });
    const secretsDir = "/srv/100% [mine]*";
    const text = compileUnits(spec, 1, { ...around(spec), secretsDir }).get("myco-web.service")!;
    const read = (name: string): string[] => valuesOf(readUnit(text), "Service", name);
    expect(read("LoadCredential").map(withoutSpecifiers)).toEqual([`token:${secretsDir}/token`]);
    expect(read("EnvironmentFile").map(withoutSpecifiers)).toEqual([
      "/srv/100% \\[mine]\\*/web.env",
      "/srv/100% \\[mine]\\*/more",
    ]);
  });

  it("has the devices it asks for in a /dev of its own", () => {
    const devices = ["/dev/dri", "/dev/serial/by-id/usb:1", "/dev/ttyUSB0"];
    expect(service({ devices }, "PrivateDevices")).toEqual(["yes"]);
    expect(service({ devices }, "BindPaths")).toEqual([
      "-/dev/dri",
      "-/dev/serial/by-id/usb\\:1",
      "-/dev/ttyUSB0",
    ]);
    expect(service({ devices }, "DeviceAllow")).toEqual([
      "char-drm rw",
      "/dev/serial/by-id/usb:1 rw",
      "/dev/ttyUSB0 rw",
    ]);
    expect(service({ devices }, "SupplementaryGroups")).toEqual(["render video dialout"]);
  });

  it("says that it lives when a watchdog asks", () => {
    expect(service({ watchdogMs: 1_500 }, "Type")).toEqual(["notify"]);
    expect(service({ watchdogMs: 1_500 }, "WatchdogSec")).toEqual(["1500ms"]);
    expect(service({ watchdogMs: 1_500 }, "NotifyAccess")).toEqual(["main"]);
  });

  it("that may end stays known to systemd when it has, unless something starts it anew", () => {
    const mayEnd = { restart: "on-failure" } as const;
    expect(service(mayEnd, "RemainAfterExit")).toEqual(["yes"]);
    const others = [
      {},
      { ...mayEnd, schedule: "Mon..Fri 03:30 UTC" },
      { ...mayEnd, socketActivated: true, ports: [{ port: 80, protocol: "tcp", name: "" }] },
    ];
    for (const other of others) expect(service(other, "RemainAfterExit")).toEqual([]);
  });

  it("runs by a schedule, ends, and is not a failure of a limit that was meant for others", () => {
    const job = serviceSpec({ schedule: "Mon..Fri 03:30 UTC" });
    const timer = readUnit(compile(job).get("myco-web.timer")!);
    expect(valuesOf(timer, "Timer", "OnCalendar")).toEqual(["Mon..Fri 03:30 UTC"]);
    expect(service(job, "Type")).toEqual(["oneshot"]);
    expect(service(job, "Restart")).toEqual(["no"]);
    expect(service(job, "TimeoutStartSec")).toEqual(["infinity"]);
    expect(valuesOf(serviceUnit(job), "Unit", "StartLimitIntervalSec")).toEqual(["0"]);
    expect(service({ ...job, restart: "on-failure" }, "Restart")).toEqual(["on-failure"]);
  });

  it("gets its sockets from systemd, and then needs no privilege for a low port", () => {
    const spec = serviceSpec({
      socketActivated: true,
      network: "local",
      ports: [
        { port: 80, protocol: "tcp", name: "http" },
        { port: 53, protocol: "udp", name: "" },
      ],
    });
    const address = "fd00::7";
    const units = compileUnits(spec, 1, { ...around(spec), address });
    const socket = readUnit(units.get("myco-web.socket")!);
    expect(valuesOf(socket, "Socket", "ListenStream")).toEqual(["[fd00::7]:80"]);
    expect(valuesOf(socket, "Socket", "ListenDatagram")).toEqual(["[fd00::7]:53"]);
    expect(valuesOf(socket, "Socket", "IPAddressDeny")).toEqual(["any"]);
    const main = readUnit(units.get("myco-web.service")!);
    expect(valuesOf(main, "Unit", "Requires")).toEqual(["myco-web.socket"]);
    expect(valuesOf(main, "Service", "CapabilityBoundingSet")).toEqual([""]);
  });

  it("shares a slice by its name, whatever hyphens are in it", () => {
    expect(service({ slice: "media" }, "Slice")).toEqual(["myco-media.slice"]);
    expect(service({ slice: "a-b--c" }, "Slice")).toEqual(["myco-a\\x2db\\x2d\\x2dc.slice"]);
  });
});

describe("names", () => {
  it("of users are ones that utmp takes, and differ where services do", () => {
    const names = fc.stringMatching(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);
    fc.assert(
      fc.property(names, names, (one, other) => {
        expect(userNameOf(one)).toMatch(/^myco-[a-z0-9-]{1,26}$/);
        if (one !== other) expect(userNameOf(one)).not.toBe(userNameOf(other));
      }),
      { numRuns: 1_000 },
    );
    const long = "a".repeat(40);
    expect(userNameOf(`${long}b`)).not.toBe(userNameOf(`${long}c`));
    expect(userNameOf("web")).toBe("myco-web");
  });

  it("of units that are no service's say so", () => {
    for (const unit of [
      "myco.service",
      "myco-.service",
      "myco-build@web.service",
      "myco-web.socket",
      "myco-Web.service",
      "ssh.service",
      "myco-web.service.d",
    ]) {
      expect(serviceNameOf(unit), unit).toBeNull();
    }
    expect(serviceNameOf("myco-a-b.service")).toBe("a-b");
    expect(() => unitNameOf("../x")).toThrow(AssertionError);
  });
});

describe("a unit file that is not ours", () => {
  it("is known as such, whatever is in it", () => {
    for (const text of ["", "[Unit]\n", "[X-Myco]\n", "[X-Myco]\nService=a\n", "# [X-Myco]\n"]) {
      expect(readUnitNote(text)).toBeNull();
    }
    const web = compile(serviceSpec({})).get("myco-web.service")!;
    expect(readUnitNote(web.replace("Service=web", "Service=../web"))).toBeNull();
    expect(readUnitNote(web.replace(/Generation=.*/, "Generation=1e9"))).toBeNull();
    expect(readUnitNote(`\n${web}`)).toBeNull();
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `[X-Myco]\n${text}`),
        ),
        (text) => {
          expect(readUnitNote(text)).toBeNull();
        },
      ),
    );
  });
});

describe("a mistake of ours", () => {
  it.each([
    ["a line break", [["Description", "a\nUser=root"]]],
    ["a line that goes on", [["Description", "a\\"]]],
    ["a directive that is two", [["A=b\nC", "d"]]],
  ] as const)("stops the compiler: %s", (_, directives) => {
    expect(() => formatUnit([{ name: "Unit", directives }])).toThrow(AssertionError);
  });

  it.each([
    ["a flake that was not built", { flake: "nixpkgs#web", exec: "bin/web" }, { storePath: "" }],
    ["a control character", { args: ["a\nb"] }, {}],
    ["a program that climbs", { exec: "/srv/../bin/sh" }, {}],
    ["a program in quotes", { exec: "/srv/'sh'" }, {}],
    ["a name that is a path", { name: "../etc" }, {}],
    ["secrets beside the daemon", { secrets: ["a"] }, { secretsDir: "secrets" }],
  ])("stops the compiler: %s", (_, changes, other) => {
    const spec = serviceSpec(changes);
    expect(() => compileUnits(spec, 1, { ...around(spec), ...other })).toThrow(AssertionError);
  });
});

describe("the reader of these tests", () => {
  it("takes words apart as systemd.syntax(7) says", () => {
    const texts = splitWords(`a "b c" 'd "e' "" x\\"y "\\\\\\s"`).map(({ text }) => text);
    expect(texts).toEqual(["a", "b c", 'd "e', "", 'x"y', "\\ "]);
    expect(() => splitWords('"a')).toThrow(/quote/);
    expect(() => readCommand("/bin/sh ; /bin/x", new Map())).toThrow(/several/);
    expect(() => readCommand("+/bin/sh", new Map())).toThrow(/prefix/);
    expect(() => withoutSpecifiers("%n")).toThrow(/specifier/);
    const env = new Map([["A", "1 2"]]);
    expect(readCommand(`/x $A ${variable("A")} $$`, env)).toEqual(["/x", "1", "2", "1 2", "$"]);
    expect(readCommand(`:/x $A ${variable("A")} $$`, env)).toEqual([
      "/x",
      "$A",
      variable("A"),
      "$$",
    ]);
  });
});

const SECTION_OF: Readonly<Record<string, string>> = {
  service: "Service",
  socket: "Socket",
  timer: "Timer",
};
const REPEATED = [
  "BindPaths",
  "DeviceAllow",
  "Environment",
  "EnvironmentFile",
  "ListenDatagram",
  "ListenStream",
  "LoadCredential",
  "SocketBindAllow",
  "SystemCallFilter",
];

/** One at a time, as the issue and the facts have them; the last of those that repeat. */
const MANDATORY: Readonly<Record<string, string>> = {
  DynamicUser: "yes",
  ProtectSystem: "strict",
  OOMScoreAdjust: "500",
  StateDirectoryMode: "0700",
  NoNewPrivileges: "yes",
  UMask: "0077",
  KillMode: "control-group",
  DevicePolicy: "closed",
  PrivateDevices: "yes",
  PrivateMounts: "yes",
  PrivateTmp: "yes",
  ProcSubset: "pid",
  ProtectClock: "yes",
  ProtectControlGroups: "yes",
  ProtectHome: "yes",
  ProtectHostname: "yes",
  ProtectKernelLogs: "yes",
  ProtectKernelModules: "yes",
  ProtectKernelTunables: "yes",
  ProtectProc: "invisible",
  LockPersonality: "yes",
  RemoveIPC: "yes",
  RestrictAddressFamilies: "AF_INET AF_INET6 AF_UNIX",
  RestrictNamespaces: "yes",
  RestrictRealtime: "yes",
  RestrictSUIDSGID: "yes",
  SocketBindDeny: "1-65535",
  SystemCallArchitectures: "native",
  SystemCallErrorNumber: "EPERM",
  SystemCallFilter: "~@privileged @resources",
};

const DIRECTIVES: Readonly<Record<string, readonly string[]>> = {
  "X-Myco": ["Service", "Generation", "StorePath", "Lock"],
  Unit: ["Description", "StartLimitIntervalSec", "StartLimitBurst", "Requires", "After"],
  Socket: [
    "ListenStream",
    "ListenDatagram",
    "FreeBind",
    "Slice",
    "IPAddressAllow",
    "IPAddressDeny",
  ],
  Timer: ["OnCalendar", "AccuracySec"],
  Service: [
    ...Object.keys(MANDATORY),
    "AmbientCapabilities",
    "BindPaths",
    "CPUQuota",
    "CapabilityBoundingSet",
    "DeviceAllow",
    "Environment",
    "EnvironmentFile",
    "ExecStart",
    "ExecStartPre",
    "IPAddressAllow",
    "IPAddressDeny",
    "InaccessiblePaths",
    "LoadCredential",
    "MemoryDenyWriteExecute",
    "MemoryMax",
    "MemorySwapMax",
    "NotifyAccess",
    "PrivateNetwork",
    "PrivateUsers",
    "RemainAfterExit",
    "Restart",
    "RestartSec",
    "Slice",
    "SocketBindAllow",
    "StateDirectory",
    "SupplementaryGroups",
    "SyslogIdentifier",
    "TasksMax",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "Type",
    "User",
    "WatchdogSec",
    "WorkingDirectory",
  ],
};
