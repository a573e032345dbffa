// Small files of the kernel's, and the few the flow plane writes.

import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { SYSTEM_READ_BYTES } from "../kernel/limits.ts";
import type { OpenFile, SystemFiles } from "../kernel/system-ports.ts";

/** All files are read through this one, one after the other. */
const readBuffer = Buffer.allocUnsafeSlow(SYSTEM_READ_BYTES);

/** Folders whose files are the kernel's: written in place, since nothing can be renamed there. */
const KERNEL_FOLDERS = /^\/(proc|sys)\//;

export class RealSystemFiles implements SystemFiles {
  readText(path: string, bytesMax: number): string | null {
    const file = openFile(path);
    if (file === null) return null;
    try {
      return readWhole(file, bytesMax);
    } finally {
      closeSync(file);
    }
  }

  list(path: string): readonly string[] {
    try {
      return readdirSync(path).sort();
    } catch {
      return [];
    }
  }

  writeText(path: string, text: string): boolean {
    try {
      if (KERNEL_FOLDERS.test(path)) writeFileSync(path, text, { flag: "r+" });
      else writeAside(path, text);
      return true;
    } catch {
      return false;
    }
  }

  open(path: string): OpenFile | null {
    const file = openFile(path);
    return file === null ? null : new RealOpenFile(file);
  }
}

class RealOpenFile implements OpenFile {
  readonly #file: number;

  constructor(file: number) {
    this.#file = file;
  }

  read(offset: number): string | null {
    try {
      const sizeBytes = readSync(this.#file, readBuffer, 0, SYSTEM_READ_BYTES, offset);
      return readBuffer.toString("latin1", 0, sizeBytes);
    } catch {
      return null;
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** A FIFO or device in a watched folder must not hold the daemon. */
function openFile(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

/** UTF-8: the catalogue is written by people. */
function readWhole(file: number, bytesMax: number): string | null {
  const pieces: Buffer[] = [];
  let leftBytes = bytesMax;
  try {
    while (leftBytes > 0) {
      const sizeBytes = readSync(file, readBuffer, 0, Math.min(leftBytes, SYSTEM_READ_BYTES), null);
      if (sizeBytes === 0) break;
      pieces.push(Buffer.from(readBuffer.subarray(0, sizeBytes)));
      leftBytes -= sizeBytes;
    }
  } catch {
    return null;
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** A reader finds the old text or the new one, never half of it. */
function writeAside(path: string, text: string): void {
  const aside = `${path}.new`;
  try {
    writeFileSync(aside, text);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}
