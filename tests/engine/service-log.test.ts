// Captured output: whole lines, two bounded files, followers.

import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceLogs } from "../../src/engine/service-log.ts";
import {
  SERVICE_LOG_FOLLOWERS_MAX,
  SERVICE_LOG_LINE_BYTES_MAX,
  SERVICE_LOG_TAIL_BYTES_MAX,
  SERVICE_LOGS_MAX,
} from "../../src/kernel/limits.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const text = (value: string): Buffer => Buffer.from(value);

describe("reading back", () => {
  test("gives the last lines, oldest first, the newest whole ones of each stream in order", () => {
    const logs = new ServiceLogs(folder);
    const log = logs.open("web");
    log.write("stdout", text("one\ntwo\nthr"));
    log.write("stderr", text("oops\n"));
    log.write("stdout", text("ee\n"));
    log.note("restarted");
    expect(logs.lastLines("web", 10)).toEqual(["one", "two", "oops", "three", "myco: restarted"]);
    expect(logs.lastLines("web", 2)).toEqual(["three", "myco: restarted"]);
    expect(logs.lastLines("web", 0)).toEqual([]);
    log.close();
  });

  test("of a service that never ran is empty", () => {
    expect(new ServiceLogs(folder).lastLines("nothing", 5)).toEqual([]);
  });

  test("goes on after the log was closed and opened again, unfinished lines included", () => {
    const logs = new ServiceLogs(folder);
    const first = logs.open("web");
    first.write("stdout", text("before\nunfinished"));
    first.close();
    first.write("stdout", text("too late\n"));
    const second = new ServiceLogs(folder).open("web");
    second.write("stdout", text("after\n"));
    second.close();
    expect(logs.lastLines("web", 10)).toEqual(["before", "unfinished", "after"]);
  });

  test("reaches into the file set aside, and no further back than its bound", () => {
    const logs = new ServiceLogs(folder, SERVICE_LOG_TAIL_BYTES_MAX);
    const log = logs.open("web");
    const line = (i: number) => `line ${String(i).padStart(6, "0")}`;
    const count = Math.ceil((SERVICE_LOG_TAIL_BYTES_MAX * 1.5) / 12);
    for (let i = 0; i < count; i += 1) log.write("stdout", text(`${line(i)}\n`));
    const lines = logs.lastLines("web", count);
    expect(lines.at(-1)).toBe(line(count - 1));
    expect(lines.join("\n").length).toBeLessThanOrEqual(SERVICE_LOG_TAIL_BYTES_MAX);
    expect(lines.join("\n").length).toBeGreaterThan(SERVICE_LOG_TAIL_BYTES_MAX - 100);
    expect(lines.every((found) => found.length === 11)).toBe(true);
    log.close();
  });
});

test("any output in any pieces comes back as its lines, long ones cut", () => {
  const anyChunk = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(text("\n"), text("a\nb\n"), Buffer.alloc(SERVICE_LOG_LINE_BYTES_MAX, "x")),
  );
  fc.assert(
    fc.property(fc.array(anyChunk, { maxLength: 12 }), (chunks) => {
      rmSync(join(folder, "web.log"), { force: true });
      const logs = new ServiceLogs(folder, 10 * 1024 * 1024);
      const seen: string[] = [];
      logs.follow("web", 0, (line) => seen.push(line));
      const log = logs.open("web");
      for (const chunk of chunks) log.write("stdout", Buffer.from(chunk));
      log.close();
      const whole = Buffer.concat(chunks);
      const expected: string[] = [];
      for (let start = 0; start < whole.length; ) {
        const newline = whole.indexOf(10, start);
        const end = newline === -1 ? whole.length : newline;
        const cut = Math.min(end, start + SERVICE_LOG_LINE_BYTES_MAX);
        expected.push(whole.toString("utf8", start, cut));
        start = cut === end ? end + 1 : cut;
      }
      expect(seen).toEqual(expected);
    }),
  );
});

test("neither file grows beyond its bound, however much is printed", () => {
  const logs = new ServiceLogs(folder, 1_000);
  const log = logs.open("web");
  for (let i = 0; i < 500; i += 1) {
    log.write(i % 2 === 0 ? "stdout" : "stderr", text(`${"y".repeat(i % 90)}\n`));
    for (const file of readdirSync(folder)) {
      expect(statSync(join(folder, file)).size).toBeLessThanOrEqual(1_000);
    }
  }
  expect(readdirSync(folder).sort()).toEqual(["web.log", "web.log.1"]);
  log.close();
});

describe("following", () => {
  test("tells every line from then on, across restarts, until it is ended", () => {
    const logs = new ServiceLogs(folder);
    const seen: string[] = [];
    const end = logs.follow("web", 0, (line) => seen.push(line))!;
    const first = logs.open("web");
    first.write("stdout", text("grüß"));
    first.write("stdout", text(" dich\n"));
    first.close();
    const second = logs.open("web");
    second.note("again");
    end();
    second.note("unheard");
    second.close();
    expect(seen).toEqual(["grüß dich", "myco: again"]);
  });

  test("begins with the last lines that were asked for", async () => {
    const logs = new ServiceLogs(folder);
    const log = logs.open("web");
    log.write("stdout", text("one\ntwo\nthree\n"));
    const seen: string[] = [];
    logs.follow("web", 2, (line) => seen.push(line));
    log.write("stdout", text("four\n"));
    log.close();
    expect(seen).toEqual(["two", "three", "four"]);
    expect(await logs.tail("web", 1)).toEqual(["four"]);
  });

  test("has room for so many, and for another when one has left", () => {
    const logs = new ServiceLogs(folder);
    const onLine = (): void => {};
    const ends = Array.from({ length: SERVICE_LOG_FOLLOWERS_MAX }, () =>
      logs.follow("web", 0, onLine),
    );
    expect(logs.follow("web", 0, onLine)).toBeNull();
    expect(logs.follow("other", 0, onLine)).not.toBeNull();
    ends[0]!();
    expect(logs.follow("web", 0, onLine)).not.toBeNull();
  });
});

test("logs of services long silent make room for a new one's", () => {
  for (let i = 0; i < SERVICE_LOGS_MAX; i += 1) {
    const path = join(folder, `s${i}.log`);
    writeFileSync(path, "old\n");
    utimesSync(path, 1_000_000 + i, 1_000_000 + i);
  }
  writeFileSync(join(folder, "s0.log.1"), "older\n");
  const logs = new ServiceLogs(folder);
  logs.open("s1").close();
  expect(readdirSync(folder)).toContain("s0.log");
  logs.open("new").note("here");
  expect(readdirSync(folder)).not.toContain("s0.log");
  expect(readdirSync(folder)).not.toContain("s0.log.1");
  expect(readdirSync(folder).filter((file) => file.endsWith(".log"))).toHaveLength(
    SERVICE_LOGS_MAX,
  );
});

test("a name that is no label reaches no file", () => {
  const logs = new ServiceLogs(folder);
  for (const name of ["../passwd", "a/b", "", "a.b"]) {
    expect(() => logs.lastLines(name, 1)).toThrow("DNS label");
  }
});

test("a disk that takes no more costs the log, not the caller", () => {
  const logs = new ServiceLogs(folder);
  const log = logs.open("web");
  rmSync(folder, { recursive: true });
  expect(() => log.write("stdout", text("lost\n"))).not.toThrow();
});
