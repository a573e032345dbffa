// Whether an audit log is as it was written: the first line that was changed, cut or is missing.

import { AUDIT_FILES_MAX } from "../kernel/limits.ts";
import { type AuditLine, type HashText, NO_LINE_BEFORE, parseAuditLine } from "./audit-line.ts";

/** One file of the log, its bytes as characters (Latin-1). */
export interface AuditFileText {
  readonly name: string;
  readonly text: string;
}

export type AuditVerdict =
  | {
      readonly ok: true;
      readonly lineCount: number;
      /** Above 1 once the oldest files had to go. 0 without lines. */
      readonly firstNumber: number;
      readonly lastNumber: number;
      readonly lastHash: string;
    }
  | {
      readonly ok: false;
      readonly file: string;
      /** From 1, in that file. */
      readonly line: number;
      /** For people. */
      readonly problem: string;
    };

type Fault = AuditVerdict & { readonly ok: false };

/** @param files the oldest first, each looked at once */
export function verifyAudit(hashText: HashText, files: readonly AuditFileText[]): AuditVerdict {
  const chain = new Chain(hashText, files.length);
  for (const file of files) {
    const fault = chain.takeFile(file);
    if (fault !== null) return fault;
  }
  return chain.verdict;
}

class Chain {
  readonly #hashText: HashText;
  readonly #fileCount: number;
  #lineCount = 0;
  #firstNumber = 0;
  #lastNumber = 0;
  #lastHash = NO_LINE_BEFORE;

  constructor(hashText: HashText, fileCount: number) {
    this.#hashText = hashText;
    this.#fileCount = fileCount;
  }

  get verdict(): AuditVerdict {
    return {
      ok: true,
      lineCount: this.#lineCount,
      firstNumber: this.#firstNumber,
      lastNumber: this.#lastNumber,
      lastHash: this.#lastHash,
    };
  }

  takeFile({ name, text }: AuditFileText): Fault | null {
    if (text === "") return null;
    const lines = text.split("\n");
    const rest = lines.pop();
    let unreadable: string[] = [];
    for (const [index, lineText] of lines.entries()) {
      const line = parseAuditLine(this.#hashText, lineText);
      if (line === null) {
        unreadable.push(lineText);
        continue;
      }
      const problem = this.#take(line, index === 0, unreadable);
      const faultLine = index + 1 - unreadable.length;
      if (problem !== null) return { ok: false, file: name, line: faultLine, problem };
      unreadable = [];
    }
    if (rest === "" && unreadable.length === 0) return null;
    const problem =
      "the line was changed or cut, or the last write was: a daemon that starts says so";
    return { ok: false, file: name, line: lines.length + 1 - unreadable.length, problem };
  }

  /** @returns what is wrong with the line or with those before it, or null */
  #take(line: AuditLine, isFirst: boolean, unreadable: readonly string[]): string | null {
    const problem =
      this.#findUnreadable(line, unreadable) ??
      this.#findGap(line, isFirst) ??
      this.#findBreak(line);
    if (problem !== null) return problem;
    if (this.#lineCount === 0) this.#firstNumber = line.number;
    this.#lineCount += 1;
    this.#lastNumber = line.number;
    this.#lastHash = line.hash;
    return null;
  }

  #findGap(line: AuditLine, isFirst: boolean): string | null {
    const hasHadToGo = this.#lineCount === 0 && this.#fileCount >= AUDIT_FILES_MAX;
    const next = this.#lastNumber + 1;
    if (line.number > next && !(isFirst && hasHadToGo)) {
      return line.number === next + 1
        ? `line ${next} of the log is missing`
        : `lines ${next} to ${line.number - 1} of the log are missing`;
    }
    if (line.number < next) return `line ${line.number} of the log stands here a second time`;
    const isBeginning = line.event === "begun";
    if (isFirst && !isBeginning) return "the beginning of the file is missing";
    return isBeginning && !isFirst ? "the beginning of a file stands inside this one" : null;
  }

  /** What a crash cut off is owned up to by the line that follows. */
  #findUnreadable(line: AuditLine, unreadable: readonly string[]): string | null {
    const isOwnedUp = line.event === "torn";
    if (unreadable.length === 0) {
      return isOwnedUp ? "what a crash left of a line is missing before this one" : null;
    }
    if (isOwnedUp && this.#hashText(unreadable.join("\n")) === line.torn) return null;
    return "the line was changed or cut";
  }

  #findBreak(line: AuditLine): string | null {
    const isFirstKept = this.#lineCount === 0 && line.number > 1;
    if (isFirstKept || line.previous === this.#lastHash) return null;
    return "the line does not follow the one before it: one of them was put in another's place";
  }
}
