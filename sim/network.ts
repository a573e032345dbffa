// A datagram network that loses, delays, reorders, duplicates, holds back and cuts off, by
// the draws of one random stream. Packets wait in a calendar of ticks, their bytes in pooled
// memory.

import { assert } from "../src/kernel/assert.ts";
import { PACKET_BYTES } from "../src/kernel/limits.ts";
import type { Endpoint } from "../src/kernel/ports.ts";
import { randomBelow, randomChance, type SeededRandom } from "../src/kernel/random.ts";
import { drawGeometric, drawItem } from "./draw.ts";
import type { TraceHash } from "./trace.ts";

/** Ticks ahead that a packet can be scheduled; what would come later comes then. */
const CALENDAR_TICKS = 1_024;
/** An exponential delay goes on for another tick with this chance: 20 ticks on average. */
const TAIL_CONTINUE_RATE = 0.95;
const TAIL_TICKS_MAX = 200;
/** Packets that the forger remembers for its replays and alterations. */
const CAPTURED_MAX = 64;
/** One piece of the pool; it grows by pieces, as far as packets in flight demand. */
const CHUNK_PACKETS = 256;

/** How the lines are. Rates are chances per packet, times are ticks. */
export interface NetworkParameters {
  readonly lossRate: number;
  /** A packet sent in a tick arrives in the next one at the earliest. */
  readonly latencyMinTicks: number;
  /** Added on top, uniform from 0; drawn per packet, so packets overtake each other. */
  readonly latencyJitterTicks: number;
  /** Packets that get an exponential delay on top. */
  readonly tailRate: number;
  readonly duplicateRate: number;
  /** Packets under way at a time; more are dropped. */
  readonly inFlightMax: number;
}

export interface NetworkCounters {
  /** Datagrams handed to the network by nodes, lost ones included. */
  packetsSent: number;
  bytesSent: number;
  packetsDelivered: number;
  packetsLost: number;
  packetsDuplicated: number;
  packetsForged: number;
  /** Dropped because too many were under way. */
  packetsOverflowed: number;
  inFlightPeak: number;
}

export type Deliver = (to: number, datagram: Uint8Array, from: Endpoint) => void;

export class SimulatedNetwork {
  parameters: NetworkParameters;
  readonly counters: NetworkCounters = {
    packetsSent: 0,
    bytesSent: 0,
    packetsDelivered: 0,
    packetsLost: 0,
    packetsDuplicated: 0,
    packetsForged: 0,
    packetsOverflowed: 0,
    inFlightPeak: 0,
  };
  readonly #random: SeededRandom;
  readonly #forgerRandom: SeededRandom;
  readonly #trace: TraceHash;
  readonly #endpoints: readonly Endpoint[];
  readonly #indexOf = new Map<Endpoint, number>();
  readonly #sentInTick: Uint32Array;
  /** Each node's side of the cut, and which sides hear nothing of which. */
  readonly #sides: Uint8Array;
  #cut: "none" | "both" | "inward" | "outward" = "none";
  /** Until which tick a direction holds its packets back, by from × nodes + to. */
  readonly #clogs = new Map<number, number>();
  readonly #calendar: number[][] = Array.from({ length: CALENDAR_TICKS }, () => []);
  readonly #chunks: Uint8Array[] = [];
  readonly #free: number[] = [];
  readonly #froms: Endpoint[] = [];
  readonly #tos: number[] = [];
  readonly #lengths: number[] = [];
  readonly #captured: { readonly bytes: Uint8Array; readonly from: Endpoint }[] = [];
  #capturedNext = 0;
  #tick = 0;
  #inFlight = 0;

  /** @param endpoints of the nodes, in their order; sending elsewhere counts and is lost */
  constructor(options: {
    random: SeededRandom;
    trace: TraceHash;
    endpoints: readonly Endpoint[];
    parameters: NetworkParameters;
  }) {
    this.#random = options.random;
    this.#forgerRandom = options.random.fork();
    this.#trace = options.trace;
    this.#endpoints = options.endpoints;
    this.parameters = options.parameters;
    this.#sides = new Uint8Array(options.endpoints.length);
    this.#sentInTick = new Uint32Array(options.endpoints.length);
    for (const [index, endpoint] of options.endpoints.entries()) this.#indexOf.set(endpoint, index);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Bytes of the pool: the simulator's own, no node's. */
  get pooledBytes(): number {
    return this.#chunks.length * CHUNK_PACKETS * PACKET_BYTES;
  }

  /** Packets that a node has sent in this tick. */
  sentInTick(node: number): number {
    return this.#sentInTick[node]!;
  }

  /** A node sends. The bytes are copied. */
  send(from: number, datagram: Uint8Array, to: Endpoint): void {
    this.counters.packetsSent += 1;
    this.counters.bytesSent += datagram.length;
    this.#sentInTick[from]! += 1;
    const target = this.#indexOf.get(to);
    const isLost = randomChance(this.#random, this.parameters.lossRate);
    if (isLost || target === undefined || !this.#isOpen(from, target)) {
      this.counters.packetsLost += 1;
      return;
    }
    this.#enqueue(this.#endpoints[from]!, target, datagram, this.#delay(from, target));
    if (!randomChance(this.#random, this.parameters.duplicateRate)) return;
    this.counters.packetsDuplicated += 1;
    this.#enqueue(this.#endpoints[from]!, target, datagram, this.#delay(from, target));
  }

  /** Brings what is due in `tick`. The bytes are only lent. */
  deliver(tick: number, deliver: Deliver): void {
    this.#tick = tick;
    this.#sentInTick.fill(0);
    const due = this.#calendar[tick % CALENDAR_TICKS]!;
    for (const packet of due) {
      const to = this.#tos[packet]!;
      const from = this.#froms[packet]!;
      const bytes = this.#bytesOf(packet).subarray(0, this.#lengths[packet]!);
      this.#trace.word(tick);
      this.#trace.word(to);
      this.#trace.text(from);
      this.#trace.bytes(bytes);
      this.#capture(bytes, from);
      this.counters.packetsDelivered += 1;
      deliver(to, bytes, from);
      this.#free.push(packet);
      this.#inFlight -= 1;
    }
    due.length = 0;
  }

  /** Cuts `isolated` off from the rest: both ways, or so that only one way is lost. */
  partition(isolated: readonly number[], cut: "both" | "inward" | "outward"): void {
    this.#sides.fill(0);
    for (const node of isolated) this.#sides[node] = 1;
    this.#cut = cut;
  }

  /** Whether a node is on the smaller side of a cut. */
  isIsolated(node: number): boolean {
    return this.#cut !== "none" && this.#sides[node] === 1;
  }

  /** Holds back what goes from one node to another until `untilTick`. */
  clog(from: number, to: number, untilTick: number): void {
    this.#clogs.set(from * this.#endpoints.length + to, untilTick);
  }

  /** No cuts and no clogs any more. */
  heal(): void {
    this.#cut = "none";
    this.#clogs.clear();
  }

  healPartition(): void {
    this.#cut = "none";
  }

  /** The forger sends one packet: noise, an altered or a replayed one, from and to anybody. */
  forge(): void {
    const random = this.#forgerRandom;
    const captured = this.#captured.length > 0 ? drawItem(random, this.#captured) : null;
    const isSpoofed = captured === null || randomChance(random, 0.5);
    const from = isSpoofed ? drawItem(random, this.#endpoints) : captured.from;
    const to = randomBelow(random, this.#endpoints.length);
    this.counters.packetsForged += 1;
    this.#enqueue(from, to, forgedBytes(random, captured?.bytes ?? null), 1);
  }

  /** Forgets all that is under way and gives the pool back. */
  drain(): void {
    for (const due of this.#calendar) due.length = 0;
    for (const list of [this.#chunks, this.#free, this.#captured]) list.length = 0;
    for (const list of [this.#froms, this.#tos, this.#lengths]) list.length = 0;
    this.#inFlight = 0;
  }

  #isOpen(from: number, to: number): boolean {
    if (this.#cut === "none" || this.#sides[from] === this.#sides[to]) return true;
    if (this.#cut === "both") return false;
    const goesInward = this.#sides[to] === 1;
    return this.#cut === "inward" ? !goesInward : goesInward;
  }

  #delay(from: number, to: number): number {
    const { latencyMinTicks, latencyJitterTicks, tailRate } = this.parameters;
    let ticks = latencyMinTicks + randomBelow(this.#random, latencyJitterTicks + 1);
    if (randomChance(this.#random, tailRate)) {
      ticks += drawGeometric(this.#random, TAIL_CONTINUE_RATE, TAIL_TICKS_MAX);
    }
    const clogKey = from * this.#endpoints.length + to;
    const cloggedUntil = this.#clogs.get(clogKey) ?? 0;
    if (cloggedUntil > this.#tick) ticks += cloggedUntil - this.#tick;
    else this.#clogs.delete(clogKey);
    return Math.min(Math.max(ticks, 1), CALENDAR_TICKS - 1);
  }

  #enqueue(from: Endpoint, to: number, datagram: Uint8Array, delayTicks: number): void {
    assert(datagram.length <= PACKET_BYTES, "the network carries packets of at most 1024 bytes");
    if (this.#inFlight >= this.parameters.inFlightMax) {
      this.counters.packetsOverflowed += 1;
      return;
    }
    const packet = this.#free.pop() ?? this.#grow();
    this.#bytesOf(packet).set(datagram);
    this.#froms[packet] = from;
    this.#tos[packet] = to;
    this.#lengths[packet] = datagram.length;
    this.#calendar[(this.#tick + delayTicks) % CALENDAR_TICKS]!.push(packet);
    this.#inFlight += 1;
    this.counters.inFlightPeak = Math.max(this.counters.inFlightPeak, this.#inFlight);
  }

  #grow(): number {
    const first = this.#chunks.length * CHUNK_PACKETS;
    this.#chunks.push(new Uint8Array(CHUNK_PACKETS * PACKET_BYTES));
    for (let packet = first + CHUNK_PACKETS - 1; packet > first; packet -= 1) {
      this.#free.push(packet);
    }
    return first;
  }

  #bytesOf(packet: number): Uint8Array {
    const offset = (packet % CHUNK_PACKETS) * PACKET_BYTES;
    const chunk = this.#chunks[Math.floor(packet / CHUNK_PACKETS)]!;
    return chunk.subarray(offset, offset + PACKET_BYTES);
  }

  /** Every 37th packet, so that the forger's replays span some time. */
  #capture(bytes: Uint8Array, from: Endpoint): void {
    if (this.counters.packetsDelivered % 37 !== 0) return;
    this.#captured[this.#capturedNext] = { bytes: bytes.slice(), from };
    this.#capturedNext = (this.#capturedNext + 1) % CAPTURED_MAX;
  }
}

/** Noise of any length, or a captured packet as it was, with flipped bits, or cut short. */
function forgedBytes(random: SeededRandom, captured: Uint8Array | null): Uint8Array {
  const form = randomBelow(random, 4);
  if (captured === null || form === 0) return random.bytes(randomBelow(random, PACKET_BYTES + 1));
  if (form === 1) return captured;
  if (form === 2) return captured.slice(0, randomBelow(random, captured.length + 1));
  const altered = captured.slice();
  for (let flips = 1 + randomBelow(random, 4); flips > 0 && altered.length > 0; flips -= 1) {
    altered[randomBelow(random, altered.length)]! ^= 1 << randomBelow(random, 8);
  }
  return altered;
}
