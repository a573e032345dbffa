// A cluster's day: machines join, a service is deployed and found by name, a machine fails and
// comes back, the service is taken away.
import { Resolver } from "node:dns/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LocalNode, until } from "../../demo/local-node.ts";
import { freeTcpPort } from "../../demo/ports.ts";
import type { MemberAnswer } from "../../src/api/contract.ts";
import { LocalCluster, PATIENCE_MS, WEB_SERVER } from "./local-cluster.ts";

let cluster: LocalCluster;
let port: number;

beforeAll(async () => {
  cluster = await LocalCluster.start(3);
  port = await freeTcpPort(cluster.nodes.map(({ address }) => address));
});

afterAll(() => cluster?.close());

function nodeAt(index: number): LocalNode {
  return cluster.nodes[index]!;
}

function web(env: Readonly<Record<string, string>> = {}): object {
  return {
    name: "web",
    exec: process.execPath,
    args: [WEB_SERVER],
    env,
    ports: [{ port, name: "http" }],
    replicas: 2,
    health: { http: "/health", interval: "500ms", timeout: "400ms" },
  };
}

function resolver(node: LocalNode): Resolver {
  const asking = new Resolver({ timeout: 2_000, tries: 3 });
  asking.setServers([node.dnsEndpoint]);
  return asking;
}

async function healthyHosts(node: LocalNode): Promise<string[]> {
  const service = await node.service("web");
  const healthy = service?.instances.filter(({ state, current }) => state === "healthy" && current);
  return (healthy ?? []).map(({ hostname }) => hostname).sort();
}

async function answersOn(address: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${address}:${port}/health`);
    return response.ok;
  } catch {
    return false;
  }
}

describe("three machines that were invited", () => {
  test("list each other as alive", async () => {
    for (const node of cluster.nodes) {
      const { exitCode, out } = await node.myco("cluster", "members", "--json");
      expect(exitCode).toBe(0);
      const members = JSON.parse(out) as MemberAnswer[];
      expect(members.map(({ hostname, status }) => `${hostname} ${status}`).sort()).toEqual([
        "node-0 alive",
        "node-1 alive",
        "node-2 alive",
      ]);
      expect(members.filter(({ self }) => self)).toHaveLength(1);
    }
  });

  test("are well", async () => {
    for (const node of cluster.nodes) expect((await node.myco("health")).exitCode).toBe(0);
  });

  test("run what is deployed on two of them", async () => {
    const { exitCode, out, err } = await nodeAt(1).myco("deploy", cluster.manifest(web()));
    expect(err).toBe("");
    expect(exitCode).toBe(0);
    expect(out).toMatch(/web: 2 of 2 healthy/);
    await cluster.agree();
    for (const node of cluster.nodes) {
      await until("every node knows both", PATIENCE_MS, async () => {
        return (await healthyHosts(node)).length === 2;
      });
    }
  });

  test("answer its name with the addresses that serve it", async () => {
    const hosts = await healthyHosts(nodeAt(0));
    const serving = cluster.nodes.filter(({ hostname }) => hosts.includes(hostname));
    for (const node of cluster.nodes) {
      const addresses = await resolver(node).resolve4("web.myco");
      expect(addresses.sort()).toEqual(serving.map(({ address }) => address).sort());
      for (const address of addresses) expect(await answersOn(address)).toBe(true);
      const ports = await resolver(node).resolveSrv("_http._tcp.web.myco");
      expect(ports.map((record) => record.port)).toEqual([port, port]);
      await expect(resolver(node).resolve4("none.myco")).rejects.toThrow(/ENOTFOUND/);
      await expect(resolver(node).resolve4("example.org")).rejects.toThrow(/EREFUSED/);
    }
  });

  test("show what it printed, on a node that runs it", async () => {
    const hosts = await healthyHosts(nodeAt(0));
    const serving = cluster.nodes.find(({ hostname }) => hosts.includes(hostname))!;
    expect((await serving.myco("logs", "web")).out).toContain(`listening on ${serving.address}`);
    expect((await serving.myco("logs", "no-such")).exitCode).toBe(4);
  });

  test("replace it with a new version", async () => {
    const generation = (await nodeAt(0).service("web"))?.generation;
    const manifest = cluster.manifest(web({ COLOUR: "blue" }));
    expect((await nodeAt(2).myco("deploy", manifest)).exitCode).toBe(0);
    expect((await nodeAt(2).service("web"))?.generation).not.toBe(generation);
  });
});

describe("a machine that fails", () => {
  let lost: LocalNode;
  let survivors: LocalNode[];

  test("has its service taken over by another", async () => {
    const hosts = await healthyHosts(nodeAt(0));
    lost = cluster.nodes.find(({ hostname }) => hosts.includes(hostname))!;
    survivors = cluster.nodes.filter((node) => node !== lost);
    await lost.losePower();
    const names = survivors.map(({ hostname }) => hostname).sort();
    await until("both survivors run it", PATIENCE_MS, async () => {
      return (await healthyHosts(survivors[0]!)).join() === names.join();
    });
    for (const { address } of survivors) expect(await answersOn(address)).toBe(true);
  });

  test("is no longer an answer to its service's name", async () => {
    const addresses = survivors.map(({ address }) => address).sort();
    await until("the name leads to the survivors", PATIENCE_MS, async () => {
      const found = await resolver(survivors[0]!).resolve4("web.myco");
      return found.sort().join() === addresses.join();
    });
  });

  test("comes back as the member it was", async () => {
    await lost.start();
    await cluster.agree();
    const status = await lost.status();
    expect(status?.health.ok).toBe(true);
  });
});

describe("undeploy and stop", () => {
  test("the service ends everywhere and its name is gone", async () => {
    expect((await nodeAt(1).myco("undeploy", "web")).exitCode).toBe(0);
    await until("nobody serves it", PATIENCE_MS, async () => {
      const answers = await Promise.all(cluster.nodes.map(({ address }) => answersOn(address)));
      return answers.every((answer) => !answer);
    });
    for (const node of cluster.nodes) {
      await until("the name is gone", PATIENCE_MS, async () => {
        const found = await resolver(node)
          .resolve4("web.myco")
          .catch((error: Error) => error);
        return found instanceof Error && /ENOTFOUND/.test(found.message);
      });
    }
    expect((await nodeAt(1).myco("undeploy", "web")).exitCode).toBe(4);
  });

  test("a daemon that is told to end leaves, and the others know", async () => {
    await nodeAt(2).stop();
    expect(nodeAt(2).exitCode).toBe(0);
    await until("it is known as gone", PATIENCE_MS, async () => {
      const members = (await nodeAt(0).status())?.cluster.members;
      return members?.alive === 2 && members.left === 1;
    });
  });
});
