// Who is alive: SWIM's states and rumours with Lifeguard's refinements. A member is named by
// the index of its node slot in the table.
// Sources: Das et al., "SWIM" (2002); Dadgar et al., "Lifeguard" (2017).

import { assert } from "../kernel/assert.ts";
import {
  MEMBER_FRAME_BYTES_MAX,
  type MemberRumour,
  type MemberStatus,
  writeMember,
} from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ByteWriter } from "../schema/varint.ts";

/** How often a member that was not heard of is probed. */
export const PROBE_INTERVAL_MS = 1_000;
/** Suspicion lasts this × log10 of the members × the probe interval at least… */
const SUSPICION_FACTOR = 4;
/** …and this many times longer while nobody confirms it. */
const SUSPICION_MAX_FACTOR = 6;
/** Independent accusers that bring suspicion down to its shortest. */
const CONFIRMATIONS_WANTED = 3;
/** By accusers wanted, then by those who came: log(1 + came) ÷ log(1 + wanted) in thousandths. Whole numbers are the same everywhere. */
const CONFIRMATION_SHARE = [[1000], [0, 1000], [0, 631, 1000], [0, 500, 792, 1000]] as const;
/** A rumour is sent this × log10 of the members times. */
const RETRANSMIT_FACTOR = 4;
/** Rumours in hand; the most often sent makes room. */
const RUMOURS_MAX = 64;
/** As high as a rumour's frame can tell. */
const INCARNATION_MAX = 0xffff_ffff;
/** Lifeguard's local health: how much slower a node that hears badly accuses others. */
const LOCAL_HEALTH_MAX = 8;

const STATUS_CODES: readonly MemberStatus[] = ["alive", "suspect", "dead", "left"];

interface Suspicion {
  readonly startedMs: number;
  readonly accusers: NodeId[];
}

interface Rumour {
  readonly member: number;
  transmitCount: number;
}

export class Membership {
  readonly #selfId: NodeId;
  readonly #statuses: Uint8Array;
  readonly #incarnations: Uint32Array;
  readonly #known: Uint8Array;
  readonly #suspicions = new Map<number, Suspicion>();
  readonly #rumours: Rumour[] = [];
  readonly #idOf: (member: number) => NodeId;
  #selfMember = -1;
  #selfIncarnation: number;
  #selfStatus: "alive" | "left" = "alive";
  #localHealth = 0;
  #memberCount = 0;
  /** Members that are dead or left. */
  readonly #gone: number[] = [];
  /** Whose turn it is to be recalled, counted through `#gone`. */
  #recallCount = 0;
  #version = 0;
  #suspicionUnitMs = PROBE_INTERVAL_MS;

  /**
   * @param capacity how many slots the table has
   * @param incarnation above any this node used before; the start time in seconds serves
   * @param idOf the node id of a member, from its slot's key
   */
  constructor(options: {
    selfId: NodeId;
    capacity: number;
    incarnation: number;
    idOf: (member: number) => NodeId;
  }) {
    this.#selfId = options.selfId;
    this.#statuses = new Uint8Array(options.capacity);
    this.#incarnations = new Uint32Array(options.capacity);
    this.#known = new Uint8Array(options.capacity);
    this.#selfIncarnation = options.incarnation;
    this.#idOf = options.idOf;
  }

  /** Grows by one with every change of who is a member or alive: callers cache by it. */
  get version(): number {
    return this.#version;
  }

  /** Members other than this node, the dead included. */
  get memberCount(): number {
    return this.#memberCount;
  }

  get livingCount(): number {
    return this.#memberCount - this.#gone.length;
  }

  get incarnation(): number {
    return this.#selfIncarnation;
  }

  /** 0 when this node hears well, up to LOCAL_HEALTH_MAX. */
  get localHealth(): number {
    return this.#localHealth;
  }

  get rumourCount(): number {
    return this.#rumours.length;
  }

  /** Timeouts are multiplied by this. */
  get patience(): number {
    return 1 + this.#localHealth;
  }

  /** A node slot came into the table. The newcomer counts as alive until it proves otherwise. */
  add(member: number): void {
    if (this.#known[member] === 1) return;
    this.#known[member] = 1;
    this.#statuses[member] = 0;
    this.#incarnations[member] = 0;
    if (this.#idOf(member) === this.#selfId) this.#selfMember = member;
    else this.#memberCount += 1;
    this.#version += 1;
  }

  /** A node slot left the table: revoked. */
  remove(member: number): void {
    if (this.#known[member] === 0) return;
    this.#setStatus(member, "alive");
    this.#known[member] = 0;
    this.#suspicions.delete(member);
    const rumour = this.#rumours.findIndex((r) => r.member === member);
    if (rumour >= 0) this.#rumours.splice(rumour, 1);
    if (member === this.#selfMember) this.#selfMember = -1;
    else this.#memberCount -= 1;
    this.#version += 1;
  }

  isMember(member: number): boolean {
    return this.#known[member] === 1;
  }

  status(member: number): MemberStatus {
    if (member === this.#selfMember) return this.#selfStatus;
    return STATUS_CODES[this.#statuses[member]!]!;
  }

  incarnationOf(member: number): number {
    return this.#incarnations[member]!;
  }

  /** Alive or suspect: still worth talking to and placing work on. */
  isLiving(member: number): boolean {
    const status = this.status(member);
    return status === "alive" || status === "suspect";
  }

  /** A probe was answered: this node hears well. */
  probeSucceeded(): void {
    this.#localHealth = Math.max(0, this.#localHealth - 1);
  }

  /** A probe failed in a way that may be our own fault: even the relays kept silent. */
  heardBadly(): void {
    this.#localHealth = Math.min(LOCAL_HEALTH_MAX, this.#localHealth + 1);
  }

  /** This node's own probes failed to reach `member`. */
  accuse(member: number, nowMs: number): void {
    if (!this.isMember(member) || !this.isLiving(member)) return;
    this.#suspect(member, this.#incarnations[member]!, this.#selfId, nowMs);
  }

  /** Takes another's word. About ourselves, we refute anything but alive. */
  hear(member: number, rumour: MemberRumour, nowMs: number): void {
    if (member >= 0 && member === this.#selfMember) {
      this.#refute(rumour);
      return;
    }
    if (!this.isMember(member)) return;
    switch (rumour.status) {
      case "alive":
        this.#hearAlive(member, rumour.incarnation);
        break;
      case "suspect":
        this.#suspect(member, rumour.incarnation, rumour.source, nowMs);
        break;
      case "dead":
      case "left":
        this.#hearGone(member, rumour);
        break;
    }
  }

  /**
   * Lets suspicions run out.
   * @param heardWithin whether a packet of the member arrived in the last so many milliseconds:
   *   what we hear ourselves outweighs a rumour
   * @param roundTripMs the longest usual one: a refutation needs its time to come
   */
  tick(
    nowMs: number,
    heardWithin: (member: number, ms: number) => boolean,
    roundTripMs: number,
  ): void {
    this.#suspicionUnitMs = Math.max(PROBE_INTERVAL_MS, Math.ceil(roundTripMs));
    for (const [member, suspicion] of this.#suspicions) {
      const timeoutMs = this.#suspicionTimeoutMs(suspicion);
      if (nowMs - suspicion.startedMs < timeoutMs) continue;
      this.#suspicions.delete(member);
      if (heardWithin(member, timeoutMs)) {
        this.#setStatus(member, "alive");
      } else {
        this.#setStatus(member, "dead");
        this.#spread(member);
      }
    }
  }

  /** Tells the cluster that this node is here, or that it goes on purpose. */
  announce(status: "alive" | "left"): void {
    this.#selfStatus = status;
    if (this.#selfMember >= 0) this.#spread(this.#selfMember);
  }

  /**
   * Writes the least-sent rumours while `countMax` and the room last. The one about
   * `receiver`, when we doubt it, always goes along, so that it can refute at once
   * (Lifeguard's buddy system). Where a rumour's place is left, one of those who are gone is
   * recalled, each in turn: who came late, or missed the news, learns of all of them.
   */
  writeRumours(writer: ByteWriter, countMax: number, receiver: number): void {
    if (receiver >= 0 && this.isMember(receiver) && this.status(receiver) !== "alive") {
      if (writer.remaining < MEMBER_FRAME_BYTES_MAX) return;
      writeMember(writer, this.#rumourOf(receiver));
      // It may hear nothing any more: rumours spent on it would be missing elsewhere. Only that
      // we live it must hear, for it may doubt us as well.
      const tellsOfUs = this.#selfMember >= 0 && writer.remaining >= MEMBER_FRAME_BYTES_MAX;
      if (tellsOfUs) writeMember(writer, this.#rumourOf(this.#selfMember));
      return;
    }
    let left = countMax;
    const limit = RETRANSMIT_FACTOR * this.#logMembers();
    for (const rumour of this.#rumours) {
      if (left <= 0 || writer.remaining < MEMBER_FRAME_BYTES_MAX) break;
      writeMember(writer, this.#rumourOf(rumour.member));
      rumour.transmitCount += 1;
      left -= 1;
    }
    if (left > 0 && this.#gone.length > 0 && writer.remaining >= MEMBER_FRAME_BYTES_MAX) {
      this.#recallCount = (this.#recallCount + 1) % this.#gone.length;
      writeMember(writer, this.#rumourOf(this.#gone[this.#recallCount]!));
    }
    // The least-sent first, for the next packet; those sent often enough have done their work.
    this.#rumours.sort((a, b) => a.transmitCount - b.transmitCount);
    while (this.#rumours.length > 0 && this.#rumours.at(-1)!.transmitCount >= limit) {
      this.#rumours.pop();
    }
  }

  #rumourOf(member: number): MemberRumour {
    const nodeId = this.#idOf(member);
    if (member === this.#selfMember) {
      return {
        nodeId,
        status: this.#selfStatus,
        incarnation: this.#selfIncarnation,
        source: nodeId,
      };
    }
    // The latest accuser is the news: the first is known wherever the accusation is.
    const source = this.#suspicions.get(member)?.accusers.at(-1) ?? this.#selfId;
    return {
      nodeId,
      status: this.status(member),
      incarnation: this.#incarnations[member]!,
      source,
    };
  }

  #refute(rumour: MemberRumour): void {
    if (rumour.status === "alive" || this.#selfStatus === "left") return;
    if (rumour.incarnation >= this.#selfIncarnation) {
      this.#selfIncarnation = Math.min(rumour.incarnation + 1, INCARNATION_MAX);
      this.heardBadly();
    }
    // An older word than ours comes from one who missed ours: it is told again.
    this.announce("alive");
  }

  #hearAlive(member: number, incarnation: number): void {
    if (incarnation <= this.#incarnations[member]!) return;
    this.#incarnations[member] = incarnation;
    this.#suspicions.delete(member);
    this.#setStatus(member, "alive");
    this.#spread(member);
  }

  #hearGone(member: number, rumour: MemberRumour): void {
    const held = this.#incarnations[member]!;
    if (this.isLiving(member) && rumour.incarnation < held) {
      // Whoever says so missed that the member came back.
      this.#spread(member);
      return;
    }
    if (!this.isLiving(member) && rumour.incarnation <= held) return;
    this.#incarnations[member] = rumour.incarnation;
    this.#suspicions.delete(member);
    this.#setStatus(member, rumour.status);
    this.#spread(member);
  }

  #suspect(member: number, incarnation: number, accuser: NodeId, nowMs: number): void {
    if (incarnation < this.#incarnations[member]! || !this.isLiving(member)) return;
    const suspicion = this.#suspicions.get(member);
    if (suspicion === undefined || incarnation > this.#incarnations[member]!) {
      this.#incarnations[member] = incarnation;
      this.#suspicions.set(member, { startedMs: nowMs, accusers: [accuser] });
      this.#setStatus(member, "suspect");
      this.#spread(member);
    } else if (
      suspicion.accusers.length <= CONFIRMATIONS_WANTED &&
      !suspicion.accusers.includes(accuser)
    ) {
      suspicion.accusers.push(accuser);
      this.#spread(member);
    }
  }

  /** Lifeguard: from the longest, towards the shortest as others confirm. */
  #suspicionTimeoutMs(suspicion: Suspicion): number {
    const shortest = SUSPICION_FACTOR * this.#logMembers() * this.#suspicionUnitMs;
    const longest = shortest * SUSPICION_MAX_FACTOR;
    // Few members cannot give many confirmations: all but the accused and the first accuser.
    const wanted = Math.max(0, Math.min(CONFIRMATIONS_WANTED, this.#memberCount - 1));
    const came = Math.min(suspicion.accusers.length - 1, wanted);
    const share = CONFIRMATION_SHARE[wanted]![came]!;
    return longest - Math.floor(((longest - shortest) * share) / 1000);
  }

  #setStatus(member: number, status: MemberStatus): void {
    const before = this.isLiving(member);
    this.#statuses[member] = STATUS_CODES.indexOf(status);
    const after = this.isLiving(member);
    if (before === after) return;
    if (after) this.#gone.splice(this.#gone.indexOf(member), 1);
    else this.#gone.push(member);
    this.#version += 1;
    assert(this.#gone.length <= this.#memberCount, "no more are gone than there are");
  }

  #spread(member: number): void {
    const held = this.#rumours.findIndex((rumour) => rumour.member === member);
    if (held >= 0) this.#rumours.splice(held, 1);
    else if (this.#rumours.length === RUMOURS_MAX) this.#rumours.pop();
    this.#rumours.unshift({ member, transmitCount: 0 });
  }

  /** ⌈log10(n + 1)⌉ of all members, at least 1. */
  #logMembers(): number {
    return String(this.#memberCount + 1).length;
  }
}
