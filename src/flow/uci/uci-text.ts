// Reads the text of a UCI package, as it stands in /etc/config or as `uci export` prints it
// (openwrt.org, "The UCI system"; libuci's file.c). Values may be quoted in both ways and hold
// line breaks.

/** One `option`, or the items of one `list`. Offsets count characters of the text. */
export interface UciOption {
  readonly name: string;
  readonly values: readonly string[];
  readonly isList: boolean;
  readonly nameOffset: number;
  readonly valueOffset: number;
}

export interface UciSection {
  readonly type: string;
  /** Null: anonymous. */
  readonly name: string | null;
  readonly offset: number;
  /** By name; a later `option` replaces an earlier one, a later `list` adds to it. */
  readonly options: ReadonlyMap<string, UciOption>;
}

/** A text that is no UCI package. */
export class UciSyntaxError extends Error {
  override readonly name = "UciSyntaxError";
  readonly code = "ERR_UCI_SYNTAX";
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

interface Word {
  readonly text: string;
  readonly offset: number;
}

interface OpenSection extends UciSection {
  readonly options: Map<string, UciOption>;
}

const NAME = /^[A-Za-z0-9_]+$/;
/** Section types may have hyphens too. */
const TYPE = /^[A-Za-z0-9_-]+$/;
const KEYWORDS = "package, config, option, list";

/**
 * The sections of a package, in order. The caller bounds the text.
 * @throws UciSyntaxError
 */
export function parseUci(text: string): UciSection[] {
  const sections: OpenSection[] = [];
  for (const words of statements(text)) {
    const [keyword, ...rest] = words;
    if (keyword === undefined) continue;
    if (keyword.text === "package") requireCount(words, 2, 2);
    else if (keyword.text === "config") sections.push(openSection(words));
    else if (keyword.text === "option" || keyword.text === "list") {
      requireCount(words, 3, 3);
      const section = sections.at(-1);
      if (section === undefined) {
        throw new UciSyntaxError("an option before the first section", keyword.offset);
      }
      addOption(section, rest[0]!, rest[1]!, keyword.text === "list");
    } else {
      throw new UciSyntaxError(
        `found ${JSON.stringify(keyword.text.slice(0, 40))}; allowed: ${KEYWORDS}`,
        keyword.offset,
      );
    }
  }
  return sections;
}

function openSection(words: readonly Word[]): OpenSection {
  requireCount(words, 2, 3);
  const [keyword, type, name] = words;
  requireName(type!, TYPE);
  if (name !== undefined) requireName(name, NAME);
  return {
    type: type!.text,
    name: name?.text ?? null,
    offset: keyword!.offset,
    options: new Map(),
  };
}

function addOption(section: OpenSection, name: Word, value: Word, isList: boolean): void {
  requireName(name, NAME);
  const before = section.options.get(name.text);
  const kept = isList && before?.isList === true ? before.values : [];
  section.options.set(name.text, {
    name: name.text,
    values: [...kept, value.text],
    isList,
    nameOffset: name.offset,
    valueOffset: kept.length > 0 ? before!.valueOffset : value.offset,
  });
}

function requireCount(words: readonly Word[], min: number, max: number): void {
  if (words.length >= min && words.length <= max) return;
  const wanted = min === max ? `${min - 1}` : `${min - 1} or ${max - 1}`;
  const [keyword] = words;
  throw new UciSyntaxError(
    `found ${words.length - 1} words after ${keyword!.text}; allowed: ${wanted}`,
    keyword!.offset,
  );
}

function requireName({ text, offset }: Word, rule: RegExp): void {
  if (rule.test(text)) return;
  const found = JSON.stringify(text.slice(0, 40));
  throw new UciSyntaxError(
    `found the name ${found}; allowed: letters, digits and underscores`,
    offset,
  );
}

/** The words of each statement. A statement ends with its line, or at a semicolon. */
function* statements(text: string): Generator<Word[]> {
  let words: Word[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at]!;
    if (character === "\n" || character === ";") {
      yield words;
      words = [];
      at += 1;
    } else if (character === " " || character === "\t" || character === "\r") {
      at += 1;
    } else if (character === "#") {
      const end = text.indexOf("\n", at);
      at = end === -1 ? text.length : end;
    } else {
      const { word, next } = readWord(text, at);
      words.push(word);
      at = next;
    }
  }
  yield words;
}

const PLAIN = /[^\s;'"\\]+/y;

/** One word of plain and quoted pieces without space between them, such as `'it'\''s'`. */
function readWord(text: string, offset: number): { word: Word; next: number } {
  const pieces: string[] = [];
  let at = offset;
  while (at < text.length && !/[\s;]/.test(text[at]!)) {
    const quote = text[at]!;
    if (quote === "'") {
      const end = text.indexOf("'", at + 1);
      if (end === -1) throw new UciSyntaxError("a quote that does not end", at);
      pieces.push(text.slice(at + 1, end));
      at = end + 1;
    } else if (quote === '"') {
      const { piece, next } = readDoubleQuoted(text, at);
      pieces.push(piece);
      at = next;
    } else if (quote === "\\") {
      if (text[at + 1] !== "\n") pieces.push(text[at + 1] ?? "");
      at += 2;
    } else {
      PLAIN.lastIndex = at;
      const [piece = quote] = PLAIN.exec(text) ?? [];
      pieces.push(piece);
      at += piece.length;
    }
  }
  return { word: { text: pieces.join(""), offset }, next: at };
}

const DOUBLE_QUOTED = /"((?:[^"\\]|\\[\s\S])*)"/y;

function readDoubleQuoted(text: string, offset: number): { piece: string; next: number } {
  DOUBLE_QUOTED.lastIndex = offset;
  const match = DOUBLE_QUOTED.exec(text);
  if (match === null) throw new UciSyntaxError("a quote that does not end", offset);
  return { piece: match[1]!.replaceAll(/\\([\s\S])/g, "$1"), next: offset + match[0].length };
}
