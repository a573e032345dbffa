// The demo where it is installed: beside the bundles that scripts/start.mjs makes in a checkout.
import { fileURLToPath } from "node:url";
import { runDemo } from "../dist/demo.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.exit(await runDemo({ root, once: process.argv.includes("--once") }));
