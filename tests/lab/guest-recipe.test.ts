import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quoteForShell, recipeHash } from "./guest-recipe.ts";

describe("an image's hash", () => {
  const files = [
    { path: "a", content: "1" },
    { path: "b", content: "2" },
  ];

  test("is the same in whatever order the files are found", () => {
    expect(recipeHash([...files].reverse())).toBe(recipeHash(files));
    expect(recipeHash(files)).toMatch(/^[0-9a-f]{16}$/);
  });

  test("changes with a file's name, its content, and one file more", () => {
    const others = [
      [{ path: "c", content: "1" }, files[1]!],
      [{ path: "a", content: "2" }, files[1]!],
      [...files, { path: "c", content: "" }],
    ];
    const hashes = [files, ...others].map(recipeHash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

test("a quoted word reaches a command as it was", () => {
  const word = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(word, (text) => {
      const said = execFileSync("sh", ["-c", `printf %s ${quoteForShell(text)}`]);
      expect(said).toEqual(Buffer.from(text));
    }),
    { numRuns: 50 },
  );
});
