// Who may write what, and that the answer does not hang on the order in which slots came.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ROLES } from "../../src/net/certificate.ts";
import { Authority, encodeRevocation } from "../../src/node/authority.ts";
import { SlotStore } from "../../src/node/slot-store.ts";
import { encodeService } from "../../src/schema/service-codec.ts";
import {
  nodeKey,
  readSlot,
  SLOT_KIND,
  type SlotContent,
  serviceKey,
  writeSlot,
} from "../../src/schema/slot.ts";
import { SlotTable } from "../../src/sync/slot-table.ts";
import { flipped, identityOf, NOW_MS } from "../net/nodes.ts";
import { certificateFor, crypto, revocationOf, root, serviceOf } from "./cluster.ts";
import { nodeRecord, serviceRecord, stampAt } from "./records.ts";

const alice = identityOf("alice");
const bob = identityOf("bob");
const otherRoot = identityOf("another root");

describe("a node's slot", () => {
  test("is the node's own to write, under the root's certificate", () => {
    expect(judge(nodeRecord("alice", { atMs: 1 }))).toBe("valid");
  });

  test("is not another node's to write", () => {
    expect(judge(nodeRecord("alice", { atMs: 1, signer: bob }))).toBe("forged");
    expect(judge(nodeRecord("alice", { atMs: 1, signer: root }))).toBe("forged");
  });

  test("is not believed with another node's certificate, or one of another root", () => {
    const bobs = certificateFor(bob);
    const foreign = certificateFor(alice).slice();
    foreign.set(otherRoot.signer.sign(foreign.subarray(0, -64)), foreign.length - 64);
    expect(judge(nodeRecord("alice", { atMs: 1, certificateBytes: bobs }))).toBe("forged");
    expect(judge(nodeRecord("alice", { atMs: 1, certificateBytes: foreign }))).toBe("forged");
  });

  test("is not believed when it was written after its certificate's end", () => {
    const certificate = { notAfterSeconds: NOW_MS / 1000 + 10 };
    expect(judge(nodeRecord("alice", { atMs: 10_000, certificate }))).toBe("valid");
    expect(judge(nodeRecord("alice", { atMs: 10_001, certificate }))).toBe("forged");
  });

  test("is not believed without a body that says what a node says", () => {
    const content = { ...plainService(alice), kind: SLOT_KIND.node, key: nodeKey(alice.nodeId) };
    expect(judge(writeSlot(content, alice.signer))).toBe("forged");
  });

  test("is void when a revocation came after its certificate or after its stamp", () => {
    const revoked = [revocationOf(alice.nodeId, 2, NOW_MS + 100)];
    const certificate = { revocationBlock: 1 };
    const again = { revocationBlock: 2 };
    expect(judge(nodeRecord("alice", { atMs: 200, certificate }), revoked)).toBe("revoked");
    expect(judge(nodeRecord("alice", { atMs: 100, certificate: again }), revoked)).toBe("revoked");
    expect(judge(nodeRecord("alice", { atMs: 101, certificate: again }), revoked)).toBe("valid");
    expect(judge(nodeRecord("bob", { atMs: 1 }), revoked)).toBe("valid");
  });
});

describe("a service's slot", () => {
  const known = [nodeRecord("alice", { atMs: 0 })];

  test("is any known deployer's to write and to delete, and the root's", () => {
    expect(judge(serviceRecord("web", alice, 1), known)).toBe("valid");
    expect(judge(serviceRecord("web", alice, 1, true), known)).toBe("valid");
    expect(judge(serviceRecord("web", root, 1))).toBe("valid");
    expect(judge(serviceRecord("web", root, 1, true))).toBe("valid");
  });

  test("waits for its author's own slot", () => {
    expect(judge(serviceRecord("web", bob, 1), known)).toBe("unknown-author");
  });

  test("is not a plain member's to write or to delete", () => {
    const member = [nodeRecord("bob", { atMs: 0, certificate: { roles: ROLES.member } })];
    expect(judge(serviceRecord("web", bob, 1), member)).toBe("forged");
    expect(judge(serviceRecord("web", bob, 1, true), member)).toBe("forged");
  });

  test("is not believed in another's name, or of another root", () => {
    const asAlice = writeSlot(plainService(alice), bob.signer);
    expect(judge(asAlice, known)).toBe("forged");
    expect(judge(serviceRecord("web", otherRoot, 1), known)).toBe("unknown-author");
    const asRoot = writeSlot(plainService(root), bob.signer);
    expect(judge(asRoot, known)).toBe("forged");
  });

  test("is not believed when it was written after its author's certificate's end", () => {
    const certificate = { notAfterSeconds: NOW_MS / 1000 + 10 };
    const briefly = [nodeRecord("alice", { atMs: 0, certificate })];
    expect(judge(serviceRecord("web", alice, 10_000), briefly)).toBe("valid");
    expect(judge(serviceRecord("web", alice, 10_001), briefly)).toBe("forged");
  });

  test("is not believed with a body that is no service, or any byte changed", () => {
    const content = { ...plainService(alice), body: Uint8Array.of(0xff, 1) };
    expect(judge(writeSlot(content, alice.signer), known)).toBe("forged");
    const record = serviceRecord("web", alice, 1);
    for (let position = 0; position < record.length; position += 1) {
      expect(judgeOrNull(flipped(record, position), known)).not.toBe("valid");
    }
  });

  test("is void once its author is revoked, before and after it is let in again", () => {
    const revocation = revocationOf(alice.nodeId, 1, NOW_MS + 100);
    const record = serviceRecord("web", alice, 50);
    expect(judge(record, [...known, revocation])).toBe("revoked");
    const again = nodeRecord("alice", { atMs: 200, certificate: { revocationBlock: 1 } });
    expect(judge(record, [revocation, again])).toBe("revoked");
    expect(judge(serviceRecord("web", alice, 300), [revocation, again])).toBe("valid");
  });
});

describe("a revocation's slot", () => {
  test("is the root's alone to write", () => {
    expect(judge(revocationOf(alice.nodeId, 1, NOW_MS))).toBe("valid");
    const content = {
      ...plainService(alice),
      kind: SLOT_KIND.revocation,
      key: nodeKey(bob.nodeId),
      body: encodeRevocation(1),
    };
    const known = [nodeRecord("alice", { atMs: 0 })];
    expect(judge(writeSlot(content, alice.signer), known)).toBe("forged");
    expect(judge(writeSlot({ ...content, author: root.nodeId }, alice.signer), known)).toBe(
      "forged",
    );
  });

  test.each([
    ["block 0", encodeRevocation(0)],
    ["nothing", new Uint8Array(0)],
    ["more than a block", Uint8Array.of(1, 1)],
  ])("is not believed with %s in it", (_name, body) => {
    const content = { ...plainService(root), kind: SLOT_KIND.revocation, body };
    expect(judge(writeSlot(content, root.signer))).toBe("forged");
  });

  test("raises the highest block known, whatever comes after", () => {
    const { store } = storeOf([
      revocationOf(alice.nodeId, 7, NOW_MS),
      revocationOf(bob.nodeId, 3, NOW_MS),
    ]);
    expect(store.authority.revocationBlock).toBe(7);
  });
});

describe("the table that slots lead to", () => {
  const who = fc.constantFrom("alice", "bob");
  const atMs = fc.integer({ min: 1, max: 20 });
  const certificate = fc.record({
    roles: fc.constantFrom(ROLES.member, ROLES.member | ROLES.deployer),
    notAfterSeconds: fc.constantFrom(NOW_MS / 1000, NOW_MS / 1000 + 1_000),
    revocationBlock: fc.nat(3),
  });
  const node = fc.record({ node: who, atMs, certificate });
  const service = fc.record({
    service: fc.constantFrom("web", "db"),
    by: who,
    atMs,
    tombstone: fc.boolean(),
  });
  const revocation = fc.record({ revoked: who, block: fc.integer({ min: 1, max: 3 }), atMs });
  const shape = fc.oneof(
    { weight: 4, arbitrary: node },
    { weight: 4, arbitrary: service },
    { weight: 1, arbitrary: revocation },
  );
  type Shape = typeof shape extends fc.Arbitrary<infer Drawn> ? Drawn : never;
  const recordOf = (each: Shape): Uint8Array => {
    if ("node" in each) return nodeRecord(each.node, each);
    if ("service" in each) {
      return serviceRecord(each.service, identityOf(each.by), each.atMs, each.tombstone);
    }
    return revocationOf(identityOf(each.revoked).nodeId, each.block, NOW_MS + each.atMs);
  };
  const shapes = fc.array(shape, { minLength: 4, maxLength: 16 });
  const withShuffled = shapes.chain((all) =>
    fc.tuple(
      fc.constant(all),
      fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
    ),
  );

  test("is the same in whatever order they are offered, again and again", () => {
    fc.assert(
      fc.property(withShuffled, ([all, shuffled]) => {
        expect(settledTable(shuffled.map(recordOf))).toEqual(settledTable(all.map(recordOf)));
      }),
      { numRuns: 150 },
    );
  });

  test("does not keep a service that its author may no longer write", () => {
    // Given a deployer whose next certificate takes that role
    const deployed = [nodeRecord("alice", { atMs: 1 }), serviceRecord("web", alice, 2)];
    const demoted = nodeRecord("alice", { atMs: 3, certificate: { roles: ROLES.member } });
    // Then it is gone, as for one who hears of the role's end first
    expect(settledTable([...deployed, demoted])).toEqual(settledTable([demoted, ...deployed]));
    const { store } = storeOf([...deployed, demoted]);
    expect(store.table.findKey(SLOT_KIND.service, serviceKey(crypto, "web"))).toBe(-1);
  });

  test("keeps services through their author's renewed certificate", () => {
    const later = { notAfterSeconds: NOW_MS / 1000 + 99_999_999 };
    const { store } = storeOf([
      nodeRecord("alice", { atMs: 1 }),
      serviceRecord("web", alice, 2),
      nodeRecord("alice", { atMs: 3, certificate: later }),
    ]);
    expect(store.table.findKey(SLOT_KIND.service, serviceKey(crypto, "web"))).not.toBe(-1);
  });
});

function plainService(author: { nodeId: string }): SlotContent {
  return {
    kind: SLOT_KIND.service,
    tombstone: false,
    key: serviceKey(crypto, "web"),
    stamp: stampAt(1),
    author: author.nodeId,
    body: encodeService(serviceOf("web")),
  };
}

function storeOf(records: readonly Uint8Array[]): { store: SlotStore } {
  const store = new SlotStore({
    crypto,
    journal: { append: () => 1 },
    signer: alice.signer,
    selfId: alice.nodeId,
    rootPublicKey: root.publicKey,
    capacity: { slots: 64, arenaBytes: 64 * 1024 },
    listener: { slotApplied: () => {}, slotRemoved: () => {} },
  });
  for (const record of records) store.offer(record, NOW_MS);
  return { store };
}

/** What `authority` says of a record, given the slots in `known`. */
function judge(record: Uint8Array, known: readonly Uint8Array[] = []): string {
  const verdict = judgeOrNull(record, known);
  if (verdict === null) throw new Error("a test built a malformed slot");
  return verdict;
}

function judgeOrNull(record: Uint8Array, known: readonly Uint8Array[] = []): string | null {
  const table = new SlotTable(64, 64 * 1024);
  for (const each of known) table.apply(readSlot(each)!, crypto.sha256(each));
  const slot = readSlot(record);
  return slot === null ? null : new Authority(crypto, table, root.publicKey).judge(slot);
}

/** The records held once offering all of them again changes nothing more. */
function settledTable(records: readonly Uint8Array[]): string[] {
  const { store } = storeOf([]);
  let before = "";
  for (let round = 0; round < 20; round += 1) {
    for (const record of records) store.offer(record, NOW_MS);
    const held = [...store.table.sortedRecords()].map((each) => Buffer.from(each).toString("hex"));
    if (held.join() === before) return held;
    before = held.join();
  }
  throw new Error("the table does not settle");
}
