// What the tap tells about one flow, and the door for payload signatures: the seam between the
// bytes (src/flow/tap) and what is made of them (src/flow/persona).

import type { FlowKey } from "../interface.ts";

/** Payload-carrying packets of a flow, both directions together, that are shown to the matcher. */
export const PAYLOADS_PER_FLOW_MAX = 24;

/** Upper bounds, in bytes of the IP packet, of a histogram's bins but the last, which has none. */
export const PACKET_SIZE_BOUNDS = [64, 128, 256, 384, 512, 768, 1200] as const;
export const PACKET_SIZE_BINS = PACKET_SIZE_BOUNDS.length + 1;

/** Longest text that is kept of what a flow shows, a host name excepted. */
export const TEXT_CHARACTERS_MAX = 160;

/** What one side of a flow sent. */
export interface DirectionFeatures {
  readonly packets: number;
  /** Bytes of IP packets on the wire, whatever part of them was captured. */
  readonly bytes: number;
  /** Packets that carried anything above TCP or UDP, and its bytes on the wire. */
  readonly payloadPackets: number;
  readonly payloadBytes: number;
  /** `PACKET_SIZE_BINS` counts of IP packets by size. */
  readonly sizeHistogram: Readonly<Uint32Array>;
  /** Time between two packets of this direction; 0 before there are two. */
  readonly interArrivalMeanMs: number;
  /** Its population variance, in ms²; 0 before there are two intervals. */
  readonly interArrivalVarianceMs2: number;
}

/** What the tap read in a flow with a parser of its own; signatures of other protocols are the matcher's. */
export type ApplicationProtocol = "tls" | "quic" | "http" | "dns";

/**
 * How sure it is which side is the client: `handshake` saw it ask (SYN, ClientHello, HTTP request,
 * DNS query), `port` took the better-known port for the server's, `first` took the first to speak.
 */
export type ClientClue = "handshake" | "port" | "first";

/**
 * One flow as it stands: a view that changes as packets come, and is used for another flow after
 * its `end`. Copy what must last.
 */
export interface FlowFeatures {
  /** Unique in a tap's life, growing. */
  readonly id: number;
  /** Ports are 0 for what has none (ICMP, IGMP, OSPF, GRE, ESP, …). Its sides change places when a stronger `clientClue` says so. */
  readonly key: FlowKey;
  readonly clientClue: ClientClue;
  /** `aa:bb:cc:dd:ee:ff` of the side that sent the client's packets, or null where the link has none. */
  readonly clientMac: string | null;
  /** Packet time, milliseconds of the capture's clock. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly fromClient: DirectionFeatures;
  readonly fromServer: DirectionFeatures;
  /** Bytes of the lesser direction over those of the greater, 0 (one way only) to 1. */
  readonly symmetry: number;
  /** All TCP flags seen, or-ed, as in the header's low byte (FIN 1, SYN 2, RST 4, PSH 8, ACK 16). */
  readonly tcpFlags: number;

  readonly application: ApplicationProtocol | null;
  /** The name the client asked the server for, in lower case without a dot at its end. An HTTP Host or CONNECT target comes without its port. */
  readonly serverName: string | null;
  readonly serverNameSource: "tls" | "quic" | "http" | null;
  /** The ClientHello carries ECH, or the decoy browsers send in its place: `serverName` may be that of a front. */
  readonly encryptedClientHello: boolean;
  /** ALPN protocol ids the client offered, in its order; empty when none. */
  readonly alpn: readonly string[];
  /** QUIC's version field, such as 1, 0x6b3343cf, or 0x51303436 for "Q046"; null where it is no QUIC. */
  readonly quicVersion: number | null;
  /** The name under which the client (else anybody) was last told the server's address by DNS. */
  readonly dnsName: string | null;
  /** The name another flow lately showed to the same server address and port, when this one shows none. */
  readonly siblingName: string | null;
  /** What a DNS, mDNS or LLMNR flow asked for or told of last. */
  readonly dnsQuestion: string | null;
  /** The first DNS name of the server's certificate (TLS 1.2 and before), else its common name, without `*.`; only read where no `serverName` was shown. */
  readonly certificateName: string | null;
  /** Of HTTP, or of Google's QUIC; cut at `TEXT_CHARACTERS_MAX`. */
  readonly userAgent: string | null;
  /** The request's target (path and query) and the answer's media type; cut at `TEXT_CHARACTERS_MAX`. */
  readonly httpTarget: string | null;
  readonly contentType: string | null;
  /** The last id the matcher answered with. */
  readonly payload: string | null;
}

/** What the matcher may know besides the bytes. Not to be kept. */
export interface PayloadContext {
  readonly flow: FlowFeatures;
  /** IP protocol number. */
  readonly protocol: number;
  readonly fromClient: boolean;
  /** Among the flow's payloads, from 0; below `PAYLOADS_PER_FLOW_MAX`. */
  readonly index: number;
  readonly clientPort: number;
  readonly serverPort: number;
  /** The payload's length on the wire; more than what is shown when the capture cut it. */
  readonly payloadBytes: number;
  /** The id answered before for this flow, or null. */
  readonly matched: string | null;
  /** The matcher's own memory of this flow between calls, an int32 that starts at 0. Write it. */
  state: number;
}

/** Payload signatures. The persona room implements it; a tap calls it. */
export interface PayloadMatcher {
  /**
   * Called for the first `PAYLOADS_PER_FLOW_MAX` packets of a flow that carry payload, in the order
   * captured. TCP segments come as they are, repeated ones left out. For protocols without ports
   * the payload is what follows the IP header.
   *
   * @param payload a view of the capture's memory: not to be kept
   * @returns the id of the signature that matched; it takes the place of `matched`. Null: nothing new
   */
  match(payload: Uint8Array, context: PayloadContext): string | null;
}

/** Why a flow is told of. */
export type FlowNews =
  /** Its 1st, 2nd, 4th, 8th, … packet. */
  | "progress"
  /** Something above was learned: a name, a signature, which side is the client. */
  | "signal"
  /** It was idle for too long, made room, or the capture ended. Its last news. */
  | "end";

/** Called within `Tap.push`. */
export type FlowListener = (flow: FlowFeatures, news: FlowNews) => void;
