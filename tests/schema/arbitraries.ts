// Draws sound services and nodes, over the whole range of every field.

import fc from "fast-check";
import { LABEL_VALUE_BYTES_MAX } from "../../src/kernel/limits.ts";
import { formatEndpoint } from "../../src/schema/endpoint.ts";
import { CLAIM_STATES, type NodeInfo } from "../../src/schema/node-info.ts";
import {
  ARCHITECTURES,
  type HealthCheck,
  NETWORK_REACHES,
  PERSONAS,
  RESTART_POLICIES,
  type ServicePort,
  type ServiceSpec,
} from "../../src/schema/service.ts";
import { HEALTH_TIMING_DEFAULT, SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";
import {
  ARGUMENT_TOKENS,
  DEVICE_TOKENS,
  ENV_NAME_TOKENS,
  EXEC_TOKENS,
  FLAKE_TOKENS,
  HTTP_PATH_TOKENS,
} from "../../src/schema/tokens.ts";

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const plainText = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .filter((text) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff\p{Noncharacter_Code_Point}]/u.test(text));

const argument = fc.oneof(
  plainText,
  fc.tuple(fc.constantFrom(...ARGUMENT_TOKENS), plainText).map((parts) => parts.join("")),
);
const flakeUri = fc
  .tuple(fc.constantFrom("flake:", ...FLAKE_TOKENS), word)
  .map((parts) => parts.join(""));
const absoluteExec = fc
  .tuple(fc.constantFrom(...EXEC_TOKENS.filter((token) => token.startsWith("/")), "/"), word)
  .map((parts) => parts.join(""));
const relativeExec = fc
  .tuple(fc.constantFrom(...EXEC_TOKENS.filter((token) => !token.startsWith("/")), ""), word)
  .map((parts) => parts.join(""));

const device = fc
  .tuple(fc.constantFrom(...DEVICE_TOKENS), word)
  .map(([token, tail]) => token + tail);
export const deviceList = fc.uniqueArray(device, { maxLength: 4 }).map((devices) => devices.sort());

const sortedPairs = (
  name: fc.Arbitrary<string>,
  value: fc.Arbitrary<string>,
): fc.Arbitrary<(readonly [string, string])[]> =>
  fc
    .uniqueArray(fc.tuple(name, value), { maxLength: 4, selector: ([key]) => key })
    .map((pairs) => pairs.sort(([a], [b]) => (a < b ? -1 : 1)));

export const labelList = sortedPairs(
  fc.stringMatching(/^[a-z][a-z0-9./_-]{0,8}[a-z]$/),
  // Twelve of the widest graphemes are more bytes than a label may have.
  plainText.filter((text) => Buffer.byteLength(text) <= LABEL_VALUE_BYTES_MAX),
);
const envList = sortedPairs(
  fc.oneof(
    fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/),
    fc.tuple(fc.constantFrom(...ENV_NAME_TOKENS), word).map((parts) => parts.join("")),
  ),
  argument,
);

const portNumber = fc.integer({ min: 1, max: 65_535 });
const portList: fc.Arbitrary<ServicePort[]> = fc
  .uniqueArray(portNumber, { maxLength: 4 })
  .chain((ports) =>
    fc.tuple(
      ...ports.map((port, index) =>
        fc.record({
          port: fc.constant(port),
          protocol: fc.constantFrom("tcp" as const, "udp" as const),
          name: fc.constantFrom("", `p${index}`, `metrics-${index}`),
        }),
      ),
    ),
  );

const healthTiming = fc.oneof(
  fc.constant({ ...HEALTH_TIMING_DEFAULT }),
  fc
    .record({
      intervalMs: fc.integer({ min: 100, max: 3_600_000 }),
      timeoutMs: fc.integer({ min: 100, max: 3_600_000 }),
      graceMs: fc.integer({ min: 0, max: 3_600_000 }),
    })
    .map((timing) => ({ ...timing, timeoutMs: Math.min(timing.intervalMs, timing.timeoutMs) })),
);
const healthTarget = fc.oneof(
  fc.record({
    kind: fc.constant("http" as const),
    port: portNumber,
    path: fc.tuple(fc.constantFrom("/", ...HTTP_PATH_TOKENS), word).map((parts) => parts.join("")),
  }),
  fc.record({ kind: fc.constant("tcp" as const), port: portNumber }),
  fc.record({
    kind: fc.constant("exec" as const),
    command: fc.tuple(absoluteExec, argument, argument),
  }),
);
const healthCheck: fc.Arbitrary<HealthCheck> = fc
  .tuple(healthTarget, healthTiming)
  .map(([target, timing]) => ({ ...target, ...timing }));

const program = fc.oneof(
  fc.record({ flake: fc.constant(""), exec: absoluteExec }),
  fc.record({ flake: flakeUri, exec: fc.oneof(absoluteExec, relativeExec) }),
);
const count = fc.oneof(
  fc.record({
    replicas: fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.constant("all" as const)),
    singleton: fc.constant(false),
  }),
  fc.constant({ replicas: 1, singleton: true } as const),
);

const lock = fc.oneof(
  fc.constant(""),
  fc.stringMatching(/^[0-9a-f]{40}$/),
  fc.stringMatching(/^[0-9a-f]{64}$/),
  fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((digest) => `sha256-${Buffer.from(digest).toString("base64")}`),
);
const secretName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/);
const schedule = fc.oneof(
  fc.constantFrom("daily", "Mon..Fri 03:30", "*-*-01 00:00 UTC", "weekly Europe/Berlin"),
  fc
    .tuple(fc.nat(23), fc.nat(29), fc.integer({ min: 1, max: 30 }))
    .map(([hour, minute, every]) => `${hour}:${minute}/${every}:00`),
);

/** What a service may say of how it lives, before what excludes something else is taken away. */
const life = fc.record({
  lock,
  jit: fc.boolean(),
  secrets: fc.uniqueArray(secretName, { maxLength: 3 }).map((names) => names.sort()),
  environmentFiles: fc.uniqueArray(secretName, { maxLength: 2 }),
  restart: fc.constantFrom(...RESTART_POLICIES),
  watchdogMs: fc.oneof(fc.constant(0), fc.integer({ min: 1_000, max: 3_600_000 })),
  schedule: fc.oneof({ weight: 3, arbitrary: fc.constant("") }, schedule),
  socketActivated: fc.boolean(),
  slice: fc.oneof(fc.constant(""), fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/)),
  network: fc.constantFrom(...NETWORK_REACHES),
  tasksMax: fc.oneof(fc.constant(100), fc.integer({ min: 1, max: 32_768 })),
});

/** Takes away what two fields may not say together. */
function reconciled(spec: ServiceSpec): ServiceSpec {
  const isJob = spec.schedule !== "";
  const socketActivated = spec.socketActivated && !isJob && spec.ports.length > 0;
  const isUnreachable = spec.network === "none" && !socketActivated;
  const isAsked = spec.health !== null && spec.health.kind !== "exec";
  return {
    ...spec,
    socketActivated,
    lock: spec.flake === "" ? "" : spec.lock,
    ports: isUnreachable ? [] : spec.ports,
    health: isJob || (isUnreachable && isAsked) ? null : spec.health,
    watchdogMs: isJob ? 0 : spec.watchdogMs,
  };
}

/** A sound service. Small enough for a slot, nearly always. */
export const anyService: fc.Arbitrary<ServiceSpec> = fc
  .tuple(
    program,
    count,
    fc.oneof(fc.record({}), life),
    fc.record({
      name: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}[a-z0-9]$/),
      args: fc.array(argument, { maxLength: 5 }),
      env: envList,
      ports: portList,
      arch: fc.subarray([...ARCHITECTURES]),
      devices: deviceList,
      zone: fc.option(fc.integer({ min: 0, max: 255 })),
      labels: labelList,
      health: fc.option(healthCheck),
      preStart: fc.oneof(fc.constant([]), fc.tuple(absoluteExec, argument)),
      memoryMaxBytes: fc.oneof(fc.constant(0), fc.integer({ min: 2 ** 20, max: 2 ** 46 })),
      cpuQuotaPercent: fc.integer({ min: 0, max: 102_400 }),
      persona: fc.constantFrom(...PERSONAS),
    }),
  )
  .map((parts) => reconciled(Object.assign({}, SERVICE_DEFAULTS, ...parts)));

export const anyEndpoint = fc
  .oneof(
    fc.record({
      family: fc.constant(4 as const),
      address: fc
        .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255))
        .map((bytes) => Uint8Array.from(bytes)),
      port: portNumber,
    }),
    fc.record({
      family: fc.constant(6 as const),
      address: fc
        .tuple(
          fc.constantFrom(0x20, 0xfd, 0xfe),
          fc.array(fc.constantFrom(0, 0, 0, 1, 0x0a, 0xff), { minLength: 15, maxLength: 15 }),
        )
        .map(([first, rest]) => Uint8Array.from([first, ...rest])),
      port: portNumber,
    }),
  )
  .map(formatEndpoint);

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

export const anyNodeInfo: fc.Arbitrary<NodeInfo> = fc.record({
  certificate: fc.uint8Array({ minLength: 1, maxLength: 128 }),
  hostname: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,12}[a-z0-9]$/),
  endpoints: fc.array(anyEndpoint, { maxLength: 3 }),
  arch: fc.constantFrom(...ARCHITECTURES),
  memoryMiB: fc.integer({ min: 0, max: 2 ** 26 }),
  devices: deviceList.map((devices) => devices.slice(0, 2)),
  labels: labelList.map((labels) => labels.slice(0, 2)),
  draining: fc.boolean(),
  claims: fc.array(
    fc.record({ service: u32, generation: u32, state: fc.constantFrom(...CLAIM_STATES) }),
    { maxLength: 48 },
  ),
  tombstoneAck: fc.option(fc.record({ horizon: fc.maxSafeNat(), xorLow: u32, xorHigh: u32 })),
});
