// A daemon to be killed: starts a child that neither reads nor writes, and prints its pid.

import { SystemChildren } from "../../src/io/children.ts";

const children = new SystemChildren({ stateDir: null });
const child = children.start(
  { program: "sleep", args: ["60"], lineBytesMax: 100 },
  { onExit: () => {} },
);
console.log(child.pid);
