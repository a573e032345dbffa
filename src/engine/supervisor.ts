// The life of one instance: prepared, started, watched, started again after a wait when it
// ends, and stopped with everything it started.

import {
  type Command,
  endProcessGroup,
  forgetGroup,
  noteGroup,
  startProcessGroup,
} from "../io/process-group.ts";
import type { Instance, InstanceState } from "./engine.ts";
import { HealthMonitor, type HealthVerdict } from "./health-monitor.ts";
import { probe } from "./health-probe.ts";
import type { ServiceLogWriter } from "./service-log.ts";

export interface SupervisorTiming {
  /** The wait before the first restart; every failure after it doubles it … */
  readonly backoffMinMs: number;
  /** … up to this. */
  readonly backoffMaxMs: number;
  /** A run of this length sets the wait back. */
  readonly stableRunMs: number;
  /** How long an instance may take to end before it is killed. */
  readonly stopTimeoutMs: number;
  /** How long an instance without a health check stays up before it counts as healthy. */
  readonly settleMs: number;
  /** How long the pre-start command may take. */
  readonly preStartTimeoutMs: number;
}

/** What surrounds one instance on this machine. */
export interface Surroundings {
  /** The service's own folder, which its programs start in. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where health probes go. */
  readonly address: string;
  /** Where the running group is noted for a later daemon. */
  readonly noteFile: string;
  /** The `NAME=VALUE` of `env` by which a later daemon knows the group. */
  readonly marker: string;
  readonly log: ServiceLogWriter;
  readonly timing: SupervisorTiming;
}

/** The wait before the next start, after `failureCount` short runs in a row. */
export function backoffMs(failureCount: number, timing: SupervisorTiming): number {
  return Math.min(timing.backoffMaxMs, timing.backoffMinMs * 2 ** Math.max(0, failureCount - 1));
}

export class Supervisor {
  readonly instance: Instance;
  readonly #around: Surroundings;
  readonly #onState: (state: InstanceState, detail: string) => void;
  #state: InstanceState = "starting";
  #detail = "";
  #restartCount = 0;
  #failureCount = 0;
  /** The group that runs: the pre-start command's or the program's. */
  #pid: number | null = null;
  #runStartMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #monitor: HealthMonitor | null = null;
  /** Set once the instance is told to stop; called when nothing of it runs. */
  #onStopped: (() => void) | null = null;
  #ending = false;
  /** Numbers the runs: the exit of one that was given up is no news. */
  #run = 0;

  constructor(
    instance: Instance,
    around: Surroundings,
    onState: (state: InstanceState, detail: string) => void,
  ) {
    this.instance = instance;
    this.#around = around;
    this.#onState = onState;
  }

  get state(): InstanceState {
    return this.#state;
  }

  get detail(): string {
    return this.#detail;
  }

  /** The leader of what runs now, the pre-start command included; null in between. */
  get pid(): number | null {
    return this.#pid;
  }

  get restartCount(): number {
    return this.#restartCount;
  }

  /** Called once, and again by itself after every wait. */
  start(): void {
    this.#show("starting", "");
    if (this.instance.spec.preStart.length > 0) this.#runPreStart();
    else this.#runProgram();
  }

  /** Ends the instance for good. `onStopped` comes when nothing of its group runs. */
  stop(onStopped: () => void): void {
    if (this.#onStopped !== null) return;
    this.#onStopped = onStopped;
    this.#quiet();
    this.#show("stopping", "");
    if (!this.#ending) this.#endGroup(null);
  }

  #runPreStart(): void {
    const { preStartTimeoutMs } = this.#around.timing;
    const [program = "", ...args] = this.instance.spec.preStart;
    this.#launch(program, args, (success, how) => {
      if (success) this.#endGroup(() => this.#runProgram());
      else this.#restartLater(`the pre-start command ${how}`);
    });
    this.#setTimer(preStartTimeoutMs, () => {
      this.#restartLater(`the pre-start command took longer than ${preStartTimeoutMs} ms`);
    });
  }

  #runProgram(): void {
    const { spec } = this.instance;
    this.#launch(spec.exec, spec.args, (_, how) => this.#restartLater(how));
    if (this.#pid !== null) this.#watch(spec.health);
  }

  #launch(
    program: string,
    args: readonly string[],
    onExit: (success: boolean, how: string) => void,
  ): void {
    const { cwd, env, log, noteFile, marker } = this.#around;
    const command: Command = { program, args, cwd, env };
    this.#runStartMs = performance.now();
    this.#run += 1;
    const run = this.#run;
    const group = startProcessGroup(command, {
      onOutput: (stream, chunk) => log.write(stream, chunk),
      onExit: (success, how) => {
        if (run === this.#run) onExit(success, how);
      },
    });
    this.#pid = group.pid;
    if (group.pid !== null) noteGroup(noteFile, group.pid, marker, this.instance.generation);
  }

  #watch(check: Instance["spec"]["health"]): void {
    if (check === null) {
      this.#setTimer(this.#around.timing.settleMs, () => this.#show("healthy", ""));
      return;
    }
    this.#monitor = new HealthMonitor(
      check,
      (onProbed) => probe(check, this.#around, onProbed),
      (verdict, detail) => this.#judge(verdict, detail),
    );
  }

  #judge(verdict: HealthVerdict, detail: string): void {
    if (verdict === "restart") this.#restartLater(`its health check keeps failing: ${detail}`);
    else this.#show(verdict, detail);
  }

  /** The run is over, whether it ended by itself or is to be ended: wait, then start anew. */
  #restartLater(why: string): void {
    const { log, timing } = this.#around;
    this.#quiet();
    const stable = performance.now() - this.#runStartMs >= timing.stableRunMs;
    this.#failureCount = stable ? 1 : this.#failureCount + 1;
    const waitMs = backoffMs(this.#failureCount, timing);
    log.note(`${this.instance.name} ${why}; it starts again in ${waitMs} ms`);
    this.#show("backoff", why);
    // What the leader left behind may hold the port.
    this.#endGroup(() => {
      this.#setTimer(waitMs, () => {
        this.#restartCount += 1;
        this.start();
      });
    });
  }

  /** Ends what runs, then goes on with `next`, unless the instance was stopped meanwhile. */
  #endGroup(next: (() => void) | null): void {
    const goOn = (): void => {
      this.#ending = false;
      this.#pid = null;
      forgetGroup(this.#around.noteFile);
      if (this.#onStopped !== null) this.#finish();
      else next?.();
    };
    this.#quiet();
    this.#run += 1;
    this.#ending = true;
    if (this.#pid === null) goOn();
    else endProcessGroup(this.#pid, this.#around.timing.stopTimeoutMs, goOn);
  }

  #finish(): void {
    this.#around.log.close();
    this.#onStopped?.();
  }

  /** No timer and no probe speaks any more. */
  #quiet(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#monitor?.stop();
    this.#monitor = null;
  }

  #setTimer(delayMs: number, then: () => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(then, delayMs);
  }

  #show(state: InstanceState, detail: string): void {
    if (state === this.#state && detail === this.#detail) return;
    this.#state = state;
    this.#detail = detail;
    this.#onState(state, detail);
  }
}
