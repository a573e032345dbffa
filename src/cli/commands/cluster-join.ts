// `myco cluster join`: takes the place in a cluster that a token gives this machine.

import { randomBytes } from "node:crypto";
import {
  hasNodeFiles,
  readKeySeed,
  writeKeySeed,
  writeNodeFiles,
} from "../../daemon/node-files.ts";
import { JOIN_TOKEN_CHARACTERS_MAX } from "../../kernel/limits.ts";
import type { Crypto } from "../../kernel/ports.ts";
import { readCertificate } from "../../net/certificate.ts";
import { identityFromSeed } from "../../net/identity.ts";
import { toHex } from "../../schema/node-id.ts";
import { FormatError } from "../../schema/varint.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import { decodeJoinToken, type JoinToken } from "../join-token.ts";
import { dataDirOf } from "../locations.ts";
import type { AddCommand } from "../session.ts";

interface JoinOptions {
  readonly dataDir?: string;
  readonly request?: boolean;
}

const HELP = `
Examples:
  $ myco cluster join AbCd…          the token that "myco cluster invite" printed
  $ myco cluster join - < token      the same from standard input, out of the shell's history
  $ myco cluster join --request      prints this machine's public key, for an invitation
                                     that is no secret`;

export const addJoinCommand: AddCommand = (parent, session, run) => {
  parent
    .command("join")
    .description("make this machine a node of the cluster that invited it")
    .argument("[token]", 'the invitation, or "-" for standard input')
    .option("--data-dir <dir>", "the data folder")
    .option("--request", "print this machine's public key instead, and make one if it has none")
    .addHelpText("after", HELP)
    .action(
      run(async (word: string | undefined, options: JoinOptions) => {
        const { presenter, world, globalOptions } = session;
        const dataDir = await dataDirOf(options.dataDir, globalOptions, world);
        const crypto = await session.crypto();
        if (options.request === true) {
          presenter.line(toHex(identityFromSeed(crypto, keepKey(dataDir)).publicKey));
          return EXIT.ok;
        }
        refuseExistingNode(dataDir);
        const token = readToken(crypto, await tokenText(word, world.stdin));
        const { keySeed, nodeId } = claimPlace(crypto, token, readKeySeed(dataDir));
        writeNodeFiles(dataDir, { ...token, keySeed });
        presenter.line(`${presenter.paint("green", "✓")} this machine is the node ${nodeId}`);
        presenter.facts([
          ["cluster", identityOfRoot(crypto, token)],
          ["data", dataDir],
          [
            "members",
            token.seeds.join(", ") || "none named: the configuration's peers are dialled",
          ],
        ]);
        presenter.line("next: myco daemon");
        return EXIT.ok;
      }),
    );
};

/** This machine's key, made now if it has none. */
function keepKey(dataDir: string): Uint8Array {
  const kept = readKeySeed(dataDir);
  if (kept !== null) return kept;
  const made = randomBytes(32);
  writeKeySeed(dataDir, made);
  return made;
}

function refuseExistingNode(dataDir: string): void {
  if (!hasNodeFiles(dataDir)) return;
  throw new CommandError(
    EXIT.refused,
    `this machine is in a cluster already: ${dataDir} holds its identity`,
    "take another folder with --data-dir, or move that one away to leave its cluster for good",
  );
}

async function tokenText(word: string | undefined, stdin: AsyncIterable<unknown>): Promise<string> {
  if (word === undefined) {
    throw new CommandError(
      EXIT.usage,
      "there is no token",
      'give the one that "myco cluster invite" printed, or - for standard input',
    );
  }
  if (word !== "-") return word;
  let text = "";
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.length > 2 * JOIN_TOKEN_CHARACTERS_MAX) break;
  }
  return text;
}

function readToken(crypto: Crypto, text: string): JoinToken {
  try {
    return decodeJoinToken(crypto, text);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CommandError(
      EXIT.usage,
      error.message,
      'copy the whole line that "myco cluster invite" printed',
    );
  }
}

/** The key with which this machine is who the token's certificate says it is. */
function claimPlace(
  crypto: Crypto,
  token: JoinToken,
  kept: Uint8Array | null,
): { keySeed: Uint8Array; nodeId: string } {
  const certificate = readCertificate(crypto, token.rootPublicKey, token.certificate);
  if (certificate === null) {
    throw new CommandError(EXIT.usage, "the token's certificate is not signed by its own root key");
  }
  if (certificate.notAfterMs <= Date.now()) {
    throw new CommandError(
      EXIT.refused,
      `the token's certificate ended on ${new Date(certificate.notAfterMs).toISOString()}`,
      "ask for a new invitation, and look at this machine's clock",
    );
  }
  const keySeed = token.keySeed ?? kept;
  if (keySeed !== null && identityFromSeed(crypto, keySeed).nodeId === certificate.nodeId) {
    return { keySeed, nodeId: certificate.nodeId };
  }
  throw new CommandError(
    EXIT.refused,
    `the token is for the machine ${certificate.nodeId}, whose key is not here`,
    "use it with the data folder in which `myco cluster join --request` ran",
  );
}

function identityOfRoot(crypto: Crypto, token: JoinToken): string {
  return toHex(crypto.sha256(token.rootPublicKey).subarray(0, 8));
}
