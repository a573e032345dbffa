// The mesh's state in the words of the API.

import type {
  DaemonStatus,
  DrainAnswer,
  EngineInstanceAnswer,
  MemberAnswer,
  RemainingService,
  ServiceAnswer,
  StatusAnswer,
} from "../api/contract.ts";
import type { IoEngine } from "../io/engine.ts";
import { SLOTS_MAX } from "../kernel/limits.ts";
import type { MemberView, ReplicaInterface, ServiceView } from "../node/interface.ts";
import { MEMBER_STATUSES, type MemberStatus } from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import { isServing } from "../schema/node-info.ts";
import { stampMs } from "../sync/hybrid-clock.ts";
import { type ClusterView, isDraining } from "./cluster-view.ts";
import type { JournalKeeper } from "./journal-keeper.ts";
import type { ServiceRunner, TimedInstance } from "./service-runner.ts";

/** Everything a status is made of. */
export interface StatusSources {
  readonly replica: ReplicaInterface;
  readonly rootId: NodeId;
  readonly view: ClusterView;
  readonly io: IoEngine;
  readonly journal: JournalKeeper;
  readonly runner: ServiceRunner;
  readonly engineKind: string;
  readonly startedAtMs: number;
}

/** What the mesh adds to the daemon's status. */
export function meshStatus(
  sources: StatusSources,
  dnsQueries: number,
  nowMs: number,
): Omit<StatusAnswer, keyof DaemonStatus> {
  const { replica, journal, runner } = sources;
  const { slots, recordBytes } = replica.statistics;
  return {
    node: nodePart(sources, nowMs),
    cluster: {
      rootId: sources.rootId,
      rootHash: replica.rootHash,
      revocationBlock: replica.revocationBlock,
      synced: replica.synced,
      excluded: replica.excluded,
      members: countStatuses(sources.view.members),
    },
    table: { slots, capacity: SLOTS_MAX, recordBytes },
    log: { state: journal.log.state, sizeBytes: journal.log.sizeBytes },
    engine: {
      kind: sources.engineKind,
      instances: runner.list().map(engineInstanceAnswer),
      waiting: runner.waiting.map(({ name, reason }) => ({ service: name, reason })),
    },
    network: networkPart(sources, dnsQueries),
  };
}

export function memberAnswer(member: MemberView): MemberAnswer {
  const { nodeId, self, status, incarnation, info, zone, roles, notAfterMs, rttMs } = member;
  const { hostname, endpoints, arch, memoryMiB } = info;
  return {
    nodeId,
    self,
    hostname,
    status,
    zone,
    roles,
    endpoints,
    arch,
    memoryMiB,
    draining: isDraining(member),
    drainedBy: member.drainedBy,
    rttMs: rttMs === null ? null : Math.round(rttMs * 10) / 10,
    incarnation,
    notAfterMs,
  };
}

/** Null when there is no such member and nobody drained it. */
export function drainAnswer(
  nodeId: NodeId,
  view: ClusterView,
  replica: Pick<ReplicaInterface, "drainedBy">,
): DrainAnswer | null {
  const member = view.members.find((each) => each.nodeId === nodeId);
  const drainedBy = /^[0-9a-f]{16}$/.test(nodeId) ? replica.drainedBy(nodeId) : null;
  if (member === undefined && drainedBy === null) return null;
  return {
    nodeId,
    draining: drainedBy !== null || (member !== undefined && isDraining(member)),
    drainedBy,
    remaining: member === undefined ? [] : remainingOn(member, view),
  };
}

function remainingOn(member: MemberView, view: ClusterView): RemainingService[] {
  const remaining: RemainingService[] = [];
  for (const { service, claim } of view.claimedBy(member)) {
    const instances = view.instancesOf(service);
    const owners = view.ownersOf(service).map((nodeId) => ({
      nodeId,
      hostname: view.members.find((each) => each.nodeId === nodeId)?.info.hostname ?? "",
      state: instances.find((instance) => instance.member.nodeId === nodeId)?.claim.state ?? null,
    }));
    remaining.push({ name: service.spec.name, state: claim.state, owners });
  }
  return remaining.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @param here the service's instance on this node; undefined: none */
export function serviceAnswer(
  service: ServiceView,
  view: ClusterView,
  here: TimedInstance | undefined,
): ServiceAnswer {
  const { spec, key, author, stamp, generation } = service;
  const owners = view.ownersOf(service);
  const instances = view.instancesOf(service).map(({ member, claim }) => ({
    nodeId: member.nodeId,
    hostname: member.info.hostname,
    state: claim.state,
    generation: claim.generation,
    current: claim.generation === generation,
  }));
  return {
    name: spec.name,
    key,
    author,
    stamp,
    updatedAtMs: stampMs(stamp),
    generation,
    spec,
    wanted: owners.length,
    healthy: instances.filter(({ state }) => isServing(state)).length,
    owners,
    instances,
    here: here === undefined ? null : engineInstanceAnswer(here),
  };
}

function nodePart(
  { replica, view, startedAtMs }: StatusSources,
  nowMs: number,
): StatusAnswer["node"] {
  const self = view.members.find((member) => member.self);
  return {
    id: replica.nodeId,
    hostname: self?.info.hostname ?? "",
    zone: self?.zone ?? 0,
    roles: self?.roles ?? [],
    endpoints: self?.info.endpoints ?? [],
    incarnation: self?.incarnation ?? 0,
    startedAtMs,
    uptimeMs: Math.max(0, nowMs - startedAtMs),
  };
}

function networkPart({ replica, io }: StatusSources, dnsQueries: number): StatusAnswer["network"] {
  const { packetsRefused, sessions, handshakesStarted, handshakesRefused } = replica.statistics;
  const { datagramsReceived, datagramsDropped, packetsSent, sendsDropped, sendErrors } =
    io.udp.statistics;
  return {
    packetsReceived: datagramsReceived,
    packetsSent,
    packetsRefused,
    datagramsDropped,
    sendsDropped,
    sendErrors,
    sessions,
    handshakesStarted,
    handshakesRefused,
    dnsQueries,
  };
}

function countStatuses(members: readonly MemberView[]): Record<MemberStatus, number> {
  const counts = Object.fromEntries(MEMBER_STATUSES.map((status) => [status, 0]));
  for (const { status } of members) counts[status] = (counts[status] ?? 0) + 1;
  return counts as Record<MemberStatus, number>;
}

function engineInstanceAnswer(instance: TimedInstance): EngineInstanceAnswer {
  const { name, restartCount, ...same } = instance;
  return { ...same, service: name, restarts: restartCount };
}
