// From what should run to what to do now: called at every tick with what placement says,
// what the engine runs and what the other nodes claim. It only decides; the daemon carries
// its actions to the engine and its claims into the node's slot.

import { assert } from "../kernel/assert.ts";
import { CLAIMS_MAX } from "../kernel/limits.ts";
import type { NodeId } from "../schema/node-id.ts";
import { type Claim, type ClaimState, isServing } from "../schema/node-info.ts";
import type { ServiceSpec } from "../schema/service.ts";
import type { Instance, InstanceState, InstanceStatus } from "./engine.ts";

export interface ReconcileOptions {
  /**
   * How long a service must have been placed here before it starts, or elsewhere before it
   * is given up. Longer than a claim needs to reach the others: two nodes that trust each
   * other's outdated claims would both stop.
   */
  readonly stableWaitMs: number;
  /** Instances that may be starting at a time on this node. */
  readonly maxConcurrentStarts: number;
  /** How long an update waits for an owner that claims nothing before it goes on without it. */
  readonly updateWaitMs: number;
  /** How long an action may show no effect before it is given again. */
  readonly actionTimeoutMs: number;
}

export const RECONCILE_DEFAULTS: ReconcileOptions = {
  stableWaitMs: 2_000,
  maxConcurrentStarts: 2,
  updateWaitMs: 60_000,
  actionTimeoutMs: 30_000,
};

/** A service that is deployed, wherever it is placed. */
export interface DeployedService {
  /** Its number in claims: the first 4 bytes of its slot key. */
  readonly claimKey: number;
  readonly generation: number;
  readonly spec: ServiceSpec;
  /** Where it is placed now, best first (placement.ts). */
  readonly owners: readonly NodeId[];
}

export interface ReconcileInput {
  /** Monotonic time. */
  readonly nowMs: number;
  readonly self: NodeId;
  /** False until the first full sync: before it, what is missing here may still be deployed. */
  readonly synced: boolean;
  /** All deployed services by name. An instance that is not among them was undeployed. */
  readonly services: ReadonlyMap<string, DeployedService>;
  /** What the engine lists. */
  readonly running: readonly InstanceStatus[];
  /** What the other nodes claim, by node; the dead are left out. */
  readonly claims: ReadonlyMap<NodeId, readonly Claim[]>;
}

/** Why a service that is placed here does not run yet, or runs an older generation. */
export type WaitReason =
  | "settling"
  | "start-limit"
  | "node-full"
  | "other-owner-runs"
  | "update-in-turn";

export type Action =
  | { readonly kind: "start"; readonly instance: Instance }
  | { readonly kind: "stop"; readonly name: string; readonly reason: StopReason };

export type StopReason = "undeployed" | "taken-over" | "not-placed-here";

export interface Waiting {
  readonly name: string;
  readonly reason: WaitReason;
}

export interface ReconcileResult {
  readonly state: ReconcileState;
  readonly actions: readonly Action[];
  /** For the node's slot, sorted by service number; at most CLAIMS_MAX. */
  readonly claims: readonly Claim[];
  readonly waiting: readonly Waiting[];
}

/** What is remembered from tick to tick, by service name: only what concerns this node. */
export interface ReconcileState {
  readonly entries: ReadonlyMap<string, Entry>;
}

interface Entry {
  /** Whether this node is an owner, and since when that has been so without a break. */
  readonly placed: boolean;
  readonly placedSinceMs: number;
  readonly generation: number;
  /** Since when the service has been at `generation`, as seen from here. */
  readonly generationSinceMs: number;
  /** An action given whose effect the engine has not shown yet. */
  readonly pending: { readonly generation: number | "stop"; readonly sinceMs: number } | null;
}

export const RECONCILE_START: ReconcileState = { entries: new Map() };

/** Null: nothing that the others should reckon with. */
const CLAIM_STATE_OF: Readonly<Record<InstanceState, ClaimState | null>> = {
  building: "building",
  starting: "starting",
  healthy: "healthy",
  unhealthy: "failed",
  backoff: "failed",
  refused: "failed",
  idle: null,
  stopping: "stopping",
};

/** What one service needs now. */
type Decision =
  | { readonly kind: "nothing" }
  | { readonly kind: "stop"; readonly reason: StopReason }
  | { readonly kind: "start" }
  | { readonly kind: "wait"; readonly reason: WaitReason };

const NOTHING: Decision = { kind: "nothing" };

/**
 * One tick. The same input again gives no further actions: an action is remembered until
 * the engine shows its effect.
 *
 * Without consensus two nodes may run a service at once while it moves, for as long as
 * their views differ and the newcomer needs to become healthy; a singleton stops first and
 * starts afterwards instead, and stops wherever it loses the majority (its placement is
 * empty there).
 */
export function reconcile(
  state: ReconcileState,
  input: ReconcileInput,
  options: ReconcileOptions,
): ReconcileResult {
  assert(options.maxConcurrentStarts > 0, "at least one instance may start at a time");
  if (!input.synced) return { state, actions: [], claims: claimsOf(input), waiting: [] };

  const running = new Map(input.running.map((instance) => [instance.name, instance]));
  const names = namesOfConcern(input, state, running);
  const entries = new Map<string, Entry>();
  for (const name of names) {
    const entry = observe(state.entries.get(name), name, running.get(name), input, options);
    if (entry !== null) entries.set(name, entry);
  }

  const budget = startBudget(entries, running, options);
  const actions: Action[] = [];
  const waiting: Waiting[] = [];
  for (const name of names) {
    const entry = entries.get(name);
    if (entry?.pending) continue;
    const service = input.services.get(name);
    const instance = running.get(name);
    const decision = admit(decide(service, entry, instance, input, options), instance, budget);
    if (decision.kind === "wait") waiting.push({ name, reason: decision.reason });
    const action = actionFor(decision, name, service);
    if (action === null) continue;
    actions.push(action);
    entries.set(name, withPending(entry, action, input.nowMs));
  }
  return { state: { entries }, actions, claims: claimsOf(input), waiting };
}

/** Sorted, so that the same input gives the same actions in the same order. */
function namesOfConcern(
  input: ReconcileInput,
  state: ReconcileState,
  running: ReadonlyMap<string, InstanceStatus>,
): string[] {
  const names = new Set([...running.keys(), ...state.entries.keys()]);
  for (const [name, service] of input.services) {
    if (service.owners.includes(input.self)) names.add(name);
  }
  return [...names].sort();
}

/** The entry brought up to date, or null when the service no longer concerns this node. */
function observe(
  before: Entry | undefined,
  name: string,
  instance: InstanceStatus | undefined,
  input: ReconcileInput,
  options: ReconcileOptions,
): Entry | null {
  const { nowMs } = input;
  const service = input.services.get(name);
  const placed = service?.owners.includes(input.self) ?? false;
  const pending = before === undefined ? null : stillPending(before, instance, nowMs, options);
  if (!placed && instance === undefined && pending === null) return null;

  const generation = service?.generation ?? before?.generation ?? 0;
  return {
    placed,
    placedSinceMs: before?.placed === placed ? before.placedSinceMs : nowMs,
    generation,
    generationSinceMs: before?.generation === generation ? before.generationSinceMs : nowMs,
    pending,
  };
}

function stillPending(
  before: Entry,
  instance: InstanceStatus | undefined,
  nowMs: number,
  options: ReconcileOptions,
): Entry["pending"] {
  const { pending } = before;
  if (pending === null || nowMs - pending.sinceMs >= options.actionTimeoutMs) return null;
  const shown =
    pending.generation === "stop"
      ? instance === undefined || instance.state === "stopping"
      : instance !== undefined && isAtWork(instance, pending.generation);
  return shown ? null : pending;
}

/** Whether an instance is of this generation, is on its way to it, or has come back from it. */
function isAtWork(instance: InstanceStatus, generation: number): boolean {
  const { next, rolledBackFrom, state } = instance;
  if (next?.generation === generation || rolledBackFrom === generation) return true;
  return state !== "idle" && instance.generation === generation;
}

/** How many more may start now, and how many more the node may hold. */
interface Budget {
  starts: number;
  instances: number;
}

function startBudget(
  entries: ReadonlyMap<string, Entry>,
  running: ReadonlyMap<string, InstanceStatus>,
  options: ReconcileOptions,
): Budget {
  let starting = 0;
  let held = running.size;
  for (const instance of running.values()) if (instance.state === "starting") starting += 1;
  for (const [name, { pending }] of entries) {
    if (pending === null || pending.generation === "stop") continue;
    if (running.get(name)?.state !== "starting") starting += 1;
    if (!running.has(name)) held += 1;
  }
  return { starts: options.maxConcurrentStarts - starting, instances: CLAIMS_MAX - held };
}

/** Lets a start through while the budget lasts, and charges it. */
function admit(decision: Decision, instance: InstanceStatus | undefined, budget: Budget): Decision {
  if (decision.kind !== "start") return decision;
  if (instance === undefined && budget.instances <= 0) return { kind: "wait", reason: "node-full" };
  // Replacing one that is still starting takes its place.
  const takesItsPlace = instance?.state === "starting";
  if (!takesItsPlace && budget.starts <= 0) return { kind: "wait", reason: "start-limit" };
  if (!takesItsPlace) budget.starts -= 1;
  if (instance === undefined) budget.instances -= 1;
  return decision;
}

function decide(
  service: DeployedService | undefined,
  entry: Entry | undefined,
  instance: InstanceStatus | undefined,
  input: ReconcileInput,
  options: ReconcileOptions,
): Decision {
  if (instance?.state === "stopping") return NOTHING;
  if (service === undefined) {
    return instance === undefined ? NOTHING : { kind: "stop", reason: "undeployed" };
  }
  if (entry === undefined) return NOTHING;
  const settled = input.nowMs - entry.placedSinceMs >= options.stableWaitMs;
  if (!entry.placed) {
    if (instance === undefined) return NOTHING;
    return instance.state === "idle"
      ? { kind: "stop", reason: "not-placed-here" }
      : decideLeaving(service, settled, input);
  }
  if (instance === undefined || instance.state === "idle") {
    return decideStart(service, settled, input);
  }
  if (isAtWork(instance, service.generation)) return NOTHING;
  return decideUpdate(service, entry, instance, input, options);
}

/** It runs here and is placed elsewhere: the old owner goes only when it is not missed. */
function decideLeaving(
  service: DeployedService,
  settled: boolean,
  input: ReconcileInput,
): Decision {
  const { spec, owners } = service;
  // Nobody takes over an instance of "all", and a singleton must not wait for its successor.
  if (spec.singleton || spec.replicas === "all") return { kind: "stop", reason: "not-placed-here" };
  const takenOver =
    settled &&
    owners.length > 0 &&
    owners.every((owner) => {
      const claim = claimOf(input, owner, service);
      return claim !== undefined && isServing(claim.state);
    });
  return takenOver ? { kind: "stop", reason: "taken-over" } : NOTHING;
}

function decideStart(service: DeployedService, settled: boolean, input: ReconcileInput): Decision {
  if (!settled) return { kind: "wait", reason: "settling" };
  if (service.spec.singleton && claimedElsewhere(service, input)) {
    return { kind: "wait", reason: "other-owner-runs" };
  }
  return { kind: "start" };
}

/**
 * An older generation runs here. The owners update one after the other in the order of
 * placement, each when those before it are healthy at the new generation, so that a version
 * that does not start stops at its first owner; and none while a later one is down, as when
 * one deployment follows another. One that is not healthy now has nothing to lose and does
 * not wait.
 */
function decideUpdate(
  service: DeployedService,
  entry: Entry,
  instance: InstanceStatus,
  input: ReconcileInput,
  options: ReconcileOptions,
): Decision {
  if (instance.state !== "healthy" || service.owners.length === 1) return { kind: "start" };
  const waitedMs = input.nowMs - entry.generationSinceMs;
  const patient = waitedMs < options.updateWaitMs;
  const turn = service.owners.indexOf(input.self);
  const isReady = service.owners.every((owner, index) => {
    if (index === turn) return true;
    const claim = claimOf(input, owner, service);
    if (claim === undefined) return !patient;
    if (index > turn) return isServing(claim.state) || !patient;
    return claim.generation === service.generation && claim.state === "healthy";
  });
  // Who updates to the generation before has been heard of by then.
  const isSettled = waitedMs >= options.stableWaitMs;
  return isReady && isSettled ? { kind: "start" } : { kind: "wait", reason: "update-in-turn" };
}

function claimOf(
  input: ReconcileInput,
  nodeId: NodeId,
  service: DeployedService,
): Claim | undefined {
  return input.claims.get(nodeId)?.find((claim) => claim.service === service.claimKey);
}

function claimedElsewhere(service: DeployedService, input: ReconcileInput): boolean {
  for (const nodeId of input.claims.keys()) {
    if (nodeId !== input.self && claimOf(input, nodeId, service) !== undefined) return true;
  }
  return false;
}

function actionFor(
  decision: Decision,
  name: string,
  service: DeployedService | undefined,
): Action | null {
  if (decision.kind === "stop") return { kind: "stop", name, reason: decision.reason };
  if (decision.kind !== "start" || service === undefined) return null;
  const { generation, spec } = service;
  return { kind: "start", instance: { name, generation, spec } };
}

function withPending(entry: Entry | undefined, action: Action, nowMs: number): Entry {
  assert(entry !== undefined, "whatever acts was observed in this tick");
  const generation = action.kind === "start" ? action.instance.generation : "stop";
  return { ...entry, pending: { generation, sinceMs: nowMs } };
}

/** What runs here, as the others are told. An undeployed service is left out: nobody asks for it. */
function claimsOf(input: ReconcileInput): Claim[] {
  const claims: Claim[] = [];
  for (const instance of input.running) {
    const service = input.services.get(instance.name);
    const state = claimStateOf(instance, service?.generation);
    if (service === undefined || state === null || claims.length === CLAIMS_MAX) continue;
    claims.push({ service: service.claimKey, generation: instance.generation, state });
  }
  return claims.sort((a, b) => a.service - b.service);
}

/** @param wanted the generation that is deployed; undefined: none is */
function claimStateOf(instance: InstanceStatus, wanted: number | undefined): ClaimState | null {
  const { state, rolledBackFrom } = instance;
  const isBack = wanted !== undefined && rolledBackFrom === wanted;
  return state === "healthy" && isBack ? "rolled-back" : CLAIM_STATE_OF[state];
}
