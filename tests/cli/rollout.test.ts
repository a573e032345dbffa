// When a deployment counts as done.
import { expect, test } from "vitest";
import { rolloutOf } from "../../src/cli/rollout.ts";
import { instance, service } from "./answers.ts";

const deployed = { name: "web", key: "11".repeat(8), stamp: 100, generation: 7, lock: "" };

test("given enough healthy instances of the new version, it is done", () => {
  expect(rolloutOf(deployed, service("web", [instance("healthy")])).state).toBe("done");
});

test("given healthy instances of the old version only, it is still rolling", () => {
  const rollout = rolloutOf(deployed, service("web", [instance("healthy", 6)]));
  expect(rollout).toMatchObject({
    state: "rolling",
    healthy: 0,
    detail: "b healthy (old version)",
  });
});

test("given instances that are not healthy yet, it is still rolling", () => {
  for (const state of ["starting", "failed", "stopping"] as const) {
    expect(rolloutOf(deployed, service("web", [instance(state)])).state).toBe("rolling");
  }
});

test("given no node that may run it, it waits and says so", () => {
  const rollout = rolloutOf(deployed, service("web", [], { wanted: 0 }));
  expect(rollout).toMatchObject({
    state: "rolling",
    detail: expect.stringMatching(/^no node may run it/),
  });
});

test("given a later deployment or none at all, it is over", () => {
  expect(rolloutOf(deployed, service("web", [], { stamp: 101 })).state).toBe("replaced");
  expect(rolloutOf(deployed, null).state).toBe("removed");
});

test("given a node that went back to the old version, it is rolled back and says where", () => {
  const rollout = rolloutOf(deployed, service("web", [instance("rolled-back", 6)]));
  expect(rollout).toMatchObject({ state: "rolled-back", detail: "b rolled-back (old version)" });
});
