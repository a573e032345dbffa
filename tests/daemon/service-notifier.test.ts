// What systemd hears of the daemon, word for word and in order, and when it hears nothing.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ServiceNotifier } from "../../src/daemon/service-notifier.ts";

const WATCHDOG_MS = 30_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A notifier whose words are noted; while `hold` stands, each waits. */
function setUp(options: { watchdogMs?: number | null; problem?: string } = {}) {
  const said: string[] = [];
  const problems: string[] = [];
  let release: (() => void) | null = null;
  const node = { overdueMs: 0, summary: "all is well" };
  const state = { isHeld: false };
  const notifier = new ServiceNotifier({
    send: async (assignments) => {
      said.push(assignments.join(" "));
      if (state.isHeld) await new Promise<void>((resolve) => (release = resolve));
      return options.problem ?? null;
    },
    watchdogMs: options.watchdogMs === undefined ? WATCHDOG_MS : options.watchdogMs,
    onProblem: (problem) => problems.push(problem),
  });
  return { notifier, node, said, problems, state, release: () => release?.() };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe("systemd", () => {
  test("hears nothing before the daemon is up, and then how it is", async () => {
    const { notifier, node, said } = setUp();
    await vi.advanceTimersByTimeAsync(10 * WATCHDOG_MS);
    expect(said).toEqual([]);
    notifier.ready(node);
    await settle();
    expect(said).toEqual(["READY=1 STATUS=all is well"]);
  });

  test("hears three times in its watchdog's time from a daemon that ticks: a word may be lost", async () => {
    const { notifier, node, said } = setUp();
    notifier.ready(node);
    await vi.advanceTimersByTimeAsync(10 * WATCHDOG_MS);
    expect(said.filter((line) => line.startsWith("WATCHDOG=1"))).toHaveLength(30);
  });

  test("hears nothing from one whose plane does not tick", async () => {
    const { notifier, node, said } = setUp();
    notifier.ready(node);
    await settle();
    node.overdueMs = WATCHDOG_MS / 2 + 1;
    await vi.advanceTimersByTimeAsync(10 * WATCHDOG_MS);
    expect(said).toHaveLength(1);
  });

  test("has no watchdog where it asked for none", async () => {
    const { notifier, node, said } = setUp({ watchdogMs: null });
    notifier.ready(node);
    await vi.advanceTimersByTimeAsync(10 * WATCHDOG_MS);
    expect(said).toHaveLength(1);
  });

  test("hears of a reload and its end, and of the end, in that order", async () => {
    const { notifier, node, said } = setUp();
    notifier.ready(node);
    notifier.reloading();
    notifier.reloaded();
    notifier.stopping();
    await vi.advanceTimersByTimeAsync(10 * WATCHDOG_MS);
    expect(said.map((line) => line.split(" ")[0])).toEqual([
      "READY=1",
      "RELOADING=1",
      "READY=1",
      "STOPPING=1",
    ]);
  });

  test("is told one word at a time, and a bounded number waits", async () => {
    const { notifier, node, said, state, release } = setUp();
    state.isHeld = true;
    notifier.ready(node);
    await settle();
    for (let i = 0; i < 1_000; i += 1) notifier.reloading();
    await vi.advanceTimersByTimeAsync(10 * WATCHDOG_MS);
    expect(said).toHaveLength(1);
    state.isHeld = false;
    release();
    await settle();
    expect(said).toHaveLength(8);
  });
});

test("a word that cannot be sent is a problem told once", async () => {
  const { notifier, node, problems } = setUp({ problem: "there is no systemd-notify" });
  notifier.ready(node);
  await vi.advanceTimersByTimeAsync(10 * WATCHDOG_MS);
  expect(problems).toEqual(["there is no systemd-notify"]);
});

test("a status is one short line, whatever a problem's message holds", async () => {
  const { notifier, said } = setUp();
  notifier.ready({ overdueMs: 0, summary: `a\nREADY=0\u0000${"x".repeat(500)}` });
  await settle();
  expect(said[0]).toMatch(/^READY=1 STATUS=a READY=0 x{189,191}$/);
});
