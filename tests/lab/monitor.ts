// QEMU's machine protocol (QMP), as far as the lab needs it: one command, one answer.

import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { GuestGoneError, LabError } from "./errors.ts";

interface Answer {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

export class Monitor {
  readonly #stream: Duplex;
  readonly #waiting = new Map<number, (answer: Answer | null) => void>();
  #nextId = 1;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("error", () => {});
    createInterface({ input: stream }).on("line", (line) => this.#take(line));
    stream.once("close", () => {
      for (const settle of this.#waiting.values()) settle(null);
      this.#waiting.clear();
    });
    void this.execute("qmp_capabilities").catch(() => {});
  }

  /** @throws LabError with QEMU's own words; GuestGoneError when QEMU ends before it answers */
  async execute(command: string, parameters: Record<string, unknown> = {}): Promise<unknown> {
    if (this.#stream.destroyed) throw new GuestGoneError("QEMU has ended");
    const id = this.#nextId++;
    const answer = await new Promise<Answer | null>((settle) => {
      this.#waiting.set(id, settle);
      this.#stream.write(`${JSON.stringify({ execute: command, arguments: parameters, id })}\n`);
    });
    if (answer === null) throw new GuestGoneError(`QEMU ended before it answered ${command}`);
    if (answer.error !== undefined) {
      throw new LabError("monitor", `QEMU refused ${command}: ${answer.error.desc}`);
    }
    return answer.return;
  }

  #take(line: string): void {
    const answer = JSON.parse(line) as Answer;
    if (answer.id === undefined) return;
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }
}
