// The engine of a node that runs no services: it takes part in the mesh, and is told to
// start nothing because it says of itself that it drains.

import type { Engine } from "../engine/engine.ts";
import { assert } from "../kernel/assert.ts";

export const idleEngine: Engine = {
  start(instance) {
    assert(false, `nothing is placed on a node without an engine, so not ${instance.name}`);
  },
  stop() {},
  list: () => [],
  ready: true,
  outlivesDaemon: false,
  tick() {},
  logs: { tail: () => Promise.resolve([]), follow: () => null },
  close: (done) => done(),
};
