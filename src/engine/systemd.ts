// A service as units of systemd: pure, from what its slot says to the text of its files.
// What it may do stands in confinement.ts, how text is made safe in unit-text.ts.

import { assert } from "../kernel/assert.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ServiceSpec } from "../schema/service.ts";
import { SERVICE_NAME } from "../schema/text-rules.ts";
import { confinementOf, networkOf } from "./confinement.ts";
import {
  assignment,
  commandLine,
  type Directive,
  escapeUnitName,
  formatUnit,
  type Section,
  wholePath,
  wholePathNotPattern,
} from "./unit-text.ts";

/** What a unit needs to know of the node it is made for. */
export interface UnitSurroundings {
  /** What the flake was built to, absolute; empty for a plain command. */
  readonly storePath: string;
  readonly nodeId: NodeId;
  /** The IP address services are asked to listen on (MYCO_ADDRESS). */
  readonly address: string;
  /** Holds `secrets` and `environmentFiles`. */
  readonly secretsDir: string;
}

/** What a unit file of ours says of its origin. */
export interface UnitNote {
  readonly service: string;
  readonly generation: number;
  /** Empty for a plain command. */
  readonly storePath: string;
  /** As ServiceSpec.lock. */
  readonly lock: string;
}

const UNIT_PREFIX = "myco-";
const SERVICE_SUFFIX = ".service";
/** All services lie in it, so that their share of the machine can be bounded as one. */
const COMMON_SLICE = "myco.slice";
/** A section that systemd passes over (systemd.unit(5): `X-`). */
const NOTE_HEAD = "[X-Myco]";

const OOM_SCORE_ADJUST = 500;
const RESTART_SECONDS = 2;
/** Of starts in such a time, so many are systemd's to make; then it is the engine's turn. */
const START_LIMIT_SECONDS = 60;
const START_LIMIT_BURST = 5;
/** For the pre-start command, and for `notify` services until they are ready. */
const START_TIMEOUT_SECONDS = 90;
const STOP_TIMEOUT_SECONDS = 10;

/** utmp(5), and with it systemd, takes no longer name. */
const USER_NAME_CHARACTERS_MAX = 31;
const HASHED_NAME_CHARACTERS = 13;

/** `myco-NAME.service`, where a service's processes are. */
export function unitNameOf(service: string): string {
  assert(SERVICE_NAME.test(service), "a service's name is a DNS label");
  return `${UNIT_PREFIX}${service}${SERVICE_SUFFIX}`;
}

/** The service whose `myco-NAME.service` this is; null for every other unit. */
export function serviceNameOf(unit: string): string | null {
  if (!unit.startsWith(UNIT_PREFIX) || !unit.endsWith(SERVICE_SUFFIX)) return null;
  const name = unit.slice(UNIT_PREFIX.length, -SERVICE_SUFFIX.length);
  return SERVICE_NAME.test(name) ? name : null;
}

/** The dynamic user a service runs as: `myco-NAME`, or its beginning and a hash where that is too long. */
export function userNameOf(service: string): string {
  const name = `${UNIT_PREFIX}${service}`;
  if (name.length <= USER_NAME_CHARACTERS_MAX) return name;
  const beginning = service.slice(0, HASHED_NAME_CHARACTERS);
  return `${UNIT_PREFIX}${beginning}${hash48(service).toString(16).padStart(12, "0")}`;
}

/** Where a service keeps what it wants to find again, as the service sees it. */
export function stateDirectoryOf(service: string): string {
  return `/var/lib/${stateNameOf(service)}`;
}

/**
 * The units of one service by their file names: `myco-NAME.service`, and where it is asked for
 * `myco-NAME.socket` or `myco-NAME.timer`, which is then the one to start.
 * @param spec a sound service (validateService)
 */
export function compileUnits(
  spec: ServiceSpec,
  generation: number,
  around: UnitSurroundings,
): ReadonlyMap<string, string> {
  const hasStorePath = around.storePath !== "";
  assert(hasStorePath === (spec.flake !== ""), "what has a flake has been built");
  const note = noteSection(spec, generation, around.storePath);
  const units = new Map<string, string>();
  units.set(unitNameOf(spec.name), formatUnit([note, ...serviceSections(spec, around)]));
  if (spec.socketActivated) {
    const sections = socketSections(spec, around.address);
    units.set(`${UNIT_PREFIX}${spec.name}.socket`, formatUnit([note, ...sections]));
  }
  if (spec.schedule !== "") {
    units.set(`${UNIT_PREFIX}${spec.name}.timer`, formatUnit([note, ...timerSections(spec)]));
  }
  return units;
}

/** What a unit file says of its origin; null when it is none of ours, or was changed beyond knowing. */
export function readUnitNote(text: string): UnitNote | null {
  const [head, ...lines] = text.slice(0, NOTE_CHARACTERS_MAX).split("\n", NOTE_LINES);
  if (head !== NOTE_HEAD) return null;
  const values = lines.map((line, index) => {
    const key = `${NOTE_KEYS[index]}=`;
    return line.startsWith(key) ? line.slice(key.length) : null;
  });
  const [service, generation, storePath, lock] = values;
  if (service == null || generation == null || storePath == null || lock == null) return null;
  if (!SERVICE_NAME.test(service) || !/^[0-9]{1,10}$/.test(generation)) return null;
  return { service, generation: Number(generation), storePath, lock };
}

const NOTE_KEYS = ["Service", "Generation", "StorePath", "Lock"] as const;
const NOTE_LINES = 1 + NOTE_KEYS.length;
const NOTE_CHARACTERS_MAX = 4_096;

function noteSection({ name, lock }: ServiceSpec, generation: number, storePath: string): Section {
  assert(Number.isInteger(generation) && generation >= 0, "a generation is a number");
  const values = [name, String(generation), storePath, lock];
  return {
    name: "X-Myco",
    directives: NOTE_KEYS.map((key, index) => [key, values[index]!]),
  };
}

function serviceSections(spec: ServiceSpec, around: UnitSurroundings): Section[] {
  const socket = `${UNIT_PREFIX}${spec.name}.socket`;
  const unit: Directive[] = [
    ["Description", `Myco service ${spec.name}`],
    ["StartLimitIntervalSec", String(startLimitSeconds(spec))],
    ["StartLimitBurst", String(START_LIMIT_BURST)],
  ];
  if (spec.socketActivated) unit.push(["Requires", socket], ["After", socket]);
  const service: Directive[] = [
    ...life(spec),
    ...programs(spec, around.storePath),
    ...identity(spec),
    ...environment(spec, around),
    ...limits(spec),
    ...confinementOf(spec),
  ];
  return [
    { name: "Unit", directives: unit },
    { name: "Service", directives: service },
  ];
}

/** None for a job that only its calendar starts: that may well be once a second. */
function startLimitSeconds({ schedule, restart }: ServiceSpec): number {
  return schedule !== "" && restart === "always" ? 0 : START_LIMIT_SECONDS;
}

/** How it starts, ends and is started again. */
function life(spec: ServiceSpec): Directive[] {
  const isJob = spec.schedule !== "";
  const mayEnd = spec.restart === "on-failure" && !isJob && !spec.socketActivated;
  const hasWatchdog = spec.watchdogMs > 0;
  const directives: Directive[] = [
    ["Type", isJob ? "oneshot" : hasWatchdog ? "notify" : "exec"],
    // A job that ended is over until its time comes; systemd knows no "always" for it.
    ["Restart", isJob && spec.restart === "always" ? "no" : spec.restart],
    ["RestartSec", String(RESTART_SECONDS)],
    // systemd soon forgets a unit that is inactive, and how it ended.
    ...(mayEnd ? [["RemainAfterExit", "yes"] as const] : []),
    ["TimeoutStartSec", isJob ? "infinity" : String(START_TIMEOUT_SECONDS)],
    ["TimeoutStopSec", String(STOP_TIMEOUT_SECONDS)],
    ["KillMode", "control-group"],
  ];
  if (!hasWatchdog) return directives;
  return [...directives, ["NotifyAccess", "main"], ["WatchdogSec", `${spec.watchdogMs}ms`]];
}

function programs({ preStart, exec, args }: ServiceSpec, storePath: string): Directive[] {
  const line = ([program = "", ...rest]: readonly string[]): string =>
    commandLine([programPath(program, storePath), ...rest]);
  return [
    ...(preStart.length === 0 ? [] : [["ExecStartPre", line(preStart)] as const]),
    ["ExecStart", line([exec, ...args])],
  ];
}

/** The path as systemd would simplify it: the program's own argv[0]. */
function programPath(program: string, storePath: string): string {
  const path = program.startsWith("/") ? program : `${storePath}/${program}`;
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  assert(!segments.includes(".."), "a program's path does not climb");
  return `/${segments.join("/")}`;
}

function identity({ name, slice }: ServiceSpec): Directive[] {
  return [
    ["DynamicUser", "yes"],
    ["User", userNameOf(name)],
    ["StateDirectory", stateNameOf(name)],
    ["StateDirectoryMode", "0700"],
    ["WorkingDirectory", stateDirectoryOf(name)],
    ["SyslogIdentifier", `${UNIT_PREFIX}${name}`],
    ["Slice", sliceOf(slice)],
  ];
}

/** What the service itself asks for wins, and its environment files over that. */
function environment(spec: ServiceSpec, around: UnitSurroundings): Directive[] {
  const { name, ports, env, secrets, environmentFiles } = spec;
  const [firstPort] = ports;
  const variables = new Map([
    ["HOME", stateDirectoryOf(name)],
    ["LANG", "C.UTF-8"],
    ["MYCO_SERVICE", name],
    ["MYCO_NODE", around.nodeId],
    ["MYCO_ADDRESS", around.address],
    ...(firstPort === undefined ? [] : [["PORT", String(firstPort.port)] as const]),
    ...env,
  ]);
  const file = (secret: string): string => `${around.secretsDir}/${secret}`;
  return [
    ...[...variables].map(([key, value]) => ["Environment", assignment(key, value)] as const),
    ...environmentFiles.map(
      (secret) => ["EnvironmentFile", wholePathNotPattern(file(secret))] as const,
    ),
    ...secrets.map((secret) => ["LoadCredential", `${secret}:${wholePath(file(secret))}`] as const),
  ];
}

function limits({ tasksMax, memoryMaxBytes, cpuQuotaPercent }: ServiceSpec): Directive[] {
  const directives: Directive[] = [
    ["TasksMax", String(tasksMax)],
    ["OOMScoreAdjust", String(OOM_SCORE_ADJUST)],
  ];
  if (memoryMaxBytes > 0) {
    directives.push(["MemoryMax", String(memoryMaxBytes)], ["MemorySwapMax", "0"]);
  }
  if (cpuQuotaPercent > 0) directives.push(["CPUQuota", `${cpuQuotaPercent}%`]);
  return directives;
}

/** Listens where the service is asked to, though the address may not be there yet. */
function socketSections(spec: ServiceSpec, address: string): Section[] {
  const host = (address.includes(":") ? `[${address}]` : address).replaceAll("%", "%%");
  const listen = spec.ports.map(
    ({ protocol, port }) =>
      [protocol === "tcp" ? "ListenStream" : "ListenDatagram", `${host}:${port}`] as const,
  );
  const socket: Directive[] = [
    ...listen,
    ["FreeBind", "yes"],
    ["Slice", sliceOf(spec.slice)],
    ...networkOf(spec),
  ];
  return [
    { name: "Unit", directives: [["Description", `Sockets of Myco service ${spec.name}`]] },
    { name: "Socket", directives: socket },
  ];
}

function timerSections({ name, schedule }: ServiceSpec): Section[] {
  const timer: Directive[] = [
    ["OnCalendar", schedule],
    ["AccuracySec", "1s"],
  ];
  return [
    { name: "Unit", directives: [["Description", `Times of Myco service ${name}`]] },
    { name: "Timer", directives: timer },
  ];
}

/** Not below /var/lib/myco, where the daemon's own files are and would meet a service of their name. */
function stateNameOf(service: string): string {
  return `${UNIT_PREFIX}${service}`;
}

function sliceOf(slice: string): string {
  return slice === "" ? COMMON_SLICE : `${UNIT_PREFIX}${escapeUnitName(slice)}.slice`;
}

/** FNV-1a's 64 bits, folded to 48 (draft-eastlake-fnv, section 3): names apart, not secrets. */
function hash48(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let index = 0; index < text.length; index += 1) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(index))) * 0x100000001b3n);
  }
  return (hash >> 48n) ^ BigInt.asUintN(48, hash);
}
