import { describe, expect, it } from "vitest";
import { EventLog } from "../../src/daemon/event-log.ts";
import { FlightRecorder } from "../../src/daemon/flight-recorder.ts";
import { createLogger, prettyLine } from "../../src/daemon/logger.ts";
import { EVENTS_PER_KIND_MAX } from "../../src/kernel/limits.ts";

function setUp() {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", format: "json" }, (line) => lines.push(line));
  const recorder = new FlightRecorder();
  const time = { nowMs: 1_000 };
  const events = new EventLog(logger, recorder, () => time.nowMs);
  const recorded = (): string[] => recorder.read().toString().trim().split("\n");
  return { events, lines, recorded, time };
}

describe("the event log", () => {
  it("writes an event to the log and to the recorder", () => {
    const { events, lines, recorded } = setUp();
    events.note("warn", "log-failed", "the log cannot be written", { error: "ENOSPC" });
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: "warn",
      msg: "the log cannot be written",
      error: "ENOSPC",
    });
    expect(JSON.parse(recorded()[0]!)).toMatchObject({ kind: "log-failed", error: "ENOSPC" });
  });

  it("records what is below the log's level all the same", () => {
    const { events, lines, recorded } = setUp();
    events.note("debug", "slot-applied", "a slot came");
    expect(lines).toEqual([]);
    expect(recorded()).toHaveLength(1);
  });

  it("leaves out a kind that comes without end, and says how many were left out", () => {
    const { events, lines, time } = setUp();
    for (let i = 0; i < EVENTS_PER_KIND_MAX + 40; i += 1) {
      events.note("warn", "handshake-refused", "refused");
    }
    events.note("warn", "session-opened", "another kind");
    expect(lines).toHaveLength(EVENTS_PER_KIND_MAX + 1);
    time.nowMs += 10_000;
    events.note("warn", "handshake-refused", "refused");
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ suppressedBefore: 40 });
  });
});

describe("what is told every time", () => {
  it("is never left out: whoever tells it bounds how often", () => {
    const { events, lines, recorded } = setUp();
    const times = EVENTS_PER_KIND_MAX + 40;
    for (let i = 0; i < times; i += 1) events.tell("info", "decision", "lower", { cause: "bloat" });
    expect(lines).toHaveLength(times);
    expect(recorded()).toHaveLength(times);
  });
});

describe("a part with a log level of its own", () => {
  it("is heard by that level, which may change, and shares the recorder", () => {
    const { events, lines, recorded } = setUp();
    const part = events.child("warn");
    part.note("info", "reload", "not heard");
    part.setLevel("debug");
    part.note("debug", "reload", "heard");
    events.note("debug", "reload", "the whole keeps its own");
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(["heard"]);
    expect(recorded()).toHaveLength(3);
  });
});

describe("a line for people", () => {
  it("shows time, level, message and fields", () => {
    const json =
      '{"level":"warn","time":"2026-01-02T09:15:02.113Z","node":"ab","msg":"it is full"}\n';
    expect(prettyLine(json)).toBe('09:15:02.113 warn  it is full  node="ab"\n');
  });

  it("leaves alone what is not JSON", () => {
    expect(prettyLine("oops\n")).toBe("oops\n");
  });
});
