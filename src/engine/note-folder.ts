// The systemd engine's notes on disk: one small file a service.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { UNIT_FILE_BYTES_MAX } from "../kernel/limits.ts";
import { type MakeRoom, replaceFile } from "./durable-file.ts";
import type { NoteFolder } from "./ports.ts";

const SUFFIX = ".json";

export class FileNotes implements NoteFolder {
  readonly #folder: string;
  readonly #makeRoom: MakeRoom;

  constructor(folder: string, makeRoom: MakeRoom) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = folder;
    this.#makeRoom = makeRoom;
  }

  readAll(): ReadonlyMap<string, string> {
    const notes = new Map<string, string>();
    for (const file of readdirSync(this.#folder)) {
      const path = join(this.#folder, file);
      if (!file.endsWith(SUFFIX) || statSync(path).size > UNIT_FILE_BYTES_MAX) continue;
      notes.set(file.slice(0, -SUFFIX.length), readFileSync(path, "utf8"));
    }
    return notes;
  }

  async write(name: string, text: string): Promise<boolean> {
    const path = join(this.#folder, `${name}${SUFFIX}`);
    try {
      await replaceFile({ path, text, mode: 0o600, makeRoom: this.#makeRoom });
      return true;
    } catch {
      return false;
    }
  }

  remove(name: string): void {
    rmSync(join(this.#folder, `${name}${SUFFIX}`), { force: true });
  }
}
