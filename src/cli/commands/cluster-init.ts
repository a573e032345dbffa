// `myco cluster init`: makes the root key of a new cluster, and this machine its first node.

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { integerBetween } from "../arguments.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import { CERTIFICATE_DAYS_DEFAULT, CERTIFICATE_DAYS_MAX, issueFor } from "../issue.ts";
import { dataDirOf, rootKeyFileOf } from "../locations.ts";
import { createRootKey, readRootKey } from "../root-key.ts";
import type { AddCommand } from "../session.ts";

interface InitOptions {
  readonly dataDir?: string;
  readonly rootKey?: string;
  readonly zone: number;
  readonly days: number;
}

const HELP = `
The root key is the cluster: whoever has it decides who is in. Keep a copy off this machine.
An existing root key or node is never overwritten.

Example:
  $ sudo myco cluster init --root-key /media/stick/root.key`;

export const addInitCommand: AddCommand = (parent, session, run) => {
  parent
    .command("init")
    .description("start a cluster with this machine as its first node")
    .option("--data-dir <dir>", "the data folder")
    .option("--root-key <file>", "where to keep the root key (default: ~/.config/myco/root.key)")
    .option("--zone <number>", "this machine's zone, 0 to 255", integerBetween(0, 255), 0)
    .option(
      "--days <number>",
      "how long this machine's certificate holds",
      integerBetween(1, CERTIFICATE_DAYS_MAX),
      CERTIFICATE_DAYS_DEFAULT,
    )
    .addHelpText("after", HELP)
    .action(
      run(async (options: InitOptions) => {
        const { presenter, world, globalOptions } = session;
        const dataDir = await dataDirOf(options.dataDir, globalOptions, world);
        const rootKeyFile = rootKeyFileOf(options.rootKey, world);
        const files = await import("../../daemon/node-files.ts");
        const { identityFromSeed } = await import("../../net/identity.ts");
        const { ROLES } = await import("../../net/certificate.ts");
        refuseExistingNode(files.hasNodeFiles(dataDir), dataDir);

        const crypto = await session.crypto();
        createRootKey(rootKeyFile, randomBytes(32));
        const root = readRootKey(crypto, rootKeyFile);
        const keySeed = files.readKeySeed(dataDir) ?? randomBytes(32);
        const node = identityFromSeed(crypto, keySeed);
        const certificate = issueFor(root, {
          publicKey: node.publicKey,
          zone: options.zone,
          roles: ROLES.member | ROLES.deployer,
          days: options.days,
          revocationBlock: 0,
        });
        files.writeNodeFiles(dataDir, {
          keySeed,
          certificate,
          rootPublicKey: root.publicKey,
          seeds: [],
        });
        presenter.line(
          `${presenter.paint("green", "✓")} the cluster ${root.nodeId} has its first node`,
        );
        presenter.facts([
          ["root key", `${rootKeyFile} (keep a copy elsewhere, and show it to nobody)`],
          ["node", node.nodeId],
          ["data", dataDir],
        ]);
        presenter.line("next: myco daemon");
        return EXIT.ok;
      }),
    );
};

function refuseExistingNode(exists: boolean, dataDir: string): void {
  if (!exists || !existsSync(dataDir)) return;
  throw new CommandError(
    EXIT.refused,
    `this machine is in a cluster already: ${dataDir} holds its identity`,
    "take another folder with --data-dir, or move that one away to leave its cluster for good",
  );
}
