// Pipes whose daemon's end never blocks and is read when the daemon likes. Node has no call that
// makes a pipe; named ones (fifo(7)), made at start, serve without a spawn when a child is started.

import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PIPES_MAX } from "../kernel/limits.ts";

export interface PooledPipe {
  readonly path: string;
  readonly daemonEnd: number;
  /** To be closed here once the child has it. */
  readonly childEnd: number;
}

export class PipePool {
  readonly #free: string[];

  /**
   * Makes the pipes' names in `folder`, in place of those of an earlier daemon. Where there is no
   * mkfifo the pool is empty.
   * @param path where mkfifo is looked for
   */
  constructor(folder: string, path: string) {
    this.#free = Array.from({ length: PIPES_MAX }, (_, index) => join(folder, `pipe-${index}`));
    for (const name of this.#free) rmSync(name, { force: true });
    const options = { env: { PATH: path }, stdio: "ignore" } as const;
    const made = spawnSync("mkfifo", ["-m", "600", ...this.#free], options);
    if (made.status !== 0) this.#free = [];
  }

  /**
   * @param daemonSide which end the daemon keeps
   * @returns null when all are in use, or the names are gone
   */
  open(daemonSide: "reads" | "writes"): PooledPipe | null {
    const path = this.#free.pop();
    if (path === undefined) return null;
    try {
      return openEnds(path, daemonSide);
    } catch {
      // Its folder was emptied by someone: this name is of no use any more.
      return null;
    }
  }

  /** Its child has ended. */
  close(pipe: PooledPipe): void {
    closeSync(pipe.daemonEnd);
    // With no end open the pipe is empty, and is another's next.
    this.#free.push(pipe.path);
  }
}

/** An end can be opened while the other one is: the first here is both. */
function openEnds(path: string, daemonSide: "reads" | "writes"): PooledPipe {
  const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = constants;
  const both = openSync(path, O_RDWR);
  const reads = daemonSide === "reads";
  const daemonEnd = openSync(path, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK);
  const childEnd = openSync(path, reads ? O_WRONLY : O_RDONLY);
  closeSync(both);
  return { path, daemonEnd, childEnd };
}
