// What the API reaches of the mesh.

import type { MeshBackend, WriteOutcome } from "../api/backend.ts";
import type {
  DaemonStatus,
  DrainAnswer,
  HealthProblem,
  MembersAnswer,
  ServiceAnswer,
  StatusAnswer,
} from "../api/contract.ts";
import type { EventHub } from "../api/event-hub.ts";
import type { InstanceLogs } from "../engine/engine.ts";
import type { LockedFlake } from "../engine/ports.ts";
import type { Crypto } from "../kernel/ports.ts";
import type { ServiceView } from "../node/interface.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ServiceSpec } from "../schema/service.ts";
import {
  drainAnswer,
  memberAnswer,
  meshStatus,
  type StatusSources,
  serviceAnswer,
} from "./answers.ts";
import type { DnsServer } from "./dns-server.ts";
import type { EventLog } from "./event-log.ts";
import { meshProblems } from "./health.ts";
import type { Seeds } from "./seeds.ts";
import type { WriteDesk } from "./write-desk.ts";

export interface MeshApiParts {
  readonly crypto: Crypto;
  readonly sources: StatusSources;
  readonly hub: EventHub;
  readonly desk: WriteDesk;
  readonly seeds: Seeds;
  readonly dns: DnsServer;
  readonly events: EventLog;
  /** Resolves a service's flake; null: this node builds none. */
  readonly lockFlake:
    | ((service: string, flake: string) => Promise<LockedFlake | { readonly error: string }>)
    | null;
  /** What is told of the daemon as a whole. */
  readonly daemonStatus: () => DaemonStatus;
}

export class MeshApi implements MeshBackend {
  readonly crypto: Crypto;
  readonly logs: InstanceLogs;
  readonly #parts: MeshApiParts;

  constructor(parts: MeshApiParts) {
    this.#parts = parts;
    this.crypto = parts.crypto;
    this.logs = parts.sources.runner.engine.logs;
  }

  get fsyncs(): number {
    return this.#parts.sources.journal.commitCount;
  }

  /** What is wrong with the mesh right now. */
  problems(): HealthProblem[] {
    const { sources, seeds, dns } = this.#parts;
    const { replica, journal, view, runner } = sources;
    const nowMs = this.#refresh();
    return meshProblems({
      nowMs,
      uptimeMs: nowMs - sources.startedAtMs,
      logProblem: journal.problem,
      dnsProblem: dns.problem,
      synced: replica.synced,
      excluded: replica.excluded,
      members: view.members,
      hasSeeds: seeds.endpoints.length > 0 || seeds.unresolved.length > 0,
      unresolvedPeers: seeds.unresolved,
      instances: runner.list(),
    });
  }

  status(): StatusAnswer {
    const { sources, dns, daemonStatus } = this.#parts;
    const nowMs = this.#refresh();
    return { ...daemonStatus(), ...meshStatus(sources, dns.queryCount, nowMs) };
  }

  members(): MembersAnswer {
    this.#refresh();
    return { members: this.#parts.sources.view.members.map(memberAnswer) };
  }

  drain(nodeId: NodeId): DrainAnswer | null {
    this.#refresh();
    const { view, replica } = this.#parts.sources;
    return drainAnswer(nodeId, view, replica);
  }

  async setDrained(nodeId: NodeId, drained: boolean): Promise<WriteOutcome> {
    const outcome = await this.#parts.desk.setDrained(nodeId, drained);
    const { events } = this.#parts;
    const fields = outcome.ok ? { nodeId } : { nodeId, reason: outcome.reason };
    if (!outcome.ok) events.note("warn", "write-refused", `a drain was refused`, fields);
    else if (drained) events.note("info", "drain", `${nodeId} is to take no more work`, fields);
    else events.note("info", "drain", `${nodeId} is to take work again`, fields);
    return outcome;
  }

  *services(): Generator<ServiceAnswer> {
    this.#refresh();
    const { view } = this.#parts.sources;
    for (const name of view.serviceNames()) {
      // It may have been undeployed since the answer began.
      const service = view.service(name);
      if (service !== null) yield this.#answer(service);
    }
  }

  service(name: string): ServiceAnswer | null {
    this.#refresh();
    const { view } = this.#parts.sources;
    const service = view.service(name);
    return service === null ? null : this.#answer(service);
  }

  #answer(service: ServiceView): ServiceAnswer {
    const { view, runner } = this.#parts.sources;
    const here = runner.list().find(({ name }) => name === service.spec.name);
    return serviceAnswer(service, view, here);
  }

  async lock(spec: ServiceSpec): Promise<ServiceSpec | { readonly error: string }> {
    const { lockFlake, events } = this.#parts;
    if (lockFlake === null || spec.flake === "") return spec;
    const { name, flake } = spec;
    const found = await lockFlake(name, flake);
    if (!("error" in found)) return { ...spec, lock: found.lock };
    events.note("warn", "lock-failed", `the flake of ${name} cannot be resolved`, {
      flake,
      ...found,
    });
    return found;
  }

  async deploy(spec: ServiceSpec): Promise<WriteOutcome> {
    return this.#written(await this.#parts.desk.put(spec), spec.name, false);
  }

  async undeploy(name: string): Promise<WriteOutcome> {
    return this.#written(await this.#parts.desk.delete(name), name, true);
  }

  async offerRecord(record: Uint8Array, service: string | null): Promise<WriteOutcome> {
    const outcome = await this.#parts.desk.offer(record, service);
    return service === null ? outcome : this.#written(outcome, service, false);
  }

  #written(outcome: WriteOutcome, name: string, deleted: boolean): WriteOutcome {
    const { events, hub } = this.#parts;
    if (outcome.ok) {
      const { stamp, generation } = outcome;
      const message = deleted ? `${name} was undeployed` : `${name} was deployed`;
      events.note("info", deleted ? "undeploy" : "deploy", message, { name, stamp, generation });
      hub.publish("deploy", { name, stamp, deleted });
    } else {
      const { reason } = outcome;
      events.note("warn", "write-refused", `a write of ${name} was refused`, { name, reason });
    }
    return outcome;
  }

  /** Whoever asks sees the table as it is now. @returns Unix time */
  #refresh(): number {
    const nowMs = this.#nowMs();
    this.#parts.sources.view.refresh(nowMs, true);
    return nowMs;
  }

  #nowMs(): number {
    return this.#parts.sources.io.clock.nowMs();
  }
}
