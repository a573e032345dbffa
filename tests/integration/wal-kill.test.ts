// `kill -9` at any moment loses nothing acknowledged: a child writes to a real log and says
// what is durable; after each kill, all of that is found in the file.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { replayLog } from "../../src/db/log-format.ts";
import { KEYS, readCount } from "./wal-counts.ts";

const base = mkdtempSync(join(tmpdir(), "myco-kill-"));
const bundle = join(base, "wal-writer.mjs");

beforeAll(async () => {
  const { bundleOptions } = await import(new URL("../../scripts/build.mjs", import.meta.url).href);
  const entry = fileURLToPath(new URL("wal-writer.ts", import.meta.url));
  await build({ ...bundleOptions, entryPoints: [entry], outfile: bundle });
});

afterAll(() => rmSync(base, { recursive: true }));

/** Runs the writer until it has acknowledged `lines` times, then kills it. @returns the last count it acknowledged */
async function killAfter(folder: string, lines: number): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [bundle, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout?.setEncoding("ascii");
  child.stdout?.on("data", (chunk: string) => {
    output += chunk;
    if (output.split("\n", lines + 1).length > lines) child.kill("SIGKILL");
  });
  const [, signal] = await once(child, "close");
  expect(signal).toBe("SIGKILL");
  return Number(output.trimEnd().split("\n").at(-1));
}

test("after each of ten kills, every acknowledged record is in the file", async () => {
  const folder = join(base, "data");
  let acknowledged = 0;
  for (const lines of [1, 2, 5, 20, 60, 200, 400, 3, 700, 1]) {
    const last = await killAfter(folder, lines);
    expect(last).toBeGreaterThan(acknowledged);
    acknowledged = last;
    const state = new Map<number, number>();
    const report = replayLog(readFileSync(join(folder, "wal")), (record) => {
      const { key, count } = readCount(record);
      expect(count).toBeGreaterThan(state.get(key) ?? 0);
      state.set(key, count);
    });
    expect(report.damaged?.kind ?? "torn-tail").toBe("torn-tail");
    for (let count = Math.max(1, acknowledged - KEYS + 1); count <= acknowledged; count += 1) {
      expect(state.get(count % KEYS)).toBeGreaterThanOrEqual(count);
    }
  }
}, 60_000);
