// `myco undeploy`: takes services away from the whole cluster.

import type { UndeployAnswer } from "../../api/contract.ts";
import { CommandError } from "../command-error.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import type { AddCommand } from "../session.ts";

export const addUndeployCommand: AddCommand = (parent, session, run) => {
  parent
    .command("undeploy")
    .description("stop services everywhere and forget them")
    .argument("<names...>", "the services' names")
    .addHelpText("after", "\nExample:\n  $ myco undeploy web worker")
    .action(
      run(async (names: string[]) => {
        const client = await session.client();
        let exitCode: ExitCode = EXIT.ok;
        for (const name of names) {
          try {
            await client.delete<UndeployAnswer>(`/services/${encodeURIComponent(name)}`);
            session.presenter.line(`${name}: undeployed`);
          } catch (error) {
            if (!(error instanceof CommandError) || error.exitCode !== EXIT.notFound) throw error;
            session.presenter.error(error.message, error.hint);
            exitCode = EXIT.notFound;
          }
        }
        return exitCode;
      }),
    );
};
