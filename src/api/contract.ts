// What the daemon answers on its unix socket, as JSON: the one description that server and
// command line share. Times are Unix milliseconds, sizes bytes, ids 16 hex digits.

import type { Endpoint } from "../kernel/ports.ts";
import type { MemberStatus } from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ClaimState } from "../schema/node-info.ts";
import type { Architecture, ServiceSpec } from "../schema/service.ts";

/** Every answer outside 2xx, save for health's own. */
export interface ErrorAnswer {
  readonly error: ErrorBody;
}

export interface ErrorBody {
  /** Stable, for programs: `not-found`, `manifest-invalid`, `log-unavailable` … */
  readonly code: string;
  /** What was found and what is allowed. */
  readonly message: string;
  /** What to do next. */
  readonly hint?: string;
  /** The mistakes in a manifest, one an entry. */
  readonly problems?: readonly ManifestProblem[];
  /** Services of the same request that were written before the one that failed. */
  readonly written?: readonly DeployedService[];
}

export interface ManifestProblem {
  /** Such as `services[0].ports[1].port`; empty for the whole document. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly sourceLine: string;
}

/** One thing that is wrong with this node, until it is right again. */
export interface HealthProblem {
  readonly code: string;
  readonly message: string;
}

/** `GET /health`: 200 when ok, 503 otherwise. */
export interface HealthAnswer {
  readonly ok: boolean;
  readonly problems: readonly HealthProblem[];
}

export interface InstanceAnswer {
  readonly service: string;
  readonly state: string;
  /** Why it is in this state; empty when there is nothing to say. */
  readonly detail: string;
  readonly restarts: number;
  /** Since when it has been in this state. */
  readonly sinceMs: number;
  readonly generation: number;
}

/** `GET /status`. */
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
    readonly rootId: NodeId;
    /** Equal on nodes with equal tables. */
    readonly rootHash: string;
    /** The highest revocation this node knows. */
    readonly revocationBlock: number;
    readonly synced: boolean;
    /** This node's own certificate was revoked or has expired. */
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
    readonly instances: readonly InstanceAnswer[];
    /** Services placed here that do not run yet, and why. */
    readonly waiting: readonly { readonly service: string; readonly reason: string }[];
  };
  readonly network: {
    readonly packetsReceived: number;
    readonly packetsSent: number;
    /** Datagrams that were not ours, not openable, or malformed inside. */
    readonly packetsRefused: number;
    /** Datagrams dropped before anything was looked at: not 1024 bytes, or too many at once. */
    readonly datagramsDropped: number;
    /** Packets dropped because the socket took no more. */
    readonly sendsDropped: number;
    readonly sendErrors: number;
    readonly sessions: number;
    readonly handshakesStarted: number;
    readonly handshakesRefused: number;
    readonly dnsQueries: number;
  };
  readonly process: {
    readonly pid: number;
    readonly residentBytes: number;
    /** The longest that a tick came late within the last minute. */
    readonly loopLagMs: number;
  };
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
  readonly arch: Architecture;
  readonly memoryMiB: number;
  readonly draining: boolean;
  /** Null without a session. */
  readonly rttMs: number | null;
  readonly incarnation: number;
  /** When its certificate expires. */
  readonly notAfterMs: number;
}

/** `GET /members`. */
export interface MembersAnswer {
  readonly members: readonly MemberAnswer[];
}

export interface ServiceInstanceAnswer {
  readonly nodeId: NodeId;
  readonly hostname: string;
  readonly state: ClaimState;
  readonly generation: number;
  /** Whether it runs what is deployed now, and not what was before. */
  readonly current: boolean;
}

/** `GET /services/NAME`. */
export interface ServiceAnswer {
  readonly name: string;
  readonly key: string;
  readonly author: NodeId;
  readonly stamp: number;
  readonly updatedAtMs: number;
  /** Which version is deployed. */
  readonly generation: number;
  readonly spec: ServiceSpec;
  /** How many instances there should be. */
  readonly wanted: number;
  /** How many instances of any generation are healthy. */
  readonly healthy: number;
  /** Where it is placed, best first; fewer than wanted when too few nodes are eligible. */
  readonly owners: readonly NodeId[];
  /** What living nodes say they run. */
  readonly instances: readonly ServiceInstanceAnswer[];
}

/** `GET /services`. */
export interface ServicesAnswer {
  readonly services: readonly ServiceAnswer[];
}

export interface DeployedService {
  readonly name: string;
  readonly key: string;
  readonly stamp: number;
  /** Null when another write has replaced it meanwhile. */
  readonly generation: number | null;
}

/** `POST /deploy`: sent once the log has it durably. */
export interface DeployAnswer {
  readonly services: readonly DeployedService[];
}

/** `DELETE /services/NAME`. */
export interface UndeployAnswer {
  readonly name: string;
  readonly stamp: number;
}

/** `POST /revocations`. */
export interface RevocationAnswer {
  readonly key: string;
  readonly stamp: number;
}

/** `POST /flight`. */
export interface FlightAnswer {
  readonly file: string;
}

/**
 * The events of `GET /stream` (text/event-stream), by name. The first is `hello`; a comment
 * comes every 15 s; `id:` counts the events of one daemon run.
 */
export interface StreamEvents {
  readonly hello: StatusAnswer;
  readonly member: { readonly nodeId: NodeId; readonly status: MemberStatus };
  /** A service was written or deleted. */
  readonly service: {
    readonly key: string;
    readonly name: string | null;
    readonly deleted: boolean;
  };
  /** An instance on this node. */
  readonly instance: {
    readonly service: string;
    readonly state: string;
    readonly detail: string;
  };
  /** A write through this daemon became durable. */
  readonly deploy: { readonly name: string; readonly stamp: number; readonly deleted: boolean };
  readonly revocation: { readonly nodeId: NodeId };
  readonly synced: Record<string, never>;
  readonly excluded: Record<string, never>;
  readonly "log-failure": { readonly message: string };
  readonly "log-recovered": Record<string, never>;
}
