// A node's certificate: the cluster's root says that this key is a node of it, in which zone,
// with which roles, and until when. Small enough to travel in a handshake and in a node slot.
//
// version u8 | public key 32 | zone u8 | roles u8 | notAfterSeconds u32 | revocationBlock varint |
// signature 64 of the root over a context string and all that precedes

import { assert } from "../kernel/assert.ts";
import { CERTIFICATE_BYTES_MAX, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "../kernel/limits.ts";
import type { Crypto, Signer } from "../kernel/ports.ts";
import { type NodeId, nodeIdOf } from "../schema/node-id.ts";
import { ByteReader, ByteWriter, FormatError } from "../schema/varint.ts";

const CERTIFICATE_VERSION = 1;
const SIGNATURE_CONTEXT = new TextEncoder().encode("myco certificate v1\0");
const SECONDS_MAX = 0xffff_ffff;

/** The bits of `roles`. A bit without a name here grants nothing, and is kept. */
export const ROLES = {
  /** Runs the daemon and counts in the roster. */
  member: 1,
  /** May author service slots. */
  deployer: 2,
  /** Carries the cluster's traffic to the outside. */
  router: 4,
} as const;
export type Role = keyof typeof ROLES;

/** What the root decides when it lets a node in. */
export interface CertificateFields {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 0 to 255. */
  readonly zone: number;
  /** A sum of ROLES. */
  readonly roles: number;
  /** Unix time, whole seconds below 2^32, after which the certificate is void. */
  readonly notAfterSeconds: number;
  /** The cluster's revocation height at issue: only a higher revocation of the node voids it. */
  readonly revocationBlock: number;
}

/** A certificate whose root signature holds. Whether it is expired or revoked is asked at each use. */
export interface Certificate {
  readonly nodeId: NodeId;
  readonly publicKey: Uint8Array;
  readonly zone: number;
  readonly roles: number;
  /** Unix time in ms. */
  readonly notAfterMs: number;
  readonly revocationBlock: number;
}

export function hasRole(certificate: Certificate, role: Role): boolean {
  return (certificate.roles & ROLES[role]) !== 0;
}

/** Encodes and signs: at most 111 bytes. */
export function issueCertificate(root: Signer, fields: CertificateFields): Uint8Array {
  assert(fields.publicKey.length === PUBLIC_KEY_BYTES, "a public key is 32 bytes");
  assertInteger(fields.zone, 0xff, "a zone is 0 to 255");
  assertInteger(fields.roles, 0xff, "roles are one byte of bits");
  assertInteger(fields.notAfterSeconds, SECONDS_MAX, "not-after is whole seconds below 2^32");
  const writer = new ByteWriter(new Uint8Array(CERTIFICATE_BYTES_MAX));
  writer.u8(CERTIFICATE_VERSION);
  writer.raw(fields.publicKey);
  writer.u8(fields.zone);
  writer.u8(fields.roles);
  writer.u32(fields.notAfterSeconds);
  writer.varint(fields.revocationBlock);
  writer.raw(root.sign(signedMessage(writer.written())));
  return writer.bytes.slice(0, writer.offset);
}

/**
 * Reads an untrusted certificate and verifies the root's signature.
 * @returns null when it is not one, is of another version, or another key signed it
 */
export function readCertificate(
  crypto: Crypto,
  rootPublicKey: Uint8Array,
  bytes: Uint8Array,
): Certificate | null {
  const parsed = parse(bytes);
  if (parsed === null) return null;
  const { fields, signature, signed } = parsed;
  if (!crypto.verify(rootPublicKey, signedMessage(signed), signature)) return null;
  return certificateFrom(crypto, fields);
}

/** Reads again what `readCertificate` has accepted before: the signature is not verified anew. */
export function readAcceptedCertificate(crypto: Crypto, bytes: Uint8Array): Certificate | null {
  const parsed = parse(bytes);
  return parsed === null ? null : certificateFrom(crypto, parsed.fields);
}

function certificateFrom(crypto: Crypto, fields: CertificateFields): Certificate {
  return {
    nodeId: nodeIdOf(crypto, fields.publicKey),
    publicKey: fields.publicKey.slice(),
    zone: fields.zone,
    roles: fields.roles,
    notAfterMs: fields.notAfterSeconds * 1000,
    revocationBlock: fields.revocationBlock,
  };
}

interface ParsedCertificate {
  readonly fields: CertificateFields;
  readonly signature: Uint8Array;
  readonly signed: Uint8Array;
}

function parse(bytes: Uint8Array): ParsedCertificate | null {
  if (bytes.length > CERTIFICATE_BYTES_MAX) return null;
  const reader = new ByteReader(bytes);
  try {
    if (reader.u8() !== CERTIFICATE_VERSION) return null;
    const fields = {
      publicKey: reader.raw(PUBLIC_KEY_BYTES),
      zone: reader.u8(),
      roles: reader.u8(),
      notAfterSeconds: reader.u32(),
      revocationBlock: reader.varint(),
    };
    const signed = bytes.subarray(0, reader.offset);
    const signature = reader.raw(SIGNATURE_BYTES);
    return reader.remaining === 0 ? { fields, signature, signed } : null;
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** The context keeps a signature of the root from passing for one of another purpose. */
function signedMessage(fields: Uint8Array): Uint8Array {
  const message = new Uint8Array(SIGNATURE_CONTEXT.length + fields.length);
  message.set(SIGNATURE_CONTEXT);
  message.set(fields, SIGNATURE_CONTEXT.length);
  return message;
}

function assertInteger(value: number, max: number, message: string): void {
  assert(Number.isInteger(value) && value >= 0 && value <= max, message);
}
