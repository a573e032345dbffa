// Charts of one line of text, out of the block elements of Unicode.

const BLOCKS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

/**
 * One character for each of the last `width` values, the newest last; a space where none is known.
 * @param width from 1
 * @param max what the highest block stands for; larger values are shown as that
 */
export function sparkline(values: readonly (number | null)[], width: number, max: number): string {
  const shown = values.slice(-width);
  const text = shown.map((value) => block(value, max)).join("");
  return text.padStart(width);
}

function block(value: number | null, max: number): string {
  if (value === null || max <= 0) return " ";
  const step = Math.floor((Math.max(0, value) / max) * BLOCKS.length);
  return BLOCKS[Math.min(step, BLOCKS.length - 1)]!;
}
