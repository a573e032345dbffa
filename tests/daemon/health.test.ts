import { describe, expect, it } from "vitest";
import { lagProblems, type MeshHealthSources, meshProblems } from "../../src/daemon/health.ts";
import { NOTHING_BUILT } from "../../src/engine/engine.ts";
import type { MemberView } from "../../src/node/interface.ts";

const DAY_MS = 86_400_000;
const NOW_MS = 100 * DAY_MS;

function member(nodeId: string, status: MemberView["status"], self = false): MemberView {
  return { nodeId, self, status, notAfterMs: NOW_MS + 90 * DAY_MS } as MemberView;
}

const well: MeshHealthSources = {
  nowMs: NOW_MS,
  uptimeMs: 60_000,
  logProblem: null,
  dnsProblem: null,
  synced: true,
  excluded: false,
  members: [member("a", "alive", true), member("b", "alive")],
  hasSeeds: true,
  unresolvedPeers: [],
  instances: [],
};

function codes(change: Partial<MeshHealthSources>): string[] {
  return meshProblems({ ...well, ...change }).map(({ code }) => code);
}

describe("the health of a node", () => {
  it("is good when nothing is wrong", () => {
    expect(meshProblems(well)).toEqual([]);
    expect(lagProblems(3)).toEqual([]);
  });

  it("is good for a cluster of one that names nobody else", () => {
    expect(codes({ members: [member("a", "alive", true)], hasSeeds: false })).toEqual([]);
  });

  it("names each thing that is wrong", () => {
    expect(codes({ logProblem: "ENOSPC" })).toEqual(["log-failed"]);
    expect(codes({ dnsProblem: "the port is taken" })).toEqual(["dns-unavailable"]);
    expect(lagProblems(5_000).map(({ code }) => code)).toEqual(["lagging"]);
    expect(codes({ synced: false })).toEqual(["not-synced"]);
    expect(codes({ unresolvedPeers: ["attic:7946"] })).toEqual(["peer-unresolved"]);
    expect(codes({ logProblem: "EIO", synced: false })).toEqual(["log-failed", "not-synced"]);
  });

  it("is bad while nobody else is in reach, and good again when the rest has left on purpose", () => {
    const self = member("a", "alive", true);
    expect(codes({ members: [self, member("b", "dead")] })).toEqual(["alone"]);
    expect(codes({ members: [self], hasSeeds: true })).toEqual(["alone"]);
    expect(codes({ members: [self, member("b", "left")] })).toEqual([]);
  });

  it("gives a node that has just started time to join", () => {
    const members = [member("a", "alive", true)];
    expect(codes({ members, synced: false, uptimeMs: 2_000 })).toEqual([]);
  });

  it("says one thing only of a node that was shut out", () => {
    const members = [member("a", "alive", true), member("b", "dead")];
    expect(codes({ excluded: true, synced: false, members })).toEqual(["excluded"]);
  });

  it("warns of a certificate that ends soon", () => {
    const self = { ...member("a", "alive", true), notAfterMs: NOW_MS + 3.5 * DAY_MS };
    const problems = meshProblems({ ...well, members: [self, member("b", "alive")] });
    expect(problems).toMatchObject([{ code: "certificate-expiring" }]);
    expect(problems[0]!.message).toContain("in 3 days");
  });

  it("names services that fail, and not those that start", () => {
    const instance = { name: "web", generation: 1, restartCount: 0, pid: null };
    const rest = { sinceMs: 0, ...NOTHING_BUILT };
    const instances = [
      { ...rest, ...instance, state: "starting", detail: "" } as const,
      { ...rest, ...instance, name: "db", state: "backoff", detail: "exited with code 1" } as const,
    ];
    expect(meshProblems({ ...well, instances })).toEqual([
      { code: "service-failing", message: "service db is backoff: exited with code 1" },
    ]);
  });
});
