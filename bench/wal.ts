// Records a second through the write-ahead log, beside the bare system calls that any log
// must make for them; and the same with libuv's io_uring on and off.
//   node scripts/run.mjs bench/wal.ts
import { spawnSync } from "node:child_process";
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { WriteAheadLog } from "../src/db/wal.ts";
import { LogFile } from "../src/io/log-file.ts";

/** One line of the table of figures. */
export interface BenchRow {
  readonly figure: string;
  readonly perSecond: number;
  /** The bare primitive's figure of the same run. */
  readonly bare: number;
  readonly ratio: number;
}

interface Measured {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

const RECORD_BYTES = 256;
const FRAME_BYTES = RECORD_BYTES + 8;
const BATCHES = [1, 16, 64];
const COMMITS = 300;
/** Log and bare take turns, so that a slow moment of the disk meets both. */
const ROUNDS = 5;
const RING_RUNS = 3;

/** Group commits of 1, 16 and 64 records of 256 bytes, one fdatasync each, on the disk of `.cache`. */
export async function benchWal(): Promise<BenchRow[]> {
  return (await measureAll()).map(({ batch, log, bare }) => ({
    figure: `WAL append, ${batch} ${batch === 1 ? "record" : "records"} of ${RECORD_BYTES} B a commit`,
    perSecond: log.perSecond,
    bare: bare.perSecond,
    ratio: log.perSecond / bare.perSecond,
  }));
}

async function measureAll(): Promise<{ batch: number; log: Measured; bare: Measured }[]> {
  const cache = join(process.cwd(), ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "bench-wal-"));
  try {
    const rows = [];
    for (const batch of BATCHES) rows.push(await measureBatch(folder, batch));
    return rows;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measureBatch(folder: string, batch: number) {
  const logRounds: Measured[] = [];
  const bareRounds: Measured[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const roundFolder = join(folder, `${batch}-${round}`);
    logRounds.push(await timed(batch, () => commitThroughLog(roundFolder, batch)));
    bareRounds.push(await timed(batch, () => commitBare(join(roundFolder, "bare"), batch)));
  }
  return { batch, log: median(logRounds), bare: median(bareRounds) };
}

async function timed(batch: number, run: () => Promise<void> | void): Promise<Measured> {
  const cpuBefore = process.cpuUsage();
  const startNanos = process.hrtime.bigint();
  await run();
  const seconds = Number(process.hrtime.bigint() - startNanos) / 1e9;
  const cpu = process.cpuUsage(cpuBefore);
  const records = batch * COMMITS;
  return { perSecond: records / seconds, cpuMicros: (cpu.user + cpu.system) / records };
}

function median(rounds: Measured[]): Measured {
  return rounds.toSorted((a, b) => a.perSecond - b.perSecond)[rounds.length >> 1]!;
}

function commitThroughLog(folder: string, batch: number): Promise<void> {
  const file = LogFile.open(folder);
  const { log } = WriteAheadLog.open(file, () => {});
  const record = new Uint8Array(RECORD_BYTES).fill(7);
  return new Promise((resolve, reject) => {
    let commits = 0;
    const commit = (): void => {
      for (let i = 0; i < batch; i += 1) log.append(record);
      log.flush();
    };
    log.onFailed = (_first, _last, error) => reject(error);
    log.onDurable = () => {
      commits += 1;
      if (commits < COMMITS) return commit();
      file.close();
      resolve();
    };
    commit();
  });
}

function commitBare(path: string, batch: number): void {
  const file = openSync(path, "a");
  const bytes = new Uint8Array(batch * FRAME_BYTES).fill(7);
  for (let commits = 0; commits < COMMITS; commits += 1) {
    writeSync(file, bytes);
    fdatasyncSync(file);
  }
  closeSync(file);
}

/** True when libuv has a ring open in this process: the variable alone says nothing. */
function hasRing(): boolean {
  return readdirSync("/proc/self/fd").some((file) => {
    try {
      return readlinkSync(`/proc/self/fd/${file}`).includes("io_uring");
    } catch {
      return false;
    }
  });
}

async function printRing(): Promise<void> {
  const rows = await measureAll();
  const cells = rows.map(
    ({ batch, log }) =>
      `${String(batch).padStart(3)}: ${rounded(log.perSecond)}/s ${log.cpuMicros.toFixed(1).padStart(6)} µs CPU`,
  );
  console.log(`ring ${hasRing() ? "open " : "none "} ${cells.join("   ")}`);
}

function printComparison(): void {
  console.log("\nlibuv's io_uring, records a commit: records/s and CPU time a record");
  for (let run = 0; run < RING_RUNS; run += 1) {
    for (const setting of ["0", "1"]) {
      const { stdout, status } = spawnSync(process.execPath, [process.argv[1]!, "--ring"], {
        env: { ...process.env, UV_USE_IO_URING: setting },
        stdio: ["ignore", "pipe", "inherit"],
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(`the run with UV_USE_IO_URING=${setting} failed`);
      console.log(`UV_USE_IO_URING=${setting}  ${stdout.trim()}`);
    }
  }
}

function rounded(value: number): string {
  return Math.round(value).toLocaleString("en").padStart(9);
}

if (process.env.MYCO_ENTRY === "wal.ts") {
  if (process.argv[2] === "--ring") await printRing();
  else {
    for (const { figure, perSecond, bare, ratio } of await benchWal()) {
      console.log(
        `${figure.padEnd(46)}${rounded(perSecond)}/s  bare${rounded(bare)}/s  ratio ${ratio.toFixed(2)}`,
      );
    }
    printComparison();
  }
}
