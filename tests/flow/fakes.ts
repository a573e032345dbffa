// Stand-ins for the flow plane's doors: children whose words the test speaks, files in memory, a
// clock that is set by hand.

import type {
  Child,
  ChildCommand,
  ChildEvents,
  Children,
  LoopClock,
  OpenFile,
  RunResult,
  SystemFiles,
} from "../../src/flow/ports.ts";

export class HandClock implements LoopClock {
  ms = 1_000_000;

  nowMs(): number {
    return this.ms;
  }
}

export class FakeChild implements Child {
  readonly pid = 4242;
  readonly command: ChildCommand;
  readonly events: ChildEvents;
  readonly written: string[] = [];
  /** What `poll` will tell. */
  readonly waiting: string[] = [];
  reads = true;
  ended = false;

  constructor(command: ChildCommand, events: ChildEvents) {
    this.command = command;
    this.events = events;
  }

  write(text: string): boolean {
    if (this.reads) this.written.push(text);
    return this.reads;
  }

  poll(): void {
    for (const line of this.waiting.splice(0)) this.say(line);
  }

  end(): void {
    this.ended = true;
  }

  say(line: string, stream: "stdout" | "stderr" = "stdout"): void {
    this.events.onLine?.(stream, line);
  }

  exit(how = "exited with code 1"): void {
    this.ended = true;
    this.events.onExit(how);
  }
}

export class FakeChildren implements Children {
  readonly started: FakeChild[] = [];

  start(command: ChildCommand, events: ChildEvents): FakeChild {
    const child = new FakeChild(command, events);
    this.started.push(child);
    return child;
  }

  run(): Promise<RunResult> {
    return Promise.resolve({ exitCode: 0, stdout: "", stderr: "" });
  }

  get newest(): FakeChild {
    const child = this.started.at(-1);
    if (child === undefined) throw new Error("no child was started");
    return child;
  }
}

/** Files by path. A file that is deleted makes open ones fail, as the kernel's do. */
export class FakeFiles implements SystemFiles {
  readonly texts = new Map<string, string>();
  openCount = 0;
  /** What one read gives at most, as the kernel gives a page of some files. */
  readBytes = 4_096;

  readText(path: string, bytesMax: number): string | null {
    return this.texts.get(path)?.slice(0, bytesMax) ?? null;
  }

  list(path: string): readonly string[] {
    const names = [...this.texts.keys()].filter((name) => name.startsWith(`${path}/`));
    return [...new Set(names.map((name) => name.slice(path.length + 1).split("/")[0]!))].sort();
  }

  writeText(path: string, text: string): boolean {
    this.texts.set(path, text);
    return true;
  }

  open(path: string): OpenFile | null {
    if (!this.texts.has(path)) return null;
    this.openCount += 1;
    return {
      read: (offset) => this.texts.get(path)?.slice(offset, offset + this.readBytes) ?? null,
      close: () => {
        this.openCount -= 1;
      },
    };
  }
}
