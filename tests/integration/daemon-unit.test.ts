// The daemon's own unit: systemd understands every line of it, and it stays as confined as the
// documents say.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const ANALYZE = "/usr/bin/systemd-analyze";
const source = fileURLToPath(new URL("../../modules/systemd/myco.service", import.meta.url));
const unit = readFileSync(source, "utf8");
const folder = mkdtempSync(join(tmpdir(), "myco-unit-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes the unit so that its program exists here. */
function written(text: string): string {
  const file = join(folder, "myco.service");
  writeFileSync(file, text.replace("ExecStart=myco", "ExecStart=/bin/true"));
  return file;
}

function verify(text: string): string {
  return spawnSync(ANALYZE, ["verify", "--man=no", written(text)], { encoding: "utf8" }).stderr;
}

// Where systemd is not installed there is nobody to ask.
describe.skipIf(!existsSync(ANALYZE))("the daemon's unit", () => {
  test("is understood by systemd, every line of it", () => {
    expect(verify(unit)).toBe("");
    expect(verify(unit.replace("ProtectClock", "ProtectTheClock"))).toContain("ProtectTheClock");
  });

  test("has an exposure of 3.6 at most", () => {
    const args = ["security", "--offline=true", "--threshold=36", written(unit)];
    expect(spawnSync(ANALYZE, args).status).toBe(0);
    const open = written(unit.replace(/^CapabilityBoundingSet=.*$/m, ""));
    expect(spawnSync(ANALYZE, ["security", "--offline=true", "--threshold=36", open]).status).toBe(
      1,
    );
  });

  test("keeps the daemon inside its memory, and waits for its word", () => {
    for (const line of ["MemoryMax=64M", "Type=notify", "Restart=always"]) {
      expect(unit.split("\n")).toContain(line);
    }
  });
});
