// One whole node in this process: real files in a temporary folder, real sockets on loopback.

import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withUci } from "../../src/daemon/configuration-file.ts";
import { EventLog } from "../../src/daemon/event-log.ts";
import { FlightRecorder } from "../../src/daemon/flight-recorder.ts";
import { createLogger } from "../../src/daemon/logger.ts";
import { writeNodeFiles } from "../../src/daemon/node-files.ts";
import { RunningNode } from "../../src/daemon/running-node.ts";
import { NodeCrypto } from "../../src/io/crypto.ts";
import { SystemRandom } from "../../src/io/random.ts";
import type { Signer } from "../../src/kernel/ports.ts";
import { issueCertificate, ROLES } from "../../src/net/certificate.ts";
import { type Identity, identityFromSeed } from "../../src/net/identity.ts";
import { type Configuration, parseConfiguration } from "../../src/schema/configuration.ts";

export const crypto = new NodeCrypto();
const random = new SystemRandom();

/** A cluster's root key. */
export function newRoot(): Signer {
  return crypto.signer(random.bytes(32));
}

export interface SmallNodeOptions {
  readonly root?: Signer;
  /** Endpoints of nodes to join through. */
  readonly seeds?: readonly string[];
  readonly roles?: number;
  /** Where DNS listens; default: nowhere. */
  readonly dnsListen?: string;
  /** Further lines of the configuration. */
  readonly more?: string;
  /** An earlier node's folder, to start again in it. */
  readonly folder?: string;
}

export interface SmallNode {
  readonly node: RunningNode;
  readonly identity: Identity | null;
  readonly folder: string;
  readonly socket: string;
  readonly configuration: Configuration;
  readonly logLines: string[];
  readonly recorder: FlightRecorder;
  stop(): Promise<boolean>;
  /** Other further lines, for the next reload. */
  rewrite(more: string): void;
}

/** Makes the files of a new node of `root`'s cluster. */
export function writeIdentity(dataDir: string, root: Signer, options: SmallNodeOptions): Identity {
  const keySeed = random.bytes(32);
  const identity = identityFromSeed(crypto, keySeed);
  const certificate = issueCertificate(root, {
    publicKey: identity.publicKey,
    zone: 0,
    roles: options.roles ?? ROLES.member | ROLES.deployer,
    notAfterSeconds: Math.floor(Date.now() / 1_000) + 90 * 86_400,
    revocationBlock: 0,
  });
  writeNodeFiles(dataDir, {
    keySeed,
    certificate,
    rootPublicKey: root.publicKey,
    seeds: [...(options.seeds ?? [])],
  });
  return identity;
}

export async function startSmallNode(options: SmallNodeOptions = {}): Promise<SmallNode> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "myco-node-"));
  const dataDir = join(folder, "data");
  const socket = join(folder, "sock");
  const identity =
    options.folder === undefined
      ? writeIdentity(dataDir, options.root ?? newRoot(), options)
      : null;
  const common = `dataDir: ${dataDir}\nsocket: ${socket}\nlisten: ["127.0.0.1:0"]\ndns: { listen: ${options.dnsListen ?? false} }\nengine: { stableWait: 200ms }\n`;
  let more = options.more ?? "";
  const readConfiguration = async () => withUci(parseConfiguration(common + more, "test.yaml"));
  const configuration = await readConfiguration();
  const logLines: string[] = [];
  const logger = createLogger({ level: "debug", format: "json" }, (line) => logLines.push(line));
  const recorder = new FlightRecorder();
  const events = new EventLog(logger, recorder, Date.now);
  const node = await RunningNode.start({ configuration, readConfiguration, events, recorder });
  const stop = (): Promise<boolean> => node.stop();
  const rewrite = (text: string): void => {
    more = text;
  };
  return { node, identity, folder, socket, configuration, logLines, recorder, stop, rewrite };
}

/** Stops a node and removes its folder. */
export async function discard(small: SmallNode): Promise<void> {
  await small.stop();
  rmSync(small.folder, { recursive: true, force: true });
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The text as JSON. */
  readonly json: unknown;
}

/** One request over the unix socket. */
export function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isJson = response.headers["content-type"]?.startsWith("application/json") ?? false;
        const json: unknown = isJson && text !== "" ? JSON.parse(text) : null;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Waits until `look` gives something other than null. */
export async function eventually<T>(look: () => Promise<T | null> | T | null): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
