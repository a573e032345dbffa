// Small files: read with a bound, read again, and replaced as a whole.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { RealSystemFiles } from "../../src/io/system-files.ts";

const folder = mkdtempSync(join(tmpdir(), "myco-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const files = new RealSystemFiles();
const path = join(folder, "text");

test("a text is read up to the bound, in UTF-8", () => {
  writeFileSync(path, "müsli".repeat(20_000));
  expect(files.readText(path, 6)).toBe("müsli");
  expect(files.readText(path, 1_000_000)?.length).toBe(100_000);
});

test("what is not there, or no file, is null", () => {
  expect(files.readText(join(folder, "nothing"), 10)).toBe(null);
  expect(files.readText(folder, 10)).toBe(null);
  expect(files.open(join(folder, "nothing"))).toBe(null);
  expect(files.list(join(folder, "nothing"))).toEqual([]);
});

test("a folder is listed in order", () => {
  writeFileSync(join(folder, "b"), "");
  writeFileSync(join(folder, "a"), "");
  expect(files.list(folder).slice(0, 2)).toEqual(["a", "b"]);
});

test("a file is written as a whole, and nothing is left beside it", () => {
  expect(files.writeText(path, "one")).toBe(true);
  expect(files.writeText(path, "two")).toBe(true);
  expect(readFileSync(path, "utf8")).toBe("two");
  expect(files.writeText(join(folder, "no", "such", "folder"), "x")).toBe(false);
  expect(readdirSync(folder).filter((name) => name.endsWith(".new"))).toEqual([]);
});

test("a setting of the kernel's that does not exist is not made", () => {
  expect(files.writeText("/proc/sys/net/no_such_setting", "1")).toBe(false);
});

test("an open file is read piece by piece, and again from its beginning", () => {
  writeFileSync(path, "0123456789");
  const file = files.open(path)!;
  expect(file.read(0)).toBe("0123456789");
  expect(file.read(6)).toBe("6789");
  expect(file.read(10)).toBe("");
  writeFileSync(path, "anew");
  expect(file.read(0)).toBe("anew");
  file.close();
});

test("the kernel's own files can be read", () => {
  const file = files.open("/proc/self/stat")!;
  expect(file.read(0)).toContain(String(process.pid));
  file.close();
  expect(files.readText("/proc/net/dev", 100_000)).toContain("lo:");
});
