// The recorded answers, held against a daemon of today: what the pages are tested with is what they
// will be given.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recordedAnswers } from "./luci/page.ts";

const BUNDLE = fileURLToPath(new URL("../../dist/myco.mjs", import.meta.url));
/** What `ubus call myco status` has beside the answer of `GET /flow`. */
const BESIDE_FLOW = ["version", "health"];

describe("the recorded answers", () => {
  const folder = mkdtempSync(join(tmpdir(), "myco-recorded-"));
  const socketPath = join(folder, "sock");
  let daemon: ChildProcess;
  beforeAll(async () => {
    const configuration = join(folder, "config.yaml");
    writeFileSync(
      configuration,
      `dataDir: ${folder}\nsocket: ${socketPath}\nmesh: { enabled: false }\nubus: false\nflow: { enabled: true, mode: dummy }\n`,
    );
    daemon = spawn(process.execPath, [BUNDLE, "daemon", "--config", configuration], {
      stdio: "ignore",
    });
    await firstSecond();
  });
  afterAll(async () => {
    const ended = once(daemon, "exit");
    daemon.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true });
  });

  const get = (path: string): Promise<Record<string, unknown>> =>
    new Promise((resolve, reject) => {
      const asked = request({ socketPath, path }, async (response) => {
        let text = "";
        for await (const part of response) text += part;
        resolve(JSON.parse(text));
      });
      asked.once("error", reject);
      asked.end();
    });

  /** Until the history has its first point. */
  async function firstSecond(): Promise<void> {
    for (;;) {
      const status = await get("/flow").catch(() => null);
      if ((status?.history as unknown[] | undefined)?.length) return;
      await sleep(100);
    }
  }

  it("have the shape of a live daemon's", async () => {
    const { myco, "myco.policy": policy } = recordedAnswers();
    const recorded = { ...(myco?.status as Record<string, unknown>) };
    for (const name of BESIDE_FLOW) {
      expect(recorded[name]).toBeDefined();
      delete recorded[name];
    }
    const live = await get("/flow");
    expect(shapeOf(recorded)).toEqual(shapeOf(live));
    expect(shapeOf(policy?.get)).toEqual(shapeOf(await get("/flow/policy")));
    expect(Object.keys(myco?.flows as object)).toEqual(Object.keys(await get("/flow/flows")));
  });
});

/** Names at every depth; a list is as its first item, and decisions differ in what spoke for them. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length > 0 ? [shapeOf(value[0])] : [];
  if (typeof value !== "object" || value === null) return null;
  const entries = Object.entries(value).filter(
    ([name]) => name !== "evidence" && name !== "decisions",
  );
  return Object.fromEntries(entries.map(([name, inner]) => [name, shapeOf(inner)]).sort());
}
