// The lines the controller and its peers are measured on: capacity and path delay as functions of
// time. The bench plays them on a real kernel, the link plant in memory.

import { SeededRandom } from "../src/kernel/random.ts";

/** From `atMs` on, until the next one, the value is `value`. The first one is at 0. */
export interface TraceStep {
  readonly atMs: number;
  readonly value: number;
}

export interface TraceDirection {
  /** What the line carries, kbit/s on the wire; 0: nothing at all. */
  readonly capacityKbit: readonly TraceStep[];
  /** TCP flows that send as fast as they can, all the time. */
  readonly tcpFlows: number;
  /** What a contestant is told: kbit/s. */
  readonly minKbit: number;
  readonly baseKbit: number;
  readonly maxKbit: number;
}

export interface LinkTrace {
  readonly name: string;
  readonly title: string;
  readonly durationMs: number;
  readonly download: TraceDirection;
  readonly upload: TraceDirection;
  /** RTT of the path without any queue. */
  readonly pathRttMs: readonly TraceStep[];
  /** What the reflector of this index (in the order of the configuration) adds, and loses one in `lossOneIn`. */
  readonly badReflector: {
    readonly index: number;
    readonly fromMs: number;
    readonly extraMs: number;
    readonly lossOneIn: number;
  } | null;
  /** Depth of the line's own first-in-first-out queue, each direction, at its capacity then. */
  readonly fifoMs: number;
}

const STEADY_RTT: readonly TraceStep[] = [{ atMs: 0, value: 20 }];
/** What flow-peers.md's measurement told its contestants. */
const DOWNLOAD_RATES = { minKbit: 5_000, baseKbit: 20_000, maxKbit: 80_000 };
const UPLOAD_RATES = { minKbit: 5_000, baseKbit: 20_000, maxKbit: 35_000 };

/** The value of piecewise constant `steps` at `atMs`. */
export function traceValue(steps: readonly TraceStep[], atMs: number): number {
  let low = 0;
  let high = steps.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (steps[middle]!.atMs <= atMs) low = middle;
    else high = middle - 1;
  }
  return steps[low]!.value;
}

/** Mean of piecewise constant `steps` from 0 to `durationMs`. */
export function traceMean(steps: readonly TraceStep[], durationMs: number): number {
  let sum = 0;
  for (const [index, step] of steps.entries()) {
    const endMs = Math.min(steps[index + 1]?.atMs ?? durationMs, durationMs);
    if (endMs > step.atMs) sum += step.value * (endMs - step.atMs);
  }
  return sum / durationMs;
}

export const LINK_TRACES: readonly LinkTrace[] = [
  {
    name: "T0",
    title: "constant 50/10 Mbit/s",
    durationMs: 40_000,
    download: { capacityKbit: constant(50_000), tcpFlows: 4, ...DOWNLOAD_RATES },
    upload: {
      capacityKbit: constant(10_000),
      tcpFlows: 4,
      minKbit: 2_000,
      baseKbit: 8_000,
      maxKbit: 20_000,
    },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T1",
    title: "steps 80, 20, 80 Mbit/s",
    durationMs: 60_000,
    download: {
      capacityKbit: cycle([80_000, 20_000], 20_000, 60_000),
      tcpFlows: 4,
      ...DOWNLOAD_RATES,
    },
    upload: { capacityKbit: constant(20_000), tcpFlows: 2, ...UPLOAD_RATES },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T2",
    title: "square wave 40 and 10 Mbit/s, 10 s each",
    durationMs: 60_000,
    download: {
      capacityKbit: cycle([40_000, 10_000], 10_000, 60_000),
      tcpFlows: 4,
      ...DOWNLOAD_RATES,
    },
    upload: { capacityKbit: constant(20_000), tcpFlows: 4, ...UPLOAD_RATES },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T3",
    title: "sag from 100 to 30 Mbit/s in 10 minutes",
    durationMs: 600_000,
    download: {
      capacityKbit: sag(100_000, 30_000, 600_000),
      tcpFlows: 4,
      minKbit: 10_000,
      baseKbit: 50_000,
      maxKbit: 120_000,
    },
    upload: { capacityKbit: constant(20_000), tcpFlows: 4, ...UPLOAD_RATES },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T4",
    title: "LTE-like, a new capacity every 100 ms",
    durationMs: 60_000,
    download: {
      capacityKbit: cellular(4n, 35_000, 5_000, 80_000, 60_000),
      tcpFlows: 4,
      ...DOWNLOAD_RATES,
    },
    upload: {
      capacityKbit: cellular(5n, 14_000, 4_000, 30_000, 60_000),
      tcpFlows: 4,
      minKbit: 2_000,
      baseKbit: 8_000,
      maxKbit: 35_000,
    },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T5",
    title: "a new level every 15 s",
    durationMs: 90_000,
    download: {
      capacityKbit: cycle([60_000, 25_000, 45_000, 15_000, 70_000, 35_000], 15_000, 90_000),
      tcpFlows: 4,
      ...DOWNLOAD_RATES,
    },
    upload: { capacityKbit: constant(20_000), tcpFlows: 4, ...UPLOAD_RATES },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T6",
    title: "5 s without a line",
    durationMs: 45_000,
    download: { capacityKbit: outage(50_000, 20_000, 25_000), tcpFlows: 4, ...DOWNLOAD_RATES },
    upload: { capacityKbit: outage(20_000, 20_000, 25_000), tcpFlows: 4, ...UPLOAD_RATES },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T7",
    title: "+40 ms of path without load, then one bad reflector",
    durationMs: 60_000,
    download: { capacityKbit: constant(50_000), tcpFlows: 0, ...DOWNLOAD_RATES },
    upload: { capacityKbit: constant(20_000), tcpFlows: 0, ...UPLOAD_RATES },
    pathRttMs: [
      { atMs: 0, value: 20 },
      { atMs: 15_000, value: 60 },
    ],
    badReflector: { index: 0, fromMs: 35_000, extraMs: 80, lossOneIn: 3 },
    fifoMs: 600,
  },
  {
    name: "T8",
    title: "ADSL, 4/0.8 Mbit/s",
    durationMs: 60_000,
    download: {
      capacityKbit: constant(4_000),
      tcpFlows: 4,
      minKbit: 1_000,
      baseKbit: 3_000,
      maxKbit: 8_000,
    },
    upload: {
      capacityKbit: constant(800),
      tcpFlows: 4,
      minKbit: 200,
      baseKbit: 600,
      maxKbit: 1_600,
    },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
  {
    name: "T9",
    title: "upload only, 50/10 Mbit/s",
    durationMs: 40_000,
    download: { capacityKbit: constant(50_000), tcpFlows: 0, ...DOWNLOAD_RATES },
    upload: {
      capacityKbit: constant(10_000),
      tcpFlows: 4,
      minKbit: 2_000,
      baseKbit: 8_000,
      maxKbit: 20_000,
    },
    pathRttMs: STEADY_RTT,
    badReflector: null,
    fifoMs: 600,
  },
];

function constant(value: number): readonly TraceStep[] {
  return [{ atMs: 0, value }];
}

function cycle(values: readonly number[], everyMs: number, durationMs: number): TraceStep[] {
  const steps: TraceStep[] = [];
  for (let index = 0; index * everyMs < durationMs; index += 1) {
    steps.push({ atMs: index * everyMs, value: values[index % values.length]! });
  }
  return steps;
}

function sag(from: number, to: number, durationMs: number): TraceStep[] {
  const steps: TraceStep[] = [];
  for (let atMs = 0; atMs < durationMs; atMs += 1_000) {
    steps.push({ atMs, value: Math.round(from + ((to - from) * atMs) / durationMs) });
  }
  return steps;
}

function outage(value: number, fromMs: number, toMs: number): TraceStep[] {
  return [
    { atMs: 0, value },
    { atMs: fromMs, value: 0 },
    { atMs: toMs, value },
  ];
}

/**
 * What a moving phone's modem shows: a slow drift over seconds (other users, distance), a quick
 * flutter (fading), and now and then a hole. Drawn from a seed, so that it is the same everywhere.
 */
function cellular(
  seed: bigint,
  meanKbit: number,
  minKbit: number,
  maxKbit: number,
  durationMs: number,
): TraceStep[] {
  const random = new SeededRandom(seed);
  const uniform = () => random.u32() / 0x1_0000_0000;
  const normal = () => uniform() + uniform() + uniform() + uniform() - 2;
  const steps: TraceStep[] = [];
  let drift = 0;
  let flutter = 0;
  let holeUntilMs = 0;
  for (let atMs = 0; atMs < durationMs; atMs += 100) {
    drift = drift * 0.98 + normal() * 0.14;
    flutter = flutter * 0.6 + normal() * 0.12;
    if (uniform() < 0.006) holeUntilMs = atMs + 400 + 800 * uniform();
    const hole = atMs < holeUntilMs ? 0.4 : 1;
    const kbit = meanKbit * Math.exp(drift + flutter) * hole;
    steps.push({ atMs, value: Math.round(Math.min(Math.max(kbit, minKbit), maxKbit)) });
  }
  return steps;
}
