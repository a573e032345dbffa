// A node is emptied while it runs: its work moves to another before it ends there, and comes back
// when the drain is undone.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DrainAnswer, MembersAnswer, ServiceAnswer } from "../../src/api/contract.ts";
import { ask, discard, eventually, newRoot, type SmallNode, startSmallNode } from "./small-node.ts";

const root = newRoot();
const nodes: SmallNode[] = [];

async function start(seeds: readonly string[] = []): Promise<SmallNode> {
  const node = await startSmallNode({ root, seeds });
  nodes.push(node);
  return node;
}

beforeAll(async () => {
  const a = await start();
  const b = await start(a.node.listening);
  await eventually(async () => {
    const members = await membersAt(b);
    return members.length === 2 && members.every(({ status }) => status === "alive") ? true : null;
  });
});

afterAll(async () => {
  for (const node of nodes) await discard(node);
});

async function membersAt(node: SmallNode) {
  return ((await ask(node.socket, "GET", "/members")).json as MembersAnswer).members;
}

function drain(at: SmallNode, method: string, nodeId: string, query = "") {
  return ask(at.socket, method, `/members/${nodeId}/drain${query}`);
}

async function sleeper(at: SmallNode): Promise<ServiceAnswer> {
  return (await ask(at.socket, "GET", "/services/sleeper")).json as ServiceAnswer;
}

/** Waits until the service runs on `owner` alone. @returns the fewest healthy instances seen */
async function movedTo(owner: SmallNode, at: SmallNode): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  await eventually(async () => {
    const { healthy, instances } = await sleeper(at);
    fewest = Math.min(fewest, healthy);
    const isThere = instances.length === 1 && instances[0]!.nodeId === owner.node.nodeId;
    return isThere && healthy === 1 ? true : null;
  });
  return fewest;
}

describe("draining", () => {
  test("moves what runs there, never without a healthy instance, and back when undone", async () => {
    const [a, b] = nodes as [SmallNode, SmallNode];
    const manifest = { name: "sleeper", exec: "/bin/sleep", args: ["600"] };
    const type = { "content-type": "application/json" };
    await ask(a.socket, "POST", "/deploy", JSON.stringify(manifest), type);
    await eventually(async () => ((await sleeper(a)).healthy === 1 ? true : null));
    const owner = (await sleeper(a)).owners[0] === a.node.nodeId ? a : b;
    const other = owner === a ? b : a;
    // The other one hears of it a little later.
    await eventually(async () => ((await sleeper(other)).healthy === 1 ? true : null));

    // When its node is drained from the other one
    const drained = (await drain(other, "PUT", owner.node.nodeId)).json as DrainAnswer;
    // Then it is told what is still there, and where it goes
    expect(drained).toMatchObject({ draining: true, drainedBy: other.node.nodeId });
    expect(drained.remaining).toMatchObject([
      { name: "sleeper", owners: [{ nodeId: other.node.nodeId }] },
    ]);
    expect(await movedTo(other, other)).toBe(1);
    await eventually(async () => {
      const { remaining } = (await drain(owner, "GET", owner.node.nodeId)).json as DrainAnswer;
      return remaining.length === 0 ? true : null;
    });
    const shown = (await membersAt(owner)).filter(({ draining }) => draining);
    expect(shown.map(({ nodeId }) => nodeId)).toEqual([owner.node.nodeId]);

    // When it is undone where it was drained
    const undone = (await drain(owner, "DELETE", owner.node.nodeId)).json as DrainAnswer;
    expect(undone).toMatchObject({ draining: false, drainedBy: null });
    expect(await movedTo(owner, owner)).toBe(1);
  });

  test("is refused for the last node that takes work, unless forced", async () => {
    const [a, b] = nodes as [SmallNode, SmallNode];
    expect((await drain(a, "PUT", a.node.nodeId)).status).toBe(200);
    // Twice is as good as once
    expect((await drain(a, "PUT", a.node.nodeId)).status).toBe(200);
    const refused = await drain(a, "PUT", b.node.nodeId);
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ error: { code: "last-node" } });
    expect((await drain(a, "PUT", b.node.nodeId, "?force=true")).status).toBe(200);
    for (const { node } of [a, b]) await drain(a, "DELETE", node.nodeId);
    expect((await membersAt(a)).some(({ draining }) => draining)).toBe(false);
  });

  test("is refused for a node nobody knows, and with words it does not know", async () => {
    const [a] = nodes as [SmallNode];
    for (const nodeId of ["00".repeat(8), "nobody", "%2e%2e"]) {
      const answer = await drain(a, "PUT", nodeId);
      expect([answer.status, answer.json]).toMatchObject([
        404,
        { error: { code: "unknown-member" } },
      ]);
    }
    expect((await drain(a, "PUT", a.node.nodeId, "?force=yes")).status).toBe(400);
    expect((await drain(a, "PUT", a.node.nodeId, "?loud=true")).status).toBe(400);
    expect((await drain(a, "POST", a.node.nodeId)).status).toBe(405);
  });
});
