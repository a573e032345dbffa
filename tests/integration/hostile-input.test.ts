// Floods of nonsense on every door: nothing is lost, nobody gets in, nothing grows.
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LocalNode, until } from "../../demo/local-node.ts";
import type { ServicesAnswer } from "../../src/api/contract.ts";
import { PACKET_BYTES, PAYLOAD_BYTES } from "../../src/kernel/limits.ts";
import { randomBelow, SeededRandom } from "../../src/kernel/random.ts";
import { type PacketKind, payloadOf, writeHeader } from "../../src/schema/packet.ts";
import { LocalCluster, PATIENCE_MS, unplaced } from "./local-cluster.ts";

const DATAGRAMS = 10_000;
const BODIES = 2_000;
const BURST = 50;
/** Room for the heap to breathe between two collections. */
const GROWTH_BYTES_MAX = 10 * 1024 * 1024;

let cluster: LocalCluster;
const random = new SeededRandom(0x6d79_636fn);

beforeAll(async () => {
  cluster = await LocalCluster.start(2);
  const services = ["one", "two", "three"].map(unplaced);
  await cluster.nodes[0]!.myco("deploy", cluster.manifest({ services }), "--no-wait");
  await cluster.agree();
});

afterAll(() => cluster?.close());

/** Memory that is the process's own, not the program's file. */
function anonymousBytes(node: LocalNode): number {
  const status = readFileSync(`/proc/${node.pid}/status`, "latin1");
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)![1]) * 1024;
}

/** What a peer might send that is no peer: any size, or the right one with a header that could be. */
function nonsense(destination: string): Uint8Array {
  if (randomBelow(random, 3) === 0) return random.bytes(randomBelow(random, 1_400));
  const packet = random.bytes(PACKET_BYTES);
  if (randomBelow(random, 4) === 0) return packet;
  writeHeader(packet, {
    kind: (1 + randomBelow(random, 6)) as PacketKind,
    zone: 0,
    payloadLength: randomBelow(random, PAYLOAD_BYTES + 1),
    revocationBlock: randomBelow(random, 4),
    source: Buffer.from(random.bytes(8)).toString("hex"),
    destination,
    session: random.u32(),
    counter: random.u32(),
  });
  if (randomBelow(random, 2) === 0) payloadOf(packet).fill(0);
  return packet;
}

async function flood(node: LocalNode, count: number): Promise<void> {
  const { id } = (await node.status())!.node;
  const [address, port] = node.endpoint.split(":");
  const sockets = [createSocket("udp4"), createSocket("udp4"), createSocket("udp4")];
  for (let sent = 0; sent < count; sent += BURST) {
    const socket = sockets[sent % sockets.length]!;
    for (let i = 0; i < BURST; i += 1) await send(socket, nonsense(id), Number(port), address!);
    // Its answer says that it had its turn: else the kernel would drop what a busy machine is late for.
    await node.status();
  }
  for (const socket of sockets) socket.close();
}

function send(socket: Socket, bytes: Uint8Array, port: number, address: string): Promise<void> {
  return new Promise((resolve) => socket.send(bytes, port, address, () => resolve()));
}

async function knownServices(node: LocalNode): Promise<string[]> {
  const { services } = await node.client.get<ServicesAnswer>("/services");
  return services.map(({ name }) => name).sort();
}

async function expectUnharmed(): Promise<void> {
  await cluster.agree();
  for (const node of cluster.nodes) {
    expect(await knownServices(node)).toEqual(["one", "three", "two"]);
    expect((await node.status())?.health).toEqual({ ok: true, problems: [] });
  }
}

test("given 10,000 malformed datagrams, nothing is lost, nobody is in and nothing grows", async () => {
  const node = cluster.nodes[0]!;
  const before = (await node.status())!.network;
  await flood(node, 2_000);
  const warmBytes = anonymousBytes(node);
  await flood(node, DATAGRAMS);
  await expectUnharmed();
  const after = (await node.status())!.network;
  const refused = after.packetsRefused + after.datagramsDropped;
  expect(refused - before.packetsRefused - before.datagramsDropped).toBeGreaterThan(DATAGRAMS / 2);
  expect(anonymousBytes(node) - warmBytes).toBeLessThan(GROWTH_BYTES_MAX);
});

/** Bodies of all kinds of wrong, for every route that takes one. */
function wrongBody(): { path: string; contentType: string; bytes: Uint8Array } {
  const path = ["/deploy", "/revocations"][randomBelow(random, 2)]!;
  const contentType = ["application/json", "application/octet-stream", "text/plain"][
    randomBelow(random, 3)
  ]!;
  return { path, contentType, bytes: WRONG_BYTES[randomBelow(random, WRONG_BYTES.length)]!() };
}

const WRONG_BYTES: readonly (() => Uint8Array)[] = [
  () => random.bytes(randomBelow(random, 2_000)),
  () => random.bytes(PACKET_BYTES),
  () => nonsense("0".repeat(16)),
  () => Buffer.from('{"name":"x","exec":'),
  () => Buffer.from('{"name":"../x","exec":"/bin/true"}'),
  () => Buffer.from("[".repeat(5_000)),
  () => Buffer.from(`{"name":"${"a".repeat(30_000)}","exec":"/bin/true"}`),
  () => Buffer.from('{"__proto__":{"name":"x"},"exec":"/bin/true"}'),
  () => Buffer.alloc(80 * 1024, 0x20),
];

async function post(node: LocalNode): Promise<number> {
  const { path, contentType, bytes } = wrongBody();
  const head = `POST ${path} HTTP/1.1\r\nHost: myco\r\nConnection: close\r\nContent-Type: ${contentType}\r\nContent-Length: ${bytes.length}\r\n\r\n`;
  return talk(node, Buffer.concat([Buffer.from(head), bytes]));
}

/** Sends bytes to the API's socket. @returns the answer's status, or 0 when there was none */
function talk(node: LocalNode, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(node.socket);
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)));
    socket.end(bytes);
  });
}

test("given thousands of malformed API requests, all are refused and nothing grows", async () => {
  const node = cluster.nodes[1]!;
  for (let i = 0; i < 300; i += 1) await post(node);
  const warmBytes = anonymousBytes(node);
  for (let i = 0; i < BODIES; i += 1) {
    const status = await post(node);
    expect(status === 0 || (status >= 400 && status < 500), `status ${status}`).toBe(true);
  }
  for (let i = 0; i < 200; i += 1) await talk(node, random.bytes(randomBelow(random, 500)));
  await expectUnharmed();
  expect(anonymousBytes(node) - warmBytes).toBeLessThan(GROWTH_BYTES_MAX);
});

test("after both, the cluster still takes a deployment", async () => {
  const manifest = cluster.manifest(unplaced("four"));
  expect((await cluster.nodes[1]!.myco("deploy", manifest, "--no-wait")).exitCode).toBe(0);
  await until("it is known everywhere", PATIENCE_MS, async () => {
    return (await cluster.nodes[0]!.service("four")) !== null;
  });
});
