// Reads what TCP flows show first, in either direction: TLS hellos, HTTP heads, DNS messages, also
// when they are split over segments that come out of order, or begin after a proxy's or a mail
// server's preliminaries.

import { STREAM_BYTES_MAX, TAP_UNDECIDED_PAYLOADS_MAX } from "../../kernel/limits.ts";
import type { StreamPool } from "./byte-stream.ts";
import { u16 } from "./bytes.ts";
import { readDns } from "./dns.ts";
import type { Flow, FlowSide, ReadingStage } from "./flow.ts";
import { readHttpRequest, readHttpResponse } from "./http.ts";
import type { KnownNames } from "./known-names.ts";
import { type Packet, TCP_SYN } from "./packet.ts";
import { startsClientHello, startsServerHello, TlsReader } from "./tls.ts";

const DNS_PORT = 53;
const DNS_MESSAGE_BYTES_MIN = 12;
/** With fewer bytes it cannot be told what begins here. */
const DECIDING_BYTES = 6;
const TLS_HANDSHAKE_RECORD = 22;

/** Whether a reader wants the bytes that follow, or is done with this direction. */
type Appetite = "more" | "done";

export class TcpInspector {
  readonly #streams: StreamPool;
  readonly #names: KnownNames;
  readonly #tls = new TlsReader();

  constructor(streams: StreamPool, names: KnownNames) {
    this.#streams = streams;
    this.#names = names;
  }

  /**
   * Reads one segment of `flow`.
   * @returns whether it carries payload that was not seen before
   */
  inspect(flow: Flow, packet: Packet): boolean {
    const side = flow.sideOf(packet);
    const isSyn = (packet.tcpFlags & TCP_SYN) !== 0;
    const sequence = (packet.tcpSequence + (isSyn ? 1 : 0)) >>> 0;
    const expected = side.nextSequence;
    const isNew = advance(side, sequence, packet.payloadWireBytes);
    if (packet.payloadEnd > packet.payloadAt && side.stage !== "done") {
      this.#read(flow, side, packet, sequence, expected);
    }
    return isNew && packet.payloadWireBytes > 0;
  }

  /** Gives back what the flow holds. */
  finish(flow: Flow): void {
    this.#finishSide(flow.fromClient);
    this.#finishSide(flow.fromServer);
  }

  #finishSide(side: FlowSide): void {
    side.stage = "done";
    this.#streams.takeBack(side);
  }

  /** @param expected the sequence number that was due, or -1 */
  #read(flow: Flow, side: FlowSide, packet: Packet, sequence: number, expected: number): void {
    const { bytes, payloadAt, payloadEnd } = packet;
    if (side.stream !== null) {
      this.#readStream(flow, side, packet, sequence);
      return;
    }
    if (side.stage !== "undecided") {
      // The pool took its stream for another flow: what was read so far must do.
      side.stage = "done";
      return;
    }
    const isFirstPayload = side.payloadPackets === 1;
    const isAhead = expected >= 0 && ((sequence - expected) | 0) > 0;
    if (isFirstPayload && isAhead) {
      this.#startStream(side, packet, expected, sequence);
      return;
    }
    const appetite = this.#parse(flow, side, packet, bytes, payloadAt, payloadEnd);
    if (appetite === "more") this.#startStream(side, packet, sequence, sequence);
  }

  #startStream(side: FlowSide, packet: Packet, base: number, sequence: number): void {
    const offset = (sequence - base) | 0;
    if (offset >= STREAM_BYTES_MAX) return;
    const stream = this.#streams.lend(side);
    side.streamBase = base;
    stream.add(offset, packet.bytes, packet.payloadAt, packet.payloadEnd);
  }

  #readStream(flow: Flow, side: FlowSide, packet: Packet, sequence: number): void {
    const stream = side.stream!;
    const knownBytes = stream.prefixLength;
    const offset = (sequence - side.streamBase) | 0;
    stream.add(offset, packet.bytes, packet.payloadAt, packet.payloadEnd);
    if (stream.prefixLength === knownBytes) return;
    const appetite = this.#parse(flow, side, packet, stream.bytes, 0, stream.prefixLength);
    if (appetite === "done" || stream.isFull) this.#streams.takeBack(side);
    if (stream.isFull) side.stage = "done";
  }

  /** Reads `[at, end)`, the beginning of what one side says. Sets the side's stage. */
  #parse(
    flow: Flow,
    side: FlowSide,
    packet: Packet,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): Appetite {
    if (side.stage === "undecided") {
      if (isTooShortToTell(bytes, at, end)) return "more";
      side.stage = decideStage(flow, bytes, at, end);
    }
    switch (side.stage) {
      case "client-hello":
        return this.#readClientHello(flow, side, packet, bytes, at, end);
      case "server-hello":
        return this.#readServerHello(flow, side, packet, bytes, at, end);
      case "http-request":
        return this.#readRequest(flow, side, packet, bytes, at, end);
      case "http-response":
        return this.#readResponse(flow, side, packet, bytes, at, end);
      case "dns":
        return this.#readDns(flow, side, packet, bytes, at, end);
      default:
        side.triedCount += 1;
        if (side.triedCount >= TAP_UNDECIDED_PAYLOADS_MAX) side.stage = "done";
        return "done";
    }
  }

  #readClientHello(
    flow: Flow,
    side: FlowSide,
    packet: Packet,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): Appetite {
    const hello = this.#tls.readClientHello(bytes, at, end);
    // Null here: not even the message's head has come.
    if (hello === null) return this.#tls.wantsMore ? "more" : done(side);
    flow.setApplication("tls");
    flow.setClient(packet.senderIsFirst, "handshake");
    flow.setServerName(hello.serverName, "tls");
    flow.alpn = hello.alpn;
    flow.encryptedClientHello = hello.encryptedClientHello;
    if (this.#tls.wantsMore) return "more";
    flow.hasNews = true;
    return done(side);
  }

  #readServerHello(
    flow: Flow,
    side: FlowSide,
    packet: Packet,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): Appetite {
    flow.setApplication("tls");
    flow.setClient(!packet.senderIsFirst, "handshake");
    // The certificate says less than a name that was asked for.
    if (flow.serverName !== null) return done(side);
    const name = this.#tls.readCertificateName(bytes, at, end);
    if (name !== null && name !== flow.certificateName) {
      flow.certificateName = name;
      flow.hasNews = true;
    }
    return this.#tls.wantsMore ? "more" : done(side);
  }

  #readRequest(
    flow: Flow,
    side: FlowSide,
    packet: Packet,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): Appetite {
    const request = readHttpRequest(bytes, at, end);
    if (request === null) return done(side);
    flow.setApplication("http");
    flow.setClient(packet.senderIsFirst, "handshake");
    flow.setServerName(request.host, "http");
    flow.httpTarget = request.target;
    flow.userAgent = request.userAgent;
    if (!request.isComplete) return "more";
    flow.hasNews = true;
    if (request.method !== "CONNECT") return done(side);
    // What the tunnel carries may show more than the proxy was told.
    side.stage = "undecided";
    return "done";
  }

  #readResponse(
    flow: Flow,
    side: FlowSide,
    packet: Packet,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): Appetite {
    const response = readHttpResponse(bytes, at, end);
    if (response === null) return done(side);
    flow.setApplication("http");
    flow.setClient(!packet.senderIsFirst, "handshake");
    if (response.contentType !== flow.contentType) {
      flow.contentType = response.contentType;
      flow.hasNews = true;
    }
    return response.isComplete ? done(side) : "more";
  }

  /** The first message, after its length (RFC 1035, 4.2.2). */
  #readDns(
    flow: Flow,
    side: FlowSide,
    packet: Packet,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): Appetite {
    if (end - at < 2) return "more";
    const messageEnd = at + 2 + u16(bytes, at);
    if (messageEnd - at - 2 < DNS_MESSAGE_BYTES_MIN) return done(side);
    if (messageEnd > end && messageEnd - at <= STREAM_BYTES_MAX) return "more";
    const message = readDns(bytes, at + 2, Math.min(messageEnd, end));
    if (message !== null) {
      flow.setApplication("dns");
      flow.dnsQuestion = message.name;
      flow.hasNews = true;
      if (message.isResponse && packet.sourcePort === DNS_PORT) this.#names.learn(message, packet);
    }
    return done(side);
  }
}

function done(side: FlowSide): Appetite {
  side.stage = "done";
  return "done";
}

/** Moves what is expected next forward. @returns whether the segment reaches beyond what was seen */
function advance(side: FlowSide, sequence: number, payloadBytes: number): boolean {
  const next = (sequence + payloadBytes) >>> 0;
  const expected = side.nextSequence;
  if (expected >= 0 && ((next - expected) | 0) <= 0) return false;
  side.nextSequence = next;
  return true;
}

/** Segments of a few bytes are told apart once the rest has come. */
function isTooShortToTell(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at >= DECIDING_BYTES) return false;
  const first = bytes[at]!;
  return first === TLS_HANDSHAKE_RECORD || (first >= 0x41 && first <= 0x5a);
}

function decideStage(flow: Flow, bytes: Uint8Array, at: number, end: number): ReadingStage {
  if (flow.clientPort === DNS_PORT || flow.serverPort === DNS_PORT) return "dns";
  if (startsClientHello(bytes, at, end)) return "client-hello";
  if (startsServerHello(bytes, at, end)) return "server-hello";
  if (readHttpRequest(bytes, at, end) !== null) return "http-request";
  if (readHttpResponse(bytes, at, end) !== null) return "http-response";
  return "undecided";
}
