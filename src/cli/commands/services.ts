// `myco services`: what the cluster runs, and where.

import type {
  EngineInstanceAnswer,
  InstanceAnswer,
  ServiceAnswer,
  ServicesAnswer,
} from "../../api/contract.ts";
import type { ServiceSpec } from "../../schema/service.ts";
import { EXIT } from "../exit-codes.ts";
import { type Cell, formatBytes, formatDuration, type Presenter, printable } from "../presenter.ts";
import type { AddCommand } from "../session.ts";

export const addServicesCommand: AddCommand = (parent, session, run) => {
  parent
    .command("services")
    .description("list the cluster's services, or show one")
    .argument("[name]", "the service's name")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  $ myco services\n  $ myco services web --json")
    .action(
      run(async (name: string | undefined, options: { json?: boolean }) => {
        const { presenter } = session;
        const client = await session.client();
        if (name === undefined) {
          const { services } = await client.get<ServicesAnswer>("/services");
          if (options.json === true) presenter.json(services);
          else list(presenter, services);
          return EXIT.ok;
        }
        const service = await client.get<ServiceAnswer>(`/services/${encodeURIComponent(name)}`);
        if (options.json === true) presenter.json(service);
        else show(presenter, service);
        return EXIT.ok;
      }),
    );
};

function list(presenter: Presenter, services: readonly ServiceAnswer[]): void {
  if (services.length === 0) {
    presenter.remark('no service is deployed; "myco deploy DIR" deploys one');
    return;
  }
  presenter.table(["SERVICE", "HEALTHY", "PORTS", "UPDATED", "WHERE"], services.map(toRow));
}

function toRow(service: ServiceAnswer): (string | Cell)[] {
  const { spec, healthy, wanted } = service;
  return [
    service.name,
    { text: `${healthy}/${wanted}`, style: healthy >= wanted && wanted > 0 ? "green" : "yellow" },
    spec.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(" ") || "-",
    `${formatDuration(Date.now() - service.updatedAtMs)} ago`,
    service.instances.map(describe).join(", ") || "nowhere yet",
  ];
}

function show(presenter: Presenter, service: ServiceAnswer): void {
  const { spec } = service;
  presenter.facts([
    ["service", service.name],
    ["command", [spec.exec, ...spec.args].join(" ")],
    ["flake", spec.flake || "none: the program stands on the machine"],
    ...(spec.lock === "" ? [] : ([["locked to", spec.lock]] as const)),
    ["generation", String(service.generation)],
    ["healthy", `${service.healthy} of ${service.wanted} wanted (replicas: ${spec.replicas})`],
    ["ports", spec.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(", ") || "none"],
    ["limits", limits(spec)],
    ["updated", `${new Date(service.updatedAtMs).toISOString()} by ${service.author}`],
  ]);
  if (service.here !== null) showHere(presenter, service.here);
  if (service.instances.length === 0) return;
  presenter.line();
  presenter.table(
    ["NODE", "HOST", "STATE", "GENERATION"],
    service.instances.map((instance) => [
      instance.nodeId,
      instance.hostname,
      { text: instance.state, style: instance.state === "healthy" ? "green" : "yellow" },
      versionOf(instance, service.generation),
    ]),
  );
}

/** @param wanted the generation that is deployed */
function versionOf({ state, current, generation }: InstanceAnswer, wanted: number): string {
  if (state === "rolled-back") return `${generation}, rolled back from ${wanted}`;
  return current ? `${generation}` : `${generation}, old`;
}

/** The instance on the node that was asked. */
function showHere(presenter: Presenter, here: EngineInstanceAnswer): void {
  const { state, detail, next, memoryBytes, restarts, exposure, storePath } = here;
  presenter.line();
  presenter.facts([
    ["here", printable(detail === "" ? state : `${state}: ${detail}`)],
    ...(next === null
      ? []
      : ([["next", printable(`generation ${next.generation}: ${next.detail}`)]] as const)),
    ...(storePath === "" ? [] : ([["store path", storePath]] as const)),
    ["uses", memoryBytes === null ? "not counted" : `${formatBytes(memoryBytes)} of memory`],
    ["restarts", String(restarts)],
    ...(exposure === null ? [] : ([["exposure", `${exposure} of 10`]] as const)),
  ]);
}

function limits({ memoryMaxBytes, cpuQuotaPercent }: ServiceSpec): string {
  const memory = memoryMaxBytes === 0 ? "memory unlimited" : formatBytes(memoryMaxBytes);
  const cpu = cpuQuotaPercent === 0 ? "processor unlimited" : `${cpuQuotaPercent} % of a processor`;
  return `${memory}, ${cpu}`;
}

function describe({ hostname, state, current }: InstanceAnswer): string {
  return `${hostname} ${state}${current ? "" : " (old version)"}`;
}
