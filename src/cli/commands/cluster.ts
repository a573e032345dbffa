// `myco cluster`: who is in, and who comes and goes.

import type { AddCommand } from "../session.ts";
import { addInitCommand } from "./cluster-init.ts";
import { addInviteCommand } from "./cluster-invite.ts";
import { addJoinCommand } from "./cluster-join.ts";
import { addMembersCommand } from "./cluster-members.ts";
import { addRevokeCommand } from "./cluster-revoke.ts";

const HELP = `
A cluster has a root key, which its operator keeps. It signs the certificate of every
machine that is let in, and the revocation of one that is shut out. Machines need it for
neither: keep it off them where you can.`;

export const addClusterCommands: AddCommand = (parent, session, run) => {
  const cluster = parent
    .command("cluster")
    .description("start a cluster, let machines in, shut them out")
    .addHelpText("after", HELP);
  for (const addCommand of [
    addInitCommand,
    addInviteCommand,
    addJoinCommand,
    addRevokeCommand,
    addMembersCommand,
  ]) {
    addCommand(cluster, session, run);
  }
};
