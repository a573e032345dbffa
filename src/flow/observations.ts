// What the inputs and the decisions of the loop add up to for people: rates by the second, charts,
// totals. Costs a few additions a tick; the rest is worked out when somebody asks.

import { DECISIONS_KEPT, FLOW_HISTORY_SECONDS } from "../kernel/limits.ts";
import { BoundedQueue } from "../kernel/queue.ts";
import {
  type Decision,
  type DecisionKind,
  DIRECTIONS,
  type Direction,
  type FlowInput,
  type FlowSample,
  type ShaperSample,
  TINS,
} from "./interface.ts";
import type { DirectionStatus, FlowHistoryPoint, TinStatus } from "./status.ts";

type Sample = FlowInput & { readonly kind: "sample" };

const SECOND_MS = 1_000;

/** Over the last full second. */
interface DirectionSecond {
  throughputKbit: number | null;
  tinKbit: number[];
}

export class Observations {
  readonly #decisions = new BoundedQueue<Decision>(DECISIONS_KEPT);
  readonly #history = new BoundedQueue<FlowHistoryPoint>(FLOW_HISTORY_SECONDS);
  readonly #decisionCounts = new Map<DecisionKind, number>();
  readonly #seconds: Readonly<Record<Direction, DirectionSecond>> = {
    download: { throughputKbit: null, tinKbit: [] },
    upload: { throughputKbit: null, tinKbit: [] },
  };
  #newest: Sample | null = null;
  /** The first sample of the second under way. */
  #secondStart: Sample | null = null;
  #bestRttMs: number | null = null;
  sampleCount = 0;
  /** Rounds in which tc or the counters did not answer. */
  missingCount = 0;
  replyCount = 0;
  lossCount = 0;
  changeCount = 0;
  failedChangeCount = 0;
  cpuPercent: number | null = null;
  residentBytes: number | null = null;

  get decisions(): readonly Decision[] {
    return this.#decisions.toArray();
  }

  get history(): readonly FlowHistoryPoint[] {
    return this.#history.toArray();
  }

  decisionCount(kind: DecisionKind): number {
    return this.#decisionCounts.get(kind) ?? 0;
  }

  addDecision(decision: Decision): void {
    this.#decisions.push(decision);
    this.#decisionCounts.set(decision.kind, this.decisionCount(decision.kind) + 1);
  }

  /**
   * @param increaseMs the loop's view of the delay after this input; asked for once a second
   * @returns true when a second is full
   */
  addInput(input: FlowInput, increaseMs: () => number | null): boolean {
    if (input.kind === "sample") return this.#addSample(input, increaseMs);
    if (input.kind === "applied") {
      this.changeCount += 1;
      if (input.error !== null || input.readBackKbit !== input.requestedKbit) {
        this.failedChangeCount += 1;
      }
    } else if (input.kind === "usage") {
      this.cpuPercent = input.cpuPercent;
      this.residentBytes = input.residentBytes;
    }
    return false;
  }

  /** @param shaperKbit what the loop wants; null: not shaped */
  status(direction: Direction, shaperKbit: number | null): DirectionStatus {
    const shaper = this.#newest?.[direction]?.shaper ?? null;
    return {
      shaperKbit,
      readBackKbit: shaper?.rateKbit ?? null,
      throughputKbit: this.#seconds[direction].throughputKbit,
      backlogBytes: shaper?.backlogBytes ?? null,
      tins: shaper === null ? [] : tinStatuses(shaper, this.#seconds[direction].tinKbit),
    };
  }

  get newest(): FlowSample | null {
    return this.#newest;
  }

  #addSample(sample: Sample, increaseMs: () => number | null): boolean {
    this.#newest = sample;
    this.sampleCount += 1;
    if (sample.download?.lineBytes == null || sample.upload?.lineBytes == null) {
      this.missingCount += 1;
    }
    this.replyCount += sample.replies.length;
    this.lossCount += sample.losses.length;
    for (const { rttMs } of sample.replies) {
      if (this.#bestRttMs === null || rttMs < this.#bestRttMs) this.#bestRttMs = rttMs;
    }
    const start = this.#secondStart;
    if (start === null) this.#secondStart = sample;
    if (start === null || sample.atMs - start.atMs < SECOND_MS) return false;
    this.#endSecond(start, sample, increaseMs());
    return true;
  }

  #endSecond(start: Sample, end: Sample, increaseMs: number | null): void {
    const elapsedMs = end.atMs - start.atMs;
    for (const direction of DIRECTIONS) {
      const second = this.#seconds[direction];
      const from = start[direction];
      const to = end[direction];
      second.throughputKbit = rateKbit(from?.lineBytes, to?.lineBytes, elapsedMs);
      second.tinKbit = (to?.shaper?.tins ?? []).map(
        ({ sentBytes }, index) =>
          rateKbit(from?.shaper?.tins[index]?.sentBytes, sentBytes, elapsedMs) ?? 0,
      );
    }
    this.#history.push({
      atMs: end.atMs,
      downloadKbit: this.#seconds.download.throughputKbit,
      uploadKbit: this.#seconds.upload.throughputKbit,
      downloadShaperKbit: end.download?.shaper?.rateKbit ?? null,
      uploadShaperKbit: end.upload?.shaper?.rateKbit ?? null,
      rttMs: this.#bestRttMs,
      increaseMs,
    });
    this.#secondStart = end;
    this.#bestRttMs = null;
  }
}

/** Null when either end was not read, or the counter began anew in between. */
function rateKbit(
  from: number | null | undefined,
  to: number | null | undefined,
  elapsedMs: number,
): number | null {
  if (from == null || to == null || to < from) return null;
  return Math.round(((to - from) * 8) / elapsedMs);
}

function tinStatuses(shaper: ShaperSample, tinKbit: readonly number[]): TinStatus[] {
  // Under another mode than diffserv4 the tins have other names.
  if (shaper.tins.length !== TINS.length) return [];
  return TINS.map((tin, index) => {
    const sample = shaper.tins[index]!;
    return {
      tin,
      rateKbit: tinKbit[index] ?? 0,
      backlogBytes: sample.backlogBytes,
      droppedPackets: sample.droppedPackets,
      ecnMarkedPackets: sample.ecnMarkedPackets,
      averageDelayUs: sample.averageDelayUs,
      flows: sample.sparseFlows + sample.bulkFlows + sample.unresponsiveFlows,
    };
  });
}
