// A recording: everything the loop was told, one line of JSON each, so that the same decisions come
// out of it again, byte for byte.

import * as z from "zod/mini";
import { PROBES_WAITING_MAX, RECORDING_LINE_BYTES_MAX, TINS_MAX } from "../kernel/limits.ts";
import { VERSION } from "../kernel/version.ts";
import { type FlowSettings, readFlowSettings } from "../schema/flow-settings.ts";
import { FlowLoop, type StartRates } from "./control/loop.ts";
import { type Decision, DIRECTIONS, type FlowInput, TINS } from "./interface.ts";

const FORMAT = 1;

/** What a recording begins with: the loop as it was made. */
export interface RecordingHeader {
  readonly kind: "header";
  readonly format: typeof FORMAT;
  /** Of the program that wrote it. Another one may decide otherwise. */
  readonly version: string;
  readonly settings: FlowSettings;
  readonly rates: StartRates;
}

/** Other settings from here on. */
export interface SettingsLine {
  readonly kind: "settings";
  readonly atMs: number;
  readonly settings: FlowSettings;
}

export type RecordingLine = RecordingHeader | SettingsLine | FlowInput;

/** A recording cannot be read. `line` counts from 1. */
export class RecordingError extends Error {
  override readonly name = "RecordingError";
  readonly code = "ERR_FLOW_RECORDING";
  readonly line: number;

  constructor(line: number, message: string) {
    super(`Line ${line} of the recording: ${message}`);
    this.line = line;
  }
}

export function encodeHeader(settings: FlowSettings, rates: StartRates): string {
  const header: RecordingHeader = {
    ...{ kind: "header", format: FORMAT, version: VERSION },
    ...{ settings, rates },
  };
  return JSON.stringify(header);
}

export function encodeSettings(settings: FlowSettings, atMs: number): string {
  const line: SettingsLine = { kind: "settings", atMs, settings };
  return JSON.stringify(line);
}

export function encodeInput(input: FlowInput): string {
  return JSON.stringify(input);
}

/** The line of a decision, as the log and a replay write it. */
export function encodeDecision(decision: Decision): string {
  return JSON.stringify(decision);
}

/**
 * Plays a recording to a loop of its own.
 * @returns each decision as it is made
 * @throws RecordingError
 */
export function* replay(lines: Iterable<string>): Generator<Decision> {
  let loop: FlowLoop | null = null;
  let number = 0;
  for (const text of lines) {
    number += 1;
    if (text.trim() === "") continue;
    const line = decodeLine(text, number);
    if (line.kind === "header") {
      if (loop !== null) throw new RecordingError(number, "a second header; cut the file there");
      loop = new FlowLoop(line.settings, line.rates);
      continue;
    }
    if (loop === null) throw new RecordingError(number, "the header is missing");
    const { decisions } =
      line.kind === "settings" ? loop.reconfigure(line.settings, line.atMs) : loop.step(line);
    yield* decisions;
  }
  if (loop === null) throw new RecordingError(Math.max(number, 1), "the file is empty");
}

/** @throws RecordingError */
export function decodeLine(text: string, number: number): RecordingLine {
  if (text.length > RECORDING_LINE_BYTES_MAX) throw new RecordingError(number, "it is too long");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RecordingError(number, "it is no JSON; was the file cut off while it was written?");
  }
  const result = LINE.safeParse(value);
  if (!result.success) throw new RecordingError(number, explain(result.error.issues[0]));
  const line = result.data;
  if (line.kind !== "header" && line.kind !== "settings") return line;
  const settings = checkSettings(line.settings, number);
  return { ...line, settings };
}

/** Settings in a recording pass the checks that configurations do. */
function checkSettings(found: RecordedSettings, number: number): FlowSettings {
  const read = readFlowSettings(asConfigured(found), (key) => key);
  if ("settings" in read) return read.settings;
  const [problem] = read.problems;
  const where = problem?.path.join(".") ?? "";
  throw new RecordingError(number, `settings.${where}: ${problem?.message}`);
}

/** The inverse of toFlowSettings: as a configuration would write them. */
function asConfigured(found: RecordedSettings): unknown {
  const { maxCpuPercent, delaySetPointMs, tauSeconds, stepUpPercent, stepDownPercent, ...rest } =
    found;
  const { framing, overheadBytes, mpuBytes } = found.linkLayer;
  return {
    ...rest,
    download: bandwidthAsConfigured(found.download),
    upload: bandwidthAsConfigured(found.upload),
    maxCpu: maxCpuPercent,
    delaySetPoint: `${delaySetPointMs}ms`,
    tau: `${Math.round(tauSeconds * 1_000)}ms`,
    stepUp: stepUpPercent,
    stepDown: stepDownPercent,
    linkLayer: { framing, overhead: overheadBytes, mpu: mpuBytes },
  };
}

function bandwidthAsConfigured(found: RecordedSettings["download"]): unknown {
  return { min: found.minKbit, base: found.baseKbit, max: found.maxKbit };
}

const time = z.number();
const count = z.number().check(z.nonnegative());
const text = z.string().check(z.maxLength(1_000));

const bandwidth = z.strictObject({
  minKbit: z.number(),
  baseKbit: z.number(),
  maxKbit: z.number(),
});

/** Only what differs from a configuration is named here; the rest passes on to its own schema. */
const recordedSettings = z.looseObject({
  download: bandwidth,
  upload: bandwidth,
  maxCpuPercent: z.number(),
  delaySetPointMs: z.number(),
  tauSeconds: z.number(),
  stepUpPercent: z.number(),
  stepDownPercent: z.number(),
  linkLayer: z.strictObject({
    framing: z.string(),
    overheadBytes: z.number(),
    mpuBytes: z.number(),
  }),
});
type RecordedSettings = z.output<typeof recordedSettings>;

const tinSample = z.strictObject({
  sentBytes: count,
  backlogBytes: count,
  droppedPackets: count,
  ecnMarkedPackets: count,
  peakDelayUs: count,
  averageDelayUs: count,
  baseDelayUs: count,
  sparseFlows: count,
  bulkFlows: count,
  unresponsiveFlows: count,
});

const directionSample = z.strictObject({
  lineBytes: z.nullable(count),
  shaper: z.nullable(
    z.strictObject({
      rateKbit: count,
      sentBytes: count,
      backlogBytes: count,
      droppedPackets: count,
      tins: z.array(tinSample).check(z.maxLength(TINS_MAX)),
    }),
  ),
});

const loss = { reflector: text, tin: z.enum(TINS), atMs: time };
const probes = z.maxLength(PROBES_WAITING_MAX);

const LINE = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("header"),
    format: z.literal(FORMAT),
    version: text,
    settings: recordedSettings,
    rates: z.strictObject({ downloadKbit: count, uploadKbit: count }),
  }),
  z.strictObject({ kind: z.literal("settings"), atMs: time, settings: recordedSettings }),
  z.strictObject({
    kind: z.literal("sample"),
    atMs: time,
    download: z.nullable(directionSample),
    upload: z.nullable(directionSample),
    replies: z.array(z.strictObject({ ...loss, rttMs: count })).check(probes),
    losses: z.array(z.strictObject(loss)).check(probes),
  }),
  z.strictObject({
    kind: z.literal("applied"),
    atMs: time,
    direction: z.enum(DIRECTIONS),
    requestedKbit: count,
    readBackKbit: z.nullable(count),
    error: z.nullable(text),
  }),
  z.strictObject({
    kind: z.literal("link"),
    atMs: time,
    state: z.enum(["shaped", "down", "gone", "replaced"]),
  }),
  z.strictObject({ kind: z.literal("pinger"), atMs: time, alive: z.boolean(), reason: text }),
  z.strictObject({
    kind: z.literal("usage"),
    atMs: time,
    cpuPercent: count,
    residentBytes: count,
  }),
]);

function explain(issue: z.core.$ZodIssue | undefined): string {
  return `${issue?.path.join(".") || "the line"} is not what a recording holds (${issue?.code})`;
}
