// systemd by its own commands: unit files in its folder, `systemctl` for what it should do and
// what it says. One command at a time, since each takes memory of the daemon's own share.

import { accessSync, constants, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { UNIT_FILE_BYTES_MAX, UNITS_LISTED_MAX } from "../kernel/limits.ts";
import type { Children, RunResult } from "../kernel/system-ports.ts";
import { type MakeRoom, replaceFile } from "./durable-file.ts";
import type { ServiceManager, UnitFilesChange, UnitOutcome, UnitStatus } from "./ports.ts";
import { parseExposure, parseUnits, SHOWN_PROPERTIES } from "./systemctl-show.ts";

/** Where units lie, the first that can be written to; on NixOS the first cannot. */
const UNIT_FOLDERS = ["/etc/systemd/system", "/run/systemd/system"];
const UNIT_FILE = /^myco(-[a-z0-9-]{1,90})?\.(service|timer|socket|slice)$/;
const PATTERNS = ["service", "timer", "socket"].map((kind) => `myco-*.${kind}`);
const COMMAND_MS_MAX = 30_000;
/** How systemd's complaints are cut for people. */
const MESSAGE_CHARACTERS_MAX = 400;

export class NoSystemdError extends Error {
  override readonly name = "NoSystemdError";
  readonly code = "ERR_NO_SYSTEMD";
}

export interface SystemctlOptions {
  readonly children: Children;
  /** Null: the first of systemd's own that can be written to. */
  readonly unitFolder: string | null;
  /** Whether a unit file was made by this program. */
  readonly isOurs: (text: string) => boolean;
  readonly makeRoom: MakeRoom;
}

interface WaitingChange {
  readonly change: UnitFilesChange;
  readonly settle: (outcome: UnitOutcome) => void;
}

export class Systemctl implements ServiceManager {
  readonly #children: Children;
  readonly #folder: string;
  readonly #isOurs: (text: string) => boolean;
  readonly #makeRoom: MakeRoom;
  /** An earlier daemon may have died between its files and the reload. */
  #isReloadDue = true;
  #last: Promise<unknown> = Promise.resolve();
  /** One a service at most: the engine waits for each. */
  readonly #waiting: WaitingChange[] = [];

  /** @throws NoSystemdError */
  constructor({ children, unitFolder, isOurs, makeRoom }: SystemctlOptions) {
    this.#children = children;
    this.#folder = unitFolder ?? findUnitFolder();
    this.#isOurs = isOurs;
    this.#makeRoom = makeRoom;
  }

  async list(): Promise<ReadonlyMap<string, UnitStatus> | null> {
    const properties = SHOWN_PROPERTIES.join(",");
    // Without --all a pattern finds no unit that is inactive, such as a job between its times.
    const args = ["show", "--all", `--property=${properties}`, ...PATTERNS];
    const result = await this.#run("systemctl", args);
    return result.exitCode === 0 ? parseUnits(result.stdout) : null;
  }

  readFiles(): ReadonlyMap<string, string> {
    const files = new Map<string, string>();
    for (const file of readdirSync(this.#folder)) {
      if (files.size >= UNITS_LISTED_MAX) break;
      const text = UNIT_FILE.test(file) ? this.#read(file) : null;
      if (text !== null) files.set(file, text);
    }
    return files;
  }

  change(change: UnitFilesChange): Promise<UnitOutcome> {
    return new Promise((settle) => {
      this.#waiting.push({ change, settle });
      if (this.#waiting.length === 1) void this.#inTurn(() => this.#changeAll());
    });
  }

  start(unit: string): Promise<UnitOutcome> {
    return this.#systemctl(["start", "--no-block", unit]);
  }

  restart(unit: string): Promise<UnitOutcome> {
    return this.#systemctl(["restart", "--no-block", unit]);
  }

  stop(units: readonly string[]): Promise<UnitOutcome> {
    return this.#systemctl(["stop", "--no-block", ...units]);
  }

  resetFailed(unit: string): Promise<UnitOutcome> {
    return this.#systemctl(["reset-failed", unit]);
  }

  async exposure(unitFile: string): Promise<number | null> {
    const path = join(this.#folder, unitFile);
    const args = ["security", "--offline=true", "--no-pager", path];
    return parseExposure((await this.#run("systemd-analyze", args)).stdout);
  }

  /** Makes the changes that have gathered, with one reload for all: it takes systemd long. */
  async #changeAll(): Promise<void> {
    const written: WaitingChange[] = [];
    for (const waiting of this.#waiting.splice(0)) {
      const problem = await this.#problemOf(waiting.change);
      if (problem === null) written.push(waiting);
      else waiting.settle({ ok: false, message: problem });
    }
    const outcome = await this.#reload();
    for (const { settle } of written) settle(outcome);
  }

  async #reload(): Promise<UnitOutcome> {
    if (!this.#isReloadDue) return { ok: true };
    const outcome = outcomeOf(await this.#command("systemctl", ["daemon-reload"]));
    this.#isReloadDue = !outcome.ok;
    return outcome;
  }

  /** Makes one change. @returns null, or why it cannot be made */
  async #problemOf(change: UnitFilesChange): Promise<string | null> {
    try {
      await this.#writeFiles(change);
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** @throws system errors, and one that says whose file is in the way */
  async #writeFiles({ files, removed }: UnitFilesChange): Promise<void> {
    for (const [file, text] of files) {
      const before = this.#read(file);
      if (before === text) continue;
      if (before !== null && before !== "" && !this.#isOurs(before)) {
        throw new Error(
          `${join(this.#folder, file)} is not of Myco's making; remove it or call the service otherwise`,
        );
      }
      this.#isReloadDue = true;
      // systemd frowns on units that not all can read.
      const path = join(this.#folder, file);
      await replaceFile({ path, text, mode: 0o644, makeRoom: this.#makeRoom });
    }
    for (const file of removed) {
      const before = this.#read(file);
      if (before === null || !this.#isOurs(before)) continue;
      this.#isReloadDue = true;
      rmSync(join(this.#folder, file), { force: true });
    }
  }

  /** Null: there is none, or it is no small file. */
  #read(file: string): string | null {
    const path = join(this.#folder, file);
    try {
      const { size } = statSync(path);
      return size > UNIT_FILE_BYTES_MAX ? null : readFileSync(path, "utf8");
    } catch {
      return null;
    }
  }

  async #systemctl(args: readonly string[]): Promise<UnitOutcome> {
    return outcomeOf(await this.#run("systemctl", args));
  }

  #run(program: string, args: readonly string[]): Promise<RunResult> {
    return this.#inTurn(() => this.#command(program, args));
  }

  #command(program: string, args: readonly string[]): Promise<RunResult> {
    return this.#children.run(program, args, { timeoutMs: COMMAND_MS_MAX });
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

function findUnitFolder(): string {
  for (const folder of UNIT_FOLDERS) {
    try {
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // Read-only, or not there.
    }
  }
  throw new NoSystemdError(
    `engine.kind is systemd, and neither ${UNIT_FOLDERS.join(" nor ")} can be written to. Run the daemon as root on a machine with systemd, or set "engine: { kind: embedded }" in the configuration.`,
  );
}

function outcomeOf({ exitCode, stderr }: RunResult): UnitOutcome {
  if (exitCode === 0) return { ok: true };
  const message = stderr.trim().slice(0, MESSAGE_CHARACTERS_MAX);
  return { ok: false, message: message === "" ? "systemctl failed and did not say why" : message };
}
