// One run: a scenario and a seed in, what happened out. First safety, with everything going
// wrong and the invariants checked at every tick; then liveness, with all healed and a limit
// of time to agree.

import { assert } from "../src/kernel/assert.ts";
import { SeededRandom } from "../src/kernel/random.ts";
import { CLOCK_DRIFT_MAX_MS } from "../src/sync/hybrid-clock.ts";
import { type ClockSkew, SimulatedClock } from "./clock.ts";
import { type ClusterPlan, formedLog, type NodePlan, planCluster } from "./cluster.ts";
import { SharedCrypto } from "./crypto.ts";
import { SimulatedDisk } from "./disk.ts";
import { drawDistinct, drawInteger } from "./draw.ts";
import { FaultInjector } from "./faults.ts";
import { liveBytes } from "./heap.ts";
import { InvariantChecker, InvariantError, stateHash } from "./invariants.ts";
import { keepsPromise, Ledger } from "./ledger.ts";
import { SimulatedNetwork } from "./network.ts";
import { NodeHost } from "./node-host.ts";
import { RevocationDesk } from "./revocations.ts";
import { type Scenario, type SkewParameters, scenarioNamed } from "./scenarios.ts";
import { msOfTick } from "./time.ts";
import { TraceHash } from "./trace.ts";
import { Workload } from "./workload.ts";

/** Addresses that a node is configured with. */
const SEEDS_PER_NODE = 3;
/** A small cluster runs for so long before memory is first weighed. */
const WARM_UP_TICKS = 100;

export interface SimulationFailure {
  readonly tick: number;
  /** The invariant's name, or what else went wrong. */
  readonly invariant: string;
  readonly message: string;
}

/** Times are ticks of 100 ms unless named otherwise. */
export interface SimulationResult {
  readonly scenario: string;
  /** A number where JSON can carry it exactly, else decimal text. */
  readonly seed: number | string;
  readonly nodes: number;
  readonly services: number;
  readonly converged: boolean;
  /** From the last write until all nodes in reach of each other agreed; -1: they never did. */
  readonly convergenceTicks: number;
  readonly ticks: number;
  readonly tickLimit: number;
  /** Datagrams sent by nodes, and their bytes. */
  readonly packets: number;
  readonly bytes: number;
  readonly bytesPerNodePerTick: number;
  readonly packetsInFlightPeak: number;
  /** How many different states the nodes ended with. */
  readonly stateHashes: number;
  readonly stateHash: string;
  readonly acknowledgedWrites: number;
  readonly crashes: number;
  readonly partitions: number;
  readonly rottenLogs: number;
  readonly forgedPackets: number;
  /** 0 when memory was not measured. */
  readonly memoryPerNodeBytes: number;
  readonly heapGrowthBytes: number;
  readonly traceHash: string;
  readonly wallMs: number;
  readonly failures: readonly SimulationFailure[];
}

export interface SimulationOptions {
  readonly scenario: string;
  readonly seed: bigint;
  /** Collects garbage before, during and after the run, which takes time. */
  readonly measureMemory?: boolean;
  readonly onTick?: (tick: number) => void;
}

/** A scenario that does not exist. */
export class UnknownScenarioError extends Error {
  override readonly name = "UnknownScenarioError";
  readonly code = "ERR_UNKNOWN_SCENARIO";
}

export class Simulation {
  readonly scenario: Scenario;
  readonly seed: bigint;
  readonly hosts: readonly NodeHost[];
  readonly network: SimulatedNetwork;
  readonly workload: Workload;
  readonly faults: FaultInjector;
  tick = 0;
  convergenceTicks = -1;
  readonly #trace = new TraceHash();
  readonly #crypto = new SharedCrypto();
  readonly #ledger = new Ledger();
  /** Nodes that must agree in the end. */
  readonly #core: readonly NodeHost[];
  readonly #revocations: RevocationDesk;
  readonly #invariants: InvariantChecker;
  #isHealed: boolean;

  /** @throws UnknownScenarioError */
  constructor(scenarioName: string, seed: bigint) {
    const random = new SeededRandom(seed);
    const scenario = scenarioNamed(scenarioName, random.fork());
    if (scenario === null) throw new UnknownScenarioError(`no scenario "${scenarioName}"`);
    this.scenario = scenario;
    this.seed = seed;
    const plan = planCluster(this.#crypto, random.fork(), scenario.nodes);
    const rogues = planRogues(this.#crypto, random.fork(), scenario);
    const plans = [...plan.nodes, ...rogues.nodes];
    this.network = new SimulatedNetwork({
      random: random.fork(),
      trace: this.#trace,
      endpoints: plans.map((node) => node.endpoint),
      parameters: scenario.stages[0]!.network,
    });
    this.hosts = this.#buildHosts(random.fork(), plan, rogues);
    const members = this.hosts.slice(0, scenario.nodes);
    const honestCount = scenario.nodes - scenario.revokedNodes;
    const coreCount = honestCount - scenario.liarNodes;
    const victims = members.slice(honestCount);
    this.#core = members.slice(0, coreCount);
    this.workload = new Workload({
      parameters: scenario.workload,
      random: random.fork(),
      crypto: this.#crypto,
      ledger: this.#ledger,
      hosts: members,
      outlaws: new Set(members.slice(coreCount)),
    });
    this.#revocations = new RevocationDesk({ root: plan.root, random: random.fork(), victims });
    this.faults = this.#makeFaults(random.fork(), members);
    this.#invariants = new InvariantChecker({
      hosts: members.filter((host) => !host.isLiar),
      core: this.#core,
      network: this.network,
      ledger: this.#ledger,
      capacity: scenario.capacity,
      crypto: this.#crypto,
      keys: new Map(
        [plan.root, ...plan.nodes.map((node) => node.identity)].map((identity) => [
          identity.nodeId,
          identity.publicKey,
        ]),
      ),
      revoked: this.#revocations.revoked,
    });
    this.#isHealed = scenario.faultsUntilTick === 0;
    for (const host of this.hosts) host.start(0);
  }

  /** Runs one tick. @throws InvariantError, and whatever the product throws */
  step(): void {
    this.tick += 1;
    const { tick } = this;
    this.#enterStage(tick);
    for (const host of this.hosts) host.beginTick(tick);
    this.network.deliver(tick, (to, datagram, from) => this.hosts[to]!.receive(datagram, from));
    this.#injectFaults(tick);
    const writable = this.#core.filter(isWritable);
    this.workload.tick(tick, writable);
    this.workload.tickOutlaws(tick);
    this.#revocations.tick(tick, writable);
    for (const host of this.hosts) host.tick();
    this.#invariants.checkTick(tick);
    if (
      this.convergenceTicks < 0 &&
      this.#agree(this.#core.filter((host) => this.#inReach(host)))
    ) {
      this.convergenceTicks = tick - this.workload.lastInjectionTick;
    }
  }

  /** Whether the run has come to its goal. */
  get isDone(): boolean {
    if (!this.#isHealed || !this.#agree(this.#core)) return false;
    return this.scenario.goal === "converged" || this.#core.every(isWithoutTombstones);
  }

  /** What must hold of an agreement, in full. @throws InvariantError */
  checkEnd(): void {
    this.#invariants.checkEnd(this.#core);
  }

  /** Bytes of the simulator's own that grow and shrink with the traffic. */
  get machineBytes(): number {
    return this.hosts.reduce((sum, host) => sum + host.machineBytes, this.network.pooledBytes);
  }

  /** What is alive of the nodes, after the verdicts that they share are forgotten. */
  weighNodes(): number {
    this.#crypto.forget();
    return liveBytes() - this.machineBytes;
  }

  /** Lets go of all that is not the nodes' own, so that what remains can be weighed. */
  release(): void {
    this.network.drain();
    this.#crypto.forget();
    this.#ledger.clear();
  }

  get traceHash(): string {
    return this.#trace.hex;
  }

  /** The different states of the nodes that run. */
  stateHashes(): string[] {
    const hashes = new Set<string>();
    for (const { replica } of this.#core)
      if (replica !== null) hashes.add(stateHash(replica.table));
    return [...hashes].sort();
  }

  /** Everybody in `hosts` has the same table, with all that was promised. */
  #agree(hosts: readonly NodeHost[]): boolean {
    const first = hosts[0]?.replica?.table;
    if (first === undefined || !this.workload.isFinished) return false;
    for (const { replica } of hosts) {
      if (replica?.table.merkle.rootLow !== first.merkle.rootLow) return false;
      if (replica.table.merkle.rootHigh !== first.merkle.rootHigh) return false;
    }
    if (!this.#revocations.isCompleteAt(hosts[0]!)) return false;
    const isPromised = this.#ledger.entries.every((entry) =>
      keepsPromise(entry, hosts[0]!.held(entry.key)),
    );
    if (!isPromised) return false;
    const hash = stateHash(first);
    return hosts.every(({ replica }) => stateHash(replica!.table) === hash);
  }

  #inReach(host: NodeHost): boolean {
    return host.isUp && !host.isPaused && !this.network.isIsolated(host.index);
  }

  #enterStage(tick: number): void {
    const stage = this.scenario.stages.find(({ fromTick }) => fromTick === tick);
    if (stage === undefined) return;
    this.network.parameters = stage.network;
    if (!this.#isHealed) this.faults.parameters = stage.faults;
  }

  #injectFaults(tick: number): void {
    if (this.#isHealed) return;
    if (tick >= this.scenario.faultsUntilTick) {
      this.#isHealed = true;
      this.faults.heal(tick);
      return;
    }
    this.faults.tick(tick);
    const { rollingCrashTicks, crashes } = this.scenario;
    const turn = tick / rollingCrashTicks - 1;
    const due = crashes.filter(({ atTick }) => atTick === tick).map(({ node }) => node);
    if (Number.isInteger(turn) && turn < this.#core.length) due.push(turn);
    for (const node of due) {
      const host = this.hosts[node]!;
      if (host.isUp) this.faults.crash(host, tick, tick + this.faults.parameters.downTicks[0]);
    }
  }

  #makeFaults(random: SeededRandom, members: readonly NodeHost[]): FaultInjector {
    return new FaultInjector({
      parameters: this.scenario.stages[0]!.faults,
      random,
      hosts: members,
      trusted: this.#core,
      network: this.network,
      ledger: this.#ledger,
      trace: this.#trace,
      onCrash: (host) => {
        this.workload.crashed(host);
        this.#invariants.checkCrash(host);
      },
    });
  }

  #buildHosts(random: SeededRandom, plan: ClusterPlan, rogues: ClusterPlan): NodeHost[] {
    const { nodes, coldNodes, revokedNodes, liarNodes, skew } = this.scenario;
    const firstVictim = nodes - revokedNodes;
    const formed = plan.nodes.slice(0, nodes - coldNodes);
    const log = formedLog(formed);
    const outlier = skew.hasOutlier ? drawInteger(random, [0, nodes - 1]) : -1;
    return [...plan.nodes, ...rogues.nodes].map((node) => {
      const isRogue = node.index >= nodes;
      const host = new NodeHost({
        plan: node,
        rootPublicKey: (isRogue ? rogues : plan).root.publicKey,
        seeds: drawSeeds(random, formed, node),
        crypto: this.#crypto,
        random: random.fork(),
        disk: new SimulatedDisk(random.fork()),
        clock: new SimulatedClock(drawSkew(random, skew, node.index === outlier), msOfTick(0)),
        isLiar: node.index < firstVictim && node.index >= firstVictim - liarNodes,
        capacity: this.scenario.capacity,
        logBatchBytes: this.scenario.logBatchBytes,
        send: (packet, to) => this.network.send(node.index, packet, to),
      });
      if (node.index < formed.length) host.disk.format(log);
      host.disk.writeTicks = drawInteger(random, [0, this.scenario.writeTicksMax]);
      return host;
    });
  }
}

/** Runs to the goal, the limit or the first failure. @throws UnknownScenarioError */
export function runSimulation(options: SimulationOptions): SimulationResult {
  const startedMs = performance.now();
  if (options.measureMemory) warmUp();
  const baseBytes = options.measureMemory ? liveBytes() : 0;
  const simulation = new Simulation(options.scenario, options.seed);
  const { scenario } = simulation;
  const failures: SimulationFailure[] = [];
  let warmBytes = 0;
  try {
    while (!simulation.isDone && simulation.tick < scenario.tickLimit) {
      simulation.step();
      options.onTick?.(simulation.tick);
      if (options.measureMemory && warmBytes === 0 && simulation.workload.isFinished) {
        warmBytes = liveBytes() - simulation.machineBytes;
      }
    }
    checkGoal(simulation, failures);
  } catch (error) {
    failures.push(failureOf(simulation.tick, error));
  }
  const hashes = simulation.stateHashes();
  const growthBytes = warmBytes === 0 ? 0 : liveBytes() - simulation.machineBytes - warmBytes;
  const result = describe(simulation, hashes);
  const memoryPerNodeBytes = options.measureMemory ? weigh(simulation, baseBytes) : 0;
  if (memoryPerNodeBytes > scenario.memoryPerNodeBytesMax) {
    const message = `${memoryPerNodeBytes} bytes per node, at most ${scenario.memoryPerNodeBytesMax}`;
    failures.push({ tick: simulation.tick, invariant: "memory per node", message });
  }
  return {
    ...result,
    converged: failures.length === 0,
    memoryPerNodeBytes,
    heapGrowthBytes: growthBytes,
    wallMs: Math.round(performance.now() - startedMs),
    failures,
  };
}

/** The one command that runs this again. */
export function replayCommand(result: Pick<SimulationResult, "scenario" | "seed">): string {
  return `npm run -s sim -- --scenario ${result.scenario} --seed ${result.seed}`;
}

function checkGoal(simulation: Simulation, failures: SimulationFailure[]): void {
  const { scenario, tick, network } = simulation;
  if (!simulation.isDone) {
    const message = `the nodes hold ${simulation.stateHashes().length} different states after ${tick} ticks, or lack writes`;
    failures.push({ tick, invariant: "convergence", message });
    return;
  }
  simulation.checkEnd();
  if (network.counters.packetsSent > scenario.packetLimit) {
    const message = `${network.counters.packetsSent} packets were sent, at most ${scenario.packetLimit}`;
    failures.push({ tick, invariant: "packet limit", message });
  }
}

function failureOf(tick: number, error: unknown): SimulationFailure {
  if (error instanceof InvariantError) {
    return { tick, invariant: error.invariant, message: error.message };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { tick, invariant: "the program runs on", message };
}

type Described = Omit<
  SimulationResult,
  "converged" | "memoryPerNodeBytes" | "heapGrowthBytes" | "wallMs" | "failures"
>;

function describe(simulation: Simulation, hashes: readonly string[]): Described {
  const { scenario, network, workload, faults, tick } = simulation;
  const { packetsSent, bytesSent, packetsForged, inFlightPeak } = network.counters;
  return {
    scenario: scenario.name,
    seed:
      simulation.seed <= Number.MAX_SAFE_INTEGER
        ? Number(simulation.seed)
        : String(simulation.seed),
    nodes: scenario.nodes,
    services: scenario.workload.services,
    convergenceTicks: simulation.convergenceTicks,
    ticks: tick,
    tickLimit: scenario.tickLimit,
    packets: packetsSent,
    bytes: bytesSent,
    bytesPerNodePerTick: Math.round(bytesSent / scenario.nodes / Math.max(1, tick)),
    packetsInFlightPeak: inFlightPeak,
    stateHashes: hashes.length,
    stateHash: hashes[0] ?? "",
    acknowledgedWrites: workload.ledger.acknowledgedCount,
    crashes: faults.crashCount,
    partitions: faults.partitionCount,
    rottenLogs: faults.rotCount,
    forgedPackets: packetsForged,
    traceHash: simulation.traceHash,
  };
}

/** Compiles the code and fills what is shared, so that neither is counted as a node's. */
function warmUp(): void {
  const simulation = new Simulation("steady", 0n);
  while (simulation.tick < WARM_UP_TICKS) simulation.step();
}

/** What one more node costs: all that is alive with the nodes, less the simulator's own. */
function weigh(simulation: Simulation, baseBytes: number): number {
  simulation.release();
  const bytes = liveBytes() - baseBytes - simulation.machineBytes;
  return Math.max(0, Math.round(bytes / simulation.hosts.length));
}

function isWritable(host: NodeHost): boolean {
  return host.replica !== null && !host.isPaused && !host.replica.excluded;
}

function isWithoutTombstones(host: NodeHost): boolean {
  const { table } = host.replica!;
  for (const slot of table.slots()) if (table.isTombstone(slot)) return false;
  return true;
}

function planRogues(crypto: SharedCrypto, random: SeededRandom, scenario: Scenario): ClusterPlan {
  return planCluster(crypto, random, scenario.rogueNodes, scenario.nodes);
}

function drawSeeds(random: SeededRandom, formed: readonly NodePlan[], own: NodePlan): string[] {
  assert(formed.length > 0, "somebody was there first");
  return drawDistinct(random, formed.length, SEEDS_PER_NODE)
    .map((index) => formed[index]!)
    .filter((node) => node !== own)
    .map((node) => node.endpoint);
}

function drawSkew(random: SeededRandom, skew: SkewParameters, isOutlier: boolean): ClockSkew {
  const either = (max: number) => drawInteger(random, [-max, max]);
  return {
    offsetMs: isOutlier ? 3 * CLOCK_DRIFT_MAX_MS : either(skew.offsetMsMax),
    driftPpm: either(skew.driftPpmMax),
    swingMs: drawInteger(random, [0, skew.swingMsMax]),
    swingPeriodMs: drawInteger(random, [60_000, 600_000]),
  };
}
