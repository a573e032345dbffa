// The cluster as this node sees it, decoded from the replica's table once for everyone who
// asks: placement, DNS and the API. Read anew when the table has changed, and not too often.

import { type PlacementNode, place } from "../engine/placement.ts";
import type { MemberView, ReplicaInterface, ServiceView } from "../node/interface.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { Claim } from "../schema/node-info.ts";
import type { SlotKey } from "../schema/slot.ts";

/** While the table keeps changing, it is read this often. */
const REFRESH_INTERVAL_MS = 500;
/** Certificates expire without any change of the table. */
const REFRESH_AT_LEAST_MS = 10_000;

/** An instance that a living node claims to run. */
export interface ClaimedInstance {
  readonly member: MemberView;
  readonly claim: Claim;
}

type ReadableReplica = Pick<ReplicaInterface, "members" | "services" | "version" | "nodeId">;

export class ClusterView {
  readonly #replica: ReadableReplica;
  #readVersion = -1;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #members: readonly MemberView[] = [];
  #services: ReadonlyMap<string, ServiceView> = new Map();
  #owners: ReadonlyMap<string, readonly NodeId[]> = new Map();
  #instances: ReadonlyMap<number, readonly ClaimedInstance[]> = new Map();
  /** Called when a member's status is another than at the last look. */
  onMemberStatus: (nodeId: NodeId, status: MemberView["status"]) => void = () => {};

  /** Called when the view was read anew. */
  onRead: () => void = () => {};

  constructor(replica: ReadableReplica) {
    this.#replica = replica;
  }

  /** All members, the dead included, in the order of their ids. */
  get members(): readonly MemberView[] {
    return this.#members;
  }

  /** All deployed services by name. */
  get services(): ReadonlyMap<string, ServiceView> {
    return this.#services;
  }

  /** Where a service is placed, best first. */
  ownersOf(name: string): readonly NodeId[] {
    return this.#owners.get(name) ?? [];
  }

  /** What living nodes claim to run of a service, in the order of their ids. */
  instancesOf(service: ServiceView): readonly ClaimedInstance[] {
    return this.#instances.get(service.claimKey) ?? [];
  }

  /**
   * Brings the view up to date.
   * @param nowMs Unix time. @param atOnce not to wait out the interval, for one who asks
   */
  refresh(nowMs: number, atOnce = false): void {
    const ageMs = Math.abs(nowMs - this.#readAtMs);
    const changed = this.#replica.version !== this.#readVersion;
    const due = changed ? atOnce || ageMs >= REFRESH_INTERVAL_MS : ageMs >= REFRESH_AT_LEAST_MS;
    if (!due) return;
    this.#readVersion = this.#replica.version;
    this.#readAtMs = nowMs;
    const before = this.#members;
    this.#members = this.#replica.members(nowMs).sort(byNodeId);
    const services = this.#replica.services();
    this.#services = new Map(services.map((service) => [service.spec.name, service]));
    this.#owners = placeAll(services, this.#members);
    this.#instances = indexClaims(this.#members);
    this.#tellStatuses(before);
    this.onRead();
  }

  #tellStatuses(before: readonly MemberView[]): void {
    const statuses = new Map(before.map(({ nodeId, status }) => [nodeId, status]));
    for (const { nodeId, status, self } of this.#members) {
      if (!self && statuses.get(nodeId) !== status) this.onMemberStatus(nodeId, status);
    }
  }
}

/** Whether a member may hold instances: a suspect is not dead until said so. */
export function isLiving({ status }: MemberView): boolean {
  return status === "alive" || status === "suspect";
}

function placeAll(
  services: readonly ServiceView[],
  members: readonly MemberView[],
): Map<string, readonly NodeId[]> {
  const workers = members.filter(({ roles }) => roles.includes("member"));
  const nodes = workers.map(placementNode);
  // A suspect may be on the other side already, and there they start after a shorter wait.
  const reachableCount = workers.filter(({ self, status }) => self || status === "alive").length;
  const reach = { rosterSize: workers.length, reachableCount };
  return new Map(
    services.map(({ key, spec }) => [
      spec.name,
      place({ key: slotKeyOf(key), spec }, nodes, reach),
    ]),
  );
}

function placementNode({ nodeId, zone, info, status }: MemberView): PlacementNode {
  const { arch, devices, labels, memoryMiB, draining } = info;
  const life = status === "left" ? "dead" : status;
  return { nodeId, zone, arch, devices, labels, memoryMiB, draining, status: life };
}

function slotKeyOf(key: string): SlotKey {
  return { high: Number.parseInt(key.slice(0, 8), 16), low: Number.parseInt(key.slice(8), 16) };
}

function indexClaims(members: readonly MemberView[]): Map<number, ClaimedInstance[]> {
  const instances = new Map<number, ClaimedInstance[]>();
  for (const member of members) {
    if (!isLiving(member)) continue;
    for (const claim of member.info.claims) {
      const held = instances.get(claim.service);
      if (held === undefined) instances.set(claim.service, [{ member, claim }]);
      else held.push({ member, claim });
    }
  }
  return instances;
}

function byNodeId(a: MemberView, b: MemberView): number {
  return a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0;
}
