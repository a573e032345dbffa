// The service manager's ear (sd_notify(3)), reached by systemd-notify(1): Node has no unix datagram
// sockets, and a program that lives for milliseconds every ten seconds costs less than one
// that stays.

import { execFile } from "node:child_process";
import { assert } from "../kernel/assert.ts";
import { findProgram, SYSTEM_PATH } from "./children.ts";

const SEND_MS_MAX = 10_000;
const COMPLAINT_BYTES_MAX = 1_024;

/** What the service manager told this process about itself. */
export interface NotifySurroundings {
  /** A path, or a name in the abstract namespace behind an @. */
  readonly socket: string;
  /** Without a word for so long the process is taken for dead; null: no watchdog. */
  readonly watchdogMs: number | null;
}

/**
 * Reads NOTIFY_SOCKET and WATCHDOG_USEC, and removes them: no child is to speak for the daemon.
 * @returns null where nobody listens
 */
export function takeNotifySurroundings(
  env: Record<string, string | undefined>,
  pid: number,
): NotifySurroundings | null {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: microseconds, WATCHDOG_PID: watched } = env;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  if (socket === undefined || !/^[/@]./.test(socket)) return null;
  const isMeant = watched === undefined || watched === String(pid);
  const watchdogMs =
    isMeant && /^[1-9][0-9]{3,15}$/.test(microseconds ?? "") ? Number(microseconds) / 1_000 : null;
  return { socket, watchdogMs };
}

/**
 * Sends one message of assignments such as `READY=1`.
 * @returns null once it is taken, or why it is not
 */
export function sendToServiceManager(
  socket: string,
  assignments: readonly string[],
  program = "systemd-notify",
): Promise<string | null> {
  assert(
    assignments.every((text) => /^[A-Z_]+=[^\n]*$/.test(text)),
    "an assignment is one line",
  );
  return new Promise((resolve) => {
    const options = {
      cwd: "/",
      env: { PATH: SYSTEM_PATH, LC_ALL: "C", NOTIFY_SOCKET: socket },
      timeout: SEND_MS_MAX,
      killSignal: "SIGKILL",
      maxBuffer: COMPLAINT_BYTES_MAX,
    } as const;
    try {
      const child = execFile(findProgram(program), assignments, options, (error, _, stderr) => {
        resolve(error === null ? null : stderr.trim() || error.message);
      });
      // The last word before the end must not put the end off.
      child.unref();
    } catch (error) {
      resolve((error as Error).message);
    }
  });
}
