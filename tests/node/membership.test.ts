// Who is alive, by rumour: SWIM's order of precedence, Lifeguard's patience, and bounded talk.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Membership, PROBE_INTERVAL_MS } from "../../src/node/membership.ts";
import {
  FRAME,
  MEMBER_STATUSES,
  type MemberRumour,
  type MemberStatus,
  readMember,
} from "../../src/schema/frame.ts";
import { ByteReader, ByteWriter } from "../../src/schema/varint.ts";

const SELF = 0;
const OTHER = 1;
const NEVER_HEARD = () => false;
/** Longer than any suspicion lasts. */
const EVER_MS = 600_000;

describe("what is heard of a member", () => {
  test("counts by SWIM's precedence, whatever stood before", () => {
    const status = fc.constantFrom(...MEMBER_STATUSES);
    const incarnation = fc.nat(4);
    fc.assert(
      fc.property(status, incarnation, status, incarnation, (before, held, heard, told) => {
        const members = membership(6);
        bring(members, before, held);
        members.hear(OTHER, rumour(heard, told), 0);
        expect([members.status(OTHER), members.incarnationOf(OTHER)]).toEqual(
          precedence([before, held], [heard, told]),
        );
      }),
    );
  });

  test("comes to the same end in any order, when the last word is the member's own", () => {
    const heard = fc.array(
      fc.tuple(fc.constantFrom<MemberStatus>("alive", "suspect", "dead"), fc.nat(5)),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(heard, (words) => {
        const members = membership(6);
        for (const [status, incarnation] of words) {
          members.hear(OTHER, rumour(status, incarnation), 0);
        }
        members.hear(OTHER, rumour("alive", 6), 0);
        expect(members.status(OTHER)).toBe("alive");
        expect(members.livingCount).toBe(5);
      }),
    );
  });

  test("revives the dead only at a higher incarnation than they died at", () => {
    const members = membership(6);
    members.hear(OTHER, rumour("dead", 3), 0);
    members.hear(OTHER, rumour("alive", 3), 0);
    expect(members.status(OTHER)).toBe("dead");
    members.hear(OTHER, rumour("dead", 9), 0);
    members.hear(OTHER, rumour("alive", 7), 0);
    expect(members.status(OTHER)).toBe("dead");
    members.hear(OTHER, rumour("alive", 10), 0);
    expect(members.status(OTHER)).toBe("alive");
  });

  test("is nothing when nobody knows the member", () => {
    const members = new Membership({
      selfId: idOf(SELF),
      capacity: 8,
      incarnation: 5,
      idOf,
    });
    members.hear(-1, rumour("dead", 9), 0);
    members.hear(3, rumour("dead", 9), 0);
    expect(members.incarnation).toBe(5);
    expect(members.rumourCount).toBe(0);
  });
});

describe("a member that is accused itself", () => {
  test.each(["suspect", "dead", "left"] as const)(
    "refutes being %s at a higher incarnation",
    (status) => {
      const members = membership(6);
      const before = members.incarnation;
      members.hear(SELF, { ...rumour(status, before + 4), nodeId: idOf(SELF) }, 0);
      expect(members.incarnation).toBe(before + 5);
      expect(rumoursOf(members)).toContainEqual({
        nodeId: idOf(SELF),
        status: "alive",
        incarnation: before + 5,
        source: idOf(SELF),
      });
    },
  );

  test("says that it lives even to one whose word is long out of date", () => {
    // Given a member back after its rumour of being alive has died away
    const members = membership(6);
    drain(members);
    // When one who missed it takes it for dead still
    members.hear(SELF, { ...rumour("dead", members.incarnation - 1), nodeId: idOf(SELF) }, 0);
    // Then it tells again, and its incarnation needs not grow
    expect(rumoursOf(members).map((each) => [each.status, each.incarnation])).toContainEqual([
      "alive",
      100,
    ]);
  });

  test("does not argue when it goes on purpose", () => {
    const members = membership(6);
    members.announce("left");
    members.hear(SELF, { ...rumour("dead", 500), nodeId: idOf(SELF) }, 0);
    expect(members.incarnation).toBe(100);
    expect(members.status(SELF)).toBe("left");
  });

  test("still writes what others can read when a liar names the highest incarnation", () => {
    const members = membership(6);
    members.hear(SELF, { ...rumour("dead", 0xffff_ffff), nodeId: idOf(SELF) }, 0);
    expect(() => rumoursOf(members)).not.toThrow();
  });
});

describe("suspicion", () => {
  test("ends in death after a time that independent accusers shorten", () => {
    const lifetimes = [1, 2, 3, 4].map((accusers) => {
      const members = membership(20);
      for (let i = 0; i < accusers; i += 1) {
        members.hear(OTHER, rumour("suspect", 1, idOf(5 + i)), 0);
      }
      return msUntilDead(members);
    });
    // log10(20) rounded up is 2: the longest is 6 × 4 × 2 probe intervals, the shortest 4 × 2
    expect(lifetimes[0]).toBe(48 * PROBE_INTERVAL_MS);
    expect(lifetimes[3]).toBe(8 * PROBE_INTERVAL_MS);
    expect(lifetimes).toEqual([...lifetimes].sort((a, b) => b - a));
    expect(new Set(lifetimes).size).toBe(4);
  });

  test("counts an accuser once, however often it repeats itself", () => {
    const members = membership(20);
    for (let i = 0; i < 10; i += 1) members.hear(OTHER, rumour("suspect", 1, idOf(5)), 0);
    expect(msUntilDead(members)).toBe(48 * PROBE_INTERVAL_MS);
  });

  test("counts this node's own accusation like another's", () => {
    const members = membership(20);
    members.hear(OTHER, rumour("suspect", 0, idOf(5)), 0);
    members.accuse(OTHER, 0);
    members.accuse(OTHER, 0);
    expect(msUntilDead(members)).toBeLessThan(48 * PROBE_INTERVAL_MS);
  });

  test("needs no confirmation where nobody is left to give one", () => {
    const members = membership(2);
    members.accuse(OTHER, 0);
    expect(msUntilDead(members)).toBe(4 * PROBE_INTERVAL_MS);
  });

  test("waits longer where round trips are longer than the probe interval", () => {
    const members = membership(2);
    members.accuse(OTHER, 0);
    members.tick(4 * PROBE_INTERVAL_MS, NEVER_HEARD, 3_000);
    expect(members.status(OTHER)).toBe("suspect");
    members.tick(12_000, NEVER_HEARD, 3_000);
    expect(members.status(OTHER)).toBe("dead");
  });

  test("is cleared by the member's refutation", () => {
    const members = membership(6);
    members.accuse(OTHER, 0);
    members.hear(OTHER, rumour("alive", 1), 10);
    expect(members.status(OTHER)).toBe("alive");
    members.tick(EVER_MS, NEVER_HEARD, 0);
    expect(members.status(OTHER)).toBe("alive");
  });

  test("is cleared when we heard the member ourselves meanwhile", () => {
    const members = membership(6);
    members.hear(OTHER, rumour("suspect", 1), 0);
    members.tick(EVER_MS, (member) => member === OTHER, 0);
    expect(members.status(OTHER)).toBe("alive");
  });

  test("starts anew at a higher incarnation", () => {
    const members = membership(20);
    for (const accuser of [5, 6, 7, 8]) members.hear(OTHER, rumour("suspect", 1, idOf(accuser)), 0);
    members.hear(OTHER, rumour("suspect", 2, idOf(5)), 0);
    expect(msUntilDead(members)).toBe(48 * PROBE_INTERVAL_MS);
  });
});

describe("rumours", () => {
  test("are written a bounded number of times each, then no more", () => {
    const members = membership(60);
    drain(members);
    members.hear(OTHER, rumour("suspect", 1), 0);
    const sent = drain(members).filter((each) => each.nodeId === idOf(OTHER));
    // 4 × ⌈log10 60⌉
    expect(sent.length).toBe(8);
    expect(members.rumourCount).toBe(0);
  });

  test("stay within their bound whatever is heard, and so does each packet", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 1, max: 199 }),
            fc.constantFrom(...MEMBER_STATUSES),
            fc.nat(9),
          ),
          {
            maxLength: 300,
          },
        ),
        (words) => {
          const members = membership(200);
          for (const [member, status, incarnation] of words) {
            members.hear(member, { ...rumour(status, incarnation), nodeId: idOf(member) }, 0);
          }
          expect(members.rumourCount).toBeLessThanOrEqual(64);
          expect(rumoursOf(members, 4).length).toBeLessThanOrEqual(4);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("fill no packet beyond its room", () => {
    const members = membership(60);
    for (let member = 1; member < 40; member += 1) {
      members.hear(member, { ...rumour("dead", 1), nodeId: idOf(member) }, 0);
    }
    for (let room = 0; room < 120; room += 1) {
      const writer = new ByteWriter(new Uint8Array(room));
      members.writeRumours(writer, 10, -1);
      expect(writer.offset).toBeLessThanOrEqual(room);
    }
  });

  test("tell a doubted member of our doubt in every packet, so that it can refute", () => {
    const members = membership(6);
    members.hear(OTHER, rumour("suspect", 1), 0);
    drain(members);
    for (let i = 0; i < 20; i += 1) {
      const [first] = rumoursOf(members, 1, OTHER);
      expect(first).toMatchObject({ nodeId: idOf(OTHER), status: "suspect", incarnation: 1 });
    }
  });

  test("tell a doubted member that we live, for it may doubt us as well, and spend nothing more", () => {
    const members = membership(6);
    members.hear(OTHER, rumour("dead", 1), 0);
    members.hear(3, { ...rumour("dead", 1), nodeId: idOf(3) }, 0);
    const [doubt, own, ...rest] = rumoursOf(members, 4, OTHER);
    expect([doubt?.nodeId, doubt?.status]).toEqual([idOf(OTHER), "dead"]);
    expect([own?.nodeId, own?.status, own?.incarnation]).toEqual([idOf(SELF), "alive", 100]);
    expect(rest).toEqual([]);
  });

  test("of who is gone reach one who heard none of them, long after they have died away", () => {
    // Given two who agreed on deaths that a third, new here, has not heard of
    const members = membership(30);
    for (const member of [3, 7, 11]) {
      members.hear(member, { ...rumour("dead", 1), nodeId: idOf(member) }, 0);
    }
    drain(members);
    // When a few packets go out
    const told = new Set<string>();
    for (let i = 0; i < 12; i += 1) {
      for (const each of rumoursOf(members)) if (each.status === "dead") told.add(each.nodeId);
    }
    // Then all the dead were named
    expect([...told].sort()).toEqual([3, 7, 11].map(idOf));
  });
});

describe("the count of members", () => {
  test("matches what is known, through joining, dying and revocation", () => {
    const step = fc.tuple(
      fc.constantFrom("add", "remove", "dead", "alive"),
      fc.integer({ min: 1, max: 7 }),
      fc.nat(5),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const members = membership(1);
        for (const [what, member, incarnation] of steps) {
          if (what === "add") members.add(member);
          else if (what === "remove") members.remove(member);
          else {
            const status = what as MemberStatus;
            members.hear(member, { ...rumour(status, incarnation), nodeId: idOf(member) }, 0);
          }
          const known = [1, 2, 3, 4, 5, 6, 7].filter((each) => members.isMember(each));
          expect(members.memberCount).toBe(known.length);
          expect(members.livingCount).toBe(known.filter((each) => members.isLiving(each)).length);
        }
      }),
    );
  });
});

describe("local health", () => {
  test("makes a node that hears badly patient, within a bound, and recovers", () => {
    const members = membership(6);
    for (let i = 0; i < 20; i += 1) members.heardBadly();
    expect(members.patience).toBe(9);
    for (let i = 0; i < 20; i += 1) members.probeSucceeded();
    expect(members.patience).toBe(1);
  });
});

/** A node with `count - 1` others, all alive. */
function membership(count: number): Membership {
  const members = new Membership({ selfId: idOf(SELF), capacity: 256, incarnation: 100, idOf });
  for (let member = 0; member < count; member += 1) members.add(member);
  return members;
}

function idOf(member: number): string {
  return member.toString(16).padStart(16, "0");
}

function rumour(status: MemberStatus, incarnation: number, source = idOf(2)): MemberRumour {
  return { nodeId: idOf(OTHER), status, incarnation, source };
}

function bring(members: Membership, status: MemberStatus, incarnation: number): void {
  if (incarnation > 0) members.hear(OTHER, rumour("alive", incarnation), 0);
  if (status !== "alive") members.hear(OTHER, rumour(status, incarnation), 0);
}

type Standing = [MemberStatus, number];

/** SWIM's rules, in the plainest words. */
function precedence(held: Standing, heard: Standing): Standing {
  const [status, incarnation] = heard;
  const isGone = held[0] === "dead" || held[0] === "left";
  if (status === "alive") return incarnation > held[1] ? heard : held;
  if (isGone) return status !== "suspect" && incarnation > held[1] ? heard : held;
  if (status === "suspect") return incarnation >= held[1] ? heard : held;
  return incarnation >= held[1] ? heard : held;
}

function msUntilDead(members: Membership): number {
  for (let nowMs = 0; nowMs <= EVER_MS; nowMs += 100) {
    members.tick(nowMs, NEVER_HEARD, 0);
    if (members.status(OTHER) === "dead") return nowMs;
  }
  return Number.POSITIVE_INFINITY;
}

function rumoursOf(members: Membership, countMax = 4, receiver = -1): MemberRumour[] {
  const writer = new ByteWriter(new Uint8Array(944));
  members.writeRumours(writer, countMax, receiver);
  const reader = new ByteReader(writer.written());
  const rumours: MemberRumour[] = [];
  while (reader.remaining > 0) {
    expect(reader.u8()).toBe(FRAME.member);
    rumours.push(readMember(reader));
  }
  return rumours;
}

/** Writes packets until no fresh rumour is left. */
function drain(members: Membership): MemberRumour[] {
  const all: MemberRumour[] = [];
  for (let i = 0; i < 1_000 && members.rumourCount > 0; i += 1) all.push(...rumoursOf(members));
  return all;
}
