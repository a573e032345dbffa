// The operator's side of a cluster: keys, invitations, and shutting a machine out.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeJoinToken } from "../../src/cli/join-token.ts";
import { readNodeFiles } from "../../src/daemon/node-files.ts";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { hasRole, readCertificate } from "../../src/net/certificate.ts";
import { identityFromSeed } from "../../src/net/identity.ts";
import { decodeDeployPacket } from "../../src/schema/deploy-packet.ts";
import { fromHex, nodeIdOf } from "../../src/schema/node-id.ts";
import { decodeService } from "../../src/schema/service-codec.ts";
import { readSlot, SLOT_KIND, slotSignatureHolds } from "../../src/schema/slot.ts";
import { member, NODE_A, NODE_B, service, spec, status } from "./answers.ts";
import { StandInApi } from "./stand-in-api.ts";
import { myco } from "./terminal.ts";

const crypto = new NodeCrypto();
const NO_DAEMON = ["--socket", "/nonexistent/myco.sock"];
let folder: string;
let rootKey: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-cli-"));
  rootKey = join(folder, "keys", "root.key");
});

afterEach(() => rmSync(folder, { recursive: true }));

function init(dataDir: string, key = rootKey) {
  return myco(["cluster", "init", "--data-dir", join(folder, dataDir), "--root-key", key]);
}

function invite(...args: string[]) {
  return myco(["cluster", "invite", ...NO_DAEMON, "--root-key", rootKey, ...args]);
}

function certificateIn(dataDir: string) {
  const files = readNodeFiles(join(folder, dataDir));
  return readCertificate(crypto, files.rootPublicKey, files.certificate);
}

describe("cluster init", () => {
  test("makes a root key and a node whose certificate the root signed", async () => {
    const { exitCode, out } = await init("a");
    expect(exitCode).toBe(0);
    const certificate = certificateIn("a");
    expect(certificate).not.toBeNull();
    expect(hasRole(certificate!, "member") && hasRole(certificate!, "deployer")).toBe(true);
    expect(out).toContain(certificate!.nodeId);
  });

  test("keeps every key from other users", async () => {
    await init("a");
    for (const file of [rootKey, join(folder, "a", "node.key")]) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
  });

  test("never overwrites a root key or a node", async () => {
    await init("a");
    const before = readFileSync(rootKey);
    const again = await init("a", join(folder, "other.key"));
    expect(again.exitCode).toBe(5);
    expect(again.err).toContain("in a cluster already");
    const elsewhere = await init("b");
    expect(elsewhere.exitCode).toBe(5);
    expect(elsewhere.err).toContain("never overwritten");
    expect(readFileSync(rootKey)).toEqual(before);
  });
});

describe("cluster invite and join", () => {
  test("a token makes another folder a node of the same cluster, which knows whom to dial", async () => {
    await init("a");
    const token = await invite("--peer", "127.0.0.1:7000", "--peer", "[::1]:7000", "--zone", "3");
    expect(token.exitCode).toBe(0);
    expect(token.err).toContain("secret");
    const joined = await myco(["cluster", "join", token.out, "--data-dir", join(folder, "b")]);
    expect(joined.exitCode).toBe(0);
    const files = readNodeFiles(join(folder, "b"));
    expect(files.seeds).toEqual(["127.0.0.1:7000", "[::1]:7000"]);
    expect(files.rootPublicKey).toEqual(readNodeFiles(join(folder, "a")).rootPublicKey);
    const certificate = certificateIn("b");
    expect(certificate?.zone).toBe(3);
    expect(certificate?.nodeId).toBe(identityFromSeed(crypto, files.keySeed).nodeId);
  });

  test("a token is read from standard input", async () => {
    await init("a");
    const { out } = await invite("--peer", "127.0.0.1:7000");
    const args = ["cluster", "join", "-", "--data-dir", join(folder, "b")];
    expect((await myco(args, { stdin: `\n${out}` })).exitCode).toBe(0);
  });

  test("a machine that made its own key gets a token that is no secret and serves only it", async () => {
    await init("a");
    const dataDir = join(folder, "b");
    const request = await myco(["cluster", "join", "--request", "--data-dir", dataDir]);
    const publicKey = request.out.trim();
    const token = await invite("--peer", "127.0.0.1:7000", "--public-key", publicKey);
    expect(token.err).toBe("");
    expect(decodeJoinToken(crypto, token.out).keySeed).toBeNull();
    const stolen = await myco(["cluster", "join", token.out, "--data-dir", join(folder, "c")]);
    expect(stolen.exitCode).toBe(5);
    expect((await myco(["cluster", "join", token.out, "--data-dir", dataDir])).exitCode).toBe(0);
    expect(certificateIn("b")?.nodeId).toBe(nodeIdOf(crypto, fromHex(publicKey)));
  });

  test("a machine that is in a cluster does not change it by mistake", async () => {
    await init("a");
    const { out } = await invite("--peer", "127.0.0.1:7000");
    const before = certificateIn("a");
    const joined = await myco(["cluster", "join", out, "--data-dir", join(folder, "a")]);
    expect(joined.exitCode).toBe(5);
    expect(certificateIn("a")).toEqual(before);
  });

  test("a token with a letter changed is refused, and nothing is written", async () => {
    await init("a");
    const { out } = await invite("--peer", "127.0.0.1:7000");
    const changed = out.replace(/.(?=.{40}\n)/, (letter) => (letter === "A" ? "B" : "A"));
    const joined = await myco(["cluster", "join", changed, "--data-dir", join(folder, "b")]);
    expect(joined.exitCode).toBe(2);
    expect(() => readNodeFiles(join(folder, "b"))).toThrow(/in no cluster yet/);
  });

  test("without a daemon to ask, the invitation needs a peer", async () => {
    await init("a");
    const { exitCode, err } = await invite();
    expect(exitCode).toBe(3);
    expect(err).toContain("--peer");
  });

  test("with a daemon to ask, the token names living members and the revocations so far", async () => {
    await init("a");
    const rootId = nodeIdOf(crypto, readNodeFiles(join(folder, "a")).rootPublicKey);
    const api = await StandInApi.start(({ path }) => ({
      body:
        path === "/status"
          ? status(rootId)
          : { members: [member(NODE_A, "a"), { ...member(NODE_B, "b"), status: "dead" }] },
    }));
    const { out } = await myco([
      ...["cluster", "invite", "--socket", api.socket, "--root-key", rootKey],
    ]);
    await api.stop();
    const token = decodeJoinToken(crypto, out);
    expect(token.seeds).toEqual(["127.0.0.1:7946", "[::1]:7946"]);
    const certificate = readCertificate(crypto, token.rootPublicKey, token.certificate);
    expect(certificate?.revocationBlock).toBe(4);
  });

  test("a root key open to other users is not used", async () => {
    await init("a");
    chmodSync(rootKey, 0o644);
    const { exitCode, err } = await invite("--peer", "127.0.0.1:7000");
    expect(exitCode).toBe(5);
    expect(err).toContain(`chmod 600 ${rootKey}`);
  });
});

describe("cluster revoke", () => {
  async function revoke(...args: string[]) {
    await init("a");
    const { rootPublicKey } = readNodeFiles(join(folder, "a"));
    const rootId = nodeIdOf(crypto, rootPublicKey);
    const mine = { ...service("mine", []), author: NODE_A };
    const api = await StandInApi.start(({ path }) => {
      if (path === "/status") return { body: status(rootId) };
      if (path === "/members")
        return { body: { members: [member(NODE_A, "a"), member(NODE_B, "b")] } };
      if (path === "/services") return { body: { services: [service("web", []), mine] } };
      return { body: {} };
    });
    const base = ["cluster", "revoke", "--socket", api.socket, "--root-key", rootKey];
    const outcome = await myco([...base, ...args]);
    await api.stop();
    return {
      ...outcome,
      rootId,
      rootPublicKey,
      posts: api.asked.filter((a) => a.method === "POST"),
    };
  }

  test("signs the node's services anew, then revokes it one block above the last", async () => {
    const { exitCode, out, posts, rootId, rootPublicKey } = await revoke("b");
    expect(exitCode).toBe(0);
    expect(out).toContain("web");
    expect(posts.map(({ path }) => path)).toEqual(["/deploy", "/revocations"]);
    const kept = readSlot(decodeDeployPacket(crypto, posts[0]!.body))!;
    expect(kept.author).toBe(rootId);
    expect(kept.stamp).toBeGreaterThan(100);
    expect(decodeService(kept.body)).toEqual(spec("web"));
    expect(slotSignatureHolds(crypto, kept, rootPublicKey)).toBe(true);
    const revocation = readSlot(Uint8Array.from(posts[1]!.body))!;
    expect(revocation.kind).toBe(SLOT_KIND.revocation);
    expect([...revocation.body]).toEqual([5]);
    expect(slotSignatureHolds(crypto, revocation, rootPublicKey)).toBe(true);
  });

  test("lets go of the services with --withdraw", async () => {
    const { exitCode, posts } = await revoke("bbbb", "--withdraw");
    expect(exitCode).toBe(0);
    expect(posts.map(({ path }) => path)).toEqual(["/revocations"]);
  });

  test("does not shut out the node it speaks with, nor one that is not there", async () => {
    expect((await revoke(NODE_A)).exitCode).toBe(5);
    rmSync(folder, { recursive: true });
    const unknown = await revoke("nobody");
    expect(unknown.exitCode).toBe(4);
    expect(unknown.err).toContain("b (bbbb000011112222)");
    expect(unknown.posts).toEqual([]);
  });
});
