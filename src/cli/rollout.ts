// How far a deployment is, from what the daemon says of its services. Pure: the command asks,
// draws and waits.

import type { DeployedService, InstanceAnswer, ServiceAnswer } from "../api/contract.ts";

/**
 * - `rolling`: fewer healthy instances of the new version than wanted.
 * - `done`: enough of them.
 * - `replaced`: a later deployment took its place.
 * - `removed`: it was undeployed meanwhile.
 */
export type RolloutState = "rolling" | "done" | "replaced" | "removed";

export interface Rollout {
  readonly name: string;
  readonly state: RolloutState;
  readonly wanted: number;
  /** Healthy instances of the version that was deployed. */
  readonly healthy: number;
  /** Where its instances stand, for people; the ones of the old version included. */
  readonly detail: string;
}

/** @param answer what the daemon says of the service now; null when it knows none of the name */
export function rolloutOf(deployed: DeployedService, answer: ServiceAnswer | null): Rollout {
  const { name } = deployed;
  if (answer === null) {
    return { name, state: "removed", wanted: 0, healthy: 0, detail: "it was undeployed" };
  }
  const { wanted } = answer;
  const healthy = answer.instances.filter(
    (instance) => instance.state === "healthy" && instance.generation === deployed.generation,
  ).length;
  if (answer.stamp > deployed.stamp) {
    return { name, state: "replaced", wanted, healthy, detail: "a later deployment replaced it" };
  }
  const state = wanted > 0 && healthy >= wanted ? "done" : "rolling";
  return { name, state, wanted, healthy, detail: detailOf(answer, deployed.generation) };
}

function detailOf(answer: ServiceAnswer, generation: number): string {
  if (answer.instances.length > 0) {
    return answer.instances.map((instance) => describe(instance, generation)).join(", ");
  }
  return answer.wanted === 0
    ? "no node may run it: see what its manifest asks of a node"
    : "waiting for a node to start it";
}

function describe(instance: InstanceAnswer, generation: number): string {
  const version = instance.generation === generation ? "" : " (old version)";
  return `${instance.hostname} ${instance.state}${version}`;
}
