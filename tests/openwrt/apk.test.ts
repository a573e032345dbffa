// The packages for apk: what its `mkpkg` is asked, with a stand-in for it that keeps what it is given.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FEED_PACKAGES, feedPackage } from "../../scripts/build-ipk.mjs";
import { VERSION } from "../../src/kernel/version.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILD = join(ROOT, "scripts/build-apk.mjs");
const NODE_FOLDER = dirname(process.execPath);

/** Keeps arguments, scripts and files below $KEPT, in a folder of the package's name. */
const APK = `#!/bin/sh
set -eu
[ "$1" = mkpkg ]
shift
[ "$1" != --help ] || exit 0
for word; do case "$word" in name:*) to="$KEPT/\${word#name:}" ;; esac; done
mkdir -p "$to"
printf '%s\\n' "$@" >"$to/arguments"
while [ "$#" -gt 1 ]; do
  case "$1" in
    --files) cp -Rp "$2" "$to/files" ;;
    --script) cp "\${2#*:}" "$to/\${2%%:*}" ;;
  esac
  shift 2
done
`;

const folder = mkdtempSync(join(tmpdir(), "myco-apk-test-"));
beforeAll(() => {
  const programs = join(folder, "bin");
  mkdirSync(programs);
  writeFileSync(join(programs, "apk"), APK);
  chmodSync(join(programs, "apk"), 0o755);
  execFileSync(process.execPath, [BUILD], {
    env: { ...process.env, PATH: `${programs}:${process.env.PATH}`, KEPT: folder },
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Paths from the root of the router, with a slash in front. */
function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(root, path)).isFile())
    .map((path) => `/${path}`)
    .sort();
}

describe.each(FEED_PACKAGES)("the package %s for apk", (name) => {
  const kept = (...path: string[]): string => join(folder, name, ...path);
  const note = (ending: string): string[] =>
    readFileSync(kept("files/lib/apk/packages", `${name}.${ending}`), "utf8")
      .trim()
      .split("\n");

  it("has the project's version, runs everywhere, and depends on what the feed's does", () => {
    const lines = readFileSync(kept("arguments"), "utf8").split("\n");
    const { depends, title } = feedPackage(name);
    expect(lines).toEqual(
      expect.arrayContaining([
        ...[`name:${name}`, `version:${VERSION}-r1`, "arch:noarch"],
        ...[`description:${title}`, `depends:${depends.join(" ")}`],
      ]),
    );
  });

  it("lists what it installs, and what a person may change with its hash", () => {
    const installed = filesBelow(kept("files")).filter((path) => !path.startsWith("/lib/apk/"));
    expect(note("list").sort()).toEqual(installed);
    const { conffiles } = feedPackage(name);
    if (conffiles.length === 0) return;
    expect(note("conffiles")).toEqual(conffiles);
    const hash = (path: string): string =>
      createHash("sha256")
        .update(readFileSync(kept("files", path)))
        .digest("hex");
    expect(note("conffiles_static")).toEqual(conffiles.map((path) => `${path} ${hash(path)}`));
  });

  it.each([
    ["post-install", ["group", "default_postinst"]],
    ["post-upgrade", ["group", "default_postinst upgrade"]],
    ["pre-deinstall", ["default_prerm"]],
  ])("runs base-files' own steps: %s", (when, steps) => {
    const root = join(folder, "root");
    mkdirSync(join(root, "lib"), { recursive: true });
    const functions = `add_group_and_user() { echo group; }
default_postinst() { echo default_postinst\${PKG_UPGRADE:+ upgrade}; [ "$pkgname" = ${name} ]; }
default_prerm() { echo default_prerm; [ "$pkgname" = ${name} ]; }
`;
    writeFileSync(join(root, "lib/functions.sh"), functions);
    const run = (more: Readonly<Record<string, string>>): string =>
      execFileSync("sh", [kept(when)], {
        encoding: "utf8",
        env: { PATH: process.env.PATH, IPKG_INSTROOT: root, ...more },
      });
    expect(run({}).trim().split("\n")).toEqual(steps);
    expect(run({ IPKG_NO_SCRIPT: "1" })).toBe("");
  });
});

it("names what is missing where there is no apk", () => {
  const { status, stderr } = spawnSync(process.execPath, [BUILD], {
    encoding: "utf8",
    env: { PATH: NODE_FOLDER },
  });
  expect(status).toBe(69);
  expect(stderr).toMatch(/no `apk mkpkg` here.*build:ipk/);
});
