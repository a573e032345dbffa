// The demo where it is installed: beside the bundles that scripts/start.mjs makes in a checkout.
import { fileURLToPath } from "node:url";

const { runDemo } = await import(new URL("../dist/demo.mjs", import.meta.url).href);
const root = fileURLToPath(new URL("..", import.meta.url));
process.exit(await runDemo({ root, once: process.argv.includes("--once") }));
