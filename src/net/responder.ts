// The side that is dialed. An INIT is read first, cheaply; then the caller finds that it
// answered it before, asks for a cookie, or makes a Responder, which is one half-open handshake.

import { assert } from "../kernel/assert.ts";
import type { NodeId } from "../schema/node-id.ts";
import { OFFSET, PACKET_KIND } from "../schema/packet.ts";
import {
  ANY_NODE,
  deriveSecrets,
  equalBytes,
  fullTranscript,
  type HandshakeContext,
  type HandshakeSecrets,
  initCookieOf,
  initDigest,
  type KeyShare,
  NONCE_BYTES,
  newPacket,
  openProof,
  type Refused,
  readHandshakeHeader,
  readKeyShare,
  refused,
  sealProof,
  writeKeyShare,
} from "./handshake.ts";
import { Session } from "./session.ts";

/** An INIT as it came: nothing of it is proven yet. */
export interface Init {
  readonly ok: true;
  readonly source: NodeId;
  readonly share: KeyShare;
  /** All zero in a first INIT. */
  readonly cookie: Uint8Array;
  /** Equal for an INIT that comes again, with a cookie or without. */
  readonly digest: Uint8Array;
}

/** Reads an untrusted INIT for this node; its bytes are copies. Costs one hash. */
export function readInit(context: HandshakeContext, packet: Uint8Array): Init | Refused {
  const header = readHandshakeHeader(packet, PACKET_KIND.handshakeInit);
  const share = header === null ? null : readKeyShare(packet);
  if (header === null || share === null || header.session !== 0) return refused("malformed");
  const ownId = context.identity.nodeId;
  if (header.destination !== ownId && header.destination !== ANY_NODE) return refused("not_for_us");
  if (header.source === ownId) return refused("own_id");
  const digest = initDigest(context.crypto, packet);
  return { ok: true, source: header.source, share, cookie: initCookieOf(packet).slice(), digest };
}

/** The COOKIE packet that answers `init`; `cookie` comes from a CookieMint. Nothing is kept. */
export function cookiePacket(
  context: HandshakeContext,
  init: Init,
  cookie: Uint8Array,
): Uint8Array {
  const kind = PACKET_KIND.handshakeCookie;
  const packet = newPacket(context, kind, init.source, init.share.sessionId);
  packet.set(init.share.nonce, OFFSET.payload);
  packet.set(cookie, OFFSET.payload + NONCE_BYTES);
  return packet;
}

export type RespondResult = { readonly ok: true; readonly responder: Responder } | Refused;
export type FinishResult = { readonly ok: true; readonly session: Session } | Refused;

/**
 * Answers an INIT: two X25519 operations and a signature.
 * @param sessionId u32, not 0, chosen at random and not in use by this node
 */
export function respond(context: HandshakeContext, init: Init, sessionId: number): RespondResult {
  assert(sessionId !== 0, "session id 0 names no session");
  const { crypto, random } = context;
  const keyAgreement = crypto.keyAgreement(random.bytes(32));
  const sharedSecret = keyAgreement.agree(init.share.ephemeral);
  if (sharedSecret === null) return refused("small_order");
  const kind = PACKET_KIND.handshakeResponse;
  const response = newPacket(context, kind, init.source, init.share.sessionId);
  const nonce = random.bytes(NONCE_BYTES);
  writeKeyShare(response, { ephemeral: keyAgreement.publicKey, nonce, sessionId });
  const secrets = deriveSecrets(crypto, sharedSecret, init.digest, response);
  sealProof(context, "responder", secrets.transcript, secrets.responderProofAead, response);
  return { ok: true, responder: new Responder(context, init, sessionId, response, secrets) };
}

/** One half-open handshake: a RESPONSE is out, its FINISH is awaited. Made by `respond`. */
export class Responder {
  /** This side's name for the session: FINISH carries it in its header. */
  readonly sessionId: number;
  /** Who the initiator says it is. */
  readonly source: NodeId;
  /** The RESPONSE packet to send, and to send again until FINISH comes. */
  readonly response: Uint8Array;
  readonly #context: HandshakeContext;
  readonly #initDigest: Uint8Array;
  readonly #remoteSessionId: number;
  readonly #secrets: HandshakeSecrets;
  #isFinished = false;

  constructor(
    context: HandshakeContext,
    init: Init,
    sessionId: number,
    response: Uint8Array,
    secrets: HandshakeSecrets,
  ) {
    this.#context = context;
    this.sessionId = sessionId;
    this.source = init.source;
    this.response = response;
    this.#initDigest = init.digest;
    this.#remoteSessionId = init.share.sessionId;
    this.#secrets = secrets;
  }

  /** Whether `response` already answers this INIT: then send it again, and make no other. */
  answers(init: Init): boolean {
    return equalBytes(init.digest, this.#initDigest);
  }

  /**
   * Takes an untrusted FINISH. A refused one changes nothing; a second one is refused, for
   * keys must not start anew.
   * @param nowMs Unix time
   */
  receiveFinish(packet: Uint8Array, nowMs: number): FinishResult {
    const header = readHandshakeHeader(packet, PACKET_KIND.handshakeFinish);
    if (header === null) return refused("malformed");
    const isForUs =
      header.destination === this.#context.identity.nodeId &&
      header.session === this.sessionId &&
      header.source === this.source;
    if (!isForUs) return refused("not_for_us");
    if (this.#isFinished) return refused("finished");
    const { crypto } = this.#context;
    const proof = openProof(
      this.#context,
      "initiator",
      fullTranscript(crypto, this.#secrets.transcript, this.response),
      this.#secrets.initiatorProofAead,
      packet,
      header,
      nowMs,
    );
    if (!proof.ok) return proof;
    this.#isFinished = true;
    const session = new Session({
      crypto,
      sendKey: this.#secrets.responderDataKey,
      receiveKey: this.#secrets.initiatorDataKey,
      localSessionId: this.sessionId,
      remoteSessionId: this.#remoteSessionId,
      peer: proof.peer,
      isInitiator: false,
      nowMs,
    });
    return { ok: true, session };
  }
}
