// Everything commands print goes through here: lines, tables, JSON and the few colours.
// Results go to standard output, remarks and errors to standard error.

/** Where text goes; a terminal, a file or a pipe. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow";

/** Select Graphic Rendition codes (ECMA-48). */
const STYLE_CODE: Readonly<Record<Style, number>> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
};

export interface Cell {
  readonly text: string;
  readonly style?: Style;
}

const COLUMN_GAP = "  ";
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

export class Presenter {
  /** Whether lines can be drawn over again. */
  readonly isInteractive: boolean;
  readonly #out: TextSink;
  readonly #err: TextSink;
  readonly #mayColour: boolean;
  #drawnLines = 0;

  /** @param mayColour false under NO_COLOR (no-color.org) */
  constructor(out: TextSink, err: TextSink, mayColour: boolean) {
    this.#out = out;
    this.#err = err;
    this.#mayColour = mayColour;
    this.isInteractive = out.isTTY === true;
  }

  /** The terminal's width. Some terminals say 0 for not known. */
  get columns(): number {
    return this.#out.columns || COLUMNS_DEFAULT;
  }

  /** A line of the result. */
  line(text = ""): void {
    this.#out.write(`${text}\n`);
  }

  /** The result as it is, such as a log's text. */
  raw(text: string): void {
    this.#out.write(text);
  }

  /** A remark beside the result. */
  remark(text: string): void {
    this.#err.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.#out.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** Columns as wide as their longest cell; the last one ends where it ends. */
  table(heads: readonly string[], rows: readonly (readonly (string | Cell)[])[]): void {
    const cells = [heads.map((text): Cell => ({ text, style: "dim" })), ...rows.map(toCells)];
    const widths = heads.map((_, column) =>
      Math.max(...cells.map((row) => row[column]?.text.length ?? 0)),
    );
    for (const row of cells) {
      const last = row.length - 1;
      const texts = row.map(({ text, style }, column) => {
        const padding = column === last ? "" : " ".repeat(widths[column]! - text.length);
        return (style === undefined ? text : this.paint(style, text)) + padding;
      });
      this.line(texts.join(COLUMN_GAP).trimEnd());
    }
  }

  /** Names in one column, what they hold in the next. */
  facts(rows: readonly (readonly [name: string, value: string])[]): void {
    const width = Math.max(...rows.map(([name]) => name.length));
    for (const [name, value] of rows) {
      this.line(`${this.paint("dim", name.padEnd(width))}${COLUMN_GAP}${printable(value)}`);
    }
  }

  /** Colours `text` on a terminal. */
  paint(style: Style, text: string): string {
    if (!this.isInteractive || !this.#mayColour) return text;
    return `\u001b[${STYLE_CODE[style]}m${text}\u001b[0m`;
  }

  /** Draws `lines` in place of those drawn before, as far as the screen has room. On a terminal only. */
  redraw(all: readonly string[]): void {
    const rows = this.#out.rows || ROWS_DEFAULT;
    const lines = all.slice(0, rows - 1).map((line) => cutToWidth(line, this.columns));
    const up = this.#drawnLines === 0 ? "" : `\u001b[${this.#drawnLines}A`;
    // What is left of a longer picture below is erased.
    this.#out.write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join("")}\u001b[0J`);
    this.#drawnLines = lines.length;
  }

  error(message: string, hint: string): void {
    const label =
      this.#err.isTTY === true && this.#mayColour ? "\u001b[31merror:\u001b[0m" : "error:";
    this.#err.write(`${label} ${message}\n`);
    if (hint !== "") this.#err.write(`hint: ${hint}\n`);
  }
}

function toCells(row: readonly (string | Cell)[]): Cell[] {
  return row.map((cell) => {
    if (typeof cell === "string") return { text: printable(cell) };
    return { ...cell, text: printable(cell.text) };
  });
}

/** The beginning of a line that takes at most `columns`, colours not counted. */
function cutToWidth(line: string, columns: number): string {
  let room = columns;
  let text = "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  for (const [piece] of line.matchAll(/\u001b\[[0-9;]*m|[^\u001b]/gu)) {
    const isColour = piece.startsWith("\u001b");
    if (!isColour && room === 0) continue;
    if (!isColour) room -= 1;
    text += piece;
  }
  return text;
}

/** `text` without what could move the cursor or ring the bell: it may come from another machine. */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, "\ufffd");
}

const DURATION_STEPS = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "m", ms: 60_000 },
  { unit: "s", ms: 1_000 },
] as const;

/** `3d 4h`, `12m 5s`, `0s`: the two largest units. */
export function formatDuration(durationMs: number): string {
  const parts: string[] = [];
  let restMs = Math.max(0, durationMs);
  for (const { unit, ms } of DURATION_STEPS) {
    const count = Math.floor(restMs / ms);
    restMs -= count * ms;
    if (count > 0 || parts.length > 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

/** `512 B`, `1.5 KiB`, `3.0 MiB`. */
export function formatBytes(sizeBytes: number): string {
  if (sizeBytes < 1024) return `${sizeBytes} B`;
  if (sizeBytes < 1024 * 1024) return `${(sizeBytes / 1024).toFixed(1)} KiB`;
  return `${(sizeBytes / 1024 / 1024).toFixed(1)} MiB`;
}
