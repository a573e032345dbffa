// The write-ahead log: what a node has accepted, on disk before it is acknowledged. Records
// gather in memory while one write is under way, then go together with one fdatasync (group
// commit). A snapshot takes the place of the whole file before it grows, and heals a log
// whose tail is unknown after a failed write.

import { assert } from "../kernel/assert.ts";
import {
  LOG_BATCH_BYTES,
  LOG_BYTES_MAX,
  LOG_RECORD_BYTES_MAX,
  LOG_SNAPSHOT_BYTES_MIN,
} from "../kernel/limits.ts";
import type { Journal, LogStorage } from "../kernel/ports.ts";
import {
  assertRecord,
  encodeLog,
  FRAME_HEAD_BYTES,
  LOG_HEADER_BYTES,
  type ReplayReport,
  replayLog,
  writeFrame,
  writeHeader,
} from "./log-format.ts";

/**
 * `ready`: idle. `writing`: an append or a snapshot is under way; records gather meanwhile.
 * `failed`: the file's tail is unknown or rotten; nothing is taken until a snapshot succeeds.
 */
export type LogState = "ready" | "writing" | "failed";

/** The file may grow to this many times its last snapshot. */
const GROWTH_BEFORE_SNAPSHOT = 4;

export class WriteAheadLog implements Journal {
  /**
   * Called when every record up to `lastSequence` is on disk, as itself or within a snapshot;
   * those that were reported failed meanwhile aside.
   */
  onDurable: (lastSequence: number) => void = () => {};
  /**
   * Called when a write failed: the records from `firstSequence` to `lastSequence` may be on
   * disk or not, and must not be acknowledged. The range is empty (first = last + 1) when
   * only a snapshot was lost. The caller answers with a snapshot, after a pause of its choice.
   */
  onFailed: (firstSequence: number, lastSequence: number, error: Error) => void = () => {};

  readonly #storage: LogStorage;
  /** Takes new frames; changes places with `#writing` at each group commit. */
  #gathering: Uint8Array;
  #writing: Uint8Array;
  #gatheredBytes = 0;
  /** A whole new content that waits for the write under way. It stands for all that came before. */
  #snapshot: Uint8Array | null = null;
  #snapshotSequence = 0;
  #state: LogState = "ready";
  /** The file's size once all that is gathered is written. */
  #sizeBytes: number;
  #lastSnapshotBytes = 0;
  #lastSequence = 0;
  /** Up to here every record has been reported, as durable or as failed. */
  #settledSequence = 0;
  /** Up to here the file is complete. */
  #durableSequence = 0;

  /**
   * Reads the log back and makes it ready to go on. A torn tail is cut off. A log that lost
   * what was durable stays as it is, and takes nothing, until a snapshot is in its place: a
   * crash before that must find the damage again.
   * @param onRecord called with each intact record in order, as a view: copy what is kept
   * @param batchBytes bytes of one group commit; twice as much memory is taken, once
   * @throws LogFormatError when the file is not a log of this version; it is left as it is
   */
  static open(
    storage: LogStorage,
    onRecord: (record: Uint8Array) => void,
    batchBytes: number = LOG_BATCH_BYTES,
  ): { log: WriteAheadLog; report: ReplayReport } {
    const bytes = storage.read();
    assert(bytes.length <= LOG_BYTES_MAX, "the storage bounds what it reads");
    const report = replayLog(bytes, onRecord);
    const isTorn = report.damaged?.kind === "torn-tail";
    if (isTorn) storage.truncate(report.validBytes);
    return { log: new WriteAheadLog(storage, report, batchBytes), report };
  }

  private constructor(storage: LogStorage, report: ReplayReport, batchBytes: number) {
    assert(
      batchBytes >= LOG_HEADER_BYTES + FRAME_HEAD_BYTES + LOG_RECORD_BYTES_MAX &&
        batchBytes <= LOG_BATCH_BYTES,
      "a group commit holds at least the header and one record, at most LOG_BATCH_BYTES",
    );
    this.#storage = storage;
    this.#gathering = new Uint8Array(batchBytes);
    this.#writing = new Uint8Array(batchBytes);
    this.#sizeBytes = report.validBytes;
    if (report.damaged?.kind === "corrupt") {
      this.#state = "failed";
    } else if (report.validBytes === 0) {
      this.#gatheredBytes = writeHeader(this.#gathering);
      this.#sizeBytes = LOG_HEADER_BYTES;
    }
  }

  get state(): LogState {
    return this.#state;
  }

  /** Of the file, with what is on its way to it. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** True while a record awaits its report. */
  get hasPending(): boolean {
    return this.#lastSequence > this.#settledSequence;
  }

  /** True when the file has grown well beyond its last snapshot, or has to be rewritten. */
  get wantsSnapshot(): boolean {
    if (this.#state === "failed") return true;
    const grown = Math.max(
      LOG_SNAPSHOT_BYTES_MIN,
      this.#lastSnapshotBytes * GROWTH_BEFORE_SNAPSHOT,
    );
    const halfway = (this.#lastSnapshotBytes + LOG_BYTES_MAX) / 2;
    return this.#sizeBytes > Math.min(grown, halfway);
  }

  /**
   * Copies `record` (1 to LOG_RECORD_BYTES_MAX bytes) for the next group commit.
   * @returns its sequence number, or 0 when the batch or the file is full or the log has failed
   */
  append(record: Uint8Array): number {
    assertRecord(record);
    const frameBytes = FRAME_HEAD_BYTES + record.length;
    if (this.#state === "failed") return 0;
    if (this.#gatheredBytes + frameBytes > this.#gathering.length) return 0;
    if (this.#sizeBytes + frameBytes > LOG_BYTES_MAX) return 0;
    this.#gatheredBytes = writeFrame(this.#gathering, this.#gatheredBytes, record);
    this.#sizeBytes += frameBytes;
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  /** Starts writing what has gathered. While a write is under way it does nothing: the next one follows by itself. */
  flush(): void {
    if (this.#state !== "ready" || this.#gatheredBytes === 0) return;
    const batch = this.#gathering.subarray(0, this.#gatheredBytes);
    [this.#gathering, this.#writing] = [this.#writing, this.#gathering];
    this.#gatheredBytes = 0;
    this.#state = "writing";
    const lastSequence = this.#lastSequence;
    this.#storage.append(batch, (error) => this.#written(error, lastSequence));
  }

  /**
   * Puts `records` in place of the whole file: at once, or after the write under way.
   * @param records the caller's whole state, with everything appended so far. Read before
   *   this returns; at most LOG_BYTES_MAX with 8 bytes a record
   */
  snapshot(records: Iterable<Uint8Array>): void {
    this.#snapshot = encodeLog(records, this.#lastSnapshotBytes + LOG_SNAPSHOT_BYTES_MIN);
    this.#snapshotSequence = this.#lastSequence;
    this.#lastSnapshotBytes = this.#snapshot.length;
    this.#sizeBytes = this.#snapshot.length;
    this.#gatheredBytes = 0;
    if (this.#state !== "writing") this.#replace(this.#snapshot);
  }

  #replace(snapshot: Uint8Array): void {
    this.#snapshot = null;
    this.#state = "writing";
    const lastSequence = this.#snapshotSequence;
    this.#storage.replace(snapshot, (error) => this.#written(error, lastSequence));
  }

  /** A write has ended. A waiting snapshot goes next, and makes good a failure before it. */
  #written(error: Error | null, lastSequence: number): void {
    assert(this.#state === "writing", "a write ends once");
    if (this.#snapshot !== null) {
      if (error === null) this.#settle(lastSequence);
      this.#replace(this.#snapshot);
    } else if (error === null) {
      this.#state = "ready";
      this.#settle(lastSequence);
      this.flush();
    } else {
      this.#fail(error);
    }
  }

  #settle(lastSequence: number): void {
    if (lastSequence <= this.#durableSequence) return;
    this.#durableSequence = lastSequence;
    this.#settledSequence = Math.max(this.#settledSequence, lastSequence);
    this.onDurable(lastSequence);
  }

  #fail(error: Error): void {
    const firstSequence = this.#settledSequence + 1;
    this.#settledSequence = this.#lastSequence;
    this.#gatheredBytes = 0;
    this.#state = "failed";
    this.onFailed(firstSequence, this.#lastSequence, error);
  }
}
