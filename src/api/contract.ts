// What the API's JSON answers look like, for the daemon that gives them and the commands that
// read them. Times are Unix milliseconds; keys and ids are lower-case hex.

import type { Decision } from "../flow/interface.ts";
import type { NumberedRule } from "../flow/persona/rules.ts";
import type { DeviceReport, FlowNotice, FlowReport, FlowStatus } from "../flow/status.ts";
import type { Endpoint } from "../kernel/ports.ts";
import type { PersonaTreatment } from "../schema/flow-settings.ts";
import type { MemberStatus } from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ClaimState } from "../schema/node-info.ts";
import type { Persona, ServiceSpec } from "../schema/service.ts";

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
    /** Services of the same request that were written before the one that failed. */
    readonly written?: readonly DeployedService[];
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
  /** The generation that is being made ready while this one goes on, and how far it is. */
  readonly next: { readonly generation: number; readonly detail: string } | null;
  /** The generation that was tried here, failed, and gave way to this one. */
  readonly rolledBackFrom: number | null;
  /** What its flake was locked to; empty where there is none. */
  readonly lock: string;
  readonly storePath: string;
  /** systemd's exposure score, 0 to 10; null where no unit confines it. */
  readonly exposure: number | null;
  readonly memoryBytes: number | null;
}

/** What every daemon says of itself, whichever planes it runs. */
export interface DaemonStatus {
  readonly version: string;
  readonly process: {
    readonly pid: number;
    readonly residentBytes: number;
    /** The latest that a tick came within the last minute. */
    readonly loopLagMs: number;
  };
  readonly health: HealthAnswer;
  /** The line's plane at a glance; null: it is off. `GET /flow` has the rest. */
  readonly flow: Pick<FlowStatus, "mode" | "phase" | "device" | "problem"> | null;
}

/** `GET /status` of a daemon whose mesh is off. */
export interface RouterStatusAnswer extends DaemonStatus {
  readonly node: {
    readonly hostname: string;
    readonly startedAtMs: number;
    readonly uptimeMs: number;
  };
  readonly cluster: null;
}

/** `GET /status`, and the data of the stream's first event. */
export interface StatusAnswer extends DaemonStatus {
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
    /** Services placed here that do not run yet, and why. */
    readonly waiting: readonly { readonly service: string; readonly reason: string }[];
  };
  readonly network: NetworkAnswer;
}

/** Counters since the start, save for the open sessions. */
export interface NetworkAnswer {
  readonly packetsReceived: number;
  readonly packetsSent: number;
  /** Datagrams that were not ours, not openable, or malformed inside. */
  readonly packetsRefused: number;
  /** Datagrams dropped unread: not 1024 bytes, or more than one tick's share. */
  readonly datagramsDropped: number;
  /** Packets dropped because the socket took no more. */
  readonly sendsDropped: number;
  readonly sendErrors: number;
  readonly sessions: number;
  readonly handshakesStarted: number;
  readonly handshakesRefused: number;
  readonly dnsQueries: number;
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
  /** Whether it takes no more work: by its own configuration, or because it was drained. */
  readonly draining: boolean;
  /** The deployer who drained it; null when nobody did. */
  readonly drainedBy: NodeId | null;
  readonly rttMs: number | null;
  readonly incarnation: number;
  readonly notAfterMs: number;
}

/** `GET /members`. */
export interface MembersAnswer {
  readonly members: readonly MemberAnswer[];
}

/** A service that a node runs, and where it is placed otherwise. */
export interface RemainingService {
  readonly name: string;
  readonly state: ClaimState;
  /** Best first; empty when no node may run it. The state is null where it claims nothing yet. */
  readonly owners: readonly {
    readonly nodeId: NodeId;
    readonly hostname: string;
    readonly state: ClaimState | null;
  }[];
}

/** `GET`, `PUT` and `DELETE /members/ID/drain`. */
export interface DrainAnswer {
  readonly nodeId: NodeId;
  readonly draining: boolean;
  readonly drainedBy: NodeId | null;
  /** What the node still runs, as far as it is known to live. */
  readonly remaining: readonly RemainingService[];
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
  /** Which version is deployed. */
  readonly generation: number;
  readonly spec: ServiceSpec;
  /** Instances there should be, as far as eligible nodes go; 0 when none may run it. */
  readonly wanted: number;
  /** Instances that answer requests, of any generation: those that are healthy or rolled back. */
  readonly healthy: number;
  /** Where it is placed, best first. */
  readonly owners: readonly NodeId[];
  readonly instances: readonly InstanceAnswer[];
  /** Its instance on the node that was asked, as its engine sees it; null: none. */
  readonly here: EngineInstanceAnswer | null;
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
  /** The commit or NAR hash its flake was locked to; empty: it has none, or nobody here could tell. */
  readonly lock: string;
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

/** `POST /revocations`. */
export interface RevocationAnswer {
  readonly key: string;
  readonly stamp: number;
}

/** `GET /flow`. */
export type FlowAnswer = FlowStatus;

/** `GET /flow/flows?limit=N`, the busiest first. */
export interface FlowsAnswer {
  readonly flows: readonly FlowReport[];
}

/** `GET /flow/devices`. */
export interface DevicesAnswer {
  readonly devices: readonly DeviceReport[];
}

/** `GET /flow/policy`, and what a change of it answers. */
export interface PolicyAnswer {
  readonly policy: readonly PersonaPolicy[];
}

/** What is done for the flows of a persona. */
export interface PersonaPolicy {
  readonly persona: Persona;
  readonly treatment: PersonaTreatment;
  /** Where it comes from: set by command, written in the configuration, or neither. */
  readonly from: "command" | "configuration" | "default";
}

/** `GET /persona`, oldest first. */
export interface PersonaRulesAnswer {
  readonly rules: readonly NumberedRule[];
}

/** `POST /persona`, and `DELETE /persona/ID`: the rule that was added or deleted. */
export interface PersonaRuleAnswer {
  readonly rule: NumberedRule;
}

/** `POST /reload`. */
export interface ReloadAnswer {
  /** Settings that are in force now and were not before. */
  readonly applied: readonly string[];
  /** Settings that the file says otherwise and that wait for a restart. */
  readonly restart: readonly string[];
}

/**
 * The events of `GET /stream` (text/event-stream), by name. The first is `hello`; a comment
 * comes every 15 s; `id:` counts the events of one daemon run.
 */
export interface StreamEvents {
  readonly hello: StatusAnswer | RouterStatusAnswer;
  readonly member: { readonly nodeId: NodeId; readonly status: MemberStatus };
  /** A service was written or deleted, here or elsewhere. */
  readonly service: { readonly key: string; readonly deleted: boolean };
  /** An instance on this node. */
  readonly instance: { readonly service: string; readonly state: string; readonly detail: string };
  /** A flake is being resolved or built on this node. */
  readonly build: {
    readonly service: string;
    readonly phase: string;
    readonly detail: string;
    readonly done: number;
    /** Derivations and downloads known of so far; 0: none yet. */
    readonly expected: number;
  };
  /** A write through this daemon became durable. */
  readonly deploy: { readonly name: string; readonly stamp: number; readonly deleted: boolean };
  readonly revocation: { readonly nodeId: NodeId };
  readonly drain: { readonly nodeId: NodeId; readonly drained: boolean };
  readonly synced: Record<string, never>;
  readonly excluded: Record<string, never>;
  readonly "log-failure": { readonly message: string };
  readonly "log-recovered": Record<string, never>;
  /** The flow plane's loop decided. */
  readonly decision: Decision;
  readonly "flow-notice": FlowNotice;
  readonly reload: ReloadAnswer;
}
