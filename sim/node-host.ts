// One simulated machine: the replica and its log, driven as the daemon drives them, on a
// simulated disk and clock. It crashes, starts again from what its disk holds, and pauses.

import { replayLog } from "../src/db/log-format.ts";
import { WriteAheadLog } from "../src/db/wal.ts";
import type { Crypto, Endpoint } from "../src/kernel/ports.ts";
import { BoundedQueue } from "../src/kernel/queue.ts";
import type { SeededRandom } from "../src/kernel/random.ts";
import type { ReplicaCapacity } from "../src/node/interface.ts";
import { Replica } from "../src/node/replica.ts";
import type { NodeId } from "../src/schema/node-id.ts";
import { keyToHex, readSlot, SLOT_KIND, type SlotKey } from "../src/schema/slot.ts";
import type { SimulatedClock } from "./clock.ts";
import type { NodePlan } from "./cluster.ts";
import { CredulousCrypto, lyingSigner } from "./crypto.ts";
import type { SimulatedDisk } from "./disk.ts";
import { msOfTick } from "./time.ts";

/** After a failed write the log is written anew, as often as this. */
const SNAPSHOT_RETRY_TICKS = 20;
/** What the system keeps for a process that does not read its socket. */
const SOCKET_QUEUE_PACKETS = 64;

/** A service slot as an observer sees it. */
export interface HeldSlot {
  readonly stamp: number;
  readonly tombstone: boolean;
}

export interface NodeHostOptions {
  readonly plan: NodePlan;
  readonly rootPublicKey: Uint8Array;
  readonly seeds: readonly Endpoint[];
  readonly crypto: Crypto;
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  /** Signs its slots with signatures that do not hold, and believes everybody. */
  readonly isLiar: boolean;
  readonly capacity: ReplicaCapacity;
  /** Bytes of one group commit; the log takes twice as much. */
  readonly logBatchBytes: number;
  readonly send: (packet: Uint8Array, to: Endpoint) => void;
}

export class NodeHost {
  readonly plan: NodePlan;
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  /** Null while the machine is down. */
  replica: Replica | null = null;
  /** Told when a write of this start settled. */
  onWriteSettled: (sequence: number, ok: boolean) => void = () => {};
  /** Grows with each start: sequences count from 1 again. */
  starts = 0;
  pausedUntilTick = 0;
  /** Starts again then, while down. */
  restartTick = 0;
  /** The greatest stamp that this node gave to a write since its start. */
  issuedStamp = 0;
  /** The greatest of those that it acknowledged, over all starts since its log was last damaged. */
  acknowledgedStamp = 0;
  lastAcknowledgedTick = -1;
  /** Its stamps came in this order: strictly growing, across starts too. */
  stampsGrow = true;
  readonly #options: NodeHostOptions;
  #log: WriteAheadLog | null = null;
  #tick = 0;
  #snapshotAfterTick = 0;
  readonly #socket = new BoundedQueue<{ readonly bytes: Uint8Array; readonly from: Endpoint }>(
    SOCKET_QUEUE_PACKETS,
  );
  /** Service slots on the disk of a machine that is down. */
  #durable: ReadonlyMap<string, HeldSlot> = new Map();

  constructor(options: NodeHostOptions) {
    this.#options = options;
    this.plan = options.plan;
    this.disk = options.disk;
    this.clock = options.clock;
  }

  get index(): number {
    return this.plan.index;
  }

  get isLiar(): boolean {
    return this.#options.isLiar;
  }

  get nodeId(): NodeId {
    return this.plan.identity.nodeId;
  }

  get isUp(): boolean {
    return this.replica !== null;
  }

  get isPaused(): boolean {
    return this.#tick < this.pausedUntilTick;
  }

  /** Whether all it holds is on its disk. */
  get isSettled(): boolean {
    const log = this.#log;
    return (
      log !== null &&
      log.state === "ready" &&
      !log.hasPending &&
      this.replica?.hasLogGap === false &&
      !this.disk.isWriting
    );
  }

  /** This node's own time. */
  nowMs(): number {
    return this.clock.nowMs(msOfTick(this.#tick));
  }

  /** Starts from what the disk holds. */
  start(tick: number): void {
    this.#tick = tick;
    this.starts += 1;
    this.clock.restart(msOfTick(tick));
    const nowMs = this.nowMs();
    const { plan, crypto, isLiar, random, rootPublicKey, seeds, capacity, send } = this.#options;
    const replica = new Replica({
      crypto: isLiar ? new CredulousCrypto() : crypto,
      random: random.fork(),
      signer: isLiar ? lyingSigner(plan.identity.signer) : plan.identity.signer,
      certificate: plan.certificate,
      rootPublicKey,
      info: plan.info,
      seeds,
      journal: { append: (record) => this.#append(record) },
      send,
      nowMs,
      capacity,
    });
    const { log, report } = WriteAheadLog.open(
      this.disk,
      (record) => replica.restore(record),
      this.#options.logBatchBytes,
    );
    log.onDurable = (sequence) => replica.journalDurable(sequence, this.nowMs());
    log.onFailed = (first, last) => {
      this.#snapshotAfterTick = this.#tick + SNAPSHOT_RETRY_TICKS;
      replica.journalFailed(first, last);
    };
    replica.onWriteSettled = (sequence, ok) => this.onWriteSettled(sequence, ok);
    this.replica = replica;
    this.#log = log;
    this.#snapshotAfterTick = 0;
    this.#durable = new Map();
    const isDamaged = report.damaged?.kind === "corrupt";
    this.issuedStamp = 0;
    // Rot may take a node's memory of its own stamps; others then keep its later writes.
    if (isDamaged) this.acknowledgedStamp = 0;
    replica.start(nowMs, isDamaged);
  }

  /** Power is lost. Only the disk remains. */
  crash(restartTick: number): void {
    this.disk.crash();
    this.replica = null;
    this.#log = null;
    this.#socket.clear();
    this.pausedUntilTick = 0;
    this.restartTick = restartTick;
    this.#durable = this.heldOnDisk();
  }

  /** This node gave a write this stamp. */
  noteStamp(stamp: number): void {
    if (stamp <= this.issuedStamp || stamp <= this.acknowledgedStamp) this.stampsGrow = false;
    this.issuedStamp = stamp;
  }

  noteAcknowledgedStamp(stamp: number): void {
    this.lastAcknowledgedTick = this.#tick;
    this.acknowledgedStamp = Math.max(this.acknowledgedStamp, stamp);
  }

  receive(datagram: Uint8Array, from: Endpoint): void {
    if (this.replica === null) return;
    if (this.isPaused) this.#socket.push({ bytes: datagram.slice(), from });
    else this.replica.receive(datagram, from, this.nowMs());
  }

  /** Sets the time at which this tick's packets arrive. */
  beginTick(tick: number): void {
    this.#tick = tick;
    if (!this.isPaused) this.#readSocket();
  }

  /** What the daemon does every 100 ms. */
  tick(): void {
    const replica = this.replica;
    const log = this.#log;
    if (replica === null || log === null || this.isPaused) return;
    this.#readSocket();
    replica.tick(this.nowMs());
    const isDue = this.#tick >= this.#snapshotAfterTick && !this.disk.isWriting;
    if (isDue && (log.wantsSnapshot || replica.hasLogGap)) log.snapshot(replica.snapshot());
    log.flush();
    this.disk.tick(this.#tick);
  }

  /** The service slot this node holds: in its table when up, on its disk when down. */
  held(key: SlotKey): HeldSlot | null {
    if (this.replica === null) return this.#durable.get(keyToHex(key)) ?? null;
    const { table } = this.replica;
    const slot = table.findKey(SLOT_KIND.service, key);
    if (slot < 0) return null;
    return { stamp: table.stamp(slot), tombstone: table.isTombstone(slot) };
  }

  /** Service slots that a start from the disk as it is now would find. */
  heldOnDisk(): ReadonlyMap<string, HeldSlot> {
    const found = new Map<string, HeldSlot>();
    replayLog(this.disk.content, (record) => noteService(found, record));
    return found;
  }

  /** Memory of this machine's disk and socket, which is not the node's. */
  get machineBytes(): number {
    return this.disk.ownedBytes;
  }

  #append(record: Uint8Array): number {
    const log = this.#log!;
    const sequence = log.append(record);
    if (sequence > 0) return sequence;
    // The batch is full: send it off, if the last one is through.
    log.flush();
    return log.append(record);
  }

  #readSocket(): void {
    const replica = this.replica;
    if (replica === null) return;
    for (let packet = this.#socket.shift(); packet !== undefined; packet = this.#socket.shift()) {
      replica.receive(packet.bytes, packet.from, this.nowMs());
    }
  }
}

function noteService(found: Map<string, HeldSlot>, record: Uint8Array): void {
  const slot = readSlot(record);
  if (slot?.kind !== SLOT_KIND.service) return;
  const key = keyToHex({ high: slot.keyHigh, low: slot.keyLow });
  const known = found.get(key);
  if (known !== undefined && known.stamp > slot.stamp) return;
  found.set(key, { stamp: slot.stamp, tombstone: slot.tombstone });
}
