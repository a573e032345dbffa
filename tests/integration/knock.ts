// A handshake with a running daemon over UDP, by whoever a test pretends to be.

import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { SystemRandom } from "../../src/io/random.ts";
import { type Certificate, ROLES } from "../../src/net/certificate.ts";
import { ANY_NODE } from "../../src/net/handshake.ts";
import { identityFromSeed } from "../../src/net/identity.ts";
import { Initiator } from "../../src/net/initiator.ts";
import { PACKET_KIND, readHeader } from "../../src/schema/packet.ts";

const crypto = new NodeCrypto();
const ANSWER_MS_MAX = 5_000;

export interface Pretender {
  readonly keySeed: Uint8Array;
  readonly certificateBytes: Uint8Array;
  /** To verify the daemon with, which is none of the pretender's troubles. */
  readonly rootPublicKey: Uint8Array;
}

/** Goes through the handshake as far as the last packet, which tells the daemon who it is. */
export async function knock(endpoint: string, pretender: Pretender): Promise<void> {
  const [address = "", port] = endpoint.split(":");
  const { keySeed, certificateBytes, rootPublicKey } = pretender;
  const identity = identityFromSeed(crypto, keySeed);
  // What it says of itself in clear; the daemon believes the encoded one alone.
  const certificate: Certificate = {
    nodeId: identity.nodeId,
    publicKey: identity.publicKey,
    zone: 0,
    roles: ROLES.member,
    notAfterMs: Number.MAX_SAFE_INTEGER,
    revocationBlock: 0,
  };
  const context = {
    crypto,
    random: new SystemRandom(),
    identity,
    certificate,
    certificateBytes,
    rootPublicKey,
    isRevoked: () => false,
    revocationBlock: () => 0,
  };
  const initiator = new Initiator(context, ANY_NODE, 1 + (randomBytes(4).readUInt32LE() % 0xffff));
  const socket = createSocket("udp4");
  socket.connect(Number(port), address);
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  try {
    await goThrough(socket, initiator);
  } finally {
    socket.close();
  }
}

function goThrough(socket: Socket, initiator: Initiator): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer")), ANSWER_MS_MAX);
    socket.on("message", (packet) => {
      if (readHeader(packet)?.kind === PACKET_KIND.handshakeCookie) {
        initiator.receiveCookie(packet);
        socket.send(initiator.init);
        return;
      }
      const result = initiator.receiveResponse(packet, Date.now());
      if (!result.ok || result.session === null) return;
      clearTimeout(timer);
      socket.send(result.finish, () => resolve());
    });
    socket.send(initiator.init);
  });
}
