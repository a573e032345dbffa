// The write-ahead log's storage on a real disk. Callbacks rather than promises: this is the
// path every accepted write takes.

import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  open,
  openSync,
  readSync,
  rename,
  rmSync,
  unlink,
  write,
} from "node:fs";
import { dirname, join } from "node:path";
import { assert } from "../kernel/assert.ts";
import { LOG_BYTES_MAX } from "../kernel/limits.ts";
import type { LogStorage, WriteDone } from "../kernel/ports.ts";
import { lockData } from "./data-lock.ts";

const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** The file is larger than any log this program writes. */
export class LogFileError extends Error {
  override readonly name = "LogFileError";
  readonly code = "ERR_LOG_TOO_LARGE";
}

/** `FOLDER/wal`, and `FOLDER/wal.new` while it is being replaced. The folder is locked while open. */
export class LogFile implements LogStorage {
  readonly #path: string;
  readonly #folderFile: number;
  readonly #unlock: () => void;
  #file: number;
  #busy = false;

  /**
   * Opens the log of `folder`; makes the folder (mode 0700) and the file (0600) where missing.
   * @throws DataLockError when another daemon works there; a system error when the disk refuses
   */
  static open(folder: string): LogFile {
    makeFolder(folder);
    const unlock = lockData(folder);
    try {
      return new LogFile(folder, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  private constructor(folder: string, unlock: () => void) {
    this.#unlock = unlock;
    this.#path = join(folder, "wal");
    rmSync(`${this.#path}.new`, { force: true });
    this.#file = openSync(this.#path, OPEN_FLAGS, FILE_MODE);
    this.#folderFile = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    fsyncSync(this.#folderFile);
  }

  read(): Uint8Array {
    const sizeBytes = fstatSync(this.#file).size;
    if (sizeBytes > LOG_BYTES_MAX) {
      throw new LogFileError(
        `The log ${this.#path} has ${sizeBytes} bytes; ${LOG_BYTES_MAX} is the most this program writes. Move it away to start empty and sync from a peer.`,
      );
    }
    const bytes = new Uint8Array(sizeBytes);
    let offset = 0;
    while (offset < sizeBytes) {
      const readBytes = readSync(this.#file, bytes, offset, sizeBytes - offset, offset);
      if (readBytes === 0) break;
      offset += readBytes;
    }
    return bytes.subarray(0, offset);
  }

  truncate(sizeBytes: number): void {
    ftruncateSync(this.#file, sizeBytes);
    fsyncSync(this.#file);
  }

  append(bytes: Uint8Array, done: WriteDone): void {
    const finish = this.#begin(done);
    writeDurably(this.#file, bytes, finish);
  }

  replace(bytes: Uint8Array, done: WriteDone): void {
    const finish = this.#begin(done);
    const flags = OPEN_FLAGS | constants.O_TRUNC;
    open(`${this.#path}.new`, flags, FILE_MODE, (openError, file) => {
      if (openError !== null) return finish(openError);
      writeDurably(file, bytes, (writeError) => {
        if (writeError !== null) return this.#discard(file, writeError, finish);
        this.#takeOver(file, finish);
      });
    });
  }

  /** Ends the use of the folder. No write may be under way. */
  close(): void {
    assert(!this.#busy, "the log is closed after its last write has ended");
    closeSync(this.#file);
    closeSync(this.#folderFile);
    this.#unlock();
  }

  #begin(done: WriteDone): WriteDone {
    assert(!this.#busy, "one write of the log is under way at a time");
    this.#busy = true;
    return (error) => {
      this.#busy = false;
      done(error);
    };
  }

  /** The new file takes the old one's name. From the rename on it is the log, whatever follows. */
  #takeOver(file: number, finish: WriteDone): void {
    rename(`${this.#path}.new`, this.#path, (renameError) => {
      if (renameError !== null) return this.#discard(file, renameError, finish);
      const oldFile = this.#file;
      this.#file = file;
      close(oldFile, () => fsync(this.#folderFile, finish));
    });
  }

  /** Frees the room a failed replacement took, which a full disk needs most. */
  #discard(file: number, cause: Error, finish: WriteDone): void {
    close(file, () => unlink(`${this.#path}.new`, () => finish(cause)));
  }
}

function writeDurably(file: number, bytes: Uint8Array, done: WriteDone): void {
  writeWhole(file, bytes, 0, (error) => {
    if (error !== null) return done(error);
    fdatasync(file, done);
  });
}

/** The system may take fewer bytes than offered (a nearly full disk, a signal); the rest follows. */
function writeWhole(file: number, bytes: Uint8Array, offset: number, done: WriteDone): void {
  write(file, bytes, offset, bytes.length - offset, null, (error, writtenBytes) => {
    if (error !== null) return done(error);
    const next = offset + writtenBytes;
    if (next >= bytes.length) return done(null);
    if (writtenBytes === 0) return done(fullDisk());
    writeWhole(file, bytes, next, done);
  });
}

function fullDisk(): Error {
  return Object.assign(new Error("the disk takes no more of the log"), { code: "ENOSPC" });
}

/** Makes `folder`, and makes its entry in the folder above as durable as what will lie in it. */
function makeFolder(folder: string): void {
  const firstMade = mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  if (firstMade === undefined) return;
  for (let made = folder; ; made = dirname(made)) {
    const above = openSync(dirname(made), constants.O_RDONLY | constants.O_DIRECTORY);
    fsyncSync(above);
    closeSync(above);
    if (made === firstMade || made === dirname(made)) return;
  }
}
