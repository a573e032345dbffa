// `myco cluster invite`: signs a certificate for a new machine and prints the token it joins with.

import { randomBytes } from "node:crypto";
import type { MembersAnswer } from "../../api/contract.ts";
import { JOIN_TOKEN_SEEDS_MAX } from "../../kernel/limits.ts";
import type { Endpoint } from "../../kernel/ports.ts";
import { integerBetween, peer, publicKeyHex, roles } from "../arguments.ts";
import { CommandError } from "../command-error.ts";
import type { DaemonClient } from "../daemon-client.ts";
import { EXIT } from "../exit-codes.ts";
import { CERTIFICATE_DAYS_DEFAULT, CERTIFICATE_DAYS_MAX, issueFor } from "../issue.ts";
import { encodeJoinToken } from "../join-token.ts";
import { rootKeyFileOf } from "../locations.ts";
import { askMeshStatus } from "../mesh-status.ts";
import { readRootKey } from "../root-key.ts";
import type { AddCommand } from "../session.ts";

interface InviteOptions {
  readonly rootKey?: string;
  readonly peer?: Endpoint[];
  readonly zone: number;
  readonly roles: number;
  readonly days: number;
  readonly publicKey?: string;
}

const HELP = `
The token carries the new machine's private key, so treat it as a secret: whoever has it is
that machine. Where that will not do, let the machine make its own key:
  there $ myco cluster join --request            prints its public key
  here  $ myco cluster invite --public-key HEX   prints a token that is no secret

Examples:
  $ myco cluster invite
  $ myco cluster invite --peer 192.0.2.1:7946 --zone 2 | ssh box myco cluster join -`;

export const addInviteCommand: AddCommand = (parent, session, run) => {
  parent
    .command("invite")
    .description("print a token with which one machine may join")
    .option("--root-key <file>", "the root key (default: ~/.config/myco/root.key)")
    .option(
      "--peer <endpoint>",
      "a member the new machine can reach; may be given several times (default: ask the daemon)",
      peer,
    )
    .option("--zone <number>", "the new machine's zone, 0 to 255", integerBetween(0, 255), 0)
    .option("--roles <names>", "what it may do", roles, roles("member,deployer"))
    .option(
      "--days <number>",
      "how long its certificate holds",
      integerBetween(1, CERTIFICATE_DAYS_MAX),
      CERTIFICATE_DAYS_DEFAULT,
    )
    .option("--public-key <hex>", "the key the machine made for itself", publicKeyHex)
    .addHelpText("after", HELP)
    .action(
      run(async (options: InviteOptions) => {
        const { fromHex } = await import("../../schema/node-id.ts");
        const { identityFromSeed } = await import("../../net/identity.ts");
        const crypto = await session.crypto();
        const root = readRootKey(crypto, rootKeyFileOf(options.rootKey, session.world));
        const cluster = await askCluster(await session.client(), root.nodeId, options.peer);
        const keySeed = options.publicKey === undefined ? randomBytes(32) : null;
        const publicKey =
          keySeed === null
            ? fromHex(options.publicKey!)
            : identityFromSeed(crypto, keySeed).publicKey;
        const certificate = issueFor(root, {
          publicKey,
          zone: options.zone,
          roles: options.roles,
          days: options.days,
          revocationBlock: cluster.revocationBlock,
        });
        session.presenter.line(
          encodeJoinToken(crypto, {
            rootPublicKey: root.publicKey,
            certificate,
            keySeed,
            seeds: cluster.seeds,
          }),
        );
        if (keySeed !== null) {
          session.presenter.remark(
            "This token is a secret, for one machine: myco cluster join TOKEN",
          );
        }
        return EXIT.ok;
      }),
    );
};

interface ClusterView {
  readonly seeds: readonly Endpoint[];
  readonly revocationBlock: number;
}

/**
 * What the daemon here knows of the cluster. Without one, `peers` must say where to join, and
 * the certificate counts as issued before every revocation, which only matters to a machine
 * that was once revoked.
 */
async function askCluster(
  client: DaemonClient,
  rootId: string,
  peers: Endpoint[] | undefined,
): Promise<ClusterView> {
  const named = peers?.slice(0, JOIN_TOKEN_SEEDS_MAX);
  try {
    const status = await askMeshStatus(client);
    if (status.cluster.rootId !== rootId) throw foreignRoot(rootId, status.cluster.rootId);
    const seeds = named ?? (await endpointsOf(client));
    return { seeds, revocationBlock: status.cluster.revocationBlock };
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== EXIT.daemonUnreachable) throw error;
    if (named !== undefined) return { seeds: named, revocationBlock: 0 };
    throw new CommandError(
      error.exitCode,
      `${error.message}, so there is nobody to ask where members are reached`,
      "name one with --peer ADDRESS:PORT, or start the daemon",
    );
  }
}

/** One endpoint of each living member first, so that the new machine does not depend on one. */
async function endpointsOf(client: DaemonClient): Promise<Endpoint[]> {
  const { members } = await client.get<MembersAnswer>("/members");
  const living = members.filter(({ status }) => status === "alive" || status === "suspect");
  const first = living.flatMap(({ endpoints }) => endpoints.slice(0, 1));
  const others = living.flatMap(({ endpoints }) => endpoints.slice(1));
  return [...new Set([...first, ...others])].slice(0, JOIN_TOKEN_SEEDS_MAX);
}

export function foreignRoot(rootId: string, daemonRootId: string): CommandError {
  return new CommandError(
    EXIT.refused,
    `the root key is of the cluster ${rootId}, and the daemon here is in ${daemonRootId}`,
    "name the right key with --root-key FILE, or the right daemon with --socket PATH",
  );
}
