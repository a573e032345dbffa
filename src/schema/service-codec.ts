// A service as the body of a slot: tagged fields, their defaults left out, known beginnings
// of texts as one byte. A usual service takes some 60 bytes.

import {
  ARGS_MAX,
  DEVICES_MAX,
  ENV_MAX,
  ENVIRONMENT_FILES_MAX,
  LABELS_MAX,
  PORTS_MAX,
  REPLICAS_MAX,
  SECRETS_MAX,
  SERVICE_TASKS_MAX,
  SLOT_BODY_BYTES_MAX,
} from "../kernel/limits.ts";
import {
  concatBytes,
  decodeFields,
  encodeFields,
  encodeTextItem,
  type FieldCodec,
  type FieldReader,
  readTextItem,
} from "./fields.ts";
import { formatPath } from "./problem.ts";
import {
  ARCHITECTURES,
  type HealthCheck,
  NETWORK_REACHES,
  PERSONAS,
  RESTART_POLICIES,
  type ServicePort,
  type ServiceSpec,
} from "./service.ts";
import { HEALTH_TIMING_DEFAULT, SERVICE_DEFAULTS } from "./service-defaults.ts";
import { ServiceError, validateService, ZONE_MAX } from "./service-rules.ts";
import { GIT_COMMIT } from "./text-rules.ts";
import {
  ARGUMENT_TOKENS,
  DEVICE_TOKENS,
  ENV_NAME_TOKENS,
  EXEC_TOKENS,
  encodeText,
  FLAKE_TOKENS,
  HTTP_PATH_TOKENS,
  NO_TOKENS,
  type TokenTable,
} from "./tokens.ts";
import { type ByteReader, ByteWriter, FormatError } from "./varint.ts";

const REPLICAS_ALL = 0;
const PORT_IS_UDP = 1;
const PORT_HAS_NAME = 2;

type ServiceField = FieldCodec<ServiceSpec>;

/**
 * The body of a service slot.
 * @throws ServiceError when the service breaks a rule, SlotTooLargeError above SLOT_BODY_BYTES_MAX
 */
export function encodeService(spec: ServiceSpec): Uint8Array {
  const problems = validateService(spec);
  if (problems.length > 0) {
    const reasons = problems.map(({ path, message }) => `${formatPath(path)}: ${message}`);
    throw new ServiceError(`service "${spec.name}": ${reasons.join("; ")}`, problems);
  }
  return encodeFields(FIELDS, spec, `service "${spec.name}"`, SLOT_BODY_BYTES_MAX);
}

/** The service of a slot's body. Throws FormatError for anything a sound author cannot have written. */
export function decodeService(bytes: Uint8Array): ServiceSpec {
  if (bytes.length > SLOT_BODY_BYTES_MAX) {
    throw new FormatError(`a service of ${bytes.length} bytes; ${SLOT_BODY_BYTES_MAX} are allowed`);
  }
  const spec = decodeFields(FIELDS, bytes, { name: "", exec: "", ...SERVICE_DEFAULTS });
  const [problem] = validateService(spec);
  if (problem !== undefined) {
    throw new FormatError(`service ${formatPath(problem.path)}: ${problem.message}`);
  }
  return spec;
}

const FIELDS: readonly ServiceField[] = [
  {
    tag: 1,
    name: "name",
    write: (spec) => encodeText(spec.name, NO_TOKENS),
    read: (field) => ({ name: field.text(NO_TOKENS) }),
  },
  {
    tag: 2,
    name: "flake",
    write: (spec) => (spec.flake === "" ? null : encodeText(spec.flake, FLAKE_TOKENS)),
    read: (field) => ({ flake: field.text(FLAKE_TOKENS) }),
  },
  {
    tag: 3,
    name: "exec",
    write: (spec) => encodeText(spec.exec, EXEC_TOKENS),
    read: (field) => ({ exec: field.text(EXEC_TOKENS) }),
  },
  {
    tag: 4,
    name: "args",
    write: (spec) => textList(spec.args, ARGUMENT_TOKENS),
    read: (field) => ({ args: readTexts(field, ARGS_MAX, ARGUMENT_TOKENS) }),
  },
  {
    tag: 5,
    name: "env",
    write: (spec) => pairList(spec.env, ENV_NAME_TOKENS, ARGUMENT_TOKENS),
    read: (field) => ({
      env: field.list(ENV_MAX, (reader) => [
        readTextItem(reader, ENV_NAME_TOKENS),
        readTextItem(reader, ARGUMENT_TOKENS),
      ]),
    }),
  },
  {
    tag: 6,
    name: "ports",
    write: (spec) => (spec.ports.length === 0 ? null : concatBytes(spec.ports.map(encodePort))),
    read: (field) => ({ ports: field.list(PORTS_MAX, readPort) }),
  },
  {
    tag: 7,
    name: "arch",
    write: (spec) =>
      spec.arch.reduce((set, arch) => set | (1 << ARCHITECTURES.indexOf(arch)), 0) || null,
    read: (field) => {
      const set = field.number(2 ** ARCHITECTURES.length - 1);
      return { arch: ARCHITECTURES.filter((_, index) => (set & (1 << index)) !== 0) };
    },
  },
  {
    tag: 8,
    name: "devices",
    write: (spec) => textList(spec.devices, DEVICE_TOKENS),
    read: (field) => ({ devices: readTexts(field, DEVICES_MAX, DEVICE_TOKENS) }),
  },
  {
    tag: 9,
    name: "zone",
    write: (spec) => spec.zone,
    read: (field) => ({ zone: field.number(ZONE_MAX) }),
  },
  {
    tag: 10,
    name: "labels",
    write: (spec) => pairList(spec.labels, NO_TOKENS, NO_TOKENS),
    read: (field) => ({
      labels: field.list(LABELS_MAX, (reader) => [
        readTextItem(reader, NO_TOKENS),
        readTextItem(reader, NO_TOKENS),
      ]),
    }),
  },
  {
    tag: 11,
    name: "replicas",
    write: ({ replicas }) => (replicas === 1 ? null : replicas === "all" ? REPLICAS_ALL : replicas),
    read: (field) => {
      const count = field.number(REPLICAS_MAX);
      return { replicas: count === REPLICAS_ALL ? "all" : count };
    },
  },
  flagField(12, "singleton"),
  {
    tag: 13,
    name: "health.http",
    write: ({ health }) =>
      health?.kind === "http" ? encodeText(health.path, HTTP_PATH_TOKENS) : null,
    read: (field, soFar) =>
      firstHealth(soFar, {
        kind: "http",
        path: field.text(HTTP_PATH_TOKENS),
        port: soFar.ports[0]?.port ?? 0,
        ...HEALTH_TIMING_DEFAULT,
      }),
  },
  {
    tag: 14,
    name: "health.port",
    write: ({ health, ports }) =>
      health?.kind !== "http" || health.port === ports[0]?.port ? null : health.port,
    read: (field, soFar) => {
      if (soFar.health?.kind !== "http") throw new FormatError("health.port without health.http");
      return { health: { ...soFar.health, port: field.number() } };
    },
  },
  {
    tag: 15,
    name: "health.tcp",
    write: ({ health }) => (health?.kind === "tcp" ? health.port : null),
    read: (field, soFar) =>
      firstHealth(soFar, { kind: "tcp", port: field.number(), ...HEALTH_TIMING_DEFAULT }),
  },
  {
    tag: 16,
    name: "health.exec",
    write: ({ health }) => (health?.kind === "exec" ? commandList(health.command) : null),
    read: (field, soFar) =>
      firstHealth(soFar, { kind: "exec", command: readCommand(field), ...HEALTH_TIMING_DEFAULT }),
  },
  healthTimeField(17, "intervalMs"),
  healthTimeField(18, "timeoutMs"),
  healthTimeField(19, "graceMs"),
  {
    tag: 20,
    name: "preStart",
    write: (spec) => commandList(spec.preStart),
    read: (field) => ({ preStart: readCommand(field) }),
  },
  {
    tag: 21,
    name: "memory",
    write: (spec) => spec.memoryMaxBytes || null,
    read: (field) => ({ memoryMaxBytes: field.number() }),
  },
  {
    tag: 22,
    name: "cpu",
    write: (spec) => spec.cpuQuotaPercent || null,
    read: (field) => ({ cpuQuotaPercent: field.number() }),
  },
  {
    tag: 23,
    name: "persona",
    write: (spec) => PERSONAS.indexOf(spec.persona) || null,
    read: (field) => ({ persona: PERSONAS[field.number(PERSONAS.length - 1)]! }),
  },
  {
    tag: 24,
    name: "lock",
    write: ({ lock }) => (lock === "" ? null : encodeLock(lock)),
    read: (field) => ({ lock: decodeLock(field) }),
  },
  flagField(25, "jit"),
  {
    tag: 26,
    name: "secrets",
    write: (spec) => textList(spec.secrets, NO_TOKENS),
    read: (field) => ({ secrets: readTexts(field, SECRETS_MAX, NO_TOKENS) }),
  },
  {
    tag: 27,
    name: "environmentFiles",
    write: (spec) => textList(spec.environmentFiles, NO_TOKENS),
    read: (field) => ({ environmentFiles: readTexts(field, ENVIRONMENT_FILES_MAX, NO_TOKENS) }),
  },
  {
    tag: 28,
    name: "restart",
    write: (spec) => RESTART_POLICIES.indexOf(spec.restart) || null,
    read: (field) => ({ restart: RESTART_POLICIES[field.number(RESTART_POLICIES.length - 1)]! }),
  },
  {
    tag: 29,
    name: "watchdog",
    write: (spec) => spec.watchdogMs || null,
    read: (field) => ({ watchdogMs: field.number() }),
  },
  {
    tag: 30,
    name: "schedule",
    write: ({ schedule }) => (schedule === "" ? null : encodeText(schedule, NO_TOKENS)),
    read: (field) => ({ schedule: field.text(NO_TOKENS) }),
  },
  flagField(31, "socketActivated"),
  {
    tag: 32,
    name: "slice",
    write: ({ slice }) => (slice === "" ? null : encodeText(slice, NO_TOKENS)),
    read: (field) => ({ slice: field.text(NO_TOKENS) }),
  },
  {
    tag: 33,
    name: "network",
    write: (spec) => NETWORK_REACHES.indexOf(spec.network) || null,
    read: (field) => ({ network: NETWORK_REACHES[field.number(NETWORK_REACHES.length - 1)]! }),
  },
  {
    tag: 34,
    name: "tasks",
    write: ({ tasksMax }) => (tasksMax === SERVICE_DEFAULTS.tasksMax ? null : tasksMax),
    read: (field) => ({ tasksMax: field.number(SERVICE_TASKS_MAX) }),
  },
];

function flagField(tag: number, key: "jit" | "singleton" | "socketActivated"): ServiceField {
  return {
    tag,
    name: key,
    write: (spec) => (spec[key] ? 1 : null),
    read: (field) => ({ [key]: field.number(1) === 1 }),
  };
}

function healthTimeField(tag: number, key: keyof typeof HEALTH_TIMING_DEFAULT): ServiceField {
  return {
    tag,
    name: `health.${key}`,
    write: ({ health }) =>
      health === null || health[key] === HEALTH_TIMING_DEFAULT[key] ? null : health[key],
    read: (field, soFar) => {
      if (soFar.health === null) throw new FormatError(`health.${key} without a health check`);
      return { health: { ...soFar.health, [key]: field.number() } };
    },
  };
}

/** A commit as its 20 or 32 bytes, anything else as text: a NAR hash takes 51. */
function encodeLock(lock: string): Uint8Array {
  if (!GIT_COMMIT.test(lock)) return encodeText(lock, NO_TOKENS);
  return Uint8Array.from({ length: lock.length / 2 }, (_, index) =>
    Number.parseInt(lock.slice(2 * index, 2 * index + 2), 16),
  );
}

function decodeLock(field: FieldReader): string {
  const bytes = field.bytes();
  if (bytes.length !== 20 && bytes.length !== 32) return field.text(NO_TOKENS);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function firstHealth(soFar: ServiceSpec, health: HealthCheck): Pick<ServiceSpec, "health"> {
  if (soFar.health !== null) throw new FormatError("two health checks");
  return { health };
}

function textList(texts: readonly string[], table: TokenTable): Uint8Array | null {
  if (texts.length === 0) return null;
  return concatBytes(texts.map((text) => encodeTextItem(text, table)));
}

function readTexts(field: FieldReader, itemsMax: number, table: TokenTable): string[] {
  return field.list(itemsMax, (reader) => readTextItem(reader, table));
}

/** A program and its arguments, each with the tokens of its kind. */
function commandList(command: readonly string[]): Uint8Array | null {
  if (command.length === 0) return null;
  return concatBytes(
    command.map((text, index) => encodeTextItem(text, index === 0 ? EXEC_TOKENS : ARGUMENT_TOKENS)),
  );
}

function readCommand(field: FieldReader): string[] {
  let table: TokenTable = EXEC_TOKENS;
  return field.list(ARGS_MAX + 1, (reader) => {
    const text = readTextItem(reader, table);
    table = ARGUMENT_TOKENS;
    return text;
  });
}

function pairList(
  pairs: readonly (readonly [name: string, value: string])[],
  nameTable: TokenTable,
  valueTable: TokenTable,
): Uint8Array | null {
  if (pairs.length === 0) return null;
  return concatBytes(
    pairs.flatMap(([name, value]) => [
      encodeTextItem(name, nameTable),
      encodeTextItem(value, valueTable),
    ]),
  );
}

/** u16 port, u8 flags, and the name when there is one. */
function encodePort({ port, protocol, name }: ServicePort): Uint8Array {
  const nameItem = name === "" ? new Uint8Array(0) : encodeTextItem(name, NO_TOKENS);
  const writer = new ByteWriter(new Uint8Array(3 + nameItem.length));
  writer.u16(port);
  writer.u8((protocol === "udp" ? PORT_IS_UDP : 0) | (name === "" ? 0 : PORT_HAS_NAME));
  writer.raw(nameItem);
  return writer.written();
}

function readPort(reader: ByteReader): ServicePort {
  const port = reader.u16();
  const flags = reader.u8();
  if (flags > (PORT_IS_UDP | PORT_HAS_NAME)) throw new FormatError(`port flags ${flags}`);
  const protocol = (flags & PORT_IS_UDP) !== 0 ? "udp" : "tcp";
  return {
    port,
    protocol,
    name: (flags & PORT_HAS_NAME) !== 0 ? readTextItem(reader, NO_TOKENS) : "",
  };
}
