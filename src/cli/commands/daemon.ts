// `myco daemon`: runs the node itself, until it is told to stop.

import { resolve } from "node:path";
import type { Command } from "commander";
import { hostname, listenAddress, peer } from "../arguments.ts";
import { configurationFileOf, namedSocketOf } from "../locations.ts";
import type { AddCommand } from "../session.ts";

interface DaemonOptions {
  readonly dataDir?: string;
  readonly listen?: string[];
  readonly peer?: string[];
  readonly hostname?: string;
  readonly dns?: string;
}

const HELP = `
What the options leave out comes from the configuration, and what that leaves out has a
default: \`myco config check\` shows all of it. SIGTERM and SIGINT stop the daemon and its
services; \`kill -9\` loses nothing that was acknowledged.

Examples:
  $ myco daemon
  $ myco daemon --data-dir ~/myco --socket ~/myco/sock --listen 0.0.0.0:7946 --dns off`;

export const addDaemonCommand: AddCommand = (parent, session, run) => {
  const command: Command = parent
    .command("daemon")
    .description("run this machine's node")
    .option("--data-dir <dir>", "the data folder")
    .option("--listen <endpoint>", "where to listen; may be given several times", listenAddress)
    .option("--peer <endpoint>", "a member to dial; may be given several times", peer)
    .option("--hostname <name>", "what to call this node", hostname)
    .option("--dns <endpoint>", 'where to answer DNS, or "off"')
    .addHelpText("after", HELP);
  command.action(
    run(async (options: DaemonOptions) => {
      const { globalOptions, world } = session;
      const socket = namedSocketOf(globalOptions, world);
      const { runDaemon } = await import("../../daemon/daemon.ts");
      return runDaemon({
        configurationFile: configurationFileOf(globalOptions, world),
        overrides: {
          ...(options.dataDir === undefined
            ? {}
            : { dataDir: resolve(world.cwd, options.dataDir) }),
          ...(socket === null ? {} : { socket }),
          ...(options.listen === undefined ? {} : { listen: options.listen }),
          ...(options.peer === undefined ? {} : { peers: options.peer }),
          ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
          ...(options.dns === undefined
            ? {}
            : { dnsListen: options.dns === "off" ? false : options.dns }),
        },
      });
    }),
  );
};
