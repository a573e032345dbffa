// One event of the flight recorder as a person reads it.

import { printable } from "./presenter.ts";

/** `2026-01-31T12:00:00.000Z  member-status  nodeId=… status=dead`; a line that is no event, as it is. */
export function describeFlightLine(line: string): string {
  const event = parseEvent(line);
  if (event === null) return printable(line);
  const { at, kind, ...rest } = event;
  const facts = Object.entries(rest).map(([name, value]) => `${name}=${describeValue(value)}`);
  return printable([at, kind, facts.join(" ")].join("  ").trimEnd());
}

function parseEvent(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "at" in value
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function describeValue(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
