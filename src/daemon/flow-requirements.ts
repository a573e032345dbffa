// What the flow plane needs of the machine before it can begin, told exactly: the capability, the
// program, the package it comes in.

import { readFileSync } from "node:fs";
import { findProgram } from "../io/children.ts";
import type { FlowSettings } from "../schema/flow-settings.ts";

/** The plane cannot run on this machine as it is configured. The message says what is missing. */
export class FlowRequirementsError extends Error {
  override readonly name = "FlowRequirementsError";
  readonly code = "ERR_FLOW_REQUIREMENTS";
}

/** What is asked of a machine. */
export interface Machine {
  /** The capabilities of this process (capabilities(7)), one bit each. */
  readonly capabilities: bigint;
  hasProgram(name: string): boolean;
}

/** Bits of capabilities(7). */
const CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;
const ALL_CAPABILITIES = (1n << 64n) - 1n;

interface Program {
  readonly name: string;
  readonly what: string;
  readonly packages: string;
}

const TC: Program = {
  name: "tc",
  what: "shapes the line",
  packages: "iproute2 on Debian and NixOS, tc-full on OpenWrt",
};
const FPING: Program = {
  name: "fping",
  what: "measures the delay",
  packages: "fping on Debian, NixOS and OpenWrt",
};

const HINT = {
  capability:
    "run the daemon as root, or give its unit AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW",
  otherMode:
    '"mode: shadow" needs no capability and touches nothing; "mode: dummy" shows the loop on a simulated line',
} as const;

/** A sentence for each thing that is missing; none when the plane can begin. */
export function missingForFlow(mode: FlowSettings["mode"], machine: Machine): string[] {
  const programs = { active: [TC, FPING], shadow: [FPING], dummy: [] }[mode];
  const missing = programs
    .filter(({ name }) => !machine.hasProgram(name))
    .map(
      ({ name, what, packages }) =>
        `there is no program ${name}, which ${what}: install it (package ${packages})`,
    );
  if (mode === "active") missing.push(...missingCapabilities(machine));
  return missing;
}

/** @throws FlowRequirementsError */
export function requireForFlow(mode: FlowSettings["mode"], machine: Machine): void {
  const missing = missingForFlow(mode, machine);
  if (missing.length === 0) return;
  throw new FlowRequirementsError(
    `The flow plane cannot run in mode ${mode}: ${missing.join("; ")}. ${HINT.otherMode}.`,
  );
}

function missingCapabilities({ capabilities }: Machine): string[] {
  const names = Object.entries(CAPABILITIES)
    .filter(([, bit]) => (capabilities & (1n << bit)) === 0n)
    .map(([name]) => name);
  if (names.length === 0) return [];
  return [`this process lacks ${names.join(" and ")}: ${HINT.capability}`];
}

export const thisMachine: Machine = {
  get capabilities(): bigint {
    try {
      const status = readFileSync("/proc/self/status", "utf8");
      const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
      return effective === undefined ? ALL_CAPABILITIES : BigInt(`0x${effective}`);
    } catch {
      // Without /proc the kernel's own refusals have to tell.
      return ALL_CAPABILITIES;
    }
  },
  hasProgram(name) {
    try {
      findProgram(name);
      return true;
    } catch {
      return false;
    }
  },
};
