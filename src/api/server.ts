// The HTTP server on the unix socket: who may connect, how long anything may take, and which
// route answers. Everything that comes in is bounded.

import { chmodSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { pipeline, Readable } from "node:stream";
import { API_CONNECTIONS_MAX, API_HEADER_BYTES_MAX } from "../kernel/limits.ts";
import { ApiError } from "./api-error.ts";
import type { ApiBackend } from "./backend.ts";
import type { Followers } from "./event-hub.ts";
import { answer, type Reply } from "./routes.ts";

/** Owner and group may speak with the daemon; nobody else. */
const SOCKET_MODE = 0o660;
const OTHERS_MASK = 0o117;
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 15_000;
const KEEP_ALIVE_MS = 5_000;
const STALE_CHECK_MS = 1_000;
const HEADER_COUNT_MAX = 64;

/** The socket's path cannot be used. The message says what to do. */
export class SocketError extends Error {
  override readonly name = "SocketError";
  readonly code = "ERR_API_SOCKET";
}

export interface ApiServerOptions {
  readonly socketPath: string;
  readonly backend: ApiBackend;
  readonly followers: Followers;
  /** A route failed in a way it should not have: the answer was 500. */
  readonly onFailure: (error: Error, request: string) => void;
}

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #server: Server;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: API_HEADER_BYTES_MAX,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: HEADERS_TIMEOUT_MS,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.maxConnections = API_CONNECTIONS_MAX;
    this.#server.maxHeadersCount = HEADER_COUNT_MAX;
    this.#server.on("clientError", refuseMalformed);
  }

  /**
   * Takes the socket's path. One that a dead daemon left is replaced.
   * @throws SocketError
   */
  async listen(): Promise<void> {
    const { socketPath } = this.#options;
    try {
      mkdirSync(dirname(socketPath), { recursive: true });
      if ((await this.#tryListen()) === "in-use") {
        if (!lstatSync(socketPath).isSocket()) throw notASocket(socketPath);
        if (await isAnswered(socketPath)) throw answeredElsewhere(socketPath);
        rmSync(socketPath, { force: true });
        if ((await this.#tryListen()) === "in-use") throw answeredElsewhere(socketPath);
      }
      chmodSync(socketPath, SOCKET_MODE);
    } catch (error) {
      throw error instanceof SocketError ? error : socketError(socketPath, error as Error);
    }
  }

  /** Takes no more requests, ends the answers that go on, and waits for the others. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#options.followers.close();
      this.#server.closeIdleConnections();
    });
  }

  /** Cuts off whoever is still connected. */
  destroy(): void {
    this.#server.closeAllConnections();
  }

  #tryListen(): Promise<"listening" | "in-use"> {
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        if (error.code === "EADDRINUSE") resolve("in-use");
        else reject(error);
      };
      this.#server.once("error", failed);
      // The file is made within this call: at no moment may others connect.
      const maskBefore = process.umask(OTHERS_MASK);
      this.#server.listen(this.#options.socketPath, () => {
        this.#server.off("error", failed);
        resolve("listening");
      });
      process.umask(maskBefore);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { backend, followers } = this.#options;
    let reply: Reply | null;
    try {
      reply = await answer(request, response, backend, followers);
    } catch (error) {
      reply = this.#errorReply(error as Error, request);
    }
    if (reply !== null) send(response, reply);
  }

  #errorReply(error: Error, request: IncomingMessage): Reply {
    if (request.destroyed && !request.complete) return { status: 400, body: "" };
    if (!(error instanceof ApiError)) {
      this.#options.onFailure(error, `${request.method} ${request.url?.slice(0, 200)}`);
      return this.#errorReply(internalError(), request);
    }
    const { status, details } = error;
    const headers = details.headers ?? {};
    return { status, body: JSON.stringify(error.toAnswer()), headers };
  }
}

function send(response: ServerResponse, reply: Reply): void {
  if (response.destroyed || response.headersSent) {
    response.destroy();
    return;
  }
  const { status, body, contentType = "application/json", headers } = reply;
  const head = { "content-type": contentType, "cache-control": "no-store", ...headers };
  if (typeof body === "string" || body instanceof Uint8Array) {
    response.writeHead(status, { ...head, "content-length": Buffer.byteLength(body) });
    response.end(body);
    return;
  }
  response.writeHead(status, head);
  // A reader that goes away ends it; there is nobody to tell.
  pipeline(Readable.from(body), response, () => {});
}

function internalError(): ApiError {
  return new ApiError(500, "internal", "the daemon failed to answer", {
    hint: 'its log and "myco flight" say more',
  });
}

/** What is no HTTP, is too long or too slow never reaches a route. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status = statusOfClientError(error.code);
  const body = JSON.stringify(
    new ApiError(status.code, "request-malformed", status.text).toAnswer(),
  );
  socket.end(
    `HTTP/1.1 ${status.code} ${status.text}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function statusOfClientError(code: string | undefined): { code: number; text: string } {
  if (code === "HPE_HEADER_OVERFLOW") return { code: 431, text: "Request Header Fields Too Large" };
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return { code: 408, text: "Request Timeout" };
  return { code: 400, text: "Bad Request" };
}

/** Whether a process accepts connections there. */
function isAnswered(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(STALE_CHECK_MS, () => finish(true));
    socket.once("connect", () => finish(true));
    // ECONNREFUSED: the file of a daemon that is gone. Anything else is not ours to remove.
    socket.once("error", (error: NodeJS.ErrnoException) =>
      finish(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"),
    );
  });
}

function notASocket(socketPath: string): SocketError {
  return new SocketError(
    `${socketPath} is there and is no socket. Move it away, or choose another path with "socket" in the configuration or --socket.`,
  );
}

function answeredElsewhere(socketPath: string): SocketError {
  return new SocketError(
    `Another program answers on ${socketPath}. Stop that daemon, or choose another path with "socket" in the configuration or --socket.`,
  );
}

function socketError(socketPath: string, error: Error): SocketError {
  return new SocketError(
    `Cannot listen on the socket ${socketPath}: ${error.message}. Choose a path this user may write to with "socket" in the configuration or --socket.`,
    { cause: error },
  );
}
