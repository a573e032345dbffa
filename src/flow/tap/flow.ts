// One flow of the table: its counters lie in arrays shared by all flows, outside the JavaScript
// heap; what was read in it are fields of this object.

import type { FlowKey } from "../interface.ts";
import type { ByteStream, StreamOwner } from "./byte-stream.ts";
import {
  type ApplicationProtocol,
  type ClientClue,
  type DirectionFeatures,
  type FlowFeatures,
  PACKET_SIZE_BINS,
  PACKET_SIZE_BOUNDS,
} from "./features.ts";
import type { FlowKeys } from "./flow-keys.ts";
import type { Packet } from "./packet.ts";
import type { QuicHandshake } from "./quic.ts";

/** What the first bytes of one direction of a TCP flow are read as. */
export type ReadingStage =
  | "undecided"
  | "client-hello"
  | "server-hello"
  | "http-request"
  | "http-response"
  | "dns"
  | "done";

/** Numbers of one direction in the shared array. */
const FIELDS = 8;
const PACKETS = 0;
const BYTES = 1;
const PAYLOAD_PACKETS = 2;
const PAYLOAD_BYTES = 3;
const LAST_MS = 4;
const INTERVAL_MEAN_MS = 5;
/** Sum of squared distances from the mean (Welford, 1962). */
const INTERVAL_SQUARES_MS2 = 6;
/** TCP: the sequence number after the highest seen; -1 before there is one. */
const NEXT_SEQUENCE = 7;

const NO_PROTOCOLS: readonly string[] = [];

/** The counters of all flows of a table, two directions each. */
export class FlowCounters {
  readonly numbers: Float64Array;
  readonly sizes: Uint32Array;

  constructor(flowsMax: number) {
    this.numbers = new Float64Array(flowsMax * 2 * FIELDS);
    this.sizes = new Uint32Array(flowsMax * 2 * PACKET_SIZE_BINS);
  }
}

/** What one side sent, and how far it was read. */
export class FlowSide implements DirectionFeatures, StreamOwner {
  readonly #counters: FlowCounters;
  readonly #at: number;
  readonly #sizesAt: number;
  stage: ReadingStage = "undecided";
  stream: ByteStream | null = null;
  /** TCP sequence number of the stream's first byte. */
  streamBase = 0;
  /** Payloads that were looked at while undecided. */
  triedCount = 0;

  constructor(counters: FlowCounters, index: number) {
    this.#counters = counters;
    this.#at = index * FIELDS;
    this.#sizesAt = index * PACKET_SIZE_BINS;
  }

  reset(): void {
    const { numbers, sizes } = this.#counters;
    numbers.fill(0, this.#at, this.#at + FIELDS);
    numbers[this.#at + NEXT_SEQUENCE] = -1;
    sizes.fill(0, this.#sizesAt, this.#sizesAt + PACKET_SIZE_BINS);
    this.stage = "undecided";
    this.stream = null;
    this.streamBase = 0;
    this.triedCount = 0;
  }

  get packets(): number {
    return this.#counters.numbers[this.#at + PACKETS]!;
  }
  get bytes(): number {
    return this.#counters.numbers[this.#at + BYTES]!;
  }
  get payloadPackets(): number {
    return this.#counters.numbers[this.#at + PAYLOAD_PACKETS]!;
  }
  get payloadBytes(): number {
    return this.#counters.numbers[this.#at + PAYLOAD_BYTES]!;
  }
  get sizeHistogram(): Readonly<Uint32Array> {
    return this.#counters.sizes.subarray(this.#sizesAt, this.#sizesAt + PACKET_SIZE_BINS);
  }
  get interArrivalMeanMs(): number {
    return this.#counters.numbers[this.#at + INTERVAL_MEAN_MS]!;
  }
  get interArrivalVarianceMs2(): number {
    const intervals = this.packets - 1;
    if (intervals < 2) return 0;
    return this.#counters.numbers[this.#at + INTERVAL_SQUARES_MS2]! / intervals;
  }

  /** The TCP sequence number expected next, or -1. */
  get nextSequence(): number {
    return this.#counters.numbers[this.#at + NEXT_SEQUENCE]!;
  }
  set nextSequence(sequence: number) {
    this.#counters.numbers[this.#at + NEXT_SEQUENCE] = sequence;
  }

  count(packet: Packet): void {
    const { numbers, sizes } = this.#counters;
    const at = this.#at;
    if (numbers[at + PACKETS]! > 0) this.#countInterval(packet.atMs);
    numbers[at + LAST_MS] = packet.atMs;
    numbers[at + PACKETS]! += 1;
    numbers[at + BYTES]! += packet.wireBytes;
    if (packet.payloadWireBytes > 0) {
      numbers[at + PAYLOAD_PACKETS]! += 1;
      numbers[at + PAYLOAD_BYTES]! += packet.payloadWireBytes;
    }
    sizes[this.#sizesAt + sizeBin(packet.wireBytes)]! += 1;
  }

  #countInterval(atMs: number): void {
    const { numbers } = this.#counters;
    const at = this.#at;
    // Merged captures may step back in time.
    const intervalMs = Math.max(0, atMs - numbers[at + LAST_MS]!);
    const count = numbers[at + PACKETS]!;
    const distance = intervalMs - numbers[at + INTERVAL_MEAN_MS]!;
    numbers[at + INTERVAL_MEAN_MS]! += distance / count;
    const newDistance = intervalMs - numbers[at + INTERVAL_MEAN_MS]!;
    numbers[at + INTERVAL_SQUARES_MS2]! += distance * newDistance;
  }
}

function sizeBin(sizeBytes: number): number {
  let bin = 0;
  while (bin < PACKET_SIZE_BOUNDS.length && sizeBytes > PACKET_SIZE_BOUNDS[bin]!) bin += 1;
  return bin;
}

/** A place of the flow table, used for one flow after the other. */
export class Flow implements FlowFeatures {
  /** Its place in the table. */
  readonly slot: number;
  fromClient: FlowSide;
  fromServer: FlowSide;

  id = 0;
  protocol = 0;
  clientPort = 0;
  serverPort = 0;
  /** Whether the client is the first endpoint of the table's key. */
  clientIsFirst = true;
  clientClue: ClientClue = "first";
  firstSeenMs = 0;
  lastSeenMs = 0;
  tcpFlags = 0;

  application: ApplicationProtocol | null = null;
  serverName: string | null = null;
  serverNameSource: "tls" | "quic" | "http" | null = null;
  encryptedClientHello = false;
  alpn: readonly string[] = NO_PROTOCOLS;
  quicVersion: number | null = null;
  dnsName: string | null = null;
  siblingName: string | null = null;
  dnsQuestion: string | null = null;
  certificateName: string | null = null;
  userAgent: string | null = null;
  httpTarget: string | null = null;
  contentType: string | null = null;
  payload: string | null = null;

  /** Payloads shown to the matcher, and what it keeps between them. */
  payloadsShown = 0;
  matcherState = 0;
  quic: QuicHandshake | null = null;
  /** Something was learned since the last news. */
  hasNews = false;

  readonly #keys: FlowKeys;
  #key: FlowKey | null = null;

  constructor(slot: number, counters: FlowCounters, keys: FlowKeys) {
    this.slot = slot;
    this.#keys = keys;
    this.fromClient = new FlowSide(counters, 2 * slot);
    this.fromServer = new FlowSide(counters, 2 * slot + 1);
  }

  /** Makes the place that of a new flow, begun by `packet`, whose client is its sender. */
  start(id: number, packet: Packet): void {
    this.id = id;
    this.protocol = packet.protocol;
    this.clientPort = packet.sourcePort;
    this.serverPort = packet.destinationPort;
    this.clientIsFirst = packet.senderIsFirst;
    this.clientClue = "first";
    this.firstSeenMs = packet.atMs;
    this.lastSeenMs = packet.atMs;
    this.tcpFlags = 0;
    this.fromClient.reset();
    this.fromServer.reset();
    this.#forget();
  }

  #forget(): void {
    this.application = null;
    this.serverName = null;
    this.serverNameSource = null;
    this.encryptedClientHello = false;
    this.alpn = NO_PROTOCOLS;
    this.quicVersion = null;
    this.dnsName = null;
    this.siblingName = null;
    this.dnsQuestion = null;
    this.certificateName = null;
    this.userAgent = null;
    this.httpTarget = null;
    this.contentType = null;
    this.payload = null;
    this.payloadsShown = 0;
    this.matcherState = 0;
    this.quic = null;
    this.hasNews = false;
    this.#key = null;
  }

  /** The addresses' text is made when it is first asked for. */
  get key(): FlowKey {
    this.#key ??= {
      protocol: this.protocol,
      client: this.#keys.addressText(this.slot, this.clientIsFirst),
      clientPort: this.clientPort,
      server: this.#keys.addressText(this.slot, !this.clientIsFirst),
      serverPort: this.serverPort,
    };
    return this.#key;
  }

  get clientMac(): string | null {
    return this.#keys.macText(this.slot, this.clientIsFirst);
  }

  get symmetry(): number {
    const { bytes: up } = this.fromClient;
    const { bytes: down } = this.fromServer;
    const more = Math.max(up, down);
    return more === 0 ? 0 : Math.min(up, down) / more;
  }

  get packets(): number {
    return this.fromClient.packets + this.fromServer.packets;
  }

  get payloadPackets(): number {
    return this.fromClient.payloadPackets + this.fromServer.payloadPackets;
  }

  /** The side that sent `packet`. */
  sideOf(packet: Packet): FlowSide {
    return packet.senderIsFirst === this.clientIsFirst ? this.fromClient : this.fromServer;
  }

  /** Key bytes of both addresses, for the name tables. */
  get clientKey(): string {
    return this.#keys.addressKey(this.slot, this.clientIsFirst);
  }
  get serverKey(): string {
    return this.#keys.addressKey(this.slot, !this.clientIsFirst);
  }

  /** Says which side is the client, when `clue` is worth more than what was known. */
  setClient(clientIsFirst: boolean, clue: ClientClue): void {
    if (CLUE_RANK[clue] <= CLUE_RANK[this.clientClue]) return;
    this.clientClue = clue;
    if (clientIsFirst === this.clientIsFirst) return;
    this.clientIsFirst = clientIsFirst;
    [this.clientPort, this.serverPort] = [this.serverPort, this.clientPort];
    [this.fromClient, this.fromServer] = [this.fromServer, this.fromClient];
    this.#key = null;
    this.hasNews = true;
  }

  setServerName(name: string | null, source: "tls" | "quic" | "http"): void {
    if (name === null || (this.serverName === name && this.serverNameSource === source)) return;
    this.serverName = name;
    this.serverNameSource = source;
    this.hasNews = true;
  }

  setApplication(application: ApplicationProtocol): void {
    if (this.application === application) return;
    this.application = application;
    this.hasNews = true;
  }
}

const CLUE_RANK: Readonly<Record<ClientClue, number>> = { first: 0, port: 1, handshake: 2 };
