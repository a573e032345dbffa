// A machine with systemd and nix in memory, which can be taken from the engine at any moment: its
// files and units stay as they are, and what the dead daemon had still to do is not done.

import type { InstanceState } from "../../src/engine/engine.ts";
import type {
  Builder,
  BuildOutcome,
  NoteFolder,
  ServiceManager,
  UnitOutcome,
  UnitStatus,
} from "../../src/engine/ports.ts";
import { LIFE_TIMING_DEFAULTS } from "../../src/engine/service-life.ts";
import { parseNote, type Version } from "../../src/engine/service-note.ts";
import { compileUnits, readUnitNote } from "../../src/engine/systemd.ts";
import { SystemdEngine } from "../../src/engine/systemd-engine.ts";
import type { NodeId } from "../../src/schema/node-id.ts";
import type { HealthCheck } from "../../src/schema/service.ts";
import { nodeIdFrom } from "./specs.ts";

/** How a version behaves once it runs. */
export type Conduct = "well" | "unwell" | "crashes" | "ends" | "cannot-be-built";

const AUTO_RESTART_MS = 2_000;
const START_LIMIT = 5;
const nodeId: NodeId = nodeIdFrom(1n);

interface Unit {
  active: "active" | "activating" | "inactive" | "failed";
  sub: string;
  result: string;
  restartCount: number;
  invocation: string;
  /** What it was started from. */
  text: string;
  changeAtMs: number;
}

const OK: UnitOutcome = { ok: true };

export class SimulatedMachine {
  readonly unitFiles = new Map<string, string>();
  readonly notes = new Map<string, string>();
  readonly kept = new Map<string, readonly string[]>();
  readonly secrets = new Set<string>();
  readonly conduct = new Map<string, Conduct>();
  readonly live: string[] = [];
  nowMs = 1_000;
  /** Things done to the machine so far; the daemon dies when `dieAt` of them are. */
  effectCount = 0;
  dieAt = Number.POSITIVE_INFINITY;
  diskIsFull = false;
  states: [string, InstanceState | "stopped"][] = [];
  #loaded = new Map<string, string>();
  readonly #units = new Map<string, Unit>();
  /** Units that were started, by whomever. */
  startCount = 0;
  #life = 0;

  /** Whether the daemon has died since it was started. */
  isDead = true;
  /** Whether a version was ever noted as good that had not been told to be live. */
  goodUnrecorded = false;

  /** A new daemon on what the earlier one left. */
  boot(): SystemdEngine {
    this.#life += 1;
    this.isDead = false;
    const life = this.#life;
    const alive = (): boolean => !this.isDead && life === this.#life;
    return new SystemdEngine(
      {
        manager: this.#manager(alive),
        builder: this.#builder(alive),
        notes: this.#noteFolder(alive),
        units: {
          compile: ({ spec, generation, storePath }) =>
            compileUnits(spec, generation, {
              storePath,
              nodeId,
              address: "192.0.2.1",
              secretsDir: "/etc/myco/secrets",
            }),
          origin: readUnitNote,
        },
        logs: { tail: () => Promise.resolve([]), follow: () => null },
        timing: LIFE_TIMING_DEFAULTS,
        probe: (version, _check, onProbed) => this.#probe(version, _check, onProbed),
        missingSecret: ({ secrets }) => secrets.find((name) => !this.secrets.has(name)) ?? null,
        onLive: ({ storePath }) => {
          this.#effect(alive, () => this.live.push(storePath));
          return this.#answer(alive, () => undefined);
        },
        onProgress: () => {},
      },
      (name, state) => this.states.push([name, state]),
    );
  }

  /** Its power is cut: units end, unit files and notes stay. */
  loseUnits(): void {
    this.#units.clear();
    this.#loaded = new Map(this.unitFiles);
  }

  /** What runs now, as `SERVICE@GENERATION`. */
  running(): string[] {
    const found: string[] = [];
    for (const [name, unit] of this.#units) {
      if (unit.active !== "active" || !name.endsWith(".service")) continue;
      const note = readUnitNote(unit.text);
      found.push(`${note?.service}@${note?.generation}`);
    }
    return found.sort();
  }

  /** A unit of somebody else's, or one that our own note does not know. */
  run(name: string, text: string): void {
    this.unitFiles.set(name, text);
    this.#loaded.set(name, text);
    this.#startUnit(name);
  }

  /** Time goes by: processes crash and are started again. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const [name, unit] of this.#units) {
      if (unit.changeAtMs > this.nowMs) continue;
      if (unit.active === "active" && this.#conductOf(unit.text) === "crashes") this.#crash(unit);
      else if (unit.sub === "running" && this.#conductOf(unit.text) === "ends")
        this.#end(name, unit);
      else if (unit.sub === "auto-restart") this.#startUnit(name, unit.restartCount + 1);
    }
  }

  /** A unit that is inactive is forgotten. */
  #end(name: string, unit: Unit): void {
    if (unit.text.includes("RemainAfterExit=yes")) unit.sub = "exited";
    else this.#units.delete(name);
  }

  #crash(unit: Unit): void {
    const isOver = unit.restartCount >= START_LIMIT;
    unit.active = isOver ? "failed" : "activating";
    unit.sub = isOver ? "failed" : "auto-restart";
    unit.result = "exit-code";
    unit.changeAtMs = this.nowMs + AUTO_RESTART_MS;
  }

  #startUnit(name: string, restartCount = 0): boolean {
    const text = this.#loaded.get(name);
    if (text === undefined) return false;
    this.startCount += 1;
    const invocation = this.startCount.toString(16).padStart(32, "0");
    const up = { active: "active", sub: "running", result: "success" } as const;
    this.#units.set(name, { ...up, text, restartCount, invocation, changeAtMs: this.nowMs + 500 });
    return true;
  }

  #conductOf(text: string): Conduct {
    const note = readUnitNote(text);
    return this.conduct.get(`${note?.service}@${note?.generation}`) ?? "well";
  }

  #probe(version: Version, _check: HealthCheck, onProbed: (problem: string | null) => void) {
    const unit = this.#units.get(`myco-${version.spec.name}.service`);
    const isWell = unit?.active === "active" && this.#conductOf(unit.text) === "well";
    queueMicrotask(() => onProbed(isWell ? null : "no answer"));
    return () => {};
  }

  /** One more thing is done, unless the daemon is dead or dies of it. */
  #effect(alive: () => boolean, work: () => void): boolean {
    if (!alive()) return false;
    this.effectCount += 1;
    work();
    if (this.effectCount >= this.dieAt) this.isDead = true;
    return alive();
  }

  #answer<Result>(alive: () => boolean, result: () => Result): Promise<Result> {
    return alive() ? Promise.resolve(result()) : new Promise(() => {});
  }

  #manager(alive: () => boolean): ServiceManager {
    const does = (work: () => boolean | undefined): Promise<UnitOutcome> => {
      let isDone: boolean | undefined = true;
      this.#effect(alive, () => {
        isDone = work();
      });
      const failure: UnitOutcome = { ok: false, message: "no such unit" };
      return this.#answer(alive, () => (isDone === false ? failure : OK));
    };
    const restart = (unit: string): Promise<UnitOutcome> => does(() => this.#startUnit(unit));
    return {
      list: () => this.#answer(alive, () => this.#list()),
      readFiles: () => new Map(this.unitFiles),
      change: ({ files, removed }) => {
        if (this.diskIsFull) return this.#answer(alive, () => ({ ok: false, message: "ENOSPC" }));
        for (const [file, text] of files) {
          this.#effect(alive, () => this.unitFiles.set(file, text));
        }
        for (const file of removed) this.#effect(alive, () => this.unitFiles.delete(file));
        return does(() => {
          this.#loaded = new Map(this.unitFiles);
          return undefined;
        });
      },
      start: restart,
      restart,
      stop: (units) =>
        does(() => {
          for (const unit of units) this.#units.delete(unit);
          return undefined;
        }),
      resetFailed: (unit) =>
        does(() => {
          if (this.#units.get(unit)?.active === "failed") this.#units.delete(unit);
          return undefined;
        }),
      exposure: () => this.#answer(alive, () => 1.2),
    };
  }

  #list(): Map<string, UnitStatus> {
    const listed = [...this.#units].map(
      ([unit, { active, sub, result, restartCount, invocation }]) => {
        const status: UnitStatus = {
          unit,
          load: "loaded",
          active,
          sub,
          result,
          exitStatus: result === "success" ? 0 : 1,
          mainPid: active === "active" ? 4_711 : 0,
          restartCount,
          memoryBytes: 1_000_000,
          activeSinceMs: 1,
          invocation,
        };
        return [unit, status] as const;
      },
    );
    return new Map(listed);
  }

  #noteFolder(alive: () => boolean): NoteFolder {
    return {
      readAll: () => new Map(this.notes),
      write: (name, text) => {
        if (this.diskIsFull) return Promise.resolve(false);
        this.#effect(alive, () => {
          this.notes.set(name, text);
          this.goodUnrecorded ||= this.#isGoodUnrecorded(name, text);
        });
        return this.#answer(alive, () => true);
      },
      remove: (name) => {
        this.#effect(alive, () => this.notes.delete(name));
      },
    };
  }

  #isGoodUnrecorded(name: string, text: string): boolean {
    const good = parseNote(text, name)?.good ?? null;
    return good !== null && !this.live.includes(good.storePath);
  }

  #builder(alive: () => boolean): Builder {
    const wanted = new Map<string, number>();
    return {
      build: ({ service, generation }, onProgress, onEnd) => {
        wanted.set(service, generation);
        onProgress({ phase: "building", detail: "it", doneCount: 0, expectedCount: 1 });
        const cannot = this.conduct.get(`${service}@${generation}`) === "cannot-be-built";
        const outcome: BuildOutcome = cannot
          ? { ok: false, message: "no such attribute", retry: false }
          : {
              ok: true,
              storePath: `/nix/store/${service}-${generation}`,
              lock: `lock${generation}`,
            };
        queueMicrotask(() => {
          if (alive() && wanted.get(service) === generation) onEnd(outcome);
        });
      },
      cancel: (service) => {
        wanted.delete(service);
      },
      keep: (service, storePaths) => {
        if (storePaths.length === 0) this.kept.delete(service);
        else this.kept.set(service, storePaths);
      },
      lock: () => Promise.resolve({ error: "not here" }),
      close: (done) => done(),
    };
  }
}
