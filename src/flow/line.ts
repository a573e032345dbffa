// What the plane senses and moves: the line of this machine, or a simulated one.

import type { FlowSettings } from "../schema/flow-settings.ts";
import type { StartRates } from "./control/loop.ts";
import type { FlowCommand, FlowInput, LinkState } from "./interface.ts";
import type { Recognition } from "./recognition.ts";
import type { FlowNotice, FlowPhase, ReflectorStatus } from "./status.ts";

export interface LineEvents {
  /** In the order of their times; also from within `tick` and `carryOut`. */
  onInput(input: FlowInput): void;
  onNotice(notice: FlowNotice): void;
}

export interface LineStatus {
  readonly phase: FlowPhase;
  readonly device: string | null;
  readonly link: LinkState | null;
  /** Why it waits, or what works only in part. */
  readonly problem: string | null;
  readonly pingerAlive: boolean;
  readonly reflectors: readonly ReflectorStatus[];
}

export interface FlowLine {
  /** Never rejects: what fails is told, and tried again from `tick`. */
  start(rates: StartRates): Promise<void>;
  /** Once a round: asks for a sample, which comes as an input soon. */
  tick(nowMs: number): void;
  /** The outcome comes as an input. */
  carryOut(command: FlowCommand): void;
  /** The line is idle: sparse probes will do. */
  rest(asleep: boolean): void;
  /** @param rates what the loop wants now */
  reconfigure(settings: FlowSettings, rates: StartRates): Promise<void>;
  /** Leaves everything as it was found. */
  stop(): Promise<void>;
  status(): LineStatus;
  /** Null while flows are not recognised. */
  readonly recognition: Recognition | null;
}
