// The DNS sockets, asked by the resolver that Node comes with and by hand.

import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import { decode, encode, streamEncode } from "dns-packet";
import { afterEach, describe, expect, test } from "vitest";
import {
  type AnswerDns,
  DnsListenError,
  type DnsSocket,
  openDnsSocket,
} from "../../src/io/dns-socket.ts";
import { DNS_QUERY_BYTES_MAX } from "../../src/kernel/limits.ts";
import { answerQuery, type DnsNode, type ServiceDirectory } from "../../src/net/dns.ts";

const nodes: DnsNode[] = Array.from({ length: 8 }, (_, i) => ({
  nodeId: i.toString(16).padStart(16, "0"),
  addresses: [`127.0.0.${i + 1}`, `2001:db8::${i}`],
}));
const directory: ServiceDirectory = {
  service: (name) =>
    name === "web"
      ? { ports: [{ port: 8080, protocol: "tcp", name: "http" }], healthy: nodes }
      : null,
  node: () => null,
};
const answer: AnswerDns = (query, transport) =>
  answerQuery(query, directory, { domain: "myco", ttlSeconds: 5, transport });

const open: DnsSocket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) await new Promise<void>((done) => socket.close(done));
});

function listen(address = "127.0.0.1", port = 0, reply: AnswerDns = answer): Promise<DnsSocket> {
  return new Promise((resolve, reject) => {
    openDnsSocket({ address, port, answer: reply }, (error, socket) => {
      if (socket === null) reject(error);
      else {
        open.push(socket);
        resolve(socket);
      }
    });
  });
}

function resolverOf(server: string): Resolver {
  const resolver = new Resolver({ timeout: 5_000, tries: 2 });
  resolver.setServers([server]);
  return resolver;
}

describe("Node's resolver", () => {
  test.each(["127.0.0.1", "[::1]"])("finds names through a socket on %s", async (host) => {
    const { port } = await listen(host.replaceAll(/[[\]]/g, ""));
    const resolver = resolverOf(`${host}:${port}`);
    expect((await resolver.resolve4("web.myco")).sort()).toEqual(
      nodes.map((node) => node.addresses[0]),
    );
    expect(await resolver.resolve6("web.myco")).toHaveLength(8);
    await expect(resolver.resolve4("nothing.myco")).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(resolver.resolveTxt("web.myco")).rejects.toMatchObject({ code: "ENODATA" });
    await expect(resolver.resolve4("example.com")).rejects.toMatchObject({ code: "EREFUSED" });
  });

  test("gets over TCP what is too long for UDP", async () => {
    const asked: string[] = [];
    const { port } = await listen("127.0.0.1", 0, (query, transport) => {
      asked.push(transport);
      const reply = answer(query, transport);
      if (reply !== null && transport === "udp") reply[2]! |= 0x02;
      return reply;
    });
    const found = await resolverOf(`127.0.0.1:${port}`).resolveSrv("_http._tcp.web.myco");
    expect(found).toHaveLength(8);
    expect(asked).toEqual(["udp", "tcp"]);
  });
});

describe("over TCP", () => {
  const question = streamEncode({
    type: "query",
    id: 9,
    questions: [{ type: "A", name: "web.myco" }],
  });

  function talk(port: number, chunks: readonly Uint8Array[]): Promise<Buffer> {
    return new Promise((resolve) => {
      const received: Buffer[] = [];
      const socket = connect({ port, host: "127.0.0.1" }, async () => {
        for (const chunk of chunks) {
          await new Promise((written) => socket.write(chunk, written));
          await new Promise((later) => setTimeout(later, 5));
        }
        socket.end();
      });
      socket.on("data", (chunk) => received.push(chunk));
      socket.on("error", () => {});
      socket.on("close", () => resolve(Buffer.concat(received)));
    });
  }

  test("queries may come in pieces, and several in one", async () => {
    const { port } = await listen();
    const pieces = await talk(port, [
      question.subarray(0, 1),
      question.subarray(1, 7),
      Buffer.concat([question.subarray(7), question]),
    ]);
    const lengthBytes = pieces.readUInt16BE(0);
    expect(pieces.length).toBe(2 * (2 + lengthBytes));
    expect(decode(pieces.subarray(2, 2 + lengthBytes)).answers).toHaveLength(8);
  });

  test("a length beyond any query's ends the connection", async () => {
    const { port } = await listen();
    const length = DNS_QUERY_BYTES_MAX + 1;
    expect(await talk(port, [Buffer.from([length >> 8, length & 0xff])])).toHaveLength(0);
  });

  test("what is no query ends the connection", async () => {
    const { port } = await listen();
    expect(await talk(port, [Buffer.from([0, 2, 1, 1])])).toHaveLength(0);
  });
});

test("10,000 malformed datagrams later it still answers", async () => {
  const { port } = await listen();
  const socket = createSocket("udp4");
  for (let i = 0; i < 10_000; i += 1) {
    const bytes = Buffer.alloc(i % 64, i * 31);
    await new Promise((sent) => socket.send(bytes, port, "127.0.0.1", sent));
  }
  const query = encode({ type: "query", id: 1, questions: [{ type: "A", name: "web.myco" }] });
  const answered = new Promise<Buffer>((resolve) => {
    socket.on("message", (message) => {
      if (message.length > 12) resolve(message);
    });
  });
  const retry = setInterval(() => socket.send(query, port, "127.0.0.1"), 50);
  expect(decode(await answered).answers).toHaveLength(8);
  clearInterval(retry);
  socket.close();
});

test("an address that is taken is named, with what to do", async () => {
  const { port } = await listen();
  const second = listen("127.0.0.1", port);
  await expect(second).rejects.toBeInstanceOf(DnsListenError);
  await expect(second).rejects.toMatchObject({ code: "ERR_DNS_LISTEN" });
  await expect(second).rejects.toThrow(
    `DNS cannot listen on 127.0.0.1:${port}: another program has it`,
  );
});

test("an address that this machine does not have is named, with what to do", async () => {
  await expect(listen("192.0.2.77", 5353)).rejects.toThrow("this machine has no such address");
});
