// Runs the nix builder alone in a guest, for tests/lab/scripts/engine-build.ts. Prints one line of
// JSON for what it is told.
//
//   lock FLAKE                      resolves a flake
//   build SERVICE FLAKE LOCK        builds it, printing progress and its end
//   cancel SERVICE FLAKE LOCK       cancels it once it builds, and prints when all has ended

import { mkdirSync } from "node:fs";
import { BackgroundRunner } from "../../src/engine/background.ts";
import { NixBuilder } from "../../src/engine/nix.ts";
import { SystemChildren } from "../../src/io/children.ts";
import { RealLinkFolder } from "../../src/io/link-folder.ts";
import { RealSystemFiles } from "../../src/io/system-files.ts";

const WORK_DIR = "/var/lib/myco-build-test";
const TICK_MS = 100;

const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const homeDir = `${WORK_DIR}/home`;
mkdirSync(homeDir, { recursive: true });
const environment = {
  PATH: process.env.PATH ?? "",
  HOME: homeDir,
  XDG_CACHE_HOME: `${homeDir}/.cache`,
};
const children = new SystemChildren({ stateDir: `${WORK_DIR}/state` });
const builder = new NixBuilder({
  background: new BackgroundRunner({ children, runner: "systemd", environment }),
  files: new RealSystemFiles(),
  roots: new RealLinkFolder(`${WORK_DIR}/roots`),
  homeDir,
  buildTimeoutMs: 120_000,
});
setInterval(() => builder.tick(performance.now()), TICK_MS);

const [verb, ...rest] = process.argv.slice(2);
if (verb === "lock") {
  say(await builder.lock(rest[0]!));
  process.exit(0);
}
const [service, flake, lock] = rest as [string, string, string];
builder.build(
  { service, generation: 1, flake, lock },
  (progress) => {
    say({ progress });
    if (verb !== "cancel" || progress.phase !== "building") return;
    builder.cancel(service);
    builder.close(() => {
      say({ closed: true });
      process.exit(0);
    });
  },
  (end) => {
    say({ end });
    process.exit(0);
  },
);
