// A log's storage in memory that fails when told to: a write stays under way until the test
// completes it, fails it, or crashes the machine in the middle of it.
import type { LogStorage, WriteDone } from "../../src/kernel/ports.ts";

interface PendingWrite {
  readonly kind: "append" | "replace";
  readonly bytes: Uint8Array;
  readonly done: WriteDone;
}

export class MemoryStorage implements LogStorage {
  /** What is on the disk. */
  content: Uint8Array;
  #pending: PendingWrite | null = null;

  constructor(content: Uint8Array = new Uint8Array()) {
    this.content = content;
  }

  get pendingKind(): "append" | "replace" | null {
    return this.#pending?.kind ?? null;
  }

  read(): Uint8Array {
    return this.content.slice();
  }

  truncate(sizeBytes: number): void {
    this.content = this.content.slice(0, sizeBytes);
  }

  append(bytes: Uint8Array, done: WriteDone): void {
    this.#begin({ kind: "append", bytes, done });
  }

  replace(bytes: Uint8Array, done: WriteDone): void {
    this.#begin({ kind: "replace", bytes, done });
  }

  /** The write under way reaches the disk. */
  complete(): void {
    const pending = this.#end();
    if (pending === null) return;
    this.content = pending.kind === "append" ? this.#after(pending.bytes) : pending.bytes.slice();
    pending.done(null);
  }

  /** The write under way fails, `fraction` (0 to 1) of an append being written. */
  fail(error: Error, fraction: number): void {
    const pending = this.#end();
    if (pending === null) return;
    if (pending.kind === "append") this.content = this.#torn(pending.bytes, fraction);
    pending.done(error);
  }

  /** The machine stops. @returns the disk as the next start finds it */
  crash(fraction: number): MemoryStorage {
    const pending = this.#end();
    if (pending === null) return new MemoryStorage(this.content);
    if (pending.kind === "append") return new MemoryStorage(this.#torn(pending.bytes, fraction));
    return new MemoryStorage(fraction < 0.5 ? this.content : pending.bytes.slice());
  }

  #torn(bytes: Uint8Array, fraction: number): Uint8Array {
    return this.#after(bytes.subarray(0, Math.round(fraction * bytes.length)));
  }

  #after(bytes: Uint8Array): Uint8Array {
    const content = new Uint8Array(this.content.length + bytes.length);
    content.set(this.content);
    content.set(bytes, this.content.length);
    return content;
  }

  #begin(write: PendingWrite): void {
    if (this.#pending !== null) throw new Error("two writes at once");
    this.#pending = write;
  }

  #end(): PendingWrite | null {
    const pending = this.#pending;
    this.#pending = null;
    return pending;
  }
}

/** Completes writes until none is under way. */
export function settle(storage: MemoryStorage): void {
  while (storage.pendingKind !== null) storage.complete();
}
