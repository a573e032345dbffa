// What the data folder says of this machine's place in its cluster: written by `myco cluster
// init` and `myco cluster join`, read by the daemon at its start. Hex and plain text, so that
// a person can look at it.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SEED_PEERS_MAX } from "../kernel/limits.ts";
import type { Endpoint } from "../kernel/ports.ts";
import { canonicalEndpoint } from "../schema/endpoint.ts";
import { fromHex, toHex } from "../schema/node-id.ts";

const KEY_FILE = "node.key";
const CERTIFICATE_FILE = "node.cert";
const ROOT_FILE = "root.pub";
const SEEDS_FILE = "seeds";

/** Read no further than this: each of the files is a few lines. */
const FILE_CHARACTERS_MAX = 4096;

/** This machine's identity and the way into its cluster. */
export interface NodeFiles {
  /** The 32-byte Ed25519 private key (RFC 8032). */
  readonly keySeed: Uint8Array;
  /** The encoded certificate; not verified here. */
  readonly certificate: Uint8Array;
  readonly rootPublicKey: Uint8Array;
  /** Where members were reached when this machine was invited. */
  readonly seeds: readonly Endpoint[];
}

/** A file of the data folder that is missing or does not hold what it should. */
export class NodeFilesError extends Error {
  override readonly name = "NodeFilesError";
  readonly code: "ERR_NO_CLUSTER" | "ERR_NODE_FILES";

  constructor(code: NodeFilesError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Reads what `writeNodeFiles` wrote.
 * @throws NodeFilesError ERR_NO_CLUSTER before the machine is in a cluster, ERR_NODE_FILES for damage
 */
export function readNodeFiles(dataDir: string): NodeFiles {
  return {
    certificate: readHex(dataDir, CERTIFICATE_FILE, null),
    keySeed: readHex(dataDir, KEY_FILE, 32),
    rootPublicKey: readHex(dataDir, ROOT_FILE, 32),
    seeds: readSeeds(dataDir),
  };
}

/** Whether a machine's identity lies in the folder already, even an unfinished one. */
export function hasNodeFiles(dataDir: string): boolean {
  return [CERTIFICATE_FILE, ROOT_FILE].some((name) => readIfThere(dataDir, name) !== null);
}

/** Writes all files, the certificate last: with it the machine is in the cluster. */
export function writeNodeFiles(dataDir: string, files: NodeFiles): void {
  writeKeySeed(dataDir, files.keySeed);
  writePrivate(dataDir, ROOT_FILE, `${toHex(files.rootPublicKey)}\n`);
  writePrivate(dataDir, SEEDS_FILE, files.seeds.map((seed) => `${seed}\n`).join(""));
  writePrivate(dataDir, CERTIFICATE_FILE, `${toHex(files.certificate)}\n`);
}

/** This machine's key, or null when it has none yet. Throws NodeFilesError for damage. */
export function readKeySeed(dataDir: string): Uint8Array | null {
  return readIfThere(dataDir, KEY_FILE) === null ? null : readHex(dataDir, KEY_FILE, 32);
}

/** Keeps this machine's key, readable by its owner alone. Makes the folder where missing. */
export function writeKeySeed(dataDir: string, keySeed: Uint8Array): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writePrivate(dataDir, KEY_FILE, `${toHex(keySeed)}\n`);
}

function writePrivate(dataDir: string, name: string, content: string): void {
  const path = join(dataDir, name);
  writeFileSync(path, content, { mode: 0o600, flush: true });
  chmodSync(path, 0o600);
}

function readHex(dataDir: string, name: string, lengthBytes: number | null): Uint8Array {
  const content = readIfThere(dataDir, name);
  if (content === null) {
    throw new NodeFilesError(
      "ERR_NO_CLUSTER",
      `This machine is in no cluster yet: ${join(dataDir, name)} is not there. Start a cluster with "myco cluster init", or join one with "myco cluster join TOKEN".`,
    );
  }
  const hex = content.trim();
  const isHex = /^(?:[0-9a-f]{2})+$/.test(hex);
  if (isHex && (lengthBytes === null || hex.length === lengthBytes * 2)) return fromHex(hex);
  const wanted = lengthBytes === null ? "lower-case hex digits" : `${lengthBytes * 2} hex digits`;
  throw new NodeFilesError(
    "ERR_NODE_FILES",
    `${join(dataDir, name)} should hold ${wanted} and does not. Put it back from a copy, or remove the folder and join the cluster anew.`,
  );
}

/** The seeds that can be understood; without any, the configuration's peers are all there is. */
function readSeeds(dataDir: string): Endpoint[] {
  const seeds: Endpoint[] = [];
  for (const line of (readIfThere(dataDir, SEEDS_FILE) ?? "").split("\n")) {
    const seed = canonicalEndpoint(line.trim());
    if (seed !== null && seeds.length < SEED_PEERS_MAX) seeds.push(seed);
  }
  return seeds;
}

function readIfThere(dataDir: string, name: string): string | null {
  try {
    return readFileSync(join(dataDir, name), "latin1").slice(0, FILE_CHARACTERS_MAX);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
