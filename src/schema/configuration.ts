// The daemon's configuration: YAML that people write, checked and completed by one schema.
// Every setting is described beside its default; docs/configuration.md is made from here.

import * as z from "zod/mini";
import {
  CONFIGURATION_BYTES_MAX,
  DEVICES_MAX,
  ENDPOINTS_MAX,
  LABEL_VALUE_BYTES_MAX,
  LABELS_MAX,
  SEED_PEERS_MAX,
} from "../kernel/limits.ts";
import type { Endpoint } from "../kernel/ports.ts";
import { canonicalEndpoint, isDialable, parseEndpoint, parseIpv4, parseIpv6 } from "./endpoint.ts";
import { FLOW_SCHEMA, type FlowSettings, toFlowSettings } from "./flow-settings.ts";
import { formatProblem, type LocatedProblem, locateProblems } from "./problem.ts";
import {
  explainIssue,
  list,
  PATH_BYTES_MAX,
  path,
  setting,
  text,
  wholeNumber,
  yesOrNo,
} from "./setting.ts";
import { DEVICE_PATH, HOST_LABEL, isPlainText, LABEL_NAME, utf8Length } from "./text-rules.ts";
import { parseDurationMs, parseSizeBytes } from "./units.ts";
import { type PlacedProblem, readYaml } from "./yaml-document.ts";

/** A configuration that is refused. The message shows every mistake in its line. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly code = "ERR_CONFIGURATION";
  /** In the file's order. */
  readonly problems: readonly LocatedProblem[];

  constructor(fileName: string, problems: readonly LocatedProblem[]) {
    super(problems.map((problem) => formatProblem(fileName, problem)).join("\n"));
    this.problems = problems;
  }
}

export interface Configuration {
  readonly dataDir: string;
  readonly socket: string;
  /** Port 0: one the system picks. */
  readonly listen: readonly Endpoint[];
  /** Empty: what can be found out from the interfaces. */
  readonly advertise: readonly Endpoint[];
  /** Null: the machine's own. */
  readonly hostname: string | null;
  /** `HOST:PORT` with a name or an address, IPv6 in brackets. */
  readonly peers: readonly string[];
  /** Sorted by name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Sorted, each once. */
  readonly devices: readonly string[];
  /** Null: the machine's own. */
  readonly memoryMiB: number | null;
  readonly dns: {
    /** Null: no DNS. */
    readonly listen: Endpoint | null;
    readonly ttlSeconds: number;
    /** Lower case, without a dot at its end. */
    readonly domain: string;
  };
  readonly engine: {
    readonly kind: "embedded" | "systemd" | "none";
    readonly maxConcurrentStarts: number;
    readonly stableWaitMs: number;
    readonly workDir: string;
    /** An IP address; null: that of the first endpoint the node is reached at. */
    readonly address: string | null;
    readonly secretsDir: string;
    readonly auditLog: string;
    readonly buildTimeoutMs: number;
    /** 0: none. */
    readonly reserveBytes: number;
    readonly collectAbovePercent: number;
  };
  readonly log: {
    readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
    readonly format: "json" | "pretty";
  };
  /** False: the node is in no cluster, and needs no identity. */
  readonly mesh: { readonly enabled: boolean };
  readonly flow: FlowSettings;
  /** The UCI file whose options stand in place of `flow`; null: none. */
  readonly uci: string | null;
  /** A path, or "auto": the usual one, if there is a socket; null: ubus is left alone. */
  readonly ubus: string | null;
}

const STABLE_WAIT_MIN_MS = 100;
const STABLE_WAIT_MAX_MS = 300_000;
const BUILD_TIMEOUT_MIN_MS = 1_000;
const BUILD_TIMEOUT_MAX_MS = 24 * 3_600_000;
/** A unix socket's path, its final NUL not counted (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
const MIB = 2 ** 20;

const listenEndpoint = text(
  "an address and a port such as 0.0.0.0:7946, or [::]:7946 in quotes",
  (value) => canonicalEndpoint(value) !== null,
);

const dialableEndpoint = text(
  "an address others can reach and a port, such as 192.0.2.1:7946, or [2001:db8::1]:7946 in quotes",
  (value) => {
    const endpoint = parseEndpoint(value);
    return endpoint !== null && isDialable(endpoint);
  },
);

const HOST_AND_PORT =
  /^(?=.{1,259}$)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?:([1-9][0-9]{0,4})$/;

/** A dotted quad that is none, such as 300.1.1.1, does not pass as a name. */
function isPeer(value: string): boolean {
  const endpoint = parseEndpoint(value);
  if (endpoint !== null) return isDialable(endpoint);
  const port = HOST_AND_PORT.exec(value)?.[1];
  return port !== undefined && Number(port) <= 65_535 && !/^[0-9.]+:/.test(value);
}

const labelRule = `a text of at most ${LABEL_VALUE_BYTES_MAX} bytes, in quotes when it is a number`;
const labelMap = z
  .record(
    text("lower-case letters, digits and . _ / - inside a name, at most 63", (name) =>
      LABEL_NAME.test(name),
    ),
    text(labelRule, (value) => isPlainText(value, LABEL_VALUE_BYTES_MAX)),
    `at most ${LABELS_MAX} names with a text each`,
  )
  .check(
    z.refine(
      (labels) => Object.keys(labels).length <= LABELS_MAX,
      `at most ${LABELS_MAX} names with a text each`,
    ),
  );

const device = text("a path below /dev, such as /dev/dri", (value) => DEVICE_PATH.test(value));

const hostname = text("a host name of one label, such as cellar, in lower case", (value) =>
  HOST_LABEL.test(value),
);

const memory = text(
  'a size such as "512M" or "4G"',
  (value) => (parseSizeBytes(value) ?? 0) >= MIB,
);

const domain = text("a domain in lower case without a dot at its end, such as myco", (value) => {
  const labels = value.split(".");
  return value.length <= 200 && labels.every((label) => HOST_LABEL.test(label));
});

const stableWait = text('a duration from "100ms" to "5m"', (value) => {
  const waitMs = parseDurationMs(value) ?? 0;
  return waitMs >= STABLE_WAIT_MIN_MS && waitMs <= STABLE_WAIT_MAX_MS;
});

const buildTimeout = text('a duration from "1s" to "24h"', (value) => {
  const timeoutMs = parseDurationMs(value) ?? 0;
  return timeoutMs >= BUILD_TIMEOUT_MIN_MS && timeoutMs <= BUILD_TIMEOUT_MAX_MS;
});

const reserve = z.union(
  [
    z.literal(0),
    z.literal("0"),
    text('a size such as "500M"', (value) => parseSizeBytes(value) !== null),
  ],
  'a size such as "500M", or 0',
);

const ipAddress = text(
  "an IP address such as 192.0.2.1",
  (value) => parseIpv4(value) !== null || parseIpv6(value) !== null,
);

const dnsSettings = z.strictObject(
  {
    listen: setting(
      "The address and UDP port that answers names of the cluster; false: none.",
      "127.0.0.1:53",
      z.union(
        [z.literal(false), listenEndpoint],
        "an address and a port such as 127.0.0.1:53, or false",
      ),
    ),
    ttlSeconds: setting("Seconds an answer may be kept.", 5, wholeNumber(0, 3600)),
    domain: setting("The domain names of the cluster end in.", "myco", domain),
  },
  "an object with listen, ttlSeconds and domain",
);

const engineSettings = z.strictObject(
  {
    kind: setting(
      "What runs services here: systemd (hardened units, flakes built by nix), embedded (plain commands as child processes of the daemon) or none.",
      "embedded",
      z.enum(["embedded", "systemd", "none"], '"embedded", "systemd" or "none"'),
    ),
    maxConcurrentStarts: setting("Services that may be starting at a time.", 2, wholeNumber(1, 16)),
    stableWait: setting(
      "Time a placement must stand before a service moves here.",
      "2s",
      stableWait,
    ),
    workDir: setting(
      "Folder of the services' own folders and logs; null: work in dataDir.",
      null,
      z.nullable(path("/var/lib/myco/work", PATH_BYTES_MAX)),
    ),
    address: setting(
      "The IP address services are asked to listen on (MYCO_ADDRESS) and are checked at; null: that of the first endpoint the node is reached at.",
      null,
      z.nullable(ipAddress),
    ),
    secretsDir: setting(
      "Folder of the files that services name as secrets and environment files.",
      "/etc/myco/secrets",
      path("/etc/myco/secrets", PATH_BYTES_MAX),
    ),
    auditLog: setting(
      "File with one line for each deployment that went live here.",
      "/var/log/myco/audit.log",
      path("/var/log/myco/audit.log", PATH_BYTES_MAX),
    ),
    buildTimeout: setting("Time a build may take.", "1h", buildTimeout),
    reserve: setting(
      "Disk space held back for the day the disk is full; 0: none.",
      "500M",
      reserve,
    ),
    collectAbovePercent: setting(
      "How full the nix store's disk is when what nothing uses any more is deleted.",
      85,
      wholeNumber(50, 99),
    ),
  },
  "an object with kind, maxConcurrentStarts, stableWait, workDir, address, secretsDir, auditLog, buildTimeout, reserve and collectAbovePercent",
);

const logSettings = z.strictObject(
  {
    level: setting(
      "The least a message must matter to be written.",
      "info",
      z.enum(
        ["trace", "debug", "info", "warn", "error", "fatal"],
        "trace, debug, info, warn, error, fatal",
      ),
    ),
    format: setting(
      "json: one object a line; pretty: for people.",
      "json",
      z.enum(["json", "pretty"], '"json" or "pretty"'),
    ),
  },
  "an object with level and format",
);

const meshSettings = z.strictObject(
  {
    enabled: setting(
      "Take part in a cluster; false: no identity is needed, and only the flow plane runs.",
      true,
      yesOrNo(),
    ),
  },
  "an object with enabled",
);

/** The file's structure. Every setting has its default and its description. */
export const CONFIGURATION_SCHEMA = z.strictObject(
  {
    dataDir: setting(
      "Folder of the node's key, certificate and log.",
      "/var/lib/myco",
      path("/var/lib/myco", PATH_BYTES_MAX),
    ),
    socket: setting(
      "The unix socket of the API.",
      "/run/myco/myco.sock",
      path("/run/myco/myco.sock", SOCKET_PATH_BYTES_MAX),
    ),
    listen: setting(
      "Addresses and UDP ports the mesh listens on; port 0: one the system picks.",
      ["0.0.0.0:7946", "[::]:7946"],
      list(listenEndpoint, ENDPOINTS_MAX).check(
        z.minLength(1, `a list of 1 to ${ENDPOINTS_MAX} items`),
      ),
    ),
    advertise: setting(
      "Where other nodes reach this one, best first; empty: found out from the interfaces.",
      [],
      list(dialableEndpoint, ENDPOINTS_MAX),
    ),
    hostname: setting(
      "The node's name for people; null: the machine's own.",
      null,
      z.nullable(hostname),
    ),
    peers: setting(
      "Nodes to meet the cluster through, as HOST:PORT.",
      [],
      list(
        text('a name or an address and a port, such as "node1.example.org:7946"', isPeer),
        SEED_PEERS_MAX,
      ),
    ),
    labels: setting("Labels that services can ask for, by name.", {}, labelMap),
    devices: setting("Device paths that services can ask for.", [], list(device, DEVICES_MAX)),
    memory: setting(
      'Memory offered to services, such as "4G"; null: the machine\'s own.',
      null,
      z.nullable(memory),
    ),
    dns: setting("Names of services, NAME.myco.", {}, dnsSettings),
    engine: setting("How services are run.", {}, engineSettings),
    log: setting("What the daemon writes about itself to standard error.", {}, logSettings),
    mesh: setting("The cluster's plane.", {}, meshSettings),
    flow: setting("The line's plane.", {}, FLOW_SCHEMA),
    uci: setting(
      "A UCI file, such as /etc/config/mycoflow, whose options stand in place of flow; null: none.",
      null,
      z.nullable(path("/etc/config/mycoflow", PATH_BYTES_MAX)),
    ),
    ubus: setting(
      "OpenWrt's bus, where the daemon offers myco and reads UCI: auto (if there is one), its socket's path, or false.",
      "auto",
      z.union(
        [
          z.literal(false),
          z.literal("auto"),
          path("/var/run/ubus/ubus.sock", SOCKET_PATH_BYTES_MAX),
        ],
        '"auto", an absolute path such as /var/run/ubus/ubus.sock, or false',
      ),
    ),
  },
  "settings by name, such as dataDir: /var/lib/myco",
);

/**
 * Reads a configuration file; an empty one is all defaults.
 * @param fileName for the messages
 * @throws ConfigurationError
 */
export function parseConfiguration(source: string, fileName: string): Configuration {
  const refuse = (problems: readonly PlacedProblem[]): never => {
    throw new ConfigurationError(fileName, locateProblems(source, problems));
  };
  if (utf8Length(source) > CONFIGURATION_BYTES_MAX) {
    const message = `the file is above ${CONFIGURATION_BYTES_MAX} bytes; is it the right one?`;
    return refuse([{ path: [], message, offset: 0 }]);
  }
  const { document, problems } = readYaml(source);
  if (document === null) return refuse(problems);
  const result = CONFIGURATION_SCHEMA.safeParse(document.value ?? {});
  if (result.success) return toConfiguration(result.data);
  const explained = result.error.issues.flatMap((issue) =>
    explainIssue(CONFIGURATION_SCHEMA, document.value, issue),
  );
  return refuse(explained.map((problem) => document.place(problem)));
}

/** Units and defaults resolved, lists sorted where order means nothing, endpoints canonical. */
function toConfiguration(settings: z.output<typeof CONFIGURATION_SCHEMA>): Configuration {
  const { dns, engine, memory: memorySize, labels, devices, ...same } = settings;
  const sizeBytes = memorySize === null ? null : parseSizeBytes(memorySize);
  return {
    ...same,
    listen: settings.listen.map(toCanonical),
    advertise: settings.advertise.map(toCanonical),
    peers: settings.peers.map(toCanonical),
    labels: Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)),
    devices: [...new Set(devices)].sort(),
    memoryMiB: sizeBytes === null ? null : Math.floor(sizeBytes / MIB),
    dns: { ...dns, listen: dns.listen === false ? null : toCanonical(dns.listen) },
    engine: {
      kind: engine.kind,
      maxConcurrentStarts: engine.maxConcurrentStarts,
      stableWaitMs: parseDurationMs(engine.stableWait) ?? STABLE_WAIT_MIN_MS,
      workDir: engine.workDir ?? `${settings.dataDir}/work`,
      address: engine.address,
      secretsDir: engine.secretsDir,
      auditLog: engine.auditLog,
      buildTimeoutMs: parseDurationMs(engine.buildTimeout) ?? BUILD_TIMEOUT_MIN_MS,
      reserveBytes: engine.reserve === 0 ? 0 : (parseSizeBytes(engine.reserve) ?? 0),
      collectAbovePercent: engine.collectAbovePercent,
    },
    flow: toFlowSettings(settings.flow),
    ubus: settings.ubus === false ? null : settings.ubus,
  };
}

/** Canonical where it is an address; a name stays as it is. */
function toCanonical(value: string): string {
  return canonicalEndpoint(value) ?? value;
}
