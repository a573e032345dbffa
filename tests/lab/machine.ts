// A guest and what a test does with it: the verbs of NixOS's test driver, with the same meaning.
// https://nixos.org/manual/nixos/stable/#ssec-machine-objects

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import type { Link } from "./addresses.ts";
import { CommandError, GuestGoneError, LabError, WaitError } from "./errors.ts";
import type { Reply } from "./framing.ts";
import { quoteForShell } from "./guest-recipe.ts";
import { Monitor } from "./monitor.ts";
import { type QemuOptions, type QemuProcess, startQemu } from "./qemu.ts";
import { Shell } from "./shell.ts";

/** As in NixOS's driver, in seconds. */
const TIMEOUT_SECONDS = 900;
const BOOT_SECONDS = 600;

/** A wait looks often at first, then once a second. */
const FIRST_LOOK_MS = 100;
const LOOK_MS = 1000;

/** How much of a long command a failure quotes. */
const SHOWN_CHARACTERS = 300;

const NO_INPUT = new Uint8Array(0);

export interface MachineHost {
  readonly qemu: Omit<QemuOptions, "terminal">;
  log(line: string): void;
}

export interface ExecuteOptions {
  /** null is no limit. */
  readonly timeoutSeconds?: number | null;
  /** The command's standard input. */
  readonly input?: Uint8Array;
}

interface Running {
  readonly process: QemuProcess;
  readonly monitor: Monitor;
  readonly shells: Shell[];
  readonly idle: Shell[];
  readonly queue: ((shell: Shell) => void)[];
  readonly ended: Promise<void>;
}

export class Machine {
  readonly name: string;
  readonly links: readonly Link[];
  readonly host: MachineHost;
  #running: Running | null = null;

  constructor(name: string, host: MachineHost) {
    this.name = name;
    this.links = host.qemu.links;
    this.host = host;
  }

  /** Whether its QEMU runs. */
  get isUp(): boolean {
    return this.#running !== null;
  }

  /** Switches it on; does nothing when it is on. What its disk holds from an earlier boot is still there. */
  start(options: { readonly terminal?: boolean } = {}): void {
    if (this.#running !== null) return;
    this.#log("starting");
    const process = startQemu({ ...this.host.qemu, terminal: options.terminal ?? false });
    const shells = process.shells.map((stream) => new Shell(stream));
    const running: Running = {
      process,
      monitor: new Monitor(process.monitor),
      shells,
      idle: [],
      queue: [],
      ended: new Promise((settle) => process.child.once("close", () => settle())),
    };
    this.#running = running;
    for (const shell of shells) {
      shell.ready.then(
        () => this.#release(running, shell),
        () => {},
      );
    }
    this.#watch(running);
  }

  #watch(running: Running): void {
    let complaint = "";
    running.process.child.stderr?.on("data", (chunk) => {
      complaint = `${complaint}${chunk}`.slice(-2000);
    });
    running.process.child.once("error", (error) => {
      complaint = error.message;
    });
    running.process.child.once("close", (code, signal) => {
      this.#log(`QEMU ended with ${signal ?? code} ${complaint}`);
      const reason = new GuestGoneError(`${this.name}: the guest has ended. ${complaint}`.trim());
      for (const shell of running.shells) shell.close(reason);
      for (const take of running.queue.splice(0)) take(running.shells[0]!);
      if (this.#running === running) this.#running = null;
    });
  }

  /** Starts it if need be, and waits until a command can run. */
  async connect(timeoutSeconds = BOOT_SECONDS): Promise<void> {
    this.start();
    const running = this.#running!;
    const tooLong = new WaitError(`${this.name} did not boot within ${timeoutSeconds} s`);
    const timer = setTimeout(() => {
      for (const shell of running.shells) shell.close(tooLong);
    }, timeoutSeconds * 1000);
    try {
      await Promise.any(running.shells.map((shell) => shell.ready)).catch((error) => {
        throw error.errors[0];
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs `command` in `bash -euo pipefail`, and tells everything it came to. */
  async run(command: string, options: ExecuteOptions = {}): Promise<Reply> {
    await this.connect();
    const { timeoutSeconds = TIMEOUT_SECONDS, input = NO_INPUT } = options;
    const running = this.#running;
    if (running === null) throw new GuestGoneError(`${this.name} is not running`);
    const shell = await this.#acquire(running);
    try {
      return await shell.run(command, timeoutSeconds, input);
    } finally {
      this.#release(running, shell);
    }
  }

  #acquire(running: Running): Promise<Shell> | Shell {
    const shell = running.idle.pop();
    if (shell !== undefined) return shell;
    if (running.shells.every(({ usable }) => !usable)) return running.shells[0]!;
    return new Promise((settle) => running.queue.push(settle));
  }

  #release(running: Running, shell: Shell): void {
    const next = shell.usable || !running.shells.some(({ usable }) => usable);
    if (!next) return;
    const take = running.queue.shift();
    if (take === undefined) running.idle.push(shell);
    else take(shell);
  }

  /** @returns status and standard output of `command`; 124 when it took too long */
  async execute(command: string, options: ExecuteOptions = {}): Promise<[number, string]> {
    const { status, output } = await this.run(command, options);
    return [status, output.toString("utf8")];
  }

  /**
   * Runs commands one after the other, without a limit in time unless one is given.
   * @returns their standard output
   * @throws CommandError with both outputs at the first that does not end with 0
   */
  async succeed(
    command: string | readonly string[],
    options: ExecuteOptions = {},
  ): Promise<string> {
    return this.#runAll("must succeed", command, options, (reply) => reply.status === 0);
  }

  /** Like `succeed`, for commands that must end with something else than 0. */
  async fail(command: string | readonly string[], options: ExecuteOptions = {}): Promise<string> {
    return this.#runAll("must fail", command, options, (reply) => reply.status !== 0);
  }

  async #runAll(
    expectation: string,
    commands: string | readonly string[],
    options: ExecuteOptions,
    isExpected: (reply: Reply) => boolean,
  ): Promise<string> {
    let output = "";
    for (const command of [commands].flat()) {
      const startMs = performance.now();
      const reply = await this.run(command, { timeoutSeconds: null, ...options });
      this.#log(`${expectation}: ${command} (${reply.status}, ${elapsed(startMs)})`);
      if (!isExpected(reply)) throw new CommandError(`${this.name}: ${tell(command, reply)}`);
      output += reply.output.toString("utf8");
    }
    return output;
  }

  /** Repeats `command` until it ends with 0. @returns its standard output then */
  waitUntilSucceeds(command: string, timeoutSeconds = TIMEOUT_SECONDS): Promise<string> {
    return this.#waitUntil(command, timeoutSeconds, "succeed", (status) => status === 0);
  }

  /** Repeats `command` until it ends with something else than 0. */
  waitUntilFails(command: string, timeoutSeconds = TIMEOUT_SECONDS): Promise<string> {
    return this.#waitUntil(command, timeoutSeconds, "fail", (status) => status !== 0);
  }

  async #waitUntil(
    command: string,
    timeoutSeconds: number,
    wish: string,
    isDone: (status: number) => boolean,
  ): Promise<string> {
    let last: Reply | null = null;
    const came = await waitFor(timeoutSeconds, async () => {
      last = await this.run(command, { timeoutSeconds });
      return isDone(last.status);
    });
    const reply = last as Reply | null;
    this.#log(`waited for ${command} to ${wish}${came ? "" : ", in vain"}`);
    if (came) return reply?.output.toString("utf8") ?? "";
    const end = reply === null ? "it never ran" : tell(command, reply);
    throw new WaitError(`${this.name}: waited ${timeoutSeconds} s for it to ${wish}: ${end}`);
  }

  /** @throws WaitError as soon as the unit has failed, or lies still with nothing about to start it */
  async waitForUnit(unit: string, timeoutSeconds = TIMEOUT_SECONDS): Promise<void> {
    let state = "";
    const came = await waitFor(timeoutSeconds, async () => {
      state = await this.unitProperty(unit, "ActiveState");
      if (state === "failed") throw await this.#unitError(unit, "has failed");
      if (state !== "inactive") return state === "active";
      const jobs = await this.succeed("systemctl list-jobs --full --no-legend", {
        timeoutSeconds: 60,
      });
      // It may have become active between the two questions.
      state = await this.unitProperty(unit, "ActiveState");
      if (jobs.trim() === "" && state === "inactive") {
        throw await this.#unitError(unit, "is inactive, and nothing is about to start it");
      }
      return state === "active";
    });
    if (!came) throw await this.#unitError(unit, `is ${state} after ${timeoutSeconds} s`);
  }

  async #unitError(unit: string, what: string): Promise<WaitError> {
    const [, status] = await this.execute(
      `systemctl status --no-pager --full ${quoteForShell(unit)} || true`,
      { timeoutSeconds: 60 },
    );
    return new WaitError(`${this.name}: unit ${unit} ${what}\n${status}`);
  }

  /** One property of a unit, as `systemctl show` gives it. */
  async unitProperty(unit: string, property: string): Promise<string> {
    const words = ["systemctl", "show", "--value", `--property=${property}`, unit];
    return (await this.succeed(words.map(quoteForShell).join(" "), { timeoutSeconds: 60 })).trim();
  }

  waitForFile(path: string, timeoutSeconds = TIMEOUT_SECONDS): Promise<string> {
    return this.waitUntilSucceeds(`test -e ${quoteForShell(path)}`, timeoutSeconds);
  }

  /** Waits until somebody listens on a TCP port. */
  waitForOpenPort(port: number, address = "localhost", timeoutSeconds = TIMEOUT_SECONDS) {
    return this.waitUntilSucceeds(`nc -z ${quoteForShell(address)} ${port}`, timeoutSeconds);
  }

  waitForClosedPort(port: number, address = "localhost", timeoutSeconds = TIMEOUT_SECONDS) {
    return this.waitUntilFails(`nc -z ${quoteForShell(address)} ${port}`, timeoutSeconds);
  }

  /** Waits until the guest's serial console has said what matches. */
  async waitForConsoleText(pattern: RegExp, timeoutSeconds = TIMEOUT_SECONDS): Promise<void> {
    const came = await waitFor(timeoutSeconds, async () => pattern.test(this.consoleText()));
    if (!came) throw new WaitError(`${this.name}: the console never said ${pattern}`);
  }

  /** What the serial console has said since the last start. */
  consoleText(): string {
    const file = this.host.qemu.consoleFile;
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Puts a file or folder of the host at the path `target` in the guest, owned by root. */
  async copyFromHost(source: string, target: string): Promise<void> {
    const path = resolve(source);
    const archive = await tarOf(dirname(path), basename(path));
    const [at, name] = [quoteForShell(dirname(target)), basename(path)];
    const rename = `--transform=flags=r;s,^${escapePattern(name)},${escapeReplacement(basename(target))},`;
    await this.succeed(
      `mkdir -p ${at} && tar --extract --no-same-owner ${quoteForShell(rename)} --directory=${at}`,
      { input: archive, timeoutSeconds: TIMEOUT_SECONDS },
    );
  }

  /** Puts the guest's file or folder `source` into `targetFolder` on the host. */
  async copyToHost(source: string, targetFolder: string): Promise<void> {
    const [at, name] = [quoteForShell(dirname(source)), quoteForShell(basename(source))];
    const reply = await this.run(`tar --create --directory=${at} -- ${name}`);
    if (reply.status !== 0)
      throw new CommandError(`${this.name}: ${tell(`copy ${source}`, reply)}`);
    mkdirSync(targetFolder, { recursive: true });
    await execa("tar", ["--extract", "--no-same-owner", `--directory=${targetFolder}`], {
      input: reply.output,
    });
  }

  /** Pulls every network cable. */
  block(): Promise<void> {
    return this.#setLinks(false);
  }

  /** Plugs every network cable in again. */
  unblock(): Promise<void> {
    return this.#setLinks(true);
  }

  async #setLinks(up: boolean): Promise<void> {
    const { monitor } = this.#expectRunning();
    this.#log(up ? "unblock" : "block");
    for (const index of this.links.keys()) {
      await monitor.execute("set_link", { name: `card${index}`, up });
    }
  }

  /** Cuts the power. */
  async crash(): Promise<void> {
    if (this.#running === null) return;
    this.#log("crash");
    const { process, ended } = this.#running;
    process.child.kill("SIGKILL");
    await ended;
  }

  /** Shuts the system down in order, and waits until it is off. */
  async shutdown(timeoutSeconds = TIMEOUT_SECONDS): Promise<void> {
    if (this.#running === null) return;
    const { ended } = this.#running;
    this.#log("shutdown");
    void this.run("systemctl poweroff --no-block").catch(() => {});
    if (await settlesWithin(ended, timeoutSeconds)) return;
    throw new WaitError(`${this.name} was not off ${timeoutSeconds} s after poweroff`);
  }

  /** Waits until the guest is off. */
  async waitForShutdown(): Promise<void> {
    await this.#running?.ended;
  }

  #expectRunning(): Running {
    if (this.#running === null) throw new GuestGoneError(`${this.name} is not running`);
    return this.#running;
  }

  #log(line: string): void {
    this.host.log(`${this.name}: ${line}`);
  }
}

/** Asks until `isDone` or the time is up; always at least once. */
async function waitFor(timeoutSeconds: number, isDone: () => Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + timeoutSeconds * 1000;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(LOOK_MS, pauseMs * 2)) {
    if (await isDone()) return true;
    if (performance.now() + pauseMs > endMs) return false;
    await sleep(pauseMs);
  }
}

async function settlesWithin(promise: Promise<void>, seconds: number): Promise<boolean> {
  const late = new AbortController();
  const timer = sleep(seconds * 1000, false, { signal: late.signal }).catch(() => false);
  const came = await Promise.race([promise.then(() => true), timer]);
  late.abort();
  return came;
}

function tell(command: string, { status, output, errors }: Reply): string {
  const what = status === 124 ? "took too long (exit code 124)" : `ended with exit code ${status}`;
  const shown =
    command.length > SHOWN_CHARACTERS ? `${command.slice(0, SHOWN_CHARACTERS)}…` : command;
  return `command \`${shown}\` ${what}${part("output", output)}${part("errors", errors)}`;
}

/** The end of a stream, indented under its name. */
function part(name: string, bytes: Buffer): string {
  const text = bytes.toString("utf8").trimEnd().slice(-4000);
  return text === "" ? "" : `\n${name}:\n  ${text.replaceAll("\n", "\n  ")}`;
}

function elapsed(startMs: number): string {
  return `${((performance.now() - startMs) / 1000).toFixed(2)} s`;
}

async function tarOf(folder: string, name: string): Promise<Uint8Array> {
  const result = await execa("tar", ["--create", `--directory=${folder}`, "--", name], {
    encoding: "buffer",
    reject: false,
  });
  if (result.failed) {
    throw new LabError("copy", `cannot read ${join(folder, name)}: ${String(result.stderr)}`);
  }
  return result.stdout;
}

/** For the left side of tar's --transform, a sed expression between commas. */
function escapePattern(text: string): string {
  return text.replaceAll(/[.*[\]^$\\,]/g, "\\$&");
}

/** For its right side. */
function escapeReplacement(text: string): string {
  return text.replaceAll(/[&\\,]/g, "\\$&");
}
