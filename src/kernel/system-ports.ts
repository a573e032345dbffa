// Doors to the machine that src/io opens: child processes and small system files.

/** A program to run for long, such as the pinger or `tc -batch -`. */
export interface ChildCommand {
  /** A name to look up in PATH, or an absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** Longest line of its output; the rest of a longer one is dropped. */
  readonly lineBytesMax: number;
  /**
   * Its standard output waits in the pipe until `poll`, so that it wakes the daemon once a tick and
   * not once a write: a third of the cost. It takes PIPE_WRITE_BYTES_MAX bytes at a time. Without
   * it, what it says is told as it comes.
   */
  readonly polled?: boolean;
}

export interface ChildEvents {
  /** One line without its end. */
  onLine?(stream: "stdout" | "stderr", line: string): void;
  /** Raw bytes of stdout, for children that speak binary. Then `onLine` serves stderr only. The bytes are the callee's until it returns. */
  onBytes?(bytes: Uint8Array): void;
  /** Once. `how` for people: "exited with code 1", "was ended by SIGKILL", "could not be started: …". */
  onExit(how: string): void;
}

export interface Child {
  readonly pid: number | null;
  /** False when the child has ended or does not read: the text is dropped. */
  write(text: string): boolean;
  /** Tells what a polled child has said since the last time; does nothing for others. */
  poll(): void;
  /** SIGTERM now, SIGKILL if it lives a second later. */
  end(): void;
}

/** Starts children; every one dies with the daemon, even when that is killed. */
export interface Children {
  start(command: ChildCommand, events: ChildEvents): Child;
  /** Runs to the end, for start and stop only: never on the loop's path. */
  run(
    program: string,
    args: readonly string[],
    options?: { readonly input?: string; readonly timeoutMs?: number },
  ): Promise<RunResult>;
}

export interface RunResult {
  /** Null: killed, or never started. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Files below /proc, /sys and the catalogue's folders. */
export interface SystemFiles {
  /** The text, or null when it cannot be read. At most `bytesMax` bytes. */
  readText(path: string, bytesMax: number): string | null;
  /** Names in a folder, sorted; empty when there is none. */
  list(path: string): readonly string[];
  /** False when it could not be written. For /proc/sys and the metric dump (written aside and renamed). */
  writeText(path: string, text: string): boolean;
  /** To read again and again, or piece by piece; null when it cannot be opened. */
  open(path: string): OpenFile | null;
}

export interface OpenFile {
  /**
   * At most SYSTEM_READ_BYTES bytes from `offset` on, as Latin-1; "" at the end. The kernel makes a
   * /proc or /sys file anew when it is read from 0. Null when it can no longer be read, as when its
   * interface is gone.
   */
  read(offset: number): string | null;
  close(): void;
}

/** A folder of symbolic links that belong to the daemon, such as the roots of a collector. */
export interface LinkFolder {
  /** Absolute. It exists. */
  readonly path: string;
  /** Sorted by name, at most ROOT_LINKS_MAX. */
  list(): readonly SymbolicLink[];
  /** Does nothing where there is no such link. */
  remove(name: string): void;
}

export interface SymbolicLink {
  readonly name: string;
  /** As the link says, whether it is there or not. */
  readonly target: string;
  readonly targetExists: boolean;
}

/** What a file system has room for, in bytes. */
export interface DiskSpace {
  readonly totalBytes: number;
  /** For anyone but root. */
  readonly freeBytes: number;
}

export interface Disk {
  /** Of the file system that holds `path`; null when it cannot be told. */
  space(path: string): Promise<DiskSpace | null>;
  /** Null when there is no such file. */
  fileBytes(path: string): number | null;
  /** Does nothing where there is no such file. @throws a system error */
  removeFile(path: string): void;
}

/** A text file that only grows, and is set aside for a new one: `NAME`, `NAME.1`, … the oldest last. */
export interface AppendFile {
  /**
   * The end of the newest file that there is: of `NAME`, or of `NAME.1` where `NAME` is missing.
   * @throws a system error
   */
  readEnd(bytesMax: number): AppendFileEnd;
  /** Writes `text` at the end of `NAME`, durable when `done` is called. */
  append(text: string, done: (error: Error | null) => void): void;
  /**
   * Sets `NAME` aside as `NAME.1`, and so on; of more than `filesMax` the oldest goes. A new `NAME`
   * with `firstText` takes its place; a reader finds it with that text or not at all.
   */
  rotate(firstText: string, filesMax: number, done: (error: Error | null) => void): void;
}

export interface AppendFileEnd {
  /** Whether `NAME` itself is there. */
  readonly isCurrent: boolean;
  /** The last bytes, at most as many as asked for, byte by byte as characters (Latin-1). */
  readonly text: string;
  /** Of the file. */
  readonly sizeBytes: number;
}
