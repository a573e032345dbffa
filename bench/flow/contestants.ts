// Who is compared: nothing at all, CAKE at a fixed rate, CAKE that is told the truth, Myco, and
// whatever executable the caller brings along.

import { type LinkTrace, type TraceDirection, traceMean } from "../../sim/link-traces.ts";
import { DAEMON_ENVIRONMENT, DAEMON_NODE_FLAGS } from "../../src/daemon/runtime-flags.ts";
import { ROUTER } from "../../tests/lab/topology.ts";
import { IFB_DEVICE, REFLECTORS } from "./line.ts";
import type { ContestantSpec, RatePair } from "./run-spec.ts";

/** Room below the capacity, so that the queue stays in CAKE. */
export const SHAPED_SHARE = 0.95;
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
/** Where the guest keeps what the bench brought. */
export const GUEST_FOLDER = "/opt/bench";
export const MYCO_BUNDLE = `${GUEST_FOLDER}/myco.mjs`;
/** A Node of Myco's own: what it shares with the stage's would be charged to nobody. */
export const MYCO_NODE = `${GUEST_FOLDER}/node`;
export const MYCO_SETTINGS = `${GUEST_FOLDER}/myco.yaml`;

export const BUILT_IN: readonly string[] = [
  "fifo",
  "cake-min",
  "cake-mean",
  "cake-max",
  "oracle",
  "myco",
  "myco-persona",
];

/** The line on which nothing happens at all. */
export const IDLE_TRACE = "idle";

/** Another contestant: its name, and the executable on the host. */
export interface Guest {
  readonly name: string;
  readonly executable: string;
}

/**
 * What a line makes alike is run once: CAKE at min, mean and max is the oracle where the capacity is
 * constant, and whoever runs no program is idle.
 */
export function differsOn(name: string, trace: LinkTrace): boolean {
  if (trace.name === IDLE_TRACE) return !BUILT_IN.includes(name) || name.startsWith("myco");
  return !name.startsWith("cake-") || !isConstant(trace.download) || !isConstant(trace.upload);
}

export function contestantSpec(name: string, trace: LinkTrace): ContestantSpec {
  const nothing = { name, cake: null, followCapacityShare: null, program: null };
  switch (name) {
    case "fifo":
      return nothing;
    case "cake-min":
    case "cake-mean":
    case "cake-max":
      return { ...nothing, cake: staticRates(name, trace) };
    case "oracle":
      return { ...nothing, cake: startRates(trace), followCapacityShare: SHAPED_SHARE };
    case "myco":
    case "myco-persona":
      return { ...nothing, program: mycoProgram() };
    default:
      return { ...nothing, cake: baseRates(trace), program: guestProgram(name, trace) };
  }
}

/** `flow:` of Myco's configuration on this line; YAML, because JSON is. */
export function mycoSettings(name: string, trace: LinkTrace): string {
  const rates = (of: TraceDirection) => ({ min: of.minKbit, base: of.baseKbit, max: of.maxKbit });
  const persona = name === "myco-persona";
  return JSON.stringify({
    dataDir: "/run/bench-myco",
    socket: "/run/bench-myco/socket",
    mesh: { enabled: false },
    flow: {
      enabled: true,
      egressIface: ROUTER.wan,
      download: rates(trace.download),
      upload: rates(trace.upload),
      reflectors: REFLECTORS,
      persona: { enabled: persona },
    },
  });
}

function mycoProgram(): ContestantSpec["program"] {
  return {
    argv: [
      `${MYCO_NODE}/node`,
      ...DAEMON_NODE_FLAGS,
      MYCO_BUNDLE,
      "daemon",
      "--config",
      MYCO_SETTINGS,
    ],
    environment: { ...DAEMON_ENVIRONMENT, LD_LIBRARY_PATH: MYCO_NODE },
    memoryBytesMax: MEMORY_BYTES_MAX,
  };
}

/** What docs/bench-flow.md promises an executable from outside. */
function guestProgram(name: string, trace: LinkTrace): ContestantSpec["program"] {
  const { download, upload } = trace;
  const rates = [download.minKbit, download.baseKbit, download.maxKbit].map(String);
  return {
    argv: [`${GUEST_FOLDER}/${name}`, IFB_DEVICE, ROUTER.wan, ...rates],
    environment: {
      DL_MIN_KBIT: rates[0]!,
      DL_BASE_KBIT: rates[1]!,
      DL_MAX_KBIT: rates[2]!,
      UL_MIN_KBIT: `${upload.minKbit}`,
      UL_BASE_KBIT: `${upload.baseKbit}`,
      UL_MAX_KBIT: `${upload.maxKbit}`,
      REFLECTORS: REFLECTORS.join(" "),
    },
    memoryBytesMax: null,
  };
}

function staticRates(name: string, trace: LinkTrace): RatePair {
  const rate = (of: TraceDirection): number => {
    const carried = of.capacityKbit.map((step) => step.value).filter((kbit) => kbit > 0);
    if (name === "cake-min") return Math.min(...carried);
    return name === "cake-max" ? Math.max(...carried) : meanCarried(of, trace.durationMs);
  };
  return shaped(rate(trace.download), rate(trace.upload));
}

/** The mean of the time in which the line carries anything. */
function meanCarried(of: TraceDirection, durationMs: number): number {
  const carries = of.capacityKbit.map(({ atMs, value }) => ({ atMs, value: value > 0 ? 1 : 0 }));
  return traceMean(of.capacityKbit, durationMs) / traceMean(carries, durationMs);
}

function startRates(trace: LinkTrace): RatePair {
  return shaped(trace.download.capacityKbit[0]!.value, trace.upload.capacityKbit[0]!.value);
}

function shaped(downloadKbit: number, uploadKbit: number): RatePair {
  return {
    downloadKbit: Math.round(downloadKbit * SHAPED_SHARE),
    uploadKbit: Math.round(uploadKbit * SHAPED_SHARE),
  };
}

function baseRates(trace: LinkTrace): RatePair {
  return { downloadKbit: trace.download.baseKbit, uploadKbit: trace.upload.baseKbit };
}

/** An outage apart. */
function isConstant(of: TraceDirection): boolean {
  return new Set(of.capacityKbit.map((step) => step.value).filter((kbit) => kbit > 0)).size === 1;
}
