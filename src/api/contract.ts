// What the API's JSON answers look like, for the daemon that gives them and the commands that
// read them. Times are Unix milliseconds; keys and ids are lower-case hex.

import type { Endpoint } from "../kernel/ports.ts";
import type { MemberStatus } from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ClaimState } from "../schema/node-info.ts";
import type { ServiceSpec } from "../schema/service.ts";

/** Every answer with a status of 400 and above. */
export interface ErrorAnswer {
  readonly error: {
    /** Stable, for programs. */
    readonly code: string;
    readonly message: string;
    /** What to do next. */
    readonly hint?: string;
    /** The single mistakes of a document, each as a person reads it. */
    readonly problems?: readonly string[];
  };
}

export interface HealthProblem {
  readonly code: string;
  readonly message: string;
}

/** `GET /health`, with status 200 or 503. */
export interface HealthAnswer {
  readonly ok: boolean;
  readonly problems: readonly HealthProblem[];
}

/** One instance as this node's engine sees it. */
export interface EngineInstanceAnswer {
  readonly service: string;
  readonly state: string;
  readonly detail: string;
  readonly pid: number | null;
  readonly restarts: number;
  readonly sinceMs: number;
  readonly generation: number;
}

/** `GET /status`, and the data of the stream's first event. */
export interface StatusAnswer {
  readonly version: string;
  readonly node: {
    readonly id: NodeId;
    readonly hostname: string;
    readonly zone: number;
    readonly roles: readonly string[];
    readonly endpoints: readonly Endpoint[];
    readonly incarnation: number;
    readonly startedAtMs: number;
    readonly uptimeMs: number;
  };
  readonly cluster: {
    /** The root key's id. */
    readonly rootId: NodeId;
    /** Equal on nodes with equal tables. */
    readonly rootHash: string;
    readonly revocationBlock: number;
    readonly synced: boolean;
    /** This node's certificate was revoked or has expired. */
    readonly excluded: boolean;
    readonly members: Readonly<Record<MemberStatus, number>>;
  };
  readonly table: {
    readonly slots: number;
    readonly capacity: number;
    readonly recordBytes: number;
  };
  readonly log: { readonly state: string; readonly sizeBytes: number };
  readonly engine: {
    readonly kind: string;
    readonly instances: readonly EngineInstanceAnswer[];
  };
  /** Counters since the start. */
  readonly network: Readonly<Record<string, number>>;
  readonly health: HealthAnswer;
}

export interface MemberAnswer {
  readonly nodeId: NodeId;
  readonly self: boolean;
  readonly hostname: string;
  readonly status: MemberStatus;
  readonly zone: number;
  readonly roles: readonly string[];
  readonly endpoints: readonly Endpoint[];
  readonly arch: string;
  readonly memoryMiB: number;
  readonly draining: boolean;
  readonly rttMs: number | null;
  readonly incarnation: number;
  readonly notAfterMs: number;
}

/** `GET /members`. */
export interface MembersAnswer {
  readonly members: readonly MemberAnswer[];
}

/** A service's instance, as the node that runs it published it. */
export interface InstanceAnswer {
  readonly nodeId: NodeId;
  readonly hostname: string;
  readonly state: ClaimState;
  readonly generation: number;
  /** Whether it runs the service's newest version. */
  readonly current: boolean;
}

/** One of `GET /services`, and the whole of `GET /services/NAME`. */
export interface ServiceAnswer {
  readonly name: string;
  readonly key: string;
  readonly author: NodeId;
  readonly stamp: number;
  readonly updatedAtMs: number;
  readonly spec: ServiceSpec;
  /** Instances there should be, as far as eligible nodes go. */
  readonly wanted: number;
  /** Of those, the ones that are healthy. */
  readonly healthy: number;
  readonly instances: readonly InstanceAnswer[];
}

export interface ServicesAnswer {
  readonly services: readonly ServiceAnswer[];
}

/** One service that was written. */
export interface DeployedService {
  readonly name: string;
  readonly key: string;
  readonly stamp: number;
  readonly generation: number;
}

/** `POST /deploy`. */
export interface DeployAnswer {
  readonly services: readonly DeployedService[];
}

/** `DELETE /services/NAME`. */
export interface UndeployAnswer {
  readonly name: string;
  readonly stamp: number;
}

/** `POST /flight`. */
export interface FlightFileAnswer {
  readonly file: string;
}
