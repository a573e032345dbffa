// Reads JSON (RFC 8259) that people write, and remembers where everything stands, so that a
// mistake found later can be shown in its line. A key given twice is a mistake too.

import { DOCUMENT_DEPTH_MAX } from "../kernel/limits.ts";
import type { DocumentPath } from "./problem.ts";

/** A text that is not JSON. `offset` is where; the message says what was expected. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
  readonly code = "ERR_JSON_SYNTAX";
  readonly offset: number;
  readonly path: DocumentPath;

  constructor(message: string, offset: number, path: DocumentPath) {
    super(message);
    this.offset = offset;
    this.path = path;
  }
}

/** A parsed text. Objects have no prototype, so that no key reaches beyond them. */
export interface JsonDocument {
  readonly value: unknown;
  /** Where the value at `path` begins, or else its nearest ancestor that is there. */
  valueOffset(path: DocumentPath): number;
  /** Where the key that leads to `path` begins. */
  keyOffset(path: DocumentPath): number;
}

/** Reads one JSON value. Throws JsonSyntaxError. */
export function parseJsonDocument(text: string): JsonDocument {
  const parser = new Parser(text);
  const value = parser.parseDocument();
  const offsetIn = (offsets: ReadonlyMap<string, number>, path: DocumentPath): number => {
    for (let length = path.length; length > 0; length -= 1) {
      const offset = offsets.get(placeOf(path.slice(0, length)));
      if (offset !== undefined) return offset;
    }
    return parser.valueOffsets.get("") ?? 0;
  };
  return {
    value,
    valueOffset: (path) => offsetIn(parser.valueOffsets, path),
    keyOffset: (path) => offsetIn(parser.keyOffsets, path),
  };
}

/** A path as a map's key. */
function placeOf(path: DocumentPath): string {
  return path.length === 0 ? "" : JSON.stringify(path);
}

const WHITESPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERAL = /true|false|null/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside a string
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

const NO_COMMENTS = "JSON has no comments; take this one away";

class Parser {
  readonly valueOffsets = new Map<string, number>();
  readonly keyOffsets = new Map<string, number>();
  readonly #text: string;
  readonly #path: (string | number)[] = [];
  #offset = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parseDocument(): unknown {
    const value = this.#parseValue();
    if (this.#peek() !== "") this.#fail("expected the end after the document's one value");
    return value;
  }

  #parseValue(): unknown {
    const next = this.#peek();
    this.valueOffsets.set(placeOf(this.#path), this.#offset);
    if (next === "{") return this.#parseObject();
    if (next === "[") return this.#parseList();
    const token = this.#match(STRING) ?? this.#match(LITERAL) ?? this.#match(NUMBER);
    if (token === null) this.#fail(expectedValue(next));
    return JSON.parse(token);
  }

  #parseObject(): unknown {
    const object = Object.create(null) as Record<string, unknown>;
    this.#enter();
    for (let isFirst = true; this.#hasItem("}", isFirst); isFirst = false) {
      const keyOffset = this.#offset;
      const key = this.#parseKey();
      this.#path.push(key);
      if (Object.hasOwn(object, key)) this.#fail("this key is given twice", keyOffset);
      this.keyOffsets.set(placeOf(this.#path), keyOffset);
      if (this.#peek() !== ":") this.#fail("expected a colon between a key and its value");
      this.#offset += 1;
      object[key] = this.#parseValue();
      this.#path.pop();
    }
    return object;
  }

  #parseKey(): string {
    const token = this.#match(STRING);
    if (token === null) {
      const isComment = /[/#]/.test(this.#peek());
      this.#fail(isComment ? NO_COMMENTS : 'expected a key in double quotes, such as "name"');
    }
    return JSON.parse(token) as string;
  }

  #parseList(): unknown {
    const list: unknown[] = [];
    this.#enter();
    while (this.#hasItem("]", list.length === 0)) {
      this.#path.push(list.length);
      list.push(this.#parseValue());
      this.#path.pop();
    }
    return list;
  }

  /** Steps over the opening bracket. */
  #enter(): void {
    if (this.#path.length >= DOCUMENT_DEPTH_MAX) {
      this.#fail(`objects and lists are nested more than ${DOCUMENT_DEPTH_MAX} deep`);
    }
    this.#offset += 1;
  }

  /** Steps over the comma before the next item, or over the closing bracket after the last. */
  #hasItem(close: "}" | "]", isFirst: boolean): boolean {
    const next = this.#peek();
    if (next === close) {
      this.#offset += 1;
      return false;
    }
    if (isFirst) return true;
    if (next !== ",")
      this.#fail(next === "" ? `ends before its ${close}` : `expected a comma or ${close}`);
    const commaOffset = this.#offset;
    this.#offset += 1;
    if (this.#peek() === close)
      this.#fail("a comma after the last item; take it away", commaOffset);
    return true;
  }

  /** The next character that is no white space; empty at the end. */
  #peek(): string {
    this.#match(WHITESPACE);
    return this.#text[this.#offset] ?? "";
  }

  #match(token: RegExp): string | null {
    token.lastIndex = this.#offset;
    const match = token.exec(this.#text);
    if (match === null) return null;
    this.#offset = token.lastIndex;
    return match[0];
  }

  #fail(message: string, offset: number = this.#offset): never {
    throw new JsonSyntaxError(message, offset, [...this.#path]);
  }
}

/** What to say where no value begins. */
function expectedValue(next: string): string {
  if (next === "") return "ends where a value should stand";
  if (next === '"') return "a string without its end, or with a line break or a wrong \\ in it";
  if (next === "'") return "expected double quotes around a text";
  if (next === "/" || next === "#") return NO_COMMENTS;
  return "expected a value: a text in double quotes, a number, true, false, null, [ or {";
}
