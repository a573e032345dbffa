// The routes that change the cluster: deploy, undeploy, revoke.

import type { IncomingMessage } from "node:http";
import type { WriteRefusal } from "../node/interface.ts";
import { decodeDeployPacket } from "../schema/deploy-packet.ts";
import { SlotTooLargeError } from "../schema/fields.ts";
import { ManifestError, readManifest } from "../schema/manifest.ts";
import { formatProblem } from "../schema/problem.ts";
import type { ServiceSpec } from "../schema/service.ts";
import { decodeService, encodeService } from "../schema/service-codec.ts";
import { ServiceError } from "../schema/service-rules.ts";
import { readSlot, SLOT_KIND, type Slot, type SlotKind } from "../schema/slot.ts";
import { FormatError } from "../schema/varint.ts";
import { ApiError } from "./api-error.ts";
import type { MeshBackend, WriteOutcome } from "./backend.ts";
import type {
  DeployAnswer,
  DeployedService,
  RevocationAnswer,
  UndeployAnswer,
} from "./contract.ts";
import { contentTypeOf, JSON_TYPE, readBody, unsupportedType } from "./request-body.ts";

const PACKET_TYPE = "application/octet-stream";

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly hint?: string;
}

const REFUSALS: Readonly<Record<WriteRefusal | "log-failed", Refusal>> = {
  "not-a-deployer": {
    status: 403,
    message: "this node's certificate does not have the role deployer",
    hint: 'deploy on a node that has it, or invite this one anew with "--roles member,deployer"',
  },
  revoked: {
    status: 403,
    message: "its author's certificate was revoked",
    hint: "deploy from a node that is still in the cluster",
  },
  "invalid-record": {
    status: 403,
    message: "the record is not signed by one who may write it",
    hint: "sign it with the key of a deployer of this cluster, or with the root key",
  },
  "unknown-author": {
    status: 409,
    message: "its author is not known to this node yet",
    hint: "wait until the author's own node has joined and synced, then try again",
  },
  superseded: {
    status: 409,
    message: "a newer version of it is there already",
    hint: 'see what is deployed with "myco services", then deploy again',
  },
  "table-full": {
    status: 503,
    message: "the cluster's table of services is full",
    hint: 'remove what is no longer needed with "myco undeploy"',
  },
  "too-many-pending": {
    status: 503,
    message: "too many writes wait for the disk",
    hint: "try again in a moment",
  },
  "log-unavailable": {
    status: 503,
    message: "the log takes no writes now",
    hint: 'see why with "myco health", then try again',
  },
  "log-failed": {
    status: 503,
    message: "the disk refused the write; it may or may not have been kept",
    hint: 'see why with "myco health", then deploy again',
  },
};

/** `POST /deploy`: a manifest, or one signed record in a deploy packet. */
export async function deploy(
  request: IncomingMessage,
  backend: MeshBackend,
): Promise<DeployAnswer> {
  const type = contentTypeOf(request);
  if (type === JSON_TYPE) return deployManifest(await readBody(request), backend);
  if (type === PACKET_TYPE) return deployPacket(await readBody(request), backend);
  throw unsupportedType(type, [JSON_TYPE, PACKET_TYPE]);
}

/** `DELETE /services/NAME`. */
export async function undeploy(name: string, backend: MeshBackend): Promise<UndeployAnswer> {
  if (backend.service(name) === null) throw unknownService(name);
  const outcome = await backend.undeploy(name);
  if (!outcome.ok) throw refusalError(outcome.reason);
  return { name, stamp: outcome.stamp };
}

/** `POST /revocations`: one record signed by the root key. */
export async function revoke(
  request: IncomingMessage,
  backend: MeshBackend,
): Promise<RevocationAnswer> {
  const type = contentTypeOf(request);
  if (type !== PACKET_TYPE) throw unsupportedType(type, [PACKET_TYPE]);
  const record = await readBody(request);
  requireSlot(record, SLOT_KIND.revocation, "a revocation");
  const outcome = await backend.offerRecord(record, null);
  if (!outcome.ok) throw refusalError(outcome.reason);
  return { key: outcome.key, stamp: outcome.stamp };
}

export function unknownService(name: string): ApiError {
  return new ApiError(404, "unknown-service", `no service "${name}" is deployed`, {
    hint: 'see what is with "myco services"',
  });
}

/** All are checked before the first is written, and go to the disk together; one that is refused leaves the others. */
async function deployManifest(body: Buffer, backend: MeshBackend): Promise<DeployAnswer> {
  const described = parseManifest(body);
  for (const spec of described) requireEncodable(spec);
  const specs = await lockAll(described, backend);
  const outcomes = await Promise.all(specs.map((spec) => backend.deploy(spec)));
  const written: DeployedService[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.ok) written.push(deployedService(specs[index]!, outcome));
  }
  const failed = outcomes.find((outcome) => !outcome.ok);
  if (failed?.ok === false) throw refusalError(failed.reason, written);
  return { services: written };
}

/** One after the other: a node resolves few flakes at a time. */
async function lockAll(
  specs: readonly ServiceSpec[],
  backend: MeshBackend,
): Promise<ServiceSpec[]> {
  const locked: ServiceSpec[] = [];
  for (const spec of specs) {
    const found = await backend.lock(spec);
    if ("error" in found) throw lockError(spec, found.error);
    requireEncodable(found);
    locked.push(found);
  }
  return locked;
}

function lockError({ name, flake }: ServiceSpec, reason: string): ApiError {
  const message = `the flake of ${name} cannot be resolved: ${reason}`;
  return new ApiError(422, "flake-unresolved", message, {
    hint: `nothing was deployed; try "nix flake metadata '${flake.split("#")[0]}'" on this node, then deploy again`,
  });
}

async function deployPacket(body: Buffer, backend: MeshBackend): Promise<DeployAnswer> {
  const record = recordOf(body, backend);
  const slot = requireSlot(record, SLOT_KIND.service, "a service");
  const spec = slot.tombstone ? null : serviceOf(slot);
  const outcome = await backend.offerRecord(record, spec?.name ?? null);
  if (!outcome.ok) throw refusalError(outcome.reason);
  return { services: spec === null ? [] : [deployedService(spec, outcome)] };
}

function parseManifest(body: Buffer): ServiceSpec[] {
  try {
    return readManifest(body.toString("utf8"), "manifest");
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new ApiError(422, "manifest-invalid", "the manifest has mistakes", {
      problems: error.problems.map((problem) => formatProblem("manifest", problem)),
    });
  }
}

function requireEncodable(spec: ServiceSpec): void {
  try {
    encodeService(spec);
  } catch (error) {
    if (!(error instanceof ServiceError || error instanceof SlotTooLargeError)) throw error;
    throw new ApiError(422, "service-invalid", error.message);
  }
}

function recordOf(body: Buffer, backend: MeshBackend): Uint8Array {
  try {
    return decodeDeployPacket(backend.crypto, body);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new ApiError(400, "packet-invalid", `not a deploy packet: ${error.message}`);
  }
}

function requireSlot(record: Uint8Array, kind: SlotKind, what: string): Slot {
  const slot = readSlot(record);
  if (slot?.kind === kind) return slot;
  const found = slot === null ? "something else" : "a record of another kind";
  throw new ApiError(400, "record-invalid", `found ${found}; allowed: ${what}, encoded and signed`);
}

function serviceOf(slot: Slot): ServiceSpec {
  try {
    return decodeService(slot.body);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new ApiError(400, "record-invalid", `the record holds no service: ${error.message}`);
  }
}

function deployedService(
  { name, lock }: Pick<ServiceSpec, "name" | "lock">,
  outcome: WriteOutcome & { ok: true },
): DeployedService {
  const { key, stamp, generation } = outcome;
  return { name, key, stamp, generation, lock };
}

export function refusalError(
  reason: WriteRefusal | "log-failed",
  written: readonly DeployedService[] = [],
): ApiError {
  const { status, message, hint } = REFUSALS[reason];
  return new ApiError(status, reason, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(written.length === 0 ? {} : { written }),
  });
}
