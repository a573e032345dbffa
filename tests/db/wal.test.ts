// The write-ahead log against crashes, rot, full disks and other people's files.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { headerOf, LOG_HEADER_BYTES, LogFormatError } from "../../src/db/log-format.ts";
import { WriteAheadLog } from "../../src/db/wal.ts";
import {
  LOG_BATCH_BYTES,
  LOG_BYTES_MAX,
  LOG_RECORD_BYTES_MAX,
  LOG_SNAPSHOT_BYTES_MIN,
} from "../../src/kernel/limits.ts";
import { MemoryStorage, settle } from "./memory-storage.ts";

const noSpace = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

/** A record that says its number, with a body whose length and bytes follow from it. */
function numbered(number: number, length = 8 + ((number * 37) % 90)): Uint8Array {
  const record = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) record[i] = (number * 31 + i * 7) & 0xff;
  new DataView(record.buffer).setUint32(0, number);
  return record;
}

function openLog(storage: MemoryStorage) {
  const records: Uint8Array[] = [];
  const { log, report } = WriteAheadLog.open(storage, (record) => records.push(record.slice()));
  return { log, report, records };
}

/** A finished file of the numbered records 1 to `count`. */
function fileOf(count: number): Uint8Array {
  const storage = new MemoryStorage();
  const { log } = openLog(storage);
  for (let number = 1; number <= count; number += 1) log.append(numbered(number));
  log.flush();
  settle(storage);
  return storage.content;
}

function numbersUpTo(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => numbered(i + 1));
}

describe("group commit", () => {
  test("numbers records from 1 and reports them durable once their write has ended", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    const durable: number[] = [];
    log.onDurable = (last) => durable.push(last);
    expect([log.append(numbered(1)), log.append(numbered(2))]).toEqual([1, 2]);
    log.flush();
    expect(durable).toEqual([]);
    expect(log.state).toBe("writing");
    storage.complete();
    expect(durable).toEqual([2]);
    expect(log.state).toBe("ready");
    expect(log.hasPending).toBe(false);
  });

  test("writes what gathered meanwhile as the next batch, by itself", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    const durable: number[] = [];
    log.onDurable = (last) => durable.push(last);
    log.append(numbered(1));
    log.flush();
    log.append(numbered(2));
    log.append(numbered(3));
    storage.complete();
    expect(storage.pendingKind).toBe("append");
    storage.complete();
    expect(durable).toEqual([1, 3]);
    expect(openLog(storage).records).toEqual(numbersUpTo(3));
  });

  test("refuses a record beyond the batch, and takes it again after the write", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    let taken = 0;
    while (log.append(numbered(taken + 1, LOG_RECORD_BYTES_MAX)) !== 0) taken += 1;
    expect(taken).toBe(
      Math.floor((LOG_BATCH_BYTES - LOG_HEADER_BYTES) / (LOG_RECORD_BYTES_MAX + 8)),
    );
    log.flush();
    expect(log.append(numbered(taken + 1, LOG_RECORD_BYTES_MAX))).toBe(taken + 1);
  });

  test("never lets the file outgrow its bound, and a snapshot makes room", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    let last = 0;
    for (;;) {
      const sequence = log.append(numbered(last + 1, LOG_RECORD_BYTES_MAX));
      if (sequence === 0 && storage.pendingKind === null && !log.hasPending) break;
      if (sequence === 0) {
        log.flush();
        settle(storage);
      } else last = sequence;
    }
    expect(storage.content.length).toBeLessThanOrEqual(LOG_BYTES_MAX);
    expect(storage.content.length).toBeGreaterThan(LOG_BYTES_MAX - LOG_RECORD_BYTES_MAX - 8);
    log.snapshot([numbered(last)]);
    settle(storage);
    expect(log.append(numbered(last + 1))).toBe(last + 1);
  });

  test("stops on a record that is empty or too long, which is the caller's mistake", () => {
    const { log } = openLog(new MemoryStorage());
    expect(() => log.append(new Uint8Array())).toThrow("LOG_RECORD_BYTES_MAX");
    expect(() => log.append(new Uint8Array(LOG_RECORD_BYTES_MAX + 1))).toThrow();
  });
});

describe("snapshot", () => {
  test("is wanted once the file has grown well beyond the last one", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    const grow = (sizeBytes: number): void => {
      while (log.sizeBytes <= sizeBytes) {
        expect(log.wantsSnapshot).toBe(false);
        expect(log.append(numbered(1))).not.toBe(0);
        log.flush();
        settle(storage);
      }
    };
    grow(LOG_SNAPSHOT_BYTES_MIN);
    expect(log.wantsSnapshot).toBe(true);
    log.snapshot(Array.from({ length: 300 }, (_, i) => numbered(i, 200)));
    expect(log.wantsSnapshot).toBe(false);
    const snapshotBytes = log.sizeBytes;
    settle(storage);
    grow(4 * snapshotBytes);
    expect(log.wantsSnapshot).toBe(true);
  });

  test("is wanted before the file is full, however large the last one was", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    log.snapshot(Array.from({ length: 2_500 }, (_, i) => numbered(i, LOG_RECORD_BYTES_MAX)));
    settle(storage);
    expect(log.wantsSnapshot).toBe(false);
    while (!log.wantsSnapshot) {
      if (log.append(numbered(1, LOG_RECORD_BYTES_MAX)) !== 0) continue;
      expect(log.hasPending).toBe(true);
      log.flush();
      settle(storage);
    }
    expect(log.sizeBytes).toBeLessThan(LOG_BYTES_MAX - LOG_BATCH_BYTES);
  });

  test("makes what was appended before it durable, and keeps what came after in order", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    const durable: number[] = [];
    log.onDurable = (last) => durable.push(last);
    log.append(numbered(1));
    log.snapshot(numbersUpTo(1));
    log.append(numbered(2));
    log.append(numbered(3));
    storage.complete();
    expect(durable).toEqual([1]);
    storage.complete();
    expect(durable).toEqual([1, 3]);
    expect(openLog(storage).records).toEqual(numbersUpTo(3));
  });

  test("waits for the write under way, and stands for it when that fails", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    const durable: number[] = [];
    const failed: number[] = [];
    log.onDurable = (last) => durable.push(last);
    log.onFailed = (first) => failed.push(first);
    log.append(numbered(1));
    log.flush();
    log.append(numbered(2));
    log.snapshot(numbersUpTo(2));
    expect(storage.pendingKind).toBe("append");
    log.append(numbered(3));
    storage.fail(noSpace, 0.5);
    expect(storage.pendingKind).toBe("replace");
    settle(storage);
    expect(durable).toEqual([2, 3]);
    expect(failed).toEqual([]);
    expect(openLog(storage).records).toEqual(numbersUpTo(3));
  });
});

describe("a full disk", () => {
  test("fails all that was waiting, refuses more, and recovers through a snapshot", () => {
    const storage = new MemoryStorage();
    const { log } = openLog(storage);
    const durable: number[] = [];
    const failed: unknown[] = [];
    log.onDurable = (last) => durable.push(last);
    log.onFailed = (first, last, error) => failed.push([first, last, error]);
    log.append(numbered(1));
    log.flush();
    storage.complete();
    log.append(numbered(2));
    log.flush();
    log.append(numbered(3));
    storage.fail(noSpace, 0.4);
    expect(failed).toEqual([[2, 3, noSpace]]);
    expect(log.state).toBe("failed");
    expect(log.wantsSnapshot).toBe(true);
    expect(log.append(numbered(4))).toBe(0);

    log.snapshot(numbersUpTo(3));
    storage.fail(noSpace, 0);
    expect(failed).toHaveLength(2);
    expect(log.state).toBe("failed");

    log.snapshot(numbersUpTo(3));
    expect(log.append(numbered(4))).toBe(4);
    settle(storage);
    expect(log.state).toBe("ready");
    expect(durable).toEqual([1, 3, 4]);
    expect(openLog(storage)).toMatchObject({ records: numbersUpTo(4), report: { damaged: null } });
  });
});

const operation = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: "append" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "flush" as const }) },
  { weight: 4, arbitrary: fc.constant({ kind: "complete" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "snapshot" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("fail" as const),
      fraction: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
);

test("any run of appends, failures and snapshots, then a crash: a prefix with all that was durable", () => {
  const fraction = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), fraction, (operations, tornFraction) => {
      const storage = new MemoryStorage();
      const { log } = openLog(storage);
      const settledUpTo = { value: 0 };
      let durableUpTo = 0;
      log.onDurable = (last) => {
        expect(last).toBeGreaterThan(durableUpTo);
        settledUpTo.value = Math.max(settledUpTo.value, last);
        durableUpTo = last;
      };
      log.onFailed = (first, last) => {
        expect(first).toBe(settledUpTo.value + 1);
        expect(last).toBeGreaterThanOrEqual(settledUpTo.value);
        settledUpTo.value = last;
      };
      let accepted = 0;
      for (const step of operations) {
        if (step.kind === "append") {
          const sequence = log.append(numbered(accepted + 1));
          expect(sequence).toBe(log.state === "failed" ? 0 : accepted + 1);
          accepted = Math.max(accepted, sequence);
        } else if (step.kind === "flush") log.flush();
        else if (step.kind === "complete") storage.complete();
        else if (step.kind === "snapshot") log.snapshot(numbersUpTo(accepted));
        else storage.fail(noSpace, step.fraction);
      }
      const { records, report } = openLog(storage.crash(tornFraction));
      expect(records).toEqual(numbersUpTo(records.length));
      expect(records.length).toBeGreaterThanOrEqual(durableUpTo);
      expect(records.length).toBeLessThanOrEqual(accepted);
      expect(report.damaged?.kind ?? "torn-tail").toBe("torn-tail");
    }),
    { numRuns: 500 },
  );
});

describe("replay", () => {
  test("an empty file is a new log", () => {
    const { report } = openLog(new MemoryStorage());
    expect(report).toEqual({ records: 0, validBytes: 0, damaged: null });
  });

  test("a header cut short by a crash is a new log that can be written", () => {
    for (let length = 1; length < LOG_HEADER_BYTES; length += 1) {
      const storage = new MemoryStorage(fileOf(1).slice(0, length));
      const { log, report } = openLog(storage);
      expect(report.damaged?.kind).toBe("torn-tail");
      log.append(numbered(1));
      log.flush();
      settle(storage);
      expect(storage.content).toEqual(fileOf(1));
    }
  });

  test("a tail cut anywhere is dropped as torn, and the log goes on from there", () => {
    const file = fileOf(6);
    for (let length = LOG_HEADER_BYTES; length <= file.length; length += 1) {
      const storage = new MemoryStorage(file.slice(0, length));
      const { log, report, records } = openLog(storage);
      expect(records).toEqual(numbersUpTo(records.length));
      expect(report.damaged?.kind ?? "torn-tail").toBe("torn-tail");
      expect(storage.content.length).toBe(report.validBytes);
      for (let number = records.length + 1; number <= 6; number += 1) log.append(numbered(number));
      log.flush();
      settle(storage);
      expect(storage.content).toEqual(file);
    }
  });

  test("zeros where a write was lost are a torn tail", () => {
    const file = fileOf(30);
    const storage = new MemoryStorage(new Uint8Array(file.length + 2_000));
    storage.content.set(file.subarray(0, 1_024));
    expect(openLog(storage).report.damaged?.kind).toBe("torn-tail");
    expect(openLog(new MemoryStorage(new Uint8Array(4_096))).report).toMatchObject({
      validBytes: 0,
      damaged: { kind: "torn-tail" },
    });
  });

  test("damage with intact records behind it is corruption", () => {
    const file = fileOf(20);
    file[LOG_HEADER_BYTES + 20]! ^= 0x10;
    const storage = new MemoryStorage(file.slice());
    expect(openLog(storage).report).toEqual({
      records: 0,
      validBytes: LOG_HEADER_BYTES,
      damaged: {
        offset: LOG_HEADER_BYTES,
        lostBytes: file.length - LOG_HEADER_BYTES,
        kind: "corrupt",
      },
    });
  });

  test("corruption is found again at every start until a snapshot has taken its place", () => {
    const file = fileOf(20);
    file[LOG_HEADER_BYTES + 20]! ^= 0x10;
    const storage = new MemoryStorage(file.slice());
    openLog(storage);
    const { log, report } = openLog(storage);
    expect(report.damaged?.kind).toBe("corrupt");
    expect([log.state, log.wantsSnapshot, log.append(numbered(1))]).toEqual(["failed", true, 0]);
    expect(storage.content).toEqual(file);
    log.snapshot(numbersUpTo(3));
    settle(storage);
    expect(openLog(storage)).toMatchObject({ report: { damaged: null }, records: numbersUpTo(3) });
  });

  test("more damage than one group commit can tear is corruption", () => {
    const file = new Uint8Array(LOG_HEADER_BYTES + LOG_BATCH_BYTES + 1);
    file.set(headerOf(1));
    expect(openLog(new MemoryStorage(file)).report.damaged?.kind).toBe("corrupt");
    const shorter = new MemoryStorage(file.slice(0, -1));
    expect(openLog(shorter).report.damaged?.kind).toBe("torn-tail");
  });

  test("one flipped bit anywhere: only unmodified records, in order, and the log goes on", () => {
    const file = fileOf(12);
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(7), (offset, bit) => {
        const rotten = file.slice();
        rotten[offset]! ^= 1 << bit;
        const storage = new MemoryStorage(rotten);
        const { log, report, records } = openLog(storage);
        expect(records).toEqual(numbersUpTo(records.length));
        expect(records.length).toBe(report.records);
        expect(report.damaged).not.toBeNull();
        if (offset < LOG_HEADER_BYTES) expect(records.length).toBe(12);
        if (records.length < 11) expect(report.damaged?.kind).toBe("corrupt");
        if (log.wantsSnapshot) log.snapshot(records);
        for (let number = records.length + 1; number <= 12; number += 1) {
          log.append(numbered(number));
        }
        log.flush();
        settle(storage);
        expect(openLog(storage).records).toEqual(numbersUpTo(12));
      }),
      { numRuns: 1_000 },
    );
  });

  test("a rotten header is repaired by the snapshot it asks for", () => {
    const file = fileOf(3);
    file[9]! ^= 0x01;
    const storage = new MemoryStorage(file);
    const { log } = openLog(storage);
    expect(log.wantsSnapshot).toBe(true);
    log.snapshot(numbersUpTo(3));
    settle(storage);
    expect(log.wantsSnapshot).toBe(false);
    expect(openLog(storage).report.damaged).toBeNull();
    expect(storage.content).toEqual(fileOf(3));
  });

  test("any bytes after a header: records or damage, no error, and a clean log after a snapshot", () => {
    const small = fc.constantFrom(0, 1, 2, 255);
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.array(small, { maxLength: 400 }));
    fc.assert(
      fc.property(bytes, (tail) => {
        const storage = new MemoryStorage(new Uint8Array([...headerOf(1), ...tail]));
        const { log, records } = openLog(storage);
        if (log.wantsSnapshot) log.snapshot(records);
        settle(storage);
        expect(openLog(storage)).toMatchObject({ report: { damaged: null }, records });
      }),
      { numRuns: 500 },
    );
  });

  test("any bytes as a file are read or refused by name, and what is refused is left alone", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const storage = new MemoryStorage(bytes);
        try {
          openLog(storage);
        } catch (error) {
          expect(error).toBeInstanceOf(LogFormatError);
          expect(storage.content).toEqual(bytes);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("somebody else's file is refused, with what to do about it", () => {
    const storage = new MemoryStorage(new TextEncoder().encode("#!/bin/sh\necho hello, world\n"));
    expect(() => openLog(storage)).toThrow(
      expect.objectContaining({
        code: "ERR_LOG_FOREIGN",
        message: expect.stringContaining("move the file away"),
      }),
    );
  });

  test("a log of a later version is refused, not cut", () => {
    const storage = new MemoryStorage(new Uint8Array([...headerOf(2), 1, 2, 3]));
    expect(() => openLog(storage)).toThrow(expect.objectContaining({ code: "ERR_LOG_VERSION" }));
    expect(storage.content.length).toBe(LOG_HEADER_BYTES + 3);
  });
});
