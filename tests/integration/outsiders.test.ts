// Who is not let in: a machine of another cluster, and one that was revoked.
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mustMyco, until } from "../../demo/local-node.ts";
import type { MembersAnswer } from "../../src/api/contract.ts";
import { readNodeFiles } from "../../src/daemon/node-files.ts";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { issueCertificate, ROLES } from "../../src/net/certificate.ts";
import { type Identity, identityFromSeed } from "../../src/net/identity.ts";
import { fromHex } from "../../src/schema/node-id.ts";
import { knock } from "./knock.ts";
import { BUNDLE, LocalCluster, PATIENCE_MS, unplaced } from "./local-cluster.ts";

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start(3);
});

afterAll(() => cluster?.close());

async function memberNames(index: number): Promise<string[]> {
  const { members } = await cluster.nodes[index]!.client.get<MembersAnswer>("/members");
  return members.map(({ hostname }) => hostname).sort();
}

describe("a machine with a certificate of another root", () => {
  test("knocks and stays outside", async () => {
    const insider = cluster.nodes[0]!;
    const before = (await insider.status())!.network;
    const stranger = await cluster.addNode("stranger");
    cluster.nodes.pop();
    const rootKey = `${cluster.base}/other-root.key`;
    const init = ["cluster", "init", "--data-dir", stranger.dataDir, "--root-key", rootKey];
    await mustMyco(BUNDLE, init);
    try {
      await stranger.start("--peer", insider.endpoint);
      await until("it has tried to get in, thrice", PATIENCE_MS, async () => {
        return ((await stranger.status())?.network.handshakesRefused ?? 0) >= 3;
      });
      expect((await stranger.status())!.cluster.members.alive).toBe(1);
      expect(await memberNames(0)).toEqual(["node-0", "node-1", "node-2"]);
      expect((await insider.status())!.network.sessions).toBe(before.sessions);
    } finally {
      await stranger.retire();
    }
  });
});

describe("a revoked machine", () => {
  test("is shut out everywhere, while the services it deployed stay", async () => {
    const [first, second, third] = cluster.nodes;
    const manifest = cluster.manifest({ services: [unplaced("theirs"), unplaced("more")] });
    await third!.myco("deploy", manifest, "--no-wait");
    await cluster.agree();
    const rootKey = ["--root-key", cluster.rootKey];
    const revoked = await first!.myco("cluster", "revoke", "node-2", ...rootKey);
    expect(revoked.err).toBe("");
    expect(revoked.exitCode).toBe(0);
    for (const node of [first!, second!]) {
      await until("it is no longer a living member", PATIENCE_MS, async () => {
        return (await node.status())?.cluster.members.alive === 2;
      });
      const kept = await node.service("theirs");
      expect(kept?.author).toBe((await node.status())?.cluster.rootId);
      expect(await node.service("more")).not.toBeNull();
    }
  });

  /** It deploys something, and so do the others: theirs spreads, its own does not. */
  async function expectShutOut(round: string): Promise<void> {
    const [first, second, third] = cluster.nodes;
    await third!.myco("deploy", cluster.manifest(unplaced("intruder")), "--no-wait");
    const witness = `witness-${round}`;
    await first!.myco("deploy", cluster.manifest(unplaced(witness)), "--no-wait");
    await until("the others went on", PATIENCE_MS, async () => {
      return (await second!.service(witness)) !== null;
    });
    for (const node of [first!, second!]) {
      expect(await node.service("intruder")).toBeNull();
      expect((await node.status())?.cluster.members.alive).toBe(2);
    }
  }

  test("writes nothing into the cluster any more", () => expectShutOut("at-once"));

  test("nor after a restart that made it forget all but its key and certificate", async () => {
    const [first, , third] = cluster.nodes;
    const before = (await first!.status())!.network.handshakesRefused;
    await third!.crash();
    rmSync(join(third!.dataDir, "wal"));
    await third!.start("--peer", first!.endpoint);
    await until("it was turned away", PATIENCE_MS, async () => {
      return (await first!.status())!.network.handshakesRefused > before;
    });
    await expectShutOut("later");
  });
});

describe("a handshake of one who pretends", () => {
  const crypto = new NodeCrypto();
  const inAnHour = Math.floor(Date.now() / 1000) + 3_600;

  function keyIn(file: string) {
    return identityFromSeed(crypto, fromHex(readFileSync(file, "utf8").trim()));
  }

  function certificate(root: Identity, publicKey: Uint8Array, notAfterSeconds = inAnHour) {
    const fields = { publicKey, zone: 0, roles: ROLES.member, notAfterSeconds, revocationBlock: 9 };
    return issueCertificate(root.signer, fields);
  }

  /** Knocks with `certificateBytes`, and counts what became of it at the first node. */
  async function outcomeOf(keySeed: Uint8Array, certificateBytes: Uint8Array) {
    const node = cluster.nodes[0]!;
    const { rootPublicKey } = readNodeFiles(node.dataDir);
    const before = (await node.status())!.network;
    await knock(node.endpoint, { keySeed, certificateBytes, rootPublicKey });
    await until("the daemon has made up its mind", PATIENCE_MS, async () => {
      const now = (await node.status())!.network;
      return now.handshakesRefused > before.handshakesRefused || now.sessions > before.sessions;
    });
    const after = (await node.status())!.network;
    return after.sessions - before.sessions;
  }

  test("by a certificate of another root is refused", async () => {
    const keySeed = randomBytes(32);
    const otherRoot = identityFromSeed(crypto, randomBytes(32));
    const { publicKey } = identityFromSeed(crypto, keySeed);
    expect(await outcomeOf(keySeed, certificate(otherRoot, publicKey))).toBe(0);
  });

  test("by a member's certificate without its key is refused", async () => {
    const stolen = readNodeFiles(cluster.nodes[1]!.dataDir).certificate;
    expect(await outcomeOf(randomBytes(32), stolen)).toBe(0);
  });

  test("by a certificate that has ended is refused", async () => {
    const keySeed = randomBytes(32);
    const root = keyIn(cluster.rootKey);
    const { publicKey } = identityFromSeed(crypto, keySeed);
    expect(await outcomeOf(keySeed, certificate(root, publicKey, inAnHour - 7_200))).toBe(0);
  });

  test("by the revoked machine's own is refused", async () => {
    const { keySeed, certificate: revoked } = readNodeFiles(cluster.nodes[2]!.dataDir);
    await cluster.nodes[2]!.stop();
    expect(await outcomeOf(keySeed, revoked)).toBe(0);
  });

  test("by one that the root signed is let in, so that the others mean something", async () => {
    const keySeed = randomBytes(32);
    const root = keyIn(cluster.rootKey);
    const { publicKey } = identityFromSeed(crypto, keySeed);
    expect(await outcomeOf(keySeed, certificate(root, publicKey))).toBe(1);
  });
});
