/** The text of every file that is made from the catalogue, by path from the root. */
export function compileCatalog(): Record<string, string>;
