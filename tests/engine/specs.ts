// A plain service to start from, and node ids from numbers.

import type { NodeId } from "../../src/schema/node-id.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";

/** One replica of `sleep`, anywhere, without ports or checks, changed as asked. */
export function serviceSpec(changes: Partial<ServiceSpec>): ServiceSpec {
  return {
    name: "web",
    flake: "",
    exec: "/bin/sleep",
    args: [],
    env: [],
    ports: [],
    arch: [],
    devices: [],
    zone: null,
    labels: [],
    replicas: 1,
    singleton: false,
    health: null,
    preStart: [],
    memoryMaxBytes: 0,
    cpuQuotaPercent: 0,
    persona: "unknown",
    ...changes,
  };
}

export function nodeIdFrom(value: bigint): NodeId {
  return value.toString(16).padStart(16, "0");
}
