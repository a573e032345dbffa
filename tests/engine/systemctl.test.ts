// Unit files on a real disk, with a systemctl that only takes note of what it is told.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Systemctl } from "../../src/engine/systemctl.ts";
import type { Children } from "../../src/kernel/system-ports.ts";

const MARK = "[X-Myco]\n";
let folder: string;
let commands: string[];
let exitCode: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-units-"));
  commands = [];
  exitCode = 0;
});

afterEach(() => rmSync(folder, { recursive: true }));

function createSystemctl(): Systemctl {
  const children: Children = {
    start: () => {
      throw new Error("nothing runs for long");
    },
    run: (_program, args) => {
      commands.push(args.join(" "));
      return Promise.resolve({ exitCode, stdout: "", stderr: "no bus" });
    },
  };
  const isOurs = (text: string): boolean => text.startsWith(MARK);
  return new Systemctl({ children, unitFolder: folder, isOurs, makeRoom: () => false });
}

function unit(name: string, text = MARK) {
  return { files: new Map([[`myco-${name}.service`, text]]), removed: [] };
}

const reloadCount = (): number => commands.filter((line) => line === "daemon-reload").length;

describe("changes of unit files", () => {
  test("that are asked for together cost one reload", async () => {
    const systemctl = createSystemctl();
    const names = ["a", "b", "c", "d"];
    const outcomes = await Promise.all(names.map((name) => systemctl.change(unit(name))));
    expect(outcomes).toEqual(names.map(() => ({ ok: true })));
    expect(reloadCount()).toBe(1);
    expect(readdirSync(folder)).toEqual(names.map((name) => `myco-${name}.service`));
    expect(statSync(join(folder, "myco-a.service")).mode & 0o777).toBe(0o644);
  });

  test("that change nothing cost none, and a later one costs its own", async () => {
    const systemctl = createSystemctl();
    await systemctl.change(unit("a"));
    await systemctl.change(unit("a"));
    expect(reloadCount()).toBe(1);
    await systemctl.change({ files: new Map(), removed: ["myco-a.service"] });
    expect(reloadCount()).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("that meet somebody else's file are refused, and hold up no other", async () => {
    writeFileSync(join(folder, "myco-a.service"), "[Unit]\n");
    const systemctl = createSystemctl();
    const [foreign, own] = await Promise.all([
      systemctl.change(unit("a")),
      systemctl.change(unit("b")),
    ]);
    expect(foreign).toMatchObject({ ok: false, message: expect.stringMatching(/not of Myco's/) });
    expect(own).toEqual({ ok: true });
    expect(readFileSync(join(folder, "myco-a.service"), "utf8")).toBe("[Unit]\n");
  });

  test("that systemd did not read are read with the next one", async () => {
    const systemctl = createSystemctl();
    exitCode = 1;
    expect(await systemctl.change(unit("a"))).toEqual({ ok: false, message: "no bus" });
    exitCode = 0;
    expect(await systemctl.change(unit("a"))).toEqual({ ok: true });
    expect(reloadCount()).toBe(2);
  });
});
