// The flow plane: senses the line, feeds the loop, carries out what it decides, and leaves the
// interface as it was found. Whatever a child, a file or the kernel does wrong becomes an input of
// the loop or a notice: nothing here throws into the daemon.

import type { Random } from "../kernel/ports.ts";
import type { FlowSettings } from "../schema/flow-settings.ts";
import type { Children, LoopClock, QuicCrypto, SystemFiles } from "./ports.ts";
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
}

export class FlowPlane {
  readonly #ports: FlowPlanePorts;
  readonly #listener: FlowListener;
  #settings: FlowSettings;

  constructor(ports: FlowPlanePorts, options: FlowPlaneOptions) {
    this.#ports = ports;
    this.#listener = options.listener;
    this.#settings = options.settings;
  }

  /** How often `tick` is wanted, a second. Less while the line is idle. */
  get samplingHz(): number {
    return this.#settings.sampleHz;
  }

  /**
   * Looks at the interface, keeps what it finds, installs the shapers and starts the children.
   * Never rejects: what fails is told as a notice, and tried again from `tick`.
   */
  async start(): Promise<void> {
    this.#listener.onPace(this.samplingHz);
  }

  /** One round of the loop. Call it `samplingHz` times a second; `onPace` tells when that changes. */
  tick(nowMs: number): void {
    void nowMs;
    void this.#ports;
  }

  /** Ends the children and puts back what was found. Resolves when that is done or was refused for good. */
  async stop(): Promise<void> {}

  /** Takes settings that were validated. Tears down only what they change. */
  async reconfigure(settings: FlowSettings): Promise<void> {
    this.#settings = settings;
  }

  status(): FlowStatus {
    return {
      phase: "stopped",
      mode: this.#settings.mode,
      device: this.#settings.egressIface,
      link: null,
      problem: null,
      frozen: false,
      samplingHz: this.samplingHz,
      download: IDLE_DIRECTION,
      upload: IDLE_DIRECTION,
      pingerAlive: false,
      reflectors: [],
      cpuPercent: null,
      residentBytes: null,
      flowCount: 0,
      markedFlowCount: 0,
      decisions: [],
      history: [],
      recording: false,
    };
  }

  /** The busiest flows first. */
  flows(limit: number): readonly FlowReport[] {
    void limit;
    return [];
  }

  devices(): readonly DeviceReport[] {
    return [];
  }

  metrics(): readonly FlowMetric[] {
    return [];
  }

  /**
   * Hands every line of a recording to `sink`, its header first, until the function it answers
   * with is called. Null: a recording is under way already.
   */
  record(sink: (line: string) => void): (() => void) | null {
    void sink;
    return null;
  }
}

const IDLE_DIRECTION: DirectionStatus = {
  shaperKbit: null,
  readBackKbit: null,
  throughputKbit: null,
  backlogBytes: null,
  tins: [],
};
