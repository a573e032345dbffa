// Keeps the write-ahead log going: flushes it, replaces it by a snapshot before it grows, and
// mends it after the disk refused, with a pause that grows while the disk goes on refusing.

import type { ReplayReport } from "../db/log-format.ts";
import { WriteAheadLog } from "../db/wal.ts";
import type { LogStorage, WriteDone } from "../kernel/ports.ts";
import type { ReplicaInterface } from "../node/interface.ts";
import type { EventLog } from "./event-log.ts";

const REPAIR_WAIT_MIN_MS = 1_000;
const REPAIR_WAIT_MAX_MS = 30_000;
/** How often the end of the last write is looked for at the stop. */
const SETTLE_POLL_MS = 10;

type JournaledReplica = Pick<
  ReplicaInterface,
  "journalDurable" | "journalFailed" | "snapshot" | "hasLogGap"
>;

export class JournalKeeper {
  readonly log: WriteAheadLog;
  readonly report: ReplayReport;
  readonly #events: EventLog;
  readonly #nowMs: () => number;
  /** Told when the log fails, with why, and when it works again, with null. */
  onHealth: (problem: string | null) => void = () => {};
  /** Asked when a write failed. True: there is room now, and the log is mended without a pause. */
  makeRoom: (error: Error) => boolean = () => false;
  #replica: JournaledReplica | null = null;
  #problem: string | null = null;
  #failureCount = 0;
  #repairAtMs = 0;
  #commitCount = 0;

  /**
   * Reads the log back.
   * @param onRecord each intact record, as a view
   * @throws LogFormatError
   */
  constructor(
    storage: LogStorage,
    onRecord: (record: Uint8Array) => void,
    events: EventLog,
    nowMs: () => number,
  ) {
    const counted = countCommits(storage, () => this.#committed());
    const { log, report } = WriteAheadLog.open(counted, onRecord);
    this.log = log;
    this.report = report;
    this.#events = events;
    this.#nowMs = nowMs;
    log.onDurable = (lastSequence) => this.#durable(lastSequence);
    log.onFailed = (first, last, error) => this.#failed(first, last, error);
  }

  /** Why the log takes no writes, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Writes and snapshots that reached the disk. */
  get commitCount(): number {
    return this.#commitCount;
  }

  /** Whose records they are. Before the first record is appended. */
  attach(replica: JournaledReplica): void {
    this.#replica = replica;
  }

  /** Once a tick, at its end; and whenever a write should not wait for it: `flush`. */
  tick(monotonicMs: number): void {
    // A gap: more came in one tick than the log takes at a time.
    if (this.log.state === "failed" || this.#replica?.hasLogGap === true) {
      if (monotonicMs >= this.#repairAtMs) this.#snapshot(monotonicMs);
    } else if (this.log.wantsSnapshot) {
      this.#snapshot(monotonicMs);
    }
    this.log.flush();
  }

  flush(): void {
    this.log.flush();
  }

  /** Writes what is left and waits for the disk, for `timeoutMs` at most. @returns whether all is durable */
  async settle(timeoutMs: number): Promise<boolean> {
    const endMs = performance.now() + timeoutMs;
    this.log.flush();
    while (this.log.state === "writing" && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    }
    return this.log.state === "ready" && !this.log.hasPending;
  }

  #snapshot(monotonicMs: number): void {
    const waitMs = Math.min(REPAIR_WAIT_MAX_MS, REPAIR_WAIT_MIN_MS * 2 ** this.#failureCount);
    this.#repairAtMs = monotonicMs + waitMs;
    this.log.snapshot(this.#replica?.snapshot() ?? []);
  }

  #durable(lastSequence: number): void {
    this.#replica?.journalDurable(lastSequence, this.#nowMs());
  }

  #failed(first: number, last: number, error: Error): void {
    this.#failureCount += 1;
    this.#problem = error.message;
    this.#events.note("error", "log-failed", "the log cannot be written; writes are refused", {
      error: error.message,
      failures: this.#failureCount,
    });
    this.#replica?.journalFailed(first, last);
    this.onHealth(error.message);
    if (this.makeRoom(error)) this.#repairAtMs = 0;
  }

  /** A write reached the disk: what was wrong with it before is over. */
  #committed(): void {
    this.#commitCount += 1;
    if (this.#problem === null) return;
    this.#problem = null;
    this.#failureCount = 0;
    this.#events.note("info", "log-recovered", "the log is written again");
    this.onHealth(null);
  }
}

function countCommits(storage: LogStorage, onCommit: () => void): LogStorage {
  const counting =
    (done: WriteDone): WriteDone =>
    (error) => {
      if (error === null) onCommit();
      done(error);
    };
  return {
    read: () => storage.read(),
    truncate: (sizeBytes) => storage.truncate(sizeBytes),
    append: (bytes, done) => storage.append(bytes, counting(done)),
    replace: (bytes, done) => storage.replace(bytes, counting(done)),
  };
}
