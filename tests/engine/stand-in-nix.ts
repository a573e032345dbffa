// A machine in memory whose children are nix builds that end when the test says so.

import { BackgroundRunner } from "../../src/engine/background.ts";
import { NixBuilder } from "../../src/engine/nix.ts";
import type { BuildOutcome, BuildProgress, BuildRequest } from "../../src/engine/ports.ts";
import type {
  Child,
  ChildCommand,
  ChildEvents,
  Children,
  LinkFolder,
  RunResult,
  SystemFiles,
} from "../../src/kernel/system-ports.ts";

export const REVISION = "52edf4253084440c16a6aff195899a0f808320e9";
export const BUILD_TIMEOUT_MS = 600_000;

export function storePathOf(name: string): string {
  return `/nix/store/${"0123456789abcdfghijklmnpqrsvwxyz"}-${name}`;
}

export class StandInBuild implements Child {
  readonly pid = 1;
  readonly command: ChildCommand;
  wasEnded = false;
  readonly #events: ChildEvents;
  readonly #onGone: (build: StandInBuild) => void;

  constructor(command: ChildCommand, events: ChildEvents, onGone: (build: StandInBuild) => void) {
    this.command = command;
    this.#events = events;
    this.#onGone = onGone;
  }

  get installable(): string {
    return this.command.args.at(-1)!;
  }

  get root(): string {
    return this.command.args[this.command.args.indexOf("--out-link") + 1]!;
  }

  write(): boolean {
    return true;
  }

  poll(): void {}

  end(): void {
    this.wasEnded = true;
  }

  say(line: string): void {
    this.#events.onLine?.("stderr", line);
  }

  succeed(storePath: string): void {
    this.#events.onLine?.("stdout", JSON.stringify([{ outputs: { out: storePath } }]));
    this.exit("exited with code 0");
  }

  exit(how: string): void {
    this.#onGone(this);
    this.#events.onExit(how);
  }
}

export class StandInNix implements Children, LinkFolder {
  readonly path = "/roots";
  readonly links = new Map<string, string>();
  readonly running: StandInBuild[] = [];
  readonly files = new Map<string, string>();
  readonly runs: string[][] = [];
  /** What the next short commands answer. */
  answer: (args: readonly string[]) => Promise<RunResult> = () =>
    Promise.resolve({ exitCode: 0, stdout: "", stderr: "" });
  readonly builder: NixBuilder;

  constructor(runner: "systemd" | "direct" = "direct") {
    const environment = { PATH: "/bin", HOME: "/home" };
    this.builder = new NixBuilder({
      background: new BackgroundRunner({ children: this, runner, environment }),
      files: this.#systemFiles(),
      roots: this,
      homeDir: "/home",
      buildTimeoutMs: BUILD_TIMEOUT_MS,
    });
  }

  start(command: ChildCommand, events: ChildEvents): Child {
    const build = new StandInBuild(command, events, (gone) =>
      this.running.splice(this.running.indexOf(gone), 1),
    );
    this.running.push(build);
    return build;
  }

  run(program: string, args: readonly string[]): Promise<RunResult> {
    this.runs.push([program, ...args]);
    return this.answer([program, ...args]);
  }

  list() {
    return [...this.links].sort().map(([name, target]) => ({ name, target, targetExists: true }));
  }

  remove(name: string): void {
    this.links.delete(name);
  }

  #systemFiles(): SystemFiles {
    return {
      readText: (path) => this.files.get(path) ?? null,
      list: () => [],
      writeText: (path, text) => {
        this.files.set(path, text);
        return true;
      },
      open: () => null,
    };
  }
}

export function requestOf(service: string, generation: number): BuildRequest {
  return { service, generation, flake: `github:o/${service}#web`, lock: REVISION };
}

/** Asks for a build and writes down all that is told of it. */
export function watch(nix: StandInNix, request: BuildRequest) {
  const told = { progress: [] as BuildProgress[], ends: [] as BuildOutcome[] };
  nix.builder.build(
    request,
    (progress) => told.progress.push(progress),
    (outcome) => told.ends.push(outcome),
  );
  return told;
}

/** Lets promises go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}
