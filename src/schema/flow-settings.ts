// What a user may set about the flow plane: one schema for YAML and UCI.

import * as z from "zod/mini";
import { RATE_KBIT_MAX, RATE_KBIT_MIN, REFLECTORS_MAX, VOTES_MAX } from "../kernel/limits.ts";
import { parseIpv4, parseIpv6 } from "./endpoint.ts";
import { PERSONAS, type Persona } from "./service.ts";
import {
  explainIssue,
  list,
  PATH_BYTES_MAX,
  path,
  type SettingProblem,
  setting,
  text,
  wholeNumber,
  yesOrNo,
} from "./setting.ts";
import { parseDurationMs } from "./units.ts";

/** Bandwidths of one direction, kbit/s: `min` ≤ `base` ≤ `max`. */
export interface BandwidthSettings {
  readonly minKbit: number;
  readonly baseKbit: number;
  readonly maxKbit: number;
}

export const PERSONA_TREATMENTS = ["normal", "boost", "throttle"] as const;
/** What is done for the flows of a persona: its usual tin, one better, or the Bulk tin. */
export type PersonaTreatment = (typeof PERSONA_TREATMENTS)[number];

export const FLOW_LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;

/** `flow:` of the configuration, defaults filled in and units resolved. */
export interface FlowSettings {
  readonly enabled: boolean;
  /** active: decide and act. shadow: decide only. dummy: decide on generated metrics, act on nothing. */
  readonly mode: "active" | "shadow" | "dummy";
  /** The interface of the line; null: that of the default route. */
  readonly egressIface: string | null;
  /** Shape downloads too, through an IFB. */
  readonly ingress: boolean;
  readonly download: BandwidthSettings;
  readonly upload: BandwidthSettings;
  /** Ticks a second. */
  readonly sampleHz: number;
  /** Percent of one processor above which the loop slows its sampling, then freezes. */
  readonly maxCpuPercent: number;
  readonly logLevel: (typeof FLOW_LOG_LEVELS)[number];
  /** Addresses that answer ICMP echo, best first; a few are in use at a time. */
  readonly reflectors: readonly string[];
  /** RTT increase over the baseline the controller steers to. */
  readonly delaySetPointMs: number;
  /** Bloat is when `k` of the last `m` samples say so. */
  readonly k: number;
  readonly m: number;
  /** Changes a second at most, each direction. */
  readonly rho: number;
  /** Seconds between two changes of one direction at least. */
  readonly tauSeconds: number;
  /** Largest single change, percent of the rate before. */
  readonly stepUpPercent: number;
  readonly stepDownPercent: number;
  /** Recognise flows and sort them into tins. */
  readonly persona: {
    readonly enabled: boolean;
    readonly treatment: Readonly<Partial<Record<Persona, PersonaTreatment>>>;
    /** Where first packets come from: nflog through nft, a BPF filter, the first of both that works, or nowhere. */
    readonly tap: "auto" | "nflog" | "pcap" | "off";
    readonly catalogDir: string;
  };
  /** What the line adds to a packet (tc-cake(8), overhead compensation). */
  readonly linkLayer: {
    readonly framing: "none" | "atm" | "ptm";
    readonly overheadBytes: number;
    readonly mpuBytes: number;
  };
  /** Look through NAT for the host behind a flow (tc-cake(8), nat). */
  readonly nat: boolean;
  /** Where metrics are written once a second; null: nowhere. */
  readonly metricsFile: string | null;
}

const TAU_MIN_MS = 50;
const TAU_MAX_MS = 60_000;
const SET_POINT_MIN_MS = 1;
const SET_POINT_MAX_MS = 1_000;
const RHO_MAX = 20;

const rate = wholeNumber(RATE_KBIT_MIN, RATE_KBIT_MAX);

/** dev_valid_name of the kernel, less what would need quoting. */
const interfaceName = text(
  "an interface's name of at most 15 characters, such as wan",
  (name) => /^[A-Za-z0-9_.@-]{1,15}$/.test(name) && name !== "." && name !== "..",
);

const ipAddress = text(
  "an IP address such as 1.1.1.1",
  (value) => parseIpv4(value) !== null || parseIpv6(value) !== null,
);

const delay = text('a duration from "1ms" to "1s"', (value) => {
  const delayMs = parseDurationMs(value) ?? 0;
  return delayMs >= SET_POINT_MIN_MS && delayMs <= SET_POINT_MAX_MS;
});

const pause = text('a duration from "50ms" to "60s"', (value) => {
  const pauseMs = parseDurationMs(value) ?? 0;
  return pauseMs >= TAU_MIN_MS && pauseMs <= TAU_MAX_MS;
});

function bandwidth(base: number, max: number) {
  const settings = z.strictObject(
    {
      min: setting("Never below this rate, kbit/s.", 5_000, rate),
      base: setting("The rate to start at and to return to when idle, kbit/s.", base, rate),
      max: setting("Never above this rate, kbit/s; what the line carries at best.", max, rate),
    },
    "an object with min, base and max",
  );
  return settings.check((found) => {
    const { min, base, max } = found.value;
    const refuse = (name: string, message: string): void => {
      found.issues.push({ code: "custom", input: found.value, path: [name], message });
    };
    if (min > max) {
      refuse("max", `from min, ${min}, to ${RATE_KBIT_MAX}; here it is ${max}`);
    } else if (base < min || base > max) {
      refuse("base", `from min, ${min}, to max, ${max}; here it is ${base}`);
    }
  });
}

const personaSettings = z.strictObject(
  {
    enabled: setting("Recognise flows, and sort them into CAKE's tins.", true, yesOrNo()),
    treatment: setting(
      "By persona: boost (one tin better), throttle (the Bulk tin) or normal.",
      {},
      z.partialRecord(
        z.enum(PERSONAS, PERSONAS.join(", ")),
        z.enum(PERSONA_TREATMENTS, '"normal", "boost" or "throttle"'),
        "names of personas with a treatment each, such as torrent: throttle",
      ),
    ),
    tap: setting(
      "Where the first packets of flows are read: nflog (through nft), pcap (a BPF filter), auto (the first that works) or off.",
      "auto",
      z.enum(["auto", "nflog", "pcap", "off"], '"auto", "nflog", "pcap" or "off"'),
    ),
    catalogDir: setting(
      "Folder of your own catalogue files, *.yaml, which add to the one that comes along.",
      "/etc/mycoflow/catalog.d",
      path("/etc/mycoflow/catalog.d", PATH_BYTES_MAX),
    ),
  },
  "an object with enabled, treatment, tap and catalogDir",
);

const linkLayerSettings = z.strictObject(
  {
    framing: setting(
      "The line's framing (tc-cake(8)): none, atm (ADSL) or ptm (VDSL).",
      "none",
      z.enum(["none", "atm", "ptm"], '"none", "atm" or "ptm"'),
    ),
    overhead: setting("Bytes the line adds to each packet.", 0, wholeNumber(-64, 256)),
    mpu: setting("Bytes the smallest packet takes on the line.", 0, wholeNumber(0, 256)),
  },
  "an object with framing, overhead and mpu",
);

/** The structure of `flow:`, and of the UCI sections. */
export const FLOW_SCHEMA = z
  .strictObject(
    {
      enabled: setting("Steer this machine's line.", false, yesOrNo()),
      mode: setting(
        "active: decide and act; shadow: sense and decide, touch nothing; dummy: decide on a simulated line.",
        "active",
        z.enum(["active", "shadow", "dummy"], '"active", "shadow" or "dummy"'),
      ),
      egressIface: setting(
        "The line's interface; null: that of the default route.",
        null,
        z.nullable(interfaceName),
      ),
      ingress: setting("Shape downloads too, through an IFB.", true, yesOrNo()),
      download: setting("Rates of what comes in.", {}, bandwidth(20_000, 80_000)),
      upload: setting("Rates of what goes out.", {}, bandwidth(20_000, 35_000)),
      sampleHz: setting("Ticks of the loop a second.", 10, wholeNumber(1, 20)),
      maxCpu: setting(
        "Percent of one processor for the daemon and its children; above it the loop slows down, then freezes.",
        40,
        wholeNumber(1, 100),
      ),
      logLevel: setting(
        "The least a message of the flow plane must matter to be written; log.level is for all others.",
        "info",
        z.enum(FLOW_LOG_LEVELS, FLOW_LOG_LEVELS.join(", ")),
      ),
      reflectors: setting(
        "Addresses that answer ICMP echo, best first; a few are asked at a time, and bad ones rotated out.",
        [
          "1.1.1.1",
          "8.8.8.8",
          "9.9.9.9",
          "208.67.222.222",
          "1.0.0.1",
          "8.8.4.4",
          "149.112.112.112",
          "208.67.220.220",
          "2606:4700:4700::1111",
          "2001:4860:4860::8888",
          "2620:fe::fe",
        ],
        list(ipAddress, REFLECTORS_MAX).check(
          z.minLength(1, `a list of 1 to ${REFLECTORS_MAX} items`),
        ),
      ),
      delaySetPoint: setting("RTT increase that is steered to.", "10ms", delay),
      k: setting("Bloat is when k of the last m samples say so.", 3, wholeNumber(1, VOTES_MAX)),
      m: setting("See k.", 6, wholeNumber(1, VOTES_MAX)),
      rho: setting("Changes of one direction a second, at most.", 4, wholeNumber(1, RHO_MAX)),
      tau: setting("Time between two changes of one direction, at least.", "200ms", pause),
      stepUp: setting("The largest raise, percent of the rate before.", 25, wholeNumber(1, 100)),
      stepDown: setting("The largest cut, percent of the rate before.", 80, wholeNumber(1, 95)),
      persona: setting("Flows and what they are for.", {}, personaSettings),
      linkLayer: setting("What the line adds to a packet.", {}, linkLayerSettings),
      nat: setting("Tell the hosts behind NAT apart (tc-cake(8)).", true, yesOrNo()),
      metricsFile: setting(
        "A file that gets the loop's figures once a second; null: none.",
        null,
        z.nullable(path("/run/myco/flow.metrics", PATH_BYTES_MAX)),
      ),
    },
    "settings by name, such as egressIface: wan",
  )
  .check((found) => {
    const { k, m, rho, tau } = found.value;
    const refuse = (name: string, message: string): void => {
      found.issues.push({ code: "custom", input: found.value, path: [name], message });
    };
    if (k > m) refuse("k", `from 1 to m, ${m}; here it is ${k}`);
    // More changes than tau leaves room for would never be made.
    const rhoMax = Math.max(1, Math.floor(1_000 / (parseDurationMs(tau) ?? TAU_MIN_MS)));
    if (rho > rhoMax) refuse("rho", `with tau ${tau}, from 1 to ${rhoMax}; here it is ${rho}`);
  });

/** The settings of a value, or its mistakes. @param spell how its document writes a key */
export function readFlowSettings(
  value: unknown,
  spell: (key: string) => string,
): { readonly settings: FlowSettings } | { readonly problems: readonly SettingProblem[] } {
  const result = FLOW_SCHEMA.safeParse(value);
  if (result.success) return { settings: toFlowSettings(result.data) };
  const { issues } = result.error;
  return { problems: issues.flatMap((issue) => explainIssue(FLOW_SCHEMA, value, issue, spell)) };
}

/** Units resolved and told in the names. */
export function toFlowSettings(settings: z.output<typeof FLOW_SCHEMA>): FlowSettings {
  const { maxCpu, delaySetPoint, tau, stepUp, stepDown, linkLayer, ...same } = settings;
  return {
    ...same,
    download: bandwidthOf(settings.download),
    upload: bandwidthOf(settings.upload),
    maxCpuPercent: maxCpu,
    delaySetPointMs: parseDurationMs(delaySetPoint) ?? SET_POINT_MIN_MS,
    tauSeconds: (parseDurationMs(tau) ?? TAU_MIN_MS) / 1_000,
    stepUpPercent: stepUp,
    stepDownPercent: stepDown,
    linkLayer: {
      framing: linkLayer.framing,
      overheadBytes: linkLayer.overhead,
      mpuBytes: linkLayer.mpu,
    },
  };
}

function bandwidthOf(rates: { min: number; base: number; max: number }): BandwidthSettings {
  return { minKbit: rates.min, baseKbit: rates.base, maxKbit: rates.max };
}
