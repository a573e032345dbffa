// What the API reaches of a running node.

import type { ApiBackend, WriteOutcome } from "../api/backend.ts";
import type { HealthAnswer, MembersAnswer, ServiceAnswer, StatusAnswer } from "../api/contract.ts";
import type { EventHub } from "../api/event-hub.ts";
import type { InstanceLogs } from "../engine/engine.ts";
import type { Crypto } from "../kernel/ports.ts";
import type { ServiceSpec } from "../schema/service.ts";
import { memberAnswer, type StatusSources, serviceAnswer, statusAnswer } from "./answers.ts";
import type { DnsServer } from "./dns-server.ts";
import type { EventLog } from "./event-log.ts";
import type { FlightRecorder } from "./flight-recorder.ts";
import { judgeHealth } from "./health.ts";
import type { Seeds } from "./seeds.ts";
import type { WriteDesk } from "./write-desk.ts";

export interface NodeBackendParts {
  readonly crypto: Crypto;
  readonly sources: StatusSources;
  readonly hub: EventHub;
  readonly desk: WriteDesk;
  readonly seeds: Seeds;
  readonly dns: DnsServer;
  readonly events: EventLog;
  readonly recorder: FlightRecorder;
  readonly dataDir: string;
}

export class NodeBackend implements ApiBackend {
  readonly crypto: Crypto;
  readonly logs: InstanceLogs;
  readonly events: EventHub;
  readonly #parts: NodeBackendParts;

  constructor(parts: NodeBackendParts) {
    this.#parts = parts;
    this.crypto = parts.crypto;
    this.logs = parts.sources.runner.engine.logs;
    this.events = parts.hub;
  }

  get fsyncs(): number {
    return this.#parts.sources.journal.commitCount;
  }

  health(): HealthAnswer {
    const { sources, seeds, dns } = this.#parts;
    const { replica, journal, view, runner, io } = sources;
    const nowMs = this.#refresh();
    return judgeHealth({
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
      loopLagMs: io.ticker.lagMs,
    });
  }

  status(): StatusAnswer {
    const { sources, dns } = this.#parts;
    const health = this.health();
    return statusAnswer(sources, health, dns.queryCount, this.#nowMs());
  }

  members(): MembersAnswer {
    this.#refresh();
    return { members: this.#parts.sources.view.members.map(memberAnswer) };
  }

  *services(): Generator<ServiceAnswer> {
    this.#refresh();
    const { view } = this.#parts.sources;
    for (const name of view.serviceNames()) {
      // It may have been undeployed since the answer began.
      const service = view.service(name);
      if (service !== null) yield serviceAnswer(service, view);
    }
  }

  service(name: string): ServiceAnswer | null {
    this.#refresh();
    const { view } = this.#parts.sources;
    const service = view.service(name);
    return service === null ? null : serviceAnswer(service, view);
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

  readFlight(): Uint8Array {
    return this.#parts.recorder.read();
  }

  writeFlight(): string {
    return this.#parts.recorder.writeFile(this.#parts.dataDir, this.#nowMs());
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
