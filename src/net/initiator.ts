// The side that dials. It sends INIT until an answer comes; a COOKIE goes into the next INIT,
// and a RESPONSE gives the session and a FINISH, the same again for the same RESPONSE.

import { assert } from "../kernel/assert.ts";
import type { KeyAgreement } from "../kernel/ports.ts";
import type { NodeId } from "../schema/node-id.ts";
import { OFFSET, PACKET_KIND, type PacketHeader } from "../schema/packet.ts";
import { ByteReader } from "../schema/varint.ts";
import {
  ANY_NODE,
  COOKIE_BYTES,
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

export type CookieResult = { readonly ok: true } | Refused;

export type ResponseResult =
  | {
      readonly ok: true;
      /** To send now, and again whenever the RESPONSE comes again. */
      readonly finish: Uint8Array;
      /** The new session; null when this RESPONSE came before, for keys must not start anew. */
      readonly session: Session | null;
    }
  | Refused;

export class Initiator {
  /** This side's name for the session: RESPONSE and COOKIE carry it in their headers. */
  readonly sessionId: number;
  /** The node that must answer; ANY_NODE when only its address is known. */
  readonly expectedPeer: NodeId;
  readonly #context: HandshakeContext;
  readonly #keyAgreement: KeyAgreement;
  readonly #share: KeyShare;
  readonly #initDigest: Uint8Array;
  #init: Uint8Array;
  #finished: { readonly responseDigest: Uint8Array; readonly finish: Uint8Array } | null = null;

  /** @param sessionId u32, not 0, chosen at random and not in use by this node */
  constructor(context: HandshakeContext, expectedPeer: NodeId, sessionId: number) {
    assert(sessionId !== 0, "session id 0 names no session");
    this.#context = context;
    this.expectedPeer = expectedPeer;
    this.sessionId = sessionId;
    this.#keyAgreement = context.crypto.keyAgreement(context.random.bytes(32));
    this.#share = {
      ephemeral: this.#keyAgreement.publicKey,
      nonce: context.random.bytes(NONCE_BYTES),
      sessionId,
    };
    this.#init = newPacket(context, PACKET_KIND.handshakeInit, expectedPeer, 0);
    writeKeyShare(this.#init, this.#share);
    this.#initDigest = initDigest(context.crypto, this.#init);
  }

  /** The INIT packet to send, and to send again until an answer comes. */
  get init(): Uint8Array {
    return this.#init;
  }

  /** Takes an untrusted COOKIE; `init` carries it from here on. */
  receiveCookie(packet: Uint8Array): CookieResult {
    const header = readHandshakeHeader(packet, PACKET_KIND.handshakeCookie);
    if (header === null || header.zone !== 0 || header.revocationBlock !== 0) {
      return refused("malformed");
    }
    if (!this.#isAnswer(header)) return refused("not_for_us");
    const reader = new ByteReader(packet, OFFSET.payload);
    if (!equalBytes(reader.raw(NONCE_BYTES), this.#share.nonce)) return refused("not_for_us");
    if (this.#finished !== null) return refused("finished");
    // A copy: the INIT before may still wait in a queue.
    this.#init = this.#init.slice();
    initCookieOf(this.#init).set(reader.raw(COOKIE_BYTES));
    return { ok: true };
  }

  /**
   * Takes an untrusted RESPONSE. A refused one changes nothing.
   * @param nowMs Unix time
   */
  receiveResponse(packet: Uint8Array, nowMs: number): ResponseResult {
    const header = readHandshakeHeader(packet, PACKET_KIND.handshakeResponse);
    const share = header === null ? null : readKeyShare(packet);
    if (header === null || share === null) return refused("malformed");
    if (!this.#isAnswer(header)) return refused("not_for_us");
    const { crypto } = this.#context;
    if (this.#finished !== null) {
      const isAgain = equalBytes(crypto.sha256(packet), this.#finished.responseDigest);
      return isAgain
        ? { ok: true, finish: this.#finished.finish, session: null }
        : refused("finished");
    }
    const sharedSecret = this.#keyAgreement.agree(share.ephemeral);
    if (sharedSecret === null) return refused("small_order");
    const secrets = deriveSecrets(crypto, sharedSecret, this.#initDigest, packet);
    const proof = openProof(
      this.#context,
      "responder",
      secrets.transcript,
      secrets.responderProofAead,
      packet,
      header,
      nowMs,
    );
    if (!proof.ok) return proof;
    const finish = this.#makeFinish(secrets, packet, header.source, share.sessionId);
    this.#finished = { responseDigest: crypto.sha256(packet), finish };
    const session = new Session({
      crypto,
      sendKey: secrets.initiatorDataKey,
      receiveKey: secrets.responderDataKey,
      localSessionId: this.sessionId,
      remoteSessionId: share.sessionId,
      peer: proof.peer,
      isInitiator: true,
      nowMs,
    });
    return { ok: true, finish, session };
  }

  #isAnswer(header: PacketHeader): boolean {
    return (
      header.destination === this.#context.identity.nodeId &&
      header.session === this.sessionId &&
      (this.expectedPeer === ANY_NODE || header.source === this.expectedPeer)
    );
  }

  #makeFinish(
    secrets: HandshakeSecrets,
    response: Uint8Array,
    peerId: NodeId,
    peerSessionId: number,
  ): Uint8Array {
    const finish = newPacket(this.#context, PACKET_KIND.handshakeFinish, peerId, peerSessionId);
    const transcript = fullTranscript(this.#context.crypto, secrets.transcript, response);
    sealProof(this.#context, "initiator", transcript, secrets.initiatorProofAead, finish);
    return finish;
  }
}
