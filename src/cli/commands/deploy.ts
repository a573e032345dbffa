// `myco deploy`: validates a manifest, hands it to the daemon, and shows it roll out.

import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DeployAnswer, DeployedService, ServiceAnswer } from "../../api/contract.ts";
import { COMMAND_FILE_BYTES_MAX } from "../../kernel/limits.ts";
import { durationMs } from "../arguments.ts";
import { CommandError } from "../command-error.ts";
import type { DaemonClient } from "../daemon-client.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { readTextFile } from "../locations.ts";
import { type Presenter, printable, type Style } from "../presenter.ts";
import { type Rollout, rolloutOf } from "../rollout.ts";
import type { AddCommand } from "../session.ts";

interface DeployOptions {
  readonly wait: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

const POLL_MS = 250;
/** How long a node may still tell that it rolled back from the version before. */
const OLD_NEWS_MS = 5_000;
const TIMEOUT_MS_DEFAULT = 60_000;
const MANIFEST = "myco.json";

const HELP = `
A manifest holds one service, or several below "services":
  { "name": "web", "exec": "/usr/bin/node", "args": ["server.mjs"], "ports": [8080],
    "replicas": 2, "health": { "http": "/health" } }
A deployment is accepted once it is on this machine's disk; from then on it spreads by itself,
whether this command waits for it or not.

Examples:
  $ myco deploy
  $ myco deploy ./web --timeout 5m
  $ myco deploy ./web --no-wait --json`;

export const addDeployCommand: AddCommand = (parent, session, run) => {
  parent
    .command("deploy")
    .description(`deploy what ${MANIFEST} describes`)
    .argument("[dir]", `the folder of ${MANIFEST}`, ".")
    .option("--wait", "wait until enough instances are healthy", true)
    .option("--no-wait", "end as soon as the daemon has it")
    .option("--timeout <duration>", "how long to wait", durationMs, TIMEOUT_MS_DEFAULT)
    .option("--json", "print JSON, once it is over")
    .addHelpText("after", HELP)
    .action(
      run(async (dir: string, options: DeployOptions) => {
        const body = await readManifestBody(resolve(session.world.cwd, dir));
        const client = await session.client();
        if (options.json !== true && body.includes('"flake"')) {
          session.presenter.remark("resolving what the flake is now …");
        }
        const { services } = await client.post<DeployAnswer>("/deploy", {
          contentType: "application/json",
          bytes: body,
        });
        const { presenter } = session;
        const isQuiet = options.json === true;
        if (!isQuiet) tellAccepted(presenter, services);
        const rollouts = options.wait
          ? await followRollout(client, services, options.timeout, isQuiet ? null : presenter)
          : [];
        if (isQuiet) presenter.json({ services, rollouts });
        return conclude(rollouts, options);
      }),
    );
};

/** The manifest as the API takes it, its relative flakes made absolute. */
async function readManifestBody(folder: string): Promise<string> {
  const file = resolve(folder, MANIFEST);
  const text = readTextFile(file, COMMAND_FILE_BYTES_MAX);
  if (text === null) {
    throw new CommandError(
      EXIT.usage,
      `there is no ${file}`,
      'name the folder that holds it; "myco deploy --help" shows a manifest to start from',
    );
  }
  const { readManifest, ManifestError } = await import("../../schema/manifest.ts");
  const { resolveFlake } = await import("../../schema/flake.ts");
  try {
    readManifest(text, file);
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new CommandError(EXIT.usage, `the manifest has a mistake\n${error.message}`);
  }
  return JSON.stringify(JSON.parse(text), (key, value: unknown) =>
    key === "flake" && typeof value === "string" ? resolveFlake(value, folder) : value,
  );
}

function tellAccepted(presenter: Presenter, services: readonly DeployedService[]): void {
  for (const { name, lock } of services) {
    const version = lock === "" ? "" : ` at ${lock}`;
    presenter.line(`${name}: accepted${version}, and safe on disk`);
  }
}

/**
 * Asks again and again how far each service is, and shows it.
 * @param presenter null to say nothing
 * @returns where they stood when all were over or the time was up
 */
async function followRollout(
  client: DaemonClient,
  services: readonly DeployedService[],
  timeoutMs: number,
  presenter: Presenter | null,
): Promise<Rollout[]> {
  const display = presenter === null ? null : new RolloutDisplay(presenter);
  const startMs = performance.now();
  const endMs = startMs + timeoutMs;
  for (;;) {
    const rollouts = await Promise.all(services.map((service) => askRollout(client, service)));
    display?.show(rollouts);
    const isNewsOld = performance.now() - startMs < OLD_NEWS_MS;
    const isOver = rollouts.every(
      ({ state }) => state !== "rolling" && !(isNewsOld && state === "rolled-back"),
    );
    if (isOver || performance.now() >= endMs) return rollouts;
    await sleep(POLL_MS);
  }
}

async function askRollout(client: DaemonClient, deployed: DeployedService): Promise<Rollout> {
  try {
    const answer = await client.get<ServiceAnswer>(`/services/${deployed.name}`);
    return rolloutOf(deployed, answer);
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === EXIT.notFound) {
      return rolloutOf(deployed, null);
    }
    throw error;
  }
}

const MARKS: Readonly<Record<Rollout["state"], readonly [mark: string, style: Style]>> = {
  rolling: ["…", "yellow"],
  done: ["✓", "green"],
  "rolled-back": ["↩", "red"],
  replaced: ["»", "dim"],
  removed: ["×", "red"],
};

/** Redrawn lines on a terminal; elsewhere a line for each change. */
class RolloutDisplay {
  readonly #presenter: Presenter;
  readonly #lastLine = new Map<string, string>();

  constructor(presenter: Presenter) {
    this.#presenter = presenter;
  }

  show(rollouts: readonly Rollout[]): void {
    if (this.#presenter.isInteractive) {
      this.#presenter.redraw(rollouts.map((rollout) => this.#drawn(rollout)));
      return;
    }
    for (const rollout of rollouts) {
      const { name, healthy, wanted, detail } = rollout;
      const line = printable(`${name}: ${healthy} of ${wanted} healthy (${detail})`);
      if (this.#lastLine.get(name) !== line) this.#presenter.line(line);
      this.#lastLine.set(name, line);
    }
  }

  #drawn({ name, state, healthy, wanted, detail }: Rollout): string {
    const [mark, style] = MARKS[state];
    const text = printable(`${name}  ${healthy}/${wanted} healthy  ${detail}`);
    const shown = text.slice(0, this.#presenter.columns - 3);
    return `${this.#presenter.paint(style, mark)} ${shown}`;
  }
}

function conclude(rollouts: readonly Rollout[], { timeout }: DeployOptions): ExitCode {
  const removed = rollouts.filter(({ state }) => state === "removed");
  if (removed.length > 0) {
    const names = removed.map(({ name }) => name).join(", ");
    throw new CommandError(EXIT.failed, `undeployed while it was rolling out: ${names}`);
  }
  const back = rollouts.filter(({ state }) => state === "rolled-back");
  if (back.length > 0) {
    const standing = back.map(({ name, detail }) => `${name}: ${detail}`).join("; ");
    throw new CommandError(
      EXIT.failed,
      `rolled back to the version before: ${printable(standing)}`,
      `see why on the node that did: "myco services ${back[0]?.name}" and "myco logs ${back[0]?.name}"; then mend it and deploy again`,
    );
  }
  const rolling = rollouts.filter(({ state }) => state === "rolling");
  if (rolling.length === 0) return EXIT.ok;
  const names = rolling.map(({ name }) => name);
  const standing = rolling.map(({ name, detail }) => `${name}: ${detail}`).join("; ");
  throw new CommandError(
    EXIT.timeout,
    `not healthy within ${timeout / 1000} s: ${printable(standing)}`,
    `it goes on in the background; look at "myco logs ${names[0]}" and "myco services ${names[0]}"`,
  );
}
