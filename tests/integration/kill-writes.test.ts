// `kill -9` in the middle of writes: what was acknowledged is there after the restart.
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../demo/local-node.ts";
import type { DeployAnswer, ServicesAnswer } from "../../src/api/contract.ts";
import { LocalCluster, PATIENCE_MS, unplaced } from "./local-cluster.ts";

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start(1);
});

afterAll(() => cluster?.close());

test("given five kills during a stream of deployments, every acknowledged one survives", async () => {
  const node = cluster.nodes[0]!;
  /** Name to the stamp that was acknowledged last. */
  const acknowledged = new Map<string, number>();
  let written = 0;

  /** Deploys one after the other until the daemon is gone. */
  async function writeUntilKilled(): Promise<void> {
    for (;;) {
      const manifest = { ...unplaced(`s${written % 40}`), args: [String(written)] };
      written += 1;
      const body = { contentType: "application/json", bytes: JSON.stringify(manifest) } as const;
      const answer = await node.client.post<DeployAnswer>("/deploy", body).catch(() => null);
      if (answer === null) return;
      for (const { name, stamp } of answer.services) acknowledged.set(name, stamp);
    }
  }

  for (const writesBeforeKill of [1, 7, 30, 3, 60]) {
    const target = written + writesBeforeKill;
    const writers = [writeUntilKilled(), writeUntilKilled(), writeUntilKilled()];
    await until("enough is written", PATIENCE_MS, async () => written >= target);
    await node.crash();
    await Promise.all(writers);
    await node.start();
    const { services } = await node.client.get<ServicesAnswer>("/services");
    const stamps = new Map(services.map(({ name, stamp }) => [name, stamp]));
    for (const [name, stamp] of acknowledged) {
      expect(stamps.get(name) ?? 0, `${name} after a kill`).toBeGreaterThanOrEqual(stamp);
    }
  }
  expect(acknowledged.size).toBeGreaterThan(30);
});
