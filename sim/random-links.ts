// Links drawn from a seed: any capacity that comes and goes, any queue, load, cross traffic,
// reflectors and faults, with the settings of somebody who knows them only roughly.

import { LinkPlant, type PlantDirection, type PlantReflector } from "../src/flow/dummy/plant.ts";
import { SeededRandom } from "../src/kernel/random.ts";
import { type FlowSettings, readFlowSettings } from "../src/schema/flow-settings.ts";
import type { LinkFaults } from "./link-plant.ts";
import { type TraceStep, traceValue } from "./link-traces.ts";

export interface RandomLink {
  readonly plant: LinkPlant;
  readonly settings: FlowSettings;
  readonly faults: LinkFaults;
  /** From here on the line is whole and nobody uses it. */
  readonly troubleEndsMs: number;
}

const STEP_MS = 4;

/** The link of `seed`, in trouble until `troubleEndsMs`. */
export function randomLink(seed: bigint, troubleEndsMs: number): RandomLink {
  const draw = new Draw(seed);
  const settings = drawSettings(draw);
  const start = {
    atMs: 0,
    downloadKbit: settings.download.baseKbit,
    uploadKbit: settings.upload.baseKbit,
  };
  const pathSteps = drawSteps(draw, troubleEndsMs, () => draw.between(5, 120));
  const plant = new LinkPlant(
    {
      download: drawDirection(draw, settings.download.maxKbit, troubleEndsMs),
      upload: drawDirection(draw, settings.upload.maxKbit, troubleEndsMs),
      pathRttMs: (atMs) => traceValue(pathSteps, atMs),
      fifoMs: draw.between(20, 1_000),
      reflectors: Array.from({ length: draw.whole(1, 4) }, (_, index) =>
        drawReflector(draw, index, troubleEndsMs),
      ),
      probeEveryMs: draw.chance(0.8) ? 100 : draw.whole(100, 1_000),
      jitterMs: draw.between(0, 5),
      stepMs: STEP_MS,
    },
    start,
    new SeededRandom(seed),
  );
  return { plant, settings, faults: drawFaults(draw), troubleEndsMs };
}

function drawSettings(draw: Draw): FlowSettings {
  const rates = () => {
    const min = draw.whole(100, 20_000);
    const base = draw.whole(min, 4 * min);
    return { min, base, max: draw.whole(base, 5 * base) };
  };
  const m = draw.whole(1, 10);
  const tauMs = draw.whole(50, 1_000);
  const result = readFlowSettings(
    {
      enabled: true,
      download: rates(),
      upload: rates(),
      delaySetPoint: `${draw.whole(5, 30)}ms`,
      k: draw.whole(1, m),
      m,
      tau: `${tauMs}ms`,
      rho: draw.whole(1, Math.max(1, Math.floor(1_000 / tauMs))),
      stepUp: draw.whole(1, 60),
      stepDown: draw.whole(5, 95),
      ingress: draw.chance(0.9),
    },
    (key) => key,
  );
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.settings;
}

function drawDirection(draw: Draw, maxKbit: number, endMs: number): PlantDirection {
  const capacity = drawSteps(draw, endMs, () =>
    draw.chance(0.05) ? 0 : maxKbit * draw.between(0.05, 1.5),
  );
  const load = drawSteps(draw, endMs, () => (draw.chance(0.7) ? 1 : 0));
  const foreign = drawSteps(draw, endMs, () =>
    draw.chance(0.7) ? 0 : maxKbit * draw.between(0, 0.5),
  );
  return {
    capacityKbit: (atMs) => (atMs < endMs ? traceValue(capacity, atMs) : 1.5 * maxKbit),
    tcpFlows: draw.whole(0, 5),
    sending: (atMs) => atMs < endMs && traceValue(load, atMs) === 1,
    steadyKbit: draw.chance(0.5) ? 0 : 0.02 * maxKbit,
    foreignKbit: (atMs) => (atMs < endMs ? traceValue(foreign, atMs) : 0),
  };
}

function drawReflector(draw: Draw, index: number, endMs: number): PlantReflector {
  const extraMs = draw.between(0, 40);
  const badMs = draw.chance(0.2) ? draw.between(20, 200) : 0;
  const loss = draw.chance(0.3) ? draw.between(0, 0.5) : 0;
  return {
    address: `192.0.2.${index + 1}`,
    extraMs: (atMs) => extraMs + (atMs < endMs && atMs > endMs / 2 ? badMs : 0),
    lossShare: (atMs) => (atMs < endMs ? loss : 0),
  };
}

function drawFaults(draw: Draw): LinkFaults {
  const share = () => (draw.chance(0.7) ? 0 : draw.between(0, 0.2));
  return {
    missingCounters: share(),
    missingReplies: share(),
    failedChanges: share(),
    wrongReadBacks: share(),
  };
}

function drawSteps(draw: Draw, endMs: number, value: () => number): TraceStep[] {
  const steps: TraceStep[] = [{ atMs: 0, value: value() }];
  for (let count = draw.whole(0, 4); count > 0; count -= 1) {
    steps.push({ atMs: draw.between(0, endMs), value: value() });
  }
  return steps.sort((a, b) => a.atMs - b.atMs);
}

class Draw {
  readonly #random: SeededRandom;

  constructor(seed: bigint) {
    this.#random = new SeededRandom(seed);
  }

  between(low: number, high: number): number {
    return low + ((high - low) * this.#random.u32()) / 0x1_0000_0000;
  }

  /** Both ends included. */
  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }
}
