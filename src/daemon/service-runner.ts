// From what is deployed to what runs here: joins placement, the reconciler, the engine and
// the claims this node publishes.

import type { Engine, InstanceStatus, OnInstanceState } from "../engine/engine.ts";
import {
  type Action,
  type DeployedService,
  RECONCILE_START,
  type ReconcileOptions,
  type ReconcileState,
  reconcile,
  type Waiting,
} from "../engine/reconcile.ts";
import type { ReplicaInterface } from "../node/interface.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { Claim } from "../schema/node-info.ts";
import { type ClusterView, isLiving } from "./cluster-view.ts";
import type { EventLog } from "./event-log.ts";

type ClaimingReplica = Pick<ReplicaInterface, "nodeId" | "synced" | "excluded" | "publishClaims">;

export interface ServiceRunnerOptions {
  readonly replica: ClaimingReplica;
  readonly view: ClusterView;
  readonly reconcile: ReconcileOptions;
  readonly events: EventLog;
  /** Makes the engine, which tells `onState` what happens in it. */
  readonly createEngine: (onState: OnInstanceState) => Engine;
  /** Unix time. */
  readonly nowMs: () => number;
}

/** An instance, and since when it has been as it is (Unix time). */
export interface TimedInstance extends InstanceStatus {
  readonly sinceMs: number;
}

export class ServiceRunner {
  readonly engine: Engine;
  /** Told whenever an instance here changes its state. */
  onInstance: OnInstanceState = () => {};
  readonly #options: ServiceRunnerOptions;
  /** By service name: when its instance came into its state. */
  readonly #sinceMs = new Map<string, number>();
  #state: ReconcileState = RECONCILE_START;
  #published: readonly Claim[] = [];
  #waiting: readonly Waiting[] = [];
  #closed = false;

  constructor(options: ServiceRunnerOptions) {
    this.#options = options;
    this.engine = options.createEngine((name, state, detail) =>
      this.#noteState(name, state, detail),
    );
  }

  /** Services placed here that do not run yet. */
  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  list(): TimedInstance[] {
    return this.engine.list().map((instance) => ({
      ...instance,
      sinceMs: this.#sinceMs.get(instance.name) ?? 0,
    }));
  }

  /** Once a tick. @param monotonicMs for the waits. @param nowMs Unix time, for the claims' stamps */
  tick(monotonicMs: number, nowMs: number): void {
    if (this.#closed) return;
    const { replica, reconcile: options } = this.#options;
    this.engine.tick(monotonicMs);
    if (!this.engine.ready) return;
    const result = reconcile(
      this.#state,
      {
        nowMs: monotonicMs,
        self: replica.nodeId,
        synced: replica.synced,
        services: this.#servicesOfConcern(),
        running: this.engine.list(),
        claims: this.#claimsOfOthers(),
      },
      options,
    );
    this.#state = result.state;
    this.#waiting = result.waiting;
    for (const action of result.actions) this.#act(action);
    this.#publish(result.claims, nowMs);
  }

  /** Stops every service, for at most `timeoutMs`. @returns whether all have ended */
  close(timeoutMs: number): Promise<boolean> {
    this.#closed = true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.engine.close(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** What is placed here, and what runs here and is placed elsewhere. */
  #servicesOfConcern(): Map<string, DeployedService> {
    const { view, replica } = this.#options;
    // Shut out of the cluster, a node has no say in what should run.
    if (replica.excluded) return new Map();
    const services = view.placedHere();
    for (const { name } of this.engine.list()) {
      const service = services.has(name) ? null : view.deployed(name);
      if (service !== null) services.set(name, service);
    }
    return services;
  }

  #claimsOfOthers(): Map<NodeId, readonly Claim[]> {
    const claims = new Map<NodeId, readonly Claim[]>();
    for (const member of this.#options.view.members) {
      if (!member.self && isLiving(member)) claims.set(member.nodeId, member.info.claims);
    }
    return claims;
  }

  #act(action: Action): void {
    const { events } = this.#options;
    if (action.kind === "stop") {
      const { name, reason } = action;
      events.note("info", "service-stop", `${name} is stopped: ${reason}`, { service: name });
      this.engine.stop(name);
      return;
    }
    const { name, generation } = action.instance;
    events.note("info", "service-start", `${name} is started`, { service: name, generation });
    this.engine.start(action.instance);
  }

  #publish(claims: readonly Claim[], nowMs: number): void {
    if (sameClaims(claims, this.#published)) return;
    this.#published = claims;
    this.#options.replica.publishClaims(claims, nowMs);
  }

  #noteState(name: string, state: InstanceStatus["state"] | "stopped", detail: string): void {
    const { events, nowMs } = this.#options;
    const level =
      state === "backoff" || state === "unhealthy" || state === "refused" ? "warn" : "info";
    events.note(level, "instance-state", `${name} is ${state}`, { service: name, state, detail });
    if (state === "stopped") this.#sinceMs.delete(name);
    else this.#sinceMs.set(name, nowMs());
    this.onInstance(name, state, detail);
  }
}

function sameClaims(a: readonly Claim[], b: readonly Claim[]): boolean {
  return (
    a.length === b.length &&
    a.every((claim, index) => {
      const other = b[index]!;
      return (
        claim.service === other.service &&
        claim.generation === other.generation &&
        claim.state === other.state
      );
    })
  );
}
