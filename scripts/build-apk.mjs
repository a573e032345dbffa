// `npm run build:apk`: the OpenWrt packages for apk (25.12 and later) in dist/, by `apk mkpkg` of
// apk-tools 3. Exits with 69 where there is none.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FEED_PACKAGES, feedPackage, stageFiles } from "./build-ipk.mjs";
import { setup } from "./setup.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const UNAVAILABLE = 69;

/** apk knows no steps of OpenWrt's: each script names its package and calls them. */
const SCRIPTS = {
  "post-install": "add_group_and_user; default_postinst",
  "post-upgrade": "export PKG_UPGRADE=1; add_group_and_user; default_postinst",
  "pre-deinstall": "default_prerm",
};

function canMakePackages() {
  return spawnSync("apk", ["mkpkg", "--help"], { stdio: "ignore" }).status === 0;
}

function buildApk(name) {
  const description = feedPackage(name);
  const work = mkdtempSync(join(tmpdir(), "myco-apk-"));
  try {
    const files = join(work, "files");
    stageFiles(description.files, files);
    stageNotes(description, files);
    const output = join(root, "dist", `${name}-${description.version}.apk`);
    execFileSync("apk", [
      "mkpkg",
      ...infoArguments(description),
      ...Object.entries(SCRIPTS).flatMap(([when, steps]) => {
        const path = join(work, when);
        writeFileSync(path, script(name, steps));
        chmodSync(path, 0o755);
        return ["--script", `${when}:${path}`];
      }),
      ...["--files", files, "--output", output],
    ]);
    return output;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function infoArguments({ name, version, title, license, depends }) {
  const info = { name, version, description: title, arch: "noarch", license };
  const words = [...Object.entries(info), ["depends", depends.join(" ")]];
  return words.flatMap(([key, value]) => ["--info", `${key}:${value}`]);
}

/** What OpenWrt's steps and sysupgrade read about a package. */
function stageNotes({ name, files, conffiles, userId }, folder) {
  const notes = join(folder, "lib/apk/packages");
  mkdirSync(notes, { recursive: true });
  const put = (ending, lines) =>
    writeFileSync(join(notes, `${name}.${ending}`), lines.map((line) => `${line}\n`).join(""));
  const installed = files.filter(({ source }) => source !== null);
  put(
    "list",
    installed.map(({ path }) => path),
  );
  if (userId !== null) put("rusers", [userId]);
  if (conffiles.length === 0) return;
  const sourceOf = new Map(installed.map(({ path, source }) => [path, source]));
  put("conffiles", conffiles);
  put(
    "conffiles_static",
    conffiles.map((path) => `${path} ${sha256(sourceOf.get(path))}`),
  );
}

function script(name, steps) {
  return `#!/bin/sh
[ "$IPKG_NO_SCRIPT" = 1 ] && exit 0
[ -s "$IPKG_INSTROOT/lib/functions.sh" ] || exit 0
. "$IPKG_INSTROOT/lib/functions.sh"
export root="$IPKG_INSTROOT" pkgname=${name}
${steps}
`;
}

function sha256(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

if (!canMakePackages()) {
  console.error(
    "build:apk: there is no `apk mkpkg` here (apk-tools 3; OpenWrt's SDK of 25.12 has it). npm run build:ipk needs only tar and gzip.",
  );
  process.exit(UNAVAILABLE);
}
setup();
const { buildMyco } = await import("./build.mjs");
await buildMyco();
for (const name of FEED_PACKAGES) console.log(`» ${buildApk(name).slice(root.length)}`);
