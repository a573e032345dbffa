// What an OpenWrt package of the feed holds, read out of the feed's own Makefile, so that a package
// built here and one built by OpenWrt's SDK cannot differ.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** Modes of OpenWrt's INSTALL_… commands (rules.mk). */
const MODES = { INSTALL_DIR: 0o755, INSTALL_BIN: 0o755, INSTALL_DATA: 0o644, INSTALL_CONF: 0o600 };

/** Where a LuCI app's folders go (luci.mk). */
const LUCI_FOLDERS = [
  ["htdocs", "/www"],
  ["root", ""],
];

/**
 * Reads a feed's Makefile.
 * @returns name, version, control fields, conffiles, and files as {path, mode, source}, in order of
 *   path; `source` is null for a folder
 */
export function readFeedPackage(makefile) {
  const folder = dirname(resolve(makefile));
  const { variables, definitions } = parseMakefile(readFileSync(makefile, "utf8"), folder);
  const name = variables.get("PKG_NAME");
  const isLuciApp = variables.has("LUCI_TITLE");
  const fields = isLuciApp
    ? luciFields(variables)
    : packageFields(definitions.get(`Package/${name}`));
  const files = isLuciApp
    ? LUCI_FOLDERS.flatMap(([from, to]) => treeFiles(join(folder, from), to))
    : installedFiles(definitions.get(`Package/${name}/install`), variables, folder);
  return {
    name,
    version: `${variables.get("PKG_VERSION")}-r${variables.get("PKG_RELEASE")}`,
    section: fields.get("SECTION"),
    title: fields.get("TITLE"),
    depends: words(fields.get("DEPENDS")).map((word) => word.replace(/^\+/, "")),
    userId: fields.get("USERID") ?? null,
    license: variables.get("PKG_LICENSE"),
    description: lines(definitions.get(`Package/${name}/description`) ?? fields.get("TITLE")),
    conffiles: lines(definitions.get(`Package/${name}/conffiles`) ?? ""),
    files: withFolders(files),
  };
}

function parseMakefile(text, folder) {
  const variables = new Map([["CURDIR", folder]]);
  const definitions = new Map();
  let open = null;
  for (const line of text.replaceAll("\\\n", " ").split("\n")) {
    const begins = /^define (\S+)$/.exec(line);
    if (begins !== null) {
      open = begins[1];
      definitions.set(open, "");
    } else if (line === "endef") open = null;
    else if (open !== null) definitions.set(open, `${definitions.get(open)}${line}\n`);
    else {
      const [, variable, value] = /^([A-Z_]+):=(.*)$/.exec(line) ?? [];
      if (variable !== undefined) variables.set(variable, expand(value, variables));
    }
  }
  return { variables, definitions };
}

function expand(text, variables) {
  return text.replaceAll(/\$\(([A-Z_]+)\)/g, (_, name) => {
    if (!variables.has(name))
      throw new Error(`the Makefile uses $(${name}), which it does not set`);
    return variables.get(name);
  });
}

function packageFields(text) {
  const fields = new Map();
  for (const line of lines(text)) {
    const [, field, value] = /^([A-Z]+):=(.*)$/.exec(line) ?? [];
    if (field === undefined) throw new Error(`not understood in the Makefile: ${line}`);
    fields.set(field, value.trim());
  }
  return fields;
}

function luciFields(variables) {
  return new Map([
    ["SECTION", "luci"],
    ["TITLE", variables.get("LUCI_TITLE")],
    ["DEPENDS", variables.get("LUCI_DEPENDS")],
  ]);
}

function installedFiles(text, variables, folder) {
  return lines(text).map((line) => {
    const [, command, rest] = /^\$\((\w+)\) (.*)$/.exec(line) ?? [];
    const mode = MODES[command];
    const [from, to] = command === "INSTALL_DIR" ? [null, rest] : (rest ?? "").split(" ");
    if (mode === undefined || !to?.startsWith("$(1)/")) {
      throw new Error(`not understood in the Makefile: ${line}`);
    }
    const source = from === null ? null : resolve(folder, expand(from, variables));
    return { path: to.slice("$(1)".length), mode, source };
  });
}

function treeFiles(folder, prefix) {
  const entries = readdirSync(folder, { recursive: true }).map((entry) => join(folder, entry));
  return entries
    .filter((source) => statSync(source).isFile())
    .map((source) => ({ path: join("/", prefix, relative(folder, source)), mode: 0o644, source }));
}

/** Every folder above a file, once, and all in order of path. */
function withFolders(files) {
  const byPath = new Map();
  for (const file of files) {
    for (let above = dirname(file.path); above !== "/"; above = dirname(above)) {
      byPath.set(above, { path: above, mode: MODES.INSTALL_DIR, source: null });
    }
  }
  for (const file of files) byPath.set(file.path, file);
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function words(text) {
  return text.split(/\s+/).filter(Boolean);
}

function lines(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
