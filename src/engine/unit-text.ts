// The text of a unit file (systemd.syntax(7)): how a value is written so that systemd reads
// exactly that value, and nothing of it as syntax, specifier or variable.

import { assert } from "../kernel/assert.ts";

/** A name and its value, as the value stands in the file. */
export type Directive = readonly [name: string, value: string];
export interface Section {
  readonly name: string;
  readonly directives: readonly Directive[];
}

/** What needs no quotes: nothing in it means anything to systemd, wherever it stands. */
const PLAIN_WORD = /^[A-Za-z0-9_/=.,@:+~^-]+$/;
/** No text of a service has any (text-rules.ts). */
const CONTROL_CHARACTERS = /\p{Cc}/u;

/** One word of a directive that takes several: quoted where it must be. */
export function word(text: string): string {
  if (PLAIN_WORD.test(text)) return text;
  return `"${text.replaceAll(/["\\]/g, "\\$&").replaceAll("%", "%%")}"`;
}

/**
 * A command line (systemd.service(5), "Command Lines"): the program by its path, and its arguments
 * as they are, without variables in them being replaced.
 * @param command at least a program; its path is absolute, so that none of systemd's prefixes is read
 */
export function commandLine(command: readonly string[]): string {
  const [program = "", ...args] = command;
  assert(program.startsWith("/"), "a unit's program is an absolute path");
  assert(!/["'\\]/.test(program), "systemd takes no quotes or backslashes in a program's path");
  return [word(`:${program}`), ...args.map(word)].join(" ");
}

/** One variable for `Environment=`, where `$` has no meaning. */
export function assignment(name: string, value: string): string {
  return word(`${name}=${value}`);
}

/** A path that is a directive's whole value, or its last part. */
export function wholePath(path: string): string {
  assert(path.startsWith("/"), "a path in a unit is absolute");
  return path.replaceAll("%", "%%");
}

/** A path that is a directive's whole value, where systemd takes a pattern (glob(7)) and one file is meant. */
export function wholePathNotPattern(path: string): string {
  return wholePath(path.replaceAll(/[*?[\\]/g, "\\$&"));
}

/** A unit's name part, with `-` not leading to a slice of slices (systemd-escape(1)). */
export function escapeUnitName(text: string): string {
  return text.replaceAll("-", "\\x2d");
}

/** The file. Values were escaped by the functions above; what could still break a line is our mistake. */
export function formatUnit(sections: readonly Section[]): string {
  return sections.map(formatSection).join("\n");
}

function formatSection({ name, directives }: Section): string {
  const lines = directives.map(([directive, value]) => {
    assert(/^[A-Z][A-Za-z0-9]*$/.test(directive), "a directive is a word");
    assert(!CONTROL_CHARACTERS.test(value), `${directive} has no line break in it`);
    assert(!value.endsWith("\\"), `${directive} does not go on in the next line`);
    return `${directive}=${value}\n`;
  });
  return `[${name}]\n${lines.join("")}`;
}
