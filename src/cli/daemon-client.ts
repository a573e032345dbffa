// Speaks HTTP with the daemon on its unix socket, and turns what goes wrong into errors that
// say what to do.

import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { ErrorAnswer } from "../api/contract.ts";
import { API_ANSWER_BYTES_MAX } from "../kernel/limits.ts";
import { CommandError } from "./command-error.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { printable } from "./presenter.ts";

/** How long the daemon may stay silent in the middle of an answer. */
const SILENCE_MS_MAX = 30_000;
/** How long its answer to a write may take: flakes of a whole manifest are resolved meanwhile. */
const WRITE_MS_MAX = 10 * 60_000;

export interface RequestBody {
  readonly contentType: "application/json" | "application/octet-stream";
  readonly bytes: Uint8Array | string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

export class DaemonClient {
  readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** @throws CommandError when the daemon cannot be reached or says no */
  async get<T>(path: string): Promise<T> {
    return this.#json<T>("GET", path, null);
  }

  async post<T>(path: string, body: RequestBody | null): Promise<T> {
    return this.#json<T>("POST", path, body);
  }

  async put<T>(path: string, body: RequestBody | null): Promise<T> {
    return this.#json<T>("PUT", path, body);
  }

  async delete<T>(path: string): Promise<T> {
    return this.#json<T>("DELETE", path, null);
  }

  /** `GET /health` answers 503 with a body worth reading. */
  async getWhateverStatus<T>(path: string): Promise<T> {
    return parseAnswer<T>(await this.#ask("GET", path, null));
  }

  /** The text of an answer, whole. */
  async getText(path: string): Promise<string> {
    const answer = await this.#ask("GET", path, null);
    if (answer.status >= 400) throw refusal(answer);
    return answer.text;
  }

  /** Hands on an answer's text as it comes, until it ends or `signal` says so. */
  async follow(path: string, onText: (text: string) => void, signal?: AbortSignal): Promise<void> {
    const response = await this.#open("GET", path, null);
    signal?.addEventListener("abort", () => response.destroy());
    if ((response.statusCode ?? 500) >= 400) throw refusal(await readWhole(response));
    response.setEncoding("utf8");
    try {
      for await (const text of response) onText(text as string);
    } catch (error) {
      if (signal?.aborted !== true) throw brokenOff(error);
    }
  }

  async #json<T>(method: string, path: string, body: RequestBody | null): Promise<T> {
    const answer = await this.#ask(method, path, body);
    if (answer.status >= 400) throw refusal(answer);
    return parseAnswer<T>(answer);
  }

  async #ask(method: string, path: string, body: RequestBody | null): Promise<Answer> {
    const response = await this.#open(method, path, body);
    response.setTimeout(SILENCE_MS_MAX, () => {
      response.destroy(new Error(`the daemon was silent for ${SILENCE_MS_MAX / 1000} s`));
    });
    return readWhole(response);
  }

  #open(method: string, path: string, body: RequestBody | null): Promise<IncomingMessage> {
    const headers =
      body === null
        ? {}
        : { "content-type": body.contentType, "content-length": Buffer.byteLength(body.bytes) };
    return new Promise((resolve, reject) => {
      const { socketPath } = this;
      const asked: ClientRequest = request({ socketPath, method, path, headers, agent: false });
      const waitMs = method === "POST" ? WRITE_MS_MAX : SILENCE_MS_MAX;
      asked.setTimeout(waitMs, () => {
        asked.destroy(new Error(`no answer within ${waitMs / 1000} s`));
      });
      asked.on("error", (error) => reject(unreachable(error, socketPath)));
      asked.on("response", (response) => {
        asked.setTimeout(0);
        resolve(response);
      });
      asked.end(body?.bytes);
    });
  }
}

async function readWhole(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response) {
      sizeBytes += (chunk as Buffer).length;
      if (sizeBytes > API_ANSWER_BYTES_MAX) {
        throw new Error(`its answer is longer than ${API_ANSWER_BYTES_MAX} bytes`);
      }
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    throw brokenOff(error);
  }
  return { status: response.statusCode ?? 500, text: Buffer.concat(chunks).toString("utf8") };
}

function brokenOff(error: unknown): CommandError {
  const reason = error instanceof Error ? error.message : String(error);
  return new CommandError(
    EXIT.failed,
    `the daemon's answer broke off: ${reason}`,
    "see whether the daemon still runs: myco health",
  );
}

function parseAnswer<T>(answer: Answer): T {
  try {
    return JSON.parse(answer.text) as T;
  } catch {
    throw new CommandError(
      EXIT.failed,
      `the daemon answered ${answer.status} with something that is not JSON`,
      "is it really a myco daemon that listens on this socket?",
    );
  }
}

/** What a status of 400 and above means for the command. */
function refusal(answer: Answer): CommandError {
  const exitCode = exitCodeOf(answer.status);
  const said = readErrorAnswer(answer.text);
  if (said === null) {
    return new CommandError(exitCode, `the daemon answered ${answer.status} without saying why`);
  }
  const lines = [said.message, ...(said.problems ?? []).map((problem) => `  ${problem}`)];
  return new CommandError(exitCode, lines.map(printable).join("\n"), printable(said.hint ?? ""));
}

function exitCodeOf(status: number): ExitCode {
  if (status === 404) return EXIT.notFound;
  if (status === 403 || status === 409 || status === 413 || status === 422) return EXIT.refused;
  return EXIT.failed;
}

function readErrorAnswer(text: string): ErrorAnswer["error"] | null {
  try {
    const { error } = JSON.parse(text) as Partial<ErrorAnswer>;
    return typeof error?.message === "string" ? error : null;
  } catch {
    return null;
  }
}

function unreachable(error: Error, socketPath: string): CommandError {
  const code = (error as NodeJS.ErrnoException).code;
  const elsewhere = "a daemon elsewhere is named with --socket PATH or MYCO_SOCKET";
  switch (code) {
    case "ENOENT":
      return new CommandError(
        EXIT.daemonUnreachable,
        `the daemon is not running: there is no socket ${socketPath}`,
        `start it with "myco daemon"; ${elsewhere}`,
      );
    case "ECONNREFUSED":
      return new CommandError(
        EXIT.daemonUnreachable,
        `the daemon is not running: nobody answers on ${socketPath}`,
        `start it with "myco daemon", which replaces the old socket; ${elsewhere}`,
      );
    case "EACCES":
      return new CommandError(
        EXIT.daemonUnreachable,
        `you may not use the socket ${socketPath}`,
        'you are not in its group: "sudo usermod -aG myco $USER" and a new login change that, or use sudo',
      );
    default:
      return new CommandError(
        EXIT.daemonUnreachable,
        `the daemon does not answer on ${socketPath}: ${error.message}`,
        elsewhere,
      );
  }
}
