// A reader of unit files by the manuals (systemd.syntax(7), systemd.service(5), systemd.unit(5)),
// written apart from the writer, to see what systemd would see.

export interface UnitSection {
  readonly name: string;
  readonly directives: readonly (readonly [name: string, value: string])[];
}

/** The sections of a unit file, with lines that go on joined and comments passed over. */
export function readUnit(text: string): UnitSection[] {
  const sections: { name: string; directives: [string, string][] }[] = [];
  for (const line of text
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((raw) => raw.trim())) {
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const head = /^\[(.+)\]$/.exec(line);
    if (head !== null) sections.push({ name: head[1]!, directives: [] });
    else {
      const at = line.indexOf("=");
      if (at === -1 || sections.length === 0) throw new Error(`no directive: ${line}`);
      sections.at(-1)!.directives.push([line.slice(0, at).trim(), line.slice(at + 1).trim()]);
    }
  }
  return sections;
}

/** Every value of a directive, in order. */
export function valuesOf(
  sections: readonly UnitSection[],
  section: string,
  name: string,
): string[] {
  return sections
    .filter((one) => one.name === section)
    .flatMap(({ directives }) => directives.filter(([key]) => key === name))
    .map(([, value]) => value);
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  s: " ",
  "\\": "\\",
  '"': '"',
  "'": "'",
};

/** A word and whether any of it was quoted. */
interface Word {
  readonly text: string;
  readonly raw: string;
}

/** Splits at blanks, takes quotes away and resolves escapes. Throws for a quote without its end. */
export function splitWords(value: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  while (at < value.length) {
    if (value[at] === " " || value[at] === "\t") {
      at += 1;
      continue;
    }
    const start = at;
    let text = "";
    let quote = "";
    for (; at < value.length; at += 1) {
      const character = value[at]!;
      if (character === "\\") {
        at += 1;
        const meant = ESCAPES[value[at] ?? ""];
        if (meant === undefined) throw new Error(`unknown escape at ${at} of ${value}`);
        text += meant;
      } else if (quote !== "") {
        if (character === quote) quote = "";
        else text += character;
      } else if (character === '"' || character === "'") quote = character;
      else if (character === " " || character === "\t") break;
      else text += character;
    }
    if (quote !== "") throw new Error(`a quote without its end in ${value}`);
    words.push({ text, raw: value.slice(start, at) });
  }
  return words;
}

/** Resolves specifiers: only `%%` is expected, every other one throws. */
export function withoutSpecifiers(text: string): string {
  return text.replaceAll(/%(.?)/gs, (specifier, letter: string) => {
    if (letter !== "%") throw new Error(`the specifier ${specifier} in ${text}`);
    return "%";
  });
}

/**
 * What a command line starts: the path, and argv. Throws where it is several commands, or where a
 * prefix other than `:` (no variables) stands before the program.
 */
export function readCommand(value: string, env: ReadonlyMap<string, string>): string[] {
  const words = splitWords(value);
  if (words.some(({ raw }) => raw === ";")) throw new Error(`several commands in ${value}`);
  const [first, ...rest] = words.map(({ text }) => text);
  const prefixes = /^[-@:+!|]*/.exec(first ?? "")![0];
  if (prefixes !== ":" && prefixes !== "") throw new Error(`the prefix ${prefixes} in ${value}`);
  const program = withoutSpecifiers(first!.slice(prefixes.length));
  if (!program.startsWith("/")) throw new Error(`no absolute path in ${value}`);
  if (/["'\\]/.test(program)) throw new Error(`a path that systemd refuses in ${value}`);
  const args = rest.map(withoutSpecifiers);
  return [program, ...(prefixes === ":" ? args : args.flatMap((arg) => withVariables(arg, env)))];
}

function withVariables(arg: string, env: ReadonlyMap<string, string>): string[] {
  if (/^\$[A-Za-z_]\w*$/.test(arg))
    return (env.get(arg.slice(1)) ?? "").split(/\s+/).filter(Boolean);
  return [
    arg.replaceAll(/\$\$|\$\{(\w+)\}/g, (found, name: string | undefined) =>
      name === undefined ? "$" : found === "$$" ? "$" : (env.get(name) ?? ""),
    ),
  ];
}

/** The environment of a service section, later assignments over earlier ones. */
export function readEnvironment(sections: readonly UnitSection[]): Map<string, string> {
  const env = new Map<string, string>();
  for (const value of valuesOf(sections, "Service", "Environment")) {
    for (const { text } of splitWords(value)) {
      const assignment = withoutSpecifiers(text);
      const at = assignment.indexOf("=");
      env.set(assignment.slice(0, at), assignment.slice(at + 1));
    }
  }
  return env;
}
