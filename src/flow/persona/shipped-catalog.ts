// The catalogue that ships, and with it what users add in files of their own.

import { CATALOG_FILE_BYTES_MAX, CATALOG_FILES_MAX } from "../../kernel/limits.ts";
import type { SystemFiles } from "../ports.ts";
import { Catalog } from "./catalog.ts";
import { type CatalogEntry, unpackEntry } from "./catalog-entry.ts";
import { CatalogError, parseCatalogFile } from "./catalog-file.ts";
import { SHIPPED_CATALOG } from "./shipped-catalog.generated.js";

export interface LoadedCatalog {
  readonly catalog: Catalog;
  /** Files that are in force, by path. */
  readonly files: readonly string[];
  /** Files that were left out, each with every mistake in it, for people. */
  readonly refused: readonly { readonly file: string; readonly message: string }[];
}

/** The catalogue as it ships, with entries that come before its own. */
export function shippedCatalog(added: readonly CatalogEntry[] = []): Catalog {
  return new Catalog(SHIPPED_CATALOG.map(unpackEntry), added);
}

/**
 * The shipped catalogue, and `*.yaml` and `*.yml` of a folder in the order of their names: what a later one
 * says counts. A file with a mistake is left out as a whole; the others stay.
 */
export function loadCatalog(
  files: Pick<SystemFiles, "list" | "readText">,
  folder: string,
): LoadedCatalog {
  const added: CatalogEntry[] = [];
  const loaded: string[] = [];
  const refused: { file: string; message: string }[] = [];
  const names = files.list(folder).filter((name) => /\.ya?ml$/.test(name) && !name.startsWith("."));
  for (const [index, name] of names.entries()) {
    const file = `${folder}/${name}`;
    const problem = index < CATALOG_FILES_MAX ? readFile(files, file, added) : TOO_MANY;
    if (problem === null) loaded.push(file);
    else refused.push({ file, message: problem });
  }
  return { catalog: shippedCatalog(added), files: loaded, refused };
}

const TOO_MANY = `only the first ${CATALOG_FILES_MAX} files of the folder are read; join some`;

/** Adds the file's entries. @returns what is wrong with it, or null */
function readFile(
  files: Pick<SystemFiles, "readText">,
  file: string,
  added: CatalogEntry[],
): string | null {
  const source = files.readText(file, CATALOG_FILE_BYTES_MAX + 1);
  if (source === null) return `${file} cannot be read`;
  try {
    added.push(...parseCatalogFile(source, file));
    return null;
  } catch (error) {
    if (error instanceof CatalogError) return error.message;
    throw error;
  }
}
