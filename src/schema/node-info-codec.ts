// What a node says of itself, as the body of its slot. Everything but its certificate and
// claims is held to NODE_FACTS_BYTES_MAX from the start, so that a node which took on its
// last claim can always publish it.

import { assert } from "../kernel/assert.ts";
import {
  CERTIFICATE_BYTES_MAX,
  CLAIM_BYTES,
  CLAIMS_MAX,
  DEVICES_MAX,
  ENDPOINTS_MAX,
  LABELS_MAX,
  NODE_FACTS_BYTES_MAX,
  SLOT_BODY_BYTES_MAX,
} from "../kernel/limits.ts";
import type { Endpoint } from "../kernel/ports.ts";
import { formatEndpoint, isDialable, parseEndpoint } from "./endpoint.ts";
import {
  concatBytes,
  decodeFields,
  encodeFields,
  encodeTextItem,
  type FieldCodec,
  readTextItem,
} from "./fields.ts";
import { CLAIM_STATES, type Claim, type NodeInfo, type TombstoneAck } from "./node-info.ts";
import { formatPath, foundAndAllowed, type Problem } from "./problem.ts";
import { ARCHITECTURES } from "./service.ts";
import { type Check, checkDevices, checkLabels } from "./service-rules.ts";
import { HOST_LABEL } from "./text-rules.ts";
import { DEVICE_TOKENS, encodeText, NO_TOKENS } from "./tokens.ts";
import { type ByteReader, ByteWriter, FormatError } from "./varint.ts";

/** Above it, a node's memory is a mistake: 64 TiB. */
const MEMORY_MIB_MAX = 64 * 1024 * 1024;
const U32_MAX = 0xffff_ffff;
const ENDPOINT_BYTES_MAX = 19;
const TOMBSTONE_ACK_BYTES = 16;

/** What a node may not say of itself, met by its owner. */
export class NodeInfoError extends Error {
  override readonly name = "NodeInfoError";
  readonly code = "ERR_NODE_INFO_INVALID";
}

/**
 * The body of a node slot.
 * @throws NodeInfoError when it breaks a rule, SlotTooLargeError when its facts are too long
 */
export function encodeNodeInfo(info: NodeInfo): Uint8Array {
  const problems = validateNodeInfo(info);
  if (problems.length > 0) {
    const reasons = problems.map(({ path, message }) => `${formatPath(path)}: ${message}`);
    throw new NodeInfoError(`node "${info.hostname}": ${reasons.join("; ")}`);
  }
  const title = `what node "${info.hostname}" says of itself`;
  encodeFields(FACT_FIELDS, info, title, NODE_FACTS_BYTES_MAX);
  return encodeFields(FIELDS, info, title, SLOT_BODY_BYTES_MAX);
}

/** What a node slot's body says. Throws FormatError for anything a sound node cannot have written. */
export function decodeNodeInfo(bytes: Uint8Array): NodeInfo {
  if (bytes.length > SLOT_BODY_BYTES_MAX) {
    throw new FormatError(`a node of ${bytes.length} bytes; ${SLOT_BODY_BYTES_MAX} are allowed`);
  }
  const info = decodeFields(FIELDS, bytes, NODE_DEFAULTS);
  const [problem] = validateNodeInfo(info);
  if (problem !== undefined) {
    throw new FormatError(`node ${formatPath(problem.path)}: ${problem.message}`);
  }
  return info;
}

/** Every rule that `info` breaks. The certificate is judged by net/certificate.ts. */
export function validateNodeInfo(info: NodeInfo): Problem[] {
  const problems: Problem[] = [];
  const check: Check = (holds, path, found, allowed) => {
    if (!holds) problems.push({ path, message: foundAndAllowed(found, allowed) });
  };
  const { certificate, hostname, endpoints, memoryMiB, claims } = info;
  const isCertificate = certificate.length >= 1 && certificate.length <= CERTIFICATE_BYTES_MAX;
  const certificateRule = `1 to ${CERTIFICATE_BYTES_MAX} bytes`;
  check(isCertificate, ["certificate"], `${certificate.length} bytes`, certificateRule);
  check(HOST_LABEL.test(hostname), ["hostname"], hostname, "a lower-case DNS label");
  const endpointRule = `at most ${ENDPOINTS_MAX} endpoints`;
  check(endpoints.length <= ENDPOINTS_MAX, ["endpoints"], endpoints, endpointRule);
  endpoints.forEach((endpoint, index) => {
    const rule = "a canonical endpoint that packets can be sent to, such as 192.0.2.1:7946";
    check(isPublishable(endpoint), ["endpoints", index], endpoint, rule);
  });
  const isMemory = Number.isInteger(memoryMiB) && memoryMiB >= 0 && memoryMiB <= MEMORY_MIB_MAX;
  check(isMemory, ["memoryMiB"], memoryMiB, `0 to ${MEMORY_MIB_MAX} MiB`);
  checkDevices(info.devices, check);
  checkLabels(info.labels, check);
  check(claims.length <= CLAIMS_MAX, ["claims"], claims, `at most ${CLAIMS_MAX} claims`);
  return problems;
}

function isPublishable(text: Endpoint): boolean {
  const endpoint = parseEndpoint(text);
  return endpoint !== null && isDialable(endpoint) && formatEndpoint(endpoint) === text;
}

const NODE_DEFAULTS: NodeInfo = {
  certificate: new Uint8Array(0),
  hostname: "",
  endpoints: [],
  arch: "x86_64",
  memoryMiB: 0,
  devices: [],
  labels: [],
  draining: false,
  claims: [],
  tombstoneAck: null,
};

type NodeField = FieldCodec<NodeInfo>;

const CERTIFICATE_FIELD: NodeField = {
  tag: 1,
  name: "certificate",
  write: (info) => info.certificate,
  read: (field) => ({ certificate: field.bytes().slice() }),
};

const FACT_FIELDS: readonly NodeField[] = [
  {
    tag: 2,
    name: "hostname",
    write: (info) => encodeText(info.hostname, NO_TOKENS),
    read: (field) => ({ hostname: field.text(NO_TOKENS) }),
  },
  {
    tag: 3,
    name: "endpoints",
    write: ({ endpoints }) =>
      endpoints.length === 0 ? null : concatBytes(endpoints.map(encodeEndpoint)),
    read: (field) => ({ endpoints: field.list(ENDPOINTS_MAX, readEndpoint) }),
  },
  {
    tag: 4,
    name: "arch",
    write: (info) => ARCHITECTURES.indexOf(info.arch) || null,
    read: (field) => ({ arch: ARCHITECTURES[field.number(ARCHITECTURES.length - 1)]! }),
  },
  {
    tag: 5,
    name: "memory",
    write: (info) => info.memoryMiB || null,
    read: (field) => ({ memoryMiB: field.number() }),
  },
  {
    tag: 6,
    name: "devices",
    write: ({ devices }) =>
      devices.length === 0
        ? null
        : concatBytes(devices.map((device) => encodeTextItem(device, DEVICE_TOKENS))),
    read: (field) => ({
      devices: field.list(DEVICES_MAX, (reader) => readTextItem(reader, DEVICE_TOKENS)),
    }),
  },
  {
    tag: 7,
    name: "labels",
    write: ({ labels }) =>
      labels.length === 0
        ? null
        : concatBytes(labels.flat().map((text) => encodeTextItem(text, NO_TOKENS))),
    read: (field) => ({
      labels: field.list(LABELS_MAX, (reader) => [
        readTextItem(reader, NO_TOKENS),
        readTextItem(reader, NO_TOKENS),
      ]),
    }),
  },
  {
    tag: 8,
    name: "draining",
    write: (info) => (info.draining ? 1 : null),
    read: (field) => ({ draining: field.number(1) === 1 }),
  },
  {
    tag: 9,
    name: "tombstoneAck",
    write: ({ tombstoneAck }) => (tombstoneAck === null ? null : encodeAck(tombstoneAck)),
    read: (field) => ({ tombstoneAck: field.list(1, readAck)[0] ?? null }),
  },
];

const CLAIMS_FIELD: NodeField = {
  tag: 10,
  name: "claims",
  write: ({ claims }) => (claims.length === 0 ? null : concatBytes(claims.map(encodeClaim))),
  read: (field) => ({ claims: field.list(CLAIMS_MAX, readClaim) }),
};

const FIELDS: readonly NodeField[] = [CERTIFICATE_FIELD, ...FACT_FIELDS, CLAIMS_FIELD];

/** u8 family (4 or 6), the address, u16 port. */
function encodeEndpoint(text: Endpoint): Uint8Array {
  const endpoint = parseEndpoint(text);
  assert(endpoint !== null, "an endpoint was validated before it is encoded");
  const writer = new ByteWriter(new Uint8Array(ENDPOINT_BYTES_MAX));
  writer.u8(endpoint.family);
  writer.raw(endpoint.address);
  writer.u16(endpoint.port);
  return writer.written();
}

function readEndpoint(reader: ByteReader): Endpoint {
  const family = reader.u8();
  if (family !== 4 && family !== 6) throw new FormatError(`address family ${family}`);
  const address = reader.raw(family === 4 ? 4 : 16);
  return formatEndpoint({ family, address, port: reader.u16() });
}

/** u64 horizon, then the two halves. */
function encodeAck(ack: TombstoneAck): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(TOMBSTONE_ACK_BYTES));
  writer.u64(ack.horizon);
  writer.u32(ack.xorLow);
  writer.u32(ack.xorHigh);
  return writer.written();
}

function readAck(reader: ByteReader): TombstoneAck {
  return { horizon: reader.u64(), xorLow: reader.u32(), xorHigh: reader.u32() };
}

/** u32 service, u32 generation, u8 state. */
function encodeClaim({ service, generation, state }: Claim): Uint8Array {
  assert(service <= U32_MAX && generation <= U32_MAX, "a claim's numbers are 32 bits wide");
  const writer = new ByteWriter(new Uint8Array(CLAIM_BYTES));
  writer.u32(service);
  writer.u32(generation);
  writer.u8(CLAIM_STATES.indexOf(state));
  return writer.written();
}

function readClaim(reader: ByteReader): Claim {
  const service = reader.u32();
  const generation = reader.u32();
  const state = CLAIM_STATES[reader.u8()];
  if (state === undefined) throw new FormatError("a claim's state is not known");
  return { service, generation, state };
}
