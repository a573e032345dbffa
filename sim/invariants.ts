// What must hold at every tick, whatever goes wrong. Each rule is a function of what an
// observer sees; the checker asks them in turns, so that a tick stays cheap.

import { createHash } from "node:crypto";
import { type PlacementNode, place } from "../src/engine/placement.ts";
import { OUTBOX_PACKETS, SESSIONS_MAX } from "../src/kernel/limits.ts";
import type { Crypto } from "../src/kernel/ports.ts";
import type { ReplicaCapacity } from "../src/node/interface.ts";
import type { Replica } from "../src/node/replica.ts";
import { type NodeId, toHex } from "../src/schema/node-id.ts";
import {
  authorBytesOf,
  keyToHex,
  nodeKey,
  readSlot,
  SLOT_KIND,
  slotSignatureHolds,
} from "../src/schema/slot.ts";
import type { SlotTable } from "../src/sync/slot-table.ts";
import { keepsPromise, type Ledger, type LedgerEntry } from "./ledger.ts";
import type { SimulatedNetwork } from "./network.ts";
import type { HeldSlot, NodeHost } from "./node-host.ts";

export type InvariantName =
  | "no acknowledged write lost"
  | "no deleted slot resurrected"
  | "no unsigned writer believed"
  | "no revoked writer believed"
  | "every queue within its bound"
  | "hybrid time monotone"
  | "equal root, equal state"
  | "equal table, equal placement";

/** Something that must never happen did. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
  readonly code = "ERR_INVARIANT";
  readonly invariant: InvariantName;

  constructor(invariant: InvariantName, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

/** Deep checks come once in so many ticks; light ones see a share of the ledger each tick. */
const DEEP_CHECK_TICKS = 64;
const LEDGER_SHARE = 32;
/** In larger clusters disks are only read after a crash. */
const DISK_CHECK_ENTRIES_MAX = 200;
/** Placement is compared on this many services and nodes. */
const PLACEMENT_SERVICES = 60;
const PLACEMENT_NODES = 12;

/** What stands in some machine, up or down. */
export type Holder = Pick<NodeHost, "held" | "nodeId">;

/** An acknowledged write, or a later one, is held somewhere. */
export function checkPromise(entry: LedgerEntry, holders: readonly Holder[]): void {
  if (entry.acknowledged === null) return;
  if (holders.some((holder) => keepsPromise(entry, holder.held(entry.key)))) return;
  throw new InvariantError(
    "no acknowledged write lost",
    `slot ${keyToHex(entry.key)} at stamp ${entry.acknowledged.stamp} is on none of ${holders.length} nodes`,
  );
}

/** What a node acknowledged stands on its own disk: it would be there after a power loss. */
export function checkDurable(
  entries: readonly LedgerEntry[],
  onDisk: ReadonlyMap<string, HeldSlot>,
  keeper: number,
): void {
  for (const entry of entries) {
    if (entry.keeper !== keeper) continue;
    const key = keyToHex(entry.key);
    if (keepsPromise(entry, onDisk.get(key) ?? null)) continue;
    throw new InvariantError(
      "no acknowledged write lost",
      `node ${keeper} acknowledged slot ${key} at stamp ${entry.acknowledged?.stamp} and its disk lacks it`,
    );
  }
}

/** A node that has seen a deletion shows no older version of the slot. */
export function checkNotResurrected(
  entry: LedgerEntry,
  held: HeldSlot | null,
  seenTombstoneStamp: number,
  nodeId: NodeId,
): void {
  if (held === null || held.tombstone || held.stamp >= seenTombstoneStamp) return;
  throw new InvariantError(
    "no deleted slot resurrected",
    `node ${nodeId} saw slot ${keyToHex(entry.key)} deleted at ${seenTombstoneStamp} and shows it at ${held.stamp}`,
  );
}

export interface BoundFigures {
  readonly nodeId: NodeId;
  readonly sessions: number;
  readonly slots: number;
  readonly recordBytes: number;
  readonly packetsInTick: number;
}

export function checkBounds(figures: BoundFigures, capacity: ReplicaCapacity): void {
  const { nodeId, sessions, slots, recordBytes, packetsInTick } = figures;
  const bounds: [name: string, value: number, max: number][] = [
    ["sessions", sessions, SESSIONS_MAX],
    ["slots", slots, capacity.slots],
    ["bytes of records", recordBytes, capacity.arenaBytes],
    ["packets in one tick", packetsInTick, OUTBOX_PACKETS],
  ];
  for (const [name, value, max] of bounds) {
    if (value <= max) continue;
    throw new InvariantError(
      "every queue within its bound",
      `node ${nodeId} has ${value} ${name}, at most ${max}`,
    );
  }
}

/** Whoever knows that a node was revoked holds nothing of it. */
export function checkNothingRevoked(table: SlotTable, revoked: NodeId, nodeId: NodeId): void {
  if (table.findKey(SLOT_KIND.revocation, nodeKey(revoked)) < 0) return;
  for (const slot of table.slots()) {
    if (toHex(authorBytesOf(table.record(slot))) !== revoked) continue;
    throw new InvariantError(
      "no revoked writer believed",
      `node ${nodeId} knows that ${revoked} is revoked and holds a slot of it`,
    );
  }
}

/** Every record is signed by the key of the author it names. */
export function checkSigned(
  table: SlotTable,
  keys: ReadonlyMap<NodeId, Uint8Array>,
  crypto: Crypto,
  nodeId: NodeId,
): void {
  for (const index of table.slots()) {
    const slot = readSlot(table.record(index));
    const key = slot === null ? undefined : keys.get(slot.author);
    if (slot !== null && key !== undefined && slotSignatureHolds(crypto, slot, key)) continue;
    throw new InvariantError(
      "no unsigned writer believed",
      `node ${nodeId} holds a slot of ${slot?.author ?? "nobody"} without a valid signature`,
    );
  }
}

/** SHA-256 over all records in their order, with their lengths: the whole state. */
export function stateHash(table: SlotTable): string {
  const hash = createHash("sha256");
  const length = Buffer.alloc(2);
  for (const record of table.sortedRecords()) {
    length.writeUInt16LE(record.length);
    hash.update(length).update(record);
  }
  return hash.digest("hex");
}

/** Tables with the same root are the same, byte for byte. */
export function checkEqualStates(tables: readonly SlotTable[]): void {
  const hashByRoot = new Map<string, string>();
  for (const table of tables) {
    const root = keyToHex({ high: table.merkle.rootHigh, low: table.merkle.rootLow });
    const hash = stateHash(table);
    const other = hashByRoot.get(root);
    if (other !== undefined && other !== hash) {
      throw new InvariantError("equal root, equal state", `root ${root} stands for two states`);
    }
    hashByRoot.set(root, hash);
  }
}

/** Where `replica` would run what it knows of, as one string. */
function placementOf(replica: Replica, nowMs: number): string {
  const nodes = replica.members(nowMs).map(
    (member): PlacementNode => ({
      nodeId: member.nodeId,
      zone: member.zone,
      arch: member.info.arch,
      devices: member.info.devices,
      labels: member.info.labels,
      memoryMiB: member.info.memoryMiB,
      draining: member.info.draining || member.drainedBy !== null,
      status: "alive",
    }),
  );
  const reach = { rosterSize: nodes.length, reachableCount: nodes.length };
  const services = replica.services().slice(0, PLACEMENT_SERVICES);
  return services
    .map(({ key, spec }) => {
      const high = Number.parseInt(key.slice(0, 8), 16);
      const low = Number.parseInt(key.slice(8), 16);
      return `${key}:${place({ key: { high, low }, spec }, nodes, reach).join(",")}`;
    })
    .join(" ");
}

/** Nodes that agree on the table agree on who runs what. */
export function checkEqualPlacement(placements: readonly string[]): void {
  if (new Set(placements).size <= 1) return;
  throw new InvariantError("equal table, equal placement", "two nodes place differently");
}

export interface CheckedWorld {
  readonly hosts: readonly NodeHost[];
  /** Those of them that will count in the end: what is promised has to stand with one of them. */
  readonly core: readonly NodeHost[];
  readonly network: SimulatedNetwork;
  readonly ledger: Ledger;
  readonly capacity: ReplicaCapacity;
  readonly crypto: Crypto;
  /** Public keys of all who were ever let in, the root's included. */
  readonly keys: ReadonlyMap<NodeId, Uint8Array>;
  /** Nodes whose revocation was issued. Grows. */
  readonly revoked: ReadonlySet<NodeId>;
}

interface SeenTombstones {
  readonly starts: number;
  readonly stamps: Map<LedgerEntry, number>;
}

export class InvariantChecker {
  readonly #world: CheckedWorld;
  readonly #seen = new Map<NodeHost, SeenTombstones>();
  readonly #lastStamps = new Map<NodeHost, { starts: number; stamp: number }>();

  constructor(world: CheckedWorld) {
    this.#world = world;
  }

  /** After every tick. @throws InvariantError */
  checkTick(tick: number): void {
    const { hosts, core, ledger } = this.#world;
    for (const host of hosts) this.#checkHost(host);
    const { entries } = ledger;
    for (let i = tick % LEDGER_SHARE; i < entries.length; i += LEDGER_SHARE) {
      checkPromise(entries[i]!, core);
    }
    this.#checkDisk(core[tick % core.length]!);
    if (tick % DEEP_CHECK_TICKS === 0) this.checkDeep();
  }

  /** A node has just lost power. @throws InvariantError */
  checkCrash(host: NodeHost): void {
    checkDurable(this.#world.ledger.entries, host.heldOnDisk(), host.index);
  }

  /** Everything but what must hold only in the end. @throws InvariantError */
  checkDeep(): void {
    const { hosts, core, ledger, revoked, keys, crypto } = this.#world;
    for (const entry of ledger.entries) checkPromise(entry, core);
    for (const host of hosts) {
      if (host.replica === null) continue;
      this.#checkTombstones(host);
      checkSigned(host.replica.table, keys, crypto, host.nodeId);
      for (const nodeId of revoked) checkNothingRevoked(host.replica.table, nodeId, host.nodeId);
    }
    this.#checkPairs();
  }

  /** When `converged` all have come to the same: signatures, state and placement of each. */
  checkEnd(converged: readonly NodeHost[]): void {
    const { ledger } = this.#world;
    this.checkDeep();
    const replicas = converged.map((host) => host.replica!);
    checkEqualStates(replicas.map((replica) => replica.table));
    for (const host of converged) {
      for (const entry of ledger.entries) checkPromise(entry, [host]);
    }
    const sample = converged.slice(0, PLACEMENT_NODES);
    checkEqualPlacement(sample.map((host) => placementOf(host.replica!, host.nowMs())));
  }

  /** In turns, and not while the disk is busy: reading a log back takes time. */
  #checkDisk(host: NodeHost): void {
    const isIdle = host.isSettled && this.#world.ledger.entries.length < DISK_CHECK_ENTRIES_MAX;
    if (isIdle) this.checkCrash(host);
  }

  #checkHost(host: NodeHost): void {
    const { replica } = host;
    if (replica === null) return;
    const { sessions, slots, recordBytes } = replica.statistics;
    const packetsInTick = this.#world.network.sentInTick(host.index);
    const figures = { nodeId: host.nodeId, sessions, slots, recordBytes, packetsInTick };
    checkBounds(figures, this.#world.capacity);
    const last = this.#lastStamps.get(host);
    const stamp = replica.lastStamp;
    const ranBack = last !== undefined && last.starts === host.starts && stamp < last.stamp;
    const isForgetful = stamp < host.acknowledgedStamp;
    if (ranBack || isForgetful || !host.stampsGrow) {
      throw new InvariantError("hybrid time monotone", `node ${host.nodeId} ran back to ${stamp}`);
    }
    this.#lastStamps.set(host, { starts: host.starts, stamp });
  }

  /** What a node saw deleted is remembered until it starts again: its disk may know less. */
  #checkTombstones(host: NodeHost): void {
    let seen = this.#seen.get(host);
    if (seen === undefined || seen.starts !== host.starts) {
      seen = { starts: host.starts, stamps: new Map() };
      this.#seen.set(host, seen);
    }
    for (const entry of this.#world.ledger.entries) {
      if (entry.triedDeleteStamp === 0) continue;
      const held = host.held(entry.key);
      checkNotResurrected(entry, held, seen.stamps.get(entry) ?? 0, host.nodeId);
      if (held?.tombstone === true) seen.stamps.set(entry, held.stamp);
    }
  }

  /** Of all nodes with one root, the first two are compared in full. */
  #checkPairs(): void {
    const byRoot = new Map<string, SlotTable[]>();
    for (const { replica } of this.#world.hosts) {
      if (replica === null) continue;
      const group = byRoot.get(replica.rootHash);
      if (group === undefined) byRoot.set(replica.rootHash, [replica.table]);
      else if (group.length < 2) group.push(replica.table);
    }
    for (const group of byRoot.values()) if (group.length === 2) checkEqualStates(group);
  }
}
