// Who is not let in: a machine of another cluster, and one that was revoked.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mustMyco, until } from "../../demo/local-node.ts";
import type { MembersAnswer } from "../../src/api/contract.ts";
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
      await until("its knocking is refused", PATIENCE_MS, async () => {
        const now = (await insider.status())!.network;
        return (
          now.handshakesRefused + now.packetsRefused >
          before.handshakesRefused + before.packetsRefused
        );
      });
      expect((await stranger.status())!.cluster.members.alive).toBe(1);
      expect(await memberNames(0)).toEqual(["node-0", "node-1", "node-2"]);
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

  test("writes nothing into the cluster any more, not after a restart either", async () => {
    const [first, second, third] = cluster.nodes;
    for (const isRestarted of [false, true]) {
      if (isRestarted) {
        await third!.crash();
        await third!.start();
      }
      await third!.myco("deploy", cluster.manifest(unplaced("intruder")), "--no-wait");
      await first!.myco(
        "deploy",
        cluster.manifest(unplaced(`witness-${isRestarted}`)),
        "--no-wait",
      );
      await until("the others went on", PATIENCE_MS, async () => {
        return (await second!.service(`witness-${isRestarted}`)) !== null;
      });
      expect(await first!.service("intruder")).toBeNull();
      expect(await second!.service("intruder")).toBeNull();
      expect((await first!.status())?.cluster.members.alive).toBe(2);
    }
  });
});
