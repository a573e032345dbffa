// The reconciler: one decision at a time, then whole clusters of it under random change.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type InstanceState, type InstanceStatus, NOTHING_BUILT } from "../../src/engine/engine.ts";
import { type PlacementNode, place } from "../../src/engine/placement.ts";
import {
  type Action,
  type DeployedService,
  RECONCILE_START,
  type ReconcileInput,
  type ReconcileOptions,
  type ReconcileResult,
  type ReconcileState,
  reconcile,
} from "../../src/engine/reconcile.ts";
import { CLAIMS_MAX } from "../../src/kernel/limits.ts";
import type { NodeId } from "../../src/schema/node-id.ts";
import type { Claim } from "../../src/schema/node-info.ts";
import { nodeIdFrom, serviceSpec } from "./specs.ts";

const options: ReconcileOptions = {
  stableWaitMs: 2_000,
  maxConcurrentStarts: 2,
  updateWaitMs: 60_000,
  actionTimeoutMs: 30_000,
};
const self = nodeIdFrom(1n);
const other = nodeIdFrom(2n);
const third = nodeIdFrom(3n);

function deployed(owners: NodeId[], changes: Partial<DeployedService> = {}): DeployedService {
  return { claimKey: 7, generation: 1, spec: serviceSpec({}), owners, ...changes };
}

function status(state: InstanceState, generation = 1, name = "web"): InstanceStatus {
  return { name, generation, state, detail: "", restartCount: 0, pid: null, ...NOTHING_BUILT };
}

function input(changes: Partial<ReconcileInput>): ReconcileInput {
  return {
    nowMs: 0,
    self,
    synced: true,
    services: new Map(),
    running: [],
    claims: new Map(),
    ...changes,
  };
}

function web(service: DeployedService): ReadonlyMap<string, DeployedService> {
  return new Map([["web", service]]);
}

/** Ticks at 0 ms and once the placement has settled. */
function settle(changes: Partial<ReconcileInput>): ReconcileResult {
  const first = reconcile(RECONCILE_START, input(changes), options);
  return reconcile(first.state, input({ ...changes, nowMs: options.stableWaitMs }), options);
}

function summary(actions: readonly Action[]): string[] {
  return actions.map((action) =>
    action.kind === "start"
      ? `start ${action.instance.name}@${action.instance.generation}`
      : `stop ${action.name} (${action.reason})`,
  );
}

describe("a service placed here", () => {
  const services = web(deployed([self]));

  test("starts once its placement has been stable for the wait, not before", () => {
    const early = reconcile(RECONCILE_START, input({ services }), options);
    expect(early.actions).toEqual([]);
    expect(early.waiting).toEqual([{ name: "web", reason: "settling" }]);
    const almost = reconcile(early.state, input({ services, nowMs: 1_999 }), options);
    expect(almost.actions).toEqual([]);
    const due = reconcile(almost.state, input({ services, nowMs: 2_000 }), options);
    expect(summary(due.actions)).toEqual(["start web@1"]);
  });

  test("waits anew when its placement went away in between", () => {
    const first = reconcile(RECONCILE_START, input({ services }), options);
    const away = web(deployed([other]));
    const second = reconcile(first.state, input({ services: away, nowMs: 1_000 }), options);
    const back = reconcile(second.state, input({ services, nowMs: 1_500 }), options);
    const due = reconcile(back.state, input({ services, nowMs: 2_500 }), options);
    expect(due.actions).toEqual([]);
    expect(due.waiting).toEqual([{ name: "web", reason: "settling" }]);
  });

  test("is not started twice while the engine has not shown the first start", () => {
    const started = settle({ services });
    const again = reconcile(started.state, input({ services, nowMs: 2_000 }), options);
    expect(again.actions).toEqual([]);
    const later = reconcile(again.state, input({ services, nowMs: 20_000 }), options);
    expect(later.actions).toEqual([]);
  });

  test("is started again when a start shows no effect for the time-out", () => {
    const started = settle({ services });
    const late = reconcile(started.state, input({ services, nowMs: 32_000 }), options);
    expect(summary(late.actions)).toEqual(["start web@1"]);
  });

  test("is left alone by a node that has not synced yet", () => {
    const result = settle({ services, synced: false, running: [status("healthy", 1, "old")] });
    expect(result.actions).toEqual([]);
  });
});

test("an undeployed service is stopped at once, and only once", () => {
  const running = [status("healthy")];
  const first = reconcile(RECONCILE_START, input({ running }), options);
  expect(summary(first.actions)).toEqual(["stop web (undeployed)"]);
  const second = reconcile(first.state, input({ running, nowMs: 100 }), options);
  expect(second.actions).toEqual([]);
});

describe("an owner whose service moved away", () => {
  const running = [status("healthy")];
  const claim = (state: Claim["state"]): Claim => ({ service: 7, generation: 1, state });

  test.each<[string, Claim[], string[]]>([
    ["claims nothing", [], []],
    ["is starting", [claim("starting")], []],
    ["failed", [claim("failed")], []],
    ["is healthy", [claim("healthy")], ["stop web (taken-over)"]],
    ["claims another service", [{ ...claim("healthy"), service: 8 }], []],
  ])("keeps running until the new owner is healthy: it %s", (_, claims, expected) => {
    const services = web(deployed([other]));
    const result = settle({ services, running, claims: new Map([[other, claims]]) });
    expect(summary(result.actions)).toEqual(expected);
  });

  test("waits for all of several new owners", () => {
    const services = web(deployed([other, third]));
    const one = new Map([[other, [claim("healthy")]]]);
    expect(settle({ services, running, claims: one }).actions).toEqual([]);
    const both = new Map([...one, [third, [claim("healthy")]]]);
    expect(settle({ services, running, claims: both }).actions).toHaveLength(1);
  });

  test("does not go by a claim from before the placement moved: it may be outdated", () => {
    const services = web(deployed([other]));
    const claims = new Map([[other, [claim("healthy")]]]);
    const first = reconcile(RECONCILE_START, input({ services, running, claims }), options);
    expect(first.actions).toEqual([]);
  });

  test("keeps running when nobody can take over", () => {
    expect(settle({ services: web(deployed([])), running }).actions).toEqual([]);
  });

  test("stops at once an instance of a service that runs on all nodes", () => {
    const spec = serviceSpec({ replicas: "all" });
    const first = reconcile(
      RECONCILE_START,
      input({ services: web(deployed([other], { spec })), running }),
      options,
    );
    expect(summary(first.actions)).toEqual(["stop web (not-placed-here)"]);
  });
});

describe("a singleton", () => {
  const spec = serviceSpec({ singleton: true });

  test("stops at once where it is no longer placed, as without a majority", () => {
    const services = web(deployed([], { spec }));
    const result = reconcile(
      RECONCILE_START,
      input({ services, running: [status("healthy")] }),
      options,
    );
    expect(summary(result.actions)).toEqual(["stop web (not-placed-here)"]);
  });

  test.each<Claim["state"]>(["starting", "healthy", "failed", "stopping"])(
    "does not start while another node claims it as %s",
    (state) => {
      const services = web(deployed([self], { spec }));
      const claims = new Map([[other, [{ service: 7, generation: 1, state }]]]);
      const result = settle({ services, claims });
      expect(result.actions).toEqual([]);
      expect(result.waiting).toEqual([{ name: "web", reason: "other-owner-runs" }]);
      const free = reconcile(result.state, input({ services, nowMs: 3_000 }), options);
      expect(summary(free.actions)).toEqual(["start web@1"]);
    },
  );
});

describe("a new generation", () => {
  const services = web(deployed([other, self], { generation: 2 }));
  const healthyOld = [status("healthy", 1)];
  const at = (generation: number, state: Claim["state"]) =>
    new Map([[other, [{ service: 7, generation, state }]]]);

  test("replaces the old one at once where there is no other owner", () => {
    const alone = web(deployed([self], { generation: 2 }));
    const result = reconcile(
      RECONCILE_START,
      input({ services: alone, running: healthyOld }),
      options,
    );
    expect(summary(result.actions)).toEqual(["start web@2"]);
  });

  test("replaces it on the first owner when the others had the time to say what they do", () => {
    const first = web(deployed([self, other], { generation: 2 }));
    const now = { services: first, running: healthyOld, claims: at(1, "healthy") };
    const early = reconcile(RECONCILE_START, input(now), options);
    expect(early.actions).toEqual([]);
    const due = reconcile(early.state, input({ ...now, nowMs: options.stableWaitMs }), options);
    expect(summary(due.actions)).toEqual(["start web@2"]);
  });

  test.each<Claim["state"]>(["starting", "building", "failed", "stopping"])(
    "waits on the first owner while a later one is %s, but not for ever",
    (state) => {
      const first = web(deployed([self, other], { generation: 3 }));
      const now = { services: first, running: healthyOld, claims: at(2, state) };
      const early = reconcile(RECONCILE_START, input(now), options);
      const later = input({ ...now, nowMs: options.stableWaitMs });
      const waiting = reconcile(early.state, later, options);
      expect(waiting.waiting).toEqual([{ name: "web", reason: "update-in-turn" }]);
      const late = input({ ...now, nowMs: options.updateWaitMs });
      expect(reconcile(waiting.state, late, options).actions).toHaveLength(1);
    },
  );

  test("is not tried again where it was rolled back, and holds the owners after that", () => {
    const first = web(deployed([self, other], { generation: 2 }));
    const back = [{ ...status("healthy", 1), rolledBackFrom: 2 }];
    const result = settle({ services: first, running: back, claims: at(1, "healthy") });
    expect(result.actions).toEqual([]);
    expect(result.claims).toEqual([{ service: 7, generation: 1, state: "rolled-back" }]);
    const behind = settle({ services, running: healthyOld, claims: at(1, "rolled-back") });
    expect(behind.waiting).toEqual([{ name: "web", reason: "update-in-turn" }]);
    const newer = web(deployed([self, other], { generation: 3 }));
    const retry = settle({ services: newer, running: back, claims: at(1, "healthy") });
    expect(summary(retry.actions)).toEqual(["start web@3"]);
    expect(retry.claims[0]?.state).toBe("healthy");
  });

  test("that is being built here is not started again, however long that takes", () => {
    const alone = web(deployed([self], { generation: 2 }));
    const building = [{ ...status("healthy", 1), next: { generation: 2, detail: "" } }];
    const first = settle({ services: alone, running: healthyOld });
    const later = input({ services: alone, running: building, nowMs: 10_000_000 });
    expect(reconcile(first.state, later, options).actions).toEqual([]);
  });

  test.each<[string, ReadonlyMap<NodeId, readonly Claim[]>, number]>([
    ["has the old generation", at(1, "healthy"), 0],
    ["is starting the new one", at(2, "starting"), 0],
    ["failed with the new one", at(2, "failed"), 0],
    ["claims nothing yet", new Map(), 0],
    ["is healthy with the new one", at(2, "healthy"), 1],
  ])("waits on the second owner while the first %s", (_, claims, expected) => {
    const result = settle({ services, running: healthyOld, claims });
    expect(result.actions).toHaveLength(expected);
    if (expected === 0) expect(result.waiting[0]?.reason).toBe("update-in-turn");
  });

  test("goes on without an owner that claims nothing for long, never past one that failed", () => {
    const silent = { services, running: healthyOld };
    const first = reconcile(RECONCILE_START, input(silent), options);
    const later = { nowMs: options.updateWaitMs };
    expect(reconcile(first.state, input({ ...silent, ...later }), options).actions).toHaveLength(1);
    const failed = { ...silent, ...later, claims: at(2, "failed") };
    expect(reconcile(first.state, input(failed), options).actions).toEqual([]);
  });

  test("does not wait its turn where the old one is not healthy anyway", () => {
    const result = reconcile(
      RECONCILE_START,
      input({ services, running: [status("backoff", 1)], claims: at(1, "healthy") }),
      options,
    );
    expect(summary(result.actions)).toEqual(["start web@2"]);
  });
});

describe("what an earlier daemon left here and does not run", () => {
  const left = [status("idle", 1)];

  test("is claimed to nobody and started like a new one", () => {
    const result = settle({ services: web(deployed([self])), running: left });
    expect(summary(result.actions)).toEqual(["start web@1"]);
    expect(result.claims).toEqual([]);
  });

  test("waits, as a singleton, until nobody else has it", () => {
    const services = web(deployed([self], { spec: serviceSpec({ singleton: true }) }));
    const claims = new Map([[other, [{ service: 7, generation: 1, state: "healthy" as const }]]]);
    const result = settle({ services, running: left, claims });
    expect(result.waiting).toEqual([{ name: "web", reason: "other-owner-runs" }]);
  });

  test("is cleared away where it is not placed, or not deployed any more", () => {
    const elsewhere = reconcile(
      RECONCILE_START,
      input({ services: web(deployed([other])), running: left }),
      options,
    );
    expect(summary(elsewhere.actions)).toEqual(["stop web (not-placed-here)"]);
    const gone = reconcile(RECONCILE_START, input({ running: left }), options);
    expect(summary(gone.actions)).toEqual(["stop web (undeployed)"]);
  });
});

test("builds do not count as starts", () => {
  const services = new Map(
    ["a", "b", "c"].map((name, index) => [name, deployed([self], { claimKey: index })] as const),
  );
  const running = ["a", "b"].map((name) => status("building", 1, name));
  expect(summary(settle({ services, running }).actions)).toEqual(["start c@1"]);
});

describe("limits", () => {
  const many = (count: number, owners = [self]): Map<string, DeployedService> =>
    new Map(
      Array.from({ length: count }, (_, i) => [
        `s${String(i).padStart(3, "0")}`,
        deployed(owners, { claimKey: i }),
      ]),
    );

  test("starts no more at a time than the cap, pending ones included", () => {
    const services = many(5);
    const first = settle({ services });
    expect(summary(first.actions)).toEqual(["start s000@1", "start s001@1"]);
    expect(first.waiting.map((w) => w.reason)).toEqual(Array(3).fill("start-limit"));
    const running = [status("starting", 1, "s000"), status("healthy", 1, "s001")];
    const next = reconcile(first.state, input({ services, running, nowMs: 3_000 }), options);
    expect(summary(next.actions)).toEqual(["start s002@1"]);
  });

  test("holds no more instances than a node slot has room to claim", () => {
    const services = many(CLAIMS_MAX + 2);
    const running = [...services.keys()]
      .slice(0, CLAIMS_MAX)
      .map((name) => status("healthy", 1, name));
    const result = settle({ services, running });
    expect(result.actions).toEqual([]);
    expect(result.waiting.map((w) => w.reason)).toEqual(["node-full", "node-full"]);
    expect(result.claims).toHaveLength(CLAIMS_MAX);
  });
});

test("claims say what runs, and leave out what is undeployed", () => {
  const services = new Map([
    ["b", deployed([self], { claimKey: 2 })],
    ["a", deployed([self], { claimKey: 9 })],
  ]);
  const running = [
    status("backoff", 4, "a"),
    status("healthy", 3, "b"),
    status("stopping", 1, "gone"),
  ];
  const { claims } = reconcile(RECONCILE_START, input({ services, running }), options);
  expect(claims).toEqual([
    { service: 2, generation: 3, state: "healthy" },
    { service: 9, generation: 4, state: "failed" },
  ]);
});

// A cluster of reconcilers over modelled engines: a start takes two ticks to become healthy,
// a stop takes one, claims reach the others a tick late.

const TICK_MS = 500;
const HEALTHY_AFTER_TICKS = 2;

interface ModelInstance {
  generation: number;
  state: InstanceState;
  ticks: number;
}

class ModelNode {
  readonly node: PlacementNode;
  state: ReconcileState = RECONCILE_START;
  instances = new Map<string, ModelInstance>();
  claims: readonly Claim[] = [];
  actionCount = 0;
  healthyAfterTicks = HEALTHY_AFTER_TICKS;

  constructor(node: PlacementNode) {
    this.node = node;
  }

  running(): InstanceStatus[] {
    return [...this.instances].map(([name, { state, generation }]) =>
      status(state, generation, name),
    );
  }

  advance(): void {
    for (const [name, instance] of this.instances) {
      instance.ticks += 1;
      if (instance.state === "stopping") this.instances.delete(name);
      else if (instance.ticks >= this.healthyAfterTicks) instance.state = "healthy";
    }
  }

  apply(actions: readonly Action[]): void {
    this.actionCount += actions.length;
    for (const action of actions) {
      if (action.kind === "start") {
        const { name, generation } = action.instance;
        this.instances.set(name, { generation, state: "starting", ticks: 0 });
      } else {
        const instance = this.instances.get(action.name);
        if (instance) instance.state = "stopping";
      }
    }
  }
}

type Change =
  | { kind: "drain" | "undrain"; node: number }
  | { kind: "update" | "undeploy" | "deploy"; service: number }
  | { kind: "quiet"; ticks: number };

class ModelCluster {
  readonly nodes: ModelNode[];
  readonly deployedServices = new Map<number, { generation: number; replicas: number }>();
  tickCount = 0;

  constructor(nodeCount: number) {
    this.nodes = Array.from({ length: nodeCount }, (_, i) => {
      const nodeId = nodeIdFrom(BigInt(i + 1));
      const base = { zone: i % 2, arch: "x86_64", devices: [], labels: [], memoryMiB: 64 } as const;
      return new ModelNode({ ...base, nodeId, draining: false, status: "alive" });
    });
  }

  services(): Map<string, DeployedService> {
    const placementNodes = this.nodes.map((n) => n.node);
    const reach = { rosterSize: this.nodes.length, reachableCount: this.nodes.length };
    const table = new Map<string, DeployedService>();
    for (const [index, { generation, replicas }] of this.deployedServices) {
      const spec = serviceSpec({ name: `s${index}`, replicas });
      const owners = place({ key: { high: index, low: 0 }, spec }, placementNodes, reach);
      table.set(spec.name, { claimKey: index, generation, spec, owners });
    }
    return table;
  }

  change(change: Change): void {
    if (change.kind === "drain" || change.kind === "undrain") {
      const target = this.nodes[change.node % this.nodes.length]!;
      Object.assign(target.node, { draining: change.kind === "drain" });
    } else if (change.kind === "undeploy") {
      this.deployedServices.delete(change.service);
    } else if (change.kind === "deploy") {
      this.deployedServices.set(change.service, {
        generation: 1,
        replicas: 1 + (change.service % 3),
      });
    } else if (change.kind === "update") {
      const service = this.deployedServices.get(change.service);
      if (service) service.generation += 1;
    }
  }

  tick(check: (node: ModelNode, services: Map<string, DeployedService>) => void): void {
    this.tickCount += 1;
    const services = this.services();
    const claims = new Map(this.nodes.map((n) => [n.node.nodeId, n.claims]));
    for (const node of this.nodes) {
      const result = reconcile(
        node.state,
        {
          nowMs: this.tickCount * TICK_MS,
          self: node.node.nodeId,
          synced: true,
          services,
          running: node.running(),
          claims: new Map([...claims].filter(([id]) => id !== node.node.nodeId)),
        },
        options,
      );
      node.state = result.state;
      node.claims = result.claims;
      node.apply(result.actions);
      check(node, services);
    }
    for (const node of this.nodes) node.advance();
  }

  healthyCount(name: string): number {
    return this.nodes.filter((n) => n.instances.get(name)?.state === "healthy").length;
  }

  runners(name: string): ModelNode[] {
    return this.nodes.filter((n) => n.instances.has(name));
  }
}

const anyChange: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constantFrom("drain", "undrain"), node: fc.nat(5) }),
  fc.record({
    kind: fc.constantFrom("update", "undeploy", "deploy", "deploy"),
    service: fc.nat(7),
  }),
  fc.record({ kind: fc.constant("quiet"), ticks: fc.integer({ min: 1, max: 12 }) }),
) as fc.Arbitrary<Change>;

/** Long enough for 8 services to update one owner after the other, two starts at a time. */
const QUIET_TICKS = 120;

describe("deployments one after the other", () => {
  test("never take more than one healthy instance of a service at a time", () => {
    const deployments = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), deployments, (size, waits) => {
        const cluster = new ModelCluster(size);
        // Longer than the wait after which the first owner may go on.
        for (const node of cluster.nodes) node.healthyAfterTicks = 8;
        cluster.deployedServices.set(1, { generation: 1, replicas: 2 });
        cluster.deployedServices.set(2, { generation: 1, replicas: 3 });
        for (let i = 0; i < QUIET_TICKS; i += 1) cluster.tick(() => {});
        const least = (service: number): number =>
          Math.min(size, cluster.deployedServices.get(service)!.replicas) - 1;
        const tick = (): void => {
          cluster.tick(() => {});
          for (const service of [1, 2]) {
            expect(cluster.healthyCount(`s${service}`)).toBeGreaterThanOrEqual(least(service));
          }
        };
        for (const [index, ticks] of waits.entries()) {
          cluster.change({ kind: "update", service: 1 + (index % 2) });
          for (let i = 0; i < ticks; i += 1) tick();
        }
        for (let i = 0; i < QUIET_TICKS; i += 1) tick();
        for (const [name, { generation }] of cluster.services()) {
          for (const { instances } of cluster.runners(name)) {
            expect(instances.get(name)).toMatchObject({ generation, state: "healthy" });
          }
        }
      }),
    );
  });
});

describe("a cluster under random change", () => {
  test("never exceeds the start cap, converges, then does nothing more", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(anyChange, { maxLength: 30 }),
        (size, changes) => {
          const cluster = new ModelCluster(size);
          const checkCap = (node: ModelNode) => {
            const starting = node.running().filter((i) => i.state === "starting").length;
            expect(starting).toBeLessThanOrEqual(options.maxConcurrentStarts);
          };
          for (const change of changes) {
            cluster.change(change);
            const ticks = change.kind === "quiet" ? change.ticks : 1;
            for (let i = 0; i < ticks; i += 1) cluster.tick(checkCap);
          }
          for (const node of cluster.nodes) Object.assign(node.node, { draining: false });
          for (let i = 0; i < QUIET_TICKS; i += 1) cluster.tick(checkCap);

          const services = cluster.services();
          for (const [name, { owners, generation }] of services) {
            const ids = cluster.runners(name).map((n) => n.node.nodeId);
            expect(ids.sort()).toEqual([...owners].sort());
            for (const node of cluster.runners(name)) {
              expect(node.instances.get(name)).toMatchObject({ generation, state: "healthy" });
            }
          }
          for (const node of cluster.nodes) {
            for (const name of node.instances.keys()) expect(services.has(name)).toBe(true);
          }
          const before = cluster.nodes.map((n) => n.actionCount);
          for (let i = 0; i < 20; i += 1) cluster.tick(checkCap);
          expect(cluster.nodes.map((n) => n.actionCount)).toEqual(before);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("a service keeps a healthy instance while drains move it around", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.nat(3), fc.integer({ min: 1, max: 10 })), {
          maxLength: 20,
        }),
        (drains) => {
          const cluster = new ModelCluster(4);
          cluster.change({ kind: "deploy", service: 3 });
          for (let i = 0; i < 20; i += 1) cluster.tick(() => {});
          expect(cluster.healthyCount("s3")).toBe(1);
          for (const [drain, node, ticks] of drains) {
            cluster.change({ kind: drain ? "drain" : "undrain", node });
            for (let i = 0; i < ticks; i += 1) {
              cluster.tick(() => {});
              expect(cluster.healthyCount("s3")).toBeGreaterThanOrEqual(1);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("a handover to one stable new owner runs at most one instance too many, and not for long", () => {
    const cluster = new ModelCluster(4);
    cluster.change({ kind: "deploy", service: 3 });
    for (let i = 0; i < 20; i += 1) cluster.tick(() => {});
    const [owner] = cluster.runners("s3");
    Object.assign(owner!.node, { draining: true });
    let overlapTicks = 0;
    for (let i = 0; i < 40; i += 1) {
      cluster.tick(() => {});
      const count = cluster.runners("s3").length;
      expect(count).toBeLessThanOrEqual(2);
      if (count === 2) overlapTicks += 1;
    }
    expect(cluster.runners("s3")).toHaveLength(1);
    expect(cluster.runners("s3")[0]).not.toBe(owner);
    // Healthy, told to the others, stopped.
    expect(overlapTicks).toBeLessThanOrEqual(HEALTHY_AFTER_TICKS + 3);
  });

  test("an update takes one owner at a time", () => {
    const cluster = new ModelCluster(5);
    cluster.change({ kind: "deploy", service: 2 });
    for (let i = 0; i < 20; i += 1) cluster.tick(() => {});
    expect(cluster.healthyCount("s2")).toBe(3);
    cluster.change({ kind: "update", service: 2 });
    for (let i = 0; i < 40; i += 1) {
      cluster.tick(() => {});
      expect(cluster.healthyCount("s2")).toBeGreaterThanOrEqual(2);
    }
    for (const node of cluster.runners("s2")) {
      expect(node.instances.get("s2")).toMatchObject({ generation: 2, state: "healthy" });
    }
  });
});
