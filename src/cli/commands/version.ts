// `myco version`: this program, the Node it runs on, and the protocol it speaks.

import { VERSION } from "../../kernel/version.ts";
import { PROTOCOL_VERSION } from "../../schema/packet.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand } from "../session.ts";

export const addVersionCommand: AddCommand = (parent, session, run) => {
  parent
    .command("version")
    .description("show the versions of the program, its protocol and its runtime")
    .option("--json", "print JSON")
    .action(
      run(async (options: { json?: boolean }) => {
        const versions = { myco: VERSION, protocol: PROTOCOL_VERSION, node: process.versions.node };
        if (options.json === true) session.presenter.json(versions);
        else {
          const { myco, protocol, node } = versions;
          session.presenter.line(`myco ${myco} (protocol ${protocol}, Node ${node})`);
        }
        return EXIT.ok;
      }),
    );
};
