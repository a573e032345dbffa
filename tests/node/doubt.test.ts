// A node whose log lost records: what it brings back may have been deleted meanwhile, and
// nobody may be misled by what it lacks.

import { describe, expect, test } from "vitest";
import { SlotStore } from "../../src/node/slot-store.ts";
import { SLOT_KIND, serviceKey } from "../../src/schema/slot.ts";
import { identityOf, NOW_MS } from "../net/nodes.ts";
import { crypto, root } from "./cluster.ts";
import { serviceRecord, stampAt } from "./records.ts";

const alice = identityOf("alice");

function newStore() {
  const log: Uint8Array[] = [];
  const store = new SlotStore({
    crypto,
    journal: { append: (record) => log.push(record.slice()) },
    signer: alice.signer,
    selfId: alice.nodeId,
    rootPublicKey: root.publicKey,
    capacity: { slots: 64, arenaBytes: 32 * 1024 },
    listener: { slotApplied: () => {}, slotRemoved: () => {} },
  });
  return { store, log };
}

function restoredFrom(records: Iterable<Uint8Array>, isDamaged = false): SlotStore {
  const { store } = newStore();
  for (const record of records) store.restore(record);
  store.restored(isDamaged);
  return store;
}

function holds(store: SlotStore, name: string): boolean {
  return store.table.findKey(SLOT_KIND.service, serviceKey(crypto, name)) >= 0;
}

describe("doubt", () => {
  test("outlives a restart, out of the log and out of a snapshot", () => {
    const { store, log } = newStore();
    store.doubt();
    store.doubt();
    expect(log).toHaveLength(1);
    expect(restoredFrom(log).isInDoubt).toBe(true);
    expect(restoredFrom(store.snapshot()).isInDoubt).toBe(true);
  });

  test("ends in the log only with a snapshot, which it asks for", () => {
    const { store, log } = newStore();
    store.doubt();
    store.trust();
    expect(store.isInDoubt).toBe(false);
    expect(store.hasLogGap).toBe(true);
    expect(restoredFrom(log).isInDoubt).toBe(true);
    expect(restoredFrom(store.snapshot()).isInDoubt).toBe(false);
    expect(store.hasLogGap).toBe(false);
  });

  test("is not there where nothing was lost", () => {
    const { store, log } = newStore();
    store.trust();
    expect(store.hasLogGap).toBe(false);
    expect(restoredFrom(log).isInDoubt).toBe(false);
  });
});

describe("a service from before the last reaping", () => {
  const old = serviceRecord("old", root, 1);

  function reapedStore(): SlotStore {
    const { store } = newStore();
    store.reaped(stampAt(5));
    return store;
  }

  test("is refused from a peer that has not reaped as far: it may have lost the deletion", () => {
    const store = reapedStore();
    expect(store.offer(old, NOW_MS, stampAt(4))).toBe("known");
    expect(store.offer(old, NOW_MS, 0)).toBe("known");
    expect(holds(store, "old")).toBe(false);
  });

  test("is taken from a peer that has: it was never deleted", () => {
    const store = reapedStore();
    expect(store.offer(old, NOW_MS, stampAt(5))).toBe("applied");
  });

  test("is taken from anybody by a node whose log lost records, which may have lost it", () => {
    const store = restoredFrom(reapedStore().snapshot(), true);
    expect(store.reapedThrough).toBe(stampAt(5));
    expect(store.offer(old, NOW_MS, 0)).toBe("applied");
  });

  test("is refused by such a node as well, once one in no doubt has told it what is reaped", () => {
    const store = restoredFrom(reapedStore().snapshot(), true);
    store.reaped(stampAt(5));
    expect(store.isInDoubt).toBe(true);
    expect(store.offer(old, NOW_MS, 0)).toBe("known");
    expect(store.offer(old, NOW_MS, stampAt(5))).toBe("applied");
  });

  test("stays refused by a node that comes into doubt with its log whole", () => {
    const store = reapedStore();
    store.doubt();
    expect(store.offer(old, NOW_MS, 0)).toBe("known");
  });

  test("is replaced as ever where it is held, and a later one is taken from anybody", () => {
    const { store } = newStore();
    store.offer(old, NOW_MS);
    store.reaped(stampAt(5));
    expect(store.offer(serviceRecord("old", root, 2), NOW_MS, 0)).toBe("applied");
    expect(store.offer(serviceRecord("late", root, 6), NOW_MS, 0)).toBe("applied");
  });
});

describe("a reaped tombstone", () => {
  const deletion = serviceRecord("old", root, 2, true);

  function heldBy(store: SlotStore): boolean {
    const slot = store.table.findKey(SLOT_KIND.service, serviceKey(crypto, "old"));
    return slot >= 0 && store.table.isTombstone(slot);
  }

  test("is kept by a node whose log lost records: it may be what was lost elsewhere", () => {
    const { store, log } = newStore();
    store.offer(deletion, NOW_MS);
    store.reaped(stampAt(5));
    expect(heldBy(restoredFrom(log))).toBe(false);
    expect(heldBy(restoredFrom(log, true))).toBe(true);
  });

  test("is taken by such a node, until one in no doubt has told it what is reaped", () => {
    const store = restoredFrom([], true);
    expect(store.offer(deletion, NOW_MS, 0)).toBe("applied");
    const told = restoredFrom([], true);
    told.reaped(stampAt(5));
    expect(told.offer(deletion, NOW_MS, 0)).toBe("known");
  });
});
