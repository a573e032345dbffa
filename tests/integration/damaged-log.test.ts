// A byte of the log flips on the disk: the node notices, keeps what is whole, and gets the rest
// from a peer.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../demo/local-node.ts";
import type { ServicesAnswer } from "../../src/api/contract.ts";
import { LocalCluster, PATIENCE_MS, unplaced } from "./local-cluster.ts";

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start(2);
});

afterAll(() => cluster?.close());

test("given a flipped byte in the middle of the log, the node comes back with everything", async () => {
  const [whole, damaged] = cluster.nodes;
  const services = Array.from({ length: 20 }, (_, index) => unplaced(`s${index}`));
  const manifest = cluster.manifest({ services });
  expect((await damaged!.myco("deploy", manifest, "--no-wait")).exitCode).toBe(0);
  await cluster.agree();
  await damaged!.crash();

  const file = join(damaged!.dataDir, "wal");
  const bytes = readFileSync(file);
  bytes[Math.floor(bytes.length / 2)]! ^= 0x10;
  writeFileSync(file, bytes);

  await damaged!.start();
  await cluster.agree();
  await until("both hold what they held", PATIENCE_MS, async () => {
    const answer = await damaged!.client.get<ServicesAnswer>("/services");
    return answer.services.length === services.length;
  });
  const { services: others } = await whole!.client.get<ServicesAnswer>("/services");
  expect(others).toHaveLength(services.length);
  expect(damaged!.wholeLog()).toContain("the log was damaged and cut");
});
