// Letting go of tombstones: only when all agree to the bit, and nobody waits for ever.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideReaping, REAP_AGE_MIN_MS, tombstonesThrough } from "../../src/node/reaper.ts";
import type { TombstoneAck } from "../../src/schema/node-info.ts";
import { readSlot, SLOT_KIND } from "../../src/schema/slot.ts";
import { STAMPS_PER_MS } from "../../src/sync/hybrid-clock.ts";
import { SlotTable } from "../../src/sync/slot-table.ts";
import { makeSlot } from "../sync/slots.ts";
import { type Cluster, type ClusterNode, crypto, formedCluster, NOW_MS, names } from "./cluster.ts";

/** A tombstone, or a live service, this many minutes old. */
interface Held {
  readonly key: number;
  readonly minutesOld: number;
  readonly tombstone: boolean;
}

const held: fc.Arbitrary<Held> = fc.record({
  key: fc.nat(5),
  minutesOld: fc.integer({ min: 0, max: 60 }),
  tombstone: fc.boolean(),
});

/** One member of a roster: what it holds and what it has published. */
class Member {
  readonly table: SlotTable;
  ack: TombstoneAck | null = null;
  reapedThrough = 0;
  isLogged = true;
  reapCount = 0;

  constructor(contents: readonly Held[]) {
    this.table = new SlotTable(64, 64 * 1024);
    for (const each of contents) this.take(each);
  }

  take({ key, minutesOld, tombstone }: Held): void {
    const stamp = (NOW_MS - minutesOld * 60_000) * STAMPS_PER_MS;
    const slot = makeSlot({
      kind: SLOT_KIND.service,
      key,
      stamp,
      author: 1,
      tombstone,
      bodyBytes: 9,
    });
    this.table.apply(slot, crypto.sha256(slot.record));
  }

  /** One look at the roster. */
  look(roster: readonly Member[], nowMs: number): string {
    const others = roster.filter((member) => member !== this);
    const decision = decideReaping(
      this.table,
      this.ack,
      others.map((member, index) => ({ nodeId: String(index), ack: member.ack })),
      { nowMs, reapedThrough: this.reapedThrough, logged: this.isLogged, equalMs: nowMs },
    );
    if (decision.kind === "acknowledge") this.ack = decision.ack;
    if (decision.kind === "reap") this.reap(decision.horizon);
    return decision.kind;
  }

  reap(horizon: number): void {
    for (const slot of [...this.table.slots()]) {
      if (this.table.isTombstone(slot) && this.table.stamp(slot) <= horizon) {
        this.table.remove(slot);
      }
    }
    this.reapedThrough = horizon;
    this.reapCount += 1;
  }

  get tombstones(): number {
    return tombstonesThrough(this.table, Number.MAX_SAFE_INTEGER).count;
  }
}

describe("a look at the roster", () => {
  test("never ends in reaping while one member's tombstones differ", () => {
    const contents = fc.array(held, { maxLength: 8 });
    fc.assert(
      fc.property(contents, contents, contents, fc.array(fc.nat(2)), (a, b, c, turns) => {
        const roster = [new Member(a), new Member(b), new Member(c)];
        for (const turn of turns) {
          const member = roster[turn]!;
          if (member.look(roster, NOW_MS) !== "reap") continue;
          // Then all held the very same tombstones up to that horizon: none is left to say otherwise
          const horizon = member.reapedThrough;
          for (const other of roster) {
            if (other.reapedThrough >= horizon) continue;
            const through = tombstonesThrough(other.table, horizon);
            expect({ xorLow: through.xorLow, xorHigh: through.xorHigh }).toEqual({
              xorLow: member.ack!.xorLow,
              xorHigh: member.ack!.xorHigh,
            });
          }
        }
      }),
    );
  });

  test("reaps all that is old enough once tables are equal, whatever was published before", () => {
    const contents = fc.array(held, { maxLength: 8 });
    fc.assert(
      fc.property(contents, contents, contents, (common, first, second) => {
        // Given members that published what they held while they differed
        const roster = [new Member(first), new Member(second), new Member([])];
        const early = NOW_MS - 10 * 60_000;
        for (let round = 0; round < 4; round += 1)
          for (const each of roster) each.look(roster, early);
        // When their tables have become one, and time goes on
        for (const each of roster) {
          for (const slot of [...common, ...first, ...second]) each.take(slot);
        }
        const laterMs = NOW_MS + 2 * REAP_AGE_MIN_MS + 120_000;
        for (let round = 0; round < 12; round += 1) {
          for (const each of roster) {
            each.look(roster, laterMs);
            spreadReaping(roster);
          }
        }
        // Then none keeps a tombstone
        for (const each of roster) expect(each.tombstones).toBe(0);
      }),
    );
  });

  test("goes on to later tombstones when those published for were overwritten", () => {
    // Given a roster of which one acknowledged a deletion that was then written over
    const roster = [new Member([]), new Member([])];
    roster[0]!.take({ key: 1, minutesOld: 40, tombstone: true });
    expect(roster[0]!.look(roster, NOW_MS)).toBe("acknowledge");
    for (const each of roster) each.take({ key: 1, minutesOld: 30, tombstone: false });
    // When another deletion has grown old
    for (const each of roster) each.take({ key: 2, minutesOld: 0, tombstone: true });
    const laterMs = NOW_MS + REAP_AGE_MIN_MS + 120_000;
    for (let round = 0; round < 4; round += 1)
      for (const each of roster) each.look(roster, laterMs);
    // Then it goes
    expect(roster.map((each) => each.tombstones)).toEqual([0, 0]);
  });

  test("comes to one horizon though members look at different times", () => {
    const roster = [0, 1, 2].map(() => new Member([{ key: 1, minutesOld: 120, tombstone: true }]));
    roster[0]!.look(roster, NOW_MS);
    roster[1]!.look(roster, NOW_MS + 61_000);
    roster[2]!.look(roster, NOW_MS + 125_000);
    expect(new Set(roster.map((each) => each.ack!.horizon)).size).toBe(1);
    expect(roster[0]!.look(roster, NOW_MS + 130_000)).toBe("reap");
  });

  test("acknowledges nothing that is not on disk, or not old enough", () => {
    const unlogged = new Member([{ key: 1, minutesOld: 60, tombstone: true }]);
    unlogged.isLogged = false;
    expect(unlogged.look([unlogged], NOW_MS)).toBe("wait");
    const young = new Member([{ key: 1, minutesOld: 10, tombstone: true }]);
    expect(young.look([young], NOW_MS)).toBe("wait");
  });

  test("waits for a member that has said nothing yet", () => {
    const roster = [0, 1].map(() => new Member([{ key: 1, minutesOld: 60, tombstone: true }]));
    expect(roster[0]!.look(roster, NOW_MS)).toBe("acknowledge");
    expect(roster[0]!.look(roster, NOW_MS)).toBe("wait");
    expect(roster[1]!.look(roster, NOW_MS)).toBe("acknowledge");
    expect(roster[0]!.look(roster, NOW_MS)).toBe("reap");
  });

  test("does not follow a horizon out of the future", () => {
    const member = new Member([{ key: 1, minutesOld: 60, tombstone: true }]);
    const liar = new Member([]);
    liar.ack = { horizon: (NOW_MS + 86_400_000) * STAMPS_PER_MS, xorLow: 0, xorHigh: 0 };
    member.look([member, liar], NOW_MS);
    expect(member.ack!.horizon).toBeLessThan((NOW_MS - REAP_AGE_MIN_MS) * STAMPS_PER_MS + 1);
  });
});

describe("a cluster", () => {
  test("lets go of a tombstone everywhere, and the deleted service stays away", () => {
    const cluster = withDeletedService();
    reapEverywhere(cluster);
    cluster.run(30_000);
    for (const node of cluster.nodes) {
      expect(tombstonesOf(cluster, node.name)).toBe(0);
      expect(node.services).toEqual(["kept"]);
    }
  });

  test("keeps a tombstone while one member sleeps who holds what it deleted", () => {
    const cluster = formedCluster(names(3));
    const [first, , last] = cluster.nodes;
    first!.put("web");
    cluster.runUntil(() => cluster.hasConverged, 10_000);
    last!.stop();
    first!.delete("web");
    cluster.run(3_000);
    cluster.skip(REAP_AGE_MIN_MS + 120_000);
    cluster.run(60_000);
    expect(tombstonesOf(cluster, first!.name)).toBe(1);
    last!.start();
    cluster.run(30_000);
    expect(last!.services).toEqual([]);
  });

  test("keeps a tombstone while one member's log lacks it", () => {
    const cluster = formedCluster(names(3));
    const [first, , last] = cluster.nodes;
    first!.put("web");
    cluster.runUntil(() => cluster.hasConverged, 10_000);
    // Given a member that knows of the deletion, and could not write it down
    last!.isLogFull = true;
    first!.delete("web");
    cluster.run(3_000);
    last!.isLogFull = false;
    expect(last!.services).toEqual([]);
    first!.put("later");
    cluster.run(3_000);
    cluster.skip(REAP_AGE_MIN_MS + 120_000);
    cluster.run(60_000);
    expect(tombstonesOf(cluster, first!.name)).toBe(1);
    // When a snapshot has it
    last!.snapshot();
    cluster.run(60_000);
    expect(tombstonesOf(cluster, first!.name)).toBe(0);
  });

  test("waits anew for the word of a member whose log was damaged", () => {
    // Given a member that has said that it holds a deletion, which cannot be reaped yet
    const cluster = withDeletedService();
    const [first, victim, absent] = cluster.nodes;
    absent!.stop();
    cluster.skip(REAP_AGE_MIN_MS + 120_000);
    cluster.run(60_000);
    const wordSeenBy = (node: ClusterNode) => {
      const seen = node.replica.members(cluster.nowMs);
      return seen.find(({ nodeId }) => nodeId === victim!.nodeId)?.info.tombstoneAck;
    };
    expect(wordSeenBy(first!)?.horizon).toBeGreaterThan(0);
    // When its log is damaged, and may hold it no more
    cluster.isCut = () => true;
    victim!.stop();
    victim!.start(true);
    expect(wordSeenBy(victim!)).toBe(null);
    // Then the others hear so, and hear its word again once a new log has all that they hold
    cluster.isCut = () => false;
    expect(cluster.runUntil(() => wordSeenBy(first!) === null, 10_000)).not.toBeNull();
    cluster.runUntil(() => victim!.replica.hasLogGap, 10_000);
    victim!.snapshot();
    expect(cluster.runUntil(() => wordSeenBy(first!) !== null, 60_000)).not.toBeNull();
  });

  test("does not take a reaped service back from a member whose log was damaged", () => {
    const cluster = withDeletedService();
    const victim = cluster.nodes[2]!;
    const oldLog = victim.log.slice(0, firstDeletionIn(victim.log));
    reapEverywhere(cluster);
    // Given a log cut before the deletion, and known to be
    victim.stop();
    cluster.run(60_000);
    victim.log = oldLog;
    victim.start(true);
    expect(victim.services).toContain("web");
    // When it is back among the others
    cluster.run(60_000);
    expect(cluster.hasConverged).toBe(true);
    for (const node of cluster.nodes) expect(node.services).toEqual(["kept"]);
  });

  test("does not take a reaped service back from damaged members that met each other first", () => {
    const cluster = withDeletedService();
    const [witness, other, victim] = cluster.nodes;
    const oldLog = victim!.log.slice(0, firstDeletionIn(victim!.log));
    reapEverywhere(cluster);
    // Given two whose logs lost records, one of them all services, and who agree on what was deleted
    cluster.isCut = (from, to) => from === witness || to === witness;
    victim!.stop();
    victim!.log = oldLog;
    victim!.start(true);
    other!.stop();
    other!.log = other!.log.filter((record) => readSlot(record)?.kind !== SLOT_KIND.service);
    other!.start(true);
    cluster.run(60_000);
    expect(other!.services).toEqual(["kept", "web"]);
    // When they meet the one that knows
    cluster.isCut = () => false;
    cluster.run(60_000);
    expect(cluster.hasConverged).toBe(true);
    for (const node of cluster.nodes) expect(node.services).toEqual(["kept"]);
  });

  test("comes to one table of all that any log still has when every log was damaged", () => {
    const cluster = withDeletedService();
    const [first] = cluster.nodes;
    reapEverywhere(cluster);
    for (const node of cluster.nodes) node.stop();
    for (const node of cluster.nodes) {
      if (node !== first) {
        node.log = node.log.filter((record) => readSlot(record)?.kind !== SLOT_KIND.service);
      }
      node.start(true);
    }
    cluster.run(60_000);
    expect(cluster.hasConverged).toBe(true);
    for (const node of cluster.nodes) expect(node.services).toContain("kept");
  });

  test("takes a write that only the damaged member has, when it is younger than the horizon", () => {
    const cluster = withDeletedService();
    const victim = cluster.nodes[2]!;
    reapEverywhere(cluster);
    // Given a write that was acknowledged while nobody heard it
    cluster.isCut = (from, to) => from === victim || to === victim;
    victim.put("unspread");
    expect(victim.services).toContain("unspread");
    victim.stop();
    victim.start(true);
    cluster.isCut = () => false;
    cluster.run(60_000);
    expect(cluster.hasConverged).toBe(true);
    for (const node of cluster.nodes) expect(node.services).toEqual(["kept", "unspread"]);
  });

  test("does not take a reaped service back from one who was out of the roster meanwhile", () => {
    // Given a member that sleeps past its certificate's end while a service is deleted and reaped
    const notAfterSeconds = NOW_MS / 1000 + 120;
    const cluster = formedCluster([
      "node-0",
      "node-1",
      { name: "guest", certificate: { notAfterSeconds } },
    ]);
    const [first, , guest] = cluster.nodes;
    first!.put("web");
    cluster.runUntil(() => cluster.hasConverged, 10_000);
    guest!.stop();
    first!.delete("web");
    cluster.run(3_000);
    reapEverywhere(cluster);
    // When it comes back with a new certificate
    guest!.certificate = formedCluster(["guest"]).node("guest").certificate;
    guest!.start();
    expect(guest!.services).toEqual(["web"]);
    cluster.run(60_000);
    expect(cluster.hasConverged).toBe(true);
    for (const node of cluster.nodes) expect(node.services).toEqual([]);
  });
});

/** Members hear of each other's reaping in every packet. */
function spreadReaping(roster: readonly Member[]): void {
  const greatest = Math.max(...roster.map((each) => each.reapedThrough));
  for (const each of roster) if (each.reapedThrough < greatest) each.reap(greatest);
}

/** Three nodes that kept one service and deleted another, all of them told. */
function withDeletedService(): Cluster {
  const cluster = formedCluster(names(3));
  const [first, second] = cluster.nodes;
  first!.put("kept");
  first!.put("web");
  cluster.runUntil(() => cluster.hasConverged, 10_000);
  second!.delete("web");
  cluster.run(3_000);
  expect(cluster.hasConverged).toBe(true);
  return cluster;
}

function reapEverywhere(cluster: Cluster): void {
  cluster.skip(REAP_AGE_MIN_MS + 120_000);
  const isReaped = () => cluster.running.every((node) => tombstonesOf(cluster, node.name) === 0);
  expect(cluster.runUntil(isReaped, 120_000)).not.toBeNull();
}

function tombstonesOf(cluster: Cluster, name: string): number {
  return tombstonesThrough(cluster.node(name).replica.table, Number.MAX_SAFE_INTEGER).count;
}

function firstDeletionIn(log: readonly Uint8Array[]): number {
  return log.findIndex((record) => readSlot(record)?.tombstone === true);
}
