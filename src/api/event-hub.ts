// The readers of answers that do not end: event streams and followed logs. Each is a socket
// with a bounded backlog; whoever reads too slowly is cut off, and nobody else waits for it.

import type { ServerResponse } from "node:http";
import { API_FOLLOWER_BACKLOG_BYTES_MAX, API_FOLLOWERS_MAX } from "../kernel/limits.ts";
import { ApiError } from "./api-error.ts";
import type { StreamEvents } from "./contract.ts";

/** How often a quiet stream shows that it lives. */
export const HEARTBEAT_MS = 15_000;

/** All answers that go on, counted together. */
export class Followers {
  readonly #open = new Set<ServerResponse>();
  #cutOffCount = 0;

  get size(): number {
    return this.#open.size;
  }

  /** How many were cut off for reading too slowly. */
  get cutOffCount(): number {
    return this.#cutOffCount;
  }

  /** Begins an answer that goes on until its reader leaves. Throws ApiError when there are too many. */
  add(response: ServerResponse, contentType: string, onGone: () => void): void {
    if (this.#open.size >= API_FOLLOWERS_MAX) {
      throw new ApiError(
        503,
        "too-many-followers",
        `${API_FOLLOWERS_MAX} streams and followed logs are open already`,
        { hint: "close one of them, or try again later" },
      );
    }
    this.#open.add(response);
    response.once("close", () => {
      this.#open.delete(response);
      onGone();
    });
    response.writeHead(200, { "content-type": contentType, "cache-control": "no-store" });
    response.flushHeaders();
  }

  /** Sends a piece, unless the reader has fallen too far behind: then it is cut off. */
  send(response: ServerResponse, text: string): void {
    if (response.destroyed || response.writableEnded) return;
    response.write(text);
    if (response.writableLength <= API_FOLLOWER_BACKLOG_BYTES_MAX) return;
    this.#cutOffCount += 1;
    response.destroy();
  }

  /** Ends every answer. */
  close(): void {
    for (const response of this.#open) response.end();
  }
}

type EventListener = (name: keyof StreamEvents, data: object) => void;

/** Sends events to everyone who reads `GET /stream` (Server-Sent Events, WHATWG HTML 9.2). */
export class EventHub {
  readonly #followers: Followers;
  readonly #readers = new Set<ServerResponse>();
  readonly #listeners: EventListener[] = [];
  #lastId = 0;
  #heartbeat: NodeJS.Timeout | null = null;

  constructor(followers: Followers) {
    this.#followers = followers;
  }

  /** For parts of the daemon, for good: told of every event before the readers are. */
  listen(listener: EventListener): void {
    this.#listeners.push(listener);
  }

  /** Tells all readers. */
  publish<Name extends keyof StreamEvents>(name: Name, data: StreamEvents[Name]): void {
    this.#lastId += 1;
    for (const tell of this.#listeners) tell(name, data);
    if (this.#readers.size === 0) return;
    const text = frame(name, data, this.#lastId);
    for (const reader of this.#readers) this.#followers.send(reader, text);
  }

  /** Makes `response` a reader; its first event is `hello`. Throws ApiError when there are too many. */
  add(response: ServerResponse, hello: StreamEvents["hello"]): void {
    this.#followers.add(response, "text/event-stream; charset=utf-8", () => this.#remove(response));
    this.#readers.add(response);
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#followers.send(response, frame("hello", hello, this.#lastId));
  }

  #remove(response: ServerResponse): void {
    this.#readers.delete(response);
    if (this.#readers.size > 0 || this.#heartbeat === null) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = null;
  }

  #beat(): void {
    for (const reader of this.#readers) this.#followers.send(reader, ": still here\n\n");
  }
}

function frame(name: string, data: unknown, id: number): string {
  return `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}
