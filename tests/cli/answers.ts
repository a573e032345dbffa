// Answers of a daemon in good order, for tests to change where they need to.
import type {
  InstanceAnswer,
  MemberAnswer,
  ServiceAnswer,
  StatusAnswer,
} from "../../src/api/contract.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";

export const NODE_A = "aaaa000011112222";
export const NODE_B = "bbbb000011112222";

export function spec(name: string): ServiceSpec {
  return { ...SERVICE_DEFAULTS, name, exec: "/bin/true" };
}

export function status(rootId: string): StatusAnswer {
  return {
    version: "0.1.0",
    node: {
      id: NODE_A,
      hostname: "a",
      zone: 0,
      roles: ["member"],
      endpoints: ["127.0.0.1:7946"],
      incarnation: 1,
      startedAtMs: 1_000,
      uptimeMs: 90_000,
    },
    cluster: {
      rootId,
      rootHash: "00".repeat(8),
      revocationBlock: 4,
      synced: true,
      excluded: false,
      members: { alive: 2, suspect: 0, dead: 0, left: 0 },
    },
    table: { slots: 3, capacity: 8192, recordBytes: 600 },
    log: { state: "ok", sizeBytes: 2048 },
    engine: {
      kind: "embedded",
      instances: [],
      waiting: [{ service: "web", reason: "it is not its turn" }],
    },
    process: { pid: 1, residentBytes: 50 * 1024 * 1024, loopLagMs: 1 },
    network: {
      packetsReceived: 1,
      packetsSent: 1,
      packetsRefused: 0,
      datagramsDropped: 0,
      sendsDropped: 0,
      sendErrors: 0,
      sessions: 1,
      handshakesStarted: 1,
      handshakesRefused: 0,
      dnsQueries: 0,
    },
    health: { ok: true, problems: [] },
    flow: null,
  };
}

export function member(nodeId: string, hostname: string): MemberAnswer {
  return {
    nodeId,
    self: nodeId === NODE_A,
    hostname,
    status: "alive",
    zone: 0,
    roles: ["member", "deployer"],
    endpoints: [`127.0.0.1:${nodeId === NODE_A ? 7946 : 7947}`, "[::1]:7946"],
    arch: "x86_64",
    memoryMiB: 1024,
    draining: false,
    drainedBy: null,
    rttMs: nodeId === NODE_A ? null : 0.25,
    incarnation: 1,
    notAfterMs: 4_000_000_000_000,
  };
}

export function instance(state: InstanceAnswer["state"], generation = 7): InstanceAnswer {
  return { nodeId: NODE_B, hostname: "b", state, generation, current: generation === 7 };
}

export function service(
  name: string,
  instances: readonly InstanceAnswer[],
  changes: Partial<ServiceAnswer> = {},
): ServiceAnswer {
  return {
    name,
    key: "11".repeat(8),
    author: NODE_B,
    stamp: 100,
    updatedAtMs: 1_000,
    generation: 7,
    owners: [NODE_B],
    spec: spec(name),
    wanted: 1,
    healthy: instances.filter(({ state }) => state === "healthy").length,
    instances,
    here: null,
    ...changes,
  };
}
