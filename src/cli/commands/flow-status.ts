// `myco flow status`: the loop at a glance, once or live.

import { setTimeout as sleep } from "node:timers/promises";
import type { FlowAnswer, FlowsAnswer } from "../../api/contract.ts";
import { integerBetween } from "../arguments.ts";
import type { DaemonClient } from "../daemon-client.ts";
import { EXIT } from "../exit-codes.ts";
import { type FlowPicture, flowLine, flowPicture } from "../flow-picture.ts";
import type { Presenter } from "../presenter.ts";
import type { AddCommand } from "../session.ts";

interface StatusOptions {
  readonly watch?: boolean;
  readonly seconds?: number;
  readonly json?: boolean;
}

const REDRAW_MS = 1_000;
const SECONDS_MAX = 86_400;
const FLOWS_SHOWN = 8;

const HELP = `
On a terminal there are charts of the last minute. Elsewhere --watch prints one line a second,
and one object a line with --json.

Examples:
  $ myco flow status
  $ myco flow status --watch
  $ myco flow status --watch --seconds 60 --json > minute.ndjson`;

export const addFlowStatusCommand: AddCommand = (parent, session, run) => {
  parent
    .command("status")
    .description("show the line: rates, delay, tins, the last decisions, the busiest flows")
    .option("-w, --watch", "go on, once a second, until Ctrl-C")
    .option("--seconds <number>", "end --watch by itself", integerBetween(1, SECONDS_MAX))
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(
      run(async (options: StatusOptions) => {
        const { presenter } = session;
        const client = await session.client();
        if (options.watch === true) await watch(presenter, client, options);
        else if (options.json === true) presenter.json(await client.get<FlowAnswer>("/flow"));
        else for (const line of await lines(presenter, client)) presenter.line(line);
        return EXIT.ok;
      }),
    );
};

async function watch(
  presenter: Presenter,
  client: DaemonClient,
  { json, seconds = Number.POSITIVE_INFINITY }: StatusOptions,
): Promise<void> {
  for (let shown = 0; shown < seconds; shown += 1) {
    if (shown > 0) await sleep(REDRAW_MS);
    if (json === true) {
      presenter.line(JSON.stringify(await client.get<FlowAnswer>("/flow")));
    } else if (presenter.isInteractive) {
      presenter.redraw(await lines(presenter, client));
    } else {
      presenter.line(flowLine(await client.get<FlowAnswer>("/flow")));
    }
  }
}

async function lines(presenter: Presenter, client: DaemonClient): Promise<string[]> {
  const status = await client.get<FlowAnswer>("/flow");
  const { flows } = await client.get<FlowsAnswer>(`/flow/flows?limit=${FLOWS_SHOWN}`);
  const picture: FlowPicture = {
    status,
    flows,
    charts: presenter.isInteractive,
    columns: presenter.columns,
    paint: (style, text) => presenter.paint(style, text),
  };
  return flowPicture(picture);
}
