// Writes to a log without end until it is killed, and says on standard output, a line each,
// which sequence numbers are durable. The state it keeps is the newest count of each of
// KEYS keys, so that snapshots have something to leave out.
import { writeSync } from "node:fs";
import { WriteAheadLog } from "../../src/db/wal.ts";
import { LogFile } from "../../src/io/log-file.ts";
import { KEYS, readCount, writeCount } from "./wal-counts.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: wal-writer FOLDER");

const state = new Map<number, number>();
const { log, report } = WriteAheadLog.open(LogFile.open(folder), (record) => {
  const { key, count } = readCount(record);
  state.set(key, count);
});
if (report.damaged?.kind === "corrupt") throw new Error("a kill leaves no corruption");

let count = Math.max(0, ...state.values());
const firstCount = count;

function* snapshotRecords(): Generator<Uint8Array> {
  for (const newest of state.values()) yield writeCount(newest);
}

/** Another few records beside the write under way, so that a kill finds batches of all sizes. */
function appendSome(): void {
  for (let i = 0; i < 1 + (count % 7); i += 1) {
    const sequence = log.append(writeCount(count + 1));
    if (sequence === 0) break;
    count += 1;
    state.set(count % KEYS, count);
  }
  if (log.wantsSnapshot) log.snapshot(snapshotRecords());
  log.flush();
}

log.onDurable = (lastSequence) => {
  writeSync(1, `${firstCount + lastSequence}\n`);
  setImmediate(appendSome);
};
log.onFailed = (_first, _last, error) => {
  throw error;
};
appendSome();
