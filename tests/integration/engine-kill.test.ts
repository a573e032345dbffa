// `kill -9` of a daemon leaves its services running; the next one ends them before it starts
// its own, even those whose leader is gone.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, lives } from "../engine/eventually.ts";

const base = mkdtempSync(join(tmpdir(), "myco-engine-kill-"));
const bundle = join(base, "engine-daemon.mjs");
const workDir = join(base, "work");

beforeAll(async () => {
  const { bundleOptions } = await import(new URL("../../scripts/build.mjs", import.meta.url).href);
  const entry = fileURLToPath(new URL("engine-daemon.ts", import.meta.url));
  await build({ ...bundleOptions, entryPoints: [entry], outfile: bundle });
});

const pids: number[] = [];
afterAll(() => {
  for (const pid of pids) {
    if (lives(pid)) process.kill(pid, "SIGKILL");
  }
  rmSync(base, { recursive: true });
});

/** The pid that the service printed `run`-th under `key`, once it has. */
async function printed(key: string, run: number): Promise<number> {
  const find = (): string[] => {
    try {
      const log = readFileSync(join(workDir, "logs", "web.log"), "utf8");
      return log.split("\n").filter((line) => line.startsWith(`${key}=`));
    } catch {
      return [];
    }
  };
  await eventually(() => find().length >= run);
  const pid = Number(find()[run - 1]!.slice(key.length + 1));
  pids.push(pid);
  return pid;
}

/** Starts a daemon, and kills it once its service runs. @returns the service's processes */
async function killedDaemon(run: number): Promise<{ leader: number; child: number }> {
  const daemon = spawn(process.execPath, [bundle, workDir], { stdio: "ignore" });
  const child = await printed("child", run);
  const leader = await printed("leader", run);
  daemon.kill("SIGKILL");
  await once(daemon, "exit");
  return { leader, child };
}

test("each daemon ends what the killed one before it left running", async () => {
  const first = await killedDaemon(1);
  expect(lives(first.leader) && lives(first.child)).toBe(true);

  const second = await killedDaemon(2);
  expect(lives(first.leader) || lives(first.child)).toBe(false);
  expect(lives(second.leader) && lives(second.child)).toBe(true);

  process.kill(second.leader, "SIGKILL");
  await eventually(() => !lives(second.leader));
  expect(lives(second.child)).toBe(true);
  const third = await killedDaemon(3);
  expect(lives(second.child)).toBe(false);
  expect(lives(third.child)).toBe(true);
});
