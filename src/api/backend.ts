// What the API asks of the daemon behind it.

import type { InstanceLogs } from "../engine/engine.ts";
import type { Crypto } from "../kernel/ports.ts";
import type { WriteRefusal } from "../node/interface.ts";
import type { ServiceSpec } from "../schema/service.ts";
import type { HealthAnswer, MembersAnswer, ServiceAnswer, StatusAnswer } from "./contract.ts";
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

export interface ApiBackend {
  readonly crypto: Crypto;
  readonly logs: InstanceLogs;
  readonly events: EventHub;
  health(): HealthAnswer;
  status(): StatusAnswer;
  members(): MembersAnswer;
  /** Sorted by name; made one by one as they are sent. */
  services(): Iterable<ServiceAnswer>;
  /** Null when no such service is deployed. */
  service(name: string): ServiceAnswer | null;
  /** Settles when the log has it, or never will. */
  deploy(spec: ServiceSpec): Promise<WriteOutcome>;
  undeploy(name: string): Promise<WriteOutcome>;
  /**
   * Takes a record signed elsewhere.
   * @param service the name of the service it deploys, or null when it deploys none
   */
  offerRecord(record: Uint8Array, service: string | null): Promise<WriteOutcome>;
  /** The flight recorder's events as lines of JSON. */
  readFlight(): Uint8Array;
  /** Writes them to the data folder. @returns the file's path */
  writeFlight(): string;
  /** Writes of the log made durable since the start. */
  readonly fsyncs: number;
}
