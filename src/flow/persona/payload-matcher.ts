// The tap's door for payload signatures: the most trusted one that matches a flow's first packets.

import type { Service } from "../interface.ts";
import { SERVICES } from "../interface.ts";
import type { PayloadContext, PayloadMatcher } from "../tap/features.ts";
import type { Catalog } from "./catalog.ts";
import { CALLS_TCP, CALLS_UDP } from "./signatures/calls.ts";
import { CHAT_TCP, CHAT_UDP } from "./signatures/chat.ts";
import { GAMES_TCP, GAMES_UDP } from "./signatures/games.ts";
import { MEDIA_TCP, MEDIA_UDP } from "./signatures/media.ts";
import { NETWORK_TCP, NETWORK_UDP } from "./signatures/network.ts";
import { REMOTE_TCP, REMOTE_UDP } from "./signatures/remote.ts";
import type { Signature } from "./signatures/signature.ts";
import { stunRealm } from "./signatures/stun.ts";
import { TRANSFERS_TCP, TRANSFERS_UDP } from "./signatures/transfers.ts";

const TCP = 6;
const UDP = 17;
/** A TCP connection says what it is with its first words; media may begin later in a UDP flow. */
const TCP_PAYLOADS_MAX = 6;
/** What a realm adds to STUN's trust: the server said its own name. */
const REALM_CONFIDENCE = 0.9;

/** The most trusted first, so that the first match is the one to keep. */
function byTrust(lists: readonly (readonly Signature[])[]): readonly Signature[] {
  return lists.flat().sort((a, b) => b.confidence - a.confidence);
}

const SIGNATURES: Readonly<Record<number, readonly Signature[]>> = {
  [TCP]: byTrust([
    REMOTE_TCP,
    TRANSFERS_TCP,
    CALLS_TCP,
    CHAT_TCP,
    MEDIA_TCP,
    GAMES_TCP,
    NETWORK_TCP,
  ]),
  [UDP]: byTrust([
    NETWORK_UDP,
    TRANSFERS_UDP,
    CALLS_UDP,
    MEDIA_UDP,
    REMOTE_UDP,
    CHAT_UDP,
    GAMES_UDP,
  ]),
};

const RANKS: Readonly<Record<number, ReadonlyMap<string, number>>> = {
  [TCP]: new Map(SIGNATURES[TCP]!.map(({ id }, rank) => [id, rank])),
  [UDP]: new Map(SIGNATURES[UDP]!.map(({ id }, rank) => [id, rank])),
};

/** Every signature's id, for each of TCP and UDP. */
export function signatureIds(protocol: number): string[] {
  return [...(RANKS[protocol]?.keys() ?? [])];
}

/** What the tap's `payload` stands for. */
export interface PayloadMeaning {
  readonly service: Service;
  readonly confidence: number;
  /** Anybody's media, so that the server's name may say more. */
  readonly isMedia: boolean;
}

/** @param payload an id that `match` answered with for a flow of this protocol */
export function payloadMeaning(protocol: number, payload: string): PayloadMeaning | null {
  const [id = "", realmService] = payload.split(":");
  const found = SIGNATURES[protocol]?.[RANKS[protocol]?.get(id) ?? -1];
  if (found === undefined) return null;
  const service = SERVICES.find((each) => each === realmService);
  if (service !== undefined) return { service, confidence: REALM_CONFIDENCE, isMedia: false };
  return { service: found.service, confidence: found.confidence, isMedia: found.kind === "media" };
}

export class SignatureMatcher implements PayloadMatcher {
  readonly #catalog: Catalog;

  /** @param catalog tells whose a STUN server's realm is */
  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  match(payload: Uint8Array, context: PayloadContext): string | null {
    const signatures = SIGNATURES[context.protocol];
    if (signatures === undefined || isReadAlready(context)) return null;
    const best = rankOf(context);
    for (let rank = 0; rank < best; rank += 1) {
      const signature = signatures[rank]!;
      if (signature.matches(payload, context)) return this.#withRealm(signature.id, payload);
    }
    return null;
  }

  /** STUN serves everybody; a server that asks for credentials names its realm. */
  #withRealm(id: string, payload: Uint8Array): string {
    const realm = id === "stun" ? stunRealm(payload) : null;
    const hit = realm === null ? null : this.#catalog.byName(realm);
    return hit === null || hit.realtime === null ? id : `${id}:${hit.realtime}`;
  }
}

/** A parser of the tap's own has read the flow, or its first words have passed. */
function isReadAlready({ flow, protocol, index }: PayloadContext): boolean {
  const { application } = flow;
  if (application !== null && (application !== "http" || index > 0)) return true;
  return protocol === TCP && index >= TCP_PAYLOADS_MAX;
}

/** How many signatures are still better than the one that matched before. */
function rankOf({ protocol, matched }: PayloadContext): number {
  if (matched === null) return SIGNATURES[protocol]!.length;
  const [id = "", realmService] = matched.split(":");
  return realmService === undefined ? (RANKS[protocol]!.get(id) ?? 0) : 0;
}
