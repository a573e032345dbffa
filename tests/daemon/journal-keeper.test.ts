import { describe, expect, it } from "vitest";
import { EventLog } from "../../src/daemon/event-log.ts";
import { FlightRecorder } from "../../src/daemon/flight-recorder.ts";
import { JournalKeeper } from "../../src/daemon/journal-keeper.ts";
import { createLogger } from "../../src/daemon/logger.ts";
import { LOG_SNAPSHOT_BYTES_MIN } from "../../src/kernel/limits.ts";
import { MemoryStorage, settle } from "../db/memory-storage.ts";

function setUp(disk = new MemoryStorage()) {
  const logger = createLogger({ level: "fatal", format: "json" }, () => {});
  const events = new EventLog(logger, new FlightRecorder(), () => 0);
  const records: string[] = [];
  const keeper = new JournalKeeper(
    disk,
    (record) => records.push(Buffer.from(record).toString()),
    events,
    () => 0,
  );
  const told: string[] = [];
  const state: string[] = ["kept"];
  const replica = {
    hasLogGap: false,
    journalDurable: (sequence: number) => told.push(`durable ${sequence}`),
    journalFailed: (first: number, last: number) => told.push(`failed ${first}-${last}`),
    snapshot: () => state.map((text) => Buffer.from(text)),
  };
  keeper.attach(replica);
  const health: (string | null)[] = [];
  keeper.onHealth = (problem) => health.push(problem);
  return { disk, keeper, replica, records, told, state, health };
}

describe("the journal keeper", () => {
  it("tells the replica once its records are on disk, and not before", () => {
    const { disk, keeper, told } = setUp();
    keeper.log.append(Buffer.from("one"));
    keeper.tick(0);
    expect(told).toEqual([]);
    disk.complete();
    expect(told).toEqual(["durable 1"]);
    expect(keeper.commitCount).toBe(1);
  });

  it("gives back at the next start what was durable", async () => {
    const { disk, keeper } = setUp();
    keeper.log.append(Buffer.from("one"));
    keeper.flush();
    disk.complete();
    expect(setUp(disk).records).toEqual(["one"]);
  });

  it("takes a snapshot when more came than the log could take", () => {
    const { disk, keeper, replica } = setUp();
    // Given a record that found no place in the log, and the table alone knows
    replica.hasLogGap = true;
    // When the tick ends and the disk is done
    keeper.tick(0);
    replica.hasLogGap = false;
    disk.complete();
    // Then the next start finds what the table had
    expect(setUp(disk).records).toEqual(["kept"]);
  });

  it("mends a log that failed with a snapshot, after waits that grow", () => {
    const { disk, keeper, told, health } = setUp();
    const full = new Error("ENOSPC: no space left on device");
    keeper.log.append(Buffer.from("lost"));
    keeper.tick(0);
    disk.fail(full, 0.5);
    expect(told).toEqual(["failed 1-1"]);
    expect(keeper.problem).toContain("ENOSPC");
    expect(keeper.log.append(Buffer.from("refused"))).toBe(0);

    const attempts: number[] = [];
    for (let nowMs = 100; nowMs <= 20_000; nowMs += 100) {
      keeper.tick(nowMs);
      if (keeper.log.state === "writing") attempts.push(nowMs);
      disk.fail(full, 0.5);
    }
    const waits = attempts.slice(1).map((atMs, index) => atMs - attempts[index]!);
    expect(attempts.length).toBeGreaterThan(2);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(waits[0]).toBeGreaterThanOrEqual(1_000);

    keeper.tick(60_000);
    disk.complete();
    expect(keeper.problem).toBeNull();
    expect(health.at(-1)).toBeNull();
    expect(setUp(disk).records).toEqual(["kept"]);
    expect(keeper.log.append(Buffer.from("taken"))).toBeGreaterThan(0);
  });

  it("replaces a log that has grown by a snapshot", () => {
    const { disk, keeper } = setUp();
    for (let i = 0; i < LOG_SNAPSHOT_BYTES_MIN / 512 + 1; i += 1) {
      keeper.log.append(new Uint8Array(512));
      keeper.tick(i);
      settle(disk);
    }
    expect(disk.content.length).toBeLessThan(LOG_SNAPSHOT_BYTES_MIN / 10);
  });

  it("waits at the end for the write under way, and says when the disk never answers", async () => {
    const { disk, keeper } = setUp();
    keeper.log.append(Buffer.from("last"));
    expect(await keeper.settle(30)).toBe(false);
    setImmediate(() => disk.complete());
    expect(await keeper.settle(5_000)).toBe(true);
  });
});
