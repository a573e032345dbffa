// Whether a slot may be believed: the chain from the cluster's root key through its author's
// certificate to its signature. The verdict depends on the slots alone, never on the order in
// which they came, so that all nodes come to the same table.

import type { Crypto } from "../kernel/ports.ts";
import {
  type Certificate,
  hasRole,
  readAcceptedCertificate,
  readCertificate,
} from "../net/certificate.ts";
import { equalBytes } from "../net/handshake.ts";
import { fromHex, type NodeId, nodeIdOf, toHex } from "../schema/node-id.ts";
import { decodeNodeInfo } from "../schema/node-info-codec.ts";
import { decodeService } from "../schema/service-codec.ts";
import {
  authorBytesOf,
  bodyOf,
  isDeployers,
  keyToHex,
  nodeKey,
  readSlot,
  SLOT_KIND,
  type Slot,
  slotSignatureHolds,
} from "../schema/slot.ts";
import { ByteReader, ByteWriter, FormatError } from "../schema/varint.ts";
import { stampMs } from "../sync/hybrid-clock.ts";
import type { SlotTable } from "../sync/slot-table.ts";

/**
 * `unknown-author`: the author's own slot has not come yet; offer the slot again later.
 * `forged`: it can never be valid. `revoked`: its author has lost the right to it.
 */
export type Verdict = "valid" | "unknown-author" | "forged" | "revoked";

/** A drain's body: the id of the node that takes no more work. */
export function encodeDrain(nodeId: NodeId): Uint8Array {
  return fromHex(nodeId);
}

/** A revocation's body: the block it belongs to, counted from 1 by the root's keeper. */
export function encodeRevocation(block: number): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(8));
  writer.varint(block);
  return writer.written();
}

/** The block of a revocation's body. Throws FormatError. */
function decodeRevocation(body: Uint8Array): number {
  const reader = new ByteReader(body);
  const block = reader.varint();
  if (block === 0 || reader.remaining !== 0) throw new FormatError("not a revocation");
  return block;
}

interface Revocation {
  readonly block: number;
  readonly stamp: number;
}

export class Authority {
  readonly rootId: NodeId;
  readonly #crypto: Crypto;
  readonly #table: SlotTable;
  readonly #rootPublicKey: Uint8Array;
  #revocationBlock = 0;

  constructor(crypto: Crypto, table: SlotTable, rootPublicKey: Uint8Array) {
    this.#crypto = crypto;
    this.#table = table;
    this.#rootPublicKey = rootPublicKey;
    this.rootId = nodeIdOf(crypto, rootPublicKey);
  }

  /** The highest revocation block in the table. */
  get revocationBlock(): number {
    return this.#revocationBlock;
  }

  /** Whether `slot` is signed by one who may write it, as far as the table tells. */
  judge(slot: Slot): Verdict {
    try {
      switch (slot.kind) {
        case SLOT_KIND.revocation:
          return this.#judgeRevocation(slot);
        case SLOT_KIND.node:
          return this.#judgeNode(slot);
        case SLOT_KIND.service:
          if (!slot.tombstone) decodeService(slot.body);
          return this.#judgeDeployers(slot);
        case SLOT_KIND.drain:
          if (!slot.tombstone && toHex(slot.body) !== subjectOf(slot)) return "forged";
          return this.#judgeDeployers(slot);
      }
    } catch (error) {
      if (error instanceof FormatError) return "forged";
      throw error;
    }
  }

  /**
   * A revocation came into the table.
   * @returns the slots that its subject had written and that are valid no longer
   */
  revocationApplied(slot: Slot): number[] {
    this.#revocationBlock = Math.max(this.#revocationBlock, decodeRevocation(slot.body));
    const subject = subjectOf(slot);
    const nodeSlot = this.#authorSlot(subject);
    // Without its own slot a node has written nothing: nobody could tell that it was allowed to.
    const losesAll = nodeSlot < 0 || this.#isVoid(nodeSlot);
    const lost: number[] = [];
    for (const held of this.#table.slots()) {
      if (this.#table.kind(held) === SLOT_KIND.revocation) continue;
      if (toHex(authorBytesOf(this.#table.record(held))) !== subject) continue;
      if (losesAll || this.#isVoid(held)) lost.push(held);
    }
    return lost;
  }

  /** Whether a node slot comes with another certificate than the one held. Ask before it is applied. */
  changesCertificate(slot: Slot): boolean {
    const held = this.#authorSlot(slot.author);
    if (held < 0) return false;
    const { certificate } = decodeNodeInfo(bodyOf(this.#table.record(held)));
    return !equalBytes(certificate, decodeNodeInfo(slot.body).certificate);
  }

  /**
   * A node slot with another certificate came into the table.
   * @returns the services and drains of its node that the certificate does not cover: a table
   *   that had it first would never have taken them
   */
  certificateApplied(slot: Slot): number[] {
    const certificate = this.#certificateFor(slot);
    const lost: number[] = [];
    for (const held of this.#table.slots()) {
      if (!isDeployers(this.#table.kind(held))) continue;
      const written = readSlot(this.#table.record(held));
      if (written?.author !== slot.author) continue;
      if (certificate === null || !coversDeployers(certificate, written)) lost.push(held);
    }
    return lost;
  }

  /** Whether a revocation came after this certificate's issue. */
  isRevoked(certificate: Certificate): boolean {
    const revocation = this.#revocationOf(certificate.nodeId);
    return revocation !== null && revocation.block > certificate.revocationBlock;
  }

  /** The certificate in a node slot of the table, its root signature checked when it came in. */
  certificateOf(nodeSlot: number): Certificate | null {
    const info = decodeNodeInfo(bodyOf(this.#table.record(nodeSlot)));
    return readAcceptedCertificate(this.#crypto, info.certificate);
  }

  #isVoid(held: number): boolean {
    const slot = readSlot(this.#table.record(held));
    return slot === null || this.#isRevokedAuthor(slot);
  }

  #judgeRevocation(slot: Slot): Verdict {
    decodeRevocation(slot.body);
    if (slot.author !== this.rootId) return "forged";
    return slotSignatureHolds(this.#crypto, slot, this.#rootPublicKey) ? "valid" : "forged";
  }

  #judgeNode(slot: Slot): Verdict {
    if (slot.author !== subjectOf(slot)) return "forged";
    const info = decodeNodeInfo(slot.body);
    const certificate = readCertificate(this.#crypto, this.#rootPublicKey, info.certificate);
    if (certificate === null || certificate.nodeId !== slot.author) return "forged";
    if (!hasRole(certificate, "member")) return "forged";
    return this.#judgeSigned(slot, certificate);
  }

  #judgeDeployers(slot: Slot): Verdict {
    if (slot.author === this.rootId) {
      return slotSignatureHolds(this.#crypto, slot, this.#rootPublicKey) ? "valid" : "forged";
    }
    if (this.#isRevokedAuthor(slot) && this.#authorSlot(slot.author) < 0) return "revoked";
    const authorSlot = this.#authorSlot(slot.author);
    if (authorSlot < 0) return "unknown-author";
    const certificate = this.certificateOf(authorSlot);
    if (certificate === null || !coversDeployers(certificate, slot)) return "forged";
    return this.#judgeSigned(slot, certificate);
  }

  #judgeSigned(slot: Slot, certificate: Certificate): Verdict {
    if (this.isRevoked(certificate) || this.#isRevokedAuthor(slot)) return "revoked";
    if (stampMs(slot.stamp) > certificate.notAfterMs) return "forged";
    return slotSignatureHolds(this.#crypto, slot, certificate.publicKey) ? "valid" : "forged";
  }

  /** What a node wrote before it was revoked is void for good, even if it is let in again. */
  #isRevokedAuthor(slot: Slot): boolean {
    if (slot.author === this.rootId) return false;
    const revocation = this.#revocationOf(slot.author);
    if (revocation === null) return false;
    if (slot.stamp <= revocation.stamp) return true;
    const certificate = this.#certificateFor(slot);
    return certificate === null || certificate.revocationBlock < revocation.block;
  }

  #certificateFor(slot: Slot): Certificate | null {
    if (slot.kind === SLOT_KIND.node) {
      const info = decodeNodeInfo(slot.body);
      return readCertificate(this.#crypto, this.#rootPublicKey, info.certificate);
    }
    const authorSlot = this.#authorSlot(slot.author);
    return authorSlot < 0 ? null : this.certificateOf(authorSlot);
  }

  #authorSlot(author: NodeId): number {
    return this.#table.findKey(SLOT_KIND.node, nodeKey(author));
  }

  #revocationOf(nodeId: NodeId): Revocation | null {
    const held = this.#table.findKey(SLOT_KIND.revocation, nodeKey(nodeId));
    if (held < 0) return null;
    const block = decodeRevocation(bodyOf(this.#table.record(held)));
    return { block, stamp: this.#table.stamp(held) };
  }
}

/** Whether a certificate's role and term allow its node to have written what deployers write. */
function coversDeployers(certificate: Certificate, slot: Slot): boolean {
  return hasRole(certificate, "deployer") && stampMs(slot.stamp) <= certificate.notAfterMs;
}

/** The node that a slot is about; of a service, its key. */
function subjectOf({ keyHigh, keyLow }: Slot): NodeId {
  return keyToHex({ high: keyHigh, low: keyLow });
}
