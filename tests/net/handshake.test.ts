import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PACKET_BYTES } from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { issueCertificate } from "../../src/net/certificate.ts";
import { CookieMint } from "../../src/net/cookie.ts";
import {
  ANY_NODE,
  COOKIE_BYTES,
  type HandshakeContext,
  initCookieOf,
} from "../../src/net/handshake.ts";
import { Initiator } from "../../src/net/initiator.ts";
import { cookiePacket, type Init, readInit, respond } from "../../src/net/responder.ts";
import { fromHex, toHex } from "../../src/schema/node-id.ts";
import { OFFSET, PACKET_KIND, type PacketKind, readHeader } from "../../src/schema/packet.ts";
import {
  crypto,
  fieldsOf,
  flipped,
  halfOpen,
  identityOf,
  NOW_MS,
  nodeOf,
  sessionsOf,
} from "./nodes.ts";

const alice = nodeOf("alice");
const bob = nodeOf("bob");
const eve = nodeOf("eve");
const bobId = bob.identity.nodeId;

function initOf(context: HandshakeContext, packet: Uint8Array): Init {
  const init = readInit(context, packet);
  if (!init.ok) throw new Error(`INIT refused: ${init.reason}`);
  return init;
}

function finishOf(initiator: Initiator, response: Uint8Array): Uint8Array {
  const result = initiator.receiveResponse(response, NOW_MS);
  if (!result.ok) throw new Error(`RESPONSE refused: ${result.reason}`);
  return result.finish;
}

/** Why `initiator` refuses what `responding` answers. */
function responseRefusal(initiating: HandshakeContext, responding: HandshakeContext) {
  const { initiator, responder } = halfOpen(initiating, responding, bobId);
  return initiator.receiveResponse(responder.response, NOW_MS);
}

/** Why `responding` refuses the FINISH of `initiating`. */
function finishRefusal(initiating: HandshakeContext, responding: HandshakeContext) {
  const { initiator, responder } = halfOpen(initiating, responding);
  return responder.receiveFinish(finishOf(initiator, responder.response), NOW_MS);
}

describe("given two nodes of one root", () => {
  test("when three packets pass, then each holds a session with the other", () => {
    const { initiator, responder } = sessionsOf(alice, bob);
    expect(initiator.peer).toEqual(bob.certificate);
    expect(responder.peer).toEqual(alice.certificate);
    expect([initiator.localSessionId, initiator.remoteSessionId]).toEqual([11, 22]);
    expect([responder.localSessionId, responder.remoteSessionId]).toEqual([22, 11]);
    expect([initiator.isInitiator, responder.isInitiator]).toEqual([true, false]);
  });

  test("when only an address is known, then the id is learned from the proof", () => {
    const { initiator, responder } = halfOpen(alice, bob, ANY_NODE);
    const result = initiator.receiveResponse(responder.response, NOW_MS);
    expect(result.ok && result.session?.peer.nodeId).toBe(bobId);
  });

  test("every packet is 1024 bytes and carries the receiver's session id", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const cookie = cookiePacket(bob, initOf(bob, initiator.init), new Uint8Array(COOKIE_BYTES));
    const finish = finishOf(initiator, responder.response);
    const packets = [initiator.init, cookie, responder.response, finish];
    expect(packets.map((packet) => packet.length)).toEqual(packets.map(() => PACKET_BYTES));
    expect(packets.map((packet) => readHeader(packet)?.kind)).toEqual([1, 2, 3, 4]);
    expect(packets.map((packet) => readHeader(packet)?.session)).toEqual([0, 11, 11, 22]);
  });

  test("the certificates travel sealed", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const finish = finishOf(initiator, responder.response);
    const clear = toHex(initiator.init) + toHex(responder.response) + toHex(finish);
    expect(clear).not.toContain(toHex(alice.identity.publicKey));
    expect(clear).not.toContain(toHex(bob.identity.publicKey));
  });

  test("each handshake makes other keys", () => {
    const packets = [sessionsOf(alice, bob), sessionsOf(alice, bob)].map(({ initiator }) => {
      const packet = new Uint8Array(PACKET_BYTES);
      initiator.seal(packet, NOW_MS);
      return toHex(packet);
    });
    expect(packets[0]).not.toBe(packets[1]);
  });
});

describe("given packets that are lost and sent again", () => {
  test("the same INIT is known as answered, with a cookie in it or not; another is not", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    expect(responder.answers(initOf(bob, initiator.init))).toBe(true);
    const withCookie = initiator.init.slice();
    initCookieOf(withCookie).fill(9);
    expect(responder.answers(initOf(bob, withCookie))).toBe(true);
    const other = new Initiator(alice, bobId, 11);
    expect(responder.answers(initOf(bob, other.init))).toBe(false);
  });

  test("the same RESPONSE gives the same FINISH, and no second session", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const first = initiator.receiveResponse(responder.response, NOW_MS);
    const again = initiator.receiveResponse(responder.response, NOW_MS + 100);
    expect(first.ok && first.session).not.toBeNull();
    expect(again).toEqual({ ok: true, finish: first.ok && first.finish, session: null });
  });

  test("a second FINISH gives no second session", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const finish = finishOf(initiator, responder.response);
    expect(responder.receiveFinish(finish, NOW_MS).ok).toBe(true);
    expect(responder.receiveFinish(finish, NOW_MS)).toEqual({ ok: false, reason: "finished" });
  });

  test("another RESPONSE to the same INIT after the first is refused", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const second = respond(bob, initOf(bob, initiator.init), 23);
    finishOf(initiator, responder.response);
    expect(second.ok && initiator.receiveResponse(second.responder.response, NOW_MS)).toEqual({
      ok: false,
      reason: "finished",
    });
  });

  test("a FINISH of one handshake is refused by another of the same two nodes", () => {
    const first = halfOpen(alice, bob);
    const second = halfOpen(alice, bob);
    const finish = finishOf(first.initiator, first.responder.response);
    expect(second.responder.receiveFinish(finish, NOW_MS)).toEqual({
      ok: false,
      reason: "unauthentic",
    });
  });

  test("a RESPONSE of one handshake is refused by another of the same two nodes", () => {
    const first = halfOpen(alice, bob);
    const second = halfOpen(alice, bob);
    expect(second.initiator.receiveResponse(first.responder.response, NOW_MS)).toEqual({
      ok: false,
      reason: "unauthentic",
    });
  });
});

describe("given one byte changed on the way", () => {
  test("INIT: the handshake completes only if the byte is of the cookie, which proves nothing", () => {
    const cookieAt = initCookieOf(new Initiator(alice, bobId, 11).init).byteOffset;
    for (let i = 0; i < PACKET_BYTES; i += 1) {
      const initiator = new Initiator(alice, bobId, 11);
      const init = readInit(bob, flipped(initiator.init, i));
      const result = init.ok ? respond(bob, init, 22) : init;
      const completes =
        result.ok && initiator.receiveResponse(result.responder.response, NOW_MS).ok;
      expect(completes, `byte ${i}`).toBe(i >= cookieAt && i < cookieAt + COOKIE_BYTES);
    }
  });

  test("RESPONSE: refused, and the true one is still taken afterwards", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    for (let i = 0; i < PACKET_BYTES; i += 1) {
      const result = initiator.receiveResponse(flipped(responder.response, i), NOW_MS);
      expect(result.ok, `byte ${i}`).toBe(false);
    }
    expect(initiator.receiveResponse(responder.response, NOW_MS).ok).toBe(true);
  });

  test("FINISH: refused, and the true one is still taken afterwards", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const finish = finishOf(initiator, responder.response);
    for (let i = 0; i < PACKET_BYTES; i += 1) {
      expect(responder.receiveFinish(flipped(finish, i), NOW_MS).ok, `byte ${i}`).toBe(false);
    }
    expect(responder.receiveFinish(finish, NOW_MS).ok).toBe(true);
  });

  test("COOKIE: refused, or the cookie it leaves is worth nothing", () => {
    const address = "192.0.2.1:7946";
    const mint = new CookieMint(crypto, new SeededRandom(1n), NOW_MS);
    for (let i = 0; i < PACKET_BYTES; i += 1) {
      const initiator = new Initiator(alice, bobId, 11);
      const first = initOf(bob, initiator.init);
      const cookie = mint.cookieFor(address, first.share, NOW_MS);
      if (!initiator.receiveCookie(flipped(cookiePacket(bob, first, cookie), i)).ok) continue;
      const second = initOf(bob, initiator.init);
      const valid = mint.cookieValid(address, second.share, second.cookie, NOW_MS);
      expect(valid, `byte ${i}`).toBe(false);
    }
  });
});

describe("given a peer that is not what it should be, then the initiator refuses", () => {
  test("one certified by another root", () => {
    const certificateBytes = issueCertificate(
      identityOf("other root").signer,
      fieldsOf(bob.identity.publicKey),
    );
    expect(responseRefusal(alice, { ...bob, certificateBytes })).toEqual({
      ok: false,
      reason: "certificate",
    });
  });

  test("an expired one, from the very millisecond", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const endMs = bob.certificate.notAfterMs;
    expect(initiator.receiveResponse(responder.response, endMs)).toEqual({
      ok: false,
      reason: "expired",
    });
    expect(initiator.receiveResponse(responder.response, endMs - 1).ok).toBe(true);
  });

  test("a revoked one", () => {
    const wary = { ...alice, isRevoked: (c: { nodeId: string }) => c.nodeId === bobId };
    expect(responseRefusal(wary, bob)).toEqual({ ok: false, reason: "revoked" });
  });

  test("another node than the one dialed, under its own id or the other's", () => {
    const answering = (nodeId: string) => {
      const posing = { ...eve, identity: { ...eve.identity, nodeId } };
      const initiator = new Initiator(alice, bobId, 11);
      const init = initOf(bob, initiator.init);
      const result = respond(posing, init, 22);
      return result.ok ? initiator.receiveResponse(result.responder.response, NOW_MS) : result;
    };
    expect(answering(eve.identity.nodeId)).toEqual({ ok: false, reason: "not_for_us" });
    expect(answering(bobId)).toEqual({ ok: false, reason: "wrong_node" });
  });

  test("one that shows another's certificate without its key", () => {
    const thief = {
      ...bob,
      identity: { ...eve.identity, nodeId: bobId },
    };
    expect(responseRefusal(alice, thief)).toEqual({ ok: false, reason: "signature" });
  });

  test("one whose header names a zone that its certificate does not", () => {
    const elsewhere = { ...bob, certificate: { ...bob.certificate, zone: 9 } };
    expect(responseRefusal(alice, elsewhere)).toEqual({ ok: false, reason: "wrong_node" });
  });

  test("itself", () => {
    const initiator = new Initiator(alice, ANY_NODE, 11);
    expect(readInit(alice, initiator.init)).toEqual({ ok: false, reason: "own_id" });
    const init = initOf(bob, initiator.init);
    const result = respond(alice, init, 22);
    const response = result.ok ? result.responder.response : new Uint8Array(PACKET_BYTES);
    expect(initiator.receiveResponse(response, NOW_MS)).toEqual({ ok: false, reason: "own_id" });
  });
});

describe("given a peer that is not what it should be, then the responder refuses", () => {
  test("one certified by another root", () => {
    const certificateBytes = issueCertificate(
      identityOf("other root").signer,
      fieldsOf(alice.identity.publicKey),
    );
    expect(finishRefusal({ ...alice, certificateBytes }, bob)).toEqual({
      ok: false,
      reason: "certificate",
    });
  });

  test("an expired one", () => {
    const late = nodeOf("alice", { notAfterSeconds: NOW_MS / 1000 });
    expect(finishRefusal(late, bob)).toEqual({ ok: false, reason: "expired" });
  });

  test("a revoked one, by the block of its certificate", () => {
    const wary = { ...bob, isRevoked: (c: { revocationBlock: number }) => c.revocationBlock < 8 };
    expect(finishRefusal(alice, wary)).toEqual({ ok: false, reason: "revoked" });
    expect(finishRefusal(nodeOf("alice", { revocationBlock: 8 }), wary).ok).toBe(true);
  });

  test("one that names itself another", () => {
    const posing = { ...eve, identity: { ...eve.identity, nodeId: alice.identity.nodeId } };
    expect(finishRefusal(posing, bob)).toEqual({ ok: false, reason: "wrong_node" });
  });

  test("one that shows another's certificate without its key", () => {
    const thief = { ...alice, identity: { ...eve.identity, nodeId: alice.identity.nodeId } };
    expect(finishRefusal(thief, bob)).toEqual({ ok: false, reason: "signature" });
  });

  test("one that begins as one node of the cluster and ends as another", () => {
    const turncoat = {
      ...alice,
      isRevoked: () => {
        Object.assign(turncoat, nodeOf("eve"));
        return false;
      },
    };
    expect(finishRefusal(turncoat, bob)).toEqual({ ok: false, reason: "not_for_us" });
  });

  test("an INIT for another node", () => {
    const initiator = new Initiator(alice, eve.identity.nodeId, 11);
    expect(readInit(bob, initiator.init)).toEqual({ ok: false, reason: "not_for_us" });
  });
});

describe("given packets turned against their sender or their place", () => {
  test("INIT, RESPONSE and FINISH sent back to who made them are refused", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const finish = finishOf(initiator, responder.response);
    expect(readInit(alice, initiator.init).ok).toBe(false);
    expect(responder.receiveFinish(responder.response, NOW_MS).ok).toBe(false);
    expect(initiator.receiveResponse(finish, NOW_MS).ok).toBe(false);
  });

  test("each packet is refused in every other's place, even with the kind rewritten", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const cookie = cookiePacket(bob, initOf(bob, initiator.init), new Uint8Array(COOKIE_BYTES));
    const { responder: other } = halfOpen(alice, bob);
    const fresh = new Initiator(alice, bobId, 11);
    const finish = finishOf(initiator, responder.response);
    const packets = [initiator.init, cookie, responder.response, finish];
    const places: [PacketKind, (packet: Uint8Array) => { ok: boolean }][] = [
      [PACKET_KIND.handshakeInit, (packet) => readInit(bob, packet)],
      [PACKET_KIND.handshakeCookie, (packet) => fresh.receiveCookie(packet)],
      [PACKET_KIND.handshakeResponse, (packet) => fresh.receiveResponse(packet, NOW_MS)],
      [PACKET_KIND.handshakeFinish, (packet) => other.receiveFinish(packet, NOW_MS)],
    ];
    for (const [place, [kind, receive]] of places.entries()) {
      for (const [index, packet] of packets.entries()) {
        if (index === place) continue;
        expect(receive(packet).ok, `${index} in place of ${place}`).toBe(false);
        const disguised = packet.slice();
        disguised[OFFSET.kind] = kind;
        expect(receive(disguised).ok, `${index} as ${place}`).toBe(false);
      }
    }
  });

  test("a point of small order is refused on both sides", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const smallOrder = fromHex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    const init = initiator.init.slice();
    init.set(smallOrder, OFFSET.payload);
    expect(respond(bob, initOf(bob, init), 22)).toEqual({ ok: false, reason: "small_order" });
    const response = responder.response.slice();
    response.set(smallOrder, OFFSET.payload);
    expect(initiator.receiveResponse(response, NOW_MS)).toEqual({
      ok: false,
      reason: "small_order",
    });
  });

  test("session id 0 names no session, and an INIT is of none", () => {
    const packet = new Initiator(alice, bobId, 11).init.slice();
    const unnamed = packet.slice();
    unnamed.fill(0, OFFSET.payload + 48, OFFSET.payload + 52);
    expect(readInit(bob, unnamed)).toEqual({ ok: false, reason: "malformed" });
    packet[OFFSET.session] = 1;
    expect(readInit(bob, packet)).toEqual({ ok: false, reason: "malformed" });
    expect(() => new Initiator(alice, bobId, 0)).toThrow();
  });
});

describe("given a responder that asks for a cookie", () => {
  const address = "192.0.2.1:7946";
  const mint = new CookieMint(crypto, new SeededRandom(1n), NOW_MS);

  test("then the next INIT carries it, holds from that address alone, and completes", () => {
    const initiator = new Initiator(alice, bobId, 11);
    const firstPacket = initiator.init;
    const first = initOf(bob, firstPacket);
    expect(mint.cookieValid(address, first.share, first.cookie, NOW_MS)).toBe(false);
    const cookie = mint.cookieFor(address, first.share, NOW_MS);
    expect(initiator.receiveCookie(cookiePacket(bob, first, cookie))).toEqual({ ok: true });
    const second = initOf(bob, initiator.init);
    expect(mint.cookieValid(address, second.share, second.cookie, NOW_MS)).toBe(true);
    expect(mint.cookieValid("192.0.2.2:7946", second.share, second.cookie, NOW_MS)).toBe(false);
    const result = respond(bob, second, 22);
    expect(result.ok && initiator.receiveResponse(result.responder.response, NOW_MS).ok).toBe(true);
    expect(initCookieOf(firstPacket)).toEqual(new Uint8Array(COOKIE_BYTES));
  });

  test("then a RESPONSE to the INIT without it is still taken", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const init = initOf(bob, initiator.init);
    initiator.receiveCookie(cookiePacket(bob, init, mint.cookieFor(address, init.share, NOW_MS)));
    expect(initiator.receiveResponse(responder.response, NOW_MS).ok).toBe(true);
  });

  test("then a COOKIE for another INIT, or after the end, is refused", () => {
    const { initiator, responder } = halfOpen(alice, bob);
    const cookie = new Uint8Array(COOKIE_BYTES).fill(1);
    const foreign = cookiePacket(bob, initOf(bob, new Initiator(alice, bobId, 11).init), cookie);
    const own = cookiePacket(bob, initOf(bob, initiator.init), cookie);
    expect(initiator.receiveCookie(foreign)).toEqual({ ok: false, reason: "not_for_us" });
    finishOf(initiator, responder.response);
    expect(initiator.receiveCookie(own)).toEqual({ ok: false, reason: "finished" });
  });
});

describe("given arbitrary packets, then none is taken and nothing throws", () => {
  const { initiator, responder } = halfOpen(alice, bob);
  const ended = halfOpen(alice, bob);
  const finish = finishOf(ended.initiator, ended.responder.response);
  const cookie = cookiePacket(bob, initOf(bob, initiator.init), new Uint8Array(COOKIE_BYTES));

  /** `packet` with `bytes` from its payload on. */
  function behindHeader(packet: Uint8Array, bytes: Uint8Array): Uint8Array {
    const changed = packet.slice();
    changed.set(bytes, OFFSET.payload);
    return changed;
  }

  test("of any bytes and length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: PACKET_BYTES + 1 }), (packet) => {
        expect(readInit(bob, packet).ok).toBe(false);
        expect(initiator.receiveCookie(packet).ok).toBe(false);
        expect(initiator.receiveResponse(packet, NOW_MS).ok).toBe(false);
        expect(responder.receiveFinish(packet, NOW_MS).ok).toBe(false);
      }),
    );
  });

  test("of a true header before any payload", () => {
    const payload = fc.uint8Array({ minLength: 960, maxLength: 960 });
    fc.assert(
      fc.property(payload, (bytes) => {
        expect(readInit(bob, behindHeader(initiator.init, bytes)).ok).toBe(false);
        expect(initiator.receiveCookie(behindHeader(cookie, bytes)).ok).toBe(false);
        const response = behindHeader(responder.response, bytes);
        expect(initiator.receiveResponse(response, NOW_MS).ok).toBe(false);
        expect(responder.receiveFinish(behindHeader(finish, bytes), NOW_MS).ok).toBe(false);
      }),
    );
  });

  test("of a well-formed INIT with any values: answered, but its sender proves nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 68, maxLength: 68 }), (bytes) => {
        const init = readInit(bob, behindHeader(initiator.init, bytes));
        const result = init.ok ? respond(bob, init, 22) : init;
        if (!result.ok) return;
        expect(result.responder.receiveFinish(finish, NOW_MS).ok).toBe(false);
        expect(initiator.receiveResponse(result.responder.response, NOW_MS).ok).toBe(false);
      }),
    );
  });
});
