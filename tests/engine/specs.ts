// A plain service to start from, and node ids from numbers.

import type { NodeId } from "../../src/schema/node-id.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";

/** One replica of `sleep`, anywhere, without ports or checks, changed as asked. */
export function serviceSpec(changes: Partial<ServiceSpec>): ServiceSpec {
  return {
    ...SERVICE_DEFAULTS,
    name: "web",
    exec: "/bin/sleep",
    ...changes,
  };
}

export function nodeIdFrom(value: bigint): NodeId {
  return value.toString(16).padStart(16, "0");
}
