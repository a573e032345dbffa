// What services print, kept in two files each: the current one, and the one before it.
// Reading back the last lines and following new ones both take bounded memory.

import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { assert } from "../kernel/assert.ts";
import {
  SERVICE_LOG_BYTES,
  SERVICE_LOG_FOLLOWERS_MAX,
  SERVICE_LOG_LINE_BYTES_MAX,
  SERVICE_LOG_TAIL_BYTES_MAX,
  SERVICE_LOGS_MAX,
} from "../kernel/limits.ts";
import type { InstanceLogs } from "./engine.ts";

const NEWLINE = 0x0a;
const newline = Buffer.from("\n");

/** Takes one service's output. Lines of several streams do not mix. */
export interface ServiceLogWriter {
  write(stream: string, chunk: Buffer): void;
  /** A line of the engine's own, marked as such. */
  note(text: string): void;
  /** Writes unfinished lines and closes the file. */
  close(): void;
}

/** The logs of all services of this node, in one folder. */
export class ServiceLogs implements InstanceLogs {
  readonly #folder: string;
  readonly #fileBytesMax: number;
  readonly #followers = new Map<string, Set<(line: string) => void>>();

  /** @param fileBytesMax a log's current file is set aside before it grows beyond */
  constructor(folder: string, fileBytesMax: number = SERVICE_LOG_BYTES) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#fileBytesMax = fileBytesMax;
  }

  /** Opens the log of `name` for appending. One writer a service at a time. */
  open(name: string): ServiceLogWriter {
    const path = this.#pathOf(name);
    this.#makeRoom(`${name}.log`);
    return new RotatingLog(path, this.#fileBytesMax, (line) => this.#tell(name, line));
  }

  tail(name: string, lineCount: number): Promise<string[]> {
    return Promise.resolve(this.lastLines(name, lineCount));
  }

  /** As `tail`, at once: they lie in small files of this machine. */
  lastLines(name: string, lineCount: number): string[] {
    const path = this.#pathOf(name);
    const current = readEnd(path, SERVICE_LOG_TAIL_BYTES_MAX);
    const before = readEnd(`${path}.1`, SERVICE_LOG_TAIL_BYTES_MAX - current.length);
    const lines = Buffer.concat([before, current]).toString("utf8").split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lineCount === 0 ? [] : lines.slice(-lineCount);
  }

  follow(name: string, lineCount: number, onLine: (line: string) => void): (() => void) | null {
    const followers = this.#followers.get(name) ?? new Set();
    if (followers.size >= SERVICE_LOG_FOLLOWERS_MAX) return null;
    for (const line of this.lastLines(name, lineCount)) onLine(line);
    // A function of its own, so that one caller may follow twice.
    const follower = (line: string): void => onLine(line);
    followers.add(follower);
    this.#followers.set(name, followers);
    return () => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(name) === followers) {
        this.#followers.delete(name);
      }
    };
  }

  #pathOf(name: string): string {
    assert(/^[a-z0-9-]+$/.test(name), "a service's name is a DNS label");
    return join(this.#folder, `${name}.log`);
  }

  #tell(name: string, line: Buffer): void {
    const followers = this.#followers.get(name);
    if (followers === undefined) return;
    const text = line.toString("utf8");
    for (const follower of [...followers]) follower(text);
  }

  /** Removes the logs written to longest ago, so that a service never seen before finds room. */
  #makeRoom(fileName: string): void {
    const logs = readdirSync(this.#folder).filter((file) => file.endsWith(".log"));
    if (logs.includes(fileName) || logs.length < SERVICE_LOGS_MAX) return;
    const byAge = logs
      .map((file) => ({ file, modifiedMs: statSync(join(this.#folder, file)).mtimeMs }))
      .sort((a, b) => a.modifiedMs - b.modifiedMs);
    for (const { file } of byAge.slice(0, logs.length - SERVICE_LOGS_MAX + 1)) {
      rmSync(join(this.#folder, file), { force: true });
      rmSync(join(this.#folder, `${file}.1`), { force: true });
    }
  }
}

class RotatingLog implements ServiceLogWriter {
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #onLine: (line: Buffer) => void;
  /** The last, unfinished line of each stream. */
  readonly #unfinished = new Map<string, Buffer>();
  #file: number | null = null;
  #sizeBytes = 0;
  #closed = false;

  constructor(path: string, bytesMax: number, onLine: (line: Buffer) => void) {
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#onLine = onLine;
  }

  write(stream: string, chunk: Buffer): void {
    const before = this.#unfinished.get(stream);
    const { lines, rest } = splitLines(before ? Buffer.concat([before, chunk]) : chunk);
    // A copy: the rest would keep the whole chunk in memory.
    this.#unfinished.set(stream, Buffer.from(rest));
    this.#append(lines);
  }

  note(text: string): void {
    this.#append([Buffer.from(`myco: ${text}`)]);
  }

  close(): void {
    this.#append([...this.#unfinished.values()].filter((line) => line.length > 0));
    this.#unfinished.clear();
    this.#closed = true;
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #append(lines: readonly Buffer[]): void {
    // A process that was killed may have left output in its pipe.
    if (this.#closed) return;
    for (const line of lines) this.#onLine(line);
    const block = Buffer.concat(lines.flatMap((line) => [line, newline]));
    if (block.length === 0) return;
    try {
      this.#writeBlock(block);
    } catch {
      // A full disk costs the service's log, not the service: the block is lost.
    }
  }

  #writeBlock(block: Buffer): void {
    this.#file ??= this.#openFile();
    if (this.#sizeBytes > 0 && this.#sizeBytes + block.length > this.#bytesMax) {
      closeSync(this.#file);
      this.#file = null;
      renameSync(this.#path, `${this.#path}.1`);
      this.#file = this.#openFile();
    }
    this.#sizeBytes += writeSync(this.#file, block);
  }

  #openFile(): number {
    const file = openSync(this.#path, "a", 0o640);
    this.#sizeBytes = fstatSync(file).size;
    return file;
  }
}

/** Whole lines without their ends, over-long ones in pieces, and what follows the last of them. */
function splitLines(bytes: Buffer): { lines: Buffer[]; rest: Buffer } {
  const lines: Buffer[] = [];
  let start = 0;
  while (start < bytes.length) {
    const limit = start + SERVICE_LOG_LINE_BYTES_MAX;
    const end = bytes.indexOf(NEWLINE, start);
    if (end !== -1 && end <= limit) {
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    } else if (bytes.length > limit) {
      lines.push(bytes.subarray(start, limit));
      start = limit;
    } else break;
  }
  return { lines, rest: bytes.subarray(start) };
}

/** The last whole lines of a file, `bytesMax` at most; empty when there is no such file. */
function readEnd(path: string, bytesMax: number): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const sizeBytes = fstatSync(file).size;
    const length = Math.min(sizeBytes, bytesMax);
    const bytes = Buffer.alloc(length);
    const end = bytes.subarray(0, readSync(file, bytes, 0, length, sizeBytes - length));
    return length === sizeBytes ? end : end.subarray(end.indexOf(NEWLINE) + 1);
  } finally {
    closeSync(file);
  }
}
