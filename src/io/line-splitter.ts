// Bytes of a child's output to lines, a chunk at a time.

/** Holds what follows the last line's end. Bytes become characters one by one (Latin-1): these programs print ASCII. */
export class LineSplitter {
  readonly #lineBytesMax: number;
  #rest = "";
  /** The line under way is longer than is kept. */
  #overlong = false;

  /** @param lineBytesMax what is kept of a longer line */
  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** Tells each line that ends in `chunk`, without its end. */
  push(chunk: Buffer, onLine: (line: string) => void): void {
    const text = chunk.toString("latin1");
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      this.#keep(text.slice(start, end));
      const line = this.#rest;
      this.#rest = "";
      this.#overlong = false;
      start = end + 1;
      onLine(line);
    }
    if (start < text.length) this.#keep(text.slice(start));
  }

  /** Tells a last line that had no end. */
  finish(onLine: (line: string) => void): void {
    const line = this.#rest;
    this.#rest = "";
    if (line !== "") onLine(line);
  }

  #keep(text: string): void {
    if (this.#overlong) return;
    const room = this.#lineBytesMax - this.#rest.length;
    this.#overlong = text.length > room;
    const kept = this.#overlong ? text.slice(0, room) : text;
    this.#rest = this.#rest === "" ? kept : this.#rest + kept;
  }
}
