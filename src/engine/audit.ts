// The audit log being written: lines in a chain, durable one after the other. What a crash or a
// full disk cut off is owned up to in the chain itself.

import {
  AUDIT_FILE_BYTES,
  AUDIT_FILES_MAX,
  AUDIT_LINE_BYTES_MAX,
  AUDIT_WAITING_MAX,
} from "../kernel/limits.ts";
import type { AppendFile } from "../kernel/system-ports.ts";
import {
  type AuditEntry,
  type AuditEvent,
  formatAuditLine,
  type HashText,
  NO_LINE_BEFORE,
  parseAuditLine,
} from "./audit-line.ts";

export interface AuditLogOptions {
  readonly file: AppendFile;
  readonly hashText: HashText;
  /** Unix time. */
  readonly nowMs: () => number;
  /** Told when the log cannot be written, and with null when it can again. */
  readonly onProblem: (problem: string | null) => void;
  readonly fileBytesMax?: number;
}

/** Where the chain ends. */
interface ChainEnd {
  readonly number: number;
  readonly hash: string;
  readonly sizeBytes: number;
}

interface WaitingEntry {
  readonly entry: AuditEntry;
  readonly time: string;
  readonly onSettled: () => void;
}

const RETRY_MS = 5_000;
/** Holds the last line, whatever was torn after it. */
const END_BYTES = 4 * AUDIT_LINE_BYTES_MAX;

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #fileBytesMax: number;
  readonly #waiting: WaitingEntry[] = [];
  /** Entries that found no room since the last line. */
  #lostCount = 0;
  /** Null: the file's end has to be read, as at first and after a write that failed. */
  #end: ChainEnd | null = null;
  #isWriting = false;
  #retryAtMs = 0;
  #problem: string | null = null;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#fileBytesMax = options.fileBytesMax ?? AUDIT_FILE_BYTES;
  }

  /** Lines that are not on disk yet. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Why the log cannot be written, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  /** @returns when the line is durable, or it is known that it has to wait or is lost */
  append(entry: AuditEntry): Promise<void> {
    if (this.#waiting.length >= AUDIT_WAITING_MAX) {
      this.#lostCount += 1;
      return Promise.resolve();
    }
    const time = this.#now();
    return new Promise((onSettled) => {
      this.#waiting.push({ entry, time, onSettled });
      if (this.#problem !== null) onSettled();
    });
  }

  /** Once a tick: mends the file's end, then writes what waits, one line at a time. @param nowMs monotonic */
  tick(nowMs: number): void {
    if (this.#isWriting || nowMs < this.#retryAtMs) return;
    if (this.#waiting.length === 0 && this.#end !== null) return;
    this.#retryAtMs = nowMs + RETRY_MS;
    try {
      this.#writeNext();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #writeNext(): void {
    if (this.#end === null) this.#recover();
    else if (this.#end.sizeBytes + AUDIT_LINE_BYTES_MAX > this.#fileBytesMax)
      this.#rotate(this.#end);
    else this.#writeEntry(this.#end);
  }

  #writeEntry(end: ChainEnd): void {
    const { entry, time } = this.#waiting[0] as WaitingEntry;
    const lost = this.#lostCount;
    this.#append(end, { event: "deployed", lost, ...entry }, time, () => {
      this.#lostCount -= lost;
      this.#waiting.shift()?.onSettled();
    });
  }

  /** Reads where the chain ends, and mends a line that was cut off there. */
  #recover(): void {
    const { file, hashText } = this.#options;
    const { isCurrent, text, sizeBytes } = file.readEnd(END_BYTES);
    const found = readChainEnd(hashText, text);
    // Without a file the first line begins one, as when it is full.
    const hasFile = isCurrent && sizeBytes > 0;
    const end = { ...found.end, sizeBytes: hasFile ? sizeBytes : Number.POSITIVE_INFINITY };
    if (hasFile && found.torn !== "") {
      const hasLineEnd = found.torn.endsWith("\n");
      const torn = hashText(hasLineEnd ? found.torn.slice(0, -1) : found.torn);
      this.#append(end, { event: "torn", torn }, this.#now(), () => {}, hasLineEnd ? "" : "\n");
    } else if (hasFile && found.lacksLineEnd) {
      this.#write("\n", () => {
        this.#end = { ...end, sizeBytes: sizeBytes + 1 };
      });
    } else {
      this.#end = end;
      this.#retryAtMs = 0;
    }
  }

  /** A new file begins with the last hash of the one before. */
  #rotate(end: ChainEnd): void {
    const { text, place } = this.#format(end, { event: "begun" }, this.#now());
    this.#isWriting = true;
    this.#options.file.rotate(text, AUDIT_FILES_MAX, (error) =>
      this.#written(error, () => {
        this.#end = { ...place, sizeBytes: text.length };
      }),
    );
  }

  #append(
    end: ChainEnd,
    event: AuditEvent,
    time: string,
    onWritten: () => void,
    before = "",
  ): void {
    const { text, place } = this.#format(end, event, time);
    const whole = before + text;
    this.#write(whole, () => {
      this.#end = { ...place, sizeBytes: end.sizeBytes + whole.length };
      onWritten();
    });
  }

  #format(end: ChainEnd, event: AuditEvent, time: string) {
    const number = end.number + 1;
    const place = { number, previous: end.hash, time };
    const { text, hash } = formatAuditLine(this.#options.hashText, place, event);
    return { text, place: { number, hash } };
  }

  #write(text: string, onWritten: () => void): void {
    this.#isWriting = true;
    this.#options.file.append(text, (error) => this.#written(error, onWritten));
  }

  #written(error: Error | null, onWritten: () => void): void {
    this.#isWriting = false;
    if (error !== null) {
      this.#fail(error);
      return;
    }
    onWritten();
    this.#retryAtMs = 0;
    if (this.#problem === null) return;
    this.#problem = null;
    this.#options.onProblem(null);
  }

  /** What is in the file now is found out at the next try. */
  #fail(error: Error): void {
    this.#end = null;
    for (const { onSettled } of this.#waiting) onSettled();
    if (this.#problem === error.message) return;
    this.#problem = error.message;
    this.#options.onProblem(error.message);
  }

  #now(): string {
    return new Date(this.#options.nowMs()).toISOString();
  }
}

/** The last good line of a file's end, and what follows it. */
function readChainEnd(hashText: HashText, text: string) {
  let end = text.length;
  while (end > 0) {
    const hasLineEnd = text[end - 1] === "\n";
    const lineEnd = hasLineEnd ? end - 1 : end;
    const start = lineEnd === 0 ? 0 : text.lastIndexOf("\n", lineEnd - 1) + 1;
    const line = parseAuditLine(hashText, text.slice(start, lineEnd));
    if (line !== null) {
      const { number, hash } = line;
      return { end: { number, hash }, torn: text.slice(end), lacksLineEnd: !hasLineEnd };
    }
    end = start;
  }
  return { end: { number: 0, hash: NO_LINE_BEFORE }, torn: text, lacksLineEnd: false };
}
