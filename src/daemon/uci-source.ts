// Where the router's own settings are read: over ubus, which knows what is committed, by type and
// without a child; else as `uci export` prints them; else in their file.

import { readFileSync, statSync } from "node:fs";
import { UbusClient } from "../flow/ubus/client.ts";
import { uciTextOf } from "../flow/uci/uci-values.ts";
import { SystemChildren } from "../io/children.ts";
import { SystemRandom } from "../io/random.ts";
import { openUnixStream } from "../io/unix-stream.ts";
import { UBUS_REQUEST_MS_MAX, UCI_EXPORT_MS_MAX } from "../kernel/limits.ts";
import type { Configuration } from "../schema/configuration.ts";

/** The text of a package, and what it is called where its mistakes are told. */
export interface UciText {
  readonly text: string;
  readonly name: string;
}

/** As OpenWrt has it, now and before 21.02. */
const UBUS_SOCKETS = ["/var/run/ubus/ubus.sock", "/var/run/ubus.sock"];
/** A file that libuci reads as a package. */
const UCI_PACKAGE = /^\/etc\/config\/([A-Za-z0-9_-]+)$/;

/** The socket of ubusd that the setting means; null: none. */
export function ubusSocketOf(setting: Configuration["ubus"]): string | null {
  return setting === "auto" ? (UBUS_SOCKETS.find(isSocket) ?? null) : setting;
}

/** The package that a path of the `uci` setting is the file of; null: it is a file and no more. */
export function uciPackageOf(path: string | null): string | null {
  return path === null ? null : (UCI_PACKAGE.exec(path)?.[1] ?? null);
}

/**
 * @param ubusSocket null: ubus is not asked
 * @throws a system error when nothing has it
 */
export async function readUci(path: string, ubusSocket: string | null): Promise<UciText> {
  const name = uciPackageOf(path);
  if (name !== null) {
    const told = ubusSocket === null ? null : await askUbus(ubusSocket, name);
    const text = told ?? (await exportUci(name));
    if (text !== null) return { text, name: `uci export ${name}` };
  }
  return { text: readFileSync(path, "utf8"), name: path };
}

/** Null when ubus has no answer, or none in time. */
function askUbus(socketPath: string, name: string): Promise<string | null> {
  return new Promise((resolve) => {
    const finish = (text: string | null): void => {
      clearTimeout(patience);
      client.stop();
      resolve(text);
    };
    const patience = setTimeout(() => finish(null), UBUS_REQUEST_MS_MAX);
    const client = new UbusClient({
      connect: (events) => openUnixStream(socketPath, events),
      clock: { nowMs: () => performance.now() },
      random: new SystemRandom(),
      objects: [],
      eventPatterns: [],
      listener: { onEvent() {}, onJoined() {}, onLost() {}, onFailure() {} },
    });
    client.start();
    client.call("uci", "get", { config: name }, (result) =>
      finish(result.ok ? uciTextOf(result.data) : null),
    );
  });
}

/** Null where there is no `uci`, or no such package. */
async function exportUci(name: string): Promise<string | null> {
  const children = new SystemChildren({ stateDir: null });
  const options = { timeoutMs: UCI_EXPORT_MS_MAX };
  const { exitCode, stdout } = await children.run("uci", ["-q", "export", name], options);
  return exitCode === 0 ? stdout : null;
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    return false;
  }
}
