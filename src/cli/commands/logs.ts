// `myco logs`: what a service printed on this node.

import { integerBetween } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand } from "../session.ts";

interface LogsOptions {
  readonly follow?: boolean;
  readonly lines: number;
}

const LINES_DEFAULT = 100;
const LINES_MAX = 10_000;

export const addLogsCommand: AddCommand = (parent, session, run) => {
  parent
    .command("logs")
    .description("show what a service printed on this node")
    .argument("<name>", "the service's name")
    .option("-f, --follow", "go on with what it prints from now on, until Ctrl-C")
    .option(
      "-n, --lines <number>",
      "how many of its last lines",
      integerBetween(0, LINES_MAX),
      LINES_DEFAULT,
    )
    .addHelpText("after", "\nExamples:\n  $ myco logs web\n  $ myco logs web -f -n 20")
    .action(
      run(async (name: string, options: LogsOptions) => {
        const client = await session.client();
        const query = new URLSearchParams({ service: name, lines: String(options.lines) });
        if (options.follow === true) query.set("follow", "true");
        await client.follow(`/logs?${query}`, (text) => session.presenter.raw(text));
        return EXIT.ok;
      }),
    );
};
