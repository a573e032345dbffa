import { describe, expect, it } from "vitest";
import { BackgroundRunner } from "../../src/engine/background.ts";
import { StoreCollector } from "../../src/engine/collector.ts";
import type { Children, DiskSpace } from "../../src/kernel/system-ports.ts";

function setUp() {
  const calls: { atMs: number; args: readonly string[] }[] = [];
  const notes: string[] = [];
  const state = {
    nowMs: 0,
    exitCode: 0,
    space: { totalBytes: 1_000, freeBytes: 500 } as DiskSpace,
  };
  const children: Children = {
    start: () => {
      throw new Error("nothing runs for long");
    },
    run: (_program, args) => {
      calls.push({ atMs: state.nowMs, args });
      return Promise.resolve({ exitCode: state.exitCode, stdout: "", stderr: "" });
    },
  };
  const collector = new StoreCollector({
    disk: {
      space: () => Promise.resolve(state.space),
      fileBytes: () => null,
      removeFile: () => {},
    },
    background: new BackgroundRunner({ children, runner: "direct", environment: {} }),
    abovePercent: 85,
    onNote: (_level, code) => notes.push(code),
  });
  const run = async (durationMs: number): Promise<void> => {
    for (const endMs = state.nowMs + durationMs; state.nowMs < endMs; state.nowMs += 1_000) {
      collector.tick(state.nowMs);
      for (let i = 0; i < 10; i += 1) await Promise.resolve();
    }
  };
  return { calls, notes, state, collector, run };
}

describe("the collector", () => {
  it("does nothing while there is room", async () => {
    const { calls, run } = setUp();
    await run(3_600_000);
    expect(calls).toEqual([]);
  });

  it("frees what is needed once the disk is rather full, and again after half an hour at most", async () => {
    const { calls, notes, state, run } = setUp();
    state.space = { totalBytes: 1_000, freeBytes: 100 };
    await run(2 * 3_600_000);
    expect(calls[0]!.args.slice(-4)).toEqual(["store", "gc", "--max", "150"]);
    expect(notes[0]).toBe("collected");
    const gaps = calls.slice(1).map(({ atMs }, i) => atMs - calls[i]!.atMs);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(30 * 60_000);
  });

  it("does not wait so long when the disk is full", async () => {
    const { calls, state, collector, run } = setUp();
    state.space = { totalBytes: 1_000, freeBytes: 0 };
    await run(10 * 60_000);
    collector.hurry();
    await run(60_000);
    expect(calls).toHaveLength(2);
  });

  it("says so when nix cannot", async () => {
    const { notes, state, run } = setUp();
    state.space = { totalBytes: 1_000, freeBytes: 0 };
    state.exitCode = 1;
    await run(120_000);
    expect(notes).toEqual(["collect-failed"]);
  });
});
