// A small cluster for the tests of src/net: one root, nodes with certificates, and a seed for all.

import { NodeCrypto } from "../../src/io/crypto.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import {
  type CertificateFields,
  issueCertificate,
  ROLES,
  readCertificate,
} from "../../src/net/certificate.ts";
import type { HandshakeContext } from "../../src/net/handshake.ts";
import { type Identity, identityFromSeed } from "../../src/net/identity.ts";
import { Initiator } from "../../src/net/initiator.ts";
import { type Responder, readInit, respond } from "../../src/net/responder.ts";
import type { Session } from "../../src/net/session.ts";

export const crypto = new NodeCrypto();
export const NOW_MS = 1_800_000_000_000;
const YEAR_SECONDS = 365 * 86_400;

export function identityOf(name: string): Identity {
  return identityFromSeed(crypto, crypto.sha256(new TextEncoder().encode(name)));
}

export const root = identityOf("root");

export function fieldsOf(publicKey: Uint8Array): CertificateFields {
  return {
    publicKey,
    zone: 3,
    roles: ROLES.member | ROLES.deployer,
    notAfterSeconds: NOW_MS / 1000 + YEAR_SECONDS,
    revocationBlock: 7,
  };
}

/** A node of `name`, let in by `root`; `fields` and `context` change what is usual. */
export function nodeOf(
  name: string,
  fields: Partial<CertificateFields> = {},
  context: Partial<HandshakeContext> = {},
): HandshakeContext {
  const identity = identityOf(name);
  const certificateBytes = issueCertificate(root.signer, {
    ...fieldsOf(identity.publicKey),
    ...fields,
  });
  const certificate = readCertificate(crypto, root.publicKey, certificateBytes);
  if (certificate === null) throw new Error("the root's own certificate is not read");
  return {
    crypto,
    random: new SeededRandom(BigInt(name.length)),
    identity,
    certificate,
    certificateBytes,
    rootPublicKey: root.publicKey,
    isRevoked: () => false,
    revocationBlock: () => 7,
    ...context,
  };
}

/** INIT and RESPONSE done, RESPONSE not delivered yet. */
export function halfOpen(
  alice: HandshakeContext,
  bob: HandshakeContext,
  expectedPeer = bob.identity.nodeId,
): { initiator: Initiator; responder: Responder } {
  const initiator = new Initiator(alice, expectedPeer, 11);
  const init = readInit(bob, initiator.init);
  if (!init.ok) throw new Error(`INIT refused: ${init.reason}`);
  const result = respond(bob, init, 22);
  if (!result.ok) throw new Error(`no RESPONSE: ${result.reason}`);
  return { initiator, responder: result.responder };
}

/** A whole handshake: both ends of one session. */
export function sessionsOf(
  alice = nodeOf("alice"),
  bob = nodeOf("bob"),
): { initiator: Session; responder: Session } {
  const { initiator, responder } = halfOpen(alice, bob);
  const response = initiator.receiveResponse(responder.response, NOW_MS);
  if (!response.ok || response.session === null) throw new Error("RESPONSE refused");
  const finish = responder.receiveFinish(response.finish, NOW_MS);
  if (!finish.ok) throw new Error(`FINISH refused: ${finish.reason}`);
  return { initiator: response.session, responder: finish.session };
}

/** A copy with one bit of byte `index` changed. */
export function flipped(bytes: Uint8Array, index: number): Uint8Array {
  const copy = bytes.slice();
  copy[index] = copy[index]! ^ (1 << (index % 8));
  return copy;
}
