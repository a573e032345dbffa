// `myco status`: this node at a glance.

import type {
  DaemonStatus,
  EngineInstanceAnswer,
  RouterStatusAnswer,
  StatusAnswer,
} from "../../api/contract.ts";
import { EXIT } from "../exit-codes.ts";
import {
  type Cell,
  formatBytes,
  formatDuration,
  type Presenter,
  printable,
  type Style,
} from "../presenter.ts";
import type { AddCommand } from "../session.ts";

export const addStatusCommand: AddCommand = (parent, session, run) => {
  parent
    .command("status")
    .description("show this node: its place in the cluster, its disk, what runs on it")
    .option("--json", "print JSON")
    .action(
      run(async (options: { json?: boolean }) => {
        const status = await (await session.client()).get<StatusAnswer | RouterStatusAnswer>(
          "/status",
        );
        if (options.json === true) session.presenter.json(status);
        else show(session.presenter, status);
        return EXIT.ok;
      }),
    );
};

function show(presenter: Presenter, status: StatusAnswer | RouterStatusAnswer): void {
  if (status.cluster === null) showRouter(presenter, status);
  else showMember(presenter, status);
  for (const { message } of status.health.problems) {
    presenter.line(`${presenter.paint("red", "problem:")} ${message}`);
  }
}

function showRouter(presenter: Presenter, status: RouterStatusAnswer): void {
  const { node } = status;
  presenter.facts([
    ["node", node.hostname],
    ["up for", `${formatDuration(node.uptimeMs)}, version ${status.version}`],
    ["cluster", "none: the mesh is off"],
    ["flow", flowFact(status)],
    ["memory", `${formatBytes(status.process.residentBytes)} resident`],
  ]);
}

function flowFact({ flow }: DaemonStatus): string {
  if (flow === null) return "off";
  return `${flow.mode}${flow.device === null ? "" : ` on ${flow.device}`}, ${flow.phase}; see "myco flow status"`;
}

function showMember(presenter: Presenter, status: StatusAnswer): void {
  const { node, cluster, table, log, engine } = status;
  const { alive, suspect, dead, left } = cluster.members;
  presenter.facts([
    ["node", `${node.hostname} ${node.id}, zone ${node.zone}, ${node.roles.join(" and ")}`],
    ["up for", `${formatDuration(node.uptimeMs)}, version ${status.version}`],
    ["reached at", node.endpoints.join(", ")],
    [
      "cluster",
      `${cluster.rootId}: ${alive} alive, ${suspect} suspect, ${dead} dead, ${left} left`,
    ],
    ["state", standing(status)],
    ["table", `${table.slots} of ${table.capacity} slots, hash ${cluster.rootHash}`],
    ["log", `${log.state}, ${formatBytes(log.sizeBytes)}`],
    ["memory", `${formatBytes(status.process.residentBytes)} resident`],
    ["engine", `${engine.kind}, ${engine.instances.length} running here`],
    ["flow", flowFact(status)],
  ]);
  if (engine.instances.length > 0) {
    presenter.line();
    presenter.table(
      [
        "SERVICE",
        "STATE",
        "GENERATION",
        "COMMIT",
        "EXPOSURE",
        "MEMORY",
        "PID",
        "RESTARTS",
        "DETAIL",
      ],
      engine.instances.map(toRow),
    );
  }
  for (const { service, reason } of engine.waiting) {
    presenter.line(printable(`${service} waits: ${reason}`));
  }
}

function standing({ cluster }: StatusAnswer): string {
  if (cluster.excluded) return "shut out: this node's certificate was revoked or has ended";
  return cluster.synced ? "in step with the cluster" : "not yet in step with the cluster";
}

const STATE_STYLE: Readonly<Record<string, Style>> = {
  healthy: "green",
  starting: "yellow",
  building: "yellow",
  idle: "dim",
  stopping: "dim",
};

/** As many as people tell commits apart by. */
const COMMIT_CHARACTERS = 12;

function toRow(instance: EngineInstanceAnswer): (string | Cell)[] {
  return [
    instance.service,
    { text: instance.state, style: STATE_STYLE[instance.state] ?? "red" },
    String(instance.generation),
    instance.lock.slice(0, COMMIT_CHARACTERS) || "-",
    instance.exposure === null ? "-" : String(instance.exposure),
    instance.memoryBytes === null ? "-" : formatBytes(instance.memoryBytes),
    instance.pid === null ? "-" : String(instance.pid),
    String(instance.restarts),
    printable(instance.next === null ? instance.detail : `next: ${instance.next.detail}`),
  ];
}
