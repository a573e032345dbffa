// A UCI package as `ubus call uci get` tells it, in the words of UCI: one reader then serves all
// three ways to it, and a mistake is shown in a line people know.

import { parseUci, UciSyntaxError } from "./uci-text.ts";

/** What a section says of itself beside its options. */
const TYPE = ".type";
const NAME = ".name";
const IS_ANONYMOUS = ".anonymous";
const INDEX = ".index";

/**
 * The text that `uci export` would print, in the order of the sections' indexes.
 * @param answer of `uci get {config}`
 * @returns null when the answer is something else
 */
export function uciTextOf(answer: object): string | null {
  const { values } = answer as { values?: unknown };
  if (!isTable(values)) return null;
  const sections = Object.values(values);
  if (!sections.every(isTable)) return null;
  const text = sections
    .toSorted((a, b) => Number(a[INDEX]) - Number(b[INDEX]))
    .map(sectionText)
    .join("\n");
  return isUci(text) ? text : null;
}

function sectionText(section: Record<string, unknown>): string {
  const name = section[IS_ANONYMOUS] === true ? "" : ` ${quoted(section[NAME])}`;
  const options = Object.entries(section)
    .filter(([option]) => !option.startsWith("."))
    .flatMap(([option, value]) => optionLines(option, value));
  return [`config ${String(section[TYPE])}${name}`, ...options, ""].join("\n");
}

function optionLines(option: string, value: unknown): string[] {
  if (!Array.isArray(value)) return [`\toption ${option} ${quoted(value)}`];
  return value.map((item) => `\tlist ${option} ${quoted(item)}`);
}

function quoted(value: unknown): string {
  return `'${String(value).replaceAll("'", "'\\''")}'`;
}

/** Names that are none would have made another text of it. */
function isUci(text: string): boolean {
  try {
    parseUci(text);
    return true;
  } catch (error) {
    if (error instanceof UciSyntaxError) return false;
    throw error;
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
