import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test as base, describe } from "vitest";
import type {
  DeployAnswer,
  HealthAnswer,
  MembersAnswer,
  ServiceAnswer,
  ServicesAnswer,
  StatusAnswer,
} from "../../src/api/contract.ts";
import { RunningNode } from "../../src/daemon/running-node.ts";
import { ROLES } from "../../src/net/certificate.ts";
import {
  ask,
  discard,
  eventually,
  newRoot,
  type SmallNode,
  type SmallNodeOptions,
  startSmallNode,
} from "./small-node.ts";

/** Starts nodes that end with the test. The tests run at once: most of their time is waiting. */
const it = base.extend<{ start: (options?: SmallNodeOptions) => Promise<SmallNode> }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameters' names
  start: async ({}, use) => {
    const nodes: SmallNode[] = [];
    await use(async (options) => {
      const node = await startSmallNode(options);
      nodes.push(node);
      return node;
    });
    for (const node of nodes) await discard(node);
  },
});

const SLEEPER = { name: "sleeper", exec: "/bin/sh", args: ["-c", "echo up; exec sleep 600"] };

function deploy(socket: string, manifest: object) {
  return ask(socket, "POST", "/deploy", JSON.stringify(manifest), {
    "content-type": "application/json",
  });
}

async function serviceOf(socket: string, name: string): Promise<ServiceAnswer | null> {
  const answer = await ask(socket, "GET", `/services/${name}`);
  return answer.status === 200 ? (answer.json as ServiceAnswer) : null;
}

describe.concurrent("a node alone", () => {
  it("runs what is deployed on it, and stops it when undeployed and at its end", async ({
    start,
    expect,
  }) => {
    const { socket } = await start();
    const deployed = (await deploy(socket, SLEEPER)).json as DeployAnswer;
    expect(deployed.services).toMatchObject([{ name: "sleeper" }]);
    expect(deployed.services[0]!.generation).toBeGreaterThan(0);

    const service = await eventually(async () => {
      const found = await serviceOf(socket, "sleeper");
      return found?.healthy === 1 ? found : null;
    });
    expect(service).toMatchObject({
      wanted: 1,
      generation: deployed.services[0]!.generation,
      instances: [{ state: "healthy", current: true }],
    });
    expect((await ask(socket, "GET", "/logs?service=sleeper")).text).toBe("up\n");
    const { pid } = ((await ask(socket, "GET", "/status")).json as StatusAnswer).engine
      .instances[0]!;
    expect(existsSync(`/proc/${pid}`)).toBe(true);

    expect((await ask(socket, "DELETE", "/services/sleeper")).status).toBe(200);
    expect(await serviceOf(socket, "sleeper")).toBeNull();
    await eventually(() => (existsSync(`/proc/${pid}`) ? null : true));
  });

  it("keeps what it acknowledged over a restart", async ({ start, expect }) => {
    const first = await start();
    const answer = (await deploy(first.socket, SLEEPER)).json as DeployAnswer;
    expect(await first.stop()).toBe(true);

    const second = await start({ folder: first.folder });
    expect(await serviceOf(second.socket, "sleeper")).toMatchObject({
      stamp: answer.services[0]!.stamp,
      generation: answer.services[0]!.generation,
    });
  });

  it("makes its socket for owner and group only, and replaces one that a dead daemon left", async ({
    start,
    expect,
  }) => {
    const first = await start();
    expect(statSync(first.socket).mode & 0o777).toBe(0o660);
    await first.stop();
    expect(existsSync(first.socket)).toBe(false);
    const dies = `require("net").createServer().listen(${JSON.stringify(first.socket)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", dies]);
    expect(statSync(first.socket).isSocket()).toBe(true);

    const second = await start({ folder: first.folder });
    expect((await ask(second.socket, "GET", "/health")).status).toBe(200);
  });

  it("leaves alone what is no socket at its socket's path", async ({ start, expect }) => {
    const first = await start();
    await first.stop();
    writeFileSync(first.socket, "precious");
    await expect(startSmallNode({ folder: first.folder })).rejects.toThrow(/is no socket/);
    expect(readFileSync(first.socket, "utf8")).toBe("precious");
  });

  it("refuses a data folder that another daemon works in", async ({ start, expect }) => {
    const first = await start();
    await expect(startSmallNode({ folder: first.folder })).rejects.toThrow(/in use by process/);
    expect((await ask(first.socket, "GET", "/health")).status).toBe(200);
  });

  it("says that the machine is in no cluster yet", async ({ start, expect }) => {
    const { configuration } = await start();
    const elsewhere = { ...configuration, dataDir: join(configuration.dataDir, "none") };
    const options = { configuration: elsewhere } as Parameters<typeof RunningNode.start>[0];
    await expect(RunningNode.start(options)).rejects.toThrow(/in no cluster yet/);
  });

  it("says when its key and its certificate do not belong together", async ({ start, expect }) => {
    const first = await start();
    await first.stop();
    writeFileSync(join(first.configuration.dataDir, "node.key"), `${"07".repeat(32)}\n`);
    await expect(startSmallNode({ folder: first.folder })).rejects.toThrow(/another key/);
  });

  it("writes its recorder on request and keeps it readable", async ({ start, expect }) => {
    const { socket, configuration } = await start();
    const { file } = (await ask(socket, "POST", "/flight")).json as { file: string };
    expect(file.startsWith(configuration.dataDir)).toBe(true);
    const lines = readFileSync(file, "utf8").trim().split("\n");
    const kinds = lines.map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds).toContain("started");
    expect((await ask(socket, "GET", "/flight")).text).toContain('"kind":"started"');
  });

  it("does not deploy for one whose node is no deployer", async ({ start, expect }) => {
    const { socket } = await start({ roles: ROLES.member });
    const answer = await deploy(socket, SLEEPER);
    expect(answer.status).toBe(403);
    expect(answer.json).toMatchObject({ error: { code: "not-a-deployer" } });
  });

  it("reports a DNS port it may not have as a problem of its health, and runs on", async ({
    start,
    expect,
  }) => {
    const taken = createSocket("udp4").bind(0, "127.0.0.1");
    await once(taken, "listening");
    const { socket } = await start({ dnsListen: `127.0.0.1:${taken.address().port}` });
    const { json } = await ask(socket, "GET", "/health");
    taken.close();
    expect(json).toMatchObject({ ok: false, problems: [{ code: "dns-unavailable" }] });
    expect((await deploy(socket, SLEEPER)).status).toBe(200);
  });

  it("says why a service does not run", async ({ start, expect }) => {
    const { socket } = await start();
    await deploy(socket, { name: "broken", exec: "/bin/false" });
    const health = await eventually(async () => {
      const answer = await ask(socket, "GET", "/health");
      return answer.status === 503 ? (answer.json as HealthAnswer) : null;
    });
    expect(health.problems[0]).toMatchObject({ code: "service-failing" });
    expect(health.problems[0]!.message).toMatch(/broken is backoff: exited with code 1/);
  });
});

describe.concurrent("two nodes on loopback", () => {
  it("form a cluster, share what is deployed and take over from one that leaves", async ({
    start,
    expect,
  }) => {
    const root = newRoot();
    const a = await start({ root });
    const b = await start({ root, seeds: a.node.listening });
    await eventually(async () => {
      const { members } = (await ask(b.socket, "GET", "/members")).json as MembersAnswer;
      return members.length === 2 && members.every(({ status }) => status === "alive")
        ? members
        : null;
    });

    expect((await deploy(a.socket, SLEEPER)).status).toBe(200);
    const running = await eventually(async () => {
      const found = await serviceOf(b.socket, "sleeper");
      return found?.healthy === 1 ? found : null;
    });
    const owner = running.instances[0]!.nodeId === a.node.nodeId ? a : b;
    const other = owner === a ? b : a;

    expect(await owner.stop()).toBe(true);
    const taken = await eventually(async () => {
      const found = await serviceOf(other.socket, "sleeper");
      return found?.instances[0]?.nodeId === other.node.nodeId && found.healthy === 1
        ? found
        : null;
    });
    expect(taken.instances).toHaveLength(1);
    const { members } = (await ask(other.socket, "GET", "/members")).json as MembersAnswer;
    expect(members.find(({ self }) => !self)!.status).toBe("left");
  });

  it("do not meet when their roots differ", async ({ start, expect }) => {
    const a = await start();
    const b = await start({ seeds: a.node.listening });
    await eventually(async () => {
      const { network } = (await ask(a.socket, "GET", "/status")).json as StatusAnswer;
      return network.packetsReceived > 1 ? true : null;
    });
    await deploy(a.socket, SLEEPER);
    const { services } = (await ask(b.socket, "GET", "/services")).json as ServicesAnswer;
    const { members } = (await ask(b.socket, "GET", "/members")).json as MembersAnswer;
    expect(services).toEqual([]);
    expect(members).toHaveLength(1);
  });
});
