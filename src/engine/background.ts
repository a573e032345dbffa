// Nix's commands, run so that they do not disturb: at the lowest priority, and outside the daemon's
// own memory limit. With systemd each is a transient unit (systemd-run(1)); without it, a child.

import { BUILD_LINE_BYTES_MAX } from "../kernel/limits.ts";
import type { ChildEvents, Children, RunResult } from "../kernel/system-ports.ts";

export type BackgroundPurpose = "build" | "lock" | "collect";

export interface BackgroundCommand {
  readonly purpose: BackgroundPurpose;
  /** Beside the purpose in the unit's name: `[a-z0-9-]+`. One of each name runs at a time. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** When systemd ends it at the latest, should nobody else. */
  readonly timeLimitMs: number;
}

export interface BackgroundTask {
  /** Ends it and all it started; `onExit` follows. */
  end(): void;
}

export interface BackgroundOptions {
  readonly children: Children;
  /** `direct`: as a child of the daemon, for machines without systemd. */
  readonly runner: "systemd" | "direct";
  /** All the commands' environment but what systemd adds: PATH, HOME and what nix needs. */
  readonly environment: Readonly<Record<string, string>>;
}

/** How long what is told to end may take before it is killed. */
const END_GRACE_SECONDS = 10;
/** How long systemd may take to end it. */
const SYSTEMCTL_MS_MAX = (END_GRACE_SECONDS + 10) * 1_000;
/** Beyond a command's own time limit: what watches it ends it first. */
const TIME_LIMIT_MARGIN_MS = 30_000;

/** What systemd is told of every such unit (systemd.exec(5), systemd.resource-control(5)). */
const UNIT_PROPERTIES: readonly string[] = [
  "Nice=19",
  "IOSchedulingClass=idle",
  "CPUWeight=1",
  "IOWeight=1",
  // Evaluating nixpkgs takes a gigabyte or two; a machine that runs out of memory ends this first.
  "MemoryMax=75%",
  "OOMScoreAdjust=900",
  `TimeoutStopSec=${END_GRACE_SECONDS}`,
  "SyslogIdentifier=myco-build",
];

export class BackgroundRunner {
  readonly #options: BackgroundOptions;
  #leftoversEnded: Promise<unknown> | null = null;

  constructor(options: BackgroundOptions) {
    this.#options = options;
  }

  start(command: BackgroundCommand, events: ChildEvents): BackgroundTask {
    const [program, ...args] = this.#commandLine(command) as [string, ...string[]];
    let isEnding = false;
    const onExit = (how: string): void => {
      // Ended before systemd-run had the unit made, it may have been made all the same.
      if (isEnding && this.#options.runner === "systemd") {
        void this.#stopUnit(command).then(() => events.onExit(how));
      } else events.onExit(how);
    };
    const child = this.#options.children.start(
      { program, args, lineBytesMax: BUILD_LINE_BYTES_MAX },
      { ...events, onExit },
    );
    return {
      end: () => {
        if (isEnding) return;
        isEnding = true;
        if (this.#options.runner === "direct") child.end();
        else void this.#stopUnit(command).then(() => child.end());
      },
    };
  }

  /** Runs a short command to its end. */
  async run(command: BackgroundCommand): Promise<RunResult> {
    const [program, ...args] = this.#commandLine(command) as [string, ...string[]];
    const timeoutMs = command.timeLimitMs;
    const result = await this.#options.children.run(program, args, { timeoutMs });
    if (result.exitCode === null && this.#options.runner === "systemd") {
      await this.#stopUnit(command);
    }
    return result;
  }

  /** Ends, once, what an earlier daemon that was killed left running. */
  endLeftovers(): Promise<unknown> {
    const { runner, children } = this.#options;
    this.#leftoversEnded ??=
      runner === "direct"
        ? Promise.resolve()
        : children.run("systemctl", ["stop", ...ALL_UNITS], { timeoutMs: SYSTEMCTL_MS_MAX });
    return this.#leftoversEnded;
  }

  #stopUnit(command: BackgroundCommand): Promise<unknown> {
    const args = ["stop", unitOf(command)];
    return this.#options.children.run("systemctl", args, { timeoutMs: SYSTEMCTL_MS_MAX });
  }

  #commandLine(command: BackgroundCommand): readonly string[] {
    const variables = Object.entries(this.#options.environment).map((pair) => pair.join("="));
    if (this.#options.runner === "direct") {
      const quietly = ["nice", "-n", "19", "ionice", "-c", "3"];
      return [...quietly, "env", ...variables, command.program, ...command.args];
    }
    const limitSeconds = Math.ceil((command.timeLimitMs + TIME_LIMIT_MARGIN_MS) / 1_000);
    return [
      "systemd-run",
      ...["--pipe", "--wait", "--collect", "--quiet", `--unit=${unitOf(command)}`],
      ...[...UNIT_PROPERTIES, `RuntimeMaxSec=${limitSeconds}`].map((text) => `--property=${text}`),
      ...variables.map((variable) => `--setenv=${variable}`),
      "--",
      ...[command.program, ...command.args].map(escapeVariables),
    ];
  }
}

const PURPOSES: readonly BackgroundPurpose[] = ["build", "lock", "collect"];
const ALL_UNITS = PURPOSES.map((purpose) => `myco-${purpose}@*.service`);

/** The `@` keeps it apart from every service's unit, whose names have none. */
function unitOf({ purpose, name }: BackgroundCommand): string {
  return `myco-${purpose}@${name}.service`;
}

/** systemd replaces `$NAME` in a command's arguments (systemd.service(5), Command lines). */
function escapeVariables(argument: string): string {
  return argument.replaceAll("$", "$$$$");
}
