// The table behind its gate and its log: a write counts once it is durable, and any log gives a
// table that may be believed.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PENDING_WRITES_MAX } from "../../src/kernel/limits.ts";
import type { ReplicaCapacity } from "../../src/node/interface.ts";
import { SlotStore } from "../../src/node/slot-store.ts";
import { encodeService } from "../../src/schema/service-codec.ts";
import { SLOT_KIND, type SlotKey, serviceKey } from "../../src/schema/slot.ts";
import { CLOCK_DRIFT_MAX_MS } from "../../src/sync/hybrid-clock.ts";
import { identityOf, NOW_MS } from "../net/nodes.ts";
import { crypto, revocationOf, root, serviceOf } from "./cluster.ts";
import { nodeRecord, serviceRecord, stampAt } from "./records.ts";

const alice = identityOf("alice");
const bob = identityOf("bob");

describe("a write", () => {
  test("is applied when the log has it, and not before", () => {
    const { store, put } = storeWithOwnSlot();
    const answer = put("web");
    expect(answer).toMatchObject({ ok: true, sequence: 2 });
    expect(holds(store, "web")).toBe(false);
    expect(store.durable(1)).toEqual([]);
    expect(holds(store, "web")).toBe(false);
    expect(store.durable(2)).toEqual([{ sequence: 2, applied: true }]);
    expect(holds(store, "web")).toBe(true);
    expect(store.pendingCount).toBe(0);
  });

  test("that the log lost is not applied, and its neighbours are", () => {
    const { store, put } = storeWithOwnSlot();
    put("first");
    put("second");
    put("third");
    expect(store.failed(3, 3)).toEqual([3]);
    store.durable(4);
    expect(["first", "second", "third"].map((name) => holds(store, name))).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("is refused when the log takes nothing", () => {
    const { store, put, journal } = storeWithOwnSlot();
    journal.isFull = true;
    expect(put("web")).toEqual({ ok: false, reason: "log-unavailable" });
    expect(store.pendingCount).toBe(0);
  });

  test("is refused while too many wait", () => {
    const { put } = storeWithOwnSlot();
    for (let i = 0; i < PENDING_WRITES_MAX; i += 1) expect(put(`s-${i}`).ok).toBe(true);
    expect(put("one-more")).toEqual({ ok: false, reason: "too-many-pending" });
  });

  test("is refused when the table is full, counting what waits; a deletion is not", () => {
    // Given room for seven services and a node
    const { store, put, remove } = storeWithOwnSlot({ slots: 9, arenaBytes: 64 * 1024 });
    const answers = Array.from({ length: 8 }, (_, i) => put(`s-${i}`));
    expect(answers.map((answer) => answer.ok)).toEqual([...Array(6).fill(true), false, false]);
    expect(answers[7]).toEqual({ ok: false, reason: "table-full" });
    store.durable(100);
    // Then what is there can still be replaced and deleted
    expect(put("s-0").ok).toBe(true);
    expect(remove("s-1").ok).toBe(true);
    expect(store.durable(200).every((write) => write.applied)).toBe(true);
    expect(isDeleted(store, "s-1")).toBe(true);
  });

  test("that was acknowledged is in the table, however full peers made it meanwhile", () => {
    const { store, put } = storeWithOwnSlot({ slots: 9, arenaBytes: 64 * 1024 });
    // Given a write that waits for the log, and a peer with more than there is room for
    put("ours");
    store.offer(nodeRecord("bob", { atMs: 0 }), NOW_MS);
    for (let i = 0; i < 9; i += 1) store.offer(serviceRecord(`theirs-${i}`, bob, 1), NOW_MS);
    // When the log has it
    const settled = store.durable(100);
    // Then it was told of as applied only if it was
    expect(settled).toEqual([{ sequence: 2, applied: true }]);
    expect(holds(store, "ours")).toBe(true);
  });

  test("is superseded by a later one that came while it waited, and still acknowledged", () => {
    const { store, put } = storeWithOwnSlot();
    put("web");
    store.offer(nodeRecord("bob", { atMs: 0 }), NOW_MS);
    store.offer(serviceRecord("web", bob, 5_000), NOW_MS);
    expect(store.durable(10)).toEqual([{ sequence: 2, applied: true }]);
    expect(store.table.stamp(find(store, "web"))).toBe(stampAt(5_000));
  });
});

describe("a record signed elsewhere", () => {
  test("is refused for what is wrong with it", () => {
    const { store } = storeWithOwnSlot();
    const submit = (record: Uint8Array) => store.submit(record, NOW_MS);
    const refused = (reason: string) => ({ ok: false, reason });
    expect(submit(Uint8Array.of(1, 2, 3))).toEqual(refused("invalid-record"));
    expect(submit(nodeRecord("alice", { atMs: 9 }))).toEqual(refused("invalid-record"));
    expect(submit(serviceRecord("web", bob, 1))).toEqual(refused("unknown-author"));
    const ahead = serviceRecord("web", root, CLOCK_DRIFT_MAX_MS + 1_000);
    expect(submit(ahead)).toEqual(refused("invalid-record"));
    expect(submit(serviceRecord("web", root, 2))).toMatchObject({ ok: true });
    store.durable(10);
    expect(submit(serviceRecord("web", root, 1))).toEqual(refused("superseded"));
    expect(submit(revocationOf(bob.nodeId, 1, NOW_MS))).toMatchObject({ ok: true });
  });

  test("moves the clock only when it is believed", () => {
    const { store } = storeWithOwnSlot();
    const before = store.clock.last;
    store.submit(serviceRecord("web", bob, CLOCK_DRIFT_MAX_MS - 1_000), NOW_MS);
    expect(store.clock.last).toBe(before);
    store.submit(serviceRecord("web", root, CLOCK_DRIFT_MAX_MS - 1_000), NOW_MS);
    expect(store.clock.last).toBe(stampAt(CLOCK_DRIFT_MAX_MS - 1_000));
  });
});

describe("a record from a peer", () => {
  test("from too far ahead is refused, and taken once time has come", () => {
    const { store } = storeWithOwnSlot();
    const record = serviceRecord("web", root, CLOCK_DRIFT_MAX_MS + 500);
    expect(store.offer(record, NOW_MS)).toBe("clock-ahead");
    expect(store.clock.last).toBeLessThan(stampAt(500));
    expect(store.offer(record, NOW_MS + 500)).toBe("applied");
  });

  test("is logged once, when it changes the table", () => {
    const { store, journal } = storeWithOwnSlot();
    const record = serviceRecord("web", root, 1);
    const before = journal.records.length;
    expect(store.offer(record, NOW_MS)).toBe("applied");
    expect(store.offer(record, NOW_MS)).toBe("known");
    expect(store.offer(serviceRecord("web", root, 0), NOW_MS)).toBe("known");
    expect(store.offer(serviceRecord("web", bob, 9), NOW_MS)).toBe("unknown-author");
    expect(journal.records.length).toBe(before + 1);
  });

  test("finds no room in a full table, which loses nothing by it", () => {
    const { store } = storeWithOwnSlot({ slots: 4, arenaBytes: 64 * 1024 });
    const results = [0, 1, 2, 3].map((i) => store.offer(serviceRecord(`s-${i}`, root, 1), NOW_MS));
    expect(results).toEqual(["applied", "applied", "full", "full"]);
    expect(store.table.size).toBe(3);
    expect(store.offer(revocationOf(bob.nodeId, 1, NOW_MS), NOW_MS)).toBe("applied");
  });

  test("that deletes what is reaped and gone is no news", () => {
    const { store } = storeWithOwnSlot();
    store.reaped(stampAt(10));
    expect(store.offer(serviceRecord("web", root, 5, true), NOW_MS)).toBe("known");
    expect(store.offer(serviceRecord("web", root, 11, true), NOW_MS)).toBe("applied");
  });
});

describe("what a log gives back", () => {
  const name = fc.constantFrom("web", "db");
  const shape = fc.oneof(
    fc.record({ kind: fc.constant("node" as const), atMs: fc.nat(30) }),
    fc.record({
      kind: fc.constant("service" as const),
      name,
      atMs: fc.nat(30),
      tombstone: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("revocation" as const), atMs: fc.nat(30) }),
  );
  type Shape = typeof shape extends fc.Arbitrary<infer Drawn> ? Drawn : never;
  const record = (each: Shape): Uint8Array => {
    if (each.kind === "node") return nodeRecord("bob", { atMs: each.atMs });
    if (each.kind === "revocation") return revocationOf(bob.nodeId, 1, NOW_MS + each.atMs);
    return serviceRecord(each.name, bob, each.atMs, each.tombstone);
  };

  test("is a table in which everything may be believed, from any part of it in any order", () => {
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 12 }), fc.nat(99), (shapes, junkAt) => {
        const { store } = newStore();
        shapes.forEach((each, index) => {
          if (index === junkAt) store.restore(Uint8Array.of(1, 2, 3));
          store.restore(record(each));
        });
        store.restored();
        expectBelievable(store);
      }),
    );
  });

  test("is the table that wrote it, and so is what its snapshot gives back", () => {
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 12 }), (shapes) => {
        const { store, journal } = newStore();
        for (const each of shapes) store.offer(record(each), NOW_MS);
        const fromLog = restoredFrom(journal.records);
        const fromSnapshot = restoredFrom([...store.snapshot()].map((each) => each.slice()));
        expect(contents(fromLog)).toEqual(contents(store));
        expect(contents(fromSnapshot)).toEqual(contents(store));
      }),
    );
  });

  test("has a snapshot's writes that were not acknowledged yet", () => {
    const { store, put } = storeWithOwnSlot();
    put("waiting");
    const again = restoredFrom([...store.snapshot()].map((each) => each.slice()));
    expect(holds(again, "waiting")).toBe(true);
  });

  test("has no tombstone that was reaped, and what it deleted stays away", () => {
    const { store, journal } = newStore();
    store.offer(serviceRecord("web", root, 1), NOW_MS);
    store.offer(serviceRecord("web", root, 2, true), NOW_MS);
    store.reaped(stampAt(2));
    store.remove(find(store, "web"));
    const again = restoredFrom(journal.records);
    expect(find(again, "web")).toBe(-1);
    expect(again.reapedThrough).toBe(stampAt(2));
    expect(restoredFrom([...again.snapshot()]).reapedThrough).toBe(stampAt(2));
  });

  test("survives a note that is cut short", () => {
    const { store } = newStore();
    expect(() => store.restore(Uint8Array.of(0x70, 1))).not.toThrow();
    expect(store.reapedThrough).toBe(0);
  });

  test("keeps the clock above every stamp in it, those of refused records included", () => {
    const { store } = newStore();
    store.restore(serviceRecord("web", bob, 77));
    store.restored();
    expect(store.clock.next(0)).toBeGreaterThan(stampAt(77));
  });
});

class TestJournal {
  readonly records: Uint8Array[] = [];
  isFull = false;

  append(record: Uint8Array): number {
    if (this.isFull) return 0;
    this.records.push(record.slice());
    return this.records.length;
  }
}

function newStore(capacity: ReplicaCapacity = { slots: 512, arenaBytes: 256 * 1024 }) {
  const journal = new TestJournal();
  const store = new SlotStore({
    crypto,
    journal,
    signer: alice.signer,
    selfId: alice.nodeId,
    rootPublicKey: root.publicKey,
    capacity,
    listener: { slotApplied: () => {}, slotRemoved: () => {} },
  });
  return { store, journal };
}

/** Alice's own slot is the log's first record. */
function storeWithOwnSlot(capacity?: ReplicaCapacity) {
  const { store, journal } = newStore(capacity);
  store.offer(nodeRecord("alice", { atMs: -10 }), NOW_MS);
  const write = (name: string, body: Uint8Array | null) =>
    store.writeAsDeployer({ kind: SLOT_KIND.service, key: keyOf(name), body }, NOW_MS);
  return {
    store,
    journal,
    put: (name: string) => write(name, encodeService(serviceOf(name))),
    remove: (name: string) => write(name, null),
  };
}

function restoredFrom(records: readonly Uint8Array[]): SlotStore {
  const { store } = newStore();
  for (const record of records) store.restore(record);
  store.restored();
  return store;
}

function contents(store: SlotStore): string[] {
  return [...store.table.sortedRecords()].map((record) => Buffer.from(record).toString("hex"));
}

/** Each slot would be taken again by a table that holds the others. */
function expectBelievable(store: SlotStore): void {
  const again = restoredFrom([...store.snapshot()].map((record) => record.slice()));
  expect(contents(again)).toEqual(contents(store));
}

function keyOf(name: string): SlotKey {
  return serviceKey(crypto, name);
}

function find(store: SlotStore, name: string): number {
  return store.table.findKey(SLOT_KIND.service, keyOf(name));
}

function holds(store: SlotStore, name: string): boolean {
  return find(store, name) >= 0 && !isDeleted(store, name);
}

function isDeleted(store: SlotStore, name: string): boolean {
  return store.table.isTombstone(find(store, name));
}
