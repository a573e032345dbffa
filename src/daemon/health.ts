// What is wrong with this node right now, in words. An empty list is a healthy node.

import type { HealthProblem } from "../api/contract.ts";
import type { FlowStatus } from "../flow/status.ts";
import type { MemberView } from "../node/interface.ts";
import type { TimedInstance } from "./service-runner.ts";

/** How long after its start a node may be without the others. */
const JOIN_PATIENCE_MS = 15_000;
/** How long before its end a certificate is worth a word. */
const EXPIRY_NOTICE_MS = 14 * 24 * 3_600_000;
const LAG_MAX_MS = 1_000;
const DAY_MS = 24 * 3_600_000;

/** What the mesh's health is judged by. */
export interface MeshHealthSources {
  readonly nowMs: number;
  readonly uptimeMs: number;
  /** Why the log takes no writes, or null. */
  readonly logProblem: string | null;
  /** Why DNS does not answer, or null. */
  readonly dnsProblem: string | null;
  readonly synced: boolean;
  readonly excluded: boolean;
  readonly members: readonly MemberView[];
  /** Whether the configuration or the invitation names nodes to join through. */
  readonly hasSeeds: boolean;
  readonly unresolvedPeers: readonly string[];
  readonly instances: readonly TimedInstance[];
}

export function meshProblems(sources: MeshHealthSources): HealthProblem[] {
  return [
    logProblem(sources),
    exclusion(sources),
    expiry(sources),
    isolation(sources),
    unresolvedPeers(sources),
    dnsProblem(sources),
    ...sources.instances.map(instanceProblem),
  ].filter((problem) => problem !== null);
}

export function flowProblems({ phase, problem, frozen, link }: FlowStatus): HealthProblem[] {
  if (problem !== null) return [{ code: "flow-impaired", message: `flow: ${problem}` }];
  if (phase !== "running" || !frozen) return [];
  const line = link === "down" || link === "gone" ? `; the interface is ${link}` : "";
  const message = `flow: the loop is frozen and keeps the last stable rates${line}; "myco flow status" says why`;
  return [{ code: "flow-frozen", message }];
}

/** @param refused what is wrong with the configuration that was refused last, or null */
export function configurationProblems(refused: string | null): HealthProblem[] {
  if (refused === null) return [];
  const [first = ""] = refused.split("\n");
  const message = `the configuration was refused, and the one of before is in force: ${first}; "myco reload" says more`;
  return [{ code: "configuration-refused", message }];
}

/** @param reason why the bus has not known the daemon for a while, or null */
export function ubusProblems(reason: string | null): HealthProblem[] {
  if (reason === null) return [];
  return [{ code: "ubus-lost", message: `the daemon is not on ubus: ${reason}` }];
}

/** @param loopLagMs the latest that a tick came within the last minute */
export function lagProblems(loopLagMs: number): HealthProblem[] {
  if (loopLagMs < LAG_MAX_MS) return [];
  const message = `the daemon was held up for ${Math.round(loopLagMs)} ms within the last minute; the machine may be overloaded`;
  return [{ code: "lagging", message }];
}

function logProblem({ logProblem }: MeshHealthSources): HealthProblem | null {
  if (logProblem === null) return null;
  const message = `the log cannot be written (${logProblem}); writes are refused until it can be again`;
  return { code: "log-failed", message };
}

function exclusion({ excluded }: MeshHealthSources): HealthProblem | null {
  if (!excluded) return null;
  const message =
    "this node's certificate was revoked or has expired; the cluster's operator can invite it anew";
  return { code: "excluded", message };
}

function expiry({ members, nowMs, excluded }: MeshHealthSources): HealthProblem | null {
  const self = members.find((member) => member.self);
  if (self === undefined || excluded || self.notAfterMs - nowMs > EXPIRY_NOTICE_MS) return null;
  const days = Math.max(0, Math.floor((self.notAfterMs - nowMs) / DAY_MS));
  const message = `this node's certificate expires in ${days} days; invite it anew before that`;
  return { code: "certificate-expiring", message };
}

function isolation({
  members,
  uptimeMs,
  synced,
  hasSeeds,
  excluded,
}: MeshHealthSources): HealthProblem | null {
  if (excluded || uptimeMs < JOIN_PATIENCE_MS) return null;
  const known = members.filter(({ self }) => !self);
  const others = known.filter(({ status }) => status !== "left");
  const inReach = others.some(({ status }) => status === "alive");
  if (inReach && synced) return null;
  if (inReach) {
    return { code: "not-synced", message: "the table does not equal any other node's yet" };
  }
  // Nobody is missed where all the others left on purpose, or there never were any.
  if (others.length === 0 && (known.length > 0 || !hasSeeds)) return null;
  const message =
    others.length === 0
      ? "none of the nodes to join through answers; check their addresses and the firewalls (UDP)"
      : "no other member of the cluster is in reach; check the network and the firewalls (UDP)";
  return { code: "alone", message };
}

function unresolvedPeers({ unresolvedPeers, uptimeMs }: MeshHealthSources): HealthProblem | null {
  if (unresolvedPeers.length === 0 || uptimeMs < JOIN_PATIENCE_MS) return null;
  const message = `no address is found for ${unresolvedPeers.join(", ")}; check "peers" in the configuration`;
  return { code: "peer-unresolved", message };
}

function dnsProblem({ dnsProblem }: MeshHealthSources): HealthProblem | null {
  return dnsProblem === null ? null : { code: "dns-unavailable", message: dnsProblem };
}

function instanceProblem({ name, state, detail }: TimedInstance): HealthProblem | null {
  if (state !== "unhealthy" && state !== "backoff" && state !== "refused") return null;
  const why = detail === "" ? "" : `: ${detail}`;
  return { code: "service-failing", message: `service ${name} is ${state}${why}` };
}
