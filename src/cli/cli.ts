// The command line: global options, the list of commands, and how each one ends.

import { Command, CommanderError } from "commander";
import { VERSION } from "../kernel/version.ts";
import { CommandError } from "./command-error.ts";
import { addAuditCommands } from "./commands/audit.ts";
import { addClusterCommands } from "./commands/cluster.ts";
import { addConfigCommands } from "./commands/config.ts";
import { addDaemonCommand } from "./commands/daemon.ts";
import { addDeployCommand } from "./commands/deploy.ts";
import { addDrainCommand } from "./commands/drain.ts";
import { addFlightCommands } from "./commands/flight.ts";
import { addFlowCommands } from "./commands/flow.ts";
import { addHealthCommand } from "./commands/health.ts";
import { addInitCommand } from "./commands/init.ts";
import { addLogsCommand } from "./commands/logs.ts";
import { addPersonaCommands } from "./commands/persona.ts";
import { addReloadCommand } from "./commands/reload.ts";
import { addServicesCommand } from "./commands/services.ts";
import { addStatusCommand } from "./commands/status.ts";
import { addUndeployCommand } from "./commands/undeploy.ts";
import { addVersionCommand } from "./commands/version.ts";
import { EXIT, EXIT_CODES_HELP } from "./exit-codes.ts";
import type { GlobalOptions } from "./locations.ts";
import { type AddCommand, type RunAction, Session, type World } from "./session.ts";

const COMMANDS: readonly AddCommand[] = [
  addDaemonCommand,
  addClusterCommands,
  addInitCommand,
  addDeployCommand,
  addUndeployCommand,
  addStatusCommand,
  addServicesCommand,
  addDrainCommand,
  addLogsCommand,
  addAuditCommands,
  addFlowCommands,
  addPersonaCommands,
  addHealthCommand,
  addReloadCommand,
  addFlightCommands,
  addConfigCommands,
  addVersionCommand,
];

const EXAMPLES = `
Start a cluster of one, and run something on it:
  $ myco cluster init && myco daemon
  $ myco deploy ./my-service
  $ myco services

Watch the line of a router:
  $ myco flow status --watch

Let another machine in:
  $ myco cluster invite                 here; prints a token
  $ myco cluster join TOKEN             there; then: myco daemon

`;

/**
 * Runs one command.
 * @param args what follows the program's name
 * @returns the exit code
 */
export async function runCli(args: readonly string[], world: World): Promise<number> {
  const program = new Command("myco");
  const session = new Session(world, () => program.opts<GlobalOptions>());
  let exitCode: number = EXIT.ok;
  const run: RunAction =
    (action) =>
    async (...actionArgs) => {
      exitCode = await action(...actionArgs);
    };
  describeProgram(program, session);
  for (const addCommand of COMMANDS) addCommand(program, session, run);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    return explain(error, session);
  }
}

function describeProgram(program: Command, { presenter }: Session): void {
  program
    .description(
      "Keeps a router's line fast, and turns a handful of machines into one, without a server to look after.",
    )
    .option("--socket <path>", "the daemon's socket (environment: MYCO_SOCKET)")
    .option("--config <file>", "the configuration (environment: MYCO_CONFIG)")
    .helpCommand("help [command]", "show the help of a command")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", EXAMPLES + EXIT_CODES_HELP)
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => presenter.paint("bold", title),
    })
    .showHelpAfterError("(see --help)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => presenter.raw(text),
      writeErr: (text) => presenter.remark(text.trimEnd()),
    })
    .version(VERSION, "-V, --version", "show the version");
}

/** Tells the person what went wrong, once. */
function explain(error: unknown, { presenter }: Session): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof CommandError) {
    presenter.error(error.message, error.hint);
    return error.exitCode;
  }
  if (isSystemError(error)) {
    presenter.error(error.message, systemHint(error));
    return EXIT.failed;
  }
  presenter.error(error instanceof Error ? (error.stack ?? error.message) : String(error), "");
  return EXIT.failed;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

function systemHint({ code }: NodeJS.ErrnoException): string {
  if (code === "EACCES" || code === "EPERM") {
    return "use sudo, or name a place of your own with --data-dir or --root-key";
  }
  return code === "ENOSPC" ? "the disk is full" : "";
}
