// One real daemon on this machine, with a folder of its own, driven through the program's own
// command line. The demo and the integration tests make clusters of these.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FlowAnswer, ServiceAnswer, StatusAnswer } from "../src/api/contract.ts";
import { DaemonClient } from "../src/cli/daemon-client.ts";
import { DAEMON_ENVIRONMENT, DAEMON_NODE_FLAGS } from "../src/daemon/runtime-flags.ts";
import { freeUdpPort } from "./ports.ts";

const START_MS_MAX = 20_000;
const STOP_MS_MAX = 20_000;
const POLL_MS = 50;

export interface Outcome {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export interface LocalNodeOptions {
  /** The built program. */
  readonly bundle: string;
  /** Below it the node makes its own folder, by its host name. */
  readonly base: string;
  readonly hostname: string;
  /** A loopback address; services of this node listen there too. */
  readonly address: string;
  /** Further lines of its configuration. */
  readonly more?: string;
}

/** Runs the program's command line to its end. */
export async function runMyco(
  bundle: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [bundle, ...args], {
    env: { ...process.env, MYCO_CONFIG: "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode: exitCode ?? -1, out, err };
}

/** The same, but a failure of the command is one of the caller's. @returns standard output */
export async function mustMyco(bundle: string, args: readonly string[]): Promise<string> {
  const { exitCode, out, err } = await runMyco(bundle, args);
  if (exitCode === 0) return out;
  throw new Error(`myco ${args.join(" ")}: exit code ${exitCode}\n${err}${out}`);
}

/** Asks `question` until it answers true. Throws, and says what it waited for, when the time is up. */
export async function until(
  what: string,
  timeoutMs: number,
  question: () => Promise<boolean>,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await question())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await sleep(POLL_MS);
  }
}

export class LocalNode {
  readonly hostname: string;
  readonly address: string;
  readonly folder: string;
  readonly dataDir: string;
  readonly socket: string;
  readonly configurationFile: string;
  readonly logFile: string;
  readonly endpoint: string;
  readonly dnsEndpoint: string;
  readonly client: DaemonClient;
  readonly #bundle: string;
  #process: ChildProcess | null = null;
  #exitCode: number | null = null;
  #isRetired = false;

  /** Takes free ports and writes the node's configuration. */
  static async create(options: LocalNodeOptions): Promise<LocalNode> {
    const meshPort = await freeUdpPort(options.address);
    const dnsPort = await freeUdpPort(options.address);
    return new LocalNode(options, meshPort, dnsPort);
  }

  private constructor(options: LocalNodeOptions, meshPort: number, dnsPort: number) {
    const { address, base, bundle, hostname } = options;
    this.hostname = hostname;
    this.address = address;
    this.folder = join(base, hostname);
    this.dataDir = join(this.folder, "data");
    this.socket = join(this.folder, "sock");
    this.configurationFile = join(this.folder, "config.yaml");
    this.logFile = join(this.folder, "daemon.log");
    this.endpoint = `${address}:${meshPort}`;
    this.dnsEndpoint = `${address}:${dnsPort}`;
    this.client = new DaemonClient(this.socket);
    this.#bundle = bundle;
    mkdirSync(this.folder, { recursive: true });
    this.configure(options.more ?? "");
  }

  /** Writes the configuration anew. @param more further lines of it */
  configure(more: string): void {
    writeFileSync(this.configurationFile, this.#configuration() + more);
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** The daemon's process, while it runs. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** How the daemon ended the last time; null when a signal ended it, or nothing yet. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  /**
   * Starts the daemon; resolves when it answers.
   * @param more further arguments of `myco daemon`
   */
  async start(...more: string[]): Promise<void> {
    if (this.#isRetired) throw new Error(`${this.hostname} is not to be started any more`);
    const log = openSync(this.logFile, "a", 0o600);
    const command = [this.#bundle, "daemon", "--config", this.configurationFile, ...more];
    const child = spawn(process.execPath, [...DAEMON_NODE_FLAGS, ...command], {
      // A group of its own: Ctrl-C at the terminal is for whoever started it, who then stops it.
      detached: true,
      env: { ...process.env, ...DAEMON_ENVIRONMENT, MYCO_SOCKET: "" },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#process = child;
    child.once("exit", (exitCode) => {
      this.#exitCode = exitCode;
      this.#process = null;
    });
    await until(`the daemon of ${this.hostname} answers`, START_MS_MAX, async () => {
      if (!this.isRunning) throw new Error(`the daemon of ${this.hostname} ended:\n${this.log()}`);
      return (await this.status()) !== null;
    });
  }

  /** What the daemon says of itself; null when it does not answer. */
  async status(): Promise<StatusAnswer | null> {
    return this.client.get<StatusAnswer>("/status").catch(() => null);
  }

  /** What the daemon says of the line; null when it does not answer, or its flow plane is off. */
  async flow(): Promise<FlowAnswer | null> {
    return this.client.get<FlowAnswer>("/flow").catch(() => null);
  }

  /** What the daemon says of a service; null when it knows none, or does not answer. */
  async service(name: string): Promise<ServiceAnswer | null> {
    return this.client.get<ServiceAnswer>(`/services/${name}`).catch(() => null);
  }

  /** Runs a command against this node. */
  async myco(...args: string[]): Promise<Outcome> {
    return runMyco(this.#bundle, args, { MYCO_SOCKET: this.socket });
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  /** Ends the daemon as the system would for lack of memory: without a word. Its services stay. */
  async crash(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** As if the machine lost its power: the daemon and all it runs are gone at once. */
  async losePower(): Promise<void> {
    await this.crash();
    this.#killServices();
  }

  /** Stops the daemon for good, and whatever it left behind. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.stop();
    this.#killServices();
  }

  /** Asks the daemon to end, and ends it when it does not. Does nothing when it does not run. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  }

  /** What the daemon wrote about itself since the first start. */
  wholeLog(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8") : "";
  }

  /** The last lines of it. */
  log(): string {
    return this.wholeLog().split("\n").slice(-20).join("\n");
  }

  /** Ends the process groups that the embedded engine noted as running. */
  #killServices(): void {
    for (const pid of this.#notedGroups()) {
      try {
        process.kill(-pid, "SIGKILL");
      } catch {
        // It is gone already.
      }
    }
  }

  #notedGroups(): number[] {
    const folder = join(this.folder, "work", "running");
    try {
      return readdirSync(folder)
        .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as { pid: number })
        .map(({ pid }) => pid);
    } catch {
      return [];
    }
  }

  #configuration(): string {
    return `dataDir: ${this.dataDir}
socket: ${this.socket}
hostname: ${this.hostname}
listen: ["${this.endpoint}"]
dns:
  listen: ${this.dnsEndpoint}
  ttlSeconds: 1
engine:
  kind: embedded
  workDir: ${join(this.folder, "work")}
  stableWait: 500ms
log:
  format: pretty
`;
  }
}

/**
 * Makes the nodes one cluster, the first of them its beginning: keys and invitations through
 * the command line. None is started.
 * @returns the root key's file
 */
export async function formCluster(
  bundle: string,
  base: string,
  nodes: readonly LocalNode[],
): Promise<string> {
  const rootKey = join(base, "root.key");
  const [first, ...others] = nodes;
  if (first === undefined) throw new Error("a cluster has at least one node");
  await mustMyco(bundle, ["cluster", "init", "--data-dir", first.dataDir, "--root-key", rootKey]);
  for (const node of others) {
    const socket = ["--socket", join(base, "none.sock")];
    const invite = ["cluster", "invite", "--root-key", rootKey, "--peer", first.endpoint];
    const token = await mustMyco(bundle, [...invite, ...socket]);
    await mustMyco(bundle, ["cluster", "join", token.trim(), "--data-dir", node.dataDir]);
  }
  return rootKey;
}

/** Whether every node sees exactly `count` living members and is in step with the others. */
export async function isConnected(nodes: readonly LocalNode[], count: number): Promise<boolean> {
  const all = await Promise.all(nodes.map((node) => node.status()));
  const hashes = new Set(all.map((status) => status?.cluster.rootHash));
  const each = all.every(
    (status) => status?.cluster.synced === true && status.cluster.members.alive === count,
  );
  return each && hashes.size === 1;
}
