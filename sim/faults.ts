// What goes wrong and when: crashes, partitions, clogged links, pauses, rot, full disks, clocks
// set wrong, forged packets. Each by its rate per tick, drawn from one random stream.

import { randomBelow, randomChance, type SeededRandom } from "../src/kernel/random.ts";
import { drawDistinct, drawInteger, drawItem, type IntegerRange } from "./draw.ts";
import type { Ledger } from "./ledger.ts";
import { keepsPromise } from "./ledger.ts";
import type { SimulatedNetwork } from "./network.ts";
import type { NodeHost } from "./node-host.ts";
import { msOfTick } from "./time.ts";
import type { TraceHash } from "./trace.ts";

export interface PartitionParameters {
  /** Nodes cut off together. */
  readonly size: IntegerRange;
  readonly durationTicks: IntegerRange;
  readonly cooldownTicks: IntegerRange;
  /** Partitions that lose one direction only. */
  readonly asymmetricRate: number;
}

/** Rates are chances per tick for the whole cluster, unless said otherwise. */
export interface FaultParameters {
  /** One running node loses power. */
  readonly crashRate: number;
  readonly downTicks: IntegerRange;
  readonly partition: PartitionParameters | null;
  /** One direction between two nodes holds its packets back. */
  readonly clogRate: number;
  readonly clogTicks: IntegerRange;
  /** One process stands still. */
  readonly pauseRate: number;
  readonly pauseTicks: IntegerRange;
  /** Per start after a crash: bits of the log have flipped. */
  readonly rotRate: number;
  readonly fullDiskRate: number;
  readonly fullDiskTicks: IntegerRange;
  /** One node's clock is set: right, or wrong by up to so much, either way. */
  readonly clockStepRate: number;
  readonly clockStepMsMax: number;
  readonly forgeryRate: number;
}

export const NO_FAULTS: FaultParameters = {
  crashRate: 0,
  downTicks: [80, 200],
  partition: null,
  clogRate: 0,
  clogTicks: [5, 60],
  pauseRate: 0,
  pauseTicks: [5, 100],
  rotRate: 0,
  fullDiskRate: 0,
  fullDiskTicks: [10, 150],
  clockStepRate: 0,
  clockStepMsMax: 0,
  forgeryRate: 0,
};

export class FaultInjector {
  parameters: FaultParameters;
  crashCount = 0;
  partitionCount = 0;
  rotCount = 0;
  readonly #random: SeededRandom;
  readonly #hosts: readonly NodeHost[];
  readonly #trusted: readonly NodeHost[];
  readonly #network: SimulatedNetwork;
  readonly #ledger: Ledger;
  readonly #trace: TraceHash;
  readonly #onCrash: (host: NodeHost) => void;
  #isPartitioned = false;
  #partitionChangeTick = 0;

  constructor(options: {
    parameters: FaultParameters;
    random: SeededRandom;
    hosts: readonly NodeHost[];
    /** Those of them whose word and disk will count in the end. */
    trusted: readonly NodeHost[];
    network: SimulatedNetwork;
    ledger: Ledger;
    trace: TraceHash;
    onCrash: (host: NodeHost) => void;
  }) {
    this.parameters = options.parameters;
    this.#random = options.random;
    this.#hosts = options.hosts;
    this.#trusted = options.trusted;
    this.#network = options.network;
    this.#ledger = options.ledger;
    this.#trace = options.trace;
    this.#onCrash = options.onCrash;
    const { partition } = options.parameters;
    if (partition !== null) {
      this.#partitionChangeTick = randomBelow(this.#random, partition.cooldownTicks[0] + 1);
    }
  }

  tick(tick: number): void {
    this.#restartDue(tick);
    this.#crashes(tick);
    this.#partitions(tick);
    this.#stalls(tick);
    this.#disksAndClocks(tick);
    if (this.#happens(this.parameters.forgeryRate)) this.#network.forge();
  }

  /** Takes a node down until `restartTick`. */
  crash(host: NodeHost, tick: number, restartTick: number): void {
    this.crashCount += 1;
    this.#note(tick, "crash", host.index);
    host.crash(restartTick);
    this.#onCrash(host);
  }

  /** All is well again: everybody up, the lines whole, the clocks right. */
  heal(tick: number): void {
    this.parameters = NO_FAULTS;
    this.#isPartitioned = false;
    this.#note(tick, "heal", 0);
    this.#network.heal();
    for (const host of this.#hosts) {
      host.pausedUntilTick = 0;
      host.disk.fullUntilTick = 0;
      host.clock.setRight(msOfTick(tick));
      if (!host.isUp) this.#start(host, tick);
    }
  }

  #restartDue(tick: number): void {
    for (const host of this.#hosts) {
      if (host.isUp || tick < host.restartTick) continue;
      if (this.#happens(this.parameters.rotRate) && this.#isCoveredByOthers(host)) {
        if (host.disk.rot()) this.rotCount += 1;
        this.#ledger.rotted(host.index);
        this.#note(tick, "rot", host.index);
      }
      this.#start(host, tick);
    }
  }

  #start(host: NodeHost, tick: number): void {
    this.#note(tick, "start", host.index);
    host.start(tick);
  }

  #crashes(tick: number): void {
    if (!this.#happens(this.parameters.crashRate)) return;
    const running = this.#hosts.filter((host) => host.isUp);
    // One node always stays, as in any cluster that somebody can still write to.
    if (running.length < 2) return;
    const downTicks = drawInteger(this.#random, this.parameters.downTicks);
    // The worst moment is in the middle of a write, or when one was just acknowledged.
    const busy = running.filter(
      (host) => host.disk.isWriting || host.lastAcknowledgedTick >= tick - 1,
    );
    const isSpiteful = busy.length > 0 && randomChance(this.#random, 0.5);
    this.crash(drawItem(this.#random, isSpiteful ? busy : running), tick, tick + downTicks);
  }

  #partitions(tick: number): void {
    const { partition } = this.parameters;
    if (partition === null || tick < this.#partitionChangeTick) return;
    this.#isPartitioned = !this.#isPartitioned;
    if (!this.#isPartitioned) {
      this.#network.healPartition();
      this.#partitionChangeTick = tick + drawInteger(this.#random, partition.cooldownTicks);
      return;
    }
    this.partitionCount += 1;
    const size = Math.min(drawInteger(this.#random, partition.size), this.#hosts.length - 1);
    const isolated = drawDistinct(this.#random, this.#hosts.length, size);
    const isAsymmetric = this.#happens(partition.asymmetricRate);
    const oneWay = randomChance(this.#random, 0.5) ? "inward" : "outward";
    this.#network.partition(isolated, isAsymmetric ? oneWay : "both");
    this.#partitionChangeTick = tick + drawInteger(this.#random, partition.durationTicks);
    this.#note(tick, "partition", size);
  }

  #stalls(tick: number): void {
    const { clogRate, clogTicks, pauseRate, pauseTicks } = this.parameters;
    if (this.#happens(clogRate)) {
      const [from = 0, to = 0] = drawDistinct(this.#random, this.#hosts.length, 2);
      this.#network.clog(from, to, tick + drawInteger(this.#random, clogTicks));
    }
    if (this.#happens(pauseRate)) {
      const host = drawItem(this.#random, this.#hosts);
      if (host.isUp) host.pausedUntilTick = tick + drawInteger(this.#random, pauseTicks);
    }
  }

  #disksAndClocks(tick: number): void {
    const { fullDiskRate, fullDiskTicks, clockStepRate, clockStepMsMax } = this.parameters;
    if (this.#happens(fullDiskRate)) {
      const host = drawItem(this.#random, this.#hosts);
      host.disk.fullUntilTick = tick + drawInteger(this.#random, fullDiskTicks);
      this.#note(tick, "full", host.index);
    }
    if (this.#happens(clockStepRate)) {
      const host = drawItem(this.#random, this.#hosts);
      if (randomChance(this.#random, 0.5)) host.clock.setRight(msOfTick(tick));
      else host.clock.step(drawInteger(this.#random, [-clockStepMsMax, clockStepMsMax]));
      this.#note(tick, "step", host.index);
    }
  }

  /**
   * Rot may only take what others hold: the last copy of an acknowledged write is beyond any
   * protocol's power to save, so it is not asked for.
   */
  #isCoveredByOthers(rotten: NodeHost): boolean {
    const holders = this.#trusted.filter((host) => host !== rotten && host.isSettled);
    return this.#ledger.entries.every(
      (entry) =>
        (entry.keeper !== -1 && entry.keeper !== rotten.index) ||
        holders.some((host) => keepsPromise(entry, host.held(entry.key))),
    );
  }

  #happens(rate: number): boolean {
    return rate > 0 && randomChance(this.#random, rate);
  }

  #note(tick: number, what: string, subject: number): void {
    this.#trace.word(tick);
    this.#trace.text(what);
    this.#trace.word(subject);
  }
}
