// A deployment of flakes: each is resolved by the node that takes it, before anything is written.

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, it } from "vitest";
import type { MeshBackend } from "../../src/api/backend.ts";
import { deploy } from "../../src/api/writes.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

function post(services: readonly object[]): IncomingMessage {
  const body = Buffer.from(JSON.stringify({ services }));
  const headers = { "content-type": "application/json", "content-length": String(body.length) };
  return Object.assign(Readable.from([body]), { headers }) as unknown as IncomingMessage;
}

/** @param lock what a flake is resolved to */
function backend(lock: (spec: ServiceSpec) => ServiceSpec | { error: string }) {
  const written: ServiceSpec[] = [];
  const mesh: Partial<MeshBackend> = {
    lock: (spec) => Promise.resolve(spec.flake === "" ? spec : lock(spec)),
    deploy: (spec) => {
      written.push(spec);
      return Promise.resolve({ ok: true, key: "00", stamp: 1, generation: 2 });
    },
  };
  return { written, mesh: mesh as MeshBackend };
}

const flake = { name: "web", flake: "github:acme/web", exec: "bin/web" };
const plain = { name: "plain", exec: "/bin/true" };

it("signs what the flake was resolved to, and answers with it", async () => {
  const { mesh, written } = backend((spec) => ({ ...spec, lock: COMMIT }));
  const { services } = await deploy(post([flake, plain]), mesh);
  expect(services.map(({ name, lock }) => [name, lock])).toEqual([
    ["web", COMMIT],
    ["plain", ""],
  ]);
  expect(written.map(({ lock }) => lock)).toEqual([COMMIT, ""]);
});

it("writes none of them when one cannot be resolved, and says what to do", async () => {
  const { mesh, written } = backend(() => ({ error: "repository not found" }));
  await expect(deploy(post([plain, flake]), mesh)).rejects.toMatchObject({
    status: 422,
    code: "flake-unresolved",
    message: "the flake of web cannot be resolved: repository not found",
    details: { hint: expect.stringContaining("nix flake metadata 'github:acme/web'") },
  });
  expect(written).toEqual([]);
});
