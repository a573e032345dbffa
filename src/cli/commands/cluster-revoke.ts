// `myco cluster revoke`: shuts a machine out for good, and decides what becomes of the services
// it had deployed.

import type { MembersAnswer, ServicesAnswer, StatusAnswer } from "../../api/contract.ts";
import type { NodeId } from "../../schema/node-id.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import { findMember } from "../find-member.ts";
import { rootKeyFileOf } from "../locations.ts";
import { askMeshStatus } from "../mesh-status.ts";
import { readRootKey } from "../root-key.ts";
import type { AddCommand } from "../session.ts";
import { foreignRoot } from "./cluster-invite.ts";

interface RevokeOptions {
  readonly rootKey?: string;
  readonly withdraw?: boolean;
}

const HELP = `
The machine is dropped by every other as the revocation spreads, and whatever it signed is
void. The services it had deployed would go with it: they are signed anew by the root key
first, so that they go on. With --withdraw they go.

Examples:
  $ myco cluster revoke attic-box
  $ myco cluster revoke 3f2a9c0d11e84b77 --withdraw`;

export const addRevokeCommand: AddCommand = (parent, session, run) => {
  parent
    .command("revoke")
    .description("shut a machine out for good")
    .argument("<node>", "its id, the beginning of its id, or its host name")
    .option("--root-key <file>", "the root key (default: ~/.config/myco/root.key)")
    .option("--withdraw", "let go of the services it had deployed")
    .addHelpText("after", HELP)
    .action(
      run(async (node: string, options: RevokeOptions) => {
        const { presenter } = session;
        const crypto = await session.crypto();
        const root = readRootKey(crypto, rootKeyFileOf(options.rootKey, session.world));
        const client = await session.client();
        const status = await askMeshStatus(client);
        if (status.cluster.rootId !== root.nodeId) {
          throw foreignRoot(root.nodeId, status.cluster.rootId);
        }
        const { members } = await client.get<MembersAnswer>("/members");
        const target = findMember(members, node);
        refuseSelf(target, status);
        const { services } = await client.get<ServicesAnswer>("/services");
        const drained = members.filter(({ drainedBy }) => drainedBy === target);
        const theirs = services.filter(({ author }) => author === target);
        const signing = await import("../root-signing.ts");
        const stamp = signing.stampAfter(services, Date.now());
        if (options.withdraw !== true) {
          for (const { spec } of theirs) {
            await client.post("/deploy", {
              contentType: "application/octet-stream",
              bytes: signing.signService(crypto, root, spec, stamp),
            });
          }
        }
        await client.post("/revocations", {
          contentType: "application/octet-stream",
          bytes: signing.signRevocation(root, target, status.cluster.revocationBlock + 1, stamp),
        });
        presenter.line(`${presenter.paint("green", "✓")} the node ${target} is shut out`);
        const names = theirs.map(({ name }) => name).join(", ");
        if (names !== "") {
          presenter.line(
            options.withdraw === true
              ? `withdrawn with it: ${names}`
              : `signed anew by the root key, and so kept: ${names}`,
          );
        }
        const drains = drained.map(({ hostname }) => hostname).join(", ");
        if (drains !== "") {
          presenter.line(`drained by it, and no longer: ${drains} (myco drain does it again)`);
        }
        return EXIT.ok;
      }),
    );
};

/** A revoked node stops speaking at once: it could not spread its own revocation. */
function refuseSelf(target: NodeId, status: StatusAnswer): void {
  if (target !== status.node.id) return;
  throw new CommandError(
    EXIT.refused,
    `${target} is the node this command speaks with, and could not spread its own revocation`,
    "run the command on another node",
  );
}
