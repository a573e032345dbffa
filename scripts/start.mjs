// `npm start`: installs what is locked, builds the program and runs the demo with it.
// `npm start -- --once` ends after the failover, with 0 only if every step succeeded.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setup } from "./setup.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const wrongWord = process.argv.slice(2).find((word) => word !== "--once");
if (wrongWord !== undefined) {
  console.error(`usage: npm start [-- --once]; found ${wrongWord}`);
  process.exit(2);
}

setup();
const { build } = await import("esbuild");
const { buildMyco, bundleOptions } = await import("./build.mjs");

console.log("» building dist/myco.mjs");
await buildMyco();
mkdirSync(join(root, ".cache"), { recursive: true });
const outfile = join(root, ".cache", "demo.mjs");
await build({ ...bundleOptions, entryPoints: [join(root, "demo", "main.ts")], outfile });
const { runDemo } = await import(pathToFileURL(outfile).href);
console.log("» three daemons on this machine, on loopback addresses");
process.exit(await runDemo({ root, once: process.argv.includes("--once") }));
