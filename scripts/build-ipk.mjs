// `npm run build:ipk`: the OpenWrt packages for opkg (24.10 and before) in dist/, by tar and gzip
// alone: the same files and the same date give the same bytes. An .ipk is a gzipped tar of
// `debian-binary`, `data.tar.gz` and `control.tar.gz`.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { readFeedPackage } from "./openwrt-package.mjs";
import { setup } from "./setup.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const FEED = join(root, "openwrt/feeds/mycoflow");
export const FEED_PACKAGES = ["mycoflow", "luci-app-mycoflow"];

/** What opkg runs: base-files' own steps, which enable and start services and run uci-defaults. */
const MAINTAINER_SCRIPTS = { postinst: "default_postinst", prerm: "default_prerm" };

export function feedPackage(name) {
  return readFeedPackage(join(FEED, name, "Makefile"));
}

/** @returns the .ipk's path. @param name of a folder of the feed */
export function buildIpk(name, outputFolder = join(root, "dist")) {
  const description = feedPackage(name);
  const work = mkdtempSync(join(tmpdir(), "myco-ipk-"));
  try {
    const data = join(work, "data");
    stageFiles(description.files, data);
    const control = join(work, "control");
    stageControl(description, control);
    const ipk = join(work, "ipk");
    mkdirSync(ipk);
    writeFileSync(join(ipk, "debian-binary"), "2.0\n");
    chmodSync(join(ipk, "debian-binary"), 0o644);
    pack(data, ["."], join(ipk, "data.tar.gz"));
    pack(control, ["."], join(ipk, "control.tar.gz"));
    mkdirSync(outputFolder, { recursive: true });
    const output = join(outputFolder, `${name}_${description.version}_all.ipk`);
    pack(ipk, ["./debian-binary", "./data.tar.gz", "./control.tar.gz"], output);
    return output;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Copies a package's files below `folder`, with their modes. */
export function stageFiles(files, folder) {
  makeFolder(folder);
  for (const { path, mode, source } of files) {
    const target = join(folder, path);
    if (source === null) makeFolder(target);
    else copyFileSync(source, target);
    chmodSync(target, mode);
  }
}

function stageControl(description, folder) {
  makeFolder(folder);
  const put = (name, text, mode) => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), mode);
  };
  put("control", controlText(description), 0o644);
  if (description.conffiles.length > 0) {
    put("conffiles", `${description.conffiles.join("\n")}\n`, 0o644);
  }
  for (const [name, step] of Object.entries(MAINTAINER_SCRIPTS)) {
    put(name, maintainerScript(step), 0o755);
  }
}

function controlText({ name, version, section, depends, userId, license, description, files }) {
  const sizes = files.map(({ source }) => (source === null ? 0 : statSync(source).size));
  const fields = [
    ["Package", name],
    ["Version", version],
    ["Depends", depends.join(", ")],
    ["License", license],
    ["Section", section],
    ["Require-User", userId],
    ["Architecture", "all"],
    ["Installed-Size", sizes.reduce((sum, size) => sum + size, 0)],
    ["Description", description.join("\n ")],
  ];
  const said = fields.filter(([, value]) => value !== null);
  return said.map(([field, value]) => `${field}: ${value}\n`).join("");
}

function maintainerScript(step) {
  return `#!/bin/sh
[ "$IPKG_NO_SCRIPT" = 1 ] && exit 0
[ -s "$IPKG_INSTROOT/lib/functions.sh" ] || exit 0
. "$IPKG_INSTROOT/lib/functions.sh"
${step} "$0" "$@"
`;
}

function makeFolder(path) {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
}

/** A gzipped tar without anything of this machine or this moment in it. */
function pack(folder, entries, output) {
  const flags = ["--format=gnu", "--numeric-owner", "--owner=0", "--group=0"];
  flags.push("--sort=name", `--mtime=@${sourceDateSeconds()}`);
  const tar = execFileSync("tar", [...flags, "-C", folder, "-cf", "-", ...entries], {
    maxBuffer: 64 * 1024 * 1024,
  });
  writeFileSync(
    output,
    execFileSync("gzip", ["-9", "-n", "-c"], { input: tar, maxBuffer: 2 ** 26 }),
  );
}

/** SOURCE_DATE_EPOCH, else the last commit's time, else 0 (reproducible-builds.org). */
function sourceDateSeconds() {
  const { SOURCE_DATE_EPOCH } = process.env;
  if (SOURCE_DATE_EPOCH !== undefined) return Number.parseInt(SOURCE_DATE_EPOCH, 10);
  try {
    const options = { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] };
    return Number.parseInt(execFileSync("git", ["log", "-1", "--format=%ct"], options), 10);
  } catch {
    return 0;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  setup();
  const { buildMyco } = await import("./build.mjs");
  await buildMyco();
  for (const name of FEED_PACKAGES) {
    const output = buildIpk(name);
    const sizeBytes = readFileSync(output).length;
    console.log(`» ${output.slice(root.length)}, ${(sizeBytes / 1024).toFixed(0)} KiB`);
  }
}
