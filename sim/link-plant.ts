// The link plant under the controller's real code: a trace or a random link, faults, and what came
// of it in the figures that the bench on a real kernel uses too.

import { LinkPlant, type PlantOptions } from "../src/flow/dummy/plant.ts";
import {
  type Decision,
  DIRECTIONS,
  type Direction,
  type FlowCommand,
  type FlowInput,
} from "../src/flow/interface.ts";
import { randomChance, SeededRandom } from "../src/kernel/random.ts";
import { type LinkTrace, traceValue } from "./link-traces.ts";

/** Whoever sets the shapers' rates: our loop, or one it is compared with. */
export interface LinkController {
  /** @returns what to carry out now */
  step(input: FlowInput, truth: LinkTruth): readonly FlowCommand[];
}

/** What only an oracle knows. */
export interface LinkTruth {
  capacityKbit(direction: Direction): number;
}

/** What goes wrong, each with a probability a tick or a change. */
export interface LinkFaults {
  /** A tick's counters could not be read. */
  readonly missingCounters: number;
  /** A tick's probe answers never came. */
  readonly missingReplies: number;
  /** The kernel did not take a change, and said so. */
  readonly failedChanges: number;
  /** The kernel says another rate than asked for. */
  readonly wrongReadBacks: number;
}

export const NO_FAULTS: LinkFaults = {
  missingCounters: 0,
  missingReplies: 0,
  failedChanges: 0,
  wrongReadBacks: 0,
};

/** One tick, for plots and for looking at. */
export interface LinkTick {
  readonly atMs: number;
  readonly capacityKbit: Readonly<Record<Direction, number>>;
  readonly rateKbit: Readonly<Record<Direction, number>>;
  readonly queueMs: number;
}

export interface LinkRun {
  readonly inputs: readonly FlowInput[];
  readonly commands: readonly FlowCommand[];
  readonly ticks: readonly LinkTick[];
  readonly figures: LinkFigures;
}

export interface LinkFigures {
  /** RTT above the path's, as 20 Hz of probes met it. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Download goodput ÷ download capacity. */
  readonly goodput: number;
  readonly uploadGoodput: number;
  /** Goodput of the half-seconds whose 95th-percentile RTT increase is at most 30 ms ÷ capacity (flow-peers.md). */
  readonly usable: number;
}

export interface LinkRunOptions {
  readonly faults: LinkFaults;
  /** No faults from here on. */
  readonly faultsEndMs?: number;
  readonly seed: bigint;
  /** Keep inputs, commands and ticks. */
  readonly keep: boolean;
}

const TICK_MS = 100;
/** A header's share: goodput is counted above TCP. */
const PAYLOAD_SHARE = 1_448 / 1_514;
const USABLE_INTERVAL_MS = 500;
const USABLE_RTT_MS = 30;
const PROBE_MS = 50;

/** The plant of a trace. `seed` draws the jitter. */
export function plantOfTrace(trace: LinkTrace, seed: bigint, stepMs = 2): LinkPlant {
  const bad = trace.badReflector;
  const direction = (name: Direction) => ({
    capacityKbit: (atMs: number) => traceValue(trace[name].capacityKbit, atMs),
    tcpFlows: trace[name].tcpFlows,
    sending: () => true,
    steadyKbit: 170,
    foreignKbit: () => 0,
  });
  const options: PlantOptions = {
    download: direction("download"),
    upload: direction("upload"),
    pathRttMs: (atMs) => traceValue(trace.pathRttMs, atMs),
    fifoMs: trace.fifoMs,
    reflectors: ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((address, index) => {
      const isBad = (atMs: number) => bad !== null && bad.index === index && atMs >= bad.fromMs;
      return {
        address,
        extraMs: (atMs: number) => (bad !== null && isBad(atMs) ? bad.extraMs : 0),
        lossShare: (atMs: number) => (bad !== null && isBad(atMs) ? 1 / bad.lossOneIn : 0),
      };
    }),
    probeEveryMs: 100,
    jitterMs: 1.5,
    stepMs,
  };
  const { baseKbit: downloadKbit } = trace.download;
  const { baseKbit: uploadKbit } = trace.upload;
  return new LinkPlant(options, { atMs: 0, downloadKbit, uploadKbit }, new SeededRandom(seed));
}

/** Lets `controller` steer `plant` for `durationMs`. */
export function runLink(
  plant: LinkPlant,
  controller: LinkController,
  durationMs: number,
  options: LinkRunOptions,
): LinkRun {
  const random = new SeededRandom(options.seed ^ 0x6c696e6bn);
  const inputs: FlowInput[] = [];
  const commands: FlowCommand[] = [];
  const ticks: LinkTick[] = [];
  const meter = new LinkMeter(plant);
  const truth: LinkTruth = { capacityKbit: (direction) => plant.lines[direction].capacityKbit };
  let faults = options.faults;
  const tell = (input: FlowInput): void => {
    if (options.keep) inputs.push(input);
    for (const command of controller.step(input, truth)) {
      if (options.keep) commands.push(command);
      for (const answer of carryOut(plant, command, faults, random)) tell(answer);
    }
  };
  for (let atMs = PROBE_MS; atMs <= durationMs; atMs += PROBE_MS) {
    if (atMs > (options.faultsEndMs ?? durationMs)) faults = NO_FAULTS;
    plant.advance(atMs);
    meter.probe(atMs);
    if (atMs % TICK_MS !== 0) continue;
    tell(withMissing(plant.sample(), faults, random));
    if (options.keep) ticks.push(tickOf(plant, atMs));
  }
  return { inputs, commands, ticks, figures: meter.figures() };
}

function carryOut(
  plant: LinkPlant,
  command: FlowCommand,
  faults: LinkFaults,
  random: SeededRandom,
): readonly FlowInput[] {
  if (command.kind !== "set-rate") return plant.carryOut(command);
  const failed = randomChance(random, faults.failedChanges);
  const wrong = randomChance(random, faults.wrongReadBacks);
  if (!failed) {
    const answers = plant.carryOut(command);
    if (!wrong) return answers;
    return answers.map((answer) =>
      answer.kind === "applied" ? { ...answer, readBackKbit: command.rateKbit * 2 } : answer,
    );
  }
  const before = plant.lines[command.direction].rateKbit;
  const answers = plant.carryOut({ ...command, rateKbit: before });
  return answers.map((answer) =>
    answer.kind === "applied"
      ? { ...answer, requestedKbit: command.rateKbit, error: "RTNETLINK answers: No buffer space" }
      : answer,
  );
}

function withMissing(
  input: FlowInput & { readonly kind: "sample" },
  faults: LinkFaults,
  random: SeededRandom,
): FlowInput {
  const counters = !randomChance(random, faults.missingCounters);
  const replies = !randomChance(random, faults.missingReplies);
  return {
    ...input,
    download: counters ? input.download : null,
    upload: counters ? input.upload : null,
    replies: replies ? input.replies : [],
    losses: replies ? input.losses : [],
  };
}

function tickOf(plant: LinkPlant, atMs: number): LinkTick {
  const { download, upload } = plant.lines;
  return {
    atMs,
    capacityKbit: { download: download.capacityKbit, upload: upload.capacityKbit },
    rateKbit: { download: download.rateKbit, upload: upload.rateKbit },
    queueMs: plant.queueMs,
  };
}

/** Measures a run from outside, as the bench's own ping and traffic generators do. */
class LinkMeter {
  readonly #plant: LinkPlant;
  readonly #rttMs: number[] = [];
  #intervalRttMs: number[] = [];
  #intervalBytes = 0;
  #usableBytes = 0;
  #offeredBytes = 0;
  #uploadOfferedBytes = 0;

  constructor(plant: LinkPlant) {
    this.#plant = plant;
  }

  /** What a probe sent now would meet, and the bytes since the last one. */
  probe(atMs: number): void {
    const { download, upload } = this.#plant.lines;
    this.#rttMs.push(this.#plant.queueMs);
    this.#intervalRttMs.push(this.#plant.queueMs);
    this.#offeredBytes += (download.capacityKbit * PROBE_MS) / 8;
    this.#uploadOfferedBytes += (upload.capacityKbit * PROBE_MS) / 8;
    if (atMs % USABLE_INTERVAL_MS !== 0) return;
    const bytes = download.goodputBytes - this.#intervalBytes;
    this.#intervalBytes = download.goodputBytes;
    if (quantile(this.#intervalRttMs, 0.95) <= USABLE_RTT_MS) this.#usableBytes += bytes;
    this.#intervalRttMs = [];
  }

  figures(): LinkFigures {
    const { download, upload } = this.#plant.lines;
    const offered = Math.max(this.#offeredBytes, 1);
    return {
      p50Ms: quantile(this.#rttMs, 0.5),
      p95Ms: quantile(this.#rttMs, 0.95),
      p99Ms: quantile(this.#rttMs, 0.99),
      goodput: (download.goodputBytes * PAYLOAD_SHARE) / offered,
      uploadGoodput: (upload.goodputBytes * PAYLOAD_SHARE) / Math.max(this.#uploadOfferedBytes, 1),
      usable: (this.#usableBytes * PAYLOAD_SHARE) / offered,
    };
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)] ?? 0;
}

/** How soon a rate came under a capacity that fell, and up to one that rose; null: never within the level. */
export interface StepTimes {
  readonly reactionMs: number | null;
  readonly calmMs: number | null;
  readonly recoveryMs: number | null;
}

/** The step times of `direction` after the change of capacity at `atMs`, until `untilMs`. */
export function stepTimes(
  ticks: readonly LinkTick[],
  direction: Direction,
  atMs: number,
  untilMs: number,
): StepTimes {
  let reactionMs: number | null = null;
  let calmMs: number | null = null;
  let recoveryMs: number | null = null;
  for (const tick of ticks) {
    if (tick.atMs <= atMs || tick.atMs > untilMs) continue;
    const capacity = tick.capacityKbit[direction];
    if (tick.rateKbit[direction] <= capacity) reactionMs ??= tick.atMs - atMs;
    if (reactionMs !== null && tick.queueMs <= 15) calmMs ??= tick.atMs - atMs;
    if (tick.rateKbit[direction] >= 0.85 * capacity) recoveryMs ??= tick.atMs - atMs;
  }
  return { reactionMs, calmMs, recoveryMs };
}

/** Below this share of the capacity a cut helps nobody. */
const INNOCENT_SHARE = 0.95;

/**
 * Decisions that lowered a direction whose rate was well below its capacity. A further cut before the
 * queue of the first is gone is none.
 */
export function falseCuts(
  decisions: readonly Decision[],
  ticks: readonly LinkTick[],
): readonly Decision[] {
  return decisions.filter((decision, index) => {
    if (decision.kind !== "lower" || decision.fromKbit === null) return false;
    const before = decisions.slice(0, index).filter((one) => one.direction === decision.direction);
    if (before.at(-1)?.kind === "lower") return false;
    const tick = ticks.find((candidate) => candidate.atMs >= decision.atMs);
    if (tick === undefined) return false;
    return DIRECTIONS.some(
      (direction) =>
        decision.direction === direction &&
        decision.fromKbit! <= INNOCENT_SHARE * tick.capacityKbit[direction],
    );
  });
}
