// The line's plane inside a whole daemon, on a simulated line: what the API says, what a changed
// configuration does, and what outlives a restart.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { test as base, describe } from "vitest";
import type {
  ErrorAnswer,
  FlowAnswer,
  PersonaRulesAnswer,
  PolicyAnswer,
  ReloadAnswer,
  RouterStatusAnswer,
  StatusAnswer,
} from "../../src/api/contract.ts";
import { encodeDecision, replay } from "../../src/flow/recording.ts";
import { ask, discard, eventually, type SmallNode, startSmallNode } from "./small-node.ts";

const ALONE = "mesh: { enabled: false }\n";
const DUMMY = "flow: { enabled: true, mode: dummy }\n";

const it = base.extend<{ start: (more: string, folder?: string) => Promise<SmallNode> }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameters' names
  start: async ({}, use) => {
    const nodes: SmallNode[] = [];
    await use(async (more, folder) => {
      const node = await startSmallNode({ more, ...(folder === undefined ? {} : { folder }) });
      nodes.push(node);
      return node;
    });
    for (const node of nodes) await discard(node);
  },
});

async function flowOf({ socket }: SmallNode): Promise<FlowAnswer> {
  return (await ask(socket, "GET", "/flow")).json as FlowAnswer;
}

async function setPolicy({ socket }: SmallNode, persona: string, body: unknown) {
  return ask(socket, "PUT", `/flow/policy/${persona}`, JSON.stringify(body), {
    "content-type": "application/json",
  });
}

/** Opens an answer that goes on. */
async function open({ socket }: SmallNode, path: string) {
  const outgoing = request({ socketPath: socket, path, agent: false });
  outgoing.on("error", () => {});
  outgoing.end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  response.setEncoding("utf8");
  response.on("error", () => {});
  response.on("data", (chunk: string) => {
    text += chunk;
  });
  return { response, text: () => text, close: () => outgoing.destroy() };
}

function codeOf({ json }: { json: unknown }): string {
  return (json as ErrorAnswer).error.code;
}

describe.concurrent("a daemon whose mesh is off", () => {
  it("needs no identity, and says what it is", async ({ start, expect }) => {
    const node = await start(ALONE + DUMMY);
    const status = (await ask(node.socket, "GET", "/status")).json as RouterStatusAnswer;
    expect(status).toMatchObject({ cluster: null, flow: { mode: "dummy" }, health: { ok: true } });
    expect((await flowOf(node)).mode).toBe("dummy");
    expect((await ask(node.socket, "GET", "/metrics")).text).toContain("myco_uptime_seconds");
  });

  it("answers what concerns the cluster with how to turn it on", async ({ start, expect }) => {
    const { socket } = await start(ALONE + DUMMY);
    for (const [method, path] of [
      ["GET", "/members"],
      ["GET", "/services"],
      ["GET", "/services/web"],
      ["DELETE", "/services/web"],
      ["POST", "/deploy"],
      ["POST", "/revocations"],
      ["GET", "/logs?service=web"],
    ] as const) {
      const answer = await ask(socket, method, path);
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 409, "mesh-off"]);
    }
  });

  it("does not share its data folder", async ({ start, expect }) => {
    const first = await start(ALONE + DUMMY);
    const again = startSmallNode({ folder: first.folder, more: ALONE + DUMMY });
    await expect(again).rejects.toThrow(/in use by process/);
  });
});

describe.concurrent("a daemon whose flow plane is off", () => {
  it("answers what concerns the line with how to turn it on", async ({ start, expect }) => {
    const { socket } = await start("");
    for (const path of ["/flow", "/flow/flows", "/flow/devices", "/flow/policy"]) {
      const answer = await ask(socket, "GET", path);
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 409, "flow-off"]);
    }
    const status = (await ask(socket, "GET", "/status")).json as StatusAnswer;
    expect(status).toMatchObject({ flow: null, cluster: { excluded: false } });
  });

  it("turns it on and off again by a reload, while the mesh goes on", async ({ start, expect }) => {
    const node = await start("");
    node.rewrite(DUMMY);
    const on = await ask(node.socket, "POST", "/reload");
    expect(on.json).toEqual({ applied: ["flow.enabled", "flow.mode"], restart: [] });
    await eventually(async () => ((await flowOf(node)).history.length > 0 ? true : null));
    node.rewrite("");
    await ask(node.socket, "POST", "/reload");
    expect((await ask(node.socket, "GET", "/flow")).status).toBe(409);
    expect((await ask(node.socket, "GET", "/members")).status).toBe(200);
  });
});

describe.concurrent("the loop on a simulated line", () => {
  it("is seen at work: rates, delay, decisions in the log and on the stream", async ({
    start,
    expect,
  }) => {
    const node = await start(ALONE + DUMMY);
    const stream = await open(node, "/stream");
    const decision = await eventually(() => {
      const found = /event: decision\nid: \d+\ndata: (.*)\n/.exec(stream.text());
      return found?.[1] ?? null;
    });
    stream.close();
    const { atMs } = JSON.parse(decision) as { atMs: number };
    expect(node.logLines.join("")).toContain(`"decision":${decision},"msg":`);
    const { download, upload, decisions } = await flowOf(node);
    expect(decisions.map(({ atMs }) => atMs)).toContain(atMs);
    expect(download.shaperKbit).toBeGreaterThanOrEqual(5_000);
    expect(upload.shaperKbit).toBeGreaterThanOrEqual(5_000);
    expect((await ask(node.socket, "GET", "/metrics")).text).toMatch(/^mycoflow_/m);
  });

  it("is recorded, one recording at a time, and the recording decides the same", async ({
    start,
    expect,
  }) => {
    const node = await start(ALONE + DUMMY);
    const recording = await open(node, "/flow/recording");
    const second = await ask(node.socket, "GET", "/flow/recording");
    expect([second.status, codeOf(second)]).toEqual([409, "recording"]);
    await eventually(() => (recording.text().split("\n").length > 60 ? true : null));
    recording.close();
    await eventually(async () => ((await flowOf(node)).recording ? null : true));
    const lines = recording.text().split("\n").slice(0, -1);
    const [first] = lines;
    expect(JSON.parse(first!)).toMatchObject({ kind: "header" });
    const { atMs: lastMs } = JSON.parse(lines.at(-1)!) as { atMs: number };
    const { atMs: firstMs } = JSON.parse(lines[1]!) as { atMs: number };
    const made = (await flowOf(node)).decisions.filter(
      ({ atMs }) => atMs >= firstMs && atMs <= lastMs,
    );
    expect(made.length).toBeGreaterThan(0);
    expect([...replay(lines)].map(encodeDecision)).toEqual(made.map(encodeDecision));
  });

  it("follows a changed configuration, and keeps the old one when the new one is bad", async ({
    start,
    expect,
  }) => {
    const node = await start(ALONE + DUMMY);
    node.rewrite(`${ALONE}flow: { enabled: true, mode: dummy, download: { max: 20000 } }\n`);
    const answer = (await ask(node.socket, "POST", "/reload")).json as ReloadAnswer;
    expect(answer).toEqual({ applied: ["flow.download"], restart: [] });
    expect((await flowOf(node)).download.shaperKbit).toBeLessThanOrEqual(20_000);

    node.rewrite(`${ALONE}flow: { enabled: true, mode: dummy, sampleHz: fast }\n`);
    const refused = await ask(node.socket, "POST", "/reload");
    expect([refused.status, codeOf(refused)]).toEqual([422, "configuration-invalid"]);
    expect((refused.json as ErrorAnswer).error.problems?.[0]).toContain(
      'flow.sampleHz: found "fast"; allowed: a whole number from 1 to 20',
    );
    expect((await flowOf(node)).mode).toBe("dummy");
    expect(node.logLines.join("")).toContain("the settings in force stay");
  });

  it("is turned off and on by a reload, and tells what waits for a restart", async ({
    start,
    expect,
  }) => {
    const node = await start(ALONE + DUMMY);
    node.rewrite(`${ALONE}hostname: attic\n`);
    const answer = (await ask(node.socket, "POST", "/reload")).json as ReloadAnswer;
    expect(answer).toEqual({ applied: ["flow.enabled", "flow.mode"], restart: ["hostname"] });
    expect((await ask(node.socket, "GET", "/flow")).status).toBe(409);
    node.rewrite(ALONE + DUMMY);
    await ask(node.socket, "POST", "/reload");
    expect((await ask(node.socket, "GET", "/flow")).status).toBe(200);
  });

  it("takes its settings from UCI where that is named", async ({ start, expect }) => {
    const probe = await start(ALONE);
    const file = join(probe.folder, "mycoflow");
    writeFileSync(file, "config flow\n\toption enabled '1'\n\toption mode 'dummy'\n");
    probe.rewrite(`${ALONE}uci: ${file}\n`);
    const { node } = probe;
    expect(node.flow).toBeNull();
    // The test's own reader of the configuration knows no UCI: the daemon's does.
    const { loadConfiguration } = await import("../../src/daemon/configuration-file.ts");
    const yaml = join(probe.folder, "config.yaml");
    writeFileSync(yaml, `${ALONE}uci: ${file}\n`);
    expect((await loadConfiguration(yaml, {})).flow).toMatchObject({
      enabled: true,
      mode: "dummy",
    });
    writeFileSync(file, "config flow\n\toption mode 'dumy'\n");
    await expect(loadConfiguration(yaml, {})).rejects.toThrow(
      /mycoflow:2:14: flow.mode: found "dumy"/,
    );
  });
});

describe.concurrent("the policy of personas", () => {
  it("is set by command, kept over a restart, and reset", async ({ start, expect }) => {
    const first = await start(ALONE + DUMMY);
    const set = (await setPolicy(first, "torrent", { treatment: "throttle" })).json;
    const wanted = { persona: "torrent", treatment: "throttle", from: "command" };
    expect((set as PolicyAnswer).policy).toContainEqual(wanted);
    await first.stop();

    const second = await start(ALONE + DUMMY, first.folder);
    const kept = (await ask(second.socket, "GET", "/flow/policy")).json as PolicyAnswer;
    expect(kept.policy).toContainEqual(wanted);
    const reset = (await ask(second.socket, "DELETE", "/flow/policy/torrent")).json;
    expect((reset as PolicyAnswer).policy).toContainEqual({
      persona: "torrent",
      treatment: "normal",
      from: "default",
    });
  });

  it("refuses what it does not know", async ({ start, expect }) => {
    const node = await start(ALONE + DUMMY);
    expect((await setPolicy(node, "torents", { treatment: "boost" })).status).toBe(404);
    for (const body of [null, 7, [], {}, { treatment: "faster" }]) {
      expect((await setPolicy(node, "torrent", body)).status).toBe(422);
    }
    const noJson = await ask(node.socket, "PUT", "/flow/policy/torrent", "{", {
      "content-type": "application/json",
    });
    expect([noJson.status, codeOf(noJson)]).toEqual([400, "not-json"]);
    expect((await ask(node.socket, "PUT", "/flow/policy/torrent", "boost")).status).toBe(415);
  });
});

describe.concurrent("the rules for personas", () => {
  const add = ({ socket }: SmallNode, rule: unknown) =>
    ask(socket, "POST", "/persona", JSON.stringify(rule), { "content-type": "application/json" });

  it("are added, kept over a restart, and deleted", async ({ start, expect }) => {
    const first = await start(ALONE + DUMMY);
    const rule = { persona: "gaming", device: "192.168.1.7" };
    const { json } = await add(first, rule);
    expect(json).toMatchObject({ rule: { id: 1, ...rule, name: null } });
    await add(first, { persona: "bulk", name: "backup.example.org" });
    await first.stop();

    const second = await start(ALONE + DUMMY, first.folder);
    expect((await ask(second.socket, "DELETE", "/persona/2")).status).toBe(200);
    const kept = (await ask(second.socket, "GET", "/persona")).json as PersonaRulesAnswer;
    expect(kept.rules).toMatchObject([{ id: 1, ...rule }]);
  });

  it("are refused with what is allowed", async ({ start, expect }) => {
    const node = await start(ALONE + DUMMY);
    const wrong = await add(node, { persona: "gamign", port: "udp/1" });
    expect([wrong.status, codeOf(wrong)]).toEqual([422, "persona-rule"]);
    expect((wrong.json as ErrorAnswer).error.message).toContain('did you mean "gaming"?');
    expect((await add(node, { persona: "gaming" })).status).toBe(422);
    for (const id of ["7", "0", "x", "1e3"]) {
      expect((await ask(node.socket, "DELETE", `/persona/${id}`)).status).toBe(404);
    }
  });

  it("that cannot be read are left out, and said so", async ({ start, expect }) => {
    const first = await start(ALONE + DUMMY);
    await first.stop();
    const file = join(first.configuration.dataDir, "persona-rules.json");
    writeFileSync(file, '[{"id":1,"persona":"nobody"}]');
    const second = await start(ALONE + DUMMY, first.folder);
    expect(second.logLines.join("")).toContain("persona-rules.json is left out");
    expect((await ask(second.socket, "GET", "/persona")).json).toEqual({ rules: [] });
  });
});
