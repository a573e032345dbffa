// The demo behind `npm start`: a real cluster of three daemons on this machine, a service on
// two of them, and the failure of one; beside it the flow plane of the first, on a simulated line.
// Every step is timed; nothing is left behind.

import { Resolver } from "node:dns/promises";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { ServiceAnswer } from "../src/api/contract.ts";
import { FLOW_CONFIGURATION, FlowStory } from "./flow-story.ts";
import { formCluster, isConnected, LocalNode, until } from "./local-node.ts";
import { freeTcpPort, freeUdpPort } from "./ports.ts";

const HOSTS = [
  { hostname: "oak", address: "127.0.0.1" },
  { hostname: "birch", address: "127.0.0.2" },
  { hostname: "fern", address: "127.0.0.3" },
] as const;

const SERVICE = "web";
const REPLICAS = 2;
const CONNECT_MS_MAX = 20_000;
const FAILOVER_MS_MAX = 60_000;
const FETCH_MS_MAX = 3_000;

export interface DemoOptions {
  /** The project's folder, with the built program in it. */
  readonly root: string;
  /** End after the failover instead of staying up. */
  readonly once: boolean;
}

/** @returns the exit code */
export async function runDemo({ root, once }: DemoOptions): Promise<number> {
  const interrupted = interruption();
  const base = mkdtempSync(join(tmpdir(), "myco-demo-"));
  const nodes: LocalNode[] = [];
  try {
    const story = tellStory(root, base, nodes);
    const ended = await Promise.race([story, interrupted]);
    if (ended !== "interrupted" && !once) {
      showHints(root, base, nodes);
      await Promise.all([interrupted, new FlowStory(nodes[0]!).draw(interrupted)]);
    }
    return ended === "interrupted" ? 130 : 0;
  } catch (error) {
    console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
    for (const node of nodes) console.error(`--- ${node.hostname}\n${node.log()}`);
    return 1;
  } finally {
    console.log("» stopping the daemons, removing their folders");
    await Promise.all(nodes.map((node) => node.retire()));
    rmSync(base, { recursive: true, force: true });
  }
}

/** Resolves at Ctrl-C, or when the process is told to end. */
function interruption(): Promise<"interrupted"> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => resolve("interrupted"));
    }
  });
}

async function tellStory(root: string, base: string, nodes: LocalNode[]): Promise<void> {
  const bundle = join(root, "dist", "myco.mjs");
  await requireLoopback();
  for (const host of HOSTS) {
    const more = host === HOSTS[0] ? FLOW_CONFIGURATION : "";
    nodes.push(await LocalNode.create({ bundle, base, more, ...host }));
  }

  await step("a root key, and an invitation for each further node", async () => {
    await formCluster(bundle, base, nodes);
    return "by myco cluster init, invite and join";
  });
  await step("three daemons find each other and agree", async () => {
    await Promise.all(nodes.map((node) => node.start()));
    await until("three living members, one table", CONNECT_MS_MAX, () => isConnected(nodes, 3));
    return nodes.map(({ hostname, endpoint }) => `${hostname} ${endpoint}`).join(", ");
  });

  const manifest = await writeManifest(root, base);
  await step(`myco deploy: ${REPLICAS} healthy instances of "${SERVICE}"`, async () => {
    const { exitCode, out, err } = await nodes[0]!.myco("deploy", manifest);
    if (exitCode !== 0) throw new Error(`myco deploy: exit code ${exitCode}\n${out}${err}`);
    return placesOf(await nodes[0]!.service(SERVICE));
  });
  await step(`${SERVICE}.myco resolved by every node's DNS, and its page fetched`, async () => {
    let found = "";
    for (const node of nodes) {
      await untilResolved(node, (addresses) => addresses.length === REPLICAS);
      found = await fetchByName(node);
    }
    return found;
  });

  const victim = await victimOf(nodes);
  const survivors = nodes.filter((node) => node !== victim);
  await victim.losePower();
  console.log(`  ${victim.hostname}, which runs one of them, has just lost its power (kill -9)`);
  await step(`"${SERVICE}" is back on ${REPLICAS} nodes`, async () => {
    await until(`${REPLICAS} instances on the survivors`, FAILOVER_MS_MAX, async () => {
      const ended = survivors.find(({ isRunning }) => !isRunning);
      if (ended !== undefined) throw new Error(`the daemon of ${ended.hostname} ended by itself`);
      return survivorsServe(await survivors[0]!.service(SERVICE), survivors);
    });
    return placesOf(await survivors[0]!.service(SERVICE));
  });
  await step(`${SERVICE}.myco leads to the survivors alone, and its page is fetched`, async () => {
    await untilResolved(survivors[0]!, (addresses) => {
      return addresses.length === REPLICAS && !addresses.includes(victim.address);
    });
    return fetchByName(survivors[0]!);
  });
  const title = `the flow plane of ${nodes[0]!.hostname} steers a simulated line (mode: dummy)`;
  await step(title, () => new FlowStory(nodes[0]!).turn());
}

/** Does one step, and prints how long it took and what came of it. */
async function step(title: string, run: () => Promise<string>): Promise<void> {
  const startMs = performance.now();
  const result = await run();
  const took = `${((performance.now() - startMs) / 1000).toFixed(2)} s`;
  console.log(`✓ ${title.padEnd(66)} ${took.padStart(8)}\n    ${result}`);
}

/** Linux answers on all of 127.0.0.0/8; elsewhere the addresses have to be added first. */
async function requireLoopback(): Promise<void> {
  for (const { address } of HOSTS) {
    await freeUdpPort(address).catch(() => {
      throw new Error(
        `this machine has no address ${address}; the demo needs it. On macOS: sudo ifconfig lo0 alias ${address}`,
      );
    });
  }
}

/** @returns the folder of the sample service's manifest */
async function writeManifest(root: string, base: string): Promise<string> {
  const manifest = {
    name: SERVICE,
    exec: process.execPath,
    args: [join(root, "demo", "web", "server.mjs")],
    ports: [{ port: await freeTcpPort(HOSTS.map(({ address }) => address)), name: "http" }],
    replicas: REPLICAS,
    health: { http: "/health", interval: "500ms", timeout: "400ms" },
  };
  writeFileSync(join(base, "myco.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return base;
}

function placesOf(service: ServiceAnswer | null): string {
  const healthy = service?.instances.filter(({ state }) => state === "healthy") ?? [];
  return `on ${healthy.map(({ hostname }) => hostname).join(" and ")}`;
}

/** A node that runs the service; not the first, on which the hints are given. */
async function victimOf(nodes: readonly LocalNode[]): Promise<LocalNode> {
  const service = await nodes[0]!.service(SERVICE);
  const hosts = service?.instances.map(({ hostname }) => hostname) ?? [];
  const victim = nodes.slice(1).find(({ hostname }) => hosts.includes(hostname));
  if (victim === undefined) throw new Error(`"${SERVICE}" runs on no node but the first`);
  return victim;
}

function survivorsServe(service: ServiceAnswer | null, survivors: readonly LocalNode[]): boolean {
  return survivors.every(({ hostname }) =>
    service?.instances.some((one) => one.hostname === hostname && one.state === "healthy"),
  );
}

function resolverOf(node: LocalNode): Resolver {
  const resolver = new Resolver({ timeout: 1_000, tries: 3 });
  resolver.setServers([node.dnsEndpoint]);
  return resolver;
}

/** The service's addresses as this node's DNS tells them; none while it knows of no instance. */
async function resolveName(node: LocalNode): Promise<string[]> {
  try {
    return await resolverOf(node).resolve4(`${SERVICE}.myco`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENODATA" || code === "ENOTFOUND") return [];
    throw error;
  }
}

/** News travel: what one node knows, another learns a moment later. */
async function untilResolved(
  node: LocalNode,
  isRight: (addresses: readonly string[]) => boolean,
): Promise<void> {
  await until(`${node.hostname} resolves ${SERVICE}.myco`, CONNECT_MS_MAX, async () => {
    return isRight(await resolveName(node));
  });
}

/** Finds the page by the service's name alone, as any program would. @returns what was seen */
async function fetchByName(node: LocalNode): Promise<string> {
  const addresses = await resolveName(node);
  const [record] = await resolverOf(node).resolveSrv(`_http._tcp.${SERVICE}.myco`);
  if (record === undefined) throw new Error(`_http._tcp.${SERVICE}.myco has no port`);
  for (const address of addresses) {
    const url = `http://${address}:${record.port}/`;
    const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS_MAX) });
    const title = /<h1>(.*)<\/h1>/.exec(await response.text())?.[1];
    if (title === undefined) throw new Error(`${url} is not the service's page`);
  }
  return `${SERVICE}.myco is ${addresses.join(" and ")}, port ${record.port}`;
}

function showHints(root: string, base: string, nodes: readonly LocalNode[]): void {
  const [first] = nodes;
  const dead = nodes.find(({ isRunning }) => !isRunning);
  if (first === undefined || dead === undefined) return;
  const myco = `node ${relative(process.cwd(), join(root, "dist", "myco.mjs"))}`;
  const [dnsAddress, dnsPort] = first.dnsEndpoint.split(":");
  console.log(`
The cluster stays up until Ctrl-C. In another terminal, in this folder, try:

  export MYCO_SOCKET=${first.socket}
  ${myco} services
  ${myco} cluster members
  ${myco} status
  ${myco} services ${SERVICE} --json
  ${myco} flow status --watch
  curl -N --unix-socket $MYCO_SOCKET http://myco/stream

Its name, through the daemon's own DNS:

  dig +short @${dnsAddress} -p ${dnsPort} ${SERVICE}.myco
  dig +short @${dnsAddress} -p ${dnsPort} _http._tcp.${SERVICE}.myco SRV

Bring ${dead.hostname} back, and see it join (Ctrl-C there ends it):

  MYCO_SOCKET= ${myco} daemon --config ${dead.configurationFile}

Deploy it again after a change of ${join(base, "myco.json")}, then take it away:

  ${myco} deploy ${base}
  ${myco} undeploy ${SERVICE}
`);
}
