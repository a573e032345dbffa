import { describe, expect, it } from "vitest";
import {
  FlowRequirementsError,
  type Machine,
  missingForFlow,
  requireForFlow,
  thisMachine,
} from "../../src/daemon/flow-requirements.ts";

const NET_ADMIN = 1n << 12n;
const NET_RAW = 1n << 13n;

function machine(capabilities: bigint, programs: readonly string[]): Machine {
  return { capabilities, hasProgram: (name) => programs.includes(name) };
}

describe("what the flow plane needs of a machine", () => {
  it("is nothing for a simulated line", () => {
    expect(missingForFlow("dummy", machine(0n, []))).toEqual([]);
  });

  it("is a pinger to look on", () => {
    expect(missingForFlow("shadow", machine(0n, ["fping"]))).toEqual([]);
    expect(missingForFlow("shadow", machine(0n, []))[0]).toContain("no program fping");
  });

  it("is tc, a pinger and two capabilities to act, each missing one told with what to do", () => {
    const able = machine(NET_ADMIN | NET_RAW, ["tc", "fping"]);
    expect(missingForFlow("active", able)).toEqual([]);
    const missing = missingForFlow("active", machine(NET_RAW, ["fping"]));
    expect(missing).toHaveLength(2);
    expect(missing[0]).toContain("package iproute2 on Debian and NixOS, tc-full on OpenWrt");
    expect(missing[1]).toContain("lacks CAP_NET_ADMIN: run the daemon as root");
  });

  it("is refused as one error that names another way", () => {
    const refuse = () => requireForFlow("active", machine(0n, []));
    expect(refuse).toThrow(FlowRequirementsError);
    expect(refuse).toThrow(/CAP_NET_ADMIN and CAP_NET_RAW.*mode: shadow/s);
  });

  it("is asked of this machine without failing", () => {
    expect(thisMachine.capabilities).toBeTypeOf("bigint");
    expect([thisMachine.hasProgram("sh"), thisMachine.hasProgram("no-such-program")]).toEqual([
      true,
      false,
    ]);
  });
});
