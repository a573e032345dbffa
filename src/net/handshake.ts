// What both sides of the handshake share: the shape of its packets, its transcript, its keys
// and its proofs. It is SIGMA-I (Krawczyk, 2003) over X25519 ephemerals:
//
//   INIT      →  ephemeral 32, nonce 16, initiator's session id 4, cookie 16          (clear)
//   COOKIE    ←  nonce 16 of the INIT, cookie 16                                      (clear)
//   RESPONSE  ←  ephemeral 32, nonce 16, responder's session id 4, {proof}            (sealed from {)
//   FINISH    →  {proof}                                                              (sealed)
//
// A proof is a certificate with its length, and an Ed25519 signature over the transcript. The
// AEAD's key comes of the shared secret, and its tag is what SIGMA asks for as a MAC of the
// identity. Every packet is 1024 bytes, so that no answer is larger than its question. The
// transcript holds every byte of INIT, save the cookie, and of RESPONSE; FINISH is sealed whole.

import {
  CERTIFICATE_BYTES_MAX,
  PACKET_BYTES,
  PAYLOAD_BYTES,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  TAG_BYTES,
} from "../kernel/limits.ts";
import type { Aead, Crypto, Random } from "../kernel/ports.ts";
import type { NodeId } from "../schema/node-id.ts";
import {
  OFFSET,
  PACKET_KIND,
  type PacketHeader,
  type PacketKind,
  readHeader,
  writeHeader,
} from "../schema/packet.ts";
import { ByteReader, ByteWriter, FormatError } from "../schema/varint.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import type { Identity } from "./identity.ts";

/** The destination of an INIT to an address whose node is not known yet: whoever answers there. */
export const ANY_NODE: NodeId = "0000000000000000";

const textEncoder = new TextEncoder();
/** Each ends in a zero byte, so that none begins another. */
const LABEL = {
  init: textEncoder.encode("myco handshake v1 init\0"),
  response: textEncoder.encode("myco handshake v1 response\0"),
  finish: textEncoder.encode("myco handshake v1 finish\0"),
  keys: textEncoder.encode("myco handshake v1 keys\0"),
  initiatorProof: textEncoder.encode("myco handshake v1 initiator proof\0"),
  responderProof: textEncoder.encode("myco handshake v1 responder proof\0"),
} as const;

export const NONCE_BYTES = 16;
export const COOKIE_BYTES = 16;
const KEY_BYTES = 32;
const SESSION_ID_BYTES = 4;
/** The clear part of INIT and RESPONSE that makes the keys. */
const KEY_SHARE_BYTES = PUBLIC_KEY_BYTES + NONCE_BYTES + SESSION_ID_BYTES;
const INIT_BYTES = KEY_SHARE_BYTES + COOKIE_BYTES;
const INIT_COOKIE_OFFSET = OFFSET.payload + KEY_SHARE_BYTES;
const RESPONSE_SEALED_OFFSET = OFFSET.payload + KEY_SHARE_BYTES;

/** Used bytes of each kind's payload. */
const PAYLOAD_LENGTH: Readonly<Partial<Record<PacketKind, number>>> = {
  [PACKET_KIND.handshakeInit]: INIT_BYTES,
  [PACKET_KIND.handshakeCookie]: NONCE_BYTES + COOKIE_BYTES,
  [PACKET_KIND.handshakeResponse]: PAYLOAD_BYTES,
  [PACKET_KIND.handshakeFinish]: PAYLOAD_BYTES,
};

/**
 * Why a packet was refused. `malformed`: not of its shape. `not_for_us`: another node's or
 * another handshake's. `own_id`: this node's own packet, reflected or dialed. `small_order`: a
 * point that fixes the secret. `unauthentic`: the tag is wrong. `certificate`: not of this
 * root. `wrong_node`: not the node that its header or the dialer names. `expired`, `revoked`:
 * the certificate. `signature`: the key is not proven. `finished`: the handshake is over.
 */
export type Refusal =
  | "malformed"
  | "not_for_us"
  | "own_id"
  | "small_order"
  | "unauthentic"
  | "certificate"
  | "wrong_node"
  | "expired"
  | "revoked"
  | "signature"
  | "finished";

export interface Refused {
  readonly ok: false;
  readonly reason: Refusal;
}

export function refused(reason: Refusal): Refused {
  return { ok: false, reason };
}

/** Who this node is, and whom it believes. */
export interface HandshakeContext {
  readonly crypto: Crypto;
  readonly random: Random;
  readonly identity: Identity;
  /** This node's own, as issued by the root. */
  readonly certificate: Certificate;
  readonly certificateBytes: Uint8Array;
  readonly rootPublicKey: Uint8Array;
  isRevoked(certificate: Certificate): boolean;
  /** The highest revocation known here, for the header. */
  revocationBlock(): number;
}

/** A side's part of the key exchange, as it stands in INIT and RESPONSE. */
export interface KeyShare {
  readonly ephemeral: Uint8Array;
  readonly nonce: Uint8Array;
  /** Which session id packets to this side carry. */
  readonly sessionId: number;
}

/** A fresh packet of `kind` from this node: header written, payload and tag zero. */
export function newPacket(
  context: HandshakeContext,
  kind: PacketKind,
  destination: NodeId,
  session: number,
): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  const isCookie = kind === PACKET_KIND.handshakeCookie;
  writeHeader(packet, {
    kind,
    // A COOKIE proves nothing, so it says nothing that a peer might believe.
    zone: isCookie ? 0 : context.certificate.zone,
    revocationBlock: isCookie ? 0 : context.revocationBlock(),
    payloadLength: PAYLOAD_LENGTH[kind] ?? 0,
    source: context.identity.nodeId,
    destination,
    session,
    counter: 0,
  });
  return packet;
}

/** The header of an untrusted packet of `kind`; null when it is not one, or its clear rest is not zero. */
export function readHandshakeHeader(packet: Uint8Array, kind: PacketKind): PacketHeader | null {
  const header = readHeader(packet);
  if (header === null || header.kind !== kind || header.counter !== 0) return null;
  if (header.payloadLength !== PAYLOAD_LENGTH[kind]) return null;
  const isClear = header.payloadLength < PAYLOAD_BYTES;
  return isClear && !isZero(packet.subarray(OFFSET.payload + header.payloadLength)) ? null : header;
}

export function writeKeyShare(packet: Uint8Array, share: KeyShare): void {
  const writer = new ByteWriter(packet.subarray(OFFSET.payload));
  writer.raw(share.ephemeral);
  writer.raw(share.nonce);
  writer.u32(share.sessionId);
}

/** Of INIT or RESPONSE; its bytes are copies. Null when the session id is 0, which names none. */
export function readKeyShare(packet: Uint8Array): KeyShare | null {
  const reader = new ByteReader(packet, OFFSET.payload);
  const ephemeral = reader.raw(PUBLIC_KEY_BYTES).slice();
  const nonce = reader.raw(NONCE_BYTES).slice();
  const sessionId = reader.u32();
  return sessionId === 0 ? null : { ephemeral, nonce, sessionId };
}

/** The cookie's place in an INIT packet, as a view. */
export function initCookieOf(packet: Uint8Array): Uint8Array {
  return packet.subarray(INIT_COOKIE_OFFSET, INIT_COOKIE_OFFSET + COOKIE_BYTES);
}

/** Names an INIT: the hash of its bytes, the cookie left out so that asking for one changes nothing. */
export function initDigest(crypto: Crypto, init: Uint8Array): Uint8Array {
  const end = INIT_COOKIE_OFFSET + COOKIE_BYTES;
  return hash(crypto, LABEL.init, init.subarray(0, INIT_COOKIE_OFFSET), init.subarray(end));
}

/** What both sides derive once they have each other's key share. */
export interface HandshakeSecrets {
  /** Of INIT and the clear part of RESPONSE: what the responder signs. */
  readonly transcript: Uint8Array;
  readonly initiatorProofAead: Aead;
  readonly responderProofAead: Aead;
  readonly initiatorDataKey: Uint8Array;
  readonly responderDataKey: Uint8Array;
}

/** HKDF-SHA-256 (RFC 5869), salted with the transcript: four keys, two for each direction. */
export function deriveSecrets(
  crypto: Crypto,
  sharedSecret: Uint8Array,
  init: Uint8Array,
  response: Uint8Array,
): HandshakeSecrets {
  const clear = response.subarray(0, RESPONSE_SEALED_OFFSET);
  const transcript = hash(crypto, LABEL.response, init, clear);
  const keys = crypto.hkdfSha256(sharedSecret, transcript, LABEL.keys, 4 * KEY_BYTES);
  const key = (index: number) => keys.slice(index * KEY_BYTES, (index + 1) * KEY_BYTES);
  return {
    transcript,
    initiatorProofAead: crypto.aead(key(0)),
    responderProofAead: crypto.aead(key(1)),
    initiatorDataKey: key(2),
    responderDataKey: key(3),
  };
}

/** Of INIT and the whole of RESPONSE: what the initiator signs. */
export function fullTranscript(
  crypto: Crypto,
  transcript: Uint8Array,
  response: Uint8Array,
): Uint8Array {
  return hash(crypto, LABEL.finish, transcript, response);
}

export type Side = "initiator" | "responder";

/** Proves this node's key over `transcript`, sealed into RESPONSE or FINISH with the header as associated data. */
export function sealProof(
  context: HandshakeContext,
  side: Side,
  transcript: Uint8Array,
  aead: Aead,
  packet: Uint8Array,
): void {
  const [clear, sealed] = splitAtProof(side, packet);
  const plaintext = sealed.subarray(0, sealed.length - TAG_BYTES);
  const writer = new ByteWriter(plaintext);
  writer.block(context.certificateBytes);
  writer.raw(
    context.identity.signer.sign(proofMessage(side, transcript, context.certificateBytes)),
  );
  aead.seal(0, clear, plaintext, sealed);
}

export type ProofResult = { readonly ok: true; readonly peer: Certificate } | Refused;

/**
 * Opens and checks the peer's proof in RESPONSE or FINISH.
 * @param side whose proof it is
 * @param nowMs Unix time
 */
export function openProof(
  context: HandshakeContext,
  side: Side,
  transcript: Uint8Array,
  aead: Aead,
  packet: Uint8Array,
  header: PacketHeader,
  nowMs: number,
): ProofResult {
  const [clear, sealed] = splitAtProof(side, packet);
  const plaintext = new Uint8Array(sealed.length - TAG_BYTES);
  if (!aead.open(0, clear, sealed, plaintext)) return refused("unauthentic");
  const proof = readProof(plaintext);
  if (proof === null) return refused("malformed");
  const peer = readCertificate(context.crypto, context.rootPublicKey, proof.certificateBytes);
  if (peer === null) return refused("certificate");
  if (peer.nodeId === context.identity.nodeId) return refused("own_id");
  if (peer.nodeId !== header.source || peer.zone !== header.zone) return refused("wrong_node");
  if (nowMs >= peer.notAfterMs) return refused("expired");
  if (context.isRevoked(peer)) return refused("revoked");
  const message = proofMessage(side, transcript, proof.certificateBytes);
  if (!context.crypto.verify(peer.publicKey, message, proof.signature)) return refused("signature");
  return { ok: true, peer };
}

interface Proof {
  readonly certificateBytes: Uint8Array;
  readonly signature: Uint8Array;
}

function readProof(plaintext: Uint8Array): Proof | null {
  const reader = new ByteReader(plaintext);
  try {
    return {
      certificateBytes: reader.block(CERTIFICATE_BYTES_MAX),
      signature: reader.raw(SIGNATURE_BYTES),
    };
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

function splitAtProof(side: Side, packet: Uint8Array): [clear: Uint8Array, sealed: Uint8Array] {
  const offset = side === "responder" ? RESPONSE_SEALED_OFFSET : OFFSET.payload;
  return [packet.subarray(0, offset), packet.subarray(offset)];
}

/** The side's label keeps one side's proof from being returned as the other's. */
function proofMessage(side: Side, transcript: Uint8Array, certificate: Uint8Array): Uint8Array {
  const label = side === "initiator" ? LABEL.initiatorProof : LABEL.responderProof;
  return concatenate(label, transcript, certificate);
}

function hash(crypto: Crypto, ...parts: readonly Uint8Array[]): Uint8Array {
  return crypto.sha256(concatenate(...parts));
}

function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0)));
  for (const part of parts) writer.raw(part);
  return writer.bytes;
}

function isZero(bytes: Uint8Array): boolean {
  let union = 0;
  for (const byte of bytes) union |= byte;
  return union === 0;
}

/** Whether two byte strings are equal, in a time that does not tell where they differ. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let i = 0; i < left.length; i += 1) difference |= left[i]! ^ right[i]!;
  return difference === 0;
}
