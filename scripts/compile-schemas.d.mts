/** The text of every file that is made from the manifest's schema, by path from the root. */
export function compileSchemas(): Record<string, string>;
