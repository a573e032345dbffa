// A simulated line with its router: two directions, a path, reflectors that are probed. It gives the
// loop the inputs that a real router would, for `mode: dummy`, the demo and the simulator.

import { assert } from "../../kernel/assert.ts";
import type { Random } from "../../kernel/ports.ts";
import type {
  Direction,
  DirectionSample,
  FlowCommand,
  FlowInput,
  ProbeLoss,
  ProbeReply,
  TinSample,
} from "../interface.ts";
import { SimulatedLine } from "./line.ts";

export interface PlantDirection {
  /** kbit/s on the wire; 0: nothing passes. */
  capacityKbit(atMs: number): number;
  /** Flows that send as fast as TCP lets them. */
  readonly tcpFlows: number;
  /** Whether they have something to send. */
  sending(atMs: number): boolean;
  /** Unresponsive traffic of ours, through the shaper. */
  readonly steadyKbit: number;
  /** Traffic of others in the line's queue. */
  foreignKbit(atMs: number): number;
}

export interface PlantReflector {
  readonly address: string;
  /** Above the path's RTT. */
  extraMs(atMs: number): number;
  /** Share of the probes it does not answer, 0 to 1. */
  lossShare(atMs: number): number;
}

export interface PlantOptions {
  readonly download: PlantDirection;
  readonly upload: PlantDirection;
  pathRttMs(atMs: number): number;
  readonly fifoMs: number;
  readonly reflectors: readonly PlantReflector[];
  /** Between two probes of one reflector. */
  readonly probeEveryMs: number;
  /** Mean of the delay that hosts and schedulers add to a probe. */
  readonly jitterMs: number;
  /** Time's grain. */
  readonly stepMs: number;
}

const PROBE_TIMEOUT_MS = 1_000;
const PROBES_IN_FLIGHT_MAX = 256;

interface Probe {
  readonly reflector: number;
  readonly sentMs: number;
  /** Where it is: in the upload's queue, on the path, in the download's queue. */
  stage: "upload" | "path" | "download";
  /** Bytes that must have left the queue it is in. */
  mark: number;
  /** When it leaves the path. */
  dueMs: number;
}

const EMPTY_TIN: TinSample = {
  sentBytes: 0,
  backlogBytes: 0,
  droppedPackets: 0,
  ecnMarkedPackets: 0,
  peakDelayUs: 0,
  averageDelayUs: 0,
  baseDelayUs: 0,
  sparseFlows: 0,
  bulkFlows: 0,
  unresponsiveFlows: 0,
};

/** Advance it, take a sample, give it the loop's commands. */
export class LinkPlant {
  readonly lines: Readonly<Record<Direction, SimulatedLine>>;
  readonly #options: PlantOptions;
  readonly #random: Random;
  #nowMs: number;
  #probes: Probe[] = [];
  #replies: ProbeReply[] = [];
  #losses: ProbeLoss[] = [];

  constructor(
    options: PlantOptions,
    start: { readonly atMs: number; readonly downloadKbit: number; readonly uploadKbit: number },
    random: Random,
  ) {
    assert(options.reflectors.length > 0, "somebody answers probes");
    this.#options = options;
    this.#random = random;
    this.#nowMs = start.atMs;
    const line = (direction: Direction) =>
      new SimulatedLine({
        lineFirst: direction === "download",
        tcpFlows: options[direction].tcpFlows,
        steadyKbit: options[direction].steadyKbit,
        fifoMs: options.fifoMs,
        stepMs: options.stepMs,
      });
    this.lines = { download: line("download"), upload: line("upload") };
    this.lines.download.rateKbit = start.downloadKbit;
    this.lines.upload.rateKbit = start.uploadKbit;
  }

  /** RTT increase by the line's queues, as a probe sent now would meet it. */
  get queueMs(): number {
    return this.lines.download.queueMs + this.lines.upload.queueMs;
  }

  /** Lets time pass until `toMs`. */
  advance(toMs: number): void {
    const { stepMs } = this.#options;
    for (; this.#nowMs + stepMs <= toMs; this.#nowMs += stepMs) this.#step(this.#nowMs + stepMs);
  }

  /** What a tick reads now. */
  sample(): FlowInput & { readonly kind: "sample" } {
    const input = {
      kind: "sample" as const,
      atMs: this.#nowMs,
      download: sampleOf(this.lines.download),
      upload: sampleOf(this.lines.upload),
      replies: this.#replies,
      losses: this.#losses,
    };
    this.#replies = [];
    this.#losses = [];
    return input;
  }

  /** Carries one command out; what the driver then tells the loop. */
  carryOut(command: FlowCommand): readonly FlowInput[] {
    if (command.kind === "set-rate") {
      this.lines[command.direction].rateKbit = command.rateKbit;
      return [this.#applied(command.direction, command.rateKbit)];
    }
    if (command.kind !== "reinstall") return [];
    this.lines.download.rateKbit = command.downloadKbit;
    this.lines.upload.rateKbit = command.uploadKbit;
    return [
      { kind: "link", atMs: this.#nowMs, state: "shaped" },
      this.#applied("download", command.downloadKbit),
      this.#applied("upload", command.uploadKbit),
    ];
  }

  #applied(direction: Direction, rateKbit: number): FlowInput {
    return {
      kind: "applied",
      atMs: this.#nowMs,
      direction,
      requestedKbit: rateKbit,
      readBackKbit: rateKbit,
      error: null,
    };
  }

  #step(nowMs: number): void {
    const { download, upload } = this.lines;
    this.#setTraffic(download, this.#options.download, nowMs);
    this.#setTraffic(upload, this.#options.upload, nowMs);
    const pathMs = this.#options.pathRttMs(nowMs);
    const uploadQueueMs = upload.queueMs;
    upload.step(nowMs, pathMs + download.queueMs);
    download.step(nowMs, pathMs + uploadQueueMs);
    this.#sendProbes(nowMs);
    this.#moveProbes(nowMs, pathMs);
  }

  #setTraffic(line: SimulatedLine, traffic: PlantDirection, nowMs: number): void {
    line.capacityKbit = traffic.capacityKbit(nowMs);
    line.foreignKbit = traffic.foreignKbit(nowMs);
    line.sending = traffic.sending(nowMs);
  }

  #sendProbes(nowMs: number): void {
    const { probeEveryMs, reflectors, stepMs } = this.#options;
    for (let reflector = 0; reflector < reflectors.length; reflector += 1) {
      const offsetMs = Math.floor((reflector * probeEveryMs) / reflectors.length);
      if ((nowMs + offsetMs) % probeEveryMs >= stepMs) continue;
      if (this.#probes.length >= PROBES_IN_FLIGHT_MAX) continue;
      this.#probes.push({
        reflector,
        sentMs: nowMs,
        stage: "upload",
        mark: this.lines.upload.mark,
        dueMs: 0,
      });
    }
  }

  #moveProbes(nowMs: number, pathMs: number): void {
    let kept = 0;
    for (const probe of this.#probes) {
      const outcome = this.#moveProbe(probe, nowMs, pathMs);
      if (outcome === "under way") this.#probes[kept++] = probe;
      else if (outcome === "lost") this.#losses.push(this.#lossOf(probe, nowMs));
      else this.#replies.push(this.#replyOf(probe, nowMs));
    }
    this.#probes.length = kept;
  }

  #moveProbe(probe: Probe, nowMs: number, pathMs: number): "under way" | "lost" | "answered" {
    const { download, upload } = this.lines;
    const reflector = this.#options.reflectors[probe.reflector]!;
    if (nowMs - probe.sentMs > PROBE_TIMEOUT_MS) return "lost";
    if (probe.stage === "upload" && upload.hasServed(probe.mark)) {
      probe.stage = "path";
      probe.dueMs = nowMs + pathMs + reflector.extraMs(nowMs) + this.#jitterMs();
      for (const line of [upload, download]) probe.dueMs += this.#uniform() * line.packetMs;
      // A probe that will never be answered is told of when its time is up.
      if (this.#uniform() < reflector.lossShare(nowMs)) probe.dueMs = Number.POSITIVE_INFINITY;
    }
    if (probe.stage === "path" && nowMs >= probe.dueMs) {
      probe.stage = "download";
      probe.mark = download.mark;
      if (download.lineQueueIsFull && this.#uniform() < 0.3) probe.mark = Number.POSITIVE_INFINITY;
    }
    const home = probe.stage === "download" && download.hasServed(probe.mark);
    return home ? "answered" : "under way";
  }

  #replyOf(probe: Probe, nowMs: number): ProbeReply {
    const rttMs = Math.round((nowMs - probe.sentMs) * 1_000) / 1_000;
    return { reflector: this.#addressOf(probe), tin: "besteffort", atMs: nowMs, rttMs };
  }

  #lossOf(probe: Probe, nowMs: number): ProbeLoss {
    return { reflector: this.#addressOf(probe), tin: "besteffort", atMs: nowMs };
  }

  #addressOf(probe: Probe): string {
    return this.#options.reflectors[probe.reflector]!.address;
  }

  /** Mostly small, at times several times the mean. */
  #jitterMs(): number {
    return -Math.log(1 - this.#uniform()) * this.#options.jitterMs;
  }

  #uniform(): number {
    return this.#random.u32() / 0x1_0000_0000;
  }
}

function sampleOf(line: SimulatedLine): DirectionSample {
  const backlogBytes = line.shaperBacklogBytes;
  const sentBytes = Math.round(line.shapedBytes);
  const bestEffort: TinSample = {
    ...EMPTY_TIN,
    sentBytes,
    backlogBytes,
    droppedPackets: line.shaperDrops,
    averageDelayUs: Math.round((backlogBytes * 8_000) / Math.max(line.rateKbit, 1)),
  };
  return {
    lineBytes: Math.round(line.lineBytes),
    shaper: {
      rateKbit: line.rateKbit,
      sentBytes,
      backlogBytes,
      droppedPackets: line.shaperDrops,
      tins: [EMPTY_TIN, bestEffort, EMPTY_TIN, EMPTY_TIN],
    },
  };
}
