// One long-lived `tc -batch -`: every question to the kernel's qdiscs and every change of them goes
// through its standard input, so that nothing is spawned on the loop's path (tc(8), -batch).

import { assert } from "../../kernel/assert.ts";
import {
  TC_ANSWER_MS_MAX,
  TC_LINE_BYTES_MAX,
  TC_MESSAGE_CHARACTERS_MAX,
  TC_REQUESTS_MAX,
} from "../../kernel/limits.ts";
import type { Random } from "../../kernel/ports.ts";
import type { Child, Children, LoopClock } from "../ports.ts";
import { RestartBackoff } from "./restart-backoff.ts";

/** How a request ended. */
export interface TcReply {
  /** All qdiscs as a JSON array; after a change, what the kernel then had. Null: it could not be asked. */
  readonly json: string | null;
  /** What tc said against it, for people; null: all went well. */
  readonly error: string | null;
}

export type TcDone = (reply: TcReply) => void;

export interface TcBatchOptions {
  readonly children: Children;
  readonly clock: LoopClock;
  readonly random: Random;
  /** The process ended, or runs again; `reason` for people. */
  readonly onState?: (alive: boolean, reason: string) => void;
}

interface Request {
  /** The line of the batch that changes something; 0: none. */
  readonly changeLine: number;
  /** The line that asks: its answer ends the request. */
  readonly queryLine: number;
  readonly sinceMs: number;
  readonly done: TcDone;
  changeError: string | null;
}

/**
 * Standard error joins standard output, so that the order of answers and complaints is tc's own:
 * a change that fails has said so before the query behind it is answered. tc prints nothing for a
 * change that went well, so each is followed by a query. Without -force the first error would end
 * it; a command it cannot parse still does.
 */
const TC_COMMAND = {
  program: "sh",
  args: ["-c", "exec tc -s -j -force -batch - 2>&1"],
  lineBytesMax: TC_LINE_BYTES_MAX,
  polled: true,
} as const;

/**
 * Always about all devices: once asked about one, tc shows no other for the rest of its life (its
 * filter is a variable that nothing resets), and the kernel goes through all of them anyway.
 */
const QUERY = "qdisc show\n";

const FAILED_LINE = /^Command failed [^:]*:([0-9]{1,15})$/;

export class TcBatch {
  readonly #options: TcBatchOptions;
  readonly #backoff: RestartBackoff;
  /** In the order tc will answer. At most TC_REQUESTS_MAX. */
  #requests: Request[] = [];
  #child: Child | null = null;
  #startedAtMs = 0;
  /** Null: running, or stopped for good. */
  #restartAtMs: number | null = null;
  /** Lines written to this process. */
  #lineCount = 0;
  /** What it said since its last answer. */
  #message = "";

  constructor(options: TcBatchOptions) {
    this.#options = options;
    this.#backoff = new RestartBackoff(options.random);
  }

  get alive(): boolean {
    return this.#child !== null;
  }

  start(): void {
    assert(this.#child === null, "one tc runs at a time");
    this.#startedAtMs = this.#options.clock.nowMs();
    this.#restartAtMs = null;
    this.#lineCount = 0;
    this.#message = "";
    let child: Child | null = null;
    // A process that was replaced may still speak; it is not listened to any more.
    const isCurrent = (): boolean => child === null || this.#child === child;
    child = this.#options.children.start(TC_COMMAND, {
      onLine: (_, line) => {
        if (isCurrent()) this.#onLine(line);
      },
      onExit: (how) => {
        if (isCurrent()) this.#onExit(how);
      },
    });
    this.#child = child;
  }

  /** Ends the process for good. Requests under way are told so. */
  stop(): void {
    this.#restartAtMs = null;
    this.#endChild("tc was stopped");
  }

  /** A new process at once. tc remembers interface numbers: needed when a link was deleted and made again. */
  restart(reason: string): void {
    this.#endChild(reason);
    this.start();
  }

  /**
   * Call it once a round: tells the answers that came since the one before. Also notices one that
   * never came, and starts again a process that ended.
   */
  tick(): void {
    this.#child?.poll();
    const nowMs = this.#options.clock.nowMs();
    const oldest = this.#requests[0];
    if (oldest !== undefined && nowMs - oldest.sinceMs > TC_ANSWER_MS_MAX) {
      this.#fall(`tc gave no answer in ${TC_ANSWER_MS_MAX / 1_000} s`);
    }
    if (this.#restartAtMs === null || nowMs < this.#restartAtMs) return;
    this.start();
    this.#options.onState?.(true, "tc was started again");
  }

  /**
   * Asks for all qdiscs with their statistics.
   * @param done called once: by a later tick, or before this returns when tc cannot be asked now
   */
  show(done: TcDone): void {
    this.#request("", done);
  }

  /**
   * Changes something, then reads all qdiscs back. A change that failed has both an error and what
   * the kernel has.
   * @param command such as `qdisc change dev wan0 root handle 1: cake bandwidth 20000kbit`
   */
  change(command: string, done: TcDone): void {
    assert(/^[^\n\r\\#"']+$/.test(command), "a command is one plain line of the batch");
    this.#request(`${command}\n`, done);
  }

  #request(change: string, done: TcDone): void {
    const refusal = this.#refusal();
    if (refusal !== null) {
      done({ json: null, error: refusal });
      return;
    }
    const changeLine = change === "" ? 0 : ++this.#lineCount;
    const queryLine = ++this.#lineCount;
    const sinceMs = this.#options.clock.nowMs();
    this.#requests.push({ changeLine, queryLine, sinceMs, done, changeError: null });
    if (this.#child?.write(change + QUERY) === false) this.#fall("tc does not read its commands");
  }

  #refusal(): string | null {
    if (this.#child === null) return "tc does not run; it is started again shortly";
    if (this.#requests.length >= TC_REQUESTS_MAX) {
      return `tc is behind: ${TC_REQUESTS_MAX} requests wait for it`;
    }
    return null;
  }

  #onLine(line: string): void {
    const failed = line.startsWith("[") ? null : FAILED_LINE.exec(line);
    if (line.startsWith("[")) this.#onAnswer(line);
    else if (failed !== null) this.#onFailedLine(Number(failed[1]));
    else this.#noteMessage(line);
  }

  #noteMessage(line: string): void {
    if (this.#message.length >= TC_MESSAGE_CHARACTERS_MAX) return;
    const joined = this.#message === "" ? line : `${this.#message}; ${line}`;
    this.#message = joined.slice(0, TC_MESSAGE_CHARACTERS_MAX);
  }

  #onAnswer(json: string): void {
    const request = this.#requests.shift();
    this.#message = "";
    if (request === undefined) this.#fall("tc answered what nobody asked");
    else request.done({ json, error: request.changeError });
  }

  #onFailedLine(line: number): void {
    const request = this.#requests[0];
    const error = this.#takeMessage("tc refused the command");
    if (request !== undefined && line === request.changeLine) {
      request.changeError = error;
    } else if (request !== undefined && line === request.queryLine) {
      this.#requests.shift();
      request.done({ json: null, error: request.changeError ?? error });
    } else {
      this.#fall(`tc complained about line ${line}, which nobody waits for: ${error}`);
    }
  }

  #takeMessage(otherwise: string): string {
    const message = this.#message === "" ? otherwise : this.#message;
    this.#message = "";
    return message;
  }

  #onExit(how: string): void {
    this.#child = null;
    const said = this.#message === "" ? "" : `: ${this.#message}`;
    this.#scheduleRestart(`tc ${how}${said}`);
  }

  /** The process is of no use as it is. */
  #fall(reason: string): void {
    const child = this.#child;
    this.#child = null;
    child?.end();
    this.#scheduleRestart(reason);
  }

  #scheduleRestart(reason: string): void {
    const nowMs = this.#options.clock.nowMs();
    this.#restartAtMs = nowMs + this.#backoff.nextWaitMs(nowMs - this.#startedAtMs);
    this.#failRequests(reason);
    this.#options.onState?.(false, reason);
  }

  #endChild(reason: string): void {
    const child = this.#child;
    this.#child = null;
    child?.end();
    this.#failRequests(reason);
  }

  #failRequests(reason: string): void {
    const requests = this.#requests;
    this.#requests = [];
    for (const request of requests) {
      request.done({ json: null, error: request.changeError ?? reason });
    }
  }
}
