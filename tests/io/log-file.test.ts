// The log's storage on a real folder: contents, modes, and who may use it.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataLockError } from "../../src/io/data-lock.ts";
import { LogFile } from "../../src/io/log-file.ts";
import { LOG_BYTES_MAX } from "../../src/kernel/limits.ts";
import type { WriteDone } from "../../src/kernel/ports.ts";

let base: string;
let folder: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "myco-log-"));
  folder = join(base, "state", "myco");
});

afterEach(() => rmSync(base, { recursive: true }));

function ended(start: (done: WriteDone) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

/** A system error as the kernel reports it, by writing to a device that is always full. */
function onFullDisk(): LogFile {
  LogFile.open(folder).close();
  rmSync(join(folder, "wal"));
  symlinkSync("/dev/full", join(folder, "wal"));
  return LogFile.open(folder);
}

test("appends and replacements are what the next start reads", async () => {
  const first = LogFile.open(folder);
  await ended((done) => first.append(text("one "), done));
  await ended((done) => first.append(text("two "), done));
  await ended((done) => first.replace(text("three "), done));
  await ended((done) => first.append(text("four"), done));
  expect(new TextDecoder().decode(first.read())).toBe("three four");
  first.close();
  const second = LogFile.open(folder);
  expect(new TextDecoder().decode(second.read())).toBe("three four");
  second.truncate(5);
  await ended((done) => second.append(text("!"), done));
  expect(readFileSync(join(folder, "wal"), "utf8")).toBe("three!");
  second.close();
});

test("keeps the folder and its files to their owner, and leaves only the log behind", async () => {
  const file = LogFile.open(folder);
  await ended((done) => file.replace(text("x"), done));
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, "wal")).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, "lock")).mode & 0o777).toBe(0o600);
  file.close();
  expect(readdirSync(folder)).toEqual(["wal"]);
});

test("a half-written replacement of an earlier start is removed", () => {
  LogFile.open(folder).close();
  writeFileSync(join(folder, "wal.new"), "half");
  LogFile.open(folder).close();
  expect(existsSync(join(folder, "wal.new"))).toBe(false);
});

test("a full disk is reported, and a replacement elsewhere still succeeds", async () => {
  const file = onFullDisk();
  await expect(ended((done) => file.append(text("x"), done))).rejects.toMatchObject({
    code: "ENOSPC",
  });
  await ended((done) => file.replace(text("snapshot"), done));
  await ended((done) => file.append(text(" on"), done));
  expect(readFileSync(join(folder, "wal"), "utf8")).toBe("snapshot on");
  file.close();
});

test("a replacement that fails leaves the log as it was", async () => {
  const file = LogFile.open(folder);
  await ended((done) => file.append(text("kept"), done));
  symlinkSync("/dev/full", join(folder, "wal.new"));
  await expect(ended((done) => file.replace(text("lost"), done))).rejects.toMatchObject({
    code: "ENOSPC",
  });
  expect(readdirSync(folder).sort()).toEqual(["lock", "wal"]);
  await ended((done) => file.append(text("!"), done));
  expect(readFileSync(join(folder, "wal"), "utf8")).toBe("kept!");
  file.close();
});

test("a file larger than any log is refused before it is read", () => {
  LogFile.open(folder).close();
  truncateSync(join(folder, "wal"), LOG_BYTES_MAX + 1);
  const file = LogFile.open(folder);
  expect(() => file.read()).toThrow(expect.objectContaining({ code: "ERR_LOG_TOO_LARGE" }));
  file.close();
});

test("two writes at once are the caller's mistake", async () => {
  const file = LogFile.open(folder);
  const first = ended((done) => file.append(text("a"), done));
  expect(() => file.append(text("b"), () => {})).toThrow("one write");
  expect(() => file.close()).toThrow("last write");
  await first;
  file.close();
});

test("a folder in use is refused, naming the process; closing it makes it free", () => {
  const file = LogFile.open(folder);
  expect(() => LogFile.open(folder)).toThrow(DataLockError);
  expect(() => LogFile.open(folder)).toThrow(`process ${process.pid}`);
  file.close();
  LogFile.open(folder).close();
});

test.each([
  ["of a process that is gone", "2147483647 some-boot 1\n"],
  ["of an earlier process with a pid now in use", `${process.pid} another-boot 1\n`],
  ["that a power loss left empty", ""],
  ["that says nothing sensible", "not a lock at all"],
])("a lock %s is taken over", (_, content) => {
  LogFile.open(folder).close();
  writeFileSync(join(folder, "lock"), content);
  const file = LogFile.open(folder);
  expect(readFileSync(join(folder, "lock"), "utf8").split(" ")[0]).toBe(`${process.pid}`);
  file.close();
  expect(readdirSync(folder)).toEqual(["wal"]);
});
