// How much room a file system has, and the files that hold some of it back.

import { rmSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Disk, DiskSpace } from "../kernel/system-ports.ts";

/** Whether two folders lie on one file system; false where it cannot be told. */
export function shareDisk(folder: string, other: string): boolean {
  try {
    return statSync(folder).dev === statSync(other).dev;
  } catch {
    return false;
  }
}

export class RealDisk implements Disk {
  async space(path: string): Promise<DiskSpace | null> {
    try {
      const { blocks, bavail, bsize } = await statfs(path);
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    } catch {
      return null;
    }
  }

  fileBytes(path: string): number | null {
    try {
      return statSync(path).size;
    } catch {
      return null;
    }
  }

  removeFile(path: string): void {
    rmSync(path, { force: true });
  }
}
