// Reads what `systemctl show` prints: properties of one unit a line each, units parted by an
// empty line (systemctl(1)).

import { UNITS_LISTED_MAX } from "../kernel/limits.ts";
import type { UnitStatus } from "./ports.ts";

/** What is asked of every unit; the order is systemd's own. */
export const SHOWN_PROPERTIES: readonly string[] = [
  "Id",
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "ExecMainStatus",
  "MainPID",
  "NRestarts",
  "MemoryCurrent",
  "ActiveEnterTimestampMonotonic",
  "InvocationID",
];

const UNIT_NAME = /^[A-Za-z0-9:_.@\\-]{1,255}$/;
const WORD = /^[a-z-]{1,40}$/;

/** By unit name; blocks that make no sense are left out, and all beyond UNITS_LISTED_MAX. */
export function parseUnits(text: string): Map<string, UnitStatus> {
  const units = new Map<string, UnitStatus>();
  for (const block of text.split("\n\n")) {
    if (units.size >= UNITS_LISTED_MAX) break;
    const status = parseUnit(block);
    if (status !== null) units.set(status.unit, status);
  }
  return units;
}

function parseUnit(block: string): UnitStatus | null {
  const properties = new Map<string, string>();
  for (const line of block.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) properties.set(line.slice(0, at), line.slice(at + 1));
  }
  const unit = properties.get("Id") ?? "";
  if (!UNIT_NAME.test(unit)) return null;
  const word = (name: string): string => {
    const value = properties.get(name) ?? "";
    return WORD.test(value) ? value : "";
  };
  const count = (name: string): number => countOf(properties.get(name)) ?? 0;
  return {
    unit,
    load: word("LoadState"),
    active: word("ActiveState"),
    sub: word("SubState"),
    result: word("Result"),
    exitStatus: count("ExecMainStatus"),
    mainPid: count("MainPID"),
    restartCount: count("NRestarts"),
    memoryBytes: countOf(properties.get("MemoryCurrent")),
    activeSinceMs: Math.floor(count("ActiveEnterTimestampMonotonic") / 1_000),
    invocation: /^[0-9a-f]{32}$/.exec(properties.get("InvocationID") ?? "")?.[0] ?? "",
  };
}

/** `[not set]`, and the u64 that stands for infinity, count as nothing. */
function countOf(text: string | undefined): number | null {
  if (text === undefined || !/^[0-9]{1,16}$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}

/** The score in what `systemd-analyze security` prints last; null when there is none. */
export function parseExposure(text: string): number | null {
  const score = /Overall exposure level for [^\n]{1,300}: ([0-9]{1,2}(?:\.[0-9]{1,2})?) /.exec(
    text,
  );
  return score === null ? null : Number(score[1]);
}
