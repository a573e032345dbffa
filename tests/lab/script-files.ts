// Finds lab scripts by name and loads them: each is bundled on its own, then imported.

import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { LabError } from "./errors.ts";
import type { LabScript } from "./script.ts";

export interface NamedScript {
  readonly name: string;
  readonly file: string;
}

/** @param root the project's root folder */
export function listScripts(root: string): NamedScript[] {
  const folder = join(root, "tests", "lab", "scripts");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => ({ name: basename(name, ".ts"), file: join(folder, name) }));
}

/**
 * The scripts that `words` name, in order, each once.
 * @throws LabError for a word that names none
 */
export function chooseScripts(
  words: readonly string[],
  all: readonly NamedScript[],
  isFile: (path: string) => boolean = existsSync,
): NamedScript[] {
  const chosen = new Map<string, NamedScript>();
  for (const word of words) {
    const found = matching(word, all, isFile);
    if (found.length === 0) {
      const names = all.map(({ name }) => name).join(", ");
      throw new LabError("script", `"${word}" is no lab script and no file; there are: ${names}`);
    }
    for (const script of found) chosen.set(script.file, script);
  }
  return [...chosen.values()];
}

function matching(
  word: string,
  all: readonly NamedScript[],
  isFile: (path: string) => boolean,
): NamedScript[] {
  if (word.endsWith(".ts")) {
    return isFile(word) ? [{ name: basename(word, ".ts"), file: resolve(word) }] : [];
  }
  if (word.endsWith("*")) return all.filter(({ name }) => name.startsWith(word.slice(0, -1)));
  return all.filter(({ name }) => name === word);
}

/** @throws LabError when the file exports no script */
export async function loadScript(root: string, { name, file }: NamedScript): Promise<LabScript> {
  const { bundleOptions } = await import(pathToFileURL(join(root, "scripts", "build.mjs")).href);
  const { build } = createRequire(join(root, "package.json"))("esbuild");
  const folder = join(root, ".cache", "run");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `lab-script-${name}-${process.pid}.mjs`);
  await build({ ...bundleOptions, entryPoints: [file], outfile, sourcemap: "inline" });
  try {
    const module = await import(pathToFileURL(outfile).href);
    if (typeof module.default?.test === "function") return module.default as LabScript;
    throw new LabError("script", `${file} has no default export made by labScript()`);
  } finally {
    rmSync(outfile, { force: true });
  }
}
