// Builds dist/myco.mjs: one file, everything bundled but Node itself.
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build as esbuild } from "esbuild";
import { setup } from "./setup.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const BUNDLE_BYTES_MAX = 2 * 1024 * 1024;

/** `myco` started by its name gets the runtime that fits 64 MB: src/daemon/runtime-flags.ts says why. */
export const SHEBANG =
  "#!/usr/bin/env -S UV_THREADPOOL_SIZE=1 MALLOC_ARENA_MAX=1 node --max-old-space-size=24 --max-semi-space-size=1 --single-threaded --v8-pool-size=0";

/** Bundled CommonJS packages reach for `require` of node's own modules; ESM has none of its own. */
const requireShim =
  'import { createRequire as mycoCreateRequire } from "node:module"; const require = mycoCreateRequire(import.meta.url);';

/** What every bundle of ours shares: the product's, the simulator's and the benches'. */
export const bundleOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  logLevel: "warning",
  legalComments: "none",
  mainFields: ["module", "main"],
  banner: { js: requireShim },
};

export async function buildMyco() {
  mkdirSync(`${root}dist`, { recursive: true });
  const outfile = `${root}dist/myco.mjs`;
  await esbuild({
    ...bundleOptions,
    entryPoints: ["src/main.ts"],
    outfile,
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: `${SHEBANG}\n${requireShim}` },
  });
  chmodSync(outfile, 0o755);
  const sizeBytes = statSync(outfile).size;
  if (sizeBytes > BUNDLE_BYTES_MAX) {
    throw new Error(`dist/myco.mjs is ${sizeBytes} bytes; ${BUNDLE_BYTES_MAX} is the limit`);
  }
  return sizeBytes;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  setup();
  const sizeBytes = await buildMyco();
  console.log(`» dist/myco.mjs, ${(sizeBytes / 1024).toFixed(0)} KiB`);
}
