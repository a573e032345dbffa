// The systemd engine on a machine in memory: rollout, rollback, and a daemon that may die at any point.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InstanceStatus } from "../../src/engine/engine.ts";
import {
  RECONCILE_DEFAULTS,
  RECONCILE_START,
  type ReconcileState,
  reconcile,
} from "../../src/engine/reconcile.ts";
import type { SystemdEngine } from "../../src/engine/systemd-engine.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { type Conduct, SimulatedMachine } from "./simulated-machine.ts";
import { nodeIdFrom, serviceSpec } from "./specs.ts";

const TICK_MS = 100;
const self = nodeIdFrom(1n);
const options = { ...RECONCILE_DEFAULTS, stableWaitMs: 200 };

/** One node: a machine, what is deployed, and a daemon that is started again whenever it is dead. */
class Node {
  readonly machine = new SimulatedMachine();
  readonly deployed = new Map<string, { generation: number; spec: ServiceSpec }>();
  isPlaced = true;
  bootCount = 0;
  #engine: SystemdEngine | null = null;
  #state: ReconcileState = RECONCILE_START;

  deploy(generation: number, conduct: Conduct = "well", changes: Partial<ServiceSpec> = {}): void {
    const spec = serviceSpec({
      flake: "git+https://example.org/web",
      exec: "bin/web",
      health: { kind: "tcp", port: 80, intervalMs: 1_000, timeoutMs: 500, graceMs: 2_000 },
      ...changes,
    });
    this.machine.conduct.set(`${spec.name}@${generation}`, conduct);
    this.deployed.set(spec.name, { generation, spec });
  }

  /** Time goes by; a daemon that has died is there again with the next tick. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += TICK_MS) {
      this.machine.pass(TICK_MS);
      await this.#tick();
    }
  }

  restart(): void {
    this.#engine = null;
  }

  get web(): InstanceStatus | undefined {
    return this.#engine?.list().find(({ name }) => name === "web");
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#engine?.close(resolve));
  }

  async #tick(): Promise<void> {
    if (this.#engine === null || this.machine.isDead) {
      this.#engine = this.machine.boot();
      this.#state = RECONCILE_START;
      this.bootCount += 1;
    }
    const engine = this.#engine;
    engine.tick(this.machine.nowMs);
    await settled();
    if (!engine.ready || this.machine.isDead) return;
    const owners = this.isPlaced ? [self] : [nodeIdFrom(2n)];
    const services = [...this.deployed].map(
      ([name, service]) => [name, { ...service, claimKey: 7, owners }] as const,
    );
    const result = reconcile(
      this.#state,
      {
        nowMs: this.machine.nowMs,
        self,
        synced: true,
        services: new Map(services),
        running: engine.list(),
        claims: new Map(),
      },
      options,
    );
    this.#state = result.state;
    for (const action of result.actions) {
      if (action.kind === "start") engine.start(action.instance);
      else engine.stop(action.name);
    }
    await settled();
  }
}

/** Everything that waits for nothing but its turn has had it. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await Promise.resolve();
}

async function nodeRunning(generation: number, changes: Partial<ServiceSpec> = {}): Promise<Node> {
  const node = new Node();
  node.deploy(generation, "well", changes);
  await node.pass(10_000);
  expect(node.machine.running()).toEqual([`web@${generation}`]);
  return node;
}

describe("a service", () => {
  test("is built, written, started and noted as good", async () => {
    const node = await nodeRunning(1);
    expect(node.web).toMatchObject({
      state: "healthy",
      generation: 1,
      lock: "lock1",
      storePath: "/nix/store/web-1",
      next: null,
      rolledBackFrom: null,
    });
    expect(node.machine.live).toEqual(["/nix/store/web-1"]);
    expect(node.machine.kept.get("web")).toEqual(["/nix/store/web-1"]);
  });

  test("is scored by its exposure, by a daemon that only found it running too", async () => {
    const node = await nodeRunning(1);
    await node.pass(2_000);
    expect(node.web?.exposure).toBe(1.2);
    node.restart();
    await node.pass(1_000);
    expect(node.web).toMatchObject({ state: "healthy", exposure: null });
    await node.pass(12_000);
    expect(node.web?.exposure).toBe(1.2);
  });

  test("that may end and has is well, and is not started again", async () => {
    const node = new Node();
    node.deploy(1, "ends", { restart: "on-failure", health: null });
    await node.pass(120_000);
    expect(node.web).toMatchObject({ state: "healthy", generation: 1 });
    expect(node.machine.startCount).toBe(1);
  });

  test("that is withdrawn leaves no unit, no note and no path that is kept", async () => {
    const node = await nodeRunning(1);
    node.deployed.clear();
    await node.pass(5_000);
    expect(node.machine.running()).toEqual([]);
    expect([...node.machine.unitFiles.keys()]).toEqual([]);
    expect(node.machine.notes.size + node.machine.kept.size).toBe(0);
    expect(node.web).toBeUndefined();
  });

  test("says what it waits for while its note cannot be written, and starts once it can", async () => {
    const node = new Node();
    node.machine.diskIsFull = true;
    node.deploy(1);
    await node.pass(5_000);
    expect(node.web).toMatchObject({
      state: "backoff",
      detail: expect.stringMatching(/disk full/),
    });
    node.machine.diskIsFull = false;
    await node.pass(20_000);
    expect(node.web).toMatchObject({ state: "healthy", detail: "" });
  });

  test("waits for a secret, names the file, and starts when it is there", async () => {
    const node = new Node();
    node.deploy(1, "well", { secrets: ["password"] });
    await node.pass(3_000);
    expect(node.web).toMatchObject({ state: "backoff", detail: "password" });
    node.machine.secrets.add("password");
    await node.pass(8_000);
    expect(node.web?.state).toBe("healthy");
  });

  test("that cannot be built at all is refused, and the next version is tried", async () => {
    const node = new Node();
    node.deploy(1, "cannot-be-built");
    await node.pass(3_000);
    expect(node.web).toMatchObject({ state: "refused", detail: "no such attribute" });
    node.deploy(2);
    await node.pass(8_000);
    expect(node.web).toMatchObject({ state: "healthy", generation: 2 });
  });

  test("without a flake needs an absolute program", async () => {
    const node = new Node();
    node.deploy(1, "well", { flake: "", exec: "web" });
    await node.pass(3_000);
    expect(node.web?.state).toBe("refused");
    node.deploy(2, "well", { flake: "", exec: "/usr/bin/web" });
    await node.pass(8_000);
    expect(node.web).toMatchObject({ state: "healthy", storePath: "" });
  });

  test("that crashes without end is started again after growing waits", async () => {
    const node = new Node();
    node.deploy(1, "crashes");
    await node.pass(60_000);
    expect(node.web).toMatchObject({ state: "backoff", rolledBackFrom: null });
    node.machine.conduct.set("web@1", "well");
    await node.pass(70_000);
    expect(node.web?.state).toBe("healthy");
  });

  test("runs on while the daemon is away, and is adopted by the next", async () => {
    const node = await nodeRunning(1);
    const before = node.machine.effectCount;
    node.restart();
    await node.pass(10_000);
    expect(node.web?.state).toBe("healthy");
    expect(node.machine.effectCount).toBe(before);
  });

  test("that is a singleton ends with the daemon, and comes back with it", async () => {
    const node = await nodeRunning(1, { singleton: true });
    await node.close();
    expect(node.machine.running()).toEqual([]);
    node.restart();
    await node.pass(10_000);
    expect(node.machine.running()).toEqual(["web@1"]);
  });

  test("starts again after a power cut from what was built", async () => {
    const node = await nodeRunning(1);
    node.machine.loseUnits();
    node.restart();
    await node.pass(10_000);
    expect(node.web).toMatchObject({ state: "healthy", generation: 1 });
  });

  test("whose work moved while the machine was off is not started, and is cleared away", async () => {
    const node = await nodeRunning(1);
    node.machine.loseUnits();
    node.isPlaced = false;
    node.restart();
    await node.pass(5_000);
    expect(node.machine.running()).toEqual([]);
    expect(node.machine.unitFiles.size + node.machine.notes.size).toBe(0);
  });

  test("whose note is lost is made anew, once", async () => {
    const node = await nodeRunning(1);
    node.machine.notes.set("web", "{ torn");
    node.restart();
    await node.pass(15_000);
    expect(node.web).toMatchObject({ state: "healthy", generation: 1 });
    expect(node.machine.running()).toEqual(["web@1"]);
  });

  test("keeps running when the disk is full, and moves on when there is room", async () => {
    const node = await nodeRunning(1);
    node.machine.diskIsFull = true;
    node.deploy(2);
    await node.pass(10_000);
    expect(node.machine.running()).toEqual(["web@1"]);
    node.machine.diskIsFull = false;
    await node.pass(60_000);
    expect(node.web).toMatchObject({ state: "healthy", generation: 2 });
  });
});

describe("a new version", () => {
  test.each<[Conduct, string]>([
    ["unwell", "its health check keeps failing: no answer"],
    ["crashes", "it ended 3 times soon after its start"],
    ["cannot-be-built", "no such attribute"],
  ])("that is %s gives way to the last good one, and says why", async (conduct, why) => {
    const node = await nodeRunning(1);
    node.deploy(2, conduct);
    await node.pass(40_000);
    expect(node.machine.running()).toEqual(["web@1"]);
    expect(node.web).toMatchObject({ state: "healthy", generation: 1, rolledBackFrom: 2 });
    expect(node.web?.detail).toBe(`rolled back: ${why}`);
    const before = node.machine.effectCount;
    await node.pass(60_000);
    expect(node.machine.effectCount).toBe(before);
    node.deploy(3);
    await node.pass(20_000);
    expect(node.web).toMatchObject({ state: "healthy", generation: 3, rolledBackFrom: null });
  });

  test("is not tried again by a daemon that comes up after the rollback", async () => {
    const node = await nodeRunning(1);
    node.deploy(2, "unwell");
    await node.pass(40_000);
    const before = node.machine.effectCount;
    node.restart();
    await node.pass(40_000);
    expect(node.machine.effectCount).toBe(before);
    expect(node.web).toMatchObject({ generation: 1, rolledBackFrom: 2 });
  });

  test("goes back over a version that failed to the one that was good", async () => {
    const node = await nodeRunning(1);
    node.deploy(2, "unwell");
    await node.pass(3_000);
    node.deploy(3, "crashes");
    await node.pass(40_000);
    expect(node.web).toMatchObject({ state: "healthy", generation: 1, rolledBackFrom: 3 });
  });
});

test("units of other makers stay as they are", async () => {
  const node = new Node();
  const foreign = "[Service]\nExecStart=/bin/true\n";
  node.machine.run("myco-other.service", foreign);
  node.deploy(1);
  await node.pass(10_000);
  node.deployed.clear();
  await node.pass(10_000);
  expect(node.machine.unitFiles).toEqual(new Map([["myco-other.service", foreign]]));
});

interface Step {
  readonly conduct: Conduct | "undeploy";
  readonly waitMs: number;
}

/** @param dieAt the daemon dies right after so many effects; and of every `again`-th one later */
async function play(steps: readonly Step[], dieAt: number, again: number): Promise<Node> {
  const node = new Node();
  node.machine.dieAt = dieAt;
  let generation = 0;
  for (const { conduct, waitMs } of steps) {
    generation += 1;
    if (conduct === "undeploy") node.deployed.clear();
    else node.deploy(generation, conduct);
    for (let passed = 0; passed < waitMs; passed += TICK_MS) {
      await node.pass(TICK_MS);
      if (node.machine.isDead) node.machine.dieAt = node.machine.effectCount + again;
    }
  }
  node.machine.dieAt = Number.POSITIVE_INFINITY;
  await node.pass(200_000);
  return node;
}

/** What must run in the end: the newest that is well, if what came after it failed. */
function expected(steps: readonly Step[]): string[] {
  const last = steps.at(-1);
  return last?.conduct === "well" ? [`web@${steps.length}`] : [];
}

describe("a daemon that is killed", () => {
  test("after any single effect of a rollout, a rollback and a withdrawal is followed by one that converges", async () => {
    const steps: Step[] = [
      { conduct: "well", waitMs: 10_000 },
      { conduct: "unwell", waitMs: 15_000 },
      { conduct: "well", waitMs: 10_000 },
      { conduct: "undeploy", waitMs: 5_000 },
    ];
    for (const length of [1, 2, 3, 4]) {
      const part = steps.slice(0, length);
      const { machine } = await play(part, Number.POSITIVE_INFINITY, 0);
      const count = machine.effectCount;
      expect(count).toBeGreaterThan(3);
      for (let dieAt = 1; dieAt <= count; dieAt += 1) {
        const node = await play(part, dieAt, Number.POSITIVE_INFINITY);
        const label = `${length} steps, killed after effect ${dieAt}`;
        const wanted = length === 2 ? [["web@1"], []] : [expected(part)];
        expect(wanted, label).toContainEqual(node.machine.running());
        expect(node.machine.goodUnrecorded, label).toBe(false);
        if (length === 2) expect(node.web?.state, label).toBe("healthy");
        if (length === 4) {
          const left = [...node.machine.unitFiles.keys(), ...node.machine.notes.keys()];
          expect(left, label).toEqual([]);
          expect(node.machine.kept.size, label).toBe(0);
        }
      }
    }
  });

  test("again and again still converges, with one instance and nothing left over", async () => {
    const anySteps = fc.array(
      fc.record({
        conduct: fc.constantFrom<Step["conduct"]>("well", "unwell", "crashes", "undeploy"),
        waitMs: fc.integer({ min: 0, max: 12_000 }),
      }),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(
        anySteps,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 7 }),
        async (steps, dieAt, again) => {
          const node = await play(steps, dieAt, again);
          const running = node.machine.running();
          expect(running.length).toBeLessThanOrEqual(1);
          const last = steps.at(-1)!;
          if (last.conduct === "well") expect(running).toEqual([`web@${steps.length}`]);
          if (last.conduct !== "undeploy") return;
          expect(running).toEqual([]);
          expect(node.machine.unitFiles.size + node.machine.notes.size).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
