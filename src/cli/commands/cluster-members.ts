// `myco cluster members`: every machine the cluster knows.

import type { MemberAnswer, MembersAnswer } from "../../api/contract.ts";
import { EXIT } from "../exit-codes.ts";
import type { Cell, Style } from "../presenter.ts";
import type { AddCommand } from "../session.ts";

const STATUS_STYLE: Readonly<Record<MemberAnswer["status"], Style>> = {
  alive: "green",
  suspect: "yellow",
  dead: "red",
  left: "dim",
};

export const addMembersCommand: AddCommand = (parent, session, run) => {
  parent
    .command("members")
    .description("list the machines of the cluster")
    .option("--json", "print JSON")
    .action(
      run(async (options: { json?: boolean }) => {
        const { presenter } = session;
        const answer = await (await session.client()).get<MembersAnswer>("/members");
        if (options.json === true) {
          presenter.json(answer.members);
          return EXIT.ok;
        }
        const rows = answer.members.map(toRow);
        presenter.table(["NODE", "HOST", "STATUS", "ZONE", "ROLES", "RTT", "REACHED AT"], rows);
        return EXIT.ok;
      }),
    );
};

function toRow(member: MemberAnswer): (string | Cell)[] {
  const status = member.draining ? `${member.status}, draining` : member.status;
  return [
    member.nodeId,
    member.self ? `${member.hostname} (here)` : member.hostname,
    { text: status, style: STATUS_STYLE[member.status] },
    String(member.zone),
    member.roles.join(","),
    member.rttMs === null ? "-" : `${member.rttMs.toFixed(1)} ms`,
    member.endpoints.join(" "),
  ];
}
