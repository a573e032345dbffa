// The controller: what a router's loop decides from what it was told. Pure: the same inputs in the
// same order give the same decisions, byte for byte, so that a recording can be replayed.

import type { FlowSettings } from "../../schema/flow-settings.ts";
import type { FlowInput, FlowStep } from "../interface.ts";
import type { FlowView } from "./view.ts";

/** The rates the shapers run at when the loop begins. */
export interface StartRates {
  readonly downloadKbit: number;
  readonly uploadKbit: number;
}

const NOTHING: FlowStep = { decisions: [], commands: [] };

/** One loop over both directions of one line. */
export class FlowLoop {
  readonly #settings: FlowSettings;
  readonly #start: StartRates;

  /** @param start the rates as installed; default: the base rates */
  constructor(settings: FlowSettings, start: StartRates = baseRates(settings)) {
    this.#settings = settings;
    this.#start = start;
  }

  /** Takes one input; inputs come in the order of their times. */
  step(_input: FlowInput): FlowStep {
    return NOTHING;
  }

  /** Takes other settings from now on; rates outside the new bounds move inside. */
  reconfigure(_settings: FlowSettings, _atMs: number): FlowStep {
    return NOTHING;
  }

  /** A picture of the loop as it is now; made anew on each call. */
  get view(): FlowView {
    const direction = (rateKbit: number) => ({
      phase: "idle" as const,
      rateKbit,
      lineKbit: null,
      capacityKbit: null,
      loadPercent: null,
      backlogBytes: null,
    });
    return {
      state: "running",
      frozenBecause: null,
      samplingHz: this.#settings.sampleHz,
      asleep: false,
      deltaMs: null,
      baselineMs: null,
      reflectors: [],
      directions: {
        download: direction(this.#start.downloadKbit),
        upload: direction(this.#start.uploadKbit),
      },
    };
  }
}

function baseRates(settings: FlowSettings): StartRates {
  return { downloadKbit: settings.download.baseKbit, uploadKbit: settings.upload.baseKbit };
}
