import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesToFree } from "../../src/engine/collector.ts";
import { Reserve } from "../../src/engine/reserve.ts";
import type { Children, Disk, RunResult } from "../../src/kernel/system-ports.ts";

const SIZE = 100;
const PATH = "/data/reserve";

/** A disk in memory, on which others write as well. */
class MemoryDisk implements Disk {
  totalBytes = 10_000;
  othersBytes = 0;
  readonly files = new Map<string, number>();
  canAllocate = true;
  programs: string[] = [];
  /** Free bytes whenever the reserve was made. */
  readonly freeWhenMade: number[] = [];
  readonly notes: string[] = [];

  get freeBytes(): number {
    return this.totalBytes - this.othersBytes - (this.files.get(PATH) ?? 0);
  }

  space() {
    return Promise.resolve({ totalBytes: this.totalBytes, freeBytes: this.freeBytes });
  }

  fileBytes(path: string): number | null {
    return this.files.get(path) ?? null;
  }

  removeFile(path: string): void {
    this.files.delete(path);
  }

  readonly children: Children = {
    start: () => {
      throw new Error("nothing runs for long");
    },
    run: (program) => Promise.resolve(this.#run(program)),
  };

  #run(program: string): RunResult {
    this.programs.push(program);
    if (program === "fallocate" && !this.canAllocate) {
      return { exitCode: 1, stdout: "", stderr: "fallocate failed: Operation not supported" };
    }
    this.freeWhenMade.push(this.freeBytes);
    const room = Math.min(SIZE, this.freeBytes);
    this.files.set(PATH, room);
    if (room === SIZE) return { exitCode: 0, stdout: "", stderr: "" };
    return { exitCode: 1, stdout: "", stderr: "fallocate failed: No space left on device" };
  }

  createReserve(): Reserve {
    return new Reserve({
      disk: this,
      children: this.children,
      path: PATH,
      sizeBytes: SIZE,
      onNote: (_level, code) => this.notes.push(code),
    });
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

async function tickFor(reserve: Reserve, fromMs: number, durationMs: number): Promise<void> {
  for (let nowMs = fromMs; nowMs <= fromMs + durationMs; nowMs += 10_000) {
    reserve.tick(nowMs);
    await settle();
  }
}

describe("the reserve", () => {
  it("is made at the start where there is room, and found again by the next daemon", async () => {
    const disk = new MemoryDisk();
    await tickFor(disk.createReserve(), 0, 0);
    expect(disk.fileBytes(PATH)).toBe(SIZE);
    const next = disk.createReserve();
    await tickFor(next, 0, 0);
    expect(next.state).toBe("held");
    expect(disk.programs).toEqual(["fallocate"]);
  });

  it("is written where the file system cannot allocate", async () => {
    const disk = new MemoryDisk();
    disk.canAllocate = false;
    const reserve = disk.createReserve();
    await tickFor(reserve, 0, 0);
    expect(disk.programs).toEqual(["fallocate", "nice"]);
    expect(reserve.state).toBe("held");
  });

  it("is none on a small disk, which the log says", async () => {
    const disk = new MemoryDisk();
    disk.totalBytes = 10 * SIZE - 1;
    const reserve = disk.createReserve();
    await tickFor(reserve, 0, 600_000);
    expect(disk.notes).toEqual(["reserve-off"]);
    expect(reserve.release(0)).toBe(false);
  });

  it("of another size gives way to one of the size that is asked for", async () => {
    const disk = new MemoryDisk();
    disk.files.set(PATH, SIZE / 2);
    await tickFor(disk.createReserve(), 0, 0);
    expect(disk.fileBytes(PATH)).toBe(SIZE);
  });

  it("is given up when asked, and made again once there has been room for a minute", async () => {
    const disk = new MemoryDisk();
    const reserve = disk.createReserve();
    await tickFor(reserve, 0, 0);
    disk.othersBytes = disk.totalBytes - SIZE;
    expect(reserve.release(1_000)).toBe(true);
    expect(disk.freeBytes).toBe(SIZE);
    expect(reserve.release(2_000)).toBe(false);
    await tickFor(reserve, 10_000, 600_000);
    expect(disk.fileBytes(PATH)).toBeNull();

    disk.othersBytes = disk.totalBytes - 2 * SIZE;
    await tickFor(reserve, 700_000, 50_000);
    expect(disk.fileBytes(PATH)).toBeNull();
    await tickFor(reserve, 760_000, 40_000);
    expect(disk.fileBytes(PATH)).toBe(SIZE);
  });

  it("never takes the last room, and never goes but when asked", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("others" as const), bytes: fc.nat(10_000) }),
      fc.record({ kind: fc.constantFrom("release" as const, "restart" as const, "wait" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const disk = new MemoryDisk();
        let reserve = disk.createReserve();
        let nowMs = 0;
        for (const taken of steps) {
          const heldBefore = disk.fileBytes(PATH);
          if (taken.kind === "others") {
            disk.othersBytes = Math.min(taken.bytes, disk.totalBytes - (disk.files.get(PATH) ?? 0));
          } else if (taken.kind === "restart") reserve = disk.createReserve();
          else if (taken.kind === "release") reserve.release(nowMs);
          nowMs += 30_000;
          reserve.tick(nowMs);
          await settle();
          if (heldBefore === SIZE && taken.kind !== "release") {
            expect(disk.fileBytes(PATH)).toBe(SIZE);
          }
          expect([null, SIZE]).toContain(disk.fileBytes(PATH));
        }
        for (const freeBytes of disk.freeWhenMade)
          expect(freeBytes).toBeGreaterThanOrEqual(2 * SIZE);
        disk.othersBytes = 0;
        await tickFor(reserve, nowMs + 700_000, 120_000);
        expect(reserve.state).toBe("held");
      }),
      { numRuns: 60 },
    );
  });
});

describe("what nix is asked to delete", () => {
  it("is nothing below the mark, and brings the disk below it above", () => {
    const bytes = fc.integer({ min: 1, max: 2 ** 50 });
    fc.assert(
      fc.property(bytes, fc.nat(1_000), fc.integer({ min: 50, max: 99 }), (total, share, mark) => {
        const freeBytes = Math.floor((total * share) / 1_000);
        const toFree = bytesToFree({ totalBytes: total, freeBytes }, mark);
        const usedShare = (total - freeBytes) / total;
        if (usedShare * 100 < mark) expect(toFree).toBe(0);
        else
          expect((total - freeBytes - toFree) / total).toBeLessThanOrEqual((mark - 9) / 100 + 1e-9);
      }),
    );
  });
});
