// One small JSON file of the daemon's own in the data folder, replaced as a whole.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { STATE_FILE_BYTES_MAX } from "../kernel/limits.ts";

export class StateFile<T> {
  readonly path: string;
  readonly #parse: (value: unknown) => T | null;

  /** @param parse null for what this program did not write */
  constructor(path: string, parse: (value: unknown) => T | null) {
    this.path = path;
    this.#parse = parse;
  }

  /** Null when there is none; "damaged" when it cannot be understood. */
  read(): T | null | "damaged" {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ENOENT" ? null : "damaged";
    }
    if (text.length > STATE_FILE_BYTES_MAX) return "damaged";
    try {
      return this.#parse(JSON.parse(text)) ?? "damaged";
    } catch {
      return "damaged";
    }
  }

  /** Durable when it returns. Throws a system error when the disk refuses. */
  write(value: T): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    const draft = `${this.path}.new`;
    writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flush: true });
    renameSync(draft, this.path);
  }
}
