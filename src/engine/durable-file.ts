// A small file that is replaced as a whole: whoever reads it, after a power cut too, finds the old
// text or the new one. On a full disk it is what space is held back for.

import { rmSync } from "node:fs";
import { chmod, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Asked once when a write into `folder` failed. @returns whether another try may work now */
export type MakeRoom = (error: Error, folder: string) => boolean;

export interface FileReplacement {
  readonly path: string;
  readonly text: string;
  /** Whatever the daemon's umask. */
  readonly mode: number;
  readonly makeRoom: MakeRoom;
}

/** @throws a system error; the old file is then as it was */
export async function replaceFile(replacement: FileReplacement): Promise<void> {
  try {
    await replaceOnce(replacement);
  } catch (error) {
    if (!replacement.makeRoom(error as Error, dirname(replacement.path))) throw error;
    await replaceOnce(replacement);
  }
}

async function replaceOnce({ path, text, mode }: FileReplacement): Promise<void> {
  const aside = `${path}.new`;
  try {
    await writeFile(aside, text, { mode: 0o600, flush: true });
    await chmod(aside, mode);
    await rename(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}
