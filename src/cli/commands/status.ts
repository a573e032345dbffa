// `myco status`: this node at a glance.

import type { EngineInstanceAnswer, StatusAnswer } from "../../api/contract.ts";
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
        const status = await (await session.client()).get<StatusAnswer>("/status");
        if (options.json === true) session.presenter.json(status);
        else show(session.presenter, status);
        return EXIT.ok;
      }),
    );
};

function show(presenter: Presenter, status: StatusAnswer): void {
  const { node, cluster, table, log, engine, health } = status;
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
  ]);
  if (engine.instances.length > 0) {
    presenter.line();
    presenter.table(["SERVICE", "STATE", "PID", "RESTARTS", "DETAIL"], engine.instances.map(toRow));
  }
  for (const { service, reason } of engine.waiting) {
    presenter.line(printable(`${service} waits: ${reason}`));
  }
  for (const { message } of health.problems) {
    presenter.line(`${presenter.paint("red", "problem:")} ${message}`);
  }
}

function standing({ cluster }: StatusAnswer): string {
  if (cluster.excluded) return "shut out: this node's certificate was revoked or has ended";
  return cluster.synced ? "in step with the cluster" : "not yet in step with the cluster";
}

const STATE_STYLE: Readonly<Record<string, Style>> = {
  healthy: "green",
  starting: "yellow",
  stopping: "dim",
};

function toRow(instance: EngineInstanceAnswer): (string | Cell)[] {
  return [
    instance.service,
    { text: instance.state, style: STATE_STYLE[instance.state] ?? "red" },
    instance.pid === null ? "-" : String(instance.pid),
    String(instance.restarts),
    instance.detail,
  ];
}
