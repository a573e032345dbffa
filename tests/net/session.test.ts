import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import {
  PACKET_BYTES,
  REPLAY_WINDOW_PACKETS,
  SESSION_EXPIRY_MS,
  SESSION_REKEY_MS,
  SESSION_REKEY_SLACK_MS,
} from "../../src/kernel/limits.ts";
import { Session, type SessionStart } from "../../src/net/session.ts";
import {
  OFFSET,
  PACKET_KIND,
  payloadOf,
  readHeader,
  writeHeader,
} from "../../src/schema/packet.ts";
import { crypto, flipped, NOW_MS, nodeOf, sessionsOf } from "./nodes.ts";

const alice = nodeOf("alice");
const bob = nodeOf("bob");
let sender: Session;
let receiver: Session;
beforeEach(() => {
  ({ initiator: sender, responder: receiver } = sessionsOf(alice, bob));
});

function packetOf(text: string): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES);
  const payload = new TextEncoder().encode(text);
  writeHeader(packet, {
    kind: PACKET_KIND.data,
    zone: 3,
    payloadLength: payload.length,
    revocationBlock: 7,
    source: alice.identity.nodeId,
    destination: bob.identity.nodeId,
    session: 0,
    counter: 0,
  });
  packet.set(payload, OFFSET.payload);
  return packet;
}

function sealedBy(session: Session, text = "spores"): Uint8Array {
  const packet = packetOf(text);
  expect(session.seal(packet, NOW_MS)).toBe(true);
  return packet;
}

test("a sealed packet hides its payload, names the peer's session, and opens to what it was", () => {
  const packet = sealedBy(sender);
  expect(new TextDecoder().decode(packet)).not.toContain("spores");
  expect(readHeader(packet)).toMatchObject({ session: receiver.localSessionId, counter: 0 });
  expect(receiver.open(packet, NOW_MS)).toBe(true);
  expect(payloadOf(packet)).toEqual(payloadOf(packetOf("spores")));
});

test("both directions work, each with counters of its own", () => {
  const there = sealedBy(sender);
  const back = sealedBy(receiver);
  expect(readHeader(back)).toMatchObject({ session: sender.localSessionId, counter: 0 });
  expect(receiver.open(there, NOW_MS)).toBe(true);
  expect(sender.open(back, NOW_MS)).toBe(true);
  expect(readHeader(sealedBy(sender))?.counter).toBe(1);
});

test("keys differ per direction: a packet sent back to its sender is refused", () => {
  expect(sender.open(sealedBy(sender), NOW_MS)).toBe(false);
  const equalNonces = [sealedBy(sender), sealedBy(receiver)].map((packet) => payloadOf(packet));
  expect(equalNonces[0]).not.toEqual(equalNonces[1]);
});

test("a packet with any byte changed is refused, header included, and the true one still opens", () => {
  const packet = sealedBy(sender);
  for (let i = 0; i < PACKET_BYTES; i += 1) {
    expect(receiver.open(flipped(packet, i), NOW_MS), `byte ${i}`).toBe(false);
  }
  expect(receiver.receivedCount).toBe(0);
  expect(receiver.open(packet, NOW_MS)).toBe(true);
});

test("a packet opens once", () => {
  const packet = sealedBy(sender);
  expect(receiver.open(packet.slice(), NOW_MS)).toBe(true);
  expect(receiver.open(packet.slice(), NOW_MS)).toBe(false);
  expect(receiver.receivedCount).toBe(1);
});

test("given packets lost, doubled and out of order, then each opens exactly once", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 63 }), { maxLength: 120 }), (arrivals) => {
      const ends = sessionsOf(alice, bob);
      const packets = Array.from({ length: 64 }, (_, i) => sealedBy(ends.initiator, `${i}`));
      const seen = new Set<number>();
      for (const index of arrivals) {
        const opened = ends.responder.open(packets[index]!.slice(), NOW_MS);
        expect(opened).toBe(!seen.has(index));
        seen.add(index);
      }
      expect(ends.responder.receivedCount).toBe(seen.size);
    }),
    { numRuns: 20 },
  );
});

test("a packet further behind than the window is refused, one at its edge opens", () => {
  const packets = Array.from({ length: REPLAY_WINDOW_PACKETS + 2 }, () => sealedBy(sender));
  expect(receiver.open(packets.at(-1)!, NOW_MS)).toBe(true);
  expect(receiver.open(packets[0]!, NOW_MS)).toBe(false);
  expect(receiver.open(packets[1]!, NOW_MS)).toBe(true);
});

test("a forged packet with a far counter does not shut out the packets that follow", () => {
  const packet = sealedBy(sender);
  const forged = packet.slice();
  forged[OFFSET.counter + 3] = 0xff;
  expect(receiver.open(forged, NOW_MS)).toBe(false);
  expect(receiver.open(packet, NOW_MS)).toBe(true);
});

test("arbitrary packets never open and never throw", () => {
  const arbitrary = fc.uint8Array({ minLength: PACKET_BYTES, maxLength: PACKET_BYTES });
  fc.assert(
    fc.property(arbitrary, (packet) => {
      expect(receiver.open(packet, NOW_MS)).toBe(false);
    }),
  );
});

describe("time", () => {
  test("the initiator makes new keys after the rekey age, the responder a little later", () => {
    expect(sender.needsRekey(NOW_MS + SESSION_REKEY_MS - 1)).toBe(false);
    expect(sender.needsRekey(NOW_MS + SESSION_REKEY_MS)).toBe(true);
    expect(receiver.needsRekey(NOW_MS + SESSION_REKEY_MS)).toBe(false);
    expect(receiver.needsRekey(NOW_MS + SESSION_REKEY_MS + SESSION_REKEY_SLACK_MS)).toBe(true);
  });

  test("an expired session neither seals nor opens", () => {
    const packet = sealedBy(sender);
    const lastMs = NOW_MS + SESSION_EXPIRY_MS - 1;
    expect(receiver.open(packet.slice(), lastMs + 1)).toBe(false);
    expect(receiver.isExpired(lastMs + 1)).toBe(true);
    const untouched = packetOf("late");
    expect(sender.seal(untouched, lastMs + 1)).toBe(false);
    expect(untouched).toEqual(packetOf("late"));
    expect(receiver.open(packet, lastMs)).toBe(true);
  });

  test("the end of the peer's certificate is the session's end", () => {
    const brief = nodeOf("alice", { notAfterSeconds: NOW_MS / 1000 + 5 });
    const ends = sessionsOf(brief, bob);
    expect(ends.responder.isExpired(NOW_MS + 4_999)).toBe(false);
    expect(ends.responder.open(sealedBy(ends.initiator), NOW_MS + 5_000)).toBe(false);
  });

  test("what was sent and heard last is remembered, forged packets apart", () => {
    const packet = packetOf("hello");
    sender.seal(packet, NOW_MS + 10);
    expect(sender.lastSentMs).toBe(NOW_MS + 10);
    receiver.open(flipped(packet, 500), NOW_MS + 20);
    expect(receiver.lastReceivedMs).toBe(NOW_MS);
    receiver.open(packet, NOW_MS + 30);
    expect(receiver.lastReceivedMs).toBe(NOW_MS + 30);
  });
});

test("the initiator is sure of the session once a packet opened, the responder at once", () => {
  expect(receiver.isConfirmed).toBe(true);
  expect(sender.isConfirmed).toBe(false);
  sender.open(sealedBy(receiver), NOW_MS);
  expect(sender.isConfirmed).toBe(true);
});

describe("count", () => {
  const start: SessionStart = {
    crypto,
    sendKey: new Uint8Array(32).fill(1),
    receiveKey: new Uint8Array(32).fill(1),
    localSessionId: 1,
    remoteSessionId: 2,
    peer: bob.certificate,
    isInitiator: true,
    nowMs: NOW_MS,
    rekeyPackets: 3,
    packetsMax: 5,
  };

  test("after enough packets new keys are needed, and at the limit nothing is sealed", () => {
    const session = new Session(start);
    const rekeyWanted = Array.from({ length: 5 }, () => {
      sealedBy(session);
      return session.needsRekey(NOW_MS);
    });
    expect(rekeyWanted).toEqual([false, false, true, true, true]);
    expect(session.isExpired(NOW_MS)).toBe(true);
    expect(session.seal(packetOf("one too many"), NOW_MS)).toBe(false);
    expect(session.sentCount).toBe(5);
  });

  test("a counter at the limit is refused, though its tag holds", () => {
    const generous = new Session({ ...start, packetsMax: 10 });
    const strict = new Session(start);
    const packets = Array.from({ length: 6 }, () => sealedBy(generous));
    expect(strict.open(packets[4]!, NOW_MS)).toBe(true);
    expect(strict.open(packets[5]!, NOW_MS)).toBe(false);
  });
});
