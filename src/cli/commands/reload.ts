// `myco reload`: the running daemon reads its configuration again.

import type { ReloadAnswer } from "../../api/contract.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand } from "../session.ts";

const HELP = `
The flow plane's settings and log.level change while the daemon runs; the others wait for a
restart. A configuration with mistakes is refused as a whole. SIGHUP does the same.`;

export const addReloadCommand: AddCommand = (parent, session, run) => {
  parent
    .command("reload")
    .description("let the daemon read its configuration again")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(
      run(async ({ json }: { json?: boolean }) => {
        const { presenter } = session;
        const answer = await (await session.client()).post<ReloadAnswer>("/reload", null);
        if (json === true) presenter.json(answer);
        else presenter.line(describe(answer).join("\n"));
        return EXIT.ok;
      }),
    );
};

function describe({ applied, restart }: ReloadAnswer): string[] {
  if (applied.length === 0 && restart.length === 0) return ["nothing has changed"];
  const lines: string[] = [];
  if (applied.length > 0) lines.push(`in force now: ${applied.join(", ")}`);
  if (restart.length > 0) lines.push(`waits for a restart of the daemon: ${restart.join(", ")}`);
  return lines;
}
