// `myco drain`: says what it asks of the daemon, and shows a node run empty.

import { afterEach, describe, expect, test } from "vitest";
import type { DrainAnswer, RemainingService } from "../../src/api/contract.ts";
import { member, NODE_A, NODE_B } from "./answers.ts";
import { StandInApi } from "./stand-in-api.ts";
import { myco } from "./terminal.ts";

let api: StandInApi | null = null;
afterEach(async () => {
  await api?.stop();
  api = null;
});

const MOVING: RemainingService = {
  name: "web",
  state: "healthy",
  owners: [{ nodeId: NODE_A, hostname: "a", state: "starting" }],
};
const STUCK: RemainingService = { name: "gpu", state: "healthy", owners: [] };

/** A daemon that gives these answers about the drain of NODE_B, the last one again and again. */
async function daemon(...answers: Partial<DrainAnswer>[]): Promise<StandInApi> {
  let given = 0;
  api = await StandInApi.start(({ path }) => {
    if (path === "/members")
      return { body: { members: [member(NODE_A, "a"), member(NODE_B, "b")] } };
    const answer = answers[Math.min(given++, answers.length - 1)];
    const whole = { nodeId: NODE_B, draining: true, drainedBy: NODE_A, remaining: [], ...answer };
    return { body: whole };
  });
  return api;
}

function drain(...args: string[]) {
  return myco(["--socket", api!.socket, "drain", ...args]);
}

describe("myco drain", () => {
  test("drains by host name, and says what still runs there", async () => {
    const { asked } = await daemon({ remaining: [MOVING] });
    const { exitCode, out } = await drain("b");
    expect(exitCode).toBe(0);
    expect(out).toContain("b takes no more work");
    expect(out).toContain("--wait");
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /members",
      `PUT /members/${NODE_B}/drain`,
    ]);
  });

  test("waits until nothing is left, one line for each change", async () => {
    await daemon({ remaining: [MOVING] }, { remaining: [MOVING] }, { remaining: [] });
    const { exitCode, out } = await drain("b", "--wait");
    expect(exitCode).toBe(0);
    expect(out.split("\n").filter((line) => line.startsWith("web"))).toEqual([
      "web: moves to a (starting)",
      "web: gone",
    ]);
    expect(out).toContain("nothing runs on b any more");
  });

  test("says what stays when the time is up", async () => {
    await daemon({ remaining: [STUCK] });
    const { exitCode, err } = await drain("b", "--wait", "--timeout", "1ms");
    expect(exitCode).toBe(6);
    expect(err).toContain("gpu: stays, no other node may run it");
  });

  test("gives up waiting when another undoes it", async () => {
    await daemon({ remaining: [MOVING] }, { draining: false, remaining: [MOVING] });
    const { exitCode, err } = await drain("b", "--wait");
    expect(exitCode).toBe(1);
    expect(err).toContain("was undone meanwhile");
  });

  test("undoes, and tells of a node that takes no work of its own accord", async () => {
    const { asked } = await daemon({ draining: true, drainedBy: null });
    const { exitCode, out } = await drain(NODE_B, "--undo");
    expect(exitCode).toBe(0);
    expect(out).toContain("its own configuration");
    expect(asked.at(-1)).toMatchObject({ method: "DELETE", path: `/members/${NODE_B}/drain` });
  });

  test("forces, and prints JSON at the end only", async () => {
    const { asked } = await daemon({ remaining: [MOVING] }, {});
    const { out } = await drain("b", "--force", "--wait", "--json");
    expect(asked[1]!.path).toBe(`/members/${NODE_B}/drain?force=true`);
    expect(JSON.parse(out)).toMatchObject({ nodeId: NODE_B, remaining: [] });
  });

  test("does not wait for an undoing", async () => {
    await daemon();
    const { exitCode, err } = await drain("b", "--undo", "--wait");
    expect(exitCode).toBe(2);
    expect(err).toContain("--undo together with --wait");
  });
});
