// Tables that line up, and nothing in them that could take over a terminal.
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatBytes, formatDuration, Presenter, printable } from "../../src/cli/presenter.ts";

test("columns line up whatever the cells hold, and control characters never get out", () => {
  const word = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme-ascii" });
  fc.assert(
    fc.property(fc.array(fc.tuple(word, word), { minLength: 1 }), (rows) => {
      let out = "";
      const sink = { write: (text: string) => (out += text) };
      new Presenter(sink, sink, true).table(
        ["AB", "CD"],
        rows.map(([a, b]) => [a, `|${b}|`]),
      );
      const lines = out.split("\n").slice(1, -1);
      expect(lines).toHaveLength(rows.length);
      const width = Math.max(2, ...rows.map(([a]) => a.length));
      for (const line of lines) expect(line[width + 2]).toBe("|");
    }),
  );
  expect(printable("a\u001b[2Jb\r\u009bc")).toBe("a\ufffd[2Jb\ufffd\ufffdc");
});

test.each([
  [0, "0s"],
  [999, "0s"],
  [61_000, "1m 1s"],
  [3_600_000, "1h 0m"],
  [90_061_000, "1d 1h"],
])("%i ms reads as %s", (durationMs, text) => {
  expect(formatDuration(durationMs)).toBe(text);
});

test.each([
  [1023, "1023 B"],
  [1536, "1.5 KiB"],
  [3 * 1024 * 1024, "3.0 MiB"],
])("%i bytes read as %s", (sizeBytes, text) => {
  expect(formatBytes(sizeBytes)).toBe(text);
});
