// The tap: captured bytes in, news of flows out. The live daemon feeds it what tcpdump writes,
// `myco flow classify` a file; both run this code. Time is the capture's.

import type { QuicCrypto } from "../ports.ts";
import { StreamPool } from "./byte-stream.ts";
import { type CaptureProblem, CaptureReader } from "./capture.ts";
import {
  type FlowListener,
  PAYLOADS_PER_FLOW_MAX,
  type PayloadContext,
  type PayloadMatcher,
} from "./features.ts";
import type { Flow } from "./flow.ts";
import { FlowTable } from "./flow-table.ts";
import { readIp } from "./ip.ts";
import { KnownNames } from "./known-names.ts";
import { readLink } from "./link.ts";
import { IP_PROTOCOL, Packet, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "./packet.ts";
import { QuicReader } from "./quic.ts";
import { TcpInspector } from "./tcp-inspector.ts";
import { readTransport } from "./transport.ts";
import { UdpInspector } from "./udp-inspector.ts";

export interface TapOptions {
  readonly crypto: QuicCrypto;
  /** Null: no payload signatures. */
  readonly matcher: PayloadMatcher | null;
  /** Called within `push`, `expire` and `finish`. Must not call back into the tap. */
  readonly onFlow: FlowListener;
  /** Flows watched at a time; the one longest silent makes room. */
  readonly flowsMax: number;
  /** Names learned from DNS; the one used least recently makes room. */
  readonly namesMax: number;
  /** Flows whose first bytes may wait for their order at a time. */
  readonly streamsMax: number;
  /** A flow this long silent ends; Infinity: only when room is needed. */
  readonly idleMs: number;
  /** For the flow table's hash: random where strangers send the packets. */
  readonly hashSeed: number;
}

/** Counts since the tap was made. */
export interface TapCounts {
  readonly packets: number;
  /** Frames without an IP packet that could be read, and fragments after the first. */
  readonly passedOver: number;
  readonly flows: number;
  /** Flows that ended to make room. */
  readonly evictedFlows: number;
}

/** Ports below are the system's (RFC 6335); those from the second on are handed out to clients. */
const SYSTEM_PORTS_END = 1_024;
const CLIENT_PORTS_START = 32_768;

export class Tap {
  readonly #options: TapOptions;
  #capture: CaptureReader;
  readonly #packet = new Packet();
  readonly #table: FlowTable;
  readonly #names: KnownNames;
  readonly #tcp: TcpInspector;
  readonly #udp: UdpInspector;
  #packets = 0;
  #passedOver = 0;
  #flows = 0;
  #evictedFlows = 0;

  constructor(options: TapOptions) {
    this.#options = options;
    this.#capture = this.#newCapture();
    this.#table = new FlowTable(options.flowsMax, options.hashSeed);
    this.#names = new KnownNames(options.namesMax);
    const streams = new StreamPool(options.streamsMax);
    this.#tcp = new TcpInspector(streams, this.#names);
    this.#udp = new UdpInspector(new QuicReader(options.crypto, streams), this.#names);
  }

  /** Why the capture cannot be read any further, or null. */
  get problem(): CaptureProblem | null {
    return this.#capture.problem;
  }

  get counts(): TapCounts {
    return {
      packets: this.#packets,
      passedOver: this.#passedOver,
      flows: this.#flows,
      evictedFlows: this.#evictedFlows,
    };
  }

  /** Reads the next bytes of a pcap or pcapng capture; they are the caller's again when it returns. */
  push(bytes: Uint8Array): void {
    // What comes from a child or a file is a Buffer, whose slices share its memory: everything
    // beyond this line has plain arrays.
    this.#capture.push(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  }

  /** Expects another capture from its head on, as from a child that was started again. Flows and names stay. */
  restartCapture(): void {
    this.#capture = this.#newCapture();
  }

  /** Ends the flows that are silent for too long by `nowMs`, on the capture's clock. Packets do so too. */
  expire(nowMs: number): void {
    const { idleMs } = this.#options;
    for (let flow = this.#table.oldest; flow !== null; flow = this.#table.oldest) {
      if (flow.lastSeenMs >= nowMs - idleMs) return;
      this.#end(flow);
    }
  }

  /** Ends the capture and all its flows. @returns why it was not read to a proper end, or null */
  finish(): CaptureProblem | null {
    for (let flow = this.#table.oldest; flow !== null; flow = this.#table.oldest) this.#end(flow);
    return this.#capture.finish();
  }

  #newCapture(): CaptureReader {
    return new CaptureReader((bytes, start, end, linkType, atMs) =>
      this.#readFrame(bytes, start, end, linkType, atMs),
    );
  }

  #readFrame(bytes: Uint8Array, start: number, end: number, linkType: number, atMs: number): void {
    const packet = this.#packet;
    packet.bytes = bytes;
    packet.atMs = atMs;
    this.#packets += 1;
    const isWhole = readLink(packet, linkType, start, end) && readIp(packet);
    if (!isWhole || packet.isLaterFragment || !readTransport(packet)) {
      this.#passedOver += 1;
      return;
    }
    this.expire(atMs);
    const flow = this.#flowOf(packet);
    this.#count(flow, packet);
    this.#inspect(flow, packet);
    this.#tell(flow);
  }

  #flowOf(packet: Packet): Flow {
    const known = this.#table.find(packet);
    if (known !== null && !isReuse(known, packet)) return known;
    this.#flows += 1;
    if (known !== null) {
      this.#close(known);
      this.#table.restart(known, packet);
      guessClient(known, packet);
      return known;
    }
    if (this.#table.isFull) {
      this.#evictedFlows += 1;
      this.#end(this.#table.oldest!);
    }
    const flow = this.#table.add(packet);
    guessClient(flow, packet);
    return flow;
  }

  #count(flow: Flow, packet: Packet): void {
    const side = flow.sideOf(packet);
    if (side.packets === 0) this.#table.learnMac(flow, packet);
    side.count(packet);
    flow.lastSeenMs = Math.max(flow.lastSeenMs, packet.atMs);
    flow.tcpFlags |= packet.tcpFlags;
  }

  /** The parsers read first, so that the matcher knows what they found. */
  #inspect(flow: Flow, packet: Packet): void {
    let isNew = packet.payloadWireBytes > 0;
    if (packet.protocol === IP_PROTOCOL.tcp) isNew = this.#tcp.inspect(flow, packet);
    if (packet.protocol === IP_PROTOCOL.udp && isNew) this.#udp.inspect(flow, packet);
    if (isNew && flow.payloadsShown < PAYLOADS_PER_FLOW_MAX) this.#match(flow, packet);
  }

  #match(flow: Flow, packet: Packet): void {
    const { matcher } = this.#options;
    if (matcher === null || packet.payloadEnd === packet.payloadAt) return;
    const context: PayloadContext = {
      flow,
      protocol: flow.protocol,
      fromClient: packet.senderIsFirst === flow.clientIsFirst,
      index: flow.payloadsShown,
      clientPort: flow.clientPort,
      serverPort: flow.serverPort,
      payloadBytes: packet.payloadWireBytes,
      matched: flow.payload,
      state: flow.matcherState,
    };
    const payload = packet.bytes.subarray(packet.payloadAt, packet.payloadEnd);
    const matched = matcher.match(payload, context);
    flow.payloadsShown += 1;
    flow.matcherState = context.state | 0;
    if (matched === null || matched === flow.payload) return;
    flow.payload = matched;
    flow.hasNews = true;
  }

  #tell(flow: Flow): void {
    const { packets } = flow;
    const isProgress = (packets & (packets - 1)) === 0;
    if (!flow.hasNews && !isProgress) return;
    if (flow.hasNews) this.#names.show(flow);
    this.#names.fill(flow);
    const news = flow.hasNews ? "signal" : "progress";
    flow.hasNews = false;
    this.#options.onFlow(flow, news);
  }

  #end(flow: Flow): void {
    this.#close(flow);
    this.#table.remove(flow);
  }

  #close(flow: Flow): void {
    this.#tcp.finish(flow);
    this.#udp.finish(flow);
    this.#names.fill(flow);
    this.#options.onFlow(flow, "end");
  }
}

/** Whether a connection begins where another between the same ports was closed. */
function isReuse(flow: Flow, packet: Packet): boolean {
  const opens = (packet.tcpFlags & (TCP_SYN | TCP_ACK)) === TCP_SYN;
  const wasClosed = (flow.tcpFlags & (TCP_FIN | TCP_RST)) !== 0;
  return opens && wasClosed && flow.payloadPackets > 0;
}

/** Says which side of a flow's first packet is the client: by the handshake, else by the ports. */
function guessClient(flow: Flow, { tcpFlags, protocol, senderIsFirst }: Packet): void {
  if ((tcpFlags & TCP_SYN) !== 0) {
    const isAnswer = (tcpFlags & TCP_ACK) !== 0;
    flow.setClient(senderIsFirst !== isAnswer, "handshake");
    return;
  }
  const isTcp = protocol === IP_PROTOCOL.tcp;
  const difference = serverRank(flow.serverPort, isTcp) - serverRank(flow.clientPort, isTcp);
  if (difference !== 0) flow.setClient(senderIsFirst === difference > 0, "port");
}

/** How much a port looks like a server's. Peers of UDP also speak between unregistered ports. */
function serverRank(port: number, isTcp: boolean): number {
  if (port < SYSTEM_PORTS_END) return 2;
  return isTcp && port < CLIENT_PORTS_START ? 1 : 0;
}
