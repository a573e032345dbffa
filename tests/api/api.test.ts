// The API's edges, against a whole node on a real socket: what is refused, how, and that
// nothing of it harms the node.

import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  DeployAnswer,
  ErrorAnswer,
  ServiceAnswer,
  ServicesAnswer,
  StatusAnswer,
} from "../../src/api/contract.ts";
import {
  API_BODY_BYTES_MAX,
  API_FOLLOWERS_MAX,
  API_HEADER_BYTES_MAX,
} from "../../src/kernel/limits.ts";
import type { Signer } from "../../src/kernel/ports.ts";
import { encodeRevocation } from "../../src/node/authority.ts";
import { encodeDeployPacket } from "../../src/schema/deploy-packet.ts";
import { nodeIdOf } from "../../src/schema/node-id.ts";
import { encodeService } from "../../src/schema/service-codec.ts";
import { SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";
import { nodeKey, SLOT_KIND, serviceKey, writeSlot } from "../../src/schema/slot.ts";
import { STAMPS_PER_MS } from "../../src/sync/hybrid-clock.ts";
import {
  ask,
  crypto,
  discard,
  eventually,
  newRoot,
  type SmallNode,
  startSmallNode,
} from "../daemon/small-node.ts";

let small: SmallNode;
let root: Signer;
beforeAll(async () => {
  root = newRoot();
  small = await startSmallNode({ root });
});
afterAll(() => discard(small));

const JSON_TYPE = { "content-type": "application/json" };
const PACKET_TYPE = { "content-type": "application/octet-stream" };

function call(method: string, path: string, body?: string | Uint8Array, headers = {}) {
  return ask(small.socket, method, path, body, headers);
}

function errorOf({ json }: { json: unknown }): ErrorAnswer["error"] {
  return (json as ErrorAnswer).error;
}

/** A service record signed by `signer`. */
function serviceRecord(signer: Signer, name: string, stampMs = Date.now()): Uint8Array {
  return writeSlot(
    {
      kind: SLOT_KIND.service,
      tombstone: false,
      key: serviceKey(crypto, name),
      stamp: stampMs * STAMPS_PER_MS,
      author: nodeIdOf(crypto, signer.publicKey),
      body: encodeService({ ...SERVICE_DEFAULTS, name, exec: "/bin/true", zone: 200 }),
    },
    signer,
  );
}

function deployRecord(signer: Signer, record: Uint8Array) {
  const author = nodeIdOf(crypto, signer.publicKey);
  return call("POST", "/deploy", encodeDeployPacket(crypto, author, record), PACKET_TYPE);
}

/** Writes bytes that need not be HTTP, and gives back what came until the end. */
async function raw(bytes: string | Uint8Array): Promise<string> {
  const socket = connect(small.socket);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.end(bytes);
  await once(socket, "close");
  return text;
}

/** Opens an answer that goes on. */
async function open(path: string): Promise<{ response: IncomingMessage; text: () => string }> {
  const outgoing = request({ socketPath: small.socket, path, agent: false });
  outgoing.on("error", () => {});
  outgoing.end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  response.setEncoding("utf8");
  response.on("error", () => {});
  response.on("data", (chunk: string) => {
    text += chunk;
  });
  return { response, text: () => text };
}

describe("a request", () => {
  it("for an unknown path is answered 404 with the paths there are", async () => {
    for (const path of ["/", "/nothing", "/services/a/b", "/__proto__", "/status/", "//"]) {
      const answer = await call("GET", path);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(errorOf(answer).hint).toContain("/deploy");
    }
  });

  it("with a method a path does not have is answered 405 with those it has", async () => {
    const answer = await call("PUT", "/services/web");
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe("GET, DELETE");
    expect((await call("constructor", "/status")).status).toBe(400);
  });

  it("with too long a head is answered 431", async () => {
    const head = `GET /status HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(API_HEADER_BYTES_MAX)}\r\n\r\n`;
    expect(await raw(head)).toMatch(/^HTTP\/1.1 431 .*"request-malformed"/s);
  });

  it("that is no HTTP is answered 400 or closed, and harms nobody", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        expect(await raw(bytes)).toMatch(/^$|^HTTP\/1\.1 4/);
      }),
      { numRuns: 50 },
    );
    expect((await call("GET", "/status")).status).toBe(200);
  });
});

describe("a deployment", () => {
  it("of another type is answered 415 with the types there are", async () => {
    const answer = await call("POST", "/deploy", "name: web", { "content-type": "text/yaml" });
    expect(answer.status).toBe(415);
    expect(errorOf(answer).message).toContain("application/json, application/octet-stream");
    expect((await call("POST", "/deploy")).status).toBe(415);
  });

  it("above the body's bound is answered 413, told or untold", async () => {
    const body = new Uint8Array(20 * API_BODY_BYTES_MAX).fill(0x20);
    expect((await call("POST", "/deploy", body, JSON_TYPE)).status).toBe(413);
    const chunked = { ...JSON_TYPE, "transfer-encoding": "chunked" };
    expect((await call("POST", "/deploy", body, chunked)).status).toBe(413);
  });

  it("with mistakes is answered 422 with each of them in its line", async () => {
    const manifest = '{\n  "name": "Web",\n  "exec": "/bin/true",\n  "replica": 2\n}';
    const answer = await call("POST", "/deploy", manifest, JSON_TYPE);
    expect(answer.status).toBe(422);
    const { code, problems } = errorOf(answer);
    expect(code).toBe("manifest-invalid");
    expect(problems).toHaveLength(2);
    expect(problems![0]).toContain("manifest:2:");
    expect(problems![1]).toContain('did you mean "replicas"?');
  });

  it("that does not fit a slot is answered 422", async () => {
    const args = Array.from({ length: 8 }, (_, index) => `${index}`.repeat(200));
    const manifest = JSON.stringify({ name: "huge", exec: "/bin/true", args });
    const answer = await call("POST", "/deploy", manifest, JSON_TYPE);
    expect([answer.status, errorOf(answer).code]).toEqual([422, "service-invalid"]);
  });

  it("of arbitrary JSON or bytes is refused, and the node goes on", async () => {
    const body = fc.oneof(fc.json(), fc.string(), fc.uint8Array({ maxLength: 2_000 }));
    const type = fc.constantFrom(JSON_TYPE, PACKET_TYPE);
    await fc.assert(
      fc.asyncProperty(body, type, async (bytes, headers) => {
        const { status } = await call("POST", "/deploy", bytes, headers);
        expect([400, 422]).toContain(status);
      }),
      { numRuns: 150 },
    );
    expect((await call("GET", "/services")).json).toEqual({ services: [] });
  });

  it("of several services is written whole", async () => {
    const services = ["one", "two"].map((name) => ({ name, exec: "/bin/true", zone: 200 }));
    const answer = await call("POST", "/deploy", JSON.stringify({ services }), JSON_TYPE);
    expect(answer.status).toBe(200);
    expect((answer.json as DeployAnswer).services.map(({ name }) => name)).toEqual(["one", "two"]);
    // No node is in zone 200.
    const one = (await call("GET", "/services/one")).json as ServiceAnswer;
    expect(one).toMatchObject({ wanted: 0, healthy: 0, owners: [], instances: [] });
    for (const name of ["one", "two"]) {
      expect((await call("DELETE", `/services/${name}`)).status).toBe(200);
    }
  });
});

describe("a signed record", () => {
  it("of the root is taken, and shows its author", async () => {
    const answer = await deployRecord(root, serviceRecord(root, "signed"));
    expect(answer.status).toBe(200);
    const service = (await call("GET", "/services/signed")).json as ServiceAnswer;
    expect(service.author).toBe(nodeIdOf(crypto, root.publicKey));
    expect((answer.json as DeployAnswer).services[0]).toMatchObject({
      name: "signed",
      generation: service.generation,
    });
  });

  it("that is older than what is there is answered 409", async () => {
    await deployRecord(root, serviceRecord(root, "newer"));
    const answer = await deployRecord(root, serviceRecord(root, "newer", Date.now() - 60_000));
    expect([answer.status, errorOf(answer).code]).toEqual([409, "superseded"]);
  });

  it("of a stranger is refused", async () => {
    const stranger = newRoot();
    const answer = await deployRecord(stranger, serviceRecord(stranger, "foreign"));
    expect([answer.status, errorOf(answer).code]).toEqual([409, "unknown-author"]);
  });

  it("with a forged signature is answered 403", async () => {
    const record = serviceRecord(root, "forged");
    record[record.length - 1]! ^= 1;
    const answer = await deployRecord(root, record);
    expect([answer.status, errorOf(answer).code]).toEqual([403, "invalid-record"]);
  });

  it("from the far future is refused", async () => {
    const answer = await deployRecord(root, serviceRecord(root, "future", Date.now() + 3_600_000));
    expect(answer.status).toBe(403);
  });

  it("may revoke a node, as the root's only", async () => {
    const subject = nodeIdOf(crypto, newRoot().publicKey);
    const revocation = (signer: Signer): Uint8Array =>
      writeSlot(
        {
          kind: SLOT_KIND.revocation,
          tombstone: false,
          key: nodeKey(subject),
          stamp: Date.now() * STAMPS_PER_MS,
          author: nodeIdOf(crypto, signer.publicKey),
          body: encodeRevocation(7),
        },
        signer,
      );
    const forged = await call("POST", "/revocations", revocation(newRoot()), PACKET_TYPE);
    expect(forged.status).toBe(403);
    const taken = await call("POST", "/revocations", revocation(root), PACKET_TYPE);
    expect(taken.json).toMatchObject({ key: subject });
    const status = (await call("GET", "/status")).json as StatusAnswer;
    expect(status.cluster.revocationBlock).toBe(7);
    const service = serviceRecord(root, "wrong-door");
    expect((await call("POST", "/revocations", service, PACKET_TYPE)).status).toBe(400);
  });
});

describe("a log", () => {
  it("of an unknown service is answered 404, and of a service elsewhere with where it runs", async () => {
    expect(errorOf(await call("GET", "/logs?service=nobody")).code).toBe("unknown-service");
    await deployRecord(root, serviceRecord(root, "elsewhere"));
    const answer = await call("GET", "/logs?service=elsewhere");
    expect([answer.status, errorOf(answer).code]).toEqual([404, "not-here"]);
  });

  it("is refused with parameters that mean nothing", async () => {
    for (const query of [
      "",
      "service=../../etc/passwd",
      "service=web&lines=-1",
      "service=web&lines=99999999",
      "service=web&follow=maybe",
      "service=web&since=1h",
    ]) {
      const answer = await call("GET", `/logs?${query}`);
      expect([query, answer.status]).toEqual([query, 400]);
      expect(errorOf(answer).message).toMatch(/allowed/);
    }
  });

  it("is followed line by line", async () => {
    const manifest = {
      name: "talker",
      exec: "/bin/sh",
      args: ["-c", "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.1; done"],
    };
    await call("POST", "/deploy", JSON.stringify(manifest), JSON_TYPE);
    await eventually(async () =>
      (await call("GET", "/logs?service=talker")).text.includes("line 1\n") ? true : null,
    );
    const { response, text } = await open("/logs?service=talker&lines=1&follow=true");
    const followed = await eventually(() => (text().split("\n").length > 4 ? text() : null));
    const numbers = [...followed.matchAll(/line ([0-9]+)/g)].map((match) => Number(match[1]));
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
    response.destroy();
    expect((await call("GET", "/logs?service=talker&lines=2")).text).toMatch(
      /^line \d+\nline \d+\n$/,
    );
    await call("DELETE", "/services/talker");
  });
});

describe("the stream", () => {
  it("begins with the status and tells of each write with growing ids", async () => {
    const { response, text } = await open("/stream");
    expect(response.headers["content-type"]).toContain("text/event-stream");
    await deployRecord(root, serviceRecord(root, "streamed"));
    const events = await eventually(() => (text().includes("event: deploy") ? text() : null));
    response.destroy();
    const [hello, ...later] = events.trim().split("\n\n");
    expect(hello).toMatch(/^event: hello\nid: \d+\ndata: \{"version"/);
    // What an earlier test deployed may be on its way to another state.
    const kinds = later.map((event) => /^event: (\w+)/.exec(event)![1]!);
    expect(kinds.filter((kind) => kind !== "instance")).toEqual(["service", "deploy"]);
    const ids = events.match(/(?<=id: )\d+/g)!.map(Number);
    expect(ids).toEqual(ids.map((_, index) => ids[0]! + index));
  });

  it("is refused when too many are open, and is open again when one leaves", async () => {
    const streams = [];
    for (let i = 0; i < API_FOLLOWERS_MAX; i += 1) streams.push(await open("/stream"));
    const answer = await call("GET", "/stream");
    expect([answer.status, errorOf(answer).code]).toEqual([503, "too-many-followers"]);
    streams.pop()!.response.destroy();
    await eventually(async () => {
      const { response } = await open("/stream");
      streams.push({ response, text: () => "" });
      return response.statusCode === 200 ? true : null;
    });
    for (const { response } of streams) response.destroy();
  });
});

describe("the metrics", () => {
  it("are Prometheus text with the node's own figures", async () => {
    const { text, headers } = await call("GET", "/metrics");
    expect(headers["content-type"]).toContain("text/plain; version=0.0.4");
    expect(text).toContain('myco_members{status="alive"} 1\n');
    expect(text).toContain('myco_instances{state="backoff"} 0\n');
    expect(text).toMatch(/^myco_log_fsyncs_total [1-9]/m);
    const { services } = (await call("GET", "/services")).json as ServicesAnswer;
    expect(services.length).toBeGreaterThan(0);
    const counted = Number(/^myco_slots (\d+)$/m.exec(text)![1]);
    expect(counted).toBeGreaterThan(services.length);
    const again = await call("GET", "/metrics");
    expect(again.text.match(/^myco_members\{/gm)).toHaveLength(4);
  });
});
