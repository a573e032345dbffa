// Ends children when the daemon is gone, whatever ended it: a shell asleep on a pipe that only the
// daemon holds. prctl's parent-death signal (setpriv --pdeathsig) would do for most, but not for
// programs that change their user, as tcpdump does: the kernel then forgets it (prctl(2)).

import { type ChildProcess, spawn } from "node:child_process";

/** Each line has all groups there are; the end of the pipe is the daemon's end. */
const SCRIPT = "while read -r line; do groups=$line; done; for g in $groups; do kill -9 -$g; done";

export class DeathWatch {
  readonly #path: string;
  readonly #groups = new Set<number>();
  #shell: ChildProcess | null = null;

  /** @param path where the shell is looked for */
  constructor(path: string) {
    this.#path = path;
  }

  /** From now on the process group dies with the daemon. */
  add(group: number): void {
    this.#groups.add(group);
    this.#tell();
  }

  /** It has ended; its number may be another's next. */
  remove(group: number): void {
    this.#groups.delete(group);
    this.#tell();
  }

  #tell(): void {
    this.#shell ??= this.#start();
    this.#shell.stdin?.write(`${[...this.#groups].join(" ")}\n`);
  }

  #start(): ChildProcess {
    const shell = spawn("sh", ["-c", SCRIPT], {
      cwd: "/",
      env: { PATH: this.#path },
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    // Killed by someone, or no shell at all: the next child that starts or ends tries again.
    const onEnd = (): void => {
      if (this.#shell === shell) this.#shell = null;
    };
    shell.once("error", onEnd);
    shell.once("exit", onEnd);
    shell.stdin?.on("error", () => {});
    shell.unref();
    // Waiting for nothing, it must not hold the daemon either.
    (shell.stdin as { unref?(): void } | null)?.unref?.();
    return shell;
  }
}
