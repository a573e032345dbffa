// The table with its gate and its log: every slot passes here, whether it comes from our log,
// from a peer or from a command, and is judged, applied, logged and announced the same way.

import { assert } from "../kernel/assert.ts";
import { ARENA_BYTES, PENDING_WRITES_MAX, SLOTS_MAX } from "../kernel/limits.ts";
import type { Crypto, Journal, Signer } from "../kernel/ports.ts";
import type { NodeId } from "../schema/node-id.ts";
import {
  isDeployers,
  KINDS_IN_ORDER,
  keyToHex,
  readSlot,
  SLOT_KIND,
  type Slot,
  type SlotContent,
  writeSlot,
} from "../schema/slot.ts";
import { ByteReader, ByteWriter, FormatError } from "../schema/varint.ts";
import { HybridClock, isTooFarAhead } from "../sync/hybrid-clock.ts";
import { SlotTable } from "../sync/slot-table.ts";
import { Authority, type Verdict } from "./authority.ts";
import type { ReplicaCapacity, WriteAnswer } from "./interface.ts";

/** A log record that is no slot: through which stamp tombstones were reaped. */
const REAPED_RECORD = 0x70;
/** A log record that is no slot: what precedes it may have been deleted meanwhile, unknown to us. */
const DOUBT_RECORD = 0x71;

/** What became of an offered slot. `clock-ahead`, `unknown-author` and `full` may change later. */
export type OfferResult = "applied" | "known" | "clock-ahead" | "full" | Exclude<Verdict, "valid">;

/** Told of every change, after it is made. */
export interface SlotStoreListener {
  slotApplied(index: number, slot: Slot): void;
  /** Before the slot leaves the table. */
  slotRemoved(index: number): void;
}

/** A write whose record is on disk; not applied when its author lost the right meanwhile. */
export interface SettledWrite {
  readonly sequence: number;
  readonly applied: boolean;
}

interface PendingWrite {
  readonly slot: Slot;
  readonly fingerprint: Uint8Array;
}

export class SlotStore {
  readonly table: SlotTable;
  readonly authority: Authority;
  readonly clock = new HybridClock();
  readonly #crypto: Crypto;
  readonly #journal: Journal;
  readonly #signer: Signer;
  readonly #selfId: NodeId;
  readonly #listener: SlotStoreListener;
  readonly #pending = new Map<number, PendingWrite>();
  /** Records of our log whose author's slot stands further down. */
  #orphans: Uint8Array[] = [];
  #reapedThrough = 0;
  #agreedThrough = 0;
  #appendedSequence = 0;
  #hasLogGap = false;
  #isInDoubt = false;
  #durableSequence = 0;

  constructor(options: {
    crypto: Crypto;
    journal: Journal;
    signer: Signer;
    selfId: NodeId;
    rootPublicKey: Uint8Array;
    capacity: ReplicaCapacity | undefined;
    listener: SlotStoreListener;
  }) {
    this.#crypto = options.crypto;
    this.#journal = options.journal;
    this.#signer = options.signer;
    this.#selfId = options.selfId;
    this.#listener = options.listener;
    this.table = new SlotTable(
      options.capacity?.slots ?? SLOTS_MAX,
      options.capacity?.arenaBytes ?? ARENA_BYTES,
    );
    this.authority = new Authority(options.crypto, this.table, options.rootPublicKey);
  }

  /** Tombstones at or below this stamp have left the whole roster's tables. */
  get reapedThrough(): number {
    return this.#reapedThrough;
  }

  /**
   * Through this stamp somebody knows what is deleted: we, or a peer in no doubt. What we lack
   * from before, we take only from such a peer. Less than `reapedThrough` after damage to our
   * log, until we have heard of one.
   */
  get agreedThrough(): number {
    return this.#agreedThrough;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** The last record given to the log. */
  get appendedSequence(): number {
    return this.#appendedSequence;
  }

  /** The last record known to be on disk. */
  get durableSequence(): number {
    return this.#durableSequence;
  }

  /**
   * Whether the log differs from the table until its next snapshot: it was full, a write failed,
   * or it holds what a peer has shown to be deleted.
   */
  get hasLogGap(): boolean {
    return this.#hasLogGap;
  }

  /**
   * Whether deletions may have passed us by. It outlives a restart: only once a peer has shown
   * what is gone, and a snapshot has taken it out of the log, does the log speak for itself.
   */
  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /** Deletions may have passed us by. */
  doubt(): void {
    if (this.#isInDoubt) return;
    this.#isInDoubt = true;
    this.#append(new Uint8Array([DOUBT_RECORD]));
  }

  /** What we hold equals what a peer holds; the log still has what was dropped on the way. */
  trust(): void {
    if (!this.#isInDoubt) return;
    this.#isInDoubt = false;
    this.#hasLogGap = true;
  }

  /** Takes back one record of our own log, judged anew: disks lie too. */
  restore(record: Uint8Array): void {
    if (record[0] === REAPED_RECORD) {
      this.#reapedThrough = Math.max(this.#reapedThrough, readReapedRecord(record) ?? 0);
      return;
    }
    if (record[0] === DOUBT_RECORD) {
      this.#isInDoubt = true;
      return;
    }
    const result = this.#restoreSlot(record);
    if (result === "unknown-author") this.#orphans.push(record.slice());
  }

  /**
   * Ends restoring: slots that stood before their author's in the log get a second chance.
   * @param isDamaged whether the log has lost what was durable
   */
  restored(isDamaged = false): void {
    for (const record of this.#orphans) this.#restoreSlot(record);
    this.#orphans = [];
    if (isDamaged) this.doubt();
    // What deletes a service that others in doubt may still have is worth keeping.
    if (this.#isInDoubt) return;
    this.#agreedThrough = this.#reapedThrough;
    // The log still has the tombstones that were reaped since its last snapshot.
    for (const index of this.table.slots()) {
      const isReaped = this.table.stamp(index) <= this.#agreedThrough;
      if (isReaped && this.table.isTombstone(index)) this.remove(index);
    }
  }

  /**
   * A record from a peer.
   * @param peerReapedThrough the stamp through which that peer has let go of tombstones
   */
  offer(record: Uint8Array, nowMs: number, peerReapedThrough = this.#agreedThrough): OfferResult {
    const slot = readSlot(record);
    if (slot === null) return "forged";
    if (!this.table.wouldApply(slot) || this.#isForgotten(slot, peerReapedThrough)) return "known";
    const verdict = this.authority.judge(slot);
    if (verdict !== "valid") return verdict;
    if (!this.clock.observe(slot.stamp, nowMs)) return "clock-ahead";
    // What waits for the log was promised its place.
    if (isDeployers(slot.kind) && this.#pending.size > 0 && !this.#hasRoom(slot)) return "full";
    const result = this.#apply(slot, this.#fingerprint(record));
    if (result === "applied") this.#append(record);
    return result;
  }

  /** Signs and writes a slot of our own at once: the log follows. For this node's own slot. */
  writeOwn(body: Uint8Array, key: SlotContent["key"], nowMs: number): void {
    const stamp = this.clock.next(nowMs);
    const content = {
      kind: SLOT_KIND.node,
      tombstone: false,
      key,
      stamp,
      author: this.#selfId,
      body,
    };
    const record = writeSlot(content, this.#signer);
    const slot = readSlot(record)!;
    if (this.authority.judge(slot) !== "valid") return;
    if (this.#apply(slot, this.#fingerprint(record)) === "applied") this.#append(record);
  }

  /**
   * Signs a service or a drain; it takes effect, and is acknowledged, once the log has it.
   * @param content its body null to delete it
   */
  writeAsDeployer(
    content: Pick<SlotContent, "kind" | "key"> & { readonly body: Uint8Array | null },
    nowMs: number,
  ): WriteAnswer {
    assert(isDeployers(content.kind), "others write the other kinds");
    const { kind, key, body } = content;
    const stamp = this.clock.next(nowMs);
    const record = writeSlot(
      {
        kind,
        tombstone: body === null,
        key,
        stamp,
        author: this.#selfId,
        body: body ?? new Uint8Array(0),
      },
      this.#signer,
    );
    return this.#queueWrite(readSlot(record)!);
  }

  /** Takes a record signed elsewhere, out of a command. */
  submit(record: Uint8Array, nowMs: number): WriteAnswer {
    const slot = readSlot(record.slice());
    if (slot === null || slot.kind === SLOT_KIND.node)
      return { ok: false, reason: "invalid-record" };
    if (!this.table.wouldApply(slot)) return { ok: false, reason: "superseded" };
    if (isTooFarAhead(slot.stamp, nowMs)) return { ok: false, reason: "invalid-record" };
    const answer = this.#queueWrite(slot);
    if (answer.ok) this.clock.observe(slot.stamp, nowMs);
    return answer;
  }

  /** The log has everything up to `sequence`. Returns the writes that are settled by it. */
  durable(sequence: number): SettledWrite[] {
    this.#durableSequence = Math.max(this.#durableSequence, sequence);
    const settled: SettledWrite[] = [];
    for (const [pendingSequence, { slot, fingerprint }] of this.#pending) {
      if (pendingSequence > sequence) break;
      this.#pending.delete(pendingSequence);
      // Its author may have been revoked while it waited.
      const isValid = this.authority.judge(slot) === "valid";
      const applied = isValid && this.#apply(slot, fingerprint) !== "full";
      settled.push({ sequence: pendingSequence, applied });
    }
    return settled;
  }

  /** The log lost these. Returns the writes that failed by it. */
  failed(firstSequence: number, lastSequence: number): number[] {
    this.#hasLogGap = true;
    const settled: number[] = [];
    for (const sequence of this.#pending.keys()) {
      if (sequence < firstSequence || sequence > lastSequence) continue;
      this.#pending.delete(sequence);
      settled.push(sequence);
    }
    return settled;
  }

  /** Everything a fresh log needs: revocations and nodes before what nodes have written. */
  *snapshot(): Generator<Uint8Array> {
    if (this.#reapedThrough > 0) yield reapedRecord(this.#reapedThrough);
    if (this.#isInDoubt) yield new Uint8Array([DOUBT_RECORD]);
    for (const kind of KINDS_IN_ORDER) {
      for (const index of this.table.slots()) {
        if (this.table.kind(index) === kind) yield this.table.record(index);
      }
    }
    for (const { slot } of this.#pending.values()) yield slot.record;
    this.#hasLogGap = false;
  }

  /** Drops a slot from the table: reaped, void, or deleted elsewhere while our log was damaged. */
  remove(index: number): void {
    this.#listener.slotRemoved(index);
    this.table.remove(index);
  }

  /** The whole roster has let go of tombstones up to `stamp`, and so do we. */
  reaped(stamp: number): void {
    this.#agreedThrough = Math.max(this.#agreedThrough, stamp);
    if (stamp <= this.#reapedThrough) return;
    this.#reapedThrough = stamp;
    this.#append(reapedRecord(stamp));
  }

  #restoreSlot(record: Uint8Array): OfferResult {
    const slot = readSlot(record);
    if (slot === null) return "forged";
    // Stamps once given out must not be given out again, whatever the verdict now.
    this.clock.restore(slot.stamp);
    if (!this.table.wouldApply(slot)) return "known";
    const verdict = this.authority.judge(slot);
    return verdict === "valid" ? this.#apply(slot, this.#fingerprint(record)) : verdict;
  }

  #queueWrite(slot: Slot): WriteAnswer {
    const verdict = this.authority.judge(slot);
    if (verdict === "unknown-author" || verdict === "revoked")
      return { ok: false, reason: verdict };
    if (verdict === "forged") {
      const ours = slot.author === this.#selfId;
      return { ok: false, reason: ours ? "not-a-deployer" : "invalid-record" };
    }
    if (this.#pending.size >= PENDING_WRITES_MAX) return { ok: false, reason: "too-many-pending" };
    if (!this.#hasRoom(slot)) return { ok: false, reason: "table-full" };
    const sequence = this.#append(slot.record);
    if (sequence === 0) return { ok: false, reason: "log-unavailable" };
    this.#pending.set(sequence, { slot, fingerprint: this.#fingerprint(slot.record) });
    const key = keyToHex({ high: slot.keyHigh, low: slot.keyLow });
    return { ok: true, sequence, key, stamp: slot.stamp };
  }

  /**
   * A slot that we do not hold, from before the last reaping that somebody remembers. A tombstone
   * has nothing to delete here. Another is deleted, if the peer has not reaped as far or is in
   * doubt: it may have lost the deletion. One that was never deleted comes again from a peer that
   * remembers, or once this one has caught up.
   */
  #isForgotten(slot: Slot, peerReapedThrough: number): boolean {
    if (!isDeployers(slot.kind) || slot.stamp > this.#agreedThrough) return false;
    if (this.table.find(slot.kind, slot.keyHigh, slot.keyLow) >= 0) return false;
    return slot.tombstone || peerReapedThrough < this.#agreedThrough;
  }

  /**
   * Room for this slot after all pending ones: what is acknowledged must find its place. One that
   * takes the place of another and is no longer, such as a deletion, always finds it.
   */
  #hasRoom(slot: Slot): boolean {
    const growth = this.#growthBy(slot);
    if (growth.slots === 0 && growth.bytes <= 0) return true;
    for (const pending of this.#pending.values()) {
      const { slots, bytes } = this.#growthBy(pending.slot);
      growth.slots += slots;
      growth.bytes += Math.max(0, bytes);
    }
    return this.table.hasRoomFor(growth.slots, growth.bytes);
  }

  /** By how much the table grows when `slot` is applied. */
  #growthBy(slot: Slot): { slots: number; bytes: number } {
    const held = this.table.find(slot.kind, slot.keyHigh, slot.keyLow);
    if (held < 0) return { slots: 1, bytes: slot.record.length };
    return { slots: 0, bytes: slot.record.length - this.table.recordLength(held) };
  }

  #apply(slot: Slot, fingerprint: Uint8Array): OfferResult {
    const isCertificateNew =
      slot.kind === SLOT_KIND.node && this.authority.changesCertificate(slot);
    const result = this.table.apply(slot, fingerprint);
    if (result === "full") return "full";
    if (result !== "new" && result !== "newer") return "known";
    if (slot.kind === SLOT_KIND.revocation) {
      for (const index of this.authority.revocationApplied(slot)) this.remove(index);
    }
    if (isCertificateNew) {
      for (const index of this.authority.certificateApplied(slot)) this.remove(index);
    }
    this.#listener.slotApplied(this.table.find(slot.kind, slot.keyHigh, slot.keyLow), slot);
    return "applied";
  }

  /** A log that takes nothing now gets everything with its next snapshot. */
  #append(record: Uint8Array): number {
    const sequence = this.#journal.append(record);
    if (sequence > 0) this.#appendedSequence = sequence;
    else this.#hasLogGap = true;
    return sequence;
  }

  #fingerprint(record: Uint8Array): Uint8Array {
    return this.#crypto.sha256(record);
  }
}

function reapedRecord(stamp: number): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(9));
  writer.u8(REAPED_RECORD);
  writer.u64(stamp);
  return writer.written();
}

/** The stamp of a reaped record out of our log; null when it is none. */
function readReapedRecord(record: Uint8Array): number | null {
  try {
    return new ByteReader(record, 1).u64();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
