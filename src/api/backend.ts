// What the API asks of the daemon behind it.

import type { InstanceLogs } from "../engine/engine.ts";
import type { NumberedRule } from "../flow/persona/rules.ts";
import type { DeviceReport, FlowMetric, FlowReport, FlowStatus } from "../flow/status.ts";
import type { Crypto } from "../kernel/ports.ts";
import type { WriteRefusal } from "../node/interface.ts";
import type { PersonaTreatment } from "../schema/flow-settings.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { Persona, ServiceSpec } from "../schema/service.ts";
import type {
  DrainAnswer,
  HealthAnswer,
  MembersAnswer,
  PersonaPolicy,
  ReloadAnswer,
  RouterStatusAnswer,
  ServiceAnswer,
  StatusAnswer,
} from "./contract.ts";
import type { EventHub } from "./event-hub.ts";

/** How a write ended. A written one is durable. `log-failed`: it was taken, and the disk refused it. */
export type WriteOutcome =
  | {
      readonly ok: true;
      /** 16 hex digits. */
      readonly key: string;
      readonly stamp: number;
      /** Of the service's record; 0 when another write has replaced it already, and for what is no service. */
      readonly generation: number;
    }
  | { readonly ok: false; readonly reason: WriteRefusal | "log-failed" };

/** How a reload ended. Refused: the settings in force stay as they were. */
export type ReloadOutcome =
  | ({ readonly ok: true } & ReloadAnswer)
  | { readonly ok: false; readonly problems: readonly string[] };

export interface ApiBackend {
  readonly events: EventHub;
  /** Null: the mesh is off. */
  readonly mesh: MeshBackend | null;
  /** Null: the flow plane is off. */
  readonly flow: FlowBackend | null;
  health(): HealthAnswer;
  status(): StatusAnswer | RouterStatusAnswer;
  /** Reads the configuration again. */
  reload(): Promise<ReloadOutcome>;
  /** The flight recorder's events as lines of JSON. */
  readFlight(): Uint8Array;
  /** Writes them to the data folder. @returns the file's path */
  writeFlight(): string;
}

/** The cluster's plane. */
export interface MeshBackend {
  readonly crypto: Crypto;
  readonly logs: InstanceLogs;
  status(): StatusAnswer;
  members(): MembersAnswer;
  /** Null when there is no such member and nobody drained it. */
  drain(nodeId: NodeId): DrainAnswer | null;
  /** Settles when the log has it, or never will. */
  setDrained(nodeId: NodeId, drained: boolean): Promise<WriteOutcome>;
  /** Sorted by name; made one by one as they are sent. */
  services(): Iterable<ServiceAnswer>;
  /** Null when no such service is deployed. */
  service(name: string): ServiceAnswer | null;
  /** The service with its flake locked to what it is now, where this node can build; else as it is. */
  lock(spec: ServiceSpec): Promise<ServiceSpec | { readonly error: string }>;
  /** Settles when the log has it, or never will. */
  deploy(spec: ServiceSpec): Promise<WriteOutcome>;
  undeploy(name: string): Promise<WriteOutcome>;
  /**
   * Takes a record signed elsewhere.
   * @param service the name of the service it deploys, or null when it deploys none
   */
  offerRecord(record: Uint8Array, service: string | null): Promise<WriteOutcome>;
  /** Writes of the log made durable since the start. */
  readonly fsyncs: number;
}

/** The line's plane. */
export interface FlowBackend {
  status(): FlowStatus;
  /** The busiest first. */
  flows(limit: number): readonly FlowReport[];
  devices(): readonly DeviceReport[];
  metrics(): readonly FlowMetric[];
  /** One for each persona. */
  policy(): readonly PersonaPolicy[];
  /** Kept over restarts. @param treatment null: what the configuration says */
  setPolicy(persona: Persona, treatment: PersonaTreatment | null): void;
  /** The user's own rules, oldest first. */
  rules(): readonly NumberedRule[];
  /** Kept over restarts. Throws PersonaRuleError. */
  addRule(rule: unknown): NumberedRule;
  /** Throws PersonaRuleError. */
  deleteRule(id: number): NumberedRule;
  /**
   * Hands every line of a recording to `sink` until the function it answers with is called.
   * Null: a recording is under way already.
   */
  record(sink: (line: string) => void): (() => void) | null;
}
