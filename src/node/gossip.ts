// Spreading slots: lists to peers whose table differs, the records they turn out to lack, and
// fresh records in whatever room a packet has left. Nothing is remembered about what was sent:
// the next list tells.

import type { Random } from "../kernel/ports.ts";
import {
  type ListHead,
  MEMBER_FRAME_BYTES_MAX,
  RECORD_FRAME_HEAD_BYTES,
  readListHead,
  writeRecordFrame,
} from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import { KINDS_IN_ORDER } from "../schema/slot.ts";
import type { ByteReader, ByteWriter } from "../schema/varint.ts";
import {
  compareWithList,
  readDifferingBuckets,
  writeBucketList,
  writeBuckets,
  writeRecentList,
} from "../sync/anti-entropy.ts";
import { saltedHash } from "../sync/merkle.ts";
import type { SlotTable } from "../sync/slot-table.ts";
import {
  LIST_ALONG_BYTES_MIN,
  LIST_INTERVAL_MS,
  LIST_RECENT_MAX,
  LIST_REPEAT_MIN_MS,
  RECORD_PACKETS_PER_PEER,
  RECORD_RUMOUR_SENDS_MAX,
  RECORD_RUMOURS_MAX,
} from "./pace.ts";
import type { Peer } from "./peer.ts";

/** What gossip needs of the replica around it. */
export interface GossipHost {
  readonly peers: ReadonlyMap<NodeId, Peer>;
  /** Sends a packet with the frames that `write` puts into it. */
  send(peer: Peer, nowMs: number, write: (payload: ByteWriter) => void): void;
  /**
   * Whether a slot that `peer` lacks may be offered to it. After damage to our log, one that it
   * may have deleted and forgotten must not come back through us.
   */
  mayOffer(slot: number, peer: Peer): boolean;
  /** A peer's whole table turned out to hold nothing that ours lacks. */
  caughtUp(): void;
}

interface RecordRumour {
  readonly slot: number;
  /** Who told us, and need not be told. */
  readonly from: NodeId | null;
  sendCount: number;
}

export class Gossip {
  readonly #host: GossipHost;
  readonly #table: SlotTable;
  readonly #random: Random;
  readonly #rumours: RecordRumour[] = [];
  #nextListMs = 0;

  constructor(host: GossipHost, table: SlotTable, random: Random) {
    this.#host = host;
    this.#table = table;
    this.#random = random;
  }

  get rumourCount(): number {
    return this.#rumours.length;
  }

  /** A slot is new to us, and likely to others. */
  spread(slot: number, from: NodeId | null): void {
    this.forget(slot);
    if (this.#rumours.length === RECORD_RUMOURS_MAX) this.#rumours.pop();
    this.#rumours.unshift({ slot, from, sendCount: 0 });
  }

  /** A slot left the table. */
  forget(slot: number): void {
    const held = this.#rumours.findIndex((rumour) => rumour.slot === slot);
    if (held >= 0) this.#rumours.splice(held, 1);
  }

  /** Sends a list to the peer that waited longest among those whose table differs from ours. */
  tick(nowMs: number): void {
    for (const peer of this.#host.peers.values()) peer.recordPackets = 0;
    if (nowMs < this.#nextListMs) return;
    let next: Peer | null = null;
    for (const peer of this.#host.peers.values()) {
      if (peer.session === null || !this.#differs(peer)) continue;
      if (next === null || peer.lastListMs < next.lastListMs) next = peer;
    }
    if (next === null) return;
    this.#nextListMs = nowMs + LIST_INTERVAL_MS;
    this.sendList(next, nowMs);
  }

  /** Asks `peer` for what it has and we lack among the newest slots. */
  sendList(peer: Peer, nowMs: number): void {
    this.#host.send(peer, nowMs, (payload) => this.#writeList(payload, peer, nowMs));
  }

  /** A probe on its way to a peer that differs takes a list along: the room costs nothing. */
  writeListAlong(payload: ByteWriter, peer: Peer, nowMs: number): void {
    const isDue = nowMs - peer.lastListMs >= LIST_REPEAT_MIN_MS;
    if (isDue && this.#differs(peer) && payload.remaining >= LIST_ALONG_BYTES_MIN) {
      this.#writeList(payload, peer, nowMs);
    }
  }

  #writeList(payload: ByteWriter, peer: Peer, nowMs: number): void {
    peer.lastListMs = nowMs;
    writeRecentList(payload, this.#table, {
      roomBytes: payload.remaining - MEMBER_FRAME_BYTES_MAX,
      countMax: LIST_RECENT_MAX,
      salt: this.#random.u32(),
      wantsAnswer: false,
    });
  }

  /** Another's list: gives it what it lacks, and asks back when we are behind. */
  receiveList(peer: Peer, reader: ByteReader, nowMs: number): void {
    const head = readListHead(reader);
    const comparison = compareWithList(reader, head, this.#table);
    const given = this.#give(peer, comparison.lacking, nowMs);
    if (comparison.weAreBehind) this.#askBack(peer, head, nowMs);
    if (comparison.olderDiffers) this.#sendBuckets(peer, nowMs);
    const isWhole = head.scope.kind === "recent" && !comparison.olderDiffers;
    if (isWhole && !comparison.weAreBehind) this.#host.caughtUp();
    // It sent a list because it believes that we differ: say that we do not.
    if (!given && !comparison.weAreBehind && !this.#differs(peer)) this.#sendDigest(peer, nowMs);
  }

  /** Another's bucket sums: lists what we hold where they differ from ours. */
  receiveBuckets(peer: Peer, reader: ByteReader, nowMs: number): void {
    const differing = readDifferingBuckets(reader, this.#table);
    if (differing !== null) this.#sendBucketList(peer, differing, true, nowMs);
  }

  /** Fills the rest of a packet to `peer` with fresh records, the least sent first. */
  writeRumours(payload: ByteWriter, peer: Peer): void {
    let sent = false;
    for (const rumour of this.#rumours) {
      if (rumour.from === peer.nodeId) continue;
      if (payload.remaining < RECORD_FRAME_HEAD_BYTES + this.#table.recordLength(rumour.slot)) {
        continue;
      }
      writeRecordFrame(payload, this.#table.record(rumour.slot));
      rumour.sendCount += 1;
      sent = true;
    }
    if (!sent) return;
    this.#rumours.sort((a, b) => a.sendCount - b.sendCount);
    while (this.#rumours.length > 0 && this.#rumours.at(-1)!.sendCount >= RECORD_RUMOUR_SENDS_MAX) {
      this.#rumours.pop();
    }
  }

  #differs(peer: Peer): boolean {
    const { rootHigh, rootLow } = this.#table.merkle;
    return peer.rootHigh !== rootHigh || peer.rootLow !== rootLow;
  }

  #askBack(peer: Peer, head: ListHead, nowMs: number): void {
    if (head.scope.kind === "buckets") {
      if (head.wantsAnswer) this.#sendBucketList(peer, head.scope.buckets, false, nowMs);
    } else if (nowMs - peer.lastListMs >= LIST_REPEAT_MIN_MS) {
      this.sendList(peer, nowMs);
    }
  }

  #sendBucketList(peer: Peer, buckets: Uint8Array, wantsAnswer: boolean, nowMs: number): void {
    this.#host.send(peer, nowMs, (payload) => {
      writeBucketList(payload, this.#table, buckets, {
        roomBytes: payload.remaining,
        salt: this.#random.u32(),
        wantsAnswer,
      });
    });
  }

  #sendBuckets(peer: Peer, nowMs: number): void {
    if (nowMs - peer.lastBucketsMs < LIST_REPEAT_MIN_MS) return;
    peer.lastBucketsMs = nowMs;
    this.#host.send(peer, nowMs, (payload) => {
      writeBuckets(payload, this.#table, this.#random.u32());
    });
  }

  #sendDigest(peer: Peer, nowMs: number): void {
    if (nowMs - peer.lastListMs < LIST_REPEAT_MIN_MS) return;
    peer.lastListMs = nowMs;
    this.#host.send(peer, nowMs, () => {});
  }

  /** Sends the records at `slots`, as many packets as this tick still allows. */
  #give(peer: Peer, slots: readonly number[], nowMs: number): boolean {
    const offered = slots.filter((slot) => this.#host.mayOffer(slot, peer));
    this.#sortForGiving(offered);
    let next = 0;
    while (next < offered.length && peer.recordPackets < RECORD_PACKETS_PER_PEER) {
      peer.recordPackets += 1;
      this.#host.send(peer, nowMs, (payload) => {
        while (next < offered.length) {
          const record = this.#table.record(offered[next]!);
          if (payload.remaining < RECORD_FRAME_HEAD_BYTES + record.length) break;
          writeRecordFrame(payload, record);
          next += 1;
        }
      });
    }
    return next > 0;
  }

  /**
   * Revocations first, then nodes, then what they wrote; within a kind in an order of our own,
   * so that several who answer the same list begin with different records.
   */
  #sortForGiving(slots: number[]): void {
    const salt = this.#random.u32();
    const table = this.#table;
    const order = (slot: number): number =>
      saltedHash(table.fingerprintHigh(slot), table.fingerprintLow(slot), salt);
    const rank = (slot: number): number => KINDS_IN_ORDER.indexOf(table.kind(slot));
    slots.sort((a, b) => rank(a) - rank(b) || order(a) - order(b));
  }
}
