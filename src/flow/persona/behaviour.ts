// What a flow does, when nothing names it: sizes and times of its packets. A guess, and graded as
// one: none of these is trusted beyond `BEHAVIOUR_CONFIDENCE_MAX`.

import type { Service } from "../interface.ts";
import { type DirectionFeatures, type FlowFeatures, PACKET_SIZE_BOUNDS } from "../tap/features.ts";

const TCP = 6;
const UDP = 17;
export const BEHAVIOUR_CONFIDENCE_MAX = 0.35;

/** Packets both ways before sizes and times mean something. */
const PACKETS_MIN = 8;
/** What a voice codec sends (RFC 3551): a frame every 10 to 60 ms, of 20 to 200 bytes. */
const VOICE_INTERVAL_MS = [8, 70] as const;
const VOICE_BYTES = [40, 320] as const;
/** A game's updates: small and steady, slower than voice. */
const GAME_INTERVAL_MS = [8, 250] as const;
const GAME_BYTES_MAX = 450;
/** Shares of large packets that only pictures fill. */
const PICTURE_SHARE = 0.4;
/** A question and its answer, asked again once or twice. */
const EXCHANGE_PACKETS_MAX = 6;
/** A TCP transfer worth the name. */
const BULK_BYTES = 400_000;

export interface BehaviourGuess {
  readonly service: Service;
  readonly confidence: number;
}

/** The best guess, or null when there is too little to guess from. */
export function guessByBehaviour(flow: FlowFeatures): BehaviourGuess | null {
  switch (flow.key.protocol) {
    case UDP:
      return isGroupAddress(flow.key.server) ? guess("system", 0.3) : guessUdp(flow);
    case TCP:
      return guessTcp(flow);
    default:
      return null;
  }
}

/** Whether the larger packets prevail in a direction that carries much: moving pictures. */
export function carriesPictures({ fromClient, fromServer }: FlowFeatures): boolean {
  return [fromClient, fromServer].some(
    (side) => side.packets >= 60 && shareAbove(side, 768) >= PICTURE_SHARE,
  );
}

function guess(service: Service, confidence: number): BehaviourGuess {
  return { service, confidence: Math.min(confidence, BEHAVIOUR_CONFIDENCE_MAX) };
}

/** On the port of HTTP/3 without a QUIC handshake: seen from its middle, or encrypted DNS. */
function guessUdp443(flow: FlowFeatures): BehaviourGuess {
  const { fromClient, fromServer } = flow;
  const isExchange = fromClient.packets + fromServer.packets <= EXCHANGE_PACKETS_MAX;
  const isSmall = !hasFullPackets(fromClient) && !hasFullPackets(fromServer);
  return isExchange && isSmall ? guess("system", 0.3) : guess("web_interactive", 0.3);
}

function guessUdp(flow: FlowFeatures): BehaviourGuess | null {
  if (flow.key.serverPort === 443) return guessUdp443(flow);
  const { fromClient, fromServer, symmetry } = flow;
  const packets = fromClient.packets + fromServer.packets;
  if (packets < PACKETS_MIN) return null;
  const busier = fromClient.packets >= fromServer.packets ? fromClient : fromServer;
  const meanBytes = busier.bytes / Math.max(1, busier.packets);
  const intervalMs = busier.interArrivalMeanMs;
  const isSteady = busier.interArrivalVarianceMs2 <= (intervalMs * 1.5) ** 2;
  if (carriesPictures(flow))
    return symmetry > 0.1 ? guess("video_conf", 0.3) : guess("video_live", 0.25);
  if (isSteady && isWithin(intervalMs, VOICE_INTERVAL_MS) && isWithin(meanBytes, VOICE_BYTES)) {
    return symmetry > 0.6 && meanBytes > 90 ? guess("voip_call", 0.3) : guess("game_rt", 0.28);
  }
  if (isWithin(intervalMs, GAME_INTERVAL_MS) && meanBytes <= GAME_BYTES_MAX)
    return guess("game_rt", 0.25);
  return null;
}

function guessTcp(flow: FlowFeatures): BehaviourGuess | null {
  const { fromClient, fromServer, symmetry } = flow;
  const bytes = fromClient.bytes + fromServer.bytes;
  if (bytes >= BULK_BYTES && symmetry < 0.1) return guess("bulk_dl", 0.25);
  const smaller = Math.max(meanPayload(fromClient), meanPayload(fromServer));
  const isTalk =
    fromClient.payloadPackets >= 20 && fromServer.payloadPackets >= 20 && smaller < 150;
  return isTalk ? guess("game_rt", 0.15) : null;
}

function meanPayload({ payloadBytes, payloadPackets }: DirectionFeatures): number {
  return payloadPackets === 0 ? 0 : payloadBytes / payloadPackets;
}

function isWithin(value: number, [least, most]: readonly [number, number]): boolean {
  return value >= least && value <= most;
}

/** The share of packets above a bound of the histogram. */
function shareAbove({ packets, sizeHistogram }: DirectionFeatures, boundBytes: number): number {
  let above = 0;
  for (let bin = 0; bin < sizeHistogram.length; bin += 1) {
    if (bin > 0 && PACKET_SIZE_BOUNDS[bin - 1]! >= boundBytes) above += sizeHistogram[bin]!;
  }
  return packets === 0 ? 0 : above / packets;
}

/** A client's first QUIC datagram fills 1,200 bytes (RFC 9000, 14.1), and so does data. */
function hasFullPackets({ sizeHistogram }: DirectionFeatures): boolean {
  return (sizeHistogram.at(-1) ?? 0) > 0;
}

/** Multicast of either family, and the limited broadcast: meant for everybody near. */
function isGroupAddress(address: string): boolean {
  if (address.startsWith("ff") && address.includes(":")) return true;
  const first = Number.parseInt(address, 10);
  return (first >= 224 && first <= 239) || address === "255.255.255.255";
}
