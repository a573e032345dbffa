// Has nix delete what nothing uses any more, once its disk is rather full: in the background, seldom,
// and no more than is needed. What runs and what is being built is kept by its roots.

import type { Disk, DiskSpace } from "../kernel/system-ports.ts";
import type { BackgroundRunner } from "./background.ts";
import type { OnDiskNote } from "./reserve.ts";

export interface StoreCollectorOptions {
  readonly disk: Disk;
  readonly background: BackgroundRunner;
  /** How full the store's disk is when it is time, 1 to 99. */
  readonly abovePercent: number;
  readonly onNote: OnDiskNote;
}

const STORE = "/nix/store";
const LOOK_EVERY_MS = 60_000;
const COLLECT_EVERY_MS = 30 * 60_000;
/** When the disk is full, it cannot wait so long. */
const URGENT_EVERY_MS = 5 * 60_000;
const COLLECT_MS_MAX = 30 * 60_000;
/** It is emptied so far below the mark that it is not at it again at once. */
const MARGIN_PERCENT = 10;

export class StoreCollector {
  readonly #options: StoreCollectorOptions;
  /** Null: not yet ticked. What an earlier daemon left running is ended first. */
  #lookAtMs: number | null = null;
  #collectedAtMs = Number.NEGATIVE_INFINITY;
  #isUrgent = false;
  #isBusy = false;

  constructor(options: StoreCollectorOptions) {
    this.#options = options;
  }

  /** The disk is full: looks at once, and does not wait for the next turn. */
  hurry(): void {
    this.#isUrgent = true;
    this.#lookAtMs = 0;
  }

  /** Once a tick. @param nowMs monotonic */
  tick(nowMs: number): void {
    this.#lookAtMs ??= nowMs + LOOK_EVERY_MS;
    if (this.#isBusy || nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + LOOK_EVERY_MS;
    const everyMs = this.#isUrgent ? URGENT_EVERY_MS : COLLECT_EVERY_MS;
    if (nowMs - this.#collectedAtMs < everyMs) return;
    this.#isBusy = true;
    void this.#look(nowMs).finally(() => {
      this.#isBusy = false;
    });
  }

  async #look(nowMs: number): Promise<void> {
    const space = await this.#options.disk.space(STORE);
    const sizeBytes = space === null ? 0 : bytesToFree(space, this.#options.abovePercent);
    this.#isUrgent = false;
    if (space === null || sizeBytes === 0) return;
    this.#collectedAtMs = nowMs;
    await this.#collect(sizeBytes, space);
  }

  async #collect(sizeBytes: number, before: DiskSpace): Promise<void> {
    const { background, disk, onNote } = this.#options;
    const { exitCode, stderr } = await background.run({
      purpose: "collect",
      name: "store",
      program: "nix",
      args: ["--extra-experimental-features", "nix-command"].concat([
        ...["store", "gc", "--max", String(sizeBytes)],
      ]),
      timeLimitMs: COLLECT_MS_MAX,
    });
    if (exitCode !== 0) {
      const problem = stderr.trim().split("\n").at(-1) ?? "";
      onNote("warn", "collect-failed", "nix could not delete what nothing uses", { problem });
      return;
    }
    const after = await disk.space(STORE);
    const freedBytes = Math.max(0, (after?.freeBytes ?? 0) - before.freeBytes);
    const freePercent = after === null ? null : percentOf(after);
    onNote("info", "collected", "nix deleted what nothing uses any more", {
      freedBytes,
      freePercent,
    });
  }
}

/** What must go so that the disk is `MARGIN_PERCENT` below the mark; 0 below it. */
export function bytesToFree({ totalBytes, freeBytes }: DiskSpace, abovePercent: number): number {
  const usedBytes = totalBytes - freeBytes;
  if (totalBytes <= 0 || usedBytes * 100 < totalBytes * abovePercent) return 0;
  const wantedBytes = (totalBytes * Math.max(0, abovePercent - MARGIN_PERCENT)) / 100;
  return Math.max(1, Math.ceil(usedBytes - wantedBytes));
}

function percentOf({ totalBytes, freeBytes }: DiskSpace): number {
  return totalBytes <= 0 ? 0 : Math.round((100 * freeBytes) / totalBytes);
}
