// Who steers the simulated line: our loop, and those it is compared with there.

import { FlowLoop } from "../src/flow/control/loop.ts";
import {
  type Decision,
  DIRECTIONS,
  type Direction,
  type FlowCommand,
  type FlowInput,
} from "../src/flow/interface.ts";
import { type FlowSettings, readFlowSettings } from "../src/schema/flow-settings.ts";
import type { LinkController, LinkTruth } from "./link-plant.ts";
import type { LinkTrace } from "./link-traces.ts";

/** The settings a person would write for this line; all else is as it comes. */
export function settingsOfTrace(trace: LinkTrace): FlowSettings {
  const rates = ({ minKbit: min, baseKbit: base, maxKbit: max }: LinkTrace["download"]) => ({
    min,
    base,
    max,
  });
  const result = readFlowSettings(
    { enabled: true, download: rates(trace.download), upload: rates(trace.upload) },
    (key) => key,
  );
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.settings;
}

/** Our loop, which remembers what it decided. */
export class LoopContestant implements LinkController {
  readonly loop: FlowLoop;
  readonly decisions: Decision[] = [];

  constructor(settings: FlowSettings) {
    this.loop = new FlowLoop(settings);
  }

  step(input: FlowInput): readonly FlowCommand[] {
    const { decisions, commands } = this.loop.step(input);
    this.decisions.push(...decisions);
    return commands;
  }
}

/** CAKE at 95 % of the true capacity, changed in the tick it changes. */
export class OracleContestant implements LinkController {
  readonly #rateKbit: Record<Direction, number> = { download: 0, upload: 0 };

  step(input: FlowInput, truth: LinkTruth): readonly FlowCommand[] {
    if (input.kind !== "sample") return [];
    const commands: FlowCommand[] = [];
    for (const direction of DIRECTIONS) {
      const rateKbit = Math.max(Math.round(0.95 * truth.capacityKbit(direction)), 100);
      if (rateKbit === this.#rateKbit[direction]) continue;
      this.#rateKbit[direction] = rateKbit;
      commands.push({ kind: "set-rate", direction, rateKbit });
    }
    return commands;
  }
}

/** CAKE at one rate for ever. */
export class StaticContestant implements LinkController {
  readonly #rateKbit: Record<Direction, number>;
  #isSet = false;

  constructor(rateKbit: Record<Direction, number>) {
    this.#rateKbit = rateKbit;
  }

  step(): readonly FlowCommand[] {
    if (this.#isSet) return [];
    this.#isSet = true;
    return DIRECTIONS.map((direction) => ({
      kind: "set-rate",
      direction,
      rateKbit: this.#rateKbit[direction],
    }));
  }
}
