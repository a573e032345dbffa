// The lines of a file of any size, read as they are asked for.

import { closeSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

const CHUNK_BYTES = 64 * 1024;

/**
 * Each line without its end. One of more than `lengthMax` characters comes in pieces that are at
 * least so long. Throws a system error when the file cannot be read.
 */
export function* fileLines(path: string, lengthMax: number): Generator<string> {
  const file = openSync(path, "r");
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for (;;) {
      const sizeBytes = readSync(file, chunk, 0, CHUNK_BYTES, null);
      rest += sizeBytes === 0 ? decoder.end() : decoder.write(chunk.subarray(0, sizeBytes));
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
      if (sizeBytes === 0 || rest.length > lengthMax) {
        if (rest !== "") yield rest;
        rest = "";
      }
      if (sizeBytes === 0) return;
    }
  } finally {
    closeSync(file);
  }
}
