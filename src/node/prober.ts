// Finding out who is gone: SWIM's probes. Any packet of a member proves that it lives, so only
// the silent are asked; who does not answer us is asked through others before we accuse it.

import type { Random } from "../kernel/ports.ts";
import { randomBelow } from "../kernel/random.ts";
import { writeAck, writeNack, writePing, writePingRequest } from "../schema/frame.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ByteWriter } from "../schema/varint.ts";
import { type Membership, PROBE_INTERVAL_MS } from "./membership.ts";
import {
  INDIRECT_PROBES,
  PING_REPEATS,
  PINGS_PER_PROBE_MAX,
  RELAYED_PROBES_MAX,
  UNKNOWN_PEER_PATIENCE_MS,
} from "./pace.ts";
import type { Peer, PingTimes } from "./peer.ts";

/** What the prober needs of the replica around it. */
export interface ProberHost {
  readonly peers: ReadonlyMap<NodeId, Peer>;
  send(peer: Peer, nowMs: number, write: (payload: ByteWriter) => void): void;
  /** The peer of a member, dialled when there are no keys yet; null when it is none or too many are. */
  reach(nodeId: NodeId, nowMs: number): Peer | null;
  /** Makes new keys with a peer whose old ones may be lost. */
  redial(peer: Peer, nowMs: number): void;
  /** The member's slot index, or -1. */
  memberOf(nodeId: NodeId): number;
}

/** A probe that another asked us for. */
interface RelayedProbe {
  readonly asker: NodeId;
  readonly sequence: number;
  readonly target: NodeId;
  readonly startedMs: number;
  readonly deadlineMs: number;
}

export class Prober {
  readonly #host: ProberHost;
  readonly #membership: Membership;
  readonly #random: Random;
  #relayed: RelayedProbe[] = [];
  #nextSequence = 0;
  #nextProbeMs = 0;

  constructor(host: ProberHost, membership: Membership, random: Random) {
    this.#host = host;
    this.#membership = membership;
    this.#random = random;
  }

  /**
   * Goes on with the probes under way, and once an interval starts one: of the `wanted`
   * neighbours, the longest silent.
   */
  tick(wanted: ReadonlySet<NodeId>, nowMs: number): void {
    let silent: Peer | null = null;
    for (const peer of this.#host.peers.values()) {
      // No neighbour any more: the probe is others' to make.
      if (!wanted.has(peer.nodeId)) peer.probe = null;
      else if (peer.probe !== null) this.#proceed(peer, nowMs);
      else if (silent === null || peer.lastHeardMs < silent.lastHeardMs) silent = peer;
    }
    const intervalMs = PROBE_INTERVAL_MS * this.#membership.patience;
    if (silent !== null && nowMs >= this.#nextProbeMs && nowMs - silent.lastHeardMs >= intervalMs) {
      this.#nextProbeMs = nowMs + intervalMs;
      this.#start(silent, nowMs);
    }
    if (this.#relayed.length > 0) this.#settleRelayed(nowMs);
  }

  receivePing(peer: Peer, sequence: number, nowMs: number): void {
    this.#host.send(peer, nowMs, (payload) => writeAck(payload, sequence));
  }

  /** Asks a peer with fresh keys for a sign: it proves them, and measures the way. */
  greet(peer: Peer, nowMs: number): void {
    peer.pings = { firstSequence: this.#takeSequences(), sentMs: [] };
    this.#ping(peer, peer.pings, nowMs);
  }

  /** An answer to our own ping, however late, or a relay's word that it got one. */
  receiveAck(sender: Peer, sequence: number, nowMs: number): void {
    const pings = sender.pings;
    const sentMs = pings === null ? undefined : pings.sentMs[sequence - pings.firstSequence];
    if (sentMs !== undefined) {
      sender.measured(nowMs - sentMs);
      return;
    }
    const asked = this.#probedThrough(sender, sequence);
    if (asked !== null) this.#succeed(asked);
  }

  receiveNack(sender: Peer, sequence: number): void {
    const asked = this.#probedThrough(sender, sequence);
    if (asked !== null) asked.probe!.nackCount += 1;
  }

  receivePingRequest(asker: Peer, sequence: number, target: NodeId, nowMs: number): void {
    const peer = this.#relayed.length < RELAYED_PROBES_MAX ? this.#host.reach(target, nowMs) : null;
    if (peer === null) {
      this.#host.send(asker, nowMs, (payload) => writeNack(payload, sequence));
      return;
    }
    this.#relayed.push({
      asker: asker.nodeId,
      sequence,
      target,
      startedMs: nowMs,
      deadlineMs: nowMs + peer.timeoutMs,
    });
    // Under a sequence of our own: the asker's may be one that we use for another.
    if (peer.pings === null || peer.pings.sentMs.length >= PINGS_PER_PROBE_MAX) {
      peer.pings = { firstSequence: this.#takeSequences(), sentMs: [] };
    }
    this.#ping(peer, peer.pings, nowMs);
  }

  /** The peer that `relay` was asked to probe for us. */
  #probedThrough(relay: Peer, sequence: number): Peer | null {
    for (const peer of this.#host.peers.values()) {
      const { probe } = peer;
      if (probe?.sequence === sequence && probe.relays.includes(relay.nodeId)) return peer;
    }
    return null;
  }

  #start(peer: Peer, nowMs: number): void {
    peer.pings = { firstSequence: this.#takeSequences(), sentMs: [] };
    peer.probe = {
      sequence: peer.pings.firstSequence,
      startedMs: nowMs,
      deadlineMs: nowMs + this.#timeoutMs(peer),
      nextPingMs: nowMs,
      isIndirect: false,
      relays: [],
      nackCount: 0,
    };
    this.#repeatPing(peer, nowMs);
  }

  #proceed(peer: Peer, nowMs: number): void {
    const probe = peer.probe!;
    if (peer.lastHeardMs > probe.startedMs) this.#succeed(peer);
    else if (nowMs >= probe.deadlineMs && !probe.isIndirect) this.#askOthers(peer, nowMs);
    else if (nowMs >= probe.deadlineMs) this.#fail(peer, nowMs);
    else if (nowMs >= probe.nextPingMs) this.#repeatPing(peer, nowMs);
  }

  #repeatPing(peer: Peer, nowMs: number): void {
    peer.probe!.nextPingMs = nowMs + Math.ceil(this.#timeoutMs(peer) / PING_REPEATS);
    if (peer.pings !== null && peer.pings.sentMs.length < PINGS_PER_PROBE_MAX) {
      this.#ping(peer, peer.pings, nowMs);
    }
  }

  #ping(peer: Peer, pings: PingTimes, nowMs: number): void {
    const sequence = pings.firstSequence + pings.sentMs.length;
    pings.sentMs.push(nowMs);
    this.#host.send(peer, nowMs, (payload) => writePing(payload, sequence));
  }

  /** The first of as many sequences as one probe may need. They come round after 4,000 probes. */
  #takeSequences(): number {
    const first = this.#nextSequence;
    this.#nextSequence += PINGS_PER_PROBE_MAX;
    if (this.#nextSequence + PINGS_PER_PROBE_MAX > 0xffff) this.#nextSequence = 0;
    return first;
  }

  #askOthers(peer: Peer, nowMs: number): void {
    const probe = peer.probe!;
    const relays = this.#chooseRelays(peer);
    probe.isIndirect = true;
    probe.relays = relays.map((relay) => relay.nodeId);
    probe.deadlineMs = nowMs + 2 * this.#timeoutMs(peer);
    for (const relay of relays) {
      probe.deadlineMs = Math.max(probe.deadlineMs, nowMs + 2 * relay.timeoutMs);
      this.#host.send(relay, nowMs, (payload) => {
        writePingRequest(payload, probe.sequence, peer.nodeId);
      });
    }
  }

  #chooseRelays(target: Peer): Peer[] {
    const candidates = [...this.#host.peers.values()].filter(
      (peer) => peer !== target && peer.session !== null && peer.probe === null,
    );
    const relays: Peer[] = [];
    while (relays.length < INDIRECT_PROBES && candidates.length > 0) {
      const [relay] = candidates.splice(randomBelow(this.#random, candidates.length), 1);
      relays.push(relay!);
    }
    return relays;
  }

  #succeed(peer: Peer): void {
    peer.probe = null;
    this.#membership.probeSucceeded();
  }

  #fail(peer: Peer, nowMs: number): void {
    const probe = peer.probe!;
    // Our keys may be what it lost: a new handshake tells.
    this.#host.redial(peer, nowMs);
    peer.probe = null;
    // Relays that say nothing at all may mean that we are the one who hears badly.
    if (probe.nackCount < Math.max(1, probe.relays.length)) this.#membership.heardBadly();
    this.#membership.accuse(this.#host.memberOf(peer.nodeId), nowMs);
  }

  #settleRelayed(nowMs: number): void {
    const waiting: RelayedProbe[] = [];
    for (const relayed of this.#relayed) {
      const lastHeardMs = this.#host.peers.get(relayed.target)?.lastHeardMs ?? 0;
      if (lastHeardMs <= relayed.startedMs && nowMs < relayed.deadlineMs) {
        waiting.push(relayed);
        continue;
      }
      const write = lastHeardMs > relayed.startedMs ? writeAck : writeNack;
      const asker = this.#host.peers.get(relayed.asker);
      if (asker === undefined) continue;
      this.#host.send(asker, nowMs, (payload) => write(payload, relayed.sequence));
    }
    this.#relayed = waiting;
  }

  /** A member that we have no keys with yet may be slow to answer for reasons of its own. */
  #timeoutMs(peer: Peer): number {
    const timeoutMs = peer.timeoutMs * this.#membership.patience;
    return peer.session === null ? Math.max(timeoutMs, UNKNOWN_PEER_PATIENCE_MS) : timeoutMs;
  }
}
