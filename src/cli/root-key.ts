// The cluster's root key on the operator's disk: 64 hex digits, readable by nobody else.

import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { COMMAND_FILE_BYTES_MAX } from "../kernel/limits.ts";
import type { Crypto } from "../kernel/ports.ts";
import { type Identity, identityFromSeed } from "../net/identity.ts";
import { fromHex, toHex } from "../schema/node-id.ts";
import { CommandError } from "./command-error.ts";
import { EXIT } from "./exit-codes.ts";
import { readTextFile } from "./locations.ts";

/** Writes a new root key. Throws CommandError when there is one already. */
export function createRootKey(path: string, seed: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(path, `${toHex(seed)}\n`, { mode: 0o600, flag: "wx", flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new CommandError(
      EXIT.refused,
      `there is a root key already: ${path}`,
      "it may be the only key to a cluster and is never overwritten; name another with --root-key FILE",
    );
  }
}

/** Throws CommandError when the key is missing, damaged or open to others. */
export function readRootKey(crypto: Crypto, path: string): Identity {
  const text = readTextFile(path, COMMAND_FILE_BYTES_MAX);
  if (text === null) {
    throw new CommandError(
      EXIT.notFound,
      `there is no root key ${path}`,
      "it lies where `myco cluster init` ran; name it with --root-key FILE",
    );
  }
  refuseOpenFile(path);
  const hex = text.trim();
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    throw new CommandError(EXIT.usage, `${path} is no root key: it should hold 64 hex digits`);
  }
  return identityFromSeed(crypto, fromHex(hex));
}

function refuseOpenFile(path: string): void {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new CommandError(
    EXIT.refused,
    `the root key ${path} is open to other users (mode 0${mode.toString(8)}; 0600 is allowed)`,
    `chmod 600 ${path}`,
  );
}
