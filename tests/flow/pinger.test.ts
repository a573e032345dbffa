// The pinger: lines of fping, supervision, reflectors that make room for others.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { parsePingLine } from "../../src/flow/sense/ping-line.ts";
import { Pinger, type PingerSettings, type ProbeTarget } from "../../src/flow/sense/pinger.ts";
import {
  CHILD_RESTART_MS_MAX,
  PROBE_STALE_MS,
  PROBES_WAITING_MAX,
  REFLECTOR_ROTATION_MS_MIN,
  REFLECTOR_SILENT_MS,
} from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { FakeChildren, HandClock } from "./fakes.ts";

describe("a line of fping", () => {
  test("is read as fping 5.1 prints it", () => {
    const text = readFileSync(new URL("captures/fping.txt", import.meta.url), "utf8");
    const lines = text.trimEnd().split("\n").map(parsePingLine);
    expect(lines.map((line) => `${line?.target} ${line?.rttMs}`)).toEqual([
      "10.9.0.2 22.6",
      "fd09::2 43.2",
      "10.9.0.3 21.4",
      "fd09::3 21.4",
      "10.9.0.2 21.1",
      "10.9.0.77 null",
      "fd09::77 null",
      "10.9.0.2 703",
      "fd09::2 703",
    ]);
    expect(lines[0]!.stampMs).toBeCloseTo(1_795_343_659_128.86, 1);
  });

  test.each([
    "",
    "ICMP Host Unreachable from 10.0.0.1 for ICMP Echo sent to 10.255.255.1",
    "[1795343659.12886] 10.9.0.2 : duplicate for [7], 64 bytes, 21.4 ms",
    "[1795343659.12886] 10.9.0.2 : [0], 64 bytes, -1 ms (22.6 avg, 0% loss)",
    "[1795343659.12886] 10.9.0.2 : [0], 64 bytes, 1e9 ms (22.6 avg, 0% loss)",
    "[1795343659.12886] 10.9.0.2 : [0], 64 bytes,",
    "[nonsense] 10.9.0.2 : [0], 64 bytes, 22.6 ms (22.6 avg, 0% loss)",
    "10.9.0.2 : [0], 64 bytes, 22.6 ms (22.6 avg, 0% loss)",
  ])("of another form is none: %j", (line) => {
    expect(parsePingLine(line)).toBe(null);
  });

  test("of any text gives null or an RTT that can be", () => {
    const word = fc.constantFrom(
      "[",
      "] ",
      "1.5",
      " : [",
      "7",
      "], ",
      "64",
      " bytes, ",
      " ms",
      " ",
    );
    const speech = fc.array(fc.oneof(word, fc.string({ maxLength: 5 }))).map((w) => w.join(""));
    fc.assert(
      fc.property(speech, (text) => {
        const line = parsePingLine(text);
        if (line?.rttMs != null) expect(line.rttMs).toBeGreaterThan(0);
      }),
    );
  });
});

const REFLECTORS = [
  "192.0.2.1",
  "192.0.2.2",
  "2001:db8::1",
  "2001:db8::2",
  "192.0.2.5",
  "192.0.2.6",
];
const SETTINGS: PingerSettings = { reflectors: REFLECTORS, device: "wan0", probesPerSecond: 20 };

let children: FakeChildren;
let clock: HandClock;
let states: string[];
let marked: (readonly ProbeTarget[])[];
let pinger: Pinger;

beforeEach(() => {
  children = new FakeChildren();
  clock = new HandClock();
  states = [];
  marked = [];
  pinger = new Pinger(SETTINGS, {
    children,
    clock,
    random: new SeededRandom(1n),
    onState: (alive, reason) => states.push(`${alive ? "up" : "down"}: ${reason}`),
    onTargets: (targets) => marked.push(targets),
  });
  pinger.start();
});

/** What fping prints now. */
function answer(target: string, rttMs: number, agoMs = 0): void {
  const stamp = ((clock.ms - agoMs) / 1_000).toFixed(5);
  children.newest.waiting.push(
    `[${stamp}] ${target} : [1], 64 bytes, ${rttMs} ms (9 avg, 0% loss)`,
  );
}

function lose(target: string): void {
  const stamp = (clock.ms / 1_000).toFixed(5);
  children.newest.waiting.push(`[${stamp}] ${target}  : [1], timed out (NaN avg, 100% loss)`);
}

function used(): string[] {
  return pinger.targets.map(({ reflector }) => reflector);
}

describe("given a pinger that runs", () => {
  test("it probes the first reflectors evenly by the line's interface, marked for two tins", () => {
    const { program, args, polled } = children.newest.command;
    expect([program, polled]).toEqual(["fping", true]);
    expect(args.join(" ")).toBe(
      "-l -D -i 50 -p 200 -t 2000 -I wan0 192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2",
    );
    expect(marked[0]!.map(({ tin }) => tin)).toEqual([
      "besteffort",
      "voice",
      "besteffort",
      "voice",
    ]);
  });

  test("answers and losses are collected once, with the time they came", () => {
    answer("192.0.2.1", 12.5, 40);
    lose("192.0.2.2");
    answer("198.51.100.1", 9);
    const { replies, losses } = pinger.collect();
    expect(replies).toEqual([
      { reflector: "192.0.2.1", tin: "besteffort", atMs: clock.ms - 40, rttMs: 12.5 },
    ]);
    expect(losses).toEqual([{ reflector: "192.0.2.2", tin: "voice", atMs: clock.ms }]);
    expect(pinger.collect()).toEqual({ replies: [], losses: [] });
    expect(pinger.targets.slice(0, 2)).toMatchObject([
      { rttMs: 12.5, lossPercent: 0 },
      { rttMs: null, lossPercent: 100 },
    ]);
  });

  test("an answer stamped by a clock that was set comes now", () => {
    answer("192.0.2.1", 12.5, -7_200_000);
    expect(pinger.collect().replies[0]!.atMs).toBe(clock.ms);
  });

  test("answers that lay through a suspend are dropped, later ones are not", () => {
    answer("192.0.2.1", 12.5);
    clock.ms += PROBE_STALE_MS + 1;
    expect(pinger.collect().replies).toEqual([]);
    answer("192.0.2.1", 13);
    clock.ms += 100;
    expect(pinger.collect().replies.length).toBe(1);
  });

  test("no more are kept than the bound", () => {
    for (let i = 0; i < PROBES_WAITING_MAX + 9; i += 1) answer("192.0.2.1", 10);
    expect(pinger.collect().replies.length).toBe(PROBES_WAITING_MAX);
  });
});

describe("given a child that ends", () => {
  test("it is started again after a moment, and both are told", () => {
    children.newest.say("binding to specific interface: No such device", "stderr");
    children.newest.exit();
    expect(pinger.alive).toBe(false);
    clock.ms += 1_000;
    pinger.collect();
    expect(children.started.length).toBe(2);
    expect(states).toEqual([
      "down: fping exited with code 1: binding to specific interface: No such device",
      "up: the pinger was started again",
    ]);
  });

  test("it is not started again once stopped", () => {
    children.newest.exit();
    pinger.stop();
    clock.ms += CHILD_RESTART_MS_MAX;
    pinger.collect();
    expect(children.started.length).toBe(1);
  });

  test("what the one before still says is not believed", () => {
    const earlier = children.newest;
    pinger.restart();
    earlier.say(`[${clock.ms / 1_000}] 192.0.2.1 : [1], 64 bytes, 5 ms (5 avg, 0% loss)`);
    earlier.exit();
    expect(pinger.collect().replies).toEqual([]);
    expect([pinger.alive, states.length]).toEqual([true, 0]);
  });
});

describe("given a reflector to leave", () => {
  test("the next of the list takes its place and tin, and it goes to the end", () => {
    expect(pinger.rotate("192.0.2.2")).toBe(true);
    expect(used()).toEqual(["192.0.2.1", "2001:db8::1", "2001:db8::2", "192.0.2.5"]);
    expect(marked.at(-1)!.at(-1)).toMatchObject({ reflector: "192.0.2.5", tin: "voice" });
    expect(children.newest.command.args.slice(-1)).toEqual(["192.0.2.5"]);
    clock.ms += REFLECTOR_ROTATION_MS_MIN;
    pinger.rotate("192.0.2.5");
    clock.ms += REFLECTOR_ROTATION_MS_MIN;
    pinger.rotate("192.0.2.6");
    expect(used()).toContain("192.0.2.2");
  });

  test("one not in use is not left, nor two at once", () => {
    expect(pinger.rotate("192.0.2.6")).toBe(false);
    expect(pinger.rotate("192.0.2.1")).toBe(true);
    expect(pinger.rotate("192.0.2.2")).toBe(false);
  });

  test("one that stays silent while another answers is left by itself", () => {
    for (let i = 0; i <= REFLECTOR_SILENT_MS / 1_000; i += 1) {
      clock.ms += 1_000;
      for (const target of used()) if (target !== "2001:db8::1") answer(target, 10);
      pinger.collect();
    }
    expect(used()).not.toContain("2001:db8::1");
  });

  test("when all are silent the line is to blame, and all stay", () => {
    for (let i = 0; i < 60; i += 1) {
      clock.ms += 1_000;
      for (const target of used()) lose(target);
      pinger.collect();
    }
    expect(used()).toEqual(REFLECTORS.slice(0, 4));
  });
});

test("other settings start a new child only when they change what is probed", () => {
  pinger.reconfigure({ ...SETTINGS });
  expect(children.started.length).toBe(1);
  pinger.reconfigure({ ...SETTINGS, probesPerSecond: 2 });
  pinger.reconfigure({ ...SETTINGS, probesPerSecond: 2, reflectors: ["192.0.2.9"] });
  expect(children.started.length).toBe(3);
  expect(children.newest.command.args.join(" ")).toContain("-i 500 -p 500");
  expect(used()).toEqual(["192.0.2.9"]);
});

test("whatever happens, the reflectors in use are distinct, of the list, and as many as can be", () => {
  const act = fc.oneof(
    fc.constantFrom(...REFLECTORS).map((reflector) => ({ kind: "rotate" as const, reflector })),
    fc.constantFrom(...REFLECTORS).map((reflector) => ({ kind: "answer" as const, reflector })),
    fc.integer({ min: 0, max: 8_000 }).map((ms) => ({ kind: "wait" as const, ms })),
    fc.constant({ kind: "exit" as const }),
  );
  fc.assert(
    fc.property(fc.array(act), fc.integer({ min: 1, max: REFLECTORS.length }), (acts, count) => {
      const own = new FakeChildren();
      const time = new HandClock();
      const subject = new Pinger(
        { ...SETTINGS, reflectors: REFLECTORS.slice(0, count) },
        {
          children: own,
          clock: time,
          random: new SeededRandom(5n),
          onState: () => {},
          onTargets: () => {},
        },
      );
      subject.start();
      for (const one of acts) {
        if (one.kind === "rotate") subject.rotate(one.reflector);
        else if (one.kind === "wait") time.ms += one.ms;
        else if (one.kind === "exit" && subject.alive) own.newest.exit();
        else if (one.kind === "answer") {
          own.newest.say(`[${time.ms / 1_000}] ${one.reflector} : [1], 64 bytes, 5 ms (5 avg)`);
        }
        subject.collect();
        const inUse = subject.targets.map(({ reflector }) => reflector);
        expect(new Set(inUse).size).toBe(Math.min(4, count));
        expect(inUse.every((reflector) => REFLECTORS.slice(0, count).includes(reflector))).toBe(
          true,
        );
      }
    }),
  );
});
