// The flow plane: senses the line, feeds the loop, carries out what it decides, and leaves the
// interface as it was found. Whatever a child, a file or the kernel does wrong becomes an input of
// the loop or a notice: nothing here throws into the daemon.

import { FLOW_INPUTS_WAITING_MAX } from "../kernel/limits.ts";
import type { Random } from "../kernel/ports.ts";
import { BoundedQueue } from "../kernel/queue.ts";
import type { FlowSettings } from "../schema/flow-settings.ts";
import { FlowLoop, type StartRates } from "./control/loop.ts";
import { DummyLine } from "./dummy/dummy-line.ts";
import type { Direction, FlowInput, FlowStep } from "./interface.ts";
import type { FlowLine, LineEvents } from "./line.ts";
import { flowMetrics, metricsText } from "./metrics.ts";
import { Observations } from "./observations.ts";
import type { DeclaredServices } from "./persona/classifier.ts";
import type { PersonaRules } from "./persona/rules.ts";
import type { Children, LoopClock, QuicCrypto, SystemFiles } from "./ports.ts";
import { RealLine } from "./real-line.ts";
import { encodeHeader, encodeInput, encodeSettings } from "./recording.ts";
import type {
  DeviceReport,
  DirectionStatus,
  FlowListener,
  FlowMetric,
  FlowReport,
  FlowStatus,
} from "./status.ts";

export interface FlowPlanePorts {
  readonly clock: LoopClock;
  readonly random: Random;
  readonly children: Children;
  readonly files: SystemFiles;
  readonly quicCrypto: QuicCrypto;
}

export interface FlowPlaneOptions {
  readonly settings: FlowSettings;
  /** Folder for what must outlive a crash, such as what was found on the interface. It exists. */
  readonly stateDir: string;
  readonly listener: FlowListener;
  /** The user's own; they may change while the plane runs. */
  readonly rules: PersonaRules;
  /** What the mesh says of its services; it may change while the plane runs. */
  readonly declared: DeclaredServices;
}

const FOUND_FILE = "flow-found.json";
/** At this pace and below, each round may change it. */
const SLOW_HZ = 2;

export class FlowPlane {
  readonly #ports: FlowPlanePorts;
  readonly #listener: FlowListener;
  readonly #line: FlowLine;
  readonly #seen = new Observations();
  /** Inputs that came while the loop was busy with another. */
  readonly #inputs = new BoundedQueue<FlowInput>(FLOW_INPUTS_WAITING_MAX);
  #stepping = false;
  #settings: FlowSettings;
  #loop: FlowLoop;
  #samplingHz: number;
  #metricsFileFailed = false;
  #recorder: ((line: string) => void) | null = null;

  constructor(ports: FlowPlanePorts, options: FlowPlaneOptions) {
    this.#ports = ports;
    this.#listener = options.listener;
    this.#settings = options.settings;
    this.#samplingHz = options.settings.sampleHz;
    this.#loop = new FlowLoop(options.settings);
    this.#line = this.#createLine(options);
  }

  /** How often `tick` is wanted, a second. Less while the line is idle. */
  get samplingHz(): number {
    return this.#samplingHz;
  }

  /**
   * Looks at the interface, keeps what it finds, installs the shapers and starts the children.
   * Never rejects: what fails is told as a notice, and tried again from `tick`.
   */
  async start(): Promise<void> {
    await this.#line.start(this.#rates);
  }

  /** One round of the loop. Call it `samplingHz` times a second; `onPace` tells when that changes. */
  tick(nowMs: number): void {
    this.#line.tick(nowMs);
  }

  /** Ends the children and puts back what was found. Resolves when that is done or was refused for good. */
  async stop(): Promise<void> {
    this.#recorder = null;
    await this.#line.stop();
  }

  /** Takes settings that were validated, of the same mode. Tears down only what they change. */
  async reconfigure(settings: FlowSettings): Promise<void> {
    this.#settings = settings;
    const atMs = Math.round(this.#ports.clock.nowMs());
    this.#recorder?.(encodeSettings(settings, atMs));
    this.#handle(this.#loop.reconfigure(settings, atMs));
    this.#adoptPace();
    await this.#line.reconfigure(settings, this.#rates);
  }

  status(): FlowStatus {
    const view = this.#loop.view;
    const line = this.#line.status();
    return {
      ...{ phase: line.phase, device: line.device, link: line.link, problem: line.problem },
      mode: this.#settings.mode,
      frozen: view.state === "frozen",
      samplingHz: this.#samplingHz,
      download: this.#directionStatus("download"),
      upload: this.#directionStatus("upload"),
      pingerAlive: line.pingerAlive,
      reflectors: line.reflectors,
      cpuPercent: this.#seen.cpuPercent,
      residentBytes: this.#seen.residentBytes,
      flowCount: this.#line.recognition?.flowCount ?? 0,
      markedFlowCount: this.#line.recognition?.markedFlowCount ?? 0,
      decisions: this.#seen.decisions,
      history: this.#seen.history,
      recording: this.#recorder !== null,
    };
  }

  /** The busiest flows first. */
  flows(limit: number): readonly FlowReport[] {
    return this.#line.recognition?.flows(limit) ?? [];
  }

  devices(): readonly DeviceReport[] {
    return this.#line.recognition?.devices() ?? [];
  }

  metrics(): readonly FlowMetric[] {
    return flowMetrics(this.status(), this.#seen);
  }

  /**
   * Hands every line of a recording to `sink`, its header first, until the function it answers
   * with is called. Null: a recording is under way already. The loop begins anew at its present
   * rates, so that a replay begins where the recording does.
   */
  record(sink: (line: string) => void): (() => void) | null {
    if (this.#recorder !== null) return null;
    const rates = this.#rates;
    this.#loop = new FlowLoop(this.#settings, rates);
    this.#recorder = sink;
    sink(encodeHeader(this.#settings, rates));
    this.#tellPresent();
    return () => {
      if (this.#recorder === sink) this.#recorder = null;
    };
  }

  /** A new loop hears how things stand. */
  #tellPresent(): void {
    const atMs = Math.round(this.#ports.clock.nowMs());
    const { link, pingerAlive } = this.#line.status();
    if (link !== null) this.#input({ kind: "link", atMs, state: link });
    if (pingerAlive) return;
    this.#input({ kind: "pinger", atMs, alive: false, reason: "the recording began without it" });
  }

  get #rates(): StartRates {
    const { download, upload } = this.#loop.view.directions;
    return { downloadKbit: download.rateKbit, uploadKbit: upload.rateKbit };
  }

  #createLine({ settings, stateDir, rules, declared }: FlowPlaneOptions): FlowLine {
    const events: LineEvents = {
      onInput: (input) => this.#input(input),
      onNotice: (notice) => this.#listener.onNotice(notice),
    };
    if (settings.mode === "dummy") return new DummyLine(settings, this.#ports, events);
    const foundFile = `${stateDir}/${FOUND_FILE}`;
    return new RealLine(settings, { ...this.#ports, foundFile, rules, declared }, events);
  }

  /** What comes while a command is carried out waits its turn. */
  #input(input: FlowInput): void {
    this.#inputs.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (;;) {
        const next = this.#inputs.shift();
        if (next === undefined) return;
        this.#step(next);
      }
    } finally {
      this.#stepping = false;
    }
  }

  #step(input: FlowInput): void {
    this.#recorder?.(encodeInput(input));
    this.#handle(this.#loop.step(input));
    const isSecond = this.#seen.addInput(input, () => this.#loop.view.deltaMs);
    if (isSecond || this.#samplingHz <= SLOW_HZ) this.#adoptPace();
    if (isSecond) this.#writeMetrics();
  }

  #handle({ decisions, commands }: FlowStep): void {
    for (const decision of decisions) {
      this.#seen.addDecision(decision);
      this.#listener.onDecision(decision);
    }
    if (this.#settings.mode === "shadow") return;
    for (const command of commands) this.#line.carryOut(command);
  }

  #adoptPace(): void {
    const { samplingHz, asleep } = this.#loop.view;
    this.#line.rest(asleep);
    if (samplingHz === this.#samplingHz) return;
    this.#samplingHz = samplingHz;
    this.#listener.onPace(samplingHz);
  }

  #writeMetrics(): void {
    const path = this.#settings.metricsFile;
    if (path === null) return;
    const written = this.#ports.files.writeText(path, metricsText(this.metrics()));
    if (!written && !this.#metricsFileFailed) {
      this.#listener.onNotice({
        level: "warn",
        code: "metrics-file",
        message: `The metrics could not be written to ${path}: its folder must exist and be writable`,
      });
    }
    this.#metricsFileFailed = !written;
  }

  #directionStatus(direction: Direction): DirectionStatus {
    const isShaped = direction === "upload" || this.#settings.ingress;
    const { rateKbit } = this.#loop.view.directions[direction];
    return this.#seen.status(direction, isShaped ? rateKbit : null);
  }
}
