// `myco drain`: empties a machine, so that it can be stopped without anything being missed.

import { setTimeout as sleep } from "node:timers/promises";
import type { DrainAnswer, MembersAnswer, RemainingService } from "../../api/contract.ts";
import type { NodeId } from "../../schema/node-id.ts";
import { durationMs } from "../arguments.ts";
import { CommandError } from "../command-error.ts";
import type { DaemonClient } from "../daemon-client.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { findMember } from "../find-member.ts";
import { type Presenter, printable } from "../presenter.ts";
import type { AddCommand } from "../session.ts";

interface DrainOptions {
  readonly undo?: boolean;
  readonly force?: boolean;
  readonly wait?: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

const POLL_MS = 500;
const TIMEOUT_MS_DEFAULT = 10 * 60_000;

const HELP = `
A drained node takes no more work. What it runs is started on other nodes, and ends here once it
is healthy there; a singleton ends first. What no other node may run stays. It remains drained
over restarts, until --undo.

Examples:
  $ myco drain attic-box --wait       before it is shut down or updated
  $ myco drain attic-box --undo       when it is back`;

export const addDrainCommand: AddCommand = (parent, session, run) => {
  parent
    .command("drain")
    .description("let a machine take no more work, and move what it runs to others")
    .argument("<node>", "its id, the beginning of its id, or its host name")
    .option("--undo", "let it take work again")
    .option("--force", "even if no other node could take over")
    .option("--wait", "wait until nothing runs there any more")
    .option("--timeout <duration>", "how long to wait", durationMs, TIMEOUT_MS_DEFAULT)
    .option("--json", "print JSON, once it is over")
    .addHelpText("after", HELP)
    .action(
      run(async (word: string, options: DrainOptions) => {
        refuseWaitForUndo(options);
        const client = await session.client();
        const { members } = await client.get<MembersAnswer>("/members");
        const node = { nodeId: findMember(members, word), word };
        const answer = await change(client, node.nodeId, options);
        const presenter = options.json === true ? null : session.presenter;
        if (presenter !== null) tell(presenter, word, answer, options);
        const last =
          options.wait === true
            ? await waitUntilEmpty(client, answer, options.timeout, presenter)
            : answer;
        if (options.json === true) session.presenter.json(last);
        return options.wait === true ? conclude(presenter, word, last, options.timeout) : EXIT.ok;
      }),
    );
};

function refuseWaitForUndo({ undo, wait, force }: DrainOptions): void {
  if (undo !== true || (wait !== true && force !== true)) return;
  const found = wait === true ? "--wait" : "--force";
  throw new CommandError(
    EXIT.usage,
    `found --undo together with ${found}`,
    `${found} is for draining: leave one of them out`,
  );
}

function change(
  client: DaemonClient,
  nodeId: NodeId,
  { undo, force }: DrainOptions,
): Promise<DrainAnswer> {
  const path = pathOf(nodeId);
  if (undo === true) return client.delete<DrainAnswer>(path);
  return client.put<DrainAnswer>(force === true ? `${path}?force=true` : path, null);
}

function pathOf(nodeId: NodeId): string {
  return `/members/${nodeId}/drain`;
}

function tell(
  presenter: Presenter,
  word: string,
  answer: DrainAnswer,
  { undo, wait }: DrainOptions,
): void {
  const mark = presenter.paint("green", "✓");
  if (undo !== true) {
    presenter.line(`${mark} ${printable(word)} takes no more work`);
    const count = answer.remaining.length;
    if (wait !== true && count > 0) {
      presenter.line(`${count} services still run there: see them go with "--wait"`);
    }
  } else if (answer.draining) {
    presenter.line(`${mark} ${printable(word)} is no longer drained`);
    presenter.line("it still takes no work: its own configuration says engine.kind none");
  } else {
    presenter.line(`${mark} ${printable(word)} takes work again`);
  }
}

/** Asks again and again what still runs there, and shows it. */
async function waitUntilEmpty(
  client: DaemonClient,
  first: DrainAnswer,
  timeoutMs: number,
  presenter: Presenter | null,
): Promise<DrainAnswer> {
  const display = presenter === null ? null : new DrainDisplay(presenter);
  const endMs = performance.now() + timeoutMs;
  let answer = first;
  for (;;) {
    display?.show(answer.remaining);
    const isOver = answer.remaining.length === 0 || !answer.draining;
    if (isOver || performance.now() >= endMs) return answer;
    await sleep(POLL_MS);
    answer = await client.get<DrainAnswer>(pathOf(answer.nodeId));
  }
}

/** Redrawn lines on a terminal; elsewhere a line for each change. */
class DrainDisplay {
  readonly #presenter: Presenter;
  #shown = new Map<string, string>();

  constructor(presenter: Presenter) {
    this.#presenter = presenter;
  }

  show(remaining: readonly RemainingService[]): void {
    const now = new Map(remaining.map((service) => [service.name, lineOf(service)]));
    if (this.#presenter.isInteractive) this.#presenter.redraw([...now.values()]);
    else this.#printChanges(now);
    this.#shown = now;
  }

  #printChanges(now: ReadonlyMap<string, string>): void {
    for (const [name, line] of now) {
      if (this.#shown.get(name) !== line) this.#presenter.line(line);
    }
    for (const name of this.#shown.keys()) {
      if (!now.has(name)) this.#presenter.line(printable(`${name}: gone`));
    }
  }
}

/** What one service waits for. */
function lineOf({ name, state, owners }: RemainingService): string {
  if (state === "stopping") return printable(`${name}: stops`);
  if (owners.length === 0) return printable(`${name}: stays, no other node may run it`);
  const places = owners.map((owner) => `${owner.hostname} (${owner.state ?? "not started"})`);
  return printable(`${name}: moves to ${places.join(", ")}`);
}

function conclude(
  presenter: Presenter | null,
  word: string,
  { remaining, draining }: DrainAnswer,
  timeoutMs: number,
): ExitCode {
  if (!draining) {
    throw new CommandError(EXIT.failed, `the drain of ${printable(word)} was undone meanwhile`);
  }
  if (remaining.length === 0) {
    presenter?.line(`nothing runs on ${printable(word)} any more`);
    return EXIT.ok;
  }
  throw new CommandError(
    EXIT.timeout,
    `not empty within ${timeoutMs / 1_000} s\n${remaining.map((service) => `  ${lineOf(service)}`).join("\n")}`,
    "it goes on in the background; bring up a node that may run what stays, or undeploy it",
  );
}
