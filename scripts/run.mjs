// Bundles one TypeScript entry point and runs it: `node scripts/run.mjs sim/main.ts ARGS`.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { constants } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setup } from "./setup.mjs";

setup();
const { build } = await import("esbuild");
const { bundleOptions } = await import("./build.mjs");

const root = fileURLToPath(new URL("..", import.meta.url));
const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) {
  console.error("usage: node scripts/run.mjs ENTRY.ts [ARGS]");
  process.exit(2);
}
const folder = join(root, ".cache", "run");
mkdirSync(folder, { recursive: true });
const outfile = join(
  folder,
  `${entry.replaceAll(/[/\\]/g, "-").replace(/\.ts$/, "")}-${process.pid}.mjs`,
);
await build({ ...bundleOptions, entryPoints: [join(root, entry)], outfile, sourcemap: "inline" });
const result = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--expose-gc", "--max-old-space-size=8192", outfile, ...args],
  { stdio: "inherit", cwd: process.cwd(), env: { ...process.env, MYCO_ENTRY: basename(entry) } },
);
const { rmSync } = await import("node:fs");
rmSync(outfile, { force: true });
process.exit(result.status ?? 128 + (constants.signals[result.signal ?? "SIGKILL"] ?? 9));
