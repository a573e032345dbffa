// What the daemon says of itself on standard error: one JSON object a line, or lines for
// people. Written at once and by no worker, so that the last words before a crash are there.

import { writeSync } from "node:fs";
import pino, { type DestinationStream, type Logger, stdTimeFunctions } from "pino";

export type { Logger } from "pino";
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

/** Takes one line with its end. */
export type WriteLine = (line: string) => void;

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "json" | "pretty";
}

export function createLogger(options: LoggerOptions, write: WriteLine = writeToStderr): Logger {
  const destination: DestinationStream = {
    write: options.format === "json" ? write : (line) => write(prettyLine(line)),
  };
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

/** `09:15:02.113 warn  the log cannot be written  error="ENOSPC …"`; what is no JSON stays as it is. */
export function prettyLine(json: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return json;
  }
  const { level, time, msg, ...fields } = entry;
  const head = `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}`;
  const tail = Object.entries(fields).map(([name, value]) => `  ${name}=${JSON.stringify(value)}`);
  return `${head}${tail.join("")}\n`;
}

/** A reader that does not keep up, or is gone, loses lines; it never stops the daemon. */
function writeToStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // EAGAIN or EPIPE: there is nowhere else to say so.
  }
}
