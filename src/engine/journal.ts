// What services print, as systemd's journal keeps it: read and followed by journalctl(1).

import {
  JOURNALS_FOLLOWED_MAX,
  SERVICE_LOG_LINE_BYTES_MAX,
  SERVICE_LOG_TAIL_BYTES_MAX,
} from "../kernel/limits.ts";
import type { Child, Children } from "../kernel/system-ports.ts";
import type { InstanceLogs } from "./engine.ts";
import { unitNameOf } from "./systemd.ts";

/** The lines of all readers of a journal together; each reader is a journalctl of its own. */
export class Journal implements InstanceLogs {
  readonly #children: Children;
  #followed = 0;

  constructor(children: Children) {
    this.#children = children;
  }

  tail(name: string, lineCount: number): Promise<readonly string[]> {
    if (lineCount === 0) return Promise.resolve([]);
    const last = new LastLines();
    return new Promise((resolve) => {
      this.#start(["--no-pager", ...argumentsFor(name, lineCount)], {
        onLine: (line) => last.push(line),
        onExit: () => resolve(last.lines),
      });
    });
  }

  follow(name: string, lineCount: number, onLine: (line: string) => void): (() => void) | null {
    if (this.#followed >= JOURNALS_FOLLOWED_MAX) return null;
    this.#followed += 1;
    let isOpen = true;
    const close = (): void => {
      if (isOpen) this.#followed -= 1;
      isOpen = false;
    };
    const child = this.#start(["--follow", ...argumentsFor(name, lineCount)], {
      onLine: (line) => {
        if (isOpen) onLine(line);
      },
      onExit: (how) => {
        if (isOpen) onLine(`myco: the journal cannot be followed: journalctl ${how}`);
        close();
      },
    });
    return () => {
      close();
      child.end();
    };
  }

  #start(
    args: readonly string[],
    events: { onLine(line: string): void; onExit(how: string): void },
  ): Child {
    const command = { program: "journalctl", args, lineBytesMax: SERVICE_LOG_LINE_BYTES_MAX };
    return this.#children.start(command, {
      onLine: (stream, line) => {
        if (stream === "stdout") events.onLine(line);
      },
      onExit: events.onExit,
    });
  }
}

/** The last lines, as many as fit. */
class LastLines {
  readonly #lines: string[] = [];
  #characters = 0;

  get lines(): readonly string[] {
    return this.#lines;
  }

  push(line: string): void {
    this.#lines.push(line);
    this.#characters += line.length + 1;
    while (this.#characters > SERVICE_LOG_TAIL_BYTES_MAX) {
      this.#characters -= (this.#lines.shift()?.length ?? 0) + 1;
    }
  }
}

function argumentsFor(name: string, lineCount: number): string[] {
  return [`--unit=${unitNameOf(name)}`, `--lines=${lineCount}`, "--output=cat", "--quiet"];
}
