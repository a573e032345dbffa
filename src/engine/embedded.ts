// The engine for machines without systemd or nix: services as child processes of the daemon.
// It runs plain commands, and neither confines them nor limits what they use.

import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { endProcessGroup, findNotedGroup, forgetGroup } from "../io/process-group.ts";
import { assert } from "../kernel/assert.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ServiceSpec } from "../schema/service.ts";
import {
  type Engine,
  type Instance,
  type InstanceState,
  type InstanceStatus,
  NOTHING_BUILT,
  type OnInstanceState,
} from "./engine.ts";
import { ServiceLogs } from "./service-log.ts";
import { Supervisor, type SupervisorTiming } from "./supervisor.ts";

export interface EmbeddedEngineOptions {
  /** Holds the services' folders, their logs and the notes of what runs. One daemon only. */
  readonly workDir: string;
  readonly nodeId: NodeId;
  /** The IP address services are asked to listen on (MYCO_ADDRESS), and are probed at. */
  readonly address: string;
  /** Where programs given by name are looked up. */
  readonly path: string;
  readonly timing: SupervisorTiming;
  /** A log's current file is set aside before it grows beyond. */
  readonly logBytesMax: number;
}

export const EMBEDDED_TIMING_DEFAULTS: SupervisorTiming = {
  backoffMinMs: 1_000,
  backoffMaxMs: 60_000,
  stableRunMs: 60_000,
  stopTimeoutMs: 10_000,
  settleMs: 1_000,
  preStartTimeoutMs: 90_000,
};

/** What stands under a name: a supervised instance, a refusal, or what an earlier daemon left. */
interface Occupant {
  status(): InstanceStatus;
  stop(onStopped: () => void): void;
}

interface Seat {
  occupant: Occupant;
  stopping: boolean;
  /** Started when the occupant has stopped. */
  next: Instance | null;
}

export class EmbeddedEngine implements Engine {
  readonly ready = true;
  readonly outlivesDaemon = false;
  readonly logs: ServiceLogs;
  readonly #options: EmbeddedEngineOptions;
  readonly #onState: OnInstanceState;
  readonly #seats = new Map<string, Seat>();
  readonly #servicesDir: string;
  readonly #notesDir: string;
  #onClosed: (() => void) | null = null;

  /** Ends what an earlier daemon left running: it is listed as `stopping` until it is gone. */
  constructor(options: EmbeddedEngineOptions, onState: OnInstanceState) {
    this.#options = options;
    this.#onState = onState;
    this.#servicesDir = join(options.workDir, "services");
    this.#notesDir = join(options.workDir, "running");
    mkdirSync(this.#servicesDir, { recursive: true });
    mkdirSync(this.#notesDir, { recursive: true });
    this.logs = new ServiceLogs(join(options.workDir, "logs"), options.logBytesMax);
    this.#endLeftovers();
  }

  start(instance: Instance): void {
    assert(this.#onClosed === null, "nothing starts in a closed engine");
    const { name } = instance;
    assert(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name), "a service's name is a DNS label");
    const seat = this.#seats.get(name);
    if (seat === undefined) {
      this.#seat(instance);
    } else if (seat.stopping) {
      seat.next = instance;
    } else if (seat.occupant.status().generation !== instance.generation) {
      seat.next = instance;
      this.#vacate(name, seat);
    }
  }

  stop(name: string): void {
    const seat = this.#seats.get(name);
    if (seat === undefined) return;
    seat.next = null;
    if (!seat.stopping) this.#vacate(name, seat);
  }

  list(): readonly InstanceStatus[] {
    return [...this.#seats.values()].map((seat) => seat.occupant.status());
  }

  /** Its timers are its own. */
  tick(): void {}

  close(done: () => void): void {
    this.#onClosed = done;
    if (this.#seats.size === 0) done();
    for (const name of [...this.#seats.keys()]) this.stop(name);
  }

  #seat(instance: Instance): void {
    const { name } = instance;
    const refusal = refusalOf(instance.spec) ?? this.#makeFolder(name);
    if (refusal !== null) {
      this.#seats.set(name, { occupant: refused(instance, refusal), stopping: false, next: null });
      this.#onState(name, "refused", refusal);
      return;
    }
    const supervisor = this.#supervise(instance);
    this.#seats.set(name, { occupant: supervised(supervisor), stopping: false, next: null });
    this.#onState(name, "starting", "");
    supervisor.start();
  }

  #supervise(instance: Instance): Supervisor {
    const { name, spec } = instance;
    const { nodeId, address, path, timing } = this.#options;
    const cwd = join(this.#servicesDir, name);
    const log = this.logs.open(name);
    if (spec.memoryMaxBytes > 0 || spec.cpuQuotaPercent > 0) {
      log.note("the embedded engine does not enforce memory and processor limits");
    }
    const env = environmentOf(spec, { nodeId, address, path, cwd });
    const marker = `MYCO_INSTANCE=${env.MYCO_INSTANCE}`;
    const noteFile = join(this.#notesDir, `${name}.json`);
    return new Supervisor(
      instance,
      { cwd, env, address, noteFile, marker, log, timing },
      (state, detail) => this.#onState(name, state, detail),
    );
  }

  /** @returns why the service's folder cannot be made, or null */
  #makeFolder(name: string): string | null {
    try {
      mkdirSync(join(this.#servicesDir, name), { recursive: true });
      return null;
    } catch (error) {
      return `its folder cannot be made: ${(error as Error).message}`;
    }
  }

  #vacate(name: string, seat: Seat): void {
    seat.stopping = true;
    seat.occupant.stop(() => {
      this.#seats.delete(name);
      this.#onState(name, "stopped", "");
      if (seat.next !== null && this.#onClosed === null) this.#seat(seat.next);
      if (this.#seats.size === 0) this.#onClosed?.();
    });
  }

  #endLeftovers(): void {
    for (const file of readdirSync(this.#notesDir)) {
      const name = file.replace(/\.json$/, "");
      const path = join(this.#notesDir, file);
      const note = findNotedGroup(path);
      if (note === null) {
        forgetGroup(path);
        continue;
      }
      const occupant = leftover(name, note.generation, (onEnded) => {
        endProcessGroup(note.pid, this.#options.timing.stopTimeoutMs, () => {
          forgetGroup(path);
          onEnded();
        });
      });
      const seat: Seat = { occupant, stopping: false, next: null };
      this.#seats.set(name, seat);
      this.#vacate(name, seat);
    }
  }
}

/** Why this engine cannot run a service, or null. */
function refusalOf(spec: ServiceSpec): string | null {
  if (spec.flake !== "") return "needs the nix engine: this node runs plain commands only";
  if (spec.exec.includes("/") && !spec.exec.startsWith("/")) {
    return `exec "${spec.exec}" is relative; without a flake it must be absolute or a name in PATH`;
  }
  return null;
}

/**
 * All that a service finds in its environment: little, and nothing of the daemon's own.
 * What the service itself asks for comes last and wins.
 */
export function environmentOf(
  spec: ServiceSpec,
  around: { nodeId: NodeId; address: string; path: string; cwd: string },
): Record<string, string> {
  const [firstPort] = spec.ports;
  return {
    PATH: around.path,
    HOME: around.cwd,
    LANG: "C.UTF-8",
    MYCO_SERVICE: spec.name,
    MYCO_NODE: around.nodeId,
    MYCO_ADDRESS: around.address,
    ...(firstPort === undefined ? {} : { PORT: String(firstPort.port) }),
    ...Object.fromEntries(spec.env),
    // Not to be overridden: a later daemon knows the processes by it.
    MYCO_INSTANCE: `${spec.name}@${around.nodeId}`,
  };
}

function supervised(supervisor: Supervisor): Occupant {
  return {
    status: () => ({
      name: supervisor.instance.name,
      generation: supervisor.instance.generation,
      state: supervisor.state,
      detail: supervisor.detail,
      restartCount: supervisor.restartCount,
      pid: supervisor.pid,
      ...NOTHING_BUILT,
    }),
    stop: (onStopped) => supervisor.stop(onStopped),
  };
}

function refused({ name, generation }: Instance, detail: string): Occupant {
  return {
    status: () => ({
      name,
      generation,
      state: "refused",
      detail,
      restartCount: 0,
      pid: null,
      ...NOTHING_BUILT,
    }),
    stop: (onStopped) => setImmediate(onStopped),
  };
}

function leftover(
  name: string,
  generation: number,
  stop: (onStopped: () => void) => void,
): Occupant {
  const state: InstanceState = "stopping";
  const detail = "left running by an earlier daemon";
  const status = { name, generation, state, detail, restartCount: 0, pid: null, ...NOTHING_BUILT };
  return { status: () => status, stop };
}
