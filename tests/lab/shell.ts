// One way into a guest: a shell at the other end of a virtio port, which runs one command at a
// time. A guest has several, so that a test can look while a command runs.

import type { Duplex } from "node:stream";
import { GuestGoneError } from "./errors.ts";
import { encodeRequest, type Reply, ReplyReader, type ShellEvent } from "./framing.ts";

/** How long past its own limit a guest may take to say that a command was stopped. */
const GRACE_SECONDS = 30;

interface Pending {
  readonly id: number;
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

export class Shell {
  /** Resolves when the guest's end is there; rejects when the guest ends before. */
  readonly ready: Promise<void>;
  readonly #stream: Duplex;
  readonly #reader = new ReplyReader();
  #announceReady: () => void = () => {};
  #refuseReady: (error: Error) => void = () => {};
  #pending: Pending | null = null;
  #nextId = 1;
  #failure: Error | null = null;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.ready = new Promise((resolve, reject) => {
      this.#announceReady = resolve;
      this.#refuseReady = reject;
    });
    this.ready.catch(() => {});
    stream.on("data", (chunk: Buffer) => {
      for (const event of this.#reader.push(chunk)) this.#take(event);
    });
    stream.on("error", () => {});
    stream.once("close", () => this.close(new GuestGoneError("the guest is gone")));
  }

  /** Whether it still answers. */
  get usable(): boolean {
    return this.#failure === null;
  }

  /** @param timeoutSeconds null is no limit; the reply's status is 124 when it was reached */
  run(command: string, timeoutSeconds: number | null, input: Uint8Array): Promise<Reply> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    const reply = new Promise<Reply>((resolve, reject) => {
      this.#pending = { id, resolve, reject };
    });
    this.#stream.write(encodeRequest({ id, timeoutSeconds: timeoutSeconds ?? 0, command, input }));
    return timeoutSeconds === null ? reply : this.#within(timeoutSeconds, command, reply);
  }

  /** Ends what is under way with `reason`, and everything after it. */
  close(reason: Error): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#refuseReady(reason);
    this.#pending?.reject(reason);
    this.#pending = null;
  }

  #within(timeoutSeconds: number, command: string, reply: Promise<Reply>): Promise<Reply> {
    const silentSeconds = timeoutSeconds + GRACE_SECONDS;
    const timer = setTimeout(() => {
      this.close(new GuestGoneError(`no answer in ${silentSeconds} s to \`${command}\``));
    }, silentSeconds * 1000);
    return reply.finally(() => clearTimeout(timer));
  }

  #take(event: ShellEvent): void {
    if (event.kind === "ready") {
      this.#announceReady();
      this.#pending?.reject(new GuestGoneError("the guest's shell started anew"));
      this.#pending = null;
    } else if (event.reply.id === this.#pending?.id) {
      this.#pending.resolve(event.reply);
      this.#pending = null;
    }
  }
}
