// Seal, open, handshake and Merkle diff a second, each beside the bare primitive it cannot be
// faster than, measured in turns in the same run.

import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";
import { NodeCrypto } from "../src/io/crypto.ts";
import { PACKET_BYTES, PAYLOAD_BYTES } from "../src/kernel/limits.ts";
import { SeededRandom } from "../src/kernel/random.ts";
import { issueCertificate, readCertificate } from "../src/net/certificate.ts";
import type { HandshakeContext } from "../src/net/handshake.ts";
import { identityFromSeed } from "../src/net/identity.ts";
import { Initiator } from "../src/net/initiator.ts";
import { readInit, respond } from "../src/net/responder.ts";
import type { Session } from "../src/net/session.ts";
import { FRAMES_BYTES, readListHead } from "../src/schema/frame.ts";
import { PACKET_KIND, writeHeader } from "../src/schema/packet.ts";
import { readSlot, SLOT_KIND, writeSlot } from "../src/schema/slot.ts";
import { ByteReader, ByteWriter } from "../src/schema/varint.ts";
import { compareWithList, writeRecentList } from "../src/sync/anti-entropy.ts";
import { SlotTable } from "../src/sync/slot-table.ts";
import type { BenchRow } from "./wal.ts";

const ROUNDS = 5;
const NOW_MS = 1_700_000_000_000;
const crypto = new NodeCrypto();

export function benchPrimitives(): BenchRow[] {
  const { initiator, responder } = establish();
  return [
    benchSeal(initiator),
    benchOpen(initiator, responder),
    benchHandshake(),
    benchMerkleDiff(),
  ];
}

function benchSeal(session: Session): BenchRow {
  const packet = emptyPacket();
  const bare = bareSeal();
  return inTurns("seal a packet / bare ChaCha20-Poly1305 of 960 B", 20_000, {
    ours: () => session.seal(packet, NOW_MS),
    bare,
  });
}

/** Opening needs fresh packets, for a session takes each but once: they are sealed outside the clock. */
function benchOpen(from: Session, to: Session): BenchRow {
  const count = 5_000;
  const ours: number[] = [];
  const bare: number[] = [];
  const bareRun = bareOpen();
  for (let round = 0; round < ROUNDS; round += 1) {
    const packets = Array.from({ length: count }, () => {
      const packet = emptyPacket();
      from.seal(packet, NOW_MS);
      return packet;
    });
    let next = 0;
    ours.push(perSecond(count, () => to.open(packets[next++]!, NOW_MS)));
    bare.push(perSecond(count, bareRun));
  }
  return row("open a packet / bare ChaCha20-Poly1305 of 960 B", ours, bare);
}

function benchHandshake(): BenchRow {
  const [alice, bob] = contexts();
  const signer = crypto.signer(randomBytes(32));
  const message = randomBytes(200);
  const signature = signer.sign(message);
  return inTurns("handshake, both sides / its bare X25519 and Ed25519 operations", 200, {
    ours: () => shakeHands(alice, bob),
    // Each side: one key pair, one agreement, one signature, and two verified: certificate and proof.
    bare: () => {
      for (let side = 0; side < 2; side += 1) {
        const own = crypto.keyAgreement(randomBytes(32));
        own.agree(signer.publicKey);
        signer.sign(message);
        crypto.verify(signer.publicKey, message, signature);
        crypto.verify(signer.publicKey, message, signature);
      }
    },
  });
}

/** Two tables of 1,000 slots that differ in ten: list, compare, find them. Bare: one pass over the slots. */
function benchMerkleDiff(): BenchRow {
  const [left, right] = tables();
  const list = new Uint8Array(FRAMES_BYTES);
  let salt = 0;
  return inTurns("Merkle list of 300 and diff against 1,000 slots / one XOR pass", 500, {
    ours: () => {
      const writer = new ByteWriter(list);
      salt += 1;
      writeRecentList(writer, left, {
        roomBytes: FRAMES_BYTES,
        countMax: 300,
        salt,
        wantsAnswer: false,
      });
      const reader = new ByteReader(writer.written(), 1);
      compareWithList(reader, readListHead(reader), right);
    },
    bare: () => {
      let sum = 0;
      for (const slot of right.slots()) sum ^= right.fingerprintLow(slot);
      return sum;
    },
  });
}

function establish(): { initiator: Session; responder: Session } {
  const [alice, bob] = contexts();
  return shakeHands(alice, bob);
}

function shakeHands(
  alice: HandshakeContext,
  bob: HandshakeContext,
): { initiator: Session; responder: Session } {
  const dial = new Initiator(alice, bob.identity.nodeId, 1);
  const init = readInit(bob, dial.init);
  if (!init.ok) throw new Error(init.reason);
  const answer = respond(bob, init, 2);
  if (!answer.ok) throw new Error(answer.reason);
  const response = dial.receiveResponse(answer.responder.response, NOW_MS);
  if (!response.ok || response.session === null) throw new Error("RESPONSE refused");
  const finish = answer.responder.receiveFinish(response.finish, NOW_MS);
  if (!finish.ok) throw new Error(finish.reason);
  return { initiator: response.session, responder: finish.session };
}

function contexts(): [HandshakeContext, HandshakeContext] {
  const random = new SeededRandom(1n);
  const root = identityFromSeed(crypto, random.bytes(32));
  const make = (): HandshakeContext => {
    const identity = identityFromSeed(crypto, random.bytes(32));
    const certificateBytes = issueCertificate(root.signer, {
      publicKey: identity.publicKey,
      zone: 0,
      roles: 3,
      notAfterSeconds: NOW_MS / 1000 + 3_600,
      revocationBlock: 0,
    });
    const certificate = readCertificate(crypto, root.publicKey, certificateBytes)!;
    return {
      crypto,
      random,
      identity,
      certificate,
      certificateBytes,
      rootPublicKey: root.publicKey,
      isRevoked: () => false,
      revocationBlock: () => 0,
    };
  };
  return [make(), make()];
}

function tables(): [SlotTable, SlotTable] {
  const signer = crypto.signer(new Uint8Array(32).fill(7));
  const left = new SlotTable(2_048, 512 * 1024);
  const right = new SlotTable(2_048, 512 * 1024);
  for (let i = 0; i < 1_010; i += 1) {
    const name = crypto.sha256(new Uint8Array([i & 0xff, i >> 8]));
    const view = new DataView(name.buffer, name.byteOffset);
    const record = writeSlot(
      {
        kind: SLOT_KIND.service,
        tombstone: false,
        key: { high: view.getUint32(0), low: view.getUint32(4) },
        stamp: 1_000 + i,
        author: "0102030405060708",
        body: new Uint8Array(60),
      },
      signer,
    );
    const slot = readSlot(record)!;
    const fingerprint = crypto.sha256(record);
    if (i < 1_000) left.apply(slot, fingerprint);
    if (i >= 10) right.apply(slot, fingerprint);
  }
  return [left, right];
}

function bareSeal(): () => void {
  const key = createSecretKey(randomBytes(32));
  const nonce = Buffer.alloc(12);
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  return () => {
    const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
    cipher.update(payload);
    cipher.final();
    cipher.getAuthTag();
  };
}

function bareOpen(): () => void {
  const key = createSecretKey(randomBytes(32));
  const nonce = Buffer.alloc(12);
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  const sealed = cipher.update(Buffer.alloc(PAYLOAD_BYTES));
  cipher.final();
  const tag = cipher.getAuthTag();
  return () => {
    const decipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
    decipher.setAuthTag(tag);
    decipher.update(sealed);
    decipher.final();
  };
}

function emptyPacket(): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  writeHeader(packet, {
    kind: PACKET_KIND.data,
    zone: 0,
    payloadLength: PAYLOAD_BYTES,
    revocationBlock: 0,
    source: "0102030405060708",
    destination: "0807060504030201",
    session: 1,
    counter: 0,
  });
  return packet;
}

/** Both in alternating rounds, so that a slow moment of the machine meets both. */
function inTurns(
  figure: string,
  count: number,
  runs: { ours: () => unknown; bare: () => unknown },
): BenchRow {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(perSecond(count, runs.ours));
    bare.push(perSecond(count, runs.bare));
  }
  return row(figure, ours, bare);
}

function perSecond(count: number, run: () => unknown): number {
  const startNanos = process.hrtime.bigint();
  for (let i = 0; i < count; i += 1) run();
  return count / (Number(process.hrtime.bigint() - startNanos) / 1e9);
}

function row(figure: string, ours: number[], bare: number[]): BenchRow {
  const perSecondOurs = median(ours);
  const perSecondBare = median(bare);
  return {
    figure,
    perSecond: perSecondOurs,
    bare: perSecondBare,
    ratio: perSecondOurs / perSecondBare,
  };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
