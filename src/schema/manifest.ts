// The manifest, myco.json: one service as an object, or several below "services". Read into
// what a slot says, or refused with every mistake shown in its line. The format is published
// as manifest.schema.json.

import { API_BODY_BYTES_MAX } from "../kernel/limits.ts";
import { resolveFlake } from "./flake.ts";
import { type JsonDocument, JsonSyntaxError, parseJsonDocument } from "./json-document.ts";
import { validate } from "./manifest-validator.generated.js";
import { formatProblem, type LocatedProblem, locateProblems, type Problem } from "./problem.ts";
import { explainSchemaErrors } from "./schema-problem.ts";
import {
  ARCHITECTURES,
  type Architecture,
  type HealthCheck,
  type NetworkReach,
  type Persona,
  type Replicas,
  type RestartPolicy,
  type ServicePort,
  type ServiceSpec,
} from "./service.ts";
import { HEALTH_TIMING_DEFAULT, SERVICE_DEFAULTS } from "./service-defaults.ts";
import { validateService } from "./service-rules.ts";
import { utf8Length } from "./text-rules.ts";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

/** A manifest that is refused. The message shows every mistake in its line. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
  readonly code: "ERR_MANIFEST_SYNTAX" | "ERR_MANIFEST_INVALID";
  /** In the document's order. */
  readonly problems: readonly LocatedProblem[];

  constructor(code: ManifestError["code"], fileName: string, problems: readonly LocatedProblem[]) {
    super(problems.map((problem) => formatProblem(fileName, problem)).join("\n"));
    this.code = code;
    this.problems = problems;
  }
}

type ManifestPort = number | { port: number; protocol?: "tcp" | "udp"; name?: string };

interface ManifestHealth {
  http?: string;
  port?: number;
  tcp?: number;
  exec?: string[];
  interval?: string;
  timeout?: string;
  grace?: string;
}

/** A service as the schema describes it. */
interface ManifestService {
  name: string;
  flake?: string;
  exec: string;
  args?: string[];
  env?: Record<string, string>;
  ports?: ManifestPort[];
  arch?: Architecture[];
  devices?: string[];
  zone?: number | null;
  labels?: Record<string, string>;
  replicas?: Replicas;
  singleton?: boolean;
  health?: ManifestHealth;
  preStart?: string[];
  memory?: string | number | null;
  cpu?: string | null;
  persona?: Persona;
  jit?: boolean;
  secrets?: string[];
  environmentFiles?: string[];
  restart?: RestartPolicy;
  watchdog?: string | null;
  schedule?: string;
  socketActivated?: boolean;
  slice?: string;
  network?: NetworkReach;
  tasks?: number;
}

/**
 * Reads a manifest.
 * @param fileName for the messages
 * @returns at least one service, names differing. A relative flake is left as it is:
 *   `resolveFlake` (flake.ts) makes it absolute before the service is encoded
 * @throws ManifestError
 */
export function readManifest(text: string, fileName = "myco.json"): ServiceSpec[] {
  const document = parse(text, fileName);
  const refuse = (problems: readonly (Problem & { isAboutKey?: boolean })[]): void => {
    if (problems.length === 0) return;
    const withOffsets = problems.map(({ path, message, isAboutKey }) => {
      const offset = isAboutKey ? document.keyOffset(path) : document.valueOffset(path);
      return { path, message, offset };
    });
    throw new ManifestError("ERR_MANIFEST_INVALID", fileName, locateProblems(text, withOffsets));
  };
  if (!validate(document.value)) {
    refuse(explainSchemaErrors(document.value, validate.errors ?? []));
  }
  const manifest = document.value as ManifestService | { services: ManifestService[] };
  const isDeployment = "services" in manifest;
  const specs = (isDeployment ? manifest.services : [manifest]).map(toServiceSpec);
  refuse([
    ...specs.flatMap((spec, index) => rulesBroken(spec, isDeployment ? ["services", index] : [])),
    ...namesGivenTwice(specs),
  ]);
  return specs;
}

function parse(text: string, fileName: string): JsonDocument {
  const refuse = (message: string, offset: number, path: Problem["path"]): never => {
    const located = locateProblems(text, [{ path, message, offset }]);
    throw new ManifestError("ERR_MANIFEST_SYNTAX", fileName, located);
  };
  if (utf8Length(text) > API_BODY_BYTES_MAX) {
    refuse(`the manifest is above ${API_BODY_BYTES_MAX} bytes; deploy in parts`, 0, []);
  }
  try {
    return parseJsonDocument(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return refuse(`not JSON: ${error.message}`, error.offset, error.path);
  }
}

/** A relative flake is judged as the one it will become, wherever that is. */
function rulesBroken(spec: ServiceSpec, prefix: Problem["path"]): Problem[] {
  const flake = resolveFlake(spec.flake, "/");
  return validateService({ ...spec, flake }).map(({ path, message }) => ({
    path: [...prefix, ...path],
    message,
  }));
}

function namesGivenTwice(specs: readonly ServiceSpec[]): Problem[] {
  return specs.flatMap(({ name }, index) => {
    const first = specs.findIndex((other) => other.name === name);
    const message = `found "${name}"; allowed: a name that no other service of the manifest has`;
    return first === index ? [] : [{ path: ["services", index, "name"], message }];
  });
}

function toServiceSpec(service: ManifestService): ServiceSpec {
  const ports = (service.ports ?? []).map(toPort);
  const arch = service.arch ?? [];
  return {
    ...SERVICE_DEFAULTS,
    name: service.name,
    flake: service.flake ?? SERVICE_DEFAULTS.flake,
    exec: service.exec,
    args: service.args ?? SERVICE_DEFAULTS.args,
    env: toSortedPairs(service.env),
    ports,
    arch: ARCHITECTURES.filter((name) => arch.includes(name)),
    devices: [...new Set(service.devices)].sort(),
    zone: service.zone ?? SERVICE_DEFAULTS.zone,
    labels: toSortedPairs(service.labels),
    replicas: service.replicas ?? SERVICE_DEFAULTS.replicas,
    singleton: service.singleton ?? SERVICE_DEFAULTS.singleton,
    health: service.health === undefined ? null : toHealthCheck(service.health, ports),
    preStart: service.preStart ?? SERVICE_DEFAULTS.preStart,
    memoryMaxBytes: toBytes(service.memory),
    cpuQuotaPercent: Number.parseInt(service.cpu ?? "0", 10),
    persona: service.persona ?? SERVICE_DEFAULTS.persona,
    jit: service.jit ?? SERVICE_DEFAULTS.jit,
    secrets: [...new Set(service.secrets)].sort(),
    environmentFiles: service.environmentFiles ?? SERVICE_DEFAULTS.environmentFiles,
    restart: service.restart ?? SERVICE_DEFAULTS.restart,
    watchdogMs: toMs(service.watchdog ?? undefined, SERVICE_DEFAULTS.watchdogMs),
    schedule: service.schedule ?? SERVICE_DEFAULTS.schedule,
    socketActivated: service.socketActivated ?? SERVICE_DEFAULTS.socketActivated,
    slice: service.slice ?? SERVICE_DEFAULTS.slice,
    network: service.network ?? SERVICE_DEFAULTS.network,
    tasksMax: service.tasks ?? SERVICE_DEFAULTS.tasksMax,
  };
}

function toPort(port: ManifestPort): ServicePort {
  if (typeof port === "number") return { port, protocol: "tcp", name: "" };
  return { port: port.port, protocol: port.protocol ?? "tcp", name: port.name ?? "" };
}

/** Without a port of its own, HTTP is asked on the first; 0, which the rules refuse, when there is none. */
function toHealthCheck(health: ManifestHealth, ports: readonly ServicePort[]): HealthCheck {
  const timing = {
    intervalMs: toMs(health.interval, HEALTH_TIMING_DEFAULT.intervalMs),
    timeoutMs: toMs(health.timeout, HEALTH_TIMING_DEFAULT.timeoutMs),
    graceMs: toMs(health.grace, HEALTH_TIMING_DEFAULT.graceMs),
  };
  if (health.exec !== undefined) return { kind: "exec", command: health.exec, ...timing };
  if (health.tcp !== undefined) return { kind: "tcp", port: health.tcp, ...timing };
  const port = health.port ?? ports[0]?.port ?? 0;
  return { kind: "http", path: health.http ?? "/", port, ...timing };
}

function toMs(duration: string | undefined, defaultMs: number): number {
  return duration === undefined ? defaultMs : (parseDurationMs(duration) ?? defaultMs);
}

function toBytes(size: ManifestService["memory"]): number {
  if (typeof size === "number") return size;
  return parseSizeBytes(size ?? "") ?? SERVICE_DEFAULTS.memoryMaxBytes;
}

function toSortedPairs(map: Record<string, string> | undefined): [name: string, value: string][] {
  return Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}
