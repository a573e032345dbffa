// The replica: membership, gossip and sessions in one pure state machine. It decides; its
// ports send, log and encrypt. The simulator and the daemon drive this very class.

import { assert } from "../kernel/assert.ts";
import type { Endpoint } from "../kernel/ports.ts";
import { type Certificate, readCertificate } from "../net/certificate.ts";
import { equalBytes, type HandshakeContext } from "../net/handshake.ts";
import {
  FRAME,
  REAPED_NOTHING,
  REAPED_UNKNOWN,
  readDigest,
  readMember,
  readNodeId,
  readRecordFrame,
  writeDigest,
  writeRecordFrame,
} from "../schema/frame.ts";
import { type NodeId, nodeIdOf, toHex } from "../schema/node-id.ts";
import type { Claim, NodeInfo, TombstoneAck } from "../schema/node-info.ts";
import { encodeNodeInfo } from "../schema/node-info-codec.ts";
import type { PacketHeader } from "../schema/packet.ts";
import type { ServiceSpec } from "../schema/service.ts";
import { encodeService } from "../schema/service-codec.ts";
import {
  authorBytesOf,
  bodyOf,
  isDeployers,
  keyToHex,
  nodeKey,
  SLOT_KIND,
  type Slot,
  type SlotContent,
  serviceKey,
} from "../schema/slot.ts";
import { type ByteReader, type ByteWriter, FormatError } from "../schema/varint.ts";
import type { SlotTable } from "../sync/slot-table.ts";
import { encodeDrain } from "./authority.ts";
import { Gossip } from "./gossip.ts";
import type {
  LocalInfo,
  MemberView,
  ReplicaEvent,
  ReplicaInterface,
  ReplicaOptions,
  ReplicaStatistics,
  ServiceView,
  WriteAnswer,
} from "./interface.ts";
import { Links } from "./links.ts";
import { Membership } from "./membership.ts";
import { Neighbours } from "./neighbours.ts";
import { ALONE_MS, MEMBER_RUMOURS_PER_PACKET } from "./pace.ts";
import type { Peer } from "./peer.ts";
import { Prober } from "./prober.ts";
import {
  decideReaping,
  isPlausibleHorizon,
  REAP_INTERVAL_MS,
  type RosterAck,
  tombstonesThrough,
} from "./reaper.ts";
import { type OfferResult, SlotStore } from "./slot-store.ts";
import { nodeInfoAt, roleNames, serviceViewAt } from "./views.ts";

export class Replica implements ReplicaInterface {
  readonly nodeId: NodeId;
  onWriteSettled: (sequence: number, ok: boolean) => void = () => {};
  readonly #options: ReplicaOptions;
  readonly #certificate: Certificate;
  readonly #store: SlotStore;
  readonly #membership: Membership;
  readonly #links: Links;
  readonly #neighbours: Neighbours;
  readonly #gossip: Gossip;
  readonly #prober: Prober;
  /** Slots that may have been deleted while we did not know, and that no peer has confirmed yet. */
  readonly #unconfirmed = new Set<number>();
  #info: LocalInfo;
  #claims: readonly Claim[] = [];
  #ack: TombstoneAck | null = null;
  #startedMs: number;
  #isStarted = false;
  /** When our table last equalled a peer's: all that we held then is held elsewhere too. */
  #equalMs = Number.NEGATIVE_INFINITY;
  #tableVersion = 0;
  #synced = false;
  #excluded = false;
  /** Our own slot in the table is not what we want to say. */
  #publishDue = false;
  #nextReapMs = 0;
  #reapCheckedSequence = 0;
  #reapCheckedGap = false;
  /** The time of the packet or the commit that is being worked on. */
  #nowMs = 0;
  /** Who brought the record now being applied; null when it is our own. */
  #applyingFrom: NodeId | null = null;
  #recordsReceived = 0;
  #recordsApplied = 0;
  #recordsRefused = 0;
  #recordsFromFuture = 0;

  constructor(options: ReplicaOptions) {
    const { crypto, signer } = options;
    this.#options = options;
    this.nodeId = nodeIdOf(crypto, signer.publicKey);
    const certificate = readCertificate(crypto, options.rootPublicKey, options.certificate);
    assert(certificate !== null, "this node's certificate is signed by the cluster's root");
    assert(certificate.nodeId === this.nodeId, "this node's certificate is for its own key");
    this.#certificate = certificate;
    this.#info = options.info;
    this.#startedMs = options.nowMs;
    this.#store = new SlotStore({
      crypto,
      journal: options.journal,
      signer,
      selfId: this.nodeId,
      rootPublicKey: options.rootPublicKey,
      capacity: options.capacity,
      listener: {
        slotApplied: (index, slot) => this.#slotApplied(index, slot),
        slotRemoved: (index) => this.#slotRemoved(index),
      },
    });
    this.#membership = new Membership({
      selfId: this.nodeId,
      capacity: this.table.capacity,
      incarnation: Math.floor(options.nowMs / 1000),
      idOf: (member) => this.#idOf(member),
    });
    this.#links = this.#makeLinks();
    this.#neighbours = new Neighbours({
      selfId: this.nodeId,
      table: this.table,
      membership: this.#membership,
      links: this.#links,
      random: options.random,
      seeds: options.seeds,
    });
    const host = this.#host();
    this.#gossip = new Gossip(host, this.table, options.random);
    this.#prober = new Prober(host, this.#membership, options.random);
  }

  /** The replicated table. Read it; writes go through the commands. */
  get table(): SlotTable {
    return this.#store.table;
  }

  get version(): number {
    return this.#tableVersion + this.#membership.version;
  }

  get synced(): boolean {
    return this.#synced;
  }

  get excluded(): boolean {
    return this.#excluded;
  }

  get hasLogGap(): boolean {
    return this.#store.hasLogGap;
  }

  get rootHash(): string {
    const { rootHigh, rootLow } = this.table.merkle;
    return keyToHex({ high: rootHigh, low: rootLow });
  }

  get revocationBlock(): number {
    return this.#store.authority.revocationBlock;
  }

  /** The latest hybrid stamp given out or observed. */
  get lastStamp(): number {
    return this.#store.clock.last;
  }

  get statistics(): ReplicaStatistics {
    return {
      packetsReceived: this.#links.packetsReceived,
      packetsSent: this.#links.packetsSent,
      packetsRefused: this.#links.packetsRefused,
      handshakesStarted: this.#links.handshakesStarted,
      handshakesRefused: this.#links.handshakesRefused,
      recordsReceived: this.#recordsReceived,
      recordsApplied: this.#recordsApplied,
      recordsRefused: this.#recordsRefused,
      recordsFromFuture: this.#recordsFromFuture,
      sessions: this.#links.sessionCount,
      members: this.#membership.memberCount,
      living: this.#membership.livingCount,
      slots: this.table.size,
      recordBytes: this.table.recordBytes,
    };
  }

  restore(record: Uint8Array): void {
    this.#store.restore(record);
  }

  start(nowMs: number, damaged: boolean): void {
    this.#store.restored(damaged);
    this.#startedMs = nowMs;
    this.#isStarted = true;
    if (this.#store.isInDoubt) this.#doubtDeletable();
    this.#restoreOwnSlot();
    this.#publish(nowMs);
    this.#membership.announce("alive");
  }

  tick(nowMs: number): void {
    this.#checkExclusion(nowMs);
    if (this.#excluded) return;
    this.#membership.tick(
      nowMs,
      (member, ms) => this.#heardWithin(member, ms, nowMs),
      this.#longestRoundTripMs(),
    );
    if (this.#publishDue) this.#publish(nowMs);
    this.#neighbours.keep(nowMs);
    this.#links.tick(nowMs);
    this.#prober.tick(this.#neighbours.wanted, nowMs);
    this.#gossip.tick(nowMs);
    this.#neighbours.seekOthers(nowMs);
    if (nowMs >= this.#nextReapMs) this.#reap(nowMs);
    if (this.#isAlone(nowMs)) this.#becomeSynced();
  }

  receive(datagram: Uint8Array, from: Endpoint, nowMs: number): void {
    this.#nowMs = nowMs;
    if (!this.#excluded) this.#links.receive(datagram, from, nowMs);
  }

  journalDurable(sequence: number, nowMs: number): void {
    this.#nowMs = nowMs;
    for (const write of this.#store.durable(sequence)) {
      this.onWriteSettled(write.sequence, write.applied);
    }
  }

  journalFailed(firstSequence: number, lastSequence: number): void {
    for (const failed of this.#store.failed(firstSequence, lastSequence)) {
      this.onWriteSettled(failed, false);
    }
  }

  snapshot(): Iterable<Uint8Array> {
    return this.#store.snapshot();
  }

  putService(spec: ServiceSpec, nowMs: number): WriteAnswer {
    return this.#write(SLOT_KIND.service, this.#keyOf(spec.name), encodeService(spec), nowMs);
  }

  deleteService(name: string, nowMs: number): WriteAnswer {
    return this.#write(SLOT_KIND.service, this.#keyOf(name), null, nowMs);
  }

  setDrained(nodeId: NodeId, drained: boolean, nowMs: number): WriteAnswer {
    const body = drained ? encodeDrain(nodeId) : null;
    return this.#write(SLOT_KIND.drain, nodeKey(nodeId), body, nowMs);
  }

  offerRecord(record: Uint8Array, nowMs: number): WriteAnswer {
    if (this.#excluded) return { ok: false, reason: "revoked" };
    return this.#store.submit(record, nowMs);
  }

  publishClaims(claims: readonly Claim[], nowMs: number): void {
    this.#claims = claims;
    this.#publish(nowMs);
  }

  publishInfo(info: LocalInfo, nowMs: number): void {
    this.#info = info;
    this.#publish(nowMs);
  }

  leave(nowMs: number): void {
    this.#membership.announce("left");
    for (const peer of this.#links.peers.values()) this.#send(peer, nowMs, () => {});
  }

  members(nowMs: number): MemberView[] {
    const views: MemberView[] = [];
    for (const slot of this.table.slots()) {
      if (this.table.kind(slot) !== SLOT_KIND.node) continue;
      const certificate = this.#store.authority.certificateOf(slot);
      if (certificate !== null && nowMs <= certificate.notAfterMs) {
        views.push(this.#memberView(slot, certificate));
      }
    }
    return views;
  }

  drainedBy(nodeId: NodeId): NodeId | null {
    const slot = this.table.findKey(SLOT_KIND.drain, nodeKey(nodeId));
    if (slot < 0 || this.table.isTombstone(slot)) return null;
    return toHex(authorBytesOf(this.table.record(slot)));
  }

  services(): ServiceView[] {
    const views: ServiceView[] = [];
    for (const slot of this.table.slots()) {
      const isService = this.table.kind(slot) === SLOT_KIND.service;
      if (isService && !this.table.isTombstone(slot)) views.push(serviceViewAt(this.table, slot));
    }
    return views.sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  }

  service(name: string): ServiceView | null {
    const slot = this.table.findKey(SLOT_KIND.service, this.#keyOf(name));
    return slot < 0 || this.table.isTombstone(slot) ? null : serviceViewAt(this.table, slot);
  }

  #memberView(slot: number, certificate: Certificate): MemberView {
    const peer = this.#links.peers.get(certificate.nodeId);
    const self = certificate.nodeId === this.nodeId;
    return {
      nodeId: certificate.nodeId,
      self,
      status: this.#membership.status(slot),
      incarnation: self ? this.#membership.incarnation : this.#membership.incarnationOf(slot),
      info: nodeInfoAt(this.table, slot),
      zone: certificate.zone,
      roles: roleNames(certificate),
      notAfterMs: certificate.notAfterMs,
      drainedBy: this.drainedBy(certificate.nodeId),
      rttMs: peer === undefined || peer.smoothedRoundTripMs === 0 ? null : peer.smoothedRoundTripMs,
      hasSession: peer !== undefined && peer.session !== null,
    };
  }

  #write(
    kind: SlotContent["kind"],
    key: SlotContent["key"],
    body: Uint8Array | null,
    nowMs: number,
  ): WriteAnswer {
    if (this.#excluded) return { ok: false, reason: "revoked" };
    return this.#store.writeAsDeployer({ kind, key, body }, nowMs);
  }

  #keyOf(service: string): SlotContent["key"] {
    return serviceKey(this.#options.crypto, service);
  }

  #makeLinks(): Links {
    const { crypto, random, signer, nowMs } = this.#options;
    const context: HandshakeContext = {
      crypto,
      random,
      identity: { nodeId: this.nodeId, publicKey: signer.publicKey, signer },
      certificate: this.#certificate,
      certificateBytes: this.#options.certificate,
      rootPublicKey: this.#options.rootPublicKey,
      isRevoked: (certificate) => this.#store.authority.isRevoked(certificate),
      revocationBlock: () => this.#store.authority.revocationBlock,
    };
    return new Links({
      context,
      random,
      nowMs,
      send: this.#options.send,
      isWanted: (nodeId) => this.#neighbours.wanted.has(nodeId),
      listener: {
        sessionOpened: (peer, atMs) => this.#sessionOpened(peer, atMs),
        sessionClosed: (nodeId, reason) => this.#emit({ kind: "session-closed", nodeId, reason }),
        handshakeRefused: (endpoint, reason) =>
          this.#emit({ kind: "handshake-refused", endpoint, reason }),
        payloadReceived: (peer, header, payload, atMs) =>
          this.#payloadReceived(peer, header, payload, atMs),
      },
    });
  }

  #host() {
    return {
      peers: this.#links.peers,
      send: (peer: Peer, nowMs: number, write: (payload: ByteWriter) => void) =>
        this.#send(peer, nowMs, write),
      mayOffer: (slot: number, peer: Peer) => this.#mayOffer(slot, peer),
      caughtUp: () => this.#becomeSynced(),
      reach: (nodeId: NodeId, nowMs: number) => this.#neighbours.reach(nodeId, nowMs),
      redial: (peer: Peer, nowMs: number) => this.#links.dial(peer, nowMs),
      memberOf: (nodeId: NodeId) => this.#memberOf(nodeId),
    };
  }

  #send(peer: Peer, nowMs: number, write: (payload: ByteWriter) => void): void {
    const { rootHigh, rootLow } = this.table.merkle;
    // Whoever lost records must not be taken for one who saw them deleted.
    const reapedThrough = this.#store.isInDoubt
      ? REAPED_UNKNOWN
      : Math.max(REAPED_NOTHING, this.#store.reapedThrough);
    this.#links.sendTo(peer, this.#certificate.zone, nowMs, (payload) => {
      writeDigest(payload, { rootHigh, rootLow, reapedThrough });
      write(payload);
      this.#gossip.writeListAlong(payload, peer, nowMs);
      this.#membership.writeRumours(
        payload,
        MEMBER_RUMOURS_PER_PACKET,
        this.#memberOf(peer.nodeId),
      );
      this.#gossip.writeRumours(payload, peer);
    });
  }

  #payloadReceived(peer: Peer, header: PacketHeader, payload: ByteReader, nowMs: number): void {
    try {
      const digest = readDigest(payload);
      peer.rootHigh = digest.rootHigh;
      peer.rootLow = digest.rootLow;
      if (isPlausibleHorizon(digest.reapedThrough, nowMs)) {
        peer.reapedThrough = digest.reapedThrough;
        this.#passHorizon(digest.reapedThrough);
      }
      // A frame may cost the peer its place: a revocation. Then the rest is not heard.
      while (payload.remaining > 0 && this.#links.peers.get(peer.nodeId) === peer) {
        this.#receiveFrame(peer, payload, nowMs);
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#links.packetsRefused += 1;
      return;
    }
    if (this.#isEqualTo(peer)) this.#equalityProven(peer, nowMs);
    // A revocation that the peer knows and we do not is worth asking for at once.
    const isBehind = header.revocationBlock > this.revocationBlock;
    if (isBehind && nowMs > peer.lastListMs) this.#gossip.sendList(peer, nowMs);
  }

  #receiveFrame(peer: Peer, payload: ByteReader, nowMs: number): void {
    switch (payload.u8()) {
      case FRAME.ping:
        this.#prober.receivePing(peer, payload.u16(), nowMs);
        break;
      case FRAME.ack:
        this.#prober.receiveAck(peer, payload.u16(), nowMs);
        break;
      case FRAME.nack:
        this.#prober.receiveNack(peer, payload.u16());
        break;
      case FRAME.pingRequest:
        this.#prober.receivePingRequest(peer, payload.u16(), readNodeId(payload), nowMs);
        break;
      case FRAME.member: {
        const rumour = readMember(payload);
        this.#membership.hear(this.#memberOf(rumour.nodeId), rumour, nowMs);
        break;
      }
      case FRAME.list:
        this.#gossip.receiveList(peer, payload, nowMs);
        break;
      case FRAME.buckets:
        this.#gossip.receiveBuckets(peer, payload, nowMs);
        break;
      case FRAME.record:
        this.#receiveRecord(peer, readRecordFrame(payload), nowMs);
        break;
      default:
        throw new FormatError("an unknown frame");
    }
  }

  #receiveRecord(peer: Peer, record: Uint8Array, nowMs: number): void {
    this.#recordsReceived += 1;
    this.#applyingFrom = peer.nodeId;
    const result = this.#store.offer(record, nowMs, peer.reapedThrough);
    this.#applyingFrom = null;
    if (result === "applied") this.#recordsApplied += 1;
    else if (result !== "known") this.#recordRefused(peer, result);
  }

  #recordRefused(peer: Peer, result: Exclude<OfferResult, "applied" | "known">): void {
    this.#recordsRefused += 1;
    if (result === "clock-ahead") this.#recordsFromFuture += 1;
    if (result === "full") this.#emit({ kind: "table-full" });
    else this.#emit({ kind: "slot-refused", author: peer.nodeId, reason: result });
  }

  #slotApplied(index: number, slot: Slot): void {
    this.#tableVersion += 1;
    this.#unconfirmed.delete(index);
    // Another in doubt may have brought it, and knows no more than we do.
    if (this.#store.isInDoubt && this.#applyingFrom !== null) this.#holdUnconfirmed(index);
    if (slot.kind === SLOT_KIND.node) this.#nodeApplied(index, slot);
    if (slot.kind === SLOT_KIND.revocation) this.#dropRevokedPeers();
    // What our own log brings back is news to nobody.
    if (!this.#isStarted) return;
    this.#gossip.spread(index, this.#applyingFrom);
    this.#emit({
      kind: "slot-applied",
      slotKind: SLOT_KIND_NAMES[slot.kind],
      key: keyToHex({ high: slot.keyHigh, low: slot.keyLow }),
      tombstone: slot.tombstone,
    });
  }

  #slotRemoved(index: number): void {
    this.#tableVersion += 1;
    this.#unconfirmed.delete(index);
    this.#gossip.forget(index);
    if (this.table.kind(index) === SLOT_KIND.node) {
      const nodeId = this.#idOf(index);
      this.#shutOut(nodeId);
      this.#membership.remove(index);
      // Only what our own slot said is void when we were let in again: it is said anew.
      if (nodeId === this.nodeId) this.#publishDue = true;
    }
  }

  #nodeApplied(index: number, slot: Slot): void {
    this.#membership.add(index);
    // Another version of our own slot, out of a life that our log does not remember: ours must
    // come after it.
    if (slot.author === this.nodeId && this.#applyingFrom !== null) this.#publishDue = true;
  }

  /** We may have missed deletions that nobody remembers: what we hold waits for a peer's word. */
  #doubtDeletable(): void {
    this.#store.doubt();
    for (const slot of this.table.slots()) this.#holdUnconfirmed(slot);
  }

  #holdUnconfirmed(slot: number): void {
    const isDeletable = isDeployers(this.table.kind(slot));
    if (isDeletable && !this.table.isTombstone(slot)) this.#unconfirmed.add(slot);
  }

  #mayOffer(slot: number, peer: Peer): boolean {
    if (!this.#unconfirmed.has(slot) || this.table.stamp(slot) > peer.reapedThrough) return true;
    // The peer's roster agreed on all up to there; a slot it lacks was deleted, and forgotten.
    this.#store.remove(slot);
    return false;
  }

  #isEqualTo(peer: Peer): boolean {
    const { rootHigh, rootLow } = this.table.merkle;
    return peer.rootHigh === rootHigh && peer.rootLow === rootLow;
  }

  #equalityProven(peer: Peer, nowMs: number): void {
    this.#equalMs = nowMs;
    this.#becomeSynced();
    // Two in doubt may agree on what is deleted long since; so may one who has yet to hear of it.
    if (peer.reapedThrough < Math.max(REAPED_NOTHING, this.#store.reapedThrough)) return;
    this.#unconfirmed.clear();
    this.#store.trust();
  }

  #becomeSynced(): void {
    if (this.#synced) return;
    this.#synced = true;
    this.#emit({ kind: "first-sync" });
  }

  /** Nobody lives that could know more: all members are dead or gone, or there never were any. */
  #isAlone(nowMs: number): boolean {
    if (nowMs - this.#startedMs < ALONE_MS || this.#links.sessionCount > 0) return false;
    return this.#membership.livingCount === 0;
  }

  /**
   * What our own slot said before we went down; published again only when it differs. In doubt
   * we take back our word on tombstones: it was that our log holds them.
   */
  #restoreOwnSlot(): void {
    const slot = this.#memberOf(this.nodeId);
    if (slot < 0 || this.#store.isInDoubt) return;
    this.#ack = nodeInfoAt(this.table, slot).tombstoneAck;
  }

  #publish(nowMs: number): void {
    this.#publishDue = false;
    const info: NodeInfo = {
      ...this.#info,
      certificate: this.#options.certificate,
      claims: this.#claims,
      tombstoneAck: this.#ack,
    };
    const body = encodeNodeInfo(info);
    const slot = this.#memberOf(this.nodeId);
    if (slot >= 0 && equalBytes(bodyOf(this.table.record(slot)), body)) return;
    this.#store.writeOwn(body, nodeKey(this.nodeId), nowMs);
  }

  #sessionOpened(peer: Peer, nowMs: number): void {
    this.#emit({ kind: "session-opened", nodeId: peer.nodeId, endpoint: peer.endpoint });
    // The first packet under the new keys proves them.
    this.#prober.greet(peer, nowMs);
  }

  #dropRevokedPeers(): void {
    for (const peer of this.#links.peers.values()) {
      const certificate = peer.session?.peer;
      if (certificate !== undefined && this.#store.authority.isRevoked(certificate)) {
        this.#shutOut(peer.nodeId);
      }
    }
  }

  /** The last that a revoked node hears of us is why: it cannot learn it from anybody else. */
  #shutOut(nodeId: NodeId): void {
    const peer = this.#links.peers.get(nodeId);
    const revocation = this.table.findKey(SLOT_KIND.revocation, nodeKey(nodeId));
    if (peer !== undefined && revocation >= 0) {
      this.#send(peer, this.#nowMs, (payload) => {
        writeRecordFrame(payload, this.table.record(revocation));
      });
    }
    this.#links.drop(nodeId, "revoked");
  }

  #checkExclusion(nowMs: number): void {
    if (this.#excluded) return;
    const expired = nowMs >= this.#certificate.notAfterMs;
    if (!expired && !this.#store.authority.isRevoked(this.#certificate)) return;
    this.#excluded = true;
    for (const nodeId of [...this.#links.peers.keys()]) this.#links.drop(nodeId, "excluded");
    this.#emit({ kind: "revoked" });
  }

  /** Offers to drop old tombstones, and drops them once the whole roster has offered the same. */
  #reap(nowMs: number): void {
    this.#nextReapMs = nowMs + REAP_INTERVAL_MS;
    // All that stood in the table at the last look must be on disk now.
    const isGapless = !this.#store.hasLogGap && !this.#reapCheckedGap;
    const logged = isGapless && this.#store.durableSequence >= this.#reapCheckedSequence;
    this.#reapCheckedSequence = this.#store.appendedSequence;
    this.#reapCheckedGap = this.#store.hasLogGap;
    // Tombstones from before the last reaping that had something to delete here have done so.
    this.#dropTombstones(this.#store.agreedThrough);
    if (!this.#synced || tombstonesThrough(this.table, Number.MAX_SAFE_INTEGER).count === 0) return;
    const decision = decideReaping(this.table, this.#ack, this.#rosterAcks(nowMs), {
      nowMs,
      reapedThrough: this.#store.reapedThrough,
      logged,
      equalMs: this.#equalMs,
    });
    if (decision.kind === "reap") this.#dropTombstones(decision.horizon);
    if (decision.kind === "acknowledge") {
      // Nothing that we write from here on falls before the horizon.
      this.#store.clock.restore(decision.ack.horizon);
      this.#ack = decision.ack;
      this.#publish(nowMs);
    }
  }

  #rosterAcks(nowMs: number): RosterAck[] {
    return this.members(nowMs)
      .filter((member) => !member.self)
      .map((member) => ({ nodeId: member.nodeId, ack: member.info.tombstoneAck }));
  }

  /** A peer that is in no doubt: the roster has agreed on all that was deleted up to `horizon`. */
  #passHorizon(horizon: number): void {
    if (horizon <= Math.max(REAPED_NOTHING, this.#store.agreedThrough)) return;
    // Without our word, so we were not of it: what we hold from before may be deleted and forgotten.
    const isOurs = this.#ack !== null && this.#ack.horizon >= horizon;
    if (!isOurs && horizon > this.#store.reapedThrough) this.#doubtDeletable();
    this.#dropTombstones(horizon);
  }

  #dropTombstones(horizon: number): void {
    let count = 0;
    for (const slot of this.table.slots()) {
      if (!this.table.isTombstone(slot) || this.table.stamp(slot) > horizon) continue;
      this.#store.remove(slot);
      count += 1;
    }
    this.#store.reaped(horizon);
    if (count > 0) this.#emit({ kind: "tombstones-reaped", count });
  }

  #heardWithin(member: number, ms: number, nowMs: number): boolean {
    const peer = this.#links.peers.get(this.#idOf(member));
    return peer !== undefined && nowMs - peer.lastHeardMs < ms;
  }

  #longestRoundTripMs(): number {
    let longest = 0;
    for (const peer of this.#links.peers.values()) {
      if (peer.session !== null) longest = Math.max(longest, peer.smoothedRoundTripMs);
    }
    return longest;
  }

  #memberOf(nodeId: NodeId): number {
    return this.table.findKey(SLOT_KIND.node, nodeKey(nodeId));
  }

  #idOf(slot: number): NodeId {
    return keyToHex({ high: this.table.keyHigh(slot), low: this.table.keyLow(slot) });
  }

  #emit(event: ReplicaEvent): void {
    this.#options.onEvent?.(event);
  }
}

const SLOT_KIND_NAMES = { 1: "service", 2: "node", 3: "revocation", 4: "drain" } as const;
