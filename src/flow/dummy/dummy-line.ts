// A line that exists in memory only, for `mode: dummy` and the demo: capacity steps up and down under
// load, and nothing of the machine is touched.

import type { Random } from "../../kernel/ports.ts";
import type { FlowSettings } from "../../schema/flow-settings.ts";
import type { StartRates } from "../control/loop.ts";
import type { FlowCommand } from "../interface.ts";
import type { FlowLine, LineEvents, LineStatus } from "../line.ts";
import type { LoopClock } from "../ports.ts";
import { LinkPlant, type PlantOptions } from "./plant.ts";

const REFLECTORS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
/** Full capacity for so long, then a quarter of it for as long. */
const STEP_MS = 12_000;
const PATH_RTT_MS = 20;

export class DummyLine implements FlowLine {
  readonly recognition = null;
  readonly #clock: LoopClock;
  readonly #random: Random;
  readonly #events: LineEvents;
  #settings: FlowSettings;
  #plant: LinkPlant | null = null;

  constructor(
    settings: FlowSettings,
    ports: { readonly clock: LoopClock; readonly random: Random },
    events: LineEvents,
  ) {
    this.#settings = settings;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#events = events;
  }

  async start(rates: StartRates): Promise<void> {
    const atMs = Math.round(this.#clock.nowMs());
    const options = plantOptions(this.#settings, atMs);
    this.#plant = new LinkPlant(options, { atMs, ...rates }, this.#random);
    this.#events.onInput({ kind: "link", atMs, state: "shaped" });
  }

  tick(nowMs: number): void {
    const plant = this.#plant;
    if (plant === null) return;
    plant.advance(Math.round(nowMs));
    this.#events.onInput(plant.sample());
  }

  carryOut(command: FlowCommand): void {
    const answers = this.#plant?.carryOut(command) ?? [];
    for (const input of answers) this.#events.onInput(input);
  }

  rest(): void {}

  async reconfigure(settings: FlowSettings, rates: StartRates): Promise<void> {
    this.#settings = settings;
    await this.start(rates);
  }

  async stop(): Promise<void> {
    this.#plant = null;
  }

  status(): LineStatus {
    const running = this.#plant !== null;
    return {
      phase: running ? "running" : "stopped",
      device: "dummy",
      link: running ? "shaped" : null,
      problem: null,
      pingerAlive: running,
      reflectors: REFLECTORS.map((address) => ({
        address,
        tin: "besteffort" as const,
        rttMs: null,
        lossPercent: null,
      })),
    };
  }
}

function plantOptions(settings: FlowSettings, startMs: number): PlantOptions {
  const isFull = (atMs: number): boolean => Math.floor((atMs - startMs) / STEP_MS) % 2 === 0;
  const direction = (maxKbit: number) => ({
    capacityKbit: (atMs: number) => (isFull(atMs) ? maxKbit : Math.round(maxKbit / 4)),
    tcpFlows: 4,
    sending: () => true,
    steadyKbit: 80,
    foreignKbit: () => 0,
  });
  return {
    download: direction(settings.download.maxKbit),
    upload: direction(settings.upload.maxKbit),
    pathRttMs: () => PATH_RTT_MS,
    fifoMs: 600,
    reflectors: REFLECTORS.map((address) => ({ address, extraMs: () => 0, lossShare: () => 0 })),
    probeEveryMs: 100,
    jitterMs: 0.5,
    stepMs: 4,
  };
}
