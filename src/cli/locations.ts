// Where the commands find the configuration, the daemon's socket, the data folder and the
// root key: the command line first, then the environment, then the configuration's word.

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { CONFIGURATION_BYTES_MAX } from "../kernel/limits.ts";
import type { Configuration } from "../schema/configuration.ts";
import { CommandError } from "./command-error.ts";
import { EXIT } from "./exit-codes.ts";

/** Read when it exists and nothing else is named. */
export const CONFIGURATION_FILE = "/etc/myco/config.yaml";
const SOCKET = "/run/myco/myco.sock";
const DATA_DIR = "/var/lib/myco";
const AUDIT_LOG = "/var/log/myco/audit.log";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where relative paths start, and what the environment says. */
export interface Surroundings {
  readonly env: Environment;
  readonly cwd: string;
}

/** The options every command takes. */
export interface GlobalOptions {
  readonly socket?: string;
  readonly config?: string;
}

/** The configuration's file, or null when none is named and the default one does not exist. */
export function configurationFileOf(
  options: GlobalOptions,
  { env, cwd }: Surroundings,
): string | null {
  const named = options.config ?? env.MYCO_CONFIG;
  if (named !== undefined && named !== "") return resolve(cwd, named);
  return readTextFile(CONFIGURATION_FILE, CONFIGURATION_BYTES_MAX) === null
    ? null
    : CONFIGURATION_FILE;
}

/** The socket named on the command line or in the environment, or null. */
export function namedSocketOf(options: GlobalOptions, { env, cwd }: Surroundings): string | null {
  const named = options.socket ?? env.MYCO_SOCKET;
  return named === undefined || named === "" ? null : resolve(cwd, named);
}

export async function socketOf(options: GlobalOptions, around: Surroundings): Promise<string> {
  const named = namedSocketOf(options, around);
  return named ?? (await configurationOf(options, around))?.socket ?? SOCKET;
}

export async function dataDirOf(
  dataDir: string | undefined,
  options: GlobalOptions,
  around: Surroundings,
): Promise<string> {
  if (dataDir !== undefined) return resolve(around.cwd, dataDir);
  return (await configurationOf(options, around))?.dataDir ?? DATA_DIR;
}

export async function auditLogOf(options: GlobalOptions, around: Surroundings): Promise<string> {
  return (await configurationOf(options, around))?.engine.auditLog ?? AUDIT_LOG;
}

/** `~/.config/myco/root.key`, or below XDG_CONFIG_HOME. */
export function rootKeyFileOf(rootKey: string | undefined, { env, cwd }: Surroundings): string {
  if (rootKey !== undefined) return resolve(cwd, rootKey);
  const base = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config");
  return join(base, "myco", "root.key");
}

/**
 * A file's text, or null when it does not exist.
 * @throws CommandError when it cannot be read or is longer than `bytesMax`
 */
export function readTextFile(
  path: string,
  bytesMax: number,
  encoding: "utf8" | "latin1" = "utf8",
): string | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new CommandError(EXIT.failed, `cannot read ${path}: ${message}`);
  }
  if (bytes.length <= bytesMax) return bytes.toString(encoding);
  throw new CommandError(
    EXIT.usage,
    `${path} has ${bytes.length} bytes; ${bytesMax} are allowed`,
    "is it the file you meant?",
  );
}

/** The configuration, loaded only where nothing nearer gives the answer. */
async function configurationOf(
  options: GlobalOptions,
  around: Surroundings,
): Promise<Configuration | null> {
  const file = configurationFileOf(options, around);
  return file === null ? null : loadConfiguration(file);
}

/** @throws CommandError when the file is missing or has mistakes */
export async function loadConfiguration(file: string): Promise<Configuration> {
  const text = readTextFile(file, CONFIGURATION_BYTES_MAX);
  if (text === null) {
    throw new CommandError(
      EXIT.usage,
      `there is no configuration ${file}`,
      "name another with --config FILE, or leave it out for the defaults",
    );
  }
  const { parseConfiguration } = await import("../schema/configuration.ts");
  return explainMistakes(() => parseConfiguration(text, file));
}

/** @throws CommandError in place of a ConfigurationError */
export async function explainMistakes(
  read: () => Configuration | Promise<Configuration>,
): Promise<Configuration> {
  const { ConfigurationError } = await import("../schema/configuration.ts");
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw new CommandError(EXIT.usage, error.message);
  }
}
