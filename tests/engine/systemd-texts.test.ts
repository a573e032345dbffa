// What the systemd engine reads: systemctl's answers, its own notes; and what it asks of systemd-run.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkArguments } from "../../src/engine/confined-check.ts";
import { formatNote, parseNote, type ServiceNote } from "../../src/engine/service-note.ts";
import { parseExposure, parseUnits } from "../../src/engine/systemctl-show.ts";
import { compileUnits } from "../../src/engine/systemd.ts";
import { UNITS_LISTED_MAX } from "../../src/kernel/limits.ts";
import { anyService } from "../schema/arbitraries.ts";
import { nodeIdFrom, serviceSpec } from "./specs.ts";

const INVOCATION = "394075ad06e24cd582253625b0a83559";

describe("what systemctl shows", () => {
  test("is read unit by unit, whatever the order of properties", () => {
    const text = `MainPID=614
Result=success
NRestarts=2
ExecMainStatus=0
MemoryCurrent=5661491
Id=myco-web.service
LoadState=loaded
ActiveState=active
SubState=running
ActiveEnterTimestampMonotonic=239531185
InvocationID=${INVOCATION}

Result=success
Id=myco-nightly.timer
LoadState=loaded
ActiveState=active
SubState=waiting
ActiveEnterTimestampMonotonic=1000
InvocationID=
`;
    const units = parseUnits(text);
    expect(units.get("myco-web.service")).toEqual({
      unit: "myco-web.service",
      load: "loaded",
      active: "active",
      sub: "running",
      result: "success",
      exitStatus: 0,
      mainPid: 614,
      restartCount: 2,
      memoryBytes: 5_661_491,
      activeSinceMs: 239_531,
      invocation: INVOCATION,
    });
    expect(units.get("myco-nightly.timer")).toMatchObject({
      active: "active",
      mainPid: 0,
      memoryBytes: null,
      invocation: "",
    });
  });

  test.each(["[not set]", "18446744073709551615", "infinity", ""])(
    "counts no memory where systemd says %j",
    (value) => {
      const units = parseUnits(`Id=myco-web.service\nMemoryCurrent=${value}\n`);
      expect(units.get("myco-web.service")?.memoryBytes).toBeNull();
    },
  );

  test("is bounded, and any text is read or passed over", () => {
    const many = Array.from({ length: UNITS_LISTED_MAX + 9 }, (_, i) => `Id=myco-s${i}.service\n`);
    expect(parseUnits(many.join("\n")).size).toBe(UNITS_LISTED_MAX);
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(
        "Id=myco-web.service",
        "Id=",
        "\n",
        "MainPID=-1",
        "MainPID=99999999999999999",
      ),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        for (const [name, status] of parseUnits(lines.join("\n"))) {
          expect(name).toBe(status.unit);
          expect(Number.isSafeInteger(status.mainPid)).toBe(true);
          expect(status.mainPid).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  test("tells the exposure from systemd-analyze's last line", () => {
    expect(parseExposure("…\n→ Overall exposure level for myco-web.service: 1.1 OK 🙂\n")).toBe(
      1.1,
    );
    expect(parseExposure("→ Overall exposure level for myco-web.service: 10 DANGEROUS 😨")).toBe(
      10,
    );
    expect(parseExposure("Failed to load unit file")).toBeNull();
  });
});

describe("a note", () => {
  const anyVersion = anyService.map((spec) => ({
    generation: 4_294_967_295,
    lock: spec.lock,
    storePath: spec.flake === "" ? "" : "/nix/store/x",
    spec: { ...spec, name: "web" },
  }));
  const anyNote: fc.Arbitrary<ServiceNote> = fc.record({
    current: anyVersion,
    stage: fc.constantFrom<ServiceNote["stage"]>("install", "started"),
    good: fc.option(
      anyVersion.map((version) => ({ ...version, generation: 7 })),
      { nil: null },
    ),
    failed: fc.option(fc.record({ generation: fc.nat(), why: fc.string({ maxLength: 50 }) }), {
      nil: null,
    }),
  });

  test("comes back as it was", () => {
    fc.assert(
      fc.property(anyNote, (note) => {
        expect(parseNote(formatNote(note), "web")).toEqual(note);
        const same = { ...note, good: note.current };
        expect(parseNote(formatNote(same), "web")).toEqual(same);
      }),
    );
  });

  test("that is cut, of another service or anything else is none", () => {
    fc.assert(
      fc.property(anyNote, fc.nat(), (note, at) => {
        const text = formatNote(note);
        expect(parseNote(text.slice(0, at % (text.length - 1)), "web")).toBeNull();
        expect(parseNote(text, "other")).toBeNull();
      }),
    );
    const anything = fc.oneof(fc.string(), fc.json());
    fc.assert(fc.property(anything, (text) => parseNote(text, "web") === null));
    for (const record of ["", "AA==", "%"]) {
      const current = { generation: 1, lock: "", storePath: "", record };
      const text = JSON.stringify({
        format: 1,
        current,
        stage: "started",
        good: null,
        failed: null,
      });
      expect(parseNote(text, "web")).toBeNull();
    }
  });
});

describe("a check command", () => {
  const around = {
    storePath: "/nix/store/x-web",
    nodeId: nodeIdFrom(1n),
    address: "192.0.2.1",
    secretsDir: "/etc/myco/secrets",
  };
  const spec = serviceSpec({ flake: "github:acme/web", exec: "bin/web", args: ["--a", "$HOME"] });
  const version = { generation: 1, lock: "", storePath: around.storePath, spec };
  const unit = compileUnits(spec, 1, around).get("myco-web.service") ?? "";

  test("runs as the service's user, confined by all that confines the service", () => {
    const args = checkArguments(version, unit, ["bin/check", "a $b"], 2_500);
    expect(args.slice(-3)).toEqual(["--", "/nix/store/x-web/bin/check", "a $$b"]);
    expect(args).toContain("--unit=myco-check@web.service");
    expect(args).toContain("--property=RuntimeMaxSec=3");
    for (const property of ["DynamicUser=yes", "User=myco-web", "ProtectSystem=strict"]) {
      expect(args).toContain(`--property=${property}`);
    }
    const confining = unit.match(/^(Protect|Private|Restrict|SystemCall|Memory|Tasks)\w+=.*$/gm);
    expect(confining?.length).toBeGreaterThan(15);
    for (const line of confining ?? []) expect(args).toContain(`--property=${line}`);
  });

  test("does not live as the service does", () => {
    const args = checkArguments(version, unit, ["/bin/true"], 1_000).join("\n");
    expect(args).not.toMatch(/property=(Exec|Type|Restart=|Watchdog|StartLimit|Description)/);
  });

  test("is in the network of a service that has one of its own", () => {
    const lonely = { ...version, spec: { ...spec, network: "none" as const } };
    const args = checkArguments(lonely, unit, ["/bin/true"], 1_000);
    expect(args).toContain("--property=JoinsNamespaceOf=myco-web.service");
  });
});
