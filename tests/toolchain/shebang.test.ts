// `myco` and the unit file must start the same runtime.

import { expect, test } from "vitest";
import { DAEMON_ENVIRONMENT, DAEMON_NODE_FLAGS } from "../../src/daemon/runtime-flags.ts";

test("the bundle's first line starts Node as the daemon wants it", async () => {
  const { SHEBANG } = (await import(new URL("../../scripts/build.mjs", import.meta.url).href)) as {
    SHEBANG: string;
  };
  const variables = Object.entries(DAEMON_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const words = ["env", "-S", ...variables, "node", ...DAEMON_NODE_FLAGS];
  expect(SHEBANG).toBe(`#!/usr/bin/${words.join(" ")}`);
  // Linux reads 255 bytes of it (since 5.1).
  expect(SHEBANG.length).toBeLessThan(255);
});
