// Disk space held back for the day the disk is full: a file that is given up when the log cannot be
// written, so that the node keeps its promises and can be mended, and made again once there is room.

import type { Children, Disk } from "../kernel/system-ports.ts";

export interface ReserveOptions {
  readonly disk: Disk;
  readonly children: Children;
  /** On the log's file system. */
  readonly path: string;
  /** Above 0. */
  readonly sizeBytes: number;
  readonly onNote: OnDiskNote;
}

/** What happens to disk space, for the log. */
export type OnDiskNote = (
  level: "info" | "warn",
  code: string,
  message: string,
  fields: object,
) => void;

/**
 * - `unknown`: nobody has looked yet.
 * - `held`: the file is there.
 * - `making`: it is being made.
 * - `absent`: it is not there, for want of room or because it was given up.
 * - `off`: the disk is too small to hold anything back.
 */
export type ReserveState = "unknown" | "held" | "making" | "absent" | "off";

/** A smaller disk has better use for it. */
const DISK_SIZE_FACTOR = 10;
/** Free space at which it is made, by its own size: what is held back must not fill the disk. */
const ROOM_FACTOR = 2;
/** How long there must be room, once it was given up. */
const ROOM_STANDS_MS = 60_000;
const LOOK_EVERY_MS = 20_000;
const RETRY_MS = 10 * 60_000;
/** Writing it takes long on a slow disk that cannot allocate. */
const MAKE_MS_MAX = 30 * 60_000;
const BLOCK_BYTES = 1024 * 1024;

export class Reserve {
  readonly #options: ReserveOptions;
  #state: ReserveState = "unknown";
  #lookAtMs = 0;
  #isLooking = false;
  /** Since when there has been room for it; null: there is none. */
  #roomSinceMs: number | null = null;
  #wasGivenUp = false;

  constructor(options: ReserveOptions) {
    this.#options = options;
  }

  get state(): ReserveState {
    return this.#state;
  }

  /** Once a tick. @param nowMs monotonic */
  tick(nowMs: number): void {
    const isSettled = this.#state === "held" || this.#state === "off" || this.#state === "making";
    if (isSettled || this.#isLooking || nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + LOOK_EVERY_MS;
    void this.#look(nowMs);
  }

  /**
   * Gives the space up: the disk is full, and what matters must be written.
   * @returns whether there was any to give
   */
  release(nowMs: number): boolean {
    const { disk, path, sizeBytes, onNote } = this.#options;
    this.#wasGivenUp = true;
    this.#roomSinceMs = null;
    this.#lookAtMs = nowMs + LOOK_EVERY_MS;
    const heldBytes = this.#state === "off" ? null : disk.fileBytes(path);
    if (this.#state !== "off") this.#state = "absent";
    if (heldBytes === null) return false;
    disk.removeFile(path);
    onNote("warn", "reserve-released", "the disk is full; the space held back for that was freed", {
      sizeBytes,
    });
    return true;
  }

  async #look(nowMs: number): Promise<void> {
    const { disk, path, sizeBytes } = this.#options;
    this.#isLooking = true;
    const space = await disk.space(folderOf(path));
    this.#isLooking = false;
    if (this.#state === "unknown") this.#inspect(space?.totalBytes ?? null);
    if (this.#state !== "absent" || space === null) return;
    if (space.freeBytes < ROOM_FACTOR * sizeBytes) {
      this.#roomSinceMs = null;
      return;
    }
    this.#roomSinceMs ??= nowMs;
    const stoodMs = nowMs - this.#roomSinceMs;
    if (!this.#wasGivenUp || stoodMs >= ROOM_STANDS_MS) await this.#make(nowMs);
  }

  /** What an earlier daemon left. */
  #inspect(totalBytes: number | null): void {
    const { disk, path, sizeBytes, onNote } = this.#options;
    const isSmall = totalBytes !== null && totalBytes < DISK_SIZE_FACTOR * sizeBytes;
    const heldBytes = disk.fileBytes(path);
    if (heldBytes === sizeBytes && !isSmall) {
      this.#state = "held";
      return;
    }
    if (heldBytes !== null) disk.removeFile(path);
    this.#state = isSmall ? "off" : "absent";
    if (!isSmall) return;
    const message = `no disk space is held back: the disk has less than ${DISK_SIZE_FACTOR} times engine.reserve`;
    onNote("info", "reserve-off", message, { sizeBytes, totalBytes });
  }

  async #make(nowMs: number): Promise<void> {
    const { disk, path, sizeBytes, onNote } = this.#options;
    this.#state = "making";
    const problem = await this.#allocate();
    // Given up while it was made: it must not stay.
    const isWanted = (this.#state as ReserveState) === "making";
    if (isWanted && problem === null && disk.fileBytes(path) === sizeBytes) {
      this.#state = "held";
      this.#wasGivenUp = false;
      onNote("info", "reserve-made", "disk space is held back for the day the disk is full", {
        sizeBytes,
      });
      return;
    }
    disk.removeFile(path);
    this.#state = "absent";
    this.#roomSinceMs = null;
    if (!isWanted) return;
    this.#lookAtMs = nowMs + RETRY_MS;
    onNote("warn", "reserve-failed", "no disk space could be held back", { problem });
  }

  /** Allocated, never sparse; written where the file system cannot allocate. */
  async #allocate(): Promise<string | null> {
    const { children, path, sizeBytes } = this.#options;
    const options = { timeoutMs: MAKE_MS_MAX };
    const size = String(sizeBytes);
    const allocated = await children.run("fallocate", ["--length", size, path], options);
    if (allocated.exitCode === 0) return null;
    if (/no space left/i.test(allocated.stderr)) return allocated.stderr.trim();
    const written = await children.run(
      "nice",
      ["-n", "19", "dd", "if=/dev/urandom", `of=${path}`, `bs=${BLOCK_BYTES}`].concat([
        `count=${size}`,
        "iflag=count_bytes,fullblock",
        "conv=fsync",
        "status=none",
      ]),
      options,
    );
    return written.exitCode === 0 ? null : written.stderr.trim();
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
