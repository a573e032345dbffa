// A few real replicas on an in-memory network, for the tests of the node room: every packet is
// sealed and opened, time goes on by ticks and deliveries, and each node's log can be held back.

import type { Endpoint } from "../../src/kernel/ports.ts";
import { randomChance, SeededRandom } from "../../src/kernel/random.ts";
import { type CertificateFields, issueCertificate } from "../../src/net/certificate.ts";
import type { Identity } from "../../src/net/identity.ts";
import { encodeRevocation } from "../../src/node/authority.ts";
import {
  type LocalInfo,
  type ReplicaCapacity,
  type ReplicaEvent,
  TICK_MS,
} from "../../src/node/interface.ts";
import { Replica } from "../../src/node/replica.ts";
import type { NodeId } from "../../src/schema/node-id.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";
import { nodeKey, SLOT_KIND, writeSlot } from "../../src/schema/slot.ts";
import { STAMPS_PER_MS } from "../../src/sync/hybrid-clock.ts";
import { crypto, fieldsOf, identityOf, NOW_MS, root } from "../net/nodes.ts";

export { crypto, NOW_MS, root };

/** A sound service of this name. */
export function serviceOf(name: string, change: Partial<ServiceSpec> = {}): ServiceSpec {
  return { ...SERVICE_DEFAULTS, name, exec: "/bin/true", ...change };
}

/** What a node of this name and endpoint says of itself. */
export function infoOf(hostname: string, endpoint: Endpoint): LocalInfo {
  return {
    hostname,
    endpoints: [endpoint],
    arch: "x86_64",
    memoryMiB: 1_024,
    devices: [],
    labels: [],
    draining: false,
  };
}

export function certificateFor(
  identity: Identity,
  fields: Partial<CertificateFields> = {},
): Uint8Array {
  return issueCertificate(root.signer, {
    ...fieldsOf(identity.publicKey),
    revocationBlock: 0,
    ...fields,
  });
}

/** The root's word that a node is no longer one. */
export function revocationOf(nodeId: NodeId, block: number, atMs: number): Uint8Array {
  return writeSlot(
    {
      kind: SLOT_KIND.revocation,
      tombstone: false,
      key: nodeKey(nodeId),
      stamp: atMs * STAMPS_PER_MS,
      author: root.nodeId,
      body: encodeRevocation(block),
    },
    root.signer,
  );
}

export interface NodePlan {
  readonly name: string;
  /** Names of the nodes it is told to dial. Default: the first node. */
  readonly seeds?: readonly string[];
  readonly certificate?: Partial<CertificateFields>;
  readonly capacity?: ReplicaCapacity;
  /** False: it waits for `start`. */
  readonly isStarted?: boolean;
}

interface Delivery {
  readonly atMs: number;
  readonly to: Endpoint;
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

export class ClusterNode {
  readonly name: string;
  endpoint: Endpoint;
  readonly identity: Identity;
  readonly events: ReplicaEvent[] = [];
  /** Writes by how they ended. */
  readonly settled = new Map<number, boolean>();
  certificate: Uint8Array;
  /** What is on its disk. */
  log: Uint8Array[] = [];
  /** The log takes records and does not finish with them. */
  isLogHeld = false;
  /** The log takes no records. */
  isLogFull = false;
  #unwritten: Uint8Array[] = [];
  #sequence = 0;
  #replica: Replica | null = null;
  readonly #plan: NodePlan;
  readonly #cluster: Cluster;
  readonly #random: SeededRandom;

  constructor(cluster: Cluster, plan: NodePlan, endpoint: Endpoint, random: SeededRandom) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#random = random;
    this.name = plan.name;
    this.endpoint = endpoint;
    this.identity = identityOf(plan.name);
    this.certificate = certificateFor(this.identity, plan.certificate);
  }

  get nodeId(): NodeId {
    return this.identity.nodeId;
  }

  get isUp(): boolean {
    return this.#replica !== null;
  }

  get replica(): Replica {
    if (this.#replica === null) throw new Error(`${this.name} is down`);
    return this.#replica;
  }

  /** Starts from what its log holds. */
  start(isDamaged = false): void {
    const { nowMs } = this.#cluster;
    const replica = new Replica({
      crypto,
      random: this.#random.fork(),
      signer: this.identity.signer,
      certificate: this.certificate,
      rootPublicKey: root.publicKey,
      info: infoOf(this.name, this.endpoint),
      seeds: this.#cluster.endpointsOf(this.#plan.seeds ?? []),
      journal: { append: (record) => this.#append(record) },
      send: (packet, to) => this.#cluster.send(packet, this.endpoint, to),
      nowMs,
      ...(this.#plan.capacity === undefined ? {} : { capacity: this.#plan.capacity }),
      onEvent: (event) => this.events.push(event),
    });
    replica.onWriteSettled = (sequence, ok) => this.settled.set(sequence, ok);
    this.#sequence = 0;
    this.#unwritten = [];
    for (const record of this.log) replica.restore(record);
    this.#replica = replica;
    replica.start(nowMs, isDamaged);
    this.finishLog();
  }

  /** Goes without a word; what its log has not finished with is lost. */
  stop(): void {
    this.#replica = null;
    this.#unwritten = [];
  }

  tick(): void {
    this.#replica?.tick(this.#cluster.nowMs);
    this.finishLog();
  }

  receive(bytes: Uint8Array, from: Endpoint): void {
    this.#replica?.receive(bytes, from, this.#cluster.nowMs);
    this.finishLog();
  }

  put(name: string, change: Partial<ServiceSpec> = {}) {
    const answer = this.replica.putService(serviceOf(name, change), this.#cluster.nowMs);
    this.finishLog();
    return answer;
  }

  delete(name: string) {
    const answer = this.replica.deleteService(name, this.#cluster.nowMs);
    this.finishLog();
    return answer;
  }

  offer(record: Uint8Array) {
    const answer = this.replica.offerRecord(record, this.#cluster.nowMs);
    this.finishLog();
    return answer;
  }

  /** What waits for the log is on disk from here on, unless the log is held. */
  finishLog(): void {
    if (this.isLogHeld || this.#unwritten.length === 0) return;
    this.log.push(...this.#unwritten);
    this.#unwritten = [];
    this.#replica?.journalDurable(this.#sequence, this.#cluster.nowMs);
  }

  /** Puts all it knows in place of its log. */
  snapshot(): void {
    this.log = [...this.replica.snapshot()].map((record) => record.slice());
  }

  /** Names of the services it holds. */
  get services(): string[] {
    return this.replica.services().map((service) => service.spec.name);
  }

  /** How it sees another node; undefined when it does not know it. */
  statusOf(other: ClusterNode): string | undefined {
    const views = this.replica.members(this.#cluster.nowMs);
    return views.find((view) => view.nodeId === other.nodeId)?.status;
  }

  hasSessionWith(other: ClusterNode): boolean {
    const views = this.replica.members(this.#cluster.nowMs);
    return views.some((view) => view.nodeId === other.nodeId && view.hasSession);
  }

  #append(record: Uint8Array): number {
    if (this.isLogFull) return 0;
    this.#unwritten.push(record.slice());
    this.#sequence += 1;
    return this.#sequence;
  }
}

export class Cluster {
  nowMs = NOW_MS;
  readonly nodes: ClusterNode[] = [];
  /** One way, in ms. */
  delayMs = 20;
  lossChance = 0;
  /** Packets that this says true of are lost. */
  isCut: (from: ClusterNode, to: ClusterNode, packet: Uint8Array) => boolean = () => false;
  /** Sees every packet before its fate is decided. */
  onSend: (packet: Uint8Array, from: Endpoint, to: Endpoint) => void = () => {};
  readonly #random: SeededRandom;
  readonly #byEndpoint = new Map<Endpoint, ClusterNode>();
  #inFlight: Delivery[] = [];
  #nextTickMs = NOW_MS + TICK_MS;

  /** @param plans names, or names with what is unusual about them; all but the first dial the first */
  constructor(plans: readonly (string | NodePlan)[], seed = 1n) {
    this.#random = new SeededRandom(seed);
    for (const plan of plans) this.add(plan);
  }

  /** One more machine, started unless its plan says otherwise. */
  add(plan: string | NodePlan): ClusterNode {
    const whole: NodePlan = typeof plan === "string" ? { name: plan } : plan;
    const first = this.nodes[0];
    const seeds = whole.seeds ?? (first === undefined ? [] : [first.name]);
    const endpoint = `10.0.0.${this.nodes.length + 1}:7946`;
    const node = new ClusterNode(this, { ...whole, seeds }, endpoint, this.#random.fork());
    this.nodes.push(node);
    this.#byEndpoint.set(endpoint, node);
    if (whole.isStarted !== false) node.start();
    return node;
  }

  /** The node is reached elsewhere from here on, and says so to nobody. */
  move(node: ClusterNode, endpoint: Endpoint): void {
    this.#byEndpoint.delete(node.endpoint);
    this.#byEndpoint.set(endpoint, node);
    node.endpoint = endpoint;
  }

  node(name: string): ClusterNode {
    const found = this.nodes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no node is called ${name}`);
    return found;
  }

  endpointsOf(names: readonly string[]): Endpoint[] {
    return names.map((name) => this.node(name).endpoint);
  }

  get running(): ClusterNode[] {
    return this.nodes.filter((node) => node.isUp);
  }

  send(packet: Uint8Array, from: Endpoint, to: Endpoint): void {
    this.onSend(packet, from, to);
    const sender = this.#byEndpoint.get(from);
    const receiver = this.#byEndpoint.get(to);
    if (sender === undefined || receiver === undefined) return;
    if (this.isCut(sender, receiver, packet) || randomChance(this.#random, this.lossChance)) return;
    this.deliver(packet, from, to, this.delayMs);
  }

  /** Puts a packet on the line, whoever it is said to be from. */
  deliver(packet: Uint8Array, from: Endpoint, to: Endpoint, afterMs: number): void {
    this.#inFlight.push({ atMs: this.nowMs + afterMs, to, from, bytes: packet.slice() });
  }

  /** Lets time pass. */
  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    while (this.#nextTickMs <= endMs) this.#step();
    this.nowMs = endMs;
  }

  /** Lets time pass until `condition` holds. @returns how long it took, or null when it never did */
  runUntil(condition: () => boolean, withinMs: number): number | null {
    const startMs = this.nowMs;
    while (!condition()) {
      if (this.nowMs - startMs >= withinMs) return null;
      this.#step();
    }
    return this.nowMs - startMs;
  }

  /** All that run hold the same table, and know each other. */
  get hasConverged(): boolean {
    return new Set(this.running.map((node) => node.replica.rootHash)).size === 1;
  }

  /** Time jumps: nobody does anything meanwhile, and packets under way are lost. */
  skip(ms: number): void {
    this.#inFlight = [];
    this.nowMs += ms;
    this.#nextTickMs = this.nowMs + TICK_MS;
  }

  /** To the end of the next tick. */
  #step(): void {
    for (let next = this.#nextDelivery(); next !== null; next = this.#nextDelivery()) {
      this.nowMs = next.atMs;
      this.#byEndpoint.get(next.to)?.receive(next.bytes, next.from);
    }
    this.nowMs = this.#nextTickMs;
    this.#nextTickMs += TICK_MS;
    for (const node of this.nodes) node.tick();
  }

  /** Takes the earliest packet that arrives before the next tick. */
  #nextDelivery(): Delivery | null {
    let earliest = -1;
    for (let i = 0; i < this.#inFlight.length; i += 1) {
      const { atMs } = this.#inFlight[i]!;
      if (atMs > this.#nextTickMs) continue;
      if (earliest < 0 || atMs < this.#inFlight[earliest]!.atMs) earliest = i;
    }
    return earliest < 0 ? null : this.#inFlight.splice(earliest, 1)[0]!;
  }
}

/** Formed and converged: all know each other and hold the same table. */
export function formedCluster(plans: readonly (string | NodePlan)[], seed = 1n): Cluster {
  const cluster = new Cluster(plans, seed);
  const isFormed = () =>
    cluster.hasConverged &&
    cluster.running.every(
      (node) =>
        node.replica.synced && node.replica.statistics.members === cluster.running.length - 1,
    );
  if (cluster.runUntil(isFormed, 60_000) === null) throw new Error("the cluster did not form");
  return cluster;
}

/** `count` names: node-0, node-1, … */
export function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `node-${index}`);
}
