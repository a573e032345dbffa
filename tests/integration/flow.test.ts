// The line's plane in the program as it ships, on a simulated line: signals, commands, recordings,
// and what outlives a restart.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LocalNode, runMyco, until } from "../../demo/local-node.ts";
import { BUNDLE, PATIENCE_MS } from "./local-cluster.ts";

const FLOW = "mesh: { enabled: false }\nflow: { enabled: true, mode: dummy";
const GOOD = `${FLOW} }\n`;

let base: string;
let router: LocalNode;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "myco-flow-"));
  const address = "127.0.0.1";
  router = await LocalNode.create({
    bundle: BUNDLE,
    base,
    hostname: "router",
    address,
    more: GOOD,
  });
  await router.start();
});

afterAll(async () => {
  await router?.retire();
  rmSync(base, { recursive: true, force: true });
});

/** Lines of the daemon's log that hold `text`. */
function logged(text: string): string[] {
  return router
    .wholeLog()
    .split("\n")
    .filter((line) => line.includes(text));
}

test("the flow plane alone needs no cluster, and shows the line", async () => {
  await until("the loop runs", PATIENCE_MS, async () => (await router.flow())?.phase === "running");
  const { exitCode, out } = await router.myco("flow", "status");
  expect(exitCode).toBe(0);
  expect(out).toContain("flow dummy on a simulated line: running");
  expect((await router.myco("status")).out).toMatch(/^cluster +none: the mesh is off$/m);
  const members = await router.myco("cluster", "members");
  expect([members.exitCode, members.err]).toEqual([5, expect.stringContaining("mesh is off")]);
});

test("a recording decides again what the daemon decided, byte for byte", async () => {
  const file = join(base, "recording.ndjson");
  const told: string[] = [];
  const ended = new AbortController();
  const stream = router.client.follow("/stream", (text) => told.push(text), ended.signal);
  const recorded = await router.myco("flow", "record", file, "--seconds", "8");
  expect(recorded.exitCode).toBe(0);
  const replayed = await runMyco(BUNDLE, ["flow", "replay", file]);
  expect(replayed.exitCode).toBe(0);
  const last = replayed.out.trim().split("\n").at(-1)!;
  await until("the stream has told as much", PATIENCE_MS, async () => told.join("").includes(last));
  ended.abort();
  await stream;

  const lines = readFileSync(file, "utf8").trim().split("\n");
  const times = lines.slice(1).map((line) => (JSON.parse(line) as { atMs: number }).atMs);
  const decisions = [...told.join("").matchAll(/event: decision\nid: \d+\ndata: (.*)\n/g)]
    .map((match) => match[1]!)
    .filter((text) => {
      const { atMs } = JSON.parse(text) as { atMs: number };
      return atMs >= times[0]! && atMs <= times.at(-1)!;
    });
  expect(decisions.length).toBeGreaterThan(0);
  expect(replayed.out).toBe(`${decisions.join("\n")}\n`);
});

test("SIGHUP applies a good configuration and refuses a bad one, and the loop goes on", async () => {
  router.configure(`${FLOW}, download: { max: 30000 } }\n`);
  router.signal("SIGHUP");
  await until("it is applied", PATIENCE_MS, async () => logged("was read again").length === 1);
  expect(logged("was read again")[0]).toContain('applied=["flow.download"]');
  await until("the rate is within it", PATIENCE_MS, async () => {
    return ((await router.flow())?.download.shaperKbit ?? Number.NaN) <= 30_000;
  });

  router.configure(`${FLOW}, download: { max: 100 } }\n`);
  router.signal("SIGHUP");
  await until("it is refused", PATIENCE_MS, async () => logged("was refused").length === 1);
  expect(logged("was refused")[0]).toContain("flow.download.max: found 100; allowed: from min");
  const { exitCode, err } = await router.myco("reload");
  expect([exitCode, err]).toEqual([5, expect.stringContaining("flow.download.max: found 100")]);

  router.configure(GOOD);
  const reloaded = await router.myco("reload");
  expect([reloaded.exitCode, reloaded.out]).toEqual([0, "in force now: flow.download\n"]);
  const first = (await router.flow())?.history.at(-1)?.atMs ?? 0;
  await until("it goes on", PATIENCE_MS, async () => {
    return ((await router.flow())?.history.at(-1)?.atMs ?? 0) > first;
  });
});

test("a policy and a rule that were set by command survive kill -9", async () => {
  expect((await router.myco("flow", "policy", "set", "torrent", "throttle")).exitCode).toBe(0);
  const added = await router.myco("persona", "add", "gaming", "--device", "192.168.1.7");
  expect([added.exitCode, added.out]).toEqual([0, "rule 1: gaming for 192.168.1.7\n"]);
  await router.crash();
  await router.start();
  expect((await router.myco("flow", "policy")).out).toMatch(/^torrent +throttle +command$/m);
  expect((await router.myco("persona", "list")).out).toMatch(/^1 +gaming +192\.168\.1\.7 /m);
});

test("SIGTERM ends it cleanly", async () => {
  await router.stop();
  expect(router.exitCode).toBe(0);
});
