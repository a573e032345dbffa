// A daemon to be killed: starts a child that neither reads nor writes, and prints its pid.

import { SystemChildren } from "../../src/io/children.ts";

const deathWatch = process.argv[2] === "watcher" ? "watcher" : "setpriv";
const children = new SystemChildren({ stateDir: null, deathWatch });
const child = children.start(
  { program: "sleep", args: ["60"], lineBytesMax: 100 },
  { onExit: () => {} },
);
console.log(child.pid);
