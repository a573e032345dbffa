// A text file that only grows, line by line durable, such as the audit log. Callbacks, since the
// loop must not wait for the disk.

import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  mkdirSync,
  open,
  openSync,
  readSync,
  rename,
  rmSync,
  write,
} from "node:fs";
import { dirname } from "node:path";
import type { AppendFile, AppendFileEnd } from "../kernel/system-ports.ts";

type Done = (error: Error | null) => void;

const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

export class RealAppendFile implements AppendFile {
  readonly #path: string;

  /** @param path absolute; its folder is made where missing, once something is written */
  constructor(path: string) {
    this.#path = path;
  }

  readEnd(bytesMax: number): AppendFileEnd {
    const current = readEnd(this.#path, bytesMax);
    if (current !== null) return { isCurrent: true, ...current };
    const before = readEnd(`${this.#path}.1`, bytesMax) ?? { text: "", sizeBytes: 0 };
    return { isCurrent: false, ...before };
  }

  append(text: string, done: Done): void {
    writeDurably(this.#path, APPEND, text, done);
  }

  rotate(firstText: string, filesMax: number, done: Done): void {
    const aside = `${this.#path}.new`;
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: FOLDER_MODE });
      rmSync(`${this.#path}.${filesMax - 1}`, { force: true });
    } catch (error) {
      setImmediate(() => done(error as Error));
      return;
    }
    writeDurably(aside, APPEND | constants.O_TRUNC, firstText, (error) => {
      if (error !== null) return done(error);
      this.#setAside(filesMax - 1, (asideError) => {
        if (asideError !== null) return done(asideError);
        rename(aside, this.#path, (renameError) => {
          if (renameError !== null) return done(renameError);
          syncFolder(dirname(this.#path), done);
        });
      });
    });
  }

  /** From the oldest on, each takes the next number. One that is missing leaves a gap, no more. */
  #setAside(number: number, done: Done): void {
    if (number === 0) {
      done(null);
      return;
    }
    const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
    rename(from, `${this.#path}.${number}`, (error) => {
      if (error !== null && error.code !== "ENOENT") done(error);
      else this.#setAside(number - 1, done);
    });
  }
}

/** Null when there is no such file. */
function readEnd(path: string, bytesMax: number): { text: string; sizeBytes: number } | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    const sizeBytes = fstatSync(file).size;
    const bytes = Buffer.alloc(Math.min(sizeBytes, bytesMax));
    const readBytes = readSync(file, bytes, 0, bytes.length, sizeBytes - bytes.length);
    return { text: bytes.toString("latin1", 0, readBytes), sizeBytes };
  } finally {
    closeSync(file);
  }
}

function writeDurably(path: string, flags: number, text: string, done: Done): void {
  open(path, flags, FILE_MODE, (openError, file) => {
    if (openError !== null) return done(openError);
    const finish = (error: Error | null): void => {
      closeSync(file);
      done(error);
    };
    const bytes = Buffer.from(text, "latin1");
    write(file, bytes, 0, bytes.length, null, (writeError, writtenBytes) => {
      if (writeError !== null) return finish(writeError);
      if (writtenBytes < bytes.length) return finish(new Error("the disk took part of a line"));
      fdatasync(file, finish);
    });
  });
}

function syncFolder(path: string, done: Done): void {
  open(path, constants.O_RDONLY | constants.O_DIRECTORY, (openError, folder) => {
    if (openError !== null) return done(openError);
    fsync(folder, (error) => {
      closeSync(folder);
      done(error);
    });
  });
}
