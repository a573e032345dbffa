// `myco flow replay`: what the loop decides on what was recorded. No daemon is needed.

import { resolve } from "node:path";
import { RECORDING_LINE_BYTES_MAX } from "../../kernel/limits.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import { fileLines } from "../file-lines.ts";
import type { AddCommand } from "../session.ts";

const HELP = `
Prints each decision as one line of JSON: the same bytes as the daemon that recorded, if it
was of the same version.

Examples:
  $ myco flow replay evening.ndjson
  $ myco flow replay evening.ndjson | grep '"cause":"bloat"'`;

export const addReplayCommand: AddCommand = (parent, session, run) => {
  parent
    .command("replay")
    .description("decide again what was recorded, and print the decisions")
    .argument("<file>", "what `myco flow record` wrote")
    .addHelpText("after", HELP)
    .action(
      run(async (file: string) => {
        const { encodeDecision, RecordingError, replay } = await import("../../flow/recording.ts");
        const lines = fileLines(resolve(session.world.cwd, file), RECORDING_LINE_BYTES_MAX);
        try {
          for (const decision of replay(lines)) session.presenter.line(encodeDecision(decision));
        } catch (error) {
          if (!(error instanceof RecordingError)) throw error;
          throw new CommandError(EXIT.usage, `${file}: ${error.message}`, "is it a recording?");
        }
        return EXIT.ok;
      }),
    );
};
