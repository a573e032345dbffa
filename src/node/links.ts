// The peers of a node and the keys shared with them: dialling, answering, rekeying, evicting.
// It seals what the other parts of the replica want to say and opens what peers say.

import { HANDSHAKES_MAX, PACKET_BYTES, SESSIONS_MAX } from "../kernel/limits.ts";
import type { Endpoint, Random } from "../kernel/ports.ts";
import { CookieMint } from "../net/cookie.ts";
import { ANY_NODE, type HandshakeContext, type Refusal } from "../net/handshake.ts";
import { Initiator } from "../net/initiator.ts";
import { cookiePacket, type Init, type Responder, readInit, respond } from "../net/responder.ts";
import type { Session } from "../net/session.ts";
import type { NodeId } from "../schema/node-id.ts";
import {
  PACKET_KIND,
  type PacketHeader,
  payloadOf,
  readHeader,
  writeHeader,
} from "../schema/packet.ts";
import { ByteReader, ByteWriter } from "../schema/varint.ts";
import {
  CASUAL_SESSION_MS,
  DIAL_GIVE_UP_MS,
  DIAL_RETRY_MAX_MS,
  DIAL_RETRY_MIN_MS,
  HALF_OPEN_MS,
  OLD_SESSION_MS,
  ROUND_TRIP_GUESS_MS,
} from "./pace.ts";
import { type Dial, type Finish, Peer } from "./peer.ts";

/** What the replica learns from its links. */
export interface LinksListener {
  /** A peer's keys stand: it is who its certificate says. */
  sessionOpened(peer: Peer, nowMs: number): void;
  sessionClosed(nodeId: NodeId, reason: string): void;
  handshakeRefused(endpoint: Endpoint, reason: Refusal): void;
  /** A packet of a peer was opened; the reader stands at its payload. */
  payloadReceived(peer: Peer, header: PacketHeader, payload: ByteReader, nowMs: number): void;
}

interface HalfOpen {
  readonly responder: Responder;
  readonly startedMs: number;
}

export class Links {
  readonly peers = new Map<NodeId, Peer>();
  /** Dials to addresses whose nodes are not known yet: one a seed. */
  readonly #seedDials = new Map<Endpoint, Dial>();
  readonly #bySessionId = new Map<number, { peer: Peer; session: Session }>();
  readonly #halfOpen = new Map<number, HalfOpen>();
  readonly #cookies: CookieMint;
  readonly #context: HandshakeContext;
  readonly #random: Random;
  readonly #send: (packet: Uint8Array, to: Endpoint) => void;
  readonly #listener: LinksListener;
  /** Whether a member is worth keeping when a new one needs its place. */
  readonly #isWanted: (nodeId: NodeId) => boolean;
  readonly #outgoing = new Uint8Array(PACKET_BYTES);
  handshakesStarted = 0;
  handshakesRefused = 0;
  packetsSent = 0;
  packetsReceived = 0;
  packetsRefused = 0;

  constructor(options: {
    context: HandshakeContext;
    random: Random;
    nowMs: number;
    send: (packet: Uint8Array, to: Endpoint) => void;
    isWanted: (nodeId: NodeId) => boolean;
    listener: LinksListener;
  }) {
    this.#context = options.context;
    this.#random = options.random;
    this.#send = options.send;
    this.#isWanted = options.isWanted;
    this.#listener = options.listener;
    this.#cookies = new CookieMint(options.context.crypto, options.random, options.nowMs);
  }

  get sessionCount(): number {
    let count = 0;
    for (const peer of this.peers.values()) if (peer.session !== null) count += 1;
    return count;
  }

  get halfOpenCount(): number {
    return this.#halfOpen.size;
  }

  /** The peer of a member, made when it is new and there is room for it. */
  peerFor(nodeId: NodeId, endpoint: Endpoint, nowMs: number): Peer | null {
    const held = this.peers.get(nodeId);
    if (held !== undefined) return held;
    if (this.peers.size >= SESSIONS_MAX && !this.#evict(nowMs)) return null;
    const peer = new Peer(nodeId, endpoint);
    this.peers.set(nodeId, peer);
    return peer;
  }

  /**
   * Starts a handshake with a peer, unless one is under way.
   * @param sendsMax INITs that it may take
   */
  dial(peer: Peer, nowMs: number, sendsMax = Number.POSITIVE_INFINITY): void {
    if (peer.dial !== null) return;
    peer.dial = this.#newDial(peer.nodeId, sendsMax, nowMs);
    this.#sendInit(peer.dial, peer.endpoint, nowMs);
  }

  /** Dials an address, or repeats that: whoever answers there with a certificate of this cluster. */
  dialSeed(endpoint: Endpoint, nowMs: number): void {
    let dial = this.#seedDials.get(endpoint);
    if (dial === undefined || nowMs - dial.startedMs >= DIAL_GIVE_UP_MS) {
      dial = this.#newDial(ANY_NODE, Number.POSITIVE_INFINITY, nowMs);
      this.#seedDials.set(endpoint, dial);
    }
    this.#sendInit(dial, endpoint, nowMs);
  }

  /** Repeats what got no answer, rekeys what is due, forgets what is over. */
  tick(nowMs: number): void {
    for (const [sessionId, { startedMs }] of this.#halfOpen) {
      if (nowMs - startedMs >= HALF_OPEN_MS) this.#halfOpen.delete(sessionId);
    }
    for (const peer of this.peers.values()) this.#tickPeer(peer, nowMs);
  }

  /** Seals and sends one packet whose payload `write` fills; false without a session. */
  sendTo(peer: Peer, zone: number, nowMs: number, write: (payload: ByteWriter) => void): boolean {
    const session = peer.session;
    if (session === null || session.isExpired(nowMs)) return false;
    const packet = this.#outgoing;
    const payload = new ByteWriter(payloadOf(packet));
    write(payload);
    packet.fill(0, payload.bytes.byteOffset - packet.byteOffset + payload.offset);
    writeHeader(packet, {
      kind: PACKET_KIND.data,
      zone,
      payloadLength: payload.offset,
      revocationBlock: this.#context.revocationBlock(),
      source: this.#context.identity.nodeId,
      destination: peer.nodeId,
      session: session.remoteSessionId,
      counter: 0,
    });
    if (!session.seal(packet, nowMs)) return false;
    this.#transmit(packet, peer.endpoint);
    return true;
  }

  receive(datagram: Uint8Array, from: Endpoint, nowMs: number): void {
    this.packetsReceived += 1;
    const header = readHeader(datagram);
    if (header === null || !this.#isForUs(header)) {
      this.packetsRefused += 1;
      return;
    }
    switch (header.kind) {
      case PACKET_KIND.data:
        this.#receiveData(datagram, header, from, nowMs);
        break;
      case PACKET_KIND.handshakeInit:
        this.#receiveInit(datagram, from, nowMs);
        break;
      case PACKET_KIND.handshakeCookie:
        this.#receiveCookie(datagram, header, nowMs);
        break;
      case PACKET_KIND.handshakeResponse:
        this.#receiveResponse(datagram, header, from, nowMs);
        break;
      case PACKET_KIND.handshakeFinish:
        this.#receiveFinish(datagram, header, from, nowMs);
        break;
      default:
        this.packetsRefused += 1;
    }
  }

  /** Ends all dealings with a node: revoked, expired, or gone. */
  drop(nodeId: NodeId, reason: string): void {
    const peer = this.peers.get(nodeId);
    if (peer === undefined) return;
    this.peers.delete(nodeId);
    const hadSession = peer.session !== null;
    for (const session of [peer.session, peer.oldSession]) {
      if (session !== null) this.#bySessionId.delete(session.localSessionId);
    }
    if (hadSession) this.#listener.sessionClosed(nodeId, reason);
  }

  #isForUs(header: PacketHeader): boolean {
    if (header.destination === this.#context.identity.nodeId) return true;
    return header.kind === PACKET_KIND.handshakeInit && header.destination === ANY_NODE;
  }

  #tickPeer(peer: Peer, nowMs: number): void {
    if (peer.session?.isExpired(nowMs) === true) this.#closeSession(peer, "expired");
    if (peer.finish !== null) this.#tickFinish(peer, peer.finish, nowMs);
    if (peer.oldSession !== null && nowMs >= peer.oldSessionUntilMs) {
      this.#bySessionId.delete(peer.oldSession.localSessionId);
      peer.oldSession = null;
    }
    const isWanted = this.#isWanted(peer.nodeId);
    const ageMs = nowMs - (peer.session?.startedMs ?? nowMs);
    if (!isWanted && ageMs >= CASUAL_SESSION_MS) this.#closeSession(peer, "no neighbour");
    if (isWanted && peer.session?.needsRekey(nowMs) === true) this.dial(peer, nowMs);
    const dial = peer.dial;
    if (dial === null) {
      // Keys that nobody needs run out, and their peer is forgotten.
      if (peer.session === null && !isWanted) this.drop(peer.nodeId, "idle");
    } else if (nowMs - dial.startedMs >= DIAL_GIVE_UP_MS) {
      peer.dial = null;
    } else if (nowMs >= dial.nextSendMs) {
      this.#sendInit(dial, peer.endpoint, nowMs);
    }
  }

  /** Until the peer proves that it has our FINISH, it cannot open what we send under the new keys. */
  #tickFinish(peer: Peer, finish: Finish, nowMs: number): void {
    if (nowMs - finish.startedMs >= DIAL_GIVE_UP_MS) {
      peer.finish = null;
      this.#closeSession(peer, "unconfirmed");
    } else if (nowMs >= finish.nextSendMs) {
      finish.nextSendMs = nowMs + DIAL_RETRY_MIN_MS;
      this.#transmit(finish.packet, peer.endpoint);
    }
  }

  #newDial(expected: NodeId, sendsMax: number, nowMs: number): Dial {
    this.handshakesStarted += 1;
    return {
      initiator: new Initiator(this.#context, expected, this.#newSessionId()),
      startedMs: nowMs,
      sendsLeft: sendsMax,
      nextSendMs: nowMs,
      retryMs: DIAL_RETRY_MIN_MS,
      attempts: 0,
    };
  }

  #sendInit(dial: Dial, endpoint: Endpoint, nowMs: number): void {
    if (dial.sendsLeft <= 0) return;
    dial.sendsLeft -= 1;
    dial.attempts += 1;
    dial.nextSendMs = nowMs + dial.retryMs;
    // A lossy line deserves a few quick tries; a dead host does not deserve many.
    if (dial.attempts > 4) dial.retryMs = Math.min(dial.retryMs * 2, DIAL_RETRY_MAX_MS);
    this.#transmit(dial.initiator.init, endpoint);
  }

  #receiveData(datagram: Uint8Array, header: PacketHeader, from: Endpoint, nowMs: number): void {
    const entry = this.#bySessionId.get(header.session);
    const isPeers = entry !== undefined && entry.peer.nodeId === header.source;
    if (!isPeers || !entry.session.open(datagram, nowMs)) {
      this.packetsRefused += 1;
      return;
    }
    const { peer } = entry;
    peer.lastHeardMs = nowMs;
    // It may have moved: packets that open come from where it is now.
    peer.endpoint = from;
    if (entry.session === peer.session) peer.finish = null;
    // Where both dialled at once, each may keep to the keys that the other made first.
    else peer.oldSessionUntilMs = nowMs + OLD_SESSION_MS;
    const payload = new ByteReader(payloadOf(datagram), 0, header.payloadLength);
    this.#listener.payloadReceived(peer, header, payload, nowMs);
  }

  #receiveInit(datagram: Uint8Array, from: Endpoint, nowMs: number): void {
    const init = readInit(this.#context, datagram);
    if (!init.ok) {
      this.#refuse(from, init.reason);
      return;
    }
    const answered = this.#halfOpenFor(init);
    if (answered !== null) {
      this.#transmit(answered.response, from);
      return;
    }
    if (this.#yieldsToOurDial(init, from)) return;
    if (this.#wantsCookie(init, from, nowMs)) {
      const cookie = this.#cookies.cookieFor(from, init.share, nowMs);
      this.#transmit(cookiePacket(this.#context, init, cookie), from);
      return;
    }
    this.#answerInit(init, from, nowMs);
  }

  #answerInit(init: Init, from: Endpoint, nowMs: number): void {
    if (this.#halfOpen.size >= HANDSHAKES_MAX) this.#forgetOldestHalfOpen();
    const result = respond(this.#context, init, this.#newSessionId());
    if (!result.ok) {
      this.#refuse(from, result.reason);
      return;
    }
    this.#halfOpen.set(result.responder.sessionId, {
      responder: result.responder,
      startedMs: nowMs,
    });
    this.#transmit(result.responder.response, from);
  }

  /**
   * When both dial at once, the lower id's handshake goes on and the other is left unanswered;
   * not so when it comes from elsewhere than we dial, for then ours may never arrive.
   */
  #yieldsToOurDial(init: Init, from: Endpoint): boolean {
    const peer = this.peers.get(init.source);
    const isDialling = peer !== undefined && peer.dial !== null && peer.endpoint === from;
    return isDialling && this.#context.identity.nodeId < init.source;
  }

  #wantsCookie(init: Init, from: Endpoint, nowMs: number): boolean {
    if (this.#halfOpen.size * 2 < HANDSHAKES_MAX) return false;
    return !this.#cookies.cookieValid(from, init.share, init.cookie, nowMs);
  }

  #receiveCookie(datagram: Uint8Array, header: PacketHeader, nowMs: number): void {
    const found = this.#dialFor(header.session, header.source);
    if (found === null) return;
    if (found.dial.initiator.receiveCookie(datagram).ok) {
      this.#sendInit(found.dial, found.endpoint, nowMs);
    }
  }

  #receiveResponse(
    datagram: Uint8Array,
    header: PacketHeader,
    from: Endpoint,
    nowMs: number,
  ): void {
    const known = this.peers.get(header.source);
    const found = this.#dialFor(header.session, header.source);
    if (found === null) {
      // The same RESPONSE again: our FINISH was lost.
      if (known?.finish != null && known.session?.localSessionId === header.session) {
        this.#transmit(known.finish.packet, from);
      }
      return;
    }
    const result = found.dial.initiator.receiveResponse(datagram, nowMs);
    if (!result.ok) {
      this.#refuse(from, result.reason);
      return;
    }
    if (result.session === null) return;
    const peer = this.peerFor(result.session.peer.nodeId, from, nowMs);
    if (peer === null) return;
    this.#seedDials.delete(found.endpoint);
    peer.handshakeMs = Math.max(ROUND_TRIP_GUESS_MS, nowMs - found.dial.startedMs);
    peer.dial = null;
    this.#adopt(peer, result.session, from, nowMs);
    peer.finish = {
      packet: result.finish,
      startedMs: nowMs,
      nextSendMs: nowMs + DIAL_RETRY_MIN_MS,
    };
    this.#transmit(result.finish, from);
    this.#listener.sessionOpened(peer, nowMs);
  }

  #receiveFinish(datagram: Uint8Array, header: PacketHeader, from: Endpoint, nowMs: number): void {
    const halfOpen = this.#halfOpen.get(header.session);
    if (halfOpen === undefined) return;
    const result = halfOpen.responder.receiveFinish(datagram, nowMs);
    if (!result.ok) {
      this.#refuse(from, result.reason);
      return;
    }
    this.#halfOpen.delete(header.session);
    const peer = this.peerFor(result.session.peer.nodeId, from, nowMs);
    if (peer === null) return;
    peer.dial = null;
    peer.finish = null;
    this.#adopt(peer, result.session, from, nowMs);
    this.#listener.sessionOpened(peer, nowMs);
  }

  #adopt(peer: Peer, session: Session, from: Endpoint, nowMs: number): void {
    if (peer.oldSession !== null) this.#bySessionId.delete(peer.oldSession.localSessionId);
    peer.oldSession = peer.session;
    peer.oldSessionUntilMs = nowMs + OLD_SESSION_MS;
    peer.session = session;
    peer.endpoint = from;
    peer.lastHeardMs = nowMs;
    this.#bySessionId.set(session.localSessionId, { peer, session });
  }

  #closeSession(peer: Peer, reason: string): void {
    if (peer.session === null) return;
    this.#bySessionId.delete(peer.session.localSessionId);
    peer.session = null;
    this.#listener.sessionClosed(peer.nodeId, reason);
  }

  /** The dial that a COOKIE or RESPONSE answers. */
  #dialFor(sessionId: number, source: NodeId): { dial: Dial; endpoint: Endpoint } | null {
    const peer = this.peers.get(source);
    if (peer?.dial?.initiator.sessionId === sessionId) {
      return { dial: peer.dial, endpoint: peer.endpoint };
    }
    for (const [endpoint, dial] of this.#seedDials) {
      if (dial.initiator.sessionId === sessionId) return { dial, endpoint };
    }
    return null;
  }

  #halfOpenFor(init: Init): Responder | null {
    for (const { responder } of this.#halfOpen.values()) {
      if (responder.source === init.source && responder.answers(init)) return responder;
    }
    return null;
  }

  #forgetOldestHalfOpen(): void {
    for (const sessionId of this.#halfOpen.keys()) {
      this.#halfOpen.delete(sessionId);
      return;
    }
  }

  /** Makes room: first one without a session, then one not wanted, the longest silent first. */
  #evict(nowMs: number): boolean {
    let victim: Peer | null = null;
    let victimRank = -1;
    for (const peer of this.peers.values()) {
      const rank = this.#evictionRank(peer, nowMs);
      if (rank > victimRank) {
        victim = peer;
        victimRank = rank;
      }
    }
    if (victim === null) return false;
    this.drop(victim.nodeId, "evicted");
    return true;
  }

  /** Greater goes first; -1 stays. */
  #evictionRank(peer: Peer, nowMs: number): number {
    if (this.#isWanted(peer.nodeId)) return -1;
    const silentMs = Math.min(nowMs - peer.lastHeardMs, 1e12);
    return peer.session === null ? 1e13 + silentMs : silentMs;
  }

  #newSessionId(): number {
    for (;;) {
      const id = this.#random.u32();
      if (id !== 0 && !this.#bySessionId.has(id) && !this.#halfOpen.has(id)) return id;
    }
  }

  #refuse(from: Endpoint, reason: Refusal): void {
    this.packetsRefused += 1;
    this.handshakesRefused += 1;
    this.#listener.handshakeRefused(from, reason);
  }

  #transmit(packet: Uint8Array, to: Endpoint): void {
    this.packetsSent += 1;
    this.#send(packet, to);
  }
}
