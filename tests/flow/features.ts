// Features of a flow as a tap would tell them, for tests to change where they need to.
import {
  type DirectionFeatures,
  type FlowFeatures,
  PACKET_SIZE_BINS,
  type PayloadContext,
} from "../../src/flow/tap/features.ts";

export const TCP = 6;
export const UDP = 17;

export function direction(parts: Partial<DirectionFeatures> = {}): DirectionFeatures {
  return {
    packets: 1,
    bytes: 100,
    payloadPackets: 1,
    payloadBytes: 60,
    sizeHistogram: new Uint32Array(PACKET_SIZE_BINS),
    interArrivalMeanMs: 0,
    interArrivalVarianceMs2: 0,
    ...parts,
  };
}

export interface FlowParts extends Partial<Omit<FlowFeatures, "key">> {
  readonly key?: Partial<FlowFeatures["key"]>;
}

/** A connection from a client at home to port 50123 of a server that nothing is known of. */
export function flow({ key, ...parts }: FlowParts = {}): FlowFeatures {
  return {
    id: 1,
    key: {
      protocol: TCP,
      client: "192.168.1.7",
      clientPort: 51_000,
      server: "203.0.113.9",
      serverPort: 50_123,
      ...key,
    },
    clientClue: "handshake",
    clientMac: "02:00:5e:10:00:01",
    firstSeenMs: 0,
    lastSeenMs: 1_000,
    fromClient: direction(),
    fromServer: direction(),
    symmetry: 1,
    tcpFlags: 0,
    application: null,
    serverName: null,
    serverNameSource: null,
    encryptedClientHello: false,
    alpn: [],
    quicVersion: null,
    dnsName: null,
    siblingName: null,
    dnsQuestion: null,
    certificateName: null,
    userAgent: null,
    httpTarget: null,
    contentType: null,
    payload: null,
    ...parts,
  };
}

/** What the matcher is told of the first packet of a client at port 51000. */
export function payloadContext(parts: Partial<PayloadContext> = {}): PayloadContext {
  const protocol = parts.protocol ?? UDP;
  const { clientPort = 51_000, serverPort = 50_123 } = parts;
  return {
    flow: flow({ key: { protocol, clientPort, serverPort } }),
    protocol,
    fromClient: true,
    index: 0,
    clientPort,
    serverPort,
    payloadBytes: 0,
    matched: null,
    state: 0,
    ...parts,
  };
}
