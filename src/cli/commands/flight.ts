// `myco flight`: the flight recorder's last events, kept in a file and read again.

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { FlightFileAnswer } from "../../api/contract.ts";
import { FLIGHT_RECORDER_BYTES } from "../../kernel/limits.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import { describeFlightLine } from "../flight-line.ts";
import { readTextFile } from "../locations.ts";
import type { AddCommand } from "../session.ts";

/** The ring, and a line that a crash added. */
const FLIGHT_FILE_BYTES_MAX = 2 * FLIGHT_RECORDER_BYTES;

const HELP = `
The daemon remembers its last events in memory and writes them out when it crashes, into the
data folder. This asks for them at any time.

Examples:
  $ myco flight                          the daemon writes a file and says where
  $ myco flight --out - | grep deploy    the events themselves
  $ myco flight show flight.ndjson       one readable line for each`;

export const addFlightCommands: AddCommand = (parent, session, run) => {
  const flight = parent
    .command("flight")
    .description("keep what the daemon's flight recorder holds")
    .option("--out <file>", 'write it here instead of the data folder; "-" for standard output')
    .addHelpText("after", HELP)
    .action(
      run(async (options: { out?: string }) => {
        const client = await session.client();
        if (options.out === undefined) {
          const { file } = await client.post<FlightFileAnswer>("/flight", null);
          session.presenter.line(file);
          return EXIT.ok;
        }
        const text = await client.getText("/flight");
        if (options.out === "-") session.presenter.raw(text);
        else writeFileSync(resolve(session.world.cwd, options.out), text, { mode: 0o600 });
        return EXIT.ok;
      }),
    );
  flight
    .command("show")
    .description("print a flight recorder's file, a readable line for each event")
    .argument("<file>", "what `myco flight` or a crash wrote")
    .action(
      run(async (file: string) => {
        const text = readTextFile(resolve(session.world.cwd, file), FLIGHT_FILE_BYTES_MAX);
        if (text === null) throw new CommandError(EXIT.notFound, `there is no ${file}`);
        for (const line of text.split("\n")) {
          if (line !== "") session.presenter.line(describeFlightLine(line));
        }
        return EXIT.ok;
      }),
    );
};
