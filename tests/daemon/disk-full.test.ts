// A disk that is really full: a small file system in memory, with the log and the reserve on it.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DiskKeeper } from "../../src/daemon/disk-keeper.ts";
import { EventLog } from "../../src/daemon/event-log.ts";
import { FlightRecorder } from "../../src/daemon/flight-recorder.ts";
import { JournalKeeper } from "../../src/daemon/journal-keeper.ts";
import { createLogger } from "../../src/daemon/logger.ts";
import { BackgroundRunner } from "../../src/engine/background.ts";
import { FileNotes } from "../../src/engine/note-folder.ts";
import { SystemChildren } from "../../src/io/children.ts";
import { RealDisk } from "../../src/io/disk.ts";
import { LogFile } from "../../src/io/log-file.ts";

const MIB = 1024 * 1024;
const DISK_BYTES = 24 * MIB;
const RESERVE_BYTES = 2 * MIB;
const mountPoint = mkdtempSync(join(tmpdir(), "myco-disk-full-"));
const canMount = mount();

function mount(): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    const options = `size=${DISK_BYTES}`;
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "myco-test", mountPoint], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

afterAll(() => {
  if (canMount) execFileSync("umount", [mountPoint]);
  rmSync(mountPoint, { recursive: true, force: true });
});

function freeBytes(): number {
  const { bavail, bsize } = statfsSync(mountPoint);
  return bavail * bsize;
}

/** What another program writes; all that is left, less what is told. */
function fillDisk(name: string, leftBytes = 0): void {
  const sizeBytes = freeBytes() - leftBytes;
  if (sizeBytes > 0) execFileSync("fallocate", ["-l", String(sizeBytes), join(mountPoint, name)]);
}

async function eventually(holds: () => boolean, step: () => void): Promise<boolean> {
  for (let i = 0; i < 400 && !holds(); i += 1) {
    step();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return holds();
}

describe.skipIf(!canMount)("a node whose disk is full (needs root)", () => {
  let logFile: LogFile;
  let keeper: JournalKeeper;
  let disk: DiskKeeper;
  let nowMs = 0;
  const state: string[] = [];
  const durable = { last: 0 };

  function tick(): void {
    nowMs += 1_000;
    disk.tick(nowMs);
    keeper.tick(nowMs);
  }

  function openNode(): string[] {
    const logger = createLogger({ level: "fatal", format: "json" }, () => {});
    const events = new EventLog(logger, new FlightRecorder(), () => 0);
    const records: string[] = [];
    logFile = LogFile.open(join(mountPoint, "data"));
    const onRecord = (record: Uint8Array) => void records.push(Buffer.from(record).toString());
    keeper = new JournalKeeper(logFile, onRecord, events, () => 0);
    keeper.attach({
      hasLogGap: false,
      journalDurable: (last) => {
        durable.last = last;
      },
      journalFailed: () => {},
      snapshot: () => state.map((text) => Buffer.from(text)),
    });
    const children = new SystemChildren({ stateDir: null });
    disk = new DiskKeeper({
      disk: new RealDisk(),
      children,
      background: new BackgroundRunner({ children, runner: "direct", environment: {} }),
      events,
      dataDir: join(mountPoint, "data"),
      reserveBytes: RESERVE_BYTES,
      collectAbovePercent: 99,
    });
    keeper.makeRoom = (error) => disk.makeRoom(error, join(mountPoint, "data"));
    return records;
  }

  /** @returns its number, 0 when it is refused */
  function write(text: string): number {
    const sequence = keeper.log.append(Buffer.from(text));
    if (sequence > 0) state.push(text);
    return sequence;
  }

  const hasReserve = (): boolean =>
    new RealDisk().fileBytes(join(mountPoint, "data", "reserve")) === RESERVE_BYTES;

  beforeAll(() => void openNode());

  it("holds space back, gives it up when its log cannot be written, and recovers by itself", async () => {
    expect(await eventually(hasReserve, tick)).toBe(true);
    expect(freeBytes()).toBeLessThanOrEqual(DISK_BYTES - RESERVE_BYTES);
    const first = write("before");
    expect(await eventually(() => durable.last >= first, tick)).toBe(true);

    // When the disk is full to the last byte, and the log has to grow
    fillDisk("hog");
    let isFailed = false;
    keeper.onHealth = (problem) => {
      isFailed ||= problem !== null;
    };
    for (let i = 0; i < 64 && !isFailed; i += 1) {
      write(`${i}-${"x".repeat(900)}`);
      tick();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(isFailed).toBe(true);
    // Then the reserve is gone, and the log is written again
    expect(hasReserve()).toBe(false);
    expect(await eventually(() => keeper.problem === null, tick)).toBe(true);
    const last = write("after");
    expect(await eventually(() => durable.last >= last, tick)).toBe(true);
  });

  it("has at the next start all that it acknowledged", async () => {
    expect(await keeper.settle(5_000)).toBe(true);
    logFile.close();
    const records = openNode();
    expect(records).toContain("before");
    expect(records).toContain("after");
  });

  it("goes on refusing when the room that it gave up is taken, and holds space back again later", async () => {
    fillDisk("hog-2");
    for (let i = 0; i < 64 && keeper.problem === null; i += 1) {
      write(`again-${i}-${"x".repeat(900)}`);
      tick();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(keeper.problem).toMatch(/ENOSPC|takes no more/);
    expect(write("refused")).toBe(0);
    rmSync(join(mountPoint, "hog"));
    rmSync(join(mountPoint, "hog-2"));
    expect(await eventually(() => keeper.problem === null, tick)).toBe(true);
    expect(await eventually(hasReserve, tick)).toBe(true);
    expect(await keeper.settle(5_000)).toBe(true);
    logFile.close();
  });

  it("gives up what it holds back for the note of a service, which needs it as much as the log", async () => {
    const makeRoom = (error: Error, folder: string): boolean => disk.makeRoom(error, folder);
    const notes = new FileNotes(join(mountPoint, "data", "units"), makeRoom);
    const note = "x".repeat(8_192);
    fillDisk("hog-3");

    // Given a write that failed elsewhere, then the space stays: it would be of no use there
    const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
    expect(makeRoom(full, "/proc")).toBe(false);
    expect(hasReserve()).toBe(true);

    // When the note has to be written here, then it is, at the reserve's cost
    expect(await notes.write("web", note)).toBe(true);
    expect(hasReserve()).toBe(false);
    expect(notes.readAll().get("web")).toBe(note);

    // And when that is taken too, the old note stays whole
    fillDisk("hog-4");
    expect(await notes.write("web", `${note}${note}`)).toBe(false);
    expect(notes.readAll().get("web")).toBe(note);
  });
});
