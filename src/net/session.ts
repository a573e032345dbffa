// An established session: one key a direction, a counter each way, and an end. It seals and
// opens data packets in place; the clear header is authenticated with them.

import { assert } from "../kernel/assert.ts";
import {
  PACKET_BYTES,
  SESSION_EXPIRY_MS,
  SESSION_PACKETS_MAX,
  SESSION_REKEY_MS,
  SESSION_REKEY_PACKETS,
  SESSION_REKEY_SLACK_MS,
} from "../kernel/limits.ts";
import type { Aead, Crypto } from "../kernel/ports.ts";
import { OFFSET } from "../schema/packet.ts";
import type { Certificate } from "./certificate.ts";
import { ReplayWindow } from "./replay-window.ts";

/** What a handshake leaves behind. Times are Unix ms. */
export interface SessionStart {
  readonly crypto: Crypto;
  /** 32 bytes for this side's packets, and 32 for the peer's. */
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The name in the headers of packets that come here, and of those that go to the peer. */
  readonly localSessionId: number;
  readonly remoteSessionId: number;
  readonly peer: Certificate;
  readonly isInitiator: boolean;
  readonly nowMs: number;
  /** Packets sent before new keys are wanted, and before none is sent or taken. Default: the program's limits. */
  readonly rekeyPackets?: number;
  readonly packetsMax?: number;
}

export class Session {
  readonly localSessionId: number;
  readonly remoteSessionId: number;
  /** Its root signature and key were proven in the handshake; revocation is asked by the node. */
  readonly peer: Certificate;
  readonly isInitiator: boolean;
  readonly startedMs: number;
  /** From here on it neither seals nor opens: its age, or the end of the peer's certificate. */
  readonly expiresMs: number;
  /** When a packet last proved that the peer is there; at first, the handshake's end. */
  lastReceivedMs: number;
  lastSentMs: number;
  readonly #sendAead: Aead;
  readonly #receiveAead: Aead;
  readonly #rekeyPackets: number;
  readonly #packetsMax: number;
  readonly #replayWindow = new ReplayWindow();
  #sentCount = 0;
  #receivedCount = 0;

  constructor(start: SessionStart) {
    this.localSessionId = start.localSessionId;
    this.remoteSessionId = start.remoteSessionId;
    this.peer = start.peer;
    this.isInitiator = start.isInitiator;
    this.startedMs = start.nowMs;
    this.expiresMs = Math.min(start.nowMs + SESSION_EXPIRY_MS, start.peer.notAfterMs);
    this.lastReceivedMs = start.nowMs;
    this.lastSentMs = start.nowMs;
    this.#rekeyPackets = start.rekeyPackets ?? SESSION_REKEY_PACKETS;
    this.#packetsMax = start.packetsMax ?? SESSION_PACKETS_MAX;
    this.#sendAead = start.crypto.aead(start.sendKey);
    this.#receiveAead = start.crypto.aead(start.receiveKey);
  }

  get sentCount(): number {
    return this.#sentCount;
  }

  get receivedCount(): number {
    return this.#receivedCount;
  }

  /**
   * Whether both sides are known to hold the keys. The responder knows from the start; the
   * initiator once a packet came, and until then keeps its FINISH for another RESPONSE.
   */
  get isConfirmed(): boolean {
    return !this.isInitiator || this.#receivedCount > 0;
  }

  isExpired(nowMs: number): boolean {
    return nowMs >= this.expiresMs || this.#sentCount >= this.#packetsMax;
  }

  /** Whether this side should start a new handshake now; the responder leaves the initiator time to. */
  needsRekey(nowMs: number): boolean {
    const slackMs = this.isInitiator ? 0 : SESSION_REKEY_SLACK_MS;
    return (
      nowMs - this.startedMs >= SESSION_REKEY_MS + slackMs || this.#sentCount >= this.#rekeyPackets
    );
  }

  /**
   * Encrypts the payload of `packet` in place, and writes session id, counter and tag. The
   * header's other fields stand already.
   * @returns false, and nothing done, when the session has expired
   */
  seal(packet: Uint8Array, nowMs: number): boolean {
    assert(packet.length === PACKET_BYTES, "a packet is 1024 bytes");
    if (this.isExpired(nowMs)) return false;
    const counter = this.#sentCount;
    this.#sentCount += 1;
    writeSessionAndCounter(packet, this.remoteSessionId, counter);
    const header = packet.subarray(0, OFFSET.payload);
    const payload = packet.subarray(OFFSET.payload, OFFSET.tag);
    this.#sendAead.seal(counter, header, payload, packet.subarray(OFFSET.payload));
    this.lastSentMs = nowMs;
    return true;
  }

  /**
   * Decrypts the payload of an untrusted packet in place, one whose header was read and names
   * this session.
   * @returns false when it is forged, altered, a replay, too old, or the session has expired;
   * the packet's bytes are then undefined
   */
  open(packet: Uint8Array, nowMs: number): boolean {
    assert(packet.length === PACKET_BYTES, "a packet is 1024 bytes");
    if (this.isExpired(nowMs)) return false;
    const counter = readCounter(packet);
    if (counter >= this.#packetsMax || !this.#replayWindow.isFresh(counter)) return false;
    const header = packet.subarray(0, OFFSET.payload);
    const payload = packet.subarray(OFFSET.payload, OFFSET.tag);
    if (!this.#receiveAead.open(counter, header, packet.subarray(OFFSET.payload), payload)) {
      return false;
    }
    this.#replayWindow.accept(counter);
    this.#receivedCount += 1;
    this.lastReceivedMs = nowMs;
    return true;
  }
}

function headerView(packet: Uint8Array): DataView {
  return new DataView(packet.buffer, packet.byteOffset, OFFSET.payload);
}

function writeSessionAndCounter(packet: Uint8Array, session: number, counter: number): void {
  const view = headerView(packet);
  view.setUint32(OFFSET.session, session, true);
  view.setUint32(OFFSET.counter, counter % 0x1_0000_0000, true);
  view.setUint32(OFFSET.counter + 4, Math.floor(counter / 0x1_0000_0000), true);
}

/** Inexact above 2^53, which is far above what a session accepts. */
function readCounter(packet: Uint8Array): number {
  const view = headerView(packet);
  const high = view.getUint32(OFFSET.counter + 4, true);
  return high * 0x1_0000_0000 + view.getUint32(OFFSET.counter, true);
}
