// How a mistake in a document people write is shown: where it stands, what was found there,
// and the word that was probably meant.

/** A place in a document: the keys and indexes that lead to it. */
export type DocumentPath = readonly (string | number)[];

/** A mistake at a place. `message` says what was found and what is allowed. */
export interface Problem {
  readonly path: DocumentPath;
  readonly message: string;
}

/** A mistake with its place in the text. Line and column count from 1. */
export interface LocatedProblem extends Problem {
  readonly line: number;
  readonly column: number;
  /** The text of that line, without its end. */
  readonly sourceLine: string;
}

const FOUND_LENGTH_MAX = 60;
const SHOWN_LENGTH_MAX = 100;
/** Of a long line, so much before the mark. */
const SHOWN_BEFORE_MARK = 60;

/** `services[0].ports[1].port`; the document itself is the empty string. */
export function formatPath(path: DocumentPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** A value of a document in few words. */
export function describeFound(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value))
    return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > FOUND_LENGTH_MAX ? `${text.slice(0, FOUND_LENGTH_MAX)}…` : text;
}

/** The sentence every problem is told in. */
export function foundAndAllowed(found: unknown, allowed: string): string {
  return `found ${describeFound(found)}; allowed: ${allowed}`;
}

/** The sentence for a key that nothing reads. */
export function unknownKey(key: string, known: readonly string[]): string {
  const suggestion = didYouMean(key, known);
  const hint = suggestion === "" ? `; allowed: ${known.join(", ")}` : suggestion;
  return `unknown key ${describeFound(key)}${hint}`;
}

/** `; did you mean "…"?`, or nothing when no word is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = closestWord(word, known);
  return meant === null ? "" : `; did you mean "${meant}"?`;
}

/**
 * The candidate that was probably meant by `word`: at most a third of its letters wrong, or
 * one the beginning of the other. Null when none is near.
 */
export function closestWord(word: string, candidates: readonly string[]): string | null {
  const wanted = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = wordDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function wordDistance(a: string, b: string): number {
  if (a.length >= 3 && b.length >= 3 && (a.startsWith(b) || b.startsWith(a))) return 0.5;
  const distance = editDistance(a, b);
  const allowed = Math.max(1, Math.floor(Math.max(a.length, b.length) / 3));
  return distance <= allowed ? distance : Number.POSITIVE_INFINITY;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return Number.POSITIVE_INFINITY;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      const edited = Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1);
      const swaps =
        row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current.push(swaps ? Math.min(edited, beforePrevious[column - 2]! + 1) : edited);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** Adds to `problem` where `offset` stands in `text`. */
function locateProblem(text: string, offset: number, problem: Problem): LocatedProblem {
  const start = offset === 0 ? 0 : text.lastIndexOf("\n", offset - 1) + 1;
  const nextBreak = text.indexOf("\n", offset);
  const end = nextBreak === -1 ? text.length : nextBreak;
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < start; at = text.indexOf("\n", at + 1)) {
    line += 1;
  }
  const sourceLine = text.slice(start, end).replace(/\r$/, "");
  return { ...problem, line, column: offset - start + 1, sourceLine };
}

/** At most so many problems of one document are told; mending the first often mends the rest. */
const PROBLEMS_MAX = 20;

/** The first problems in the order they stand in `text`, each once. */
export function locateProblems(
  text: string,
  problems: readonly (Problem & { readonly offset: number })[],
): LocatedProblem[] {
  const seen = new Set<string>();
  return problems
    .toSorted((a, b) => a.offset - b.offset)
    .filter(({ offset, message }) => {
      const isNew = !seen.has(`${offset} ${message}`);
      seen.add(`${offset} ${message}`);
      return isNew;
    })
    .slice(0, PROBLEMS_MAX)
    .map(({ path, message, offset }) => locateProblem(text, offset, { path, message }));
}

/** The problem with its line of the document below it and a mark at the column. */
export function formatProblem(fileName: string, problem: LocatedProblem): string {
  const { line, column, sourceLine } = problem;
  const place = formatPath(problem.path);
  const head = `${fileName}:${line}:${column}: ${place === "" ? "" : `${place}: `}${problem.message}`;
  const isLong = sourceLine.length > SHOWN_LENGTH_MAX;
  const skipped = isLong ? Math.max(0, column - 1 - SHOWN_BEFORE_MARK) : 0;
  const shown = sourceLine
    .slice(skipped, skipped + SHOWN_LENGTH_MAX)
    .replaceAll(/\p{Cc}/gu, " ")
    .trimEnd();
  const margin = String(line).length + 3;
  return `${head}\n  ${line} | ${shown}\n${" ".repeat(margin)}| ${" ".repeat(column - 1 - skipped)}^`;
}
