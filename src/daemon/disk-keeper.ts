// Sees to it that a full disk does not end the node: space is held back for the log, and what nix
// keeps without need is deleted in time.

import { join } from "node:path";
import { BackgroundRunner } from "../engine/background.ts";
import { StoreCollector } from "../engine/collector.ts";
import { type OnDiskNote, Reserve } from "../engine/reserve.ts";
import { SystemChildren } from "../io/children.ts";
import { RealDisk, shareDisk } from "../io/disk.ts";
import type { Children, Disk } from "../kernel/system-ports.ts";
import type { Configuration } from "../schema/configuration.ts";
import type { EventLog } from "./event-log.ts";
import { nixEnvironment } from "./nix-environment.ts";

export interface DiskKeeperOptions {
  readonly disk: Disk;
  readonly children: Children;
  readonly background: BackgroundRunner;
  readonly events: EventLog;
  /** Of the log. */
  readonly dataDir: string;
  /** 0: none. */
  readonly reserveBytes: number;
  readonly collectAbovePercent: number;
}

/** The disk, or this user's share of it, is full (errno(3)). */
const FULL_CODES: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

export class DiskKeeper {
  readonly #reserve: Reserve | null;
  readonly #collector: StoreCollector;
  readonly #dataDir: string;
  #nowMs = 0;

  constructor(options: DiskKeeperOptions) {
    const { disk, children, background, events, dataDir, reserveBytes } = options;
    const onNote: OnDiskNote = (level, code, message, fields) =>
      events.note(level, code, message, fields);
    this.#dataDir = dataDir;
    const path = `${dataDir}/reserve`;
    if (reserveBytes === 0) disk.removeFile(path);
    this.#reserve =
      reserveBytes === 0
        ? null
        : new Reserve({ disk, children, path, sizeBytes: reserveBytes, onNote });
    const abovePercent = options.collectAbovePercent;
    this.#collector = new StoreCollector({ disk, background, abovePercent, onNote });
  }

  /** Once a tick. @param nowMs monotonic */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#reserve?.tick(nowMs);
    this.#collector.tick(nowMs);
  }

  /** A write into `folder` failed. @returns whether room was made: another try may work now */
  makeRoom(error: Error, folder: string): boolean {
    if (!FULL_CODES.has((error as NodeJS.ErrnoException).code ?? "")) return false;
    this.#collector.hurry();
    // What is held back on one disk is of no use to another.
    if (!shareDisk(folder, this.#dataDir)) return false;
    return this.#reserve?.release(this.#nowMs) ?? false;
  }
}

/** Only where systemd and nix run the services: elsewhere nothing is held back and nothing deleted. */
export function createDiskKeeper(
  { dataDir, engine }: Pick<Configuration, "dataDir" | "engine">,
  events: EventLog,
): DiskKeeper | null {
  if (engine.kind !== "systemd") return null;
  const children = new SystemChildren({ stateDir: null });
  const environment = nixEnvironment(process.env, join(engine.workDir, "nix"));
  const { reserveBytes, collectAbovePercent } = engine;
  return new DiskKeeper({
    disk: new RealDisk(),
    children,
    background: new BackgroundRunner({ children, runner: "systemd", environment }),
    events,
    dataDir,
    reserveBytes,
    collectAbovePercent,
  });
}
