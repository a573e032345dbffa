// What makes a service one that a cluster accepts. Asked by its author before it signs, and
// by every node before it believes.

import {
  ARGS_MAX,
  DEVICES_MAX,
  ENV_MAX,
  ENVIRONMENT_FILES_MAX,
  LABEL_VALUE_BYTES_MAX,
  LABELS_MAX,
  PORTS_MAX,
  REPLICAS_MAX,
  SECRETS_MAX,
  SERVICE_TASKS_MAX,
  TEXT_BYTES_MAX,
} from "../kernel/limits.ts";
import { CALENDAR_RULE, isCalendarEvent } from "./calendar.ts";
import { isClusterFlake } from "./flake.ts";
import { type DocumentPath, foundAndAllowed, type Problem } from "./problem.ts";
import {
  ARCHITECTURES,
  type HealthCheck,
  NETWORK_REACHES,
  PERSONAS,
  RESTART_POLICIES,
  type ServiceSpec,
} from "./service.ts";
import {
  DEVICE_PATH,
  ENV_NAME,
  GIT_COMMIT,
  HOST_LABEL,
  isPlainText,
  isPort,
  isSorted,
  isSortedByName,
  LABEL_NAME,
  NAR_HASH,
  PORT_NAME,
  SECRET_NAME,
  SERVICE_NAME,
} from "./text-rules.ts";

export const HEALTH_INTERVAL_MIN_MS = 100;
export const HEALTH_TIME_MAX_MS = 3_600_000;
/** Less is a forgotten unit rather than a limit a program could start under. */
export const MEMORY_MIN_BYTES = 1024 * 1024;
export const MEMORY_MAX_BYTES = 2 ** 46;
export const CPU_QUOTA_MAX_PERCENT = 102_400;
export const ZONE_MAX = 255;
export const WATCHDOG_MIN_MS = 1_000;
export const WATCHDOG_MAX_MS = 3_600_000;

const TEXT_RULE = `at most ${TEXT_BYTES_MAX} bytes without control characters`;
const EXEC_RULE =
  "an absolute path, or one below the flake's output such as bin/server, without .., quotes or backslashes in it";
const EXEC_SEGMENT_BYTES_MAX = 255;
const PORT_RULE = "a port from 1 to 65535";

/** A service that is not one a cluster accepts, met by its author. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code = "ERR_SERVICE_INVALID";
  readonly problems: readonly Problem[];

  constructor(message: string, problems: readonly Problem[]) {
    super(message);
    this.problems = problems;
  }
}

/**
 * Every rule that `spec` breaks; none when it is sound. Paths are those of the manifest
 * (`health.path`, `memory`), which is where people can mend them.
 */
export function validateService(spec: ServiceSpec): Problem[] {
  const problems: Problem[] = [];
  const check: Check = (holds, path, found, allowed) => {
    if (!holds) problems.push({ path, message: foundAndAllowed(found, allowed) });
  };
  checkProgram(spec, check);
  checkEnvironment(spec, check);
  checkPorts(spec, check);
  checkPlacement(spec, check);
  checkLimits(spec, check);
  if (spec.health !== null) checkHealth(spec.health, spec.flake, check);
  checkLock(spec, check);
  checkSecrets(spec, check);
  checkLife(spec, check);
  checkReach(spec, check);
  return problems;
}

/** Notes a broken rule: what was found at a place, and what is allowed there. */
export type Check = (holds: boolean, path: DocumentPath, found: unknown, allowed: string) => void;

function checkProgram(spec: ServiceSpec, check: Check): void {
  check(
    SERVICE_NAME.test(spec.name),
    ["name"],
    spec.name,
    "a lower-case letter, then at most 62 letters, digits and hyphens, the last no hyphen",
  );
  check(
    spec.flake === "" || (isClusterFlake(spec.flake) && isText(spec.flake)),
    ["flake"],
    spec.flake,
    `a flake every node can reach, such as github:OWNER/REPO#NAME, in ${TEXT_BYTES_MAX} bytes`,
  );
  checkExec(spec.exec, spec.flake, ["exec"], check);
  check(spec.args.length <= ARGS_MAX, ["args"], spec.args, `at most ${ARGS_MAX} arguments`);
  checkTexts(spec.args, ["args"], check);
  if (spec.preStart.length > 0) checkCommand(spec.preStart, spec.flake, ["preStart"], check);
}

function checkCommand(
  command: readonly string[],
  flake: string,
  path: DocumentPath,
  check: Check,
): void {
  const lengthRule = `a program and at most ${ARGS_MAX} arguments`;
  check(command.length >= 1 && command.length <= ARGS_MAX + 1, path, command, lengthRule);
  if (command.length > 0) checkExec(command[0]!, flake, [...path, 0], check);
  checkTexts(command, path, check);
}

function checkExec(exec: string, flake: string, path: DocumentPath, check: Check): void {
  const segments = exec.split("/");
  const isPath =
    exec !== "" &&
    !exec.endsWith("/") &&
    !segments.includes("..") &&
    segments.every((segment) => isPlainText(segment, EXEC_SEGMENT_BYTES_MAX)) &&
    !/["'\\]/.test(exec) &&
    isText(exec);
  check(isPath, path, exec, EXEC_RULE);
  if (isPath && flake === "" && !exec.startsWith("/")) {
    check(false, path, exec, "an absolute path, because the service has no flake");
  }
}

function checkTexts(texts: readonly string[], path: DocumentPath, check: Check): void {
  texts.forEach((text, index) => {
    check(isText(text), [...path, index], text, TEXT_RULE);
  });
}

function checkEnvironment(spec: ServiceSpec, check: Check): void {
  check(spec.env.length <= ENV_MAX, ["env"], spec.env, `at most ${ENV_MAX} variables`);
  check(isSortedByName(spec.env), ["env"], spec.env, "each name once, in ascending order");
  for (const [name, value] of spec.env) {
    const nameRule = "letters, digits and _ in a name, the first no digit, at most 64";
    check(ENV_NAME.test(name), ["env", name], name, nameRule);
    check(isText(value), ["env", name], value, TEXT_RULE);
  }
}

function checkPorts(spec: ServiceSpec, check: Check): void {
  check(spec.ports.length <= PORTS_MAX, ["ports"], spec.ports, `at most ${PORTS_MAX} ports`);
  const numbers = new Set<string>();
  const names = new Set<string>();
  spec.ports.forEach(({ port, protocol, name }, index) => {
    const path = ["ports", index];
    const number = `${port}/${protocol}`;
    check(isPort(port), [...path, "port"], port, PORT_RULE);
    check(!numbers.has(number), path, number, "each port and protocol once");
    numbers.add(number);
    if (name === "") return;
    const nameRule = "a lower-case letter, then at most 14 letters, digits and hyphens";
    check(PORT_NAME.test(name), [...path, "name"], name, nameRule);
    check(!names.has(`${name}/${protocol}`), [...path, "name"], name, "each name once");
    names.add(`${name}/${protocol}`);
  });
}

function checkPlacement(spec: ServiceSpec, check: Check): void {
  const { arch, devices, labels, zone, replicas } = spec;
  const archIndexes = arch.map((name) => ARCHITECTURES.indexOf(name));
  const areArchsSorted = archIndexes.every((at, index) => at > (archIndexes[index - 1] ?? -1));
  check(areArchsSorted, ["arch"], arch, `each once, in the order ${ARCHITECTURES.join(", ")}`);
  checkDevices(devices, check);
  checkLabels(labels, check);
  const isZone = zone === null || (Number.isInteger(zone) && zone >= 0 && zone <= ZONE_MAX);
  check(isZone, ["zone"], zone, `a zone from 0 to ${ZONE_MAX}`);
  const isCount =
    replicas === "all" || (Number.isInteger(replicas) && replicas >= 1 && replicas <= REPLICAS_MAX);
  check(isCount, ["replicas"], replicas, `a number from 1 to ${REPLICAS_MAX}, or "all"`);
  check(!spec.singleton || replicas === 1, ["replicas"], replicas, "1, because it is a singleton");
}

/** The devices of a node, and those a service asks for. */
export function checkDevices(devices: readonly string[], check: Check): void {
  check(devices.length <= DEVICES_MAX, ["devices"], devices, `at most ${DEVICES_MAX} devices`);
  check(isSorted(devices), ["devices"], devices, "each device once, in ascending order");
  devices.forEach((device, index) => {
    const isDevice = DEVICE_PATH.test(device) && isText(device);
    check(isDevice, ["devices", index], device, "a path below /dev, such as /dev/dri");
  });
}

/** A node's labels and those a service asks for follow the same rules. */
export function checkLabels(
  labels: readonly (readonly [name: string, value: string])[],
  check: Check,
): void {
  check(labels.length <= LABELS_MAX, ["labels"], labels, `at most ${LABELS_MAX} labels`);
  check(isSortedByName(labels), ["labels"], labels, "each name once, in ascending order");
  for (const [name, value] of labels) {
    const nameRule = "lower-case letters, digits and . _ / - inside a name, at most 63";
    const valueRule = `at most ${LABEL_VALUE_BYTES_MAX} bytes without control characters`;
    check(LABEL_NAME.test(name), ["labels", name], name, nameRule);
    check(isPlainText(value, LABEL_VALUE_BYTES_MAX), ["labels", name], value, valueRule);
  }
}

function checkLimits(spec: ServiceSpec, check: Check): void {
  const { memoryMaxBytes, cpuQuotaPercent } = spec;
  check(
    memoryMaxBytes === 0 || isWithin(memoryMaxBytes, MEMORY_MIN_BYTES, MEMORY_MAX_BYTES),
    ["memory"],
    memoryMaxBytes,
    'a size from "1M" to "64T"',
  );
  check(
    isWithin(cpuQuotaPercent, 0, CPU_QUOTA_MAX_PERCENT),
    ["cpu"],
    cpuQuotaPercent,
    `from "1%" of one processor to "${CPU_QUOTA_MAX_PERCENT}%"`,
  );
  check(PERSONAS.includes(spec.persona), ["persona"], spec.persona, PERSONAS.join(", "));
}

function checkHealth(health: HealthCheck, flake: string, check: Check): void {
  if (health.kind === "exec") checkCommand(health.command, flake, ["health", "exec"], check);
  if (health.kind === "tcp") check(isPort(health.port), ["health", "tcp"], health.port, PORT_RULE);
  if (health.kind === "http") {
    const isTarget = /^\/[!-~]*$/.test(health.path) && isText(health.path);
    check(isTarget, ["health", "http"], health.path, "a path such as /health, without spaces");
    const found = health.port === 0 ? undefined : health.port;
    check(isPort(health.port), ["health", "port"], found, PORT_RULE);
  }
  const { intervalMs, timeoutMs, graceMs } = health;
  const range = `from ${HEALTH_INTERVAL_MIN_MS} ms to an hour`;
  const isInterval = isWithin(intervalMs, HEALTH_INTERVAL_MIN_MS, HEALTH_TIME_MAX_MS);
  check(isInterval, ["health", "interval"], `${intervalMs}ms`, range);
  const isTimeout = isWithin(timeoutMs, HEALTH_INTERVAL_MIN_MS, HEALTH_TIME_MAX_MS);
  check(isTimeout, ["health", "timeout"], `${timeoutMs}ms`, range);
  const timeoutRule = `no more than the interval, ${intervalMs} ms`;
  check(timeoutMs <= intervalMs, ["health", "timeout"], `${timeoutMs}ms`, timeoutRule);
  check(
    isWithin(graceMs, 0, HEALTH_TIME_MAX_MS),
    ["health", "grace"],
    `${graceMs}ms`,
    "up to an hour",
  );
}

function checkLock({ lock, flake }: ServiceSpec, check: Check): void {
  if (lock === "") return;
  check(flake !== "", ["lock"], lock, "none, because the service has no flake");
  const isLock = GIT_COMMIT.test(lock) || NAR_HASH.test(lock);
  check(isLock, ["lock"], lock, "a git commit in 40 or 64 hex digits, or a NAR hash sha256-…");
}

function checkSecrets({ secrets, environmentFiles }: ServiceSpec, check: Check): void {
  check(secrets.length <= SECRETS_MAX, ["secrets"], secrets, `at most ${SECRETS_MAX} secrets`);
  check(isSorted(secrets), ["secrets"], secrets, "each secret once, in ascending order");
  checkFileNames(secrets, "secrets", check);
  const filesRule = `at most ${ENVIRONMENT_FILES_MAX} files, each once`;
  const areFew = environmentFiles.length <= ENVIRONMENT_FILES_MAX;
  const areDistinct = new Set(environmentFiles).size === environmentFiles.length;
  check(areFew && areDistinct, ["environmentFiles"], environmentFiles, filesRule);
  checkFileNames(environmentFiles, "environmentFiles", check);
}

function checkFileNames(names: readonly string[], key: string, check: Check): void {
  const rule =
    "letters, digits and . _ - in a file's name, the first a letter or digit, at most 64";
  names.forEach((name, index) => {
    check(SECRET_NAME.test(name), [key, index], name, rule);
  });
}

/** When it starts, what starts it again, and what a job that runs by a schedule cannot have. */
function checkLife(spec: ServiceSpec, check: Check): void {
  const { restart, watchdogMs, schedule, socketActivated, slice, tasksMax } = spec;
  check(RESTART_POLICIES.includes(restart), ["restart"], restart, RESTART_POLICIES.join(", "));
  const isWatchdog = watchdogMs === 0 || isWithin(watchdogMs, WATCHDOG_MIN_MS, WATCHDOG_MAX_MS);
  check(isWatchdog, ["watchdog"], `${watchdogMs}ms`, "a time from 1 s to an hour");
  const isSlice = slice === "" || HOST_LABEL.test(slice);
  check(isSlice, ["slice"], slice, "lower-case letters, digits and hyphens inside, at most 63");
  const tasksRule = `a whole number from 1 to ${SERVICE_TASKS_MAX}`;
  check(isWithin(tasksMax, 1, SERVICE_TASKS_MAX), ["tasks"], tasksMax, tasksRule);
  if (schedule === "") return;
  check(isCalendarEvent(schedule), ["schedule"], schedule, CALENDAR_RULE);
  check(!socketActivated, ["socketActivated"], true, "false, because the service has a schedule");
  check(spec.health === null, ["health"], spec.health, "no check, because a scheduled job ends");
  check(watchdogMs === 0, ["watchdog"], `${watchdogMs}ms`, "none, because a scheduled job ends");
}

/** What it may reach, and that it can be reached where it says so. */
function checkReach({ network, ports, health, socketActivated }: ServiceSpec, check: Check): void {
  check(NETWORK_REACHES.includes(network), ["network"], network, NETWORK_REACHES.join(", "));
  const socketRule = "false, because the service has no ports for systemd to listen on";
  check(!socketActivated || ports.length > 0, ["socketActivated"], true, socketRule);
  if (network !== "none" || socketActivated) return;
  const portsRule = 'no ports, because network is "none"; with socketActivated it may have them';
  check(ports.length === 0, ["ports"], ports, portsRule);
  const isAsked = health !== null && health.kind !== "exec";
  check(!isAsked, ["health"], health, 'a command (exec), because network is "none"');
}

function isText(text: string): boolean {
  return isPlainText(text, TEXT_BYTES_MAX);
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
