// Packs src/flow/persona/catalog/*.yaml into one module, so that the daemon reads no YAML at
// start. Run it after changing the catalogue: `node scripts/compile-catalog.mjs`; a test says when
// that was forgotten.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parse } from "yaml";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}src/flow/persona/catalog`;
/** ENTRY_CONFIDENCE of src/flow/persona/catalog-entry.ts. */
const DEFAULT_CONFIDENCE = 0.9;

/** The text of every file that is made from the catalogue, by path from the root. */
export function compileCatalog() {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .sort();
  const entries = files.flatMap((name) =>
    Object.values(parse(readFileSync(`${folder}/${name}`, "utf8"))).map(pack),
  );
  const lines = entries.map((entry) => `  ${JSON.stringify(entry)},\n`).join("");
  return {
    "src/flow/persona/shipped-catalog.generated.js": `// Made from catalog/*.yaml by scripts/compile-catalog.mjs.\nexport const SHIPPED_CATALOG = [\n${lines}];\n`,
  };
}

function pack(entry) {
  const { service, realtime = null, confidence = DEFAULT_CONFIDENCE } = entry;
  const { names = [], ports = [], networks = [], agents = [], certificates = [] } = entry;
  const joined = [names.join(" "), ports.join(" "), networks.join(" ")];
  return [service, realtime, confidence, ...joined, agents.join("\n"), certificates.join("\n")];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const [path, text] of Object.entries(compileCatalog())) {
    writeFileSync(`${root}${path}`, text);
    console.log(`» ${path}, ${Buffer.byteLength(text)} bytes`);
  }
}
