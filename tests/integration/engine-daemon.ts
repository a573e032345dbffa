// A process that runs one service on the embedded engine until it is killed.

import { EMBEDDED_TIMING_DEFAULTS, EmbeddedEngine } from "../../src/engine/embedded.ts";
import { nodeIdFrom, serviceSpec } from "../engine/specs.ts";

const workDir = process.argv[2]!;
const engine = new EmbeddedEngine(
  {
    workDir,
    nodeId: nodeIdFrom(1n),
    address: "127.0.0.1",
    path: "/usr/bin:/bin",
    timing: { ...EMBEDDED_TIMING_DEFAULTS, stopTimeoutMs: 500 },
    logBytesMax: 64 * 1024,
  },
  (name, state) => console.log(`${name} ${state}`),
);
// The second program outlives its leader when that ends, as a forking server's children do.
const script = "sleep 300 & echo child=$!; echo leader=$$; wait";
const spec = serviceSpec({ exec: "/bin/sh", args: ["-c", script] });
engine.start({ name: "web", generation: 1, spec });
