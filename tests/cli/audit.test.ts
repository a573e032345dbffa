// `myco audit` over files that the audit log itself wrote.

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AuditLog } from "../../src/engine/audit.ts";
import { RealAppendFile } from "../../src/io/append-file.ts";
import { myco } from "./terminal.ts";

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-audit-"));
  file = join(folder, "log", "audit.log");
});

afterEach(() => rmSync(folder, { recursive: true }));

async function deploy(count: number, fileBytesMax = 1_000_000): Promise<void> {
  const log = new AuditLog({
    file: new RealAppendFile(file),
    hashText: (text) => createHash("sha256").update(text).digest("hex"),
    nowMs: () => 1_790_000_000_000,
    onProblem: (problem) => expect(problem).toBeNull(),
    fileBytesMax,
  });
  for (let i = 0; i < count; i += 1) {
    log.append({
      service: `web-${i}`,
      author: "0123456789abcdef",
      generation: i,
      flake: "github:o/r",
      commit: "52edf4253084440c16a6aff195899a0f808320e9",
      storePath: "/nix/store/x",
      deployment: "d".repeat(64),
    });
  }
  for (let nowMs = 0; log.waitingCount > 0; nowMs += 10_000) {
    log.tick(nowMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("myco audit", () => {
  test("shows what went live last, over all files", async () => {
    await deploy(30, 6_000);
    const { out, exitCode } = await myco(["audit", "--file", file, "-n", "12"]);
    expect(exitCode).toBe(0);
    const lines = out.trim().split("\n");
    expect(lines).toHaveLength(13);
    expect(lines.at(-1)).toMatch(/^2026-09-21T.*web-29 +52edf4253084 +0123456789abcdef/);
  });

  test("verify tells that all lines are there, and what the last one is", async () => {
    await deploy(3);
    const { out, exitCode } = await myco(["audit", "verify", "--file", file]);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/4 lines, none changed, cut or missing\n.*4 [0-9a-f]{64}/);
  });

  test("verify names the line that was changed, and fails", async () => {
    await deploy(30, 6_000);
    writeFileSync(`${file}.2`, readFileSync(`${file}.2`, "utf8").replace("web-", "wob-"));
    const { out, exitCode } = await myco(["audit", "verify", "--file", file, "--json"]);
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      file: `${file}.2`,
      line: 2,
      problem: "the line was changed or cut",
    });
  });

  test("says what to do where there is no log", async () => {
    const { err, exitCode } = await myco(["audit", "--file", file]);
    expect(exitCode).toBe(4);
    expect(err).toContain("first service that goes live here");
  });
});
