// The cluster as this node sees it: who is in it, what is placed here, and where the rest is.
// It keeps what concerns this node, and works out the rest when somebody asks: thousands of
// decoded services would not fit the daemon's memory.

import { type PlacementNode, place, type RosterReach } from "../engine/placement.ts";
import type { DeployedService } from "../engine/reconcile.ts";
import { PLACED_HERE_MAX, SLOTS_MAX } from "../kernel/limits.ts";
import type { MemberView, ServiceView } from "../node/interface.ts";
import type { Replica } from "../node/replica.ts";
import { serviceViewAt } from "../node/views.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { Claim } from "../schema/node-info.ts";
import { SLOT_KIND, type SlotKey } from "../schema/slot.ts";

/** While the table keeps changing, it is read this often. */
const REFRESH_INTERVAL_MS = 500;
/** Certificates expire without any change of the table. */
const REFRESH_AT_LEAST_MS = 10_000;

/** An instance that a living node claims to run. */
export interface ClaimedInstance {
  readonly member: MemberView;
  readonly claim: Claim;
}

/** What the view reads of a replica. */
export type ReadableReplica = Pick<Replica, "members" | "service" | "version" | "nodeId" | "table">;

/** What placement depends on besides the service. */
interface Roster {
  readonly nodes: readonly PlacementNode[];
  readonly reach: RosterReach;
}

export class ClusterView {
  /** Called when a member's status is another than at the last look. */
  onMemberStatus: (nodeId: NodeId, status: MemberView["status"]) => void = () => {};
  readonly #replica: ReadableReplica;
  #readVersion = -1;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #members: readonly MemberView[] = [];
  #roster: Roster = { nodes: [], reach: { rosterSize: 0, reachableCount: 0 } };
  /** By slot: the generation whose placement is known, as far as the roster stands. */
  readonly #placedGenerations = new Uint32Array(SLOTS_MAX);
  /** By slot: the services placed on this node. */
  #placedHere = new Map<number, DeployedService>();

  constructor(replica: ReadableReplica) {
    this.#replica = replica;
  }

  /** Another one after every change of the table that was read. */
  get version(): number {
    return this.#readVersion;
  }

  /** All members, the dead included, in the order of their ids. */
  get members(): readonly MemberView[] {
    return this.#members;
  }

  /** The services placed on this node, by name; at most PLACED_HERE_MAX. */
  placedHere(): Map<string, DeployedService> {
    return new Map([...this.#placedHere.values()].map((service) => [service.spec.name, service]));
  }

  /** Null when no such service is deployed. */
  service(name: string): ServiceView | null {
    return this.#replica.service(name);
  }

  /** A service with its placement; null when it is not deployed. */
  deployed(name: string): DeployedService | null {
    const service = this.service(name);
    return service === null ? null : this.#deployedService(service);
  }

  /** The names of all deployed services, sorted. */
  serviceNames(): string[] {
    const names: string[] = [];
    for (const service of this.services()) names.push(service.spec.name);
    return names.sort();
  }

  /** All deployed services, decoded one by one. */
  *services(): Generator<ServiceView> {
    for (const slot of this.#serviceSlots()) yield serviceViewAt(this.#replica.table, slot);
  }

  /** Where a service is placed, best first. */
  ownersOf({ key, spec }: ServiceView): NodeId[] {
    return place({ key: slotKeyOf(key), spec }, this.#roster.nodes, this.#roster.reach);
  }

  /** What living nodes claim to run of a service, in the order of their ids. */
  instancesOf({ claimKey }: ServiceView): ClaimedInstance[] {
    const instances: ClaimedInstance[] = [];
    for (const member of this.#members) {
      if (!isLiving(member)) continue;
      const claim = member.info.claims.find(({ service }) => service === claimKey);
      if (claim !== undefined) instances.push({ member, claim });
    }
    return instances;
  }

  /** The deployed services that a living member claims to run. */
  *claimedBy(member: MemberView): Generator<{ service: ServiceView; claim: Claim }> {
    if (!isLiving(member)) return;
    const { table } = this.#replica;
    for (const slot of this.#serviceSlots()) {
      const claimKey = table.keyHigh(slot);
      const claim = member.info.claims.find(({ service }) => service === claimKey);
      if (claim !== undefined) yield { service: serviceViewAt(table, slot), claim };
    }
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
    this.#readRoster();
    this.#readPlacements();
    this.#tellStatuses(before);
  }

  /** Another roster makes every placement that is known worthless. */
  #readRoster(): void {
    const roster = rosterOf(this.#members);
    if (JSON.stringify(roster) !== JSON.stringify(this.#roster)) this.#placedGenerations.fill(0);
    this.#roster = roster;
  }

  #readPlacements(): void {
    const { table, nodeId } = this.#replica;
    const placedHere = new Map<number, DeployedService>();
    const known = this.#placedGenerations.slice();
    // A slot that was vacated is known no longer, even if the same record comes back.
    this.#placedGenerations.fill(0);
    for (const slot of this.#serviceSlots()) {
      const generation = table.fingerprintLow(slot);
      const isKnown = generation !== 0 && known[slot] === generation;
      const service = isKnown
        ? this.#placedHere.get(slot)
        : this.#deployedService(serviceViewAt(table, slot));
      if (service?.owners.includes(nodeId) === true) {
        // Far more than a node can run; what is left out is looked at again each time.
        if (placedHere.size >= PLACED_HERE_MAX) continue;
        placedHere.set(slot, service);
      }
      this.#placedGenerations[slot] = generation;
    }
    this.#placedHere = placedHere;
  }

  #deployedService(service: ServiceView): DeployedService {
    const { claimKey, generation, spec } = service;
    return { claimKey, generation, spec, owners: this.ownersOf(service) };
  }

  *#serviceSlots(): Generator<number> {
    const { table } = this.#replica;
    for (const slot of table.slots()) {
      if (table.kind(slot) === SLOT_KIND.service && !table.isTombstone(slot)) yield slot;
    }
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

/** Whether a member takes no more work: by its own word, or because a deployer said so. */
export function isDraining({ info, drainedBy }: MemberView): boolean {
  return info.draining || drainedBy !== null;
}

function rosterOf(members: readonly MemberView[]): Roster {
  const workers = members.filter(({ roles }) => roles.includes("member"));
  // A suspect may be on the other side already, and there they start after a shorter wait.
  const reachableCount = workers.filter(({ self, status }) => self || status === "alive").length;
  return {
    nodes: workers.map(placementNode),
    reach: { rosterSize: workers.length, reachableCount },
  };
}

function placementNode(member: MemberView): PlacementNode {
  const { nodeId, zone, status } = member;
  const { arch, devices, labels, memoryMiB } = member.info;
  const life = status === "left" ? "dead" : status;
  const draining = isDraining(member);
  return { nodeId, zone, arch, devices, labels, memoryMiB, draining, status: life };
}

function slotKeyOf(key: string): SlotKey {
  return { high: Number.parseInt(key.slice(0, 8), 16), low: Number.parseInt(key.slice(8), 16) };
}

function byNodeId(a: MemberView, b: MemberView): number {
  return a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0;
}
