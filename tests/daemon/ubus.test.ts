// A daemon on a bus of the tests' own: its objects, its decisions, and the reload that a change of
// UCI asks for.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { readUci } from "../../src/daemon/uci-source.ts";
import { UbusClient, type UbusResult } from "../../src/flow/ubus/client.ts";
import type { UbusObject } from "../../src/flow/ubus/object.ts";
import { openUnixStream } from "../../src/io/unix-stream.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { sendEvent } from "../ubus-server/send-event.ts";
import { UbusServer } from "../ubus-server/server.ts";
import { subscribe } from "../ubus-server/subscriber.ts";
import { discard, eventually, startSmallNode } from "./small-node.ts";

/** A folder for programs, first on PATH, which the daemon's children look through from its start. */
const programs = await vi.hoisted(async () => {
  const [fs, os, path] = await Promise.all(
    (["node:fs", "node:os", "node:path"] as const).map((name) => import(name)),
  );
  const folder: string = fs.mkdtempSync(path.join(os.tmpdir(), "myco-programs-"));
  process.env.PATH = `${folder}:${process.env.PATH}`;
  return folder;
});
afterAll(() => rmSync(programs, { recursive: true }));

/** rpcd's object, for a package with one section, of a simulated line. */
function uciWith(enabled: () => string): UbusObject {
  const section = { ".anonymous": true, ".type": "flow", ".name": "cfg0", ".index": 0 };
  return {
    path: "uci",
    methods: {
      get: {
        takes: { config: "string" },
        answer: () => ({ values: { cfg0: { ...section, enabled: enabled(), mode: "dummy" } } }),
      },
    },
  };
}

/** A `uci` that answers nothing but the question for the package. */
function installUci(script: string): void {
  const file = join(programs, "uci");
  writeFileSync(file, `#!/bin/sh\n[ "$*" = "-q export mycoflow" ] || exit 9\n${script}\n`);
  chmodSync(file, 0o755);
}

function clientOn(socketPath: string, objects: readonly UbusObject[] = []): UbusClient {
  const client = new UbusClient({
    connect: (events) => openUnixStream(socketPath, events),
    clock: { nowMs: () => performance.now() },
    random: new SeededRandom(1n),
    objects,
    eventPatterns: [],
    listener: { onEvent() {}, onJoined() {}, onLost() {}, onFailure() {} },
  });
  client.start();
  return client;
}

test("the daemon answers on the bus what it answers on its socket, and tells its decisions", async () => {
  const folder = mkdtempSync(join(tmpdir(), "myco-bus-"));
  const bus = await UbusServer.start(join(folder, "ubus.sock"));
  const more = `mesh: { enabled: false }\nubus: ${folder}/ubus.sock\nflow: { enabled: true, mode: dummy }\n`;
  const node = await startSmallNode({ more });
  const client = clientOn(join(folder, "ubus.sock"));
  const call = (path: string, method: string, data: object = {}): Promise<UbusResult> =>
    new Promise((resolve) => client.call(path, method, data, resolve));
  const answer = async (path: string, method: string, data: object = {}): Promise<object> => {
    const result = await call(path, method, data);
    return result.ok ? structuredClone(result.data) : { refused: result.reason };
  };
  try {
    await eventually(() => (bus.paths.length === 3 ? true : null));
    expect(bus.paths).toEqual(["myco", "myco.persona", "myco.policy"]);
    const { told, socket } = await subscribe(join(folder, "ubus.sock"), "myco");
    expect(await answer("myco", "status")).toMatchObject({
      ...{ version: "0.1.0", mode: "dummy", health: { ok: true, problems: [] } },
    });
    expect(await answer("myco", "flows", { limit: 201 })).toEqual({
      refused: "myco flows: invalid argument",
    });
    expect(
      await answer("myco.persona", "add", { persona: "gaming", port: "udp/3074" }),
    ).toMatchObject({
      rule: { id: 1, persona: "gaming", port: "udp/3074", device: null },
    });
    expect(await answer("myco.persona", "delete", { id: 7 })).toEqual({
      refused: "myco.persona delete: not found",
    });
    expect(await answer("myco.policy", "throttle", { persona: "torrent" })).toMatchObject({
      policy: expect.arrayContaining([
        { persona: "torrent", treatment: "throttle", from: "command" },
      ]),
    });
    const set = { persona: "torrent", treatment: "configuration" };
    expect(await answer("myco.policy", "set", set)).toEqual({ policy: node.node.flow?.policy() });
    node.rewrite("flow: { enabled: maybe }\n");
    expect(await answer("myco", "reload")).toEqual({ refused: "myco reload: invalid argument" });
    expect(await answer("myco", "health")).toMatchObject({
      ok: false,
      problems: [{ code: "configuration-refused" }],
    });
    node.rewrite(more);
    expect(await answer("myco", "reload")).toEqual({ applied: [], restart: [] });
    expect(await answer("myco", "health")).toEqual({ ok: true, problems: [] });
    await eventually(() => (told.length > 0 ? true : null));
    expect(told[0]).toMatchObject({ method: "decision", data: { cause: expect.any(String) } });
    socket.destroy();
  } finally {
    client.stop();
    await discard(node);
    await bus.stop();
    rmSync(folder, { recursive: true });
  }
});

test("a package of UCI is read over the bus", async () => {
  const folder = mkdtempSync(join(tmpdir(), "myco-bus-"));
  const socketPath = join(folder, "ubus.sock");
  const bus = await UbusServer.start(socketPath);
  const uci = clientOn(socketPath, [uciWith(() => "1")]);
  installUci("exit 1");
  try {
    await eventually(() => (uci.isJoined ? true : null));
    const read = await readUci("/etc/config/mycoflow", socketPath);
    expect(read).toEqual({
      text: "config flow\n\toption enabled '1'\n\toption mode 'dummy'\n",
      name: "uci export mycoflow",
    });
  } finally {
    uci.stop();
    await bus.stop();
    rmSync(folder, { recursive: true });
  }
});

test("without the bus a package is read as `uci export` prints it, and never half", async () => {
  const nowhere = join(programs, "no-bus");
  const exported = "package mycoflow\n\nconfig flow\n\toption mode 'shadow'\n";
  installUci(`cat <<'END'\n${exported}END`);
  expect(await readUci("/etc/config/mycoflow", nowhere)).toEqual({
    text: exported,
    name: "uci export mycoflow",
  });
  expect(await readUci("/etc/config/mycoflow", null)).toMatchObject({ text: exported });
  installUci("echo 'config flow'; exit 1");
  await expect(readUci("/etc/config/mycoflow", nowhere)).rejects.toThrow(
    /ENOENT.*\/etc\/config\/mycoflow/,
  );
});

test("a change of UCI takes effect when the bus tells of it, and over `uci export` when the bus is gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "myco-bus-"));
  const socketPath = join(folder, "ubus.sock");
  const bus = await UbusServer.start(socketPath);
  let enabled = "1";
  const uci = clientOn(socketPath, [uciWith(() => enabled)]);
  await eventually(() => (uci.isJoined ? true : null));
  const more = `mesh: { enabled: false }\nubus: ${socketPath}\nuci: /etc/config/mycoflow\n`;
  const node = await startSmallNode({ more });
  const phase = (): string | undefined => node.node.flow?.status().phase;
  try {
    await eventually(() => (bus.paths.includes("myco") && phase() === "running" ? true : null));
    enabled = "0";
    await sendEvent(socketPath, "config.change");
    await eventually(() => (phase() === "running" ? null : true));
    await bus.stop();
    installUci(`printf "config flow\\n option enabled '1'\\n option mode 'dummy'\\n"`);
    expect(await node.node.reload()).toMatchObject({ ok: true, applied: ["flow.enabled"] });
    await eventually(() => (phase() === "running" ? true : null));
  } finally {
    uci.stop();
    await discard(node);
    await bus.stop();
    rmSync(folder, { recursive: true });
  }
});
