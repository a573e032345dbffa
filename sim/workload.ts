// The operators of a simulated cluster: they deploy, change and delete services at nodes drawn
// at random, and try again elsewhere when a node refuses or dies before it has answered.

import { CLAIMS_MAX } from "../src/kernel/limits.ts";
import type { Crypto } from "../src/kernel/ports.ts";
import { randomBelow, randomChance, type SeededRandom } from "../src/kernel/random.ts";
import type { WriteAnswer } from "../src/node/interface.ts";
import type { ClaimState } from "../src/schema/node-info.ts";
import type { ServiceSpec } from "../src/schema/service.ts";
import { SERVICE_DEFAULTS } from "../src/schema/service-defaults.ts";
import { type SlotKey, serviceKey } from "../src/schema/slot.ts";
import { drawInteger, drawItem, shuffle } from "./draw.ts";
import type { Ledger } from "./ledger.ts";
import type { HeldSlot, NodeHost } from "./node-host.ts";

/** Not all: with another list, every seed that once found a fault has another history. */
export const FEW_CLAIM_STATES: readonly ClaimState[] = [
  "starting",
  "healthy",
  "failed",
  "stopping",
];

/** One write that somebody wants done. */
export interface Operation {
  readonly kind: "put" | "delete";
  readonly service: number;
  /** Tells one version of a service from the next. */
  readonly revision: number;
}

export interface WorkloadParameters {
  readonly services: number;
  /** Further writes, on services drawn at random. */
  readonly updates: number;
  /** Services deleted at the end, each once. */
  readonly deletes: number;
  /** How many writes come at a time, and how many ticks lie between. */
  readonly batch: number;
  readonly everyTicks: number;
  /** Writes that a second node takes in the same tick. */
  readonly conflictRate: number;
  /** Chance per tick, while writes are left, that a node says that it runs something else now. */
  readonly claimRate: number;
  /** In what states it says that its services are. */
  readonly claimStates: readonly ClaimState[];
}

interface Outstanding {
  readonly operation: Operation;
  readonly key: SlotKey;
  readonly write: HeldSlot;
}

export class Workload {
  readonly ledger: Ledger;
  /** When a node last took a write. */
  lastInjectionTick = 0;
  refusedCount = 0;
  readonly #parameters: WorkloadParameters;
  readonly #random: SeededRandom;
  readonly #crypto: Crypto;
  /** In their order; refused ones come again at the end. */
  readonly #operations: Operation[] = [];
  #next = 0;
  readonly #outstanding = new Map<NodeHost, Map<number, Outstanding>>();
  /** Hosts that write services of their own, which count for nothing. */
  readonly #outlaws: ReadonlySet<NodeHost>;
  #outlawRevision = 0;

  constructor(options: {
    parameters: WorkloadParameters;
    random: SeededRandom;
    crypto: Crypto;
    ledger: Ledger;
    hosts: readonly NodeHost[];
    outlaws: ReadonlySet<NodeHost>;
  }) {
    this.#parameters = options.parameters;
    this.#random = options.random;
    this.#crypto = options.crypto;
    this.ledger = options.ledger;
    this.#outlaws = options.outlaws;
    for (const host of options.hosts) {
      this.#outstanding.set(host, new Map());
      host.onWriteSettled = (sequence, ok) => this.#settled(host, sequence, ok);
    }
    this.#plan();
  }

  /** Nothing left to write and nothing unanswered. */
  get isFinished(): boolean {
    if (this.#next < this.#operations.length) return false;
    for (const writes of this.#outstanding.values()) if (writes.size > 0) return false;
    return true;
  }

  /** Writes what is due in this tick, at hosts of `candidates`. */
  tick(tick: number, candidates: readonly NodeHost[]): void {
    if (candidates.length === 0 || this.#next === this.#operations.length) return;
    if (randomChance(this.#random, this.#parameters.claimRate)) this.#claim(candidates);
    if (tick % this.#parameters.everyTicks !== 0) return;
    for (let i = 0; i < this.#parameters.batch && this.#next < this.#operations.length; i += 1) {
      const operation = this.#operations[this.#next]!;
      this.#write(drawItem(this.#random, candidates), operation, tick);
      if (randomChance(this.#random, this.#parameters.conflictRate)) {
        const other = { ...operation, revision: operation.revision + CONFLICT_REVISION };
        this.#write(drawItem(this.#random, candidates), other, tick);
      }
      this.#next += 1;
    }
  }

  /** Hosts that are to be revoked write too, and so do liars. */
  tickOutlaws(tick: number): void {
    if (tick % this.#parameters.everyTicks !== 0) return;
    for (const host of this.#outlaws) {
      if (host.replica === null || host.isPaused) continue;
      this.#outlawRevision += 1;
      const name = `outlaw-${host.index}-${this.#outlawRevision % 4}`;
      host.replica.putService(specOf(name, this.#outlawRevision, 0), host.nowMs());
    }
  }

  /** One more write, on a service that exists: the load of a cluster in daily use. */
  addUpdate(): void {
    if (this.#next > 0 && this.#next === this.#operations.length) {
      this.#operations.length = 0;
      this.#next = 0;
    }
    const service = randomBelow(this.#random, this.#parameters.services);
    const kind = randomBelow(this.#random, 8) === 0 ? "delete" : "put";
    this.#operations.push({ kind, service, revision: randomBelow(this.#random, 1_000) });
  }

  /** A host is gone with the answers it owed: whether its writes last, nobody knows. */
  crashed(host: NodeHost): void {
    const writes = this.#outstanding.get(host)!;
    for (const { operation } of writes.values()) this.#operations.push(operation);
    writes.clear();
  }

  #plan(): void {
    const { services, updates, deletes } = this.#parameters;
    const puts: Operation[] = [];
    for (let service = 0; service < services; service += 1) {
      puts.push({ kind: "put", service, revision: 0 });
    }
    shuffle(this.#random, puts);
    const later: Operation[] = [];
    for (let i = 0; i < updates; i += 1) {
      later.push({ kind: "put", service: randomBelow(this.#random, services), revision: i + 1 });
    }
    for (let service = 0; service < deletes; service += 1) {
      later.push({ kind: "delete", service, revision: 0 });
    }
    shuffle(this.#random, later);
    this.#operations.push(...puts, ...later);
  }

  #claim(candidates: readonly NodeHost[]): void {
    const host = drawItem(this.#random, candidates);
    const claims = Array.from({ length: randomBelow(this.#random, CLAIMS_MAX + 1) }, () => ({
      service: this.#random.u32(),
      generation: this.#random.u32(),
      state: drawItem(this.#random, this.#parameters.claimStates),
    }));
    host.replica!.publishClaims(claims, host.nowMs());
  }

  #write(host: NodeHost, operation: Operation, tick: number): void {
    const { service, revision } = operation;
    const name = `svc-${service}`;
    const replica = host.replica!;
    const answer: WriteAnswer =
      operation.kind === "put"
        ? replica.putService(specOf(name, revision, service), host.nowMs())
        : replica.deleteService(name, host.nowMs());
    if (!answer.ok) {
      this.refusedCount += 1;
      this.#operations.push(operation);
      return;
    }
    this.lastInjectionTick = tick;
    const key = serviceKey(this.#crypto, name);
    const write = { stamp: answer.stamp, tombstone: operation.kind === "delete" };
    this.ledger.tried(key, write);
    host.noteStamp(answer.stamp);
    this.#outstanding.get(host)!.set(answer.sequence, { operation, key, write });
  }

  #settled(host: NodeHost, sequence: number, ok: boolean): void {
    const writes = this.#outstanding.get(host)!;
    const settled = writes.get(sequence);
    if (settled === undefined) return;
    writes.delete(sequence);
    if (!ok) {
      this.#operations.push(settled.operation);
      return;
    }
    this.ledger.acknowledge(settled.key, settled.write, host.index);
    host.noteAcknowledgedStamp(settled.write.stamp);
  }
}

/** Makes the second of two writes at once another one. */
const CONFLICT_REVISION = 10_000;

const KINDS = ["web", "api", "worker", "cache"] as const;

/** A service as people deploy them. */
function specOf(name: string, revision: number, service: number): ServiceSpec {
  const kind = KINDS[service % KINDS.length]!;
  const port = 8_000 + (service % 1_000);
  return {
    ...SERVICE_DEFAULTS,
    name,
    flake: `github:acme/${kind}/v1.${revision}#default`,
    exec: `bin/${kind}`,
    args: ["--port", String(port)],
    ports: [{ port, protocol: "tcp", name: "http" }],
    health: {
      kind: "http",
      port,
      path: "/healthz",
      intervalMs: 10_000,
      timeoutMs: 3_000,
      graceMs: 15_000,
    },
    replicas: 1 + (service % 3),
    memoryMaxBytes: 64 * 1024 * 1024,
  };
}

/** A workload drawn for a swarm. */
export function drawWorkload(random: SeededRandom): WorkloadParameters {
  const services = drawInteger(random, [5, 80]);
  return {
    services,
    updates: drawInteger(random, [0, 60]),
    deletes: drawInteger(random, [0, Math.floor(services / 2)]),
    batch: drawInteger(random, [1, 6]),
    everyTicks: drawInteger(random, [1, 10]),
    conflictRate: randomChance(random, 0.5) ? 0.3 : 0,
    claimRate: randomChance(random, 0.5) ? 0.2 : 0,
    claimStates: FEW_CLAIM_STATES,
  };
}
