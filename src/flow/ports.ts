// The doors of the flow plane: child processes, small system files, and the ciphers that open QUIC
// Initial packets. src/io holds the real ones.

/** A program to run for long, such as the pinger or `tc -batch -`. */
export interface ChildCommand {
  /** A name to look up in PATH, or an absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** Longest line of its output; the rest of a longer one is dropped. */
  readonly lineBytesMax: number;
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
  /** False when the child has ended or does not read: the text is dropped, and said so once. */
  write(text: string): boolean;
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

/** The time of a loop: Unix milliseconds that keep the pace of a monotonic clock. */
export interface LoopClock {
  nowMs(): number;
}

/** Files below /proc, /sys and the catalogue's folders. */
export interface SystemFiles {
  /** The text, or null when it cannot be read. At most `bytesMax` bytes. */
  readText(path: string, bytesMax: number): string | null;
  /** Names in a folder, sorted; empty when there is none. */
  list(path: string): readonly string[];
  /** False when it could not be written. For /proc/sys and the metric dump (written aside and renamed). */
  writeText(path: string, text: string): boolean;
}

/** What opens a QUIC Initial packet (RFC 9001, section 5; RFC 9369). */
export interface QuicCrypto {
  /** HMAC-SHA-256. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** One 16-byte block under AES-128 in ECB mode: the header protection mask. */
  aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array;
  /** AES-128-GCM; null when the tag is wrong. `sealed` ends with the 16-byte tag. */
  aes128GcmOpen(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | null;
}
