// Compiles src/schema/manifest.schema.json into plain JavaScript, so that the daemon carries
// no schema compiler, and publishes the schema in docs/. Run it after changing the schema:
// `node scripts/compile-schemas.mjs`; a test says when that was forgotten.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import standaloneCode from "ajv/dist/standalone/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The text of every file that is made from the schema, by path from the root. */
export function compileSchemas() {
  const source = readFileSync(`${root}src/schema/manifest.schema.json`, "utf8");
  const ajv = new Ajv2020({
    allErrors: true,
    allowUnionTypes: true,
    messages: false,
    unicode: false,
    verbose: true,
    logger: false,
    strictTypes: true,
    code: { source: true, esm: true, lines: true },
    keywords: ["x-allowed"],
  });
  const validator = standaloneCode(ajv, ajv.compile(JSON.parse(source)));
  return {
    "src/schema/manifest-validator.generated.js": `// Made from manifest.schema.json by scripts/compile-schemas.mjs.\n${validator}`,
    "docs/manifest.schema.json": source,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const [path, text] of Object.entries(compileSchemas())) {
    writeFileSync(`${root}${path}`, text);
    console.log(`» ${path}, ${Buffer.byteLength(text)} bytes`);
  }
}
