// Every shell script that goes onto a router, or builds an image for one: shellcheck has nothing to
// say, and busybox' shell can read it.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findProgram, skipWithout } from "../skip-without.ts";
import { BUSYBOX } from "./stand-in-root.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = ["openwrt", "images"];
const SHELLCHECK = findProgram("shellcheck");

/** By their first line, or by the one that names their dialect. */
const scripts = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length))
    .filter((path) =>
      /^#(!\/bin\/sh| shellcheck shell=)/.test(readFileSync(join(ROOT, path), "utf8")),
    ),
);

describe("the shell scripts", () => {
  it("are found", () => {
    expect(scripts.length).toBeGreaterThanOrEqual(6);
  });
});

describe("shellcheck", () => {
  skipWithout(SHELLCHECK, "shellcheck");

  it("has nothing to say about them", () => {
    const words = ["--external-sources", "--format=gcc", ...scripts];
    const { stdout, stderr } = spawnSync(SHELLCHECK ?? "", words, { cwd: ROOT, encoding: "utf8" });
    expect(stdout + stderr).toBe("");
  });
});

describe("busybox' shell", () => {
  skipWithout(BUSYBOX, "busybox");

  it.each(scripts)("can read %s", (path) => {
    const { status, stderr } = spawnSync(BUSYBOX ?? "", ["ash", "-n", path], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
