// The way in which a command gives up: what happened, what to do next, and the exit code.

import type { ExitCode } from "./exit-codes.ts";

/** Told to the person as it is, without a stack. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code = "ERR_COMMAND";
  readonly exitCode: ExitCode;
  /** What to do next; empty when the message says it all. */
  readonly hint: string;

  constructor(exitCode: ExitCode, message: string, hint = "") {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}
