// How far a deployment is, from what the daemon says of its services. Pure: the command asks,
// draws and waits.

import type { DeployedService, InstanceAnswer, ServiceAnswer } from "../api/contract.ts";

/**
 * - `rolling`: fewer healthy instances of the new version than wanted.
 * - `done`: enough of them.
 * - `rolled-back`: it failed on a node, which runs the version before again; the others wait.
 * - `replaced`: a later deployment took its place.
 * - `removed`: it was undeployed meanwhile.
 */
export type RolloutState = "rolling" | "done" | "rolled-back" | "replaced" | "removed";

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
  const isBack = answer.instances.some((instance) => instance.state === "rolled-back");
  const state = wanted > 0 && healthy >= wanted ? "done" : isBack ? "rolled-back" : "rolling";
  return { name, state, wanted, healthy, detail: detailOf(answer, deployed.generation) };
}

function detailOf(answer: ServiceAnswer, generation: number): string {
  if (answer.instances.length > 0) {
    const instances = answer.instances.map((instance) => describe(instance, generation));
    const progress = progressHere(answer, generation);
    return [...instances, ...(progress === "" ? [] : [`here ${progress}`])].join(", ");
  }
  return answer.wanted === 0
    ? "no node may run it: see what its manifest asks of a node"
    : "waiting for a node to start it";
}

/** What the node that was asked is doing towards a version, or why it failed there. */
function progressHere({ here }: ServiceAnswer, generation: number): string {
  if (here === null) return "";
  if (here.next?.generation === generation) return here.next.detail;
  const concerns = here.generation === generation || here.rolledBackFrom === generation;
  return concerns ? here.detail : "";
}

function describe(instance: InstanceAnswer, generation: number): string {
  const version = instance.generation === generation ? "" : " (old version)";
  return `${instance.hostname} ${instance.state}${version}`;
}
