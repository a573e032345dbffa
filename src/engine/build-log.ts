// What nix says while it builds (`--log-format internal-json`, one object a line): how far it is,
// and, when it fails, why. The lines are untrusted: builders print into them.

import {
  BUILD_ACTIVITIES_MAX,
  BUILD_LAST_LINES,
  BUILD_LINE_BYTES_MAX,
  BUILD_MESSAGE_CHARACTERS_MAX,
} from "../kernel/limits.ts";
import type { BuildProgress } from "./ports.ts";

/** Nix's own numbers of activities and results (src/libutil/logging.hh). */
const ACTIVITY = {
  copyPath: 100,
  fileTransfer: 101,
  copyPaths: 103,
  builds: 104,
  build: 105,
  substitute: 108,
};
const RESULT = { buildLogLine: 101, progress: 105, postBuildLogLine: 107 };
const LEVEL_ERROR = 0;
const PREFIX = "@nix ";
/** What is kept of one line of a builder. */
const LINE_CHARACTERS_MAX = 200;
/** What is kept of nix's own words about a failure, before it is shortened for people. */
const ERROR_CHARACTERS_MAX = 4 * BUILD_MESSAGE_CHARACTERS_MAX;
const COUNT_MAX = 1_000_000;

/** One line of the log, as far as it matters here. */
export type BuildLine =
  | { readonly kind: "activity"; readonly id: number; readonly type: number; readonly text: string }
  | { readonly kind: "end"; readonly id: number }
  | {
      readonly kind: "count";
      readonly id: number;
      readonly done: number;
      readonly expected: number;
    }
  | { readonly kind: "output"; readonly text: string }
  | { readonly kind: "error"; readonly text: string };

/**
 * @param line bytes as Latin-1, as a child's lines come
 * @returns null for what says nothing here, and for what nix did not write
 */
export function parseBuildLine(line: string): BuildLine | null {
  if (!line.startsWith(PREFIX) || line.length > BUILD_LINE_BYTES_MAX) return null;
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(line.slice(PREFIX.length)));
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { action, id, type, fields, text, level, msg } = value as Readonly<Record<string, unknown>>;
  if (action === "msg" && level === LEVEL_ERROR && typeof msg === "string") {
    return { kind: "error", text: plainText(msg) };
  }
  if (!isCount(id)) return null;
  if (action === "stop") return { kind: "end", id };
  if (!isCount(type)) return null;
  if (action === "start") {
    return { kind: "activity", id, type, text: typeof text === "string" ? plainText(text) : "" };
  }
  return action === "result" && Array.isArray(fields) ? parseResult(id, type, fields) : null;
}

function parseResult(id: number, type: number, fields: readonly unknown[]): BuildLine | null {
  const [first, second] = fields;
  if (type === RESULT.buildLogLine || type === RESULT.postBuildLogLine) {
    return typeof first === "string" ? { kind: "output", text: plainText(first) } : null;
  }
  if (type !== RESULT.progress || !isCount(first) || !isCount(second)) return null;
  const expected = Math.min(second, COUNT_MAX);
  return { kind: "count", id, done: Math.min(first, expected), expected };
}

/** Gathers what one build says. Memory is bounded, whatever it says. */
export class BuildLog {
  /** Activities under way that say something to people, by id. */
  readonly #activities = new Map<number, { readonly type: number; readonly text: string }>();
  /** How far builds and copies are, by the id of the activity that counts them. */
  readonly #counts = new Map<number, { readonly done: number; readonly expected: number }>();
  readonly #lastLines: string[] = [];
  #error = "";
  #detail = "evaluating the flake";
  #phase: BuildProgress["phase"] = "fetching";

  get progress(): BuildProgress {
    let doneCount = 0;
    let expectedCount = 0;
    for (const { done, expected } of this.#counts.values()) {
      doneCount += done;
      expectedCount += expected;
    }
    return { phase: this.#phase, detail: this.#detail, doneCount, expectedCount };
  }

  /** Nix's own words about what failed; empty when it said none. */
  get error(): string {
    return this.#error;
  }

  /** What builders said last. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** @returns whether there is something new to show */
  take(line: string): boolean {
    const parsed = parseBuildLine(line);
    if (parsed === null) return false;
    switch (parsed.kind) {
      case "activity":
        return this.#begin(parsed.id, parsed.type, parsed.text);
      case "end":
        this.#activities.delete(parsed.id);
        return false;
      case "count":
        return this.#count(parsed.id, parsed.done, parsed.expected);
      case "output":
        this.#keepLine(parsed.text);
        return false;
      case "error":
        // Nix repeats itself towards the end, the whole first.
        if (this.#error === "") this.#error = parsed.text.slice(0, ERROR_CHARACTERS_MAX);
        return false;
    }
  }

  #begin(id: number, type: number, text: string): boolean {
    const isShown = text !== "" && SHOWN.has(type);
    if (!isShown && !COUNTED.has(type)) return false;
    if (this.#activities.size >= BUILD_ACTIVITIES_MAX) return false;
    this.#activities.set(id, { type, text });
    if (!isShown) return false;
    this.#phase = type === ACTIVITY.build ? "building" : "fetching";
    this.#detail = text.slice(0, LINE_CHARACTERS_MAX);
    return true;
  }

  #count(id: number, done: number, expected: number): boolean {
    const type = this.#activities.get(id)?.type;
    if (type === undefined || !COUNTED.has(type)) return false;
    this.#counts.set(id, { done, expected });
    // An activity that has ended may stay counted: its ids are few, since nix counts in two places.
    if (this.#counts.size > BUILD_ACTIVITIES_MAX) {
      this.#counts.delete(this.#counts.keys().next().value as number);
    }
    return true;
  }

  #keepLine(text: string): void {
    if (text.trim() === "") return;
    this.#lastLines.push(text.slice(0, LINE_CHARACTERS_MAX));
    if (this.#lastLines.length > BUILD_LAST_LINES) this.#lastLines.shift();
  }
}

const SHOWN: ReadonlySet<number> = new Set([
  ACTIVITY.copyPath,
  ACTIVITY.fileTransfer,
  ACTIVITY.build,
  ACTIVITY.substitute,
]);
const COUNTED: ReadonlySet<number> = new Set([ACTIVITY.copyPaths, ACTIVITY.builds]);

/** Errors that the same flake at the same commit will meet again. */
const LASTING_ERRORS: readonly RegExp[] = [
  /does not provide attribute/,
  /attribute '[^']*' missing/,
  /flake\.nix' does not exist/,
  /does not contain a '?\/?flake\.nix/,
  /could not find a flake\.nix/,
  /is not a flake/,
  /(?:NAR )?hash mismatch in (?:input|flake)/,
  /lock ?file (?:changes|contains)|cannot (?:update|write)[^.]* lock file/,
  /undefined variable|syntax error|infinite recursion/,
  /is required to build '[^']*', but I am a/,
  /is not a derivation|does not evaluate to a derivation|expected a derivation/,
  /unsupported (?:flake )?(?:attribute|input|URL)|is not a valid URL/,
];

/** What to do about errors whose own words do not say it. */
const HINTS: readonly (readonly [error: RegExp, hint: string])[] = [
  [
    /group 'nixbld'.*does not exist/,
    'add the group, or "build-users-group =" to /etc/nix/nix.conf',
  ],
  [
    /lock file changes|requires lock file/,
    "run nix flake lock beside flake.nix and commit flake.lock",
  ],
  [/executing 'git'|git: not found|unable to start.*git/, "install git on this node"],
  [/does not provide attribute/, "name one that nix flake show lists"],
  [/'nix': No such file|executable nix|there is no nix/, "install nix 2.18 or later on this node"],
];

/** For people, on one line, and whether another try may end otherwise. */
export function explainFailure(
  error: string,
  lastLines: readonly string[],
): { readonly message: string; readonly retry: boolean } {
  const cause = lastCause(error);
  const hint = HINTS.find(([rule]) => rule.test(cause))?.[1];
  const saidLines = /log lines/i.test(cause) ? [] : lastLines;
  const parts = [cause, ...(hint === undefined ? [] : [hint])].join("; ");
  const tail = saidLines.length === 0 ? "" : `; its last lines: ${saidLines.join(" / ")}`;
  const room = BUILD_MESSAGE_CHARACTERS_MAX - Math.min(parts.length, BUILD_MESSAGE_CHARACTERS_MAX);
  // The last of the last lines says most.
  const shownTail =
    tail.length <= room ? tail : `; …${tail.slice(tail.length - Math.max(0, room - 3))}`;
  const message = (parts + (room > 3 ? shownTail : "")).slice(0, BUILD_MESSAGE_CHARACTERS_MAX);
  return { message, retry: !LASTING_ERRORS.some((rule) => rule.test(cause)) };
}

/** Newer nix shows the way to an error first and the error itself last. */
function lastCause(error: string): string {
  const text = plainText(error).replace(/For full logs, run.*$/s, "");
  const start = text.lastIndexOf("error:");
  const cause = (start === -1 ? text : text.slice(start + "error:".length)).trim();
  return (
    cause.replaceAll(/\s+/g, " ").replaceAll(/ > /g, " / ") || "nix failed and did not say why"
  );
}

/** Without colours and other control characters. */
function plainText(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
      .replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not reach a terminal
      .replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, " ")
  );
}

const decoder = new TextDecoder();

/** Children's lines come byte by byte as characters; a text that is more than bytes stays. */
function decodeUtf8(text: string): string {
  const bytes = new Uint8Array(text.length);
  let isAscii = true;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0xff) return text;
    if (code > 0x7f) isAscii = false;
    bytes[i] = code;
  }
  return isAscii ? text : decoder.decode(bytes);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
