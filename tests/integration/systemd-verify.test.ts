// Generated units before the real systemd: it reads each without a word, and scores how exposed each is.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileUnits } from "../../src/engine/systemd.ts";
import { isCalendarEvent } from "../../src/schema/calendar.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { validateService } from "../../src/schema/service-rules.ts";
import { serviceSpec } from "../engine/specs.ts";
import { anyService } from "../schema/arbitraries.ts";

/** systemd-analyze counts in hundredths where people read tenths. */
const EXPOSURE_MAX = 15;
const SEED = 20_260;
const UNITS_IN_A_BATCH = 150;
const SCORED_IN_A_BATCH = 40;

const isThere = spawnSync("systemd-analyze", ["--version"]).status === 0;
if (!isThere) console.warn("» skipped: systemd-analyze is not on this machine");

const hasZones = existsSync("/usr/share/zoneinfo/Europe/Berlin");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-units-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with the units of these services, whose programs exist. */
function written(
  title: string,
  specs: readonly ServiceSpec[],
): { folder: string; files: string[] } {
  const place = join(folder, title);
  const storePath = join(place, "store path % with a blank");
  mkdirSync(join(storePath, "bin"), { recursive: true });
  for (const program of ["true", ODD_PROGRAM]) {
    writeFileSync(join(storePath, "bin", program), "#!/bin/sh\n");
    chmodSync(join(storePath, "bin", program), 0o755);
  }
  const files = specs.flatMap((spec) => {
    const around = {
      storePath: spec.flake === "" ? "" : storePath,
      nodeId: "0123456789abcdef",
      address: "192.0.2.7",
      secretsDir: "/etc/myco/100% secret",
    };
    return [...compileUnits(spec, 1, around)].map(([file, text]) => {
      writeFileSync(join(place, file), text);
      return `./${file}`;
    });
  });
  return { folder: place, files };
}

/** What systemd has to say of unit files: nothing, when it is content. */
function complaints({ folder: cwd, files }: { folder: string; files: readonly string[] }): string {
  const { stderr, status } = spawnSync("systemd-analyze", ["verify", "--man=no", ...files], {
    cwd,
    encoding: "utf8",
  });
  return status === 0 ? stderr : `${stderr}\nexited with ${status}`;
}

/** systemd's score of one unit file, and whether it passes the threshold. */
function exposure(cwd: string, file: string): { score: number; passes: boolean } {
  const args = ["security", "--offline=true", `--threshold=${EXPOSURE_MAX}`, "--no-pager", file];
  const { stdout, status } = spawnSync("systemd-analyze", args, { cwd, encoding: "utf8" });
  const score = Number(/exposure level for \S+: ([0-9.]+)/.exec(stdout)?.[1] ?? Number.NaN);
  return { score, passes: status === 0 };
}

/** Sound services by seed; their programs are ones that exist. */
function services(count: number): ServiceSpec[] {
  return fc.sample(anyService, { numRuns: count, seed: SEED }).map((spec, index) => ({
    ...spec,
    name: `s${index}`,
    exec: spec.flake === "" ? "/bin/true" : index % 2 === 0 ? "bin/true" : `bin/${ODD_PROGRAM}`,
    preStart: spec.preStart.length === 0 ? [] : ["/bin/true", ...spec.preStart.slice(1)],
    args: [...spec.args, ...TROUBLE],
    env: [["TROUBLE", TROUBLE.join(" ")] as const],
  }));
}

const ODD_PROGRAM = "a $HOME %n - ; @ é";
const TROUBLE = [";", "", "\\", '"', "'", "%n", "%", "$HOME", "-x", "#", " ", "日本", "a\\"];

const EVERYTHING: Partial<ServiceSpec> = {
  jit: true,
  devices: ["/dev/dri"],
  ports: [{ port: 80, protocol: "tcp", name: "" }],
  network: "any",
};

describe.runIf(isThere)("units before systemd", () => {
  it("are read without a word, whatever the services say", () => {
    const specs = services(UNITS_IN_A_BATCH);
    for (const spec of specs) expect(validateService(spec)).toEqual([]);
    expect(complaints(written("batch", specs))).toBe("");
  });

  it("are exposed at most by 1.5, whatever the services ask for", () => {
    const { folder: cwd, files } = written("scores", services(SCORED_IN_A_BATCH));
    const scored = files.filter((file) => file.endsWith(".service"));
    const failed = scored.filter((file) => !exposure(cwd, file).passes);
    expect(failed).toEqual([]);
  });

  it.each([
    ["a plain service", {}, 1.1],
    ["one that reaches local networks only", { network: "local" }, 1.0],
    ["one without a network", { network: "none" }, 0.5],
    ["one with a compiler inside", { jit: true }, 1.1],
    ["one with a graphics card", { devices: ["/dev/dri"] }, 1.1],
    ["one on port 80", { ports: EVERYTHING.ports }, 1.4],
    ["one that asks for all of it", EVERYTHING, 1.5],
  ] as [string, Partial<ServiceSpec>, number][])(
    "%s is exposed no more than documented",
    (title, changes, score) => {
      const spec = serviceSpec({ ...changes, exec: "/bin/true" });
      const { folder: cwd, files } = written(title.replaceAll(" ", "-"), [spec]);
      const found = exposure(cwd, files[0]!);
      expect(found.score).toBeLessThanOrEqual(score);
      expect(found.passes).toBe(true);
    },
  );

  it("would be found out: a directive too many, one too few, a schedule that is none", () => {
    const place = written("mutants", [serviceSpec({ ...EVERYTHING, exec: "/bin/true" })]);
    const [file] = place.files;
    const sound = readFileSync(join(place.folder, file!), "utf8");
    const mutant = (text: string): string => {
      writeFileSync(join(place.folder, file!), text);
      return complaints(place);
    };
    expect(mutant(sound)).toBe("");
    expect(mutant(sound.replace("Type=exec", "Type=exec\nTypo=exec"))).toContain("Typo");
    expect(mutant(sound.replace("/bin/true", "/bin/true-that-is-not-there"))).not.toBe("");
    expect(mutant(sound.replace("[X-Myco]", "[Myco]"))).toContain("Myco");
    expect(mutant(sound.replace("Restart=always", "Restart=never"))).toContain("never");
    mutant(sound.replace("ProtectSystem=strict\n", "").replace("DynamicUser=yes\n", ""));
    expect(exposure(place.folder, file!).passes).toBe(false);
  });
});

describe.runIf(isThere)("calendar events", () => {
  it("that a schedule may be are ones that systemd takes", () => {
    const number = fc.oneof(fc.nat(31), fc.nat(59)).map(String);
    const part = fc.oneof(
      fc.constant("*"),
      number,
      fc.tuple(number, fc.constantFrom(",", "..", "/"), number).map((parts) => parts.join("")),
      fc.tuple(number, number, number).map(([from, to, every]) => `${from}..${to}/${every}`),
    );
    const day = fc.constantFrom("Mon", "tue", "Wednesday", "Sat..Sun", "Mon,Fri", "Fri..Mon");
    const date = fc.tuple(
      fc.constantFrom("", "2030-", "*-", "2030..2040/2-"),
      part,
      fc.constantFrom("-", "~"),
      part,
    );
    const event = fc
      .tuple(
        fc.option(day),
        fc.option(date.map((parts) => parts.join(""))),
        fc.option(fc.array(part, { minLength: 2, maxLength: 3 }).map((parts) => parts.join(":"))),
        fc.option(fc.constantFrom("UTC", ...(hasZones ? ["Europe/Berlin"] : []))),
      )
      .map((words) => words.filter((word) => word !== null).join(" "));
    const events = fc
      .sample(event, { numRuns: 5_000, seed: SEED })
      .filter((text) => isCalendarEvent(text));
    expect(events.length).toBeGreaterThan(300);
    const { stderr, status } = spawnSync("systemd-analyze", ["calendar", ...events], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});
