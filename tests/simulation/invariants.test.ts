// Every invariant fires when it is broken: a checker that cannot fail proves nothing.
import { describe, expect, it } from "vitest";
import { SharedCrypto } from "../../sim/crypto.ts";
import {
  checkBounds,
  checkEqualPlacement,
  checkEqualStates,
  checkNothingRevoked,
  checkNotResurrected,
  checkPromise,
  checkSigned,
  InvariantError,
  stateHash,
} from "../../sim/invariants.ts";
import { keepsPromise, Ledger, type LedgerEntry } from "../../sim/ledger.ts";
import type { HeldSlot } from "../../sim/node-host.ts";
import { OUTBOX_PACKETS, SESSIONS_MAX } from "../../src/kernel/limits.ts";
import { identityFromSeed } from "../../src/net/identity.ts";
import { encodeRevocation } from "../../src/node/authority.ts";
import {
  nodeKey,
  readSlot,
  SLOT_KIND,
  type SlotContent,
  serviceKey,
  writeSlot,
} from "../../src/schema/slot.ts";
import { SlotTable } from "../../src/sync/slot-table.ts";

const crypto = new SharedCrypto();
const author = identityFromSeed(crypto, new Uint8Array(32).fill(1));
const other = identityFromSeed(crypto, new Uint8Array(32).fill(2));
const key = serviceKey(crypto, "web");
const capacity = { slots: 16, arenaBytes: 8_192 };

function entryWith(acknowledged: HeldSlot | null, triedDeleteStamp = 0): LedgerEntry {
  return { key, acknowledged, keeper: 0, triedPutStamp: 0, triedDeleteStamp };
}

function tableWith(
  contents: Partial<SlotContent>[],
  fingerprintOf: (record: Uint8Array) => Uint8Array = (record) => crypto.sha256(record),
): SlotTable {
  const table = new SlotTable(capacity.slots, capacity.arenaBytes);
  for (const content of contents) {
    const whole = {
      kind: SLOT_KIND.service,
      tombstone: false,
      key,
      stamp: 5,
      author: author.nodeId,
      body: new Uint8Array([1]),
      ...content,
    };
    const record = writeSlot(whole, author.signer);
    table.apply(readSlot(record)!, fingerprintOf(record));
  }
  return table;
}

function brokenInvariant(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof InvariantError) return error.invariant;
    throw error;
  }
}

describe("no acknowledged write lost", () => {
  const put = { stamp: 10, tombstone: false };
  const holder = (held: HeldSlot | null) => ({ nodeId: author.nodeId, held: () => held });

  it("fires when nobody holds the write or a later one", () => {
    const older = { stamp: 9, tombstone: false };
    const check = () => checkPromise(entryWith(put), [holder(null), holder(older)]);
    expect(brokenInvariant(check)).toBe("no acknowledged write lost");
  });

  it("is content with one holder of the write or a later one", () => {
    const later = { stamp: 11, tombstone: true };
    expect(brokenInvariant(() => checkPromise(entryWith(put), [holder(null), holder(later)]))).toBe(
      null,
    );
  });

  it("takes an absence for kept only where a delete came last", () => {
    expect(keepsPromise(entryWith(put), null)).toBe(false);
    expect(keepsPromise(entryWith(put, 11), null)).toBe(true);
    expect(keepsPromise(entryWith({ stamp: 10, tombstone: true }), null)).toBe(true);
  });

  it("remembers the acknowledged write with the greatest stamp", () => {
    const ledger = new Ledger();
    for (const stamp of [3, 9, 4]) ledger.acknowledge(key, { stamp, tombstone: false }, 0);
    expect(ledger.entries.map((entry) => entry.acknowledged?.stamp)).toEqual([9]);
  });
});

describe("no deleted slot resurrected", () => {
  it("fires when a node shows what it saw deleted", () => {
    const check = (held: HeldSlot | null) => () =>
      checkNotResurrected(entryWith(null), held, 10, author.nodeId);
    expect(brokenInvariant(check({ stamp: 9, tombstone: false }))).toBe(
      "no deleted slot resurrected",
    );
    expect(brokenInvariant(check({ stamp: 11, tombstone: false }))).toBe(null);
    expect(brokenInvariant(check(null))).toBe(null);
  });
});

describe("every queue within its bound", () => {
  const fine = {
    nodeId: author.nodeId,
    sessions: SESSIONS_MAX,
    slots: capacity.slots,
    recordBytes: capacity.arenaBytes,
    packetsInTick: OUTBOX_PACKETS,
  };

  it("allows the bound itself", () => {
    expect(brokenInvariant(() => checkBounds(fine, capacity))).toBe(null);
  });

  it.each(["sessions", "slots", "recordBytes", "packetsInTick"] as const)(
    "fires above the bound of %s",
    (figure) => {
      const above = { ...fine, [figure]: fine[figure] + 1 };
      expect(brokenInvariant(() => checkBounds(above, capacity))).toBe(
        "every queue within its bound",
      );
    },
  );
});

describe("no revoked writer believed", () => {
  const revocation = {
    kind: SLOT_KIND.revocation,
    key: nodeKey(author.nodeId),
    author: other.nodeId,
    body: encodeRevocation(1),
  };

  it("fires when a node knows the revocation and keeps a slot of the revoked", () => {
    const table = tableWith([{}, revocation]);
    const check = () => checkNothingRevoked(table, author.nodeId, other.nodeId);
    expect(brokenInvariant(check)).toBe("no revoked writer believed");
  });

  it("waits until the revocation has come, and for those revoked only", () => {
    const unaware = tableWith([{}]);
    expect(brokenInvariant(() => checkNothingRevoked(unaware, author.nodeId, other.nodeId))).toBe(
      null,
    );
    const clean = tableWith([revocation]);
    expect(brokenInvariant(() => checkNothingRevoked(clean, author.nodeId, other.nodeId))).toBe(
      null,
    );
  });
});

describe("no unsigned writer believed", () => {
  const check = (keys: ReadonlyMap<string, Uint8Array>) => () =>
    checkSigned(tableWith([{}]), keys, crypto, other.nodeId);

  it("fires for an author unknown and for a signature of another key", () => {
    expect(brokenInvariant(check(new Map()))).toBe("no unsigned writer believed");
    expect(brokenInvariant(check(new Map([[author.nodeId, other.publicKey]])))).toBe(
      "no unsigned writer believed",
    );
  });

  it("is content with the author's own signature", () => {
    expect(brokenInvariant(check(new Map([[author.nodeId, author.publicKey]])))).toBe(null);
  });
});

describe("equal root, equal state", () => {
  const sameFingerprint = () => new Uint8Array(32).fill(7);

  it("fires when one root stands for two states", () => {
    const tables = [{ stamp: 5 }, { stamp: 6 }].map((content) =>
      tableWith([content], sameFingerprint),
    );
    expect(brokenInvariant(() => checkEqualStates(tables))).toBe("equal root, equal state");
  });

  it("gives one hash to equal tables, in whatever order they were filled", () => {
    const second = { key: serviceKey(crypto, "api") };
    expect(stateHash(tableWith([{}, second]))).toBe(stateHash(tableWith([second, {}])));
    expect(stateHash(tableWith([{}]))).not.toBe(stateHash(tableWith([{}, second])));
  });
});

describe("equal table, equal placement", () => {
  it("fires when two placements differ", () => {
    expect(brokenInvariant(() => checkEqualPlacement(["a", "b"]))).toBe(
      "equal table, equal placement",
    );
    expect(brokenInvariant(() => checkEqualPlacement(["a", "a"]))).toBe(null);
  });
});
