// The one long-lived tc: answers find their requests, refusals are told, and it comes back after
// everything that can end it.

import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { TcBatch, type TcReply } from "../../src/flow/sense/tc-batch.ts";
import { AssertionError } from "../../src/kernel/assert.ts";
import {
  CHILD_RESTART_MS_MAX,
  TC_ANSWER_MS_MAX,
  TC_REQUESTS_MAX,
} from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { FakeChildren, HandClock } from "./fakes.ts";

let children: FakeChildren;
let clock: HandClock;
let states: string[];
let tc: TcBatch;

beforeEach(() => {
  children = new FakeChildren();
  clock = new HandClock();
  states = [];
  tc = new TcBatch({
    children,
    clock,
    random: new SeededRandom(1n),
    onState: (alive, reason) => states.push(`${alive ? "up" : "down"}: ${reason}`),
  });
  tc.start();
});

function ask(): TcReply[] {
  const replies: TcReply[] = [];
  tc.show((reply) => replies.push(reply));
  return replies;
}

function change(command = "qdisc change dev wan0 root cake bandwidth 9mbit"): TcReply[] {
  const replies: TcReply[] = [];
  tc.change(command, (reply) => replies.push(reply));
  return replies;
}

describe("given a tc that runs", () => {
  test("a question is one line, and its JSON is the answer of the next tick", () => {
    const replies = ask();
    expect(children.newest.written).toEqual(["qdisc show\n"]);
    children.newest.waiting.push('[{"kind":"cake"}]');
    expect(replies).toEqual([]);
    tc.tick();
    expect(replies).toEqual([{ json: '[{"kind":"cake"}]', error: null }]);
  });

  test("a change is followed by a question, whose answer says it went well", () => {
    const replies = change();
    expect(children.newest.written.join("")).toBe(
      "qdisc change dev wan0 root cake bandwidth 9mbit\nqdisc show\n",
    );
    children.newest.say("[]");
    expect(replies).toEqual([{ json: "[]", error: null }]);
  });

  test("a change that was refused tells why, and what the kernel has", () => {
    const replies = change();
    children.newest.say("Error: Qdisc not found.");
    children.newest.say("Command failed -:1");
    expect(replies).toEqual([]);
    children.newest.say("[]");
    expect(replies).toEqual([{ json: "[]", error: "Error: Qdisc not found." }]);
  });

  test("a question that failed is an error, and the next one is unharmed", () => {
    const first = ask();
    const second = change();
    children.newest.say("Dump terminated");
    children.newest.say("Command failed -:1");
    children.newest.say("[]");
    expect(first).toEqual([{ json: null, error: "Dump terminated" }]);
    expect(second).toEqual([{ json: "[]", error: null }]);
  });

  test("a warning before an answer is no error", () => {
    const replies = change();
    children.newest.say("Warning: something is old-fashioned.");
    children.newest.say("[]");
    children.newest.say("later junk");
    expect(replies).toEqual([{ json: "[]", error: null }]);
  });

  test("more requests than are kept are refused at once", () => {
    const all = Array.from({ length: TC_REQUESTS_MAX + 1 }, () => ask());
    expect(all.slice(0, -1).every((replies) => replies.length === 0)).toBe(true);
    expect(all.at(-1)![0]!.error).toContain("tc is behind");
  });

  test.each(["", "two\nlines", "a # comment", "a \\ continuation", 'a "quote'])(
    "a command that is not one plain line is our own mistake: %j",
    (command) => {
      expect(() => change(command)).toThrow(AssertionError);
    },
  );
});

describe("given a tc that fails", () => {
  test("its end is told to all who wait, and it is started again after a moment", () => {
    const replies = [ask(), change()].flat();
    const waiting = ask();
    children.newest.say('Command line is not complete. Try option "help"');
    children.newest.exit("exited with code 255");
    expect(replies.length).toBe(0);
    const reason = 'tc exited with code 255: Command line is not complete. Try option "help"';
    expect(waiting).toEqual([{ json: null, error: reason }]);
    expect(tc.alive).toBe(false);
    expect(ask()[0]!.error).toContain("tc does not run");
    tc.tick();
    expect(children.started.length).toBe(1);
    clock.ms += 1_000;
    tc.tick();
    expect(children.started.length).toBe(2);
    expect(states).toEqual([`down: ${reason}`, "up: tc was started again"]);
  });

  test("an answer that never comes ends it", () => {
    const replies = ask();
    clock.ms += TC_ANSWER_MS_MAX + 1;
    tc.tick();
    expect(children.started[0]!.ended).toBe(true);
    expect(replies[0]!.error).toContain("gave no answer");
  });

  test("a tc that does not read is started anew", () => {
    children.newest.reads = false;
    expect(ask()[0]!.error).toContain("does not read");
    expect(tc.alive).toBe(false);
  });

  test("the waits grow to a bound, however often it fails", () => {
    for (let life = 0; life < 20; life += 1) {
      children.newest.exit();
      clock.ms += CHILD_RESTART_MS_MAX;
      tc.tick();
      expect(children.started.length).toBe(life + 2);
    }
    children.newest.exit();
    clock.ms += CHILD_RESTART_MS_MAX / 2 - 1;
    tc.tick();
    expect(tc.alive).toBe(false);
  });

  test("what an earlier process still says reaches nobody", () => {
    const earlier = children.newest;
    tc.restart("the interface was made again");
    const replies = ask();
    earlier.say("[]");
    earlier.exit();
    expect(replies).toEqual([]);
    expect(tc.alive).toBe(true);
    children.newest.say("[1]");
    expect(replies).toEqual([{ json: "[1]", error: null }]);
  });

  test("once stopped it stays so", () => {
    const replies = ask();
    tc.stop();
    clock.ms += CHILD_RESTART_MS_MAX;
    tc.tick();
    expect(replies).toEqual([{ json: null, error: "tc was stopped" }]);
    expect(children.started.length).toBe(1);
  });
});

test("whatever tc says, each request ends once, and in order", () => {
  const speech = fc.oneof(
    fc.constant("[]"),
    fc.constant("Error: no."),
    fc.integer({ min: 0, max: 40 }).map((line) => `Command failed -:${line}`),
    fc.string({ maxLength: 60 }),
  );
  const step = fc.oneof(
    speech.map((line) => ({ line })),
    fc.constantFrom("ask", "change", "exit", "wait").map((act) => ({ act })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const own = new FakeChildren();
      const time = new HandClock();
      const batch = new TcBatch({ children: own, clock: time, random: new SeededRandom(2n) });
      batch.start();
      const ended: number[] = [];
      let asked = 0;
      for (const one of steps) {
        const number = asked;
        if ("line" in one) own.newest.say(one.line);
        else if (one.act === "exit") own.newest.exit();
        else if (one.act === "wait") time.ms += 500;
        else {
          asked += 1;
          if (one.act === "ask") batch.show(() => ended.push(number));
          else batch.change("qdisc del dev lo root", () => ended.push(number));
        }
        batch.tick();
      }
      batch.stop();
      expect([...ended].sort((a, b) => a - b)).toEqual(Array.from({ length: asked }, (_, i) => i));
    }),
  );
});
