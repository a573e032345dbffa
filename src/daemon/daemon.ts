// `myco daemon`: one node from its configuration to its end, and what is left behind when it
// crashes.

import { sendToServiceManager, takeNotifySurroundings } from "../io/notify-socket.ts";
import { type Configuration, ConfigurationError } from "../schema/configuration.ts";
import { type ConfigurationOverrides, loadConfiguration } from "./configuration-file.ts";
import { EventLog } from "./event-log.ts";
import { FlightRecorder } from "./flight-recorder.ts";
import { createLogger, type Logger } from "./logger.ts";
import { RunningNode } from "./running-node.ts";
import { missingRuntimeFlags } from "./runtime-flags.ts";
import { ServiceNotifier } from "./service-notifier.ts";

export interface DaemonOptions {
  /** Null: all defaults. */
  readonly configurationFile: string | null;
  readonly overrides: ConfigurationOverrides;
}

/** As the command line documents them. */
const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** EX_SOFTWARE of sysexits(3): the program, not its surroundings, is at fault. */
const EXIT_CRASHED = 70;
/** What lingers after the stop must not keep the process. */
const LINGER_MS = 1_000;

/**
 * Runs a node until it is told to stop.
 * @returns the exit code: 0 after a clean stop, 1 when it could not start or stop, 2 for a
 *   mistake in the configuration. A crash ends the process with 70.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  let configuration: Configuration;
  try {
    configuration = await loadConfiguration(options.configurationFile, options.overrides);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return error instanceof ConfigurationError || error instanceof TypeError
      ? EXIT_USAGE
      : EXIT_FAILED;
  }
  const logger = createLogger(configuration.log);
  const recorder = new FlightRecorder();
  const events = new EventLog(logger, recorder, Date.now);
  recordCrashes(recorder, logger, configuration.dataDir);
  noteRuntime(events);
  const notifier = openNotifier(events);
  const stopAsked = awaitSignal(events);
  const reloadAsked = awaitReloads(events);
  const readConfiguration = () => loadConfiguration(options.configurationFile, options.overrides);
  try {
    const node = await RunningNode.start({ configuration, readConfiguration, events, recorder });
    notifier?.ready(node);
    reloadAsked(() => void reload(node, notifier));
    await stopAsked;
    notifier?.stopping();
    return finish((await node.stop()) ? EXIT_OK : EXIT_FAILED);
  } catch (error) {
    logger.fatal({ code: (error as { code?: string }).code }, messageOf(error));
    return finish(EXIT_FAILED);
  }
}

/** Null where no service manager waits for a word. */
function openNotifier(events: EventLog): ServiceNotifier | null {
  const surroundings = takeNotifySurroundings(process.env, process.pid);
  if (surroundings === null) return null;
  const { socket, watchdogMs } = surroundings;
  return new ServiceNotifier({
    send: (assignments) => sendToServiceManager(socket, assignments),
    watchdogMs,
    onProblem: (problem) => {
      const message = "systemd cannot be told how the daemon is, and may take it for dead";
      events.note("error", "notify-failed", message, { problem });
    },
  });
}

async function reload(node: RunningNode, notifier: ServiceNotifier | null): Promise<void> {
  notifier?.reloading();
  await node.reload();
  notifier?.reloaded();
}

function finish(exitCode: number): number {
  setTimeout(() => process.exit(exitCode), LINGER_MS).unref();
  return exitCode;
}

/** The first signal asks to stop; a second one does not wait any longer. */
function awaitSignal(events: EventLog): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const take = (signal: NodeJS.Signals): void => {
      events.note("info", "signal", `${signal} was received`);
      if (asked) process.exit(EXIT_FAILED);
      asked = true;
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, take);
  });
}

/** SIGHUP asks to read the configuration again; one that comes before the node is up is answered then. */
function awaitReloads(events: EventLog): (reload: () => void) => void {
  let reload: (() => void) | null = null;
  let isWaiting = false;
  process.on("SIGHUP", () => {
    events.note("info", "signal", "SIGHUP was received: the configuration is read again");
    if (reload === null) isWaiting = true;
    else reload();
  });
  return (found) => {
    reload = found;
    if (isWaiting) found();
  };
}

/** The last events go to disk before the process ends: nothing of it can be trusted any more. */
function recordCrashes(recorder: FlightRecorder, logger: Logger, dataDir: string): void {
  const crash = (cause: unknown): void => {
    const error = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    recorder.record(Date.now(), "crash", { error });
    let file: string | undefined;
    try {
      file = recorder.writeFile(dataDir, Date.now());
    } catch {
      // Such as a full disk. The log below still says what happened.
    }
    logger.fatal({ error, file }, "the daemon has crashed; its last events are in the file");
    process.exit(EXIT_CRASHED);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
}

function noteRuntime(events: EventLog): void {
  const missing = missingRuntimeFlags(process.execArgv, process.env);
  if (missing.length === 0) return;
  const message =
    "started without the flags that keep memory small: start it by its name, myco, or with what is missing";
  events.note("info", "runtime-flags", message, { missing });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
