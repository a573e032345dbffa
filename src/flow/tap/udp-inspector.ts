// Reads what UDP flows show: DNS and its local relatives, and QUIC's ClientHello.

import { TAP_UNDECIDED_PAYLOADS_MAX } from "../../kernel/limits.ts";
import { readDns } from "./dns.ts";
import type { Flow } from "./flow.ts";
import type { KnownNames } from "./known-names.ts";
import type { Packet } from "./packet.ts";
import { QuicHandshake, type QuicReader, quicVersion } from "./quic.ts";

const DNS_PORT = 53;
const MDNS_PORT = 5353;
const LLMNR_PORT = 5355;

export class UdpInspector {
  readonly #quic: QuicReader;
  readonly #names: KnownNames;

  constructor(quic: QuicReader, names: KnownNames) {
    this.#quic = quic;
    this.#names = names;
  }

  /** Reads one datagram of `flow`. */
  inspect(flow: Flow, packet: Packet): void {
    if (isDnsPort(packet.sourcePort) || isDnsPort(packet.destinationPort)) {
      this.#readDns(flow, packet);
      return;
    }
    if (flow.quicVersion === null) this.#lookForQuic(flow, packet);
    if (flow.quic !== null) this.#readQuic(flow, flow.quic, packet);
  }

  /** Gives back what the flow holds. */
  finish(flow: Flow): void {
    if (flow.quic === null) return;
    this.#quic.finish(flow.quic);
    flow.quic = null;
  }

  #readDns(flow: Flow, packet: Packet): void {
    const message = readDns(packet.bytes, packet.payloadAt, packet.payloadEnd);
    if (message === null) return;
    flow.setApplication("dns");
    if (message.name !== flow.dnsQuestion) {
      flow.dnsQuestion = message.name;
      flow.hasNews = true;
    }
    const isMulticast = packet.sourcePort === MDNS_PORT || packet.destinationPort === MDNS_PORT;
    // In multicast DNS everybody asks and answers.
    if (isMulticast) return;
    flow.setClient(packet.senderIsFirst !== message.isResponse, "handshake");
    // Only a server that was asked is believed: anybody in the local network may speak mDNS.
    if (message.isResponse && packet.sourcePort === DNS_PORT) this.#names.learn(message, packet);
  }

  #lookForQuic(flow: Flow, packet: Packet): void {
    if (flow.payloadPackets > TAP_UNDECIDED_PAYLOADS_MAX) return;
    const version = quicVersion(packet.bytes, packet.payloadAt, packet.payloadEnd);
    if (version === null) return;
    flow.quicVersion = version;
    flow.quic = new QuicHandshake();
    flow.setApplication("quic");
  }

  #readQuic(flow: Flow, handshake: QuicHandshake, packet: Packet): void {
    const { bytes, payloadAt, payloadEnd } = packet;
    const hello = this.#quic.read(handshake, bytes, payloadAt, payloadEnd);
    if (hello !== null) {
      flow.setClient(packet.senderIsFirst, "handshake");
      flow.setServerName(hello.serverName, "quic");
      flow.alpn = hello.alpn;
      flow.userAgent = hello.userAgent;
      flow.encryptedClientHello = hello.encryptedClientHello;
      flow.hasNews = true;
    }
    if (handshake.isDone) flow.quic = null;
  }
}

function isDnsPort(port: number): boolean {
  return port === DNS_PORT || port === MDNS_PORT || port === LLMNR_PORT;
}
