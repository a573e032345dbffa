// The line's plane in the daemon: real ports, its own pace, decisions to the log and the event
// stream, policy from the commands, settings that change while it runs.

import { mkdirSync } from "node:fs";
import type { FlowBackend } from "../api/backend.ts";
import type { PersonaPolicy } from "../api/contract.ts";
import type { EventHub } from "../api/event-hub.ts";
import type { Decision, DecisionKind } from "../flow/interface.ts";
import type { NumberedRule } from "../flow/persona/rules.ts";
import type { FlowPlane } from "../flow/plane.ts";
import type {
  DeviceReport,
  FlowMetric,
  FlowNotice,
  FlowReport,
  FlowStatus,
} from "../flow/status.ts";
import { SystemChildren } from "../io/children.ts";
import { SystemClock } from "../io/clock.ts";
import { NodeQuicCrypto } from "../io/quic-crypto.ts";
import { SystemRandom } from "../io/random.ts";
import { RealSystemFiles } from "../io/system-files.ts";
import { Ticker } from "../io/ticker.ts";
import { assert } from "../kernel/assert.ts";
import type { FlowSettings, PersonaTreatment } from "../schema/flow-settings.ts";
import type { Persona } from "../schema/service.ts";
import type { MeshDeclarations } from "./declared-services.ts";
import type { EventLog } from "./event-log.ts";
import { FlowRequirementsError, requireForFlow, thisMachine } from "./flow-requirements.ts";
import type { LogLevel } from "./logger.ts";
import { PersonaPolicyStore } from "./persona-policy.ts";
import { PersonaRuleStore } from "./persona-rule-store.ts";

export interface FlowRunnerOptions {
  readonly settings: FlowSettings;
  /** What outlives the machine's restart. */
  readonly dataDir: string;
  /** What does not: notes of what was found on the interface, and of children. Made where missing. */
  readonly runDir: string;
  readonly events: EventLog;
  readonly hub: EventHub;
  /** What the mesh says of its services; null: there is no mesh. */
  readonly declarations: MeshDeclarations | null;
}

/** How much each kind of decision matters. */
const DECISION_LEVELS: Readonly<Record<DecisionKind, LogLevel>> = {
  lower: "info",
  raise: "info",
  settle: "info",
  freeze: "warn",
  thaw: "info",
  rollback: "warn",
  restore: "info",
};

export class FlowRunner implements FlowBackend {
  readonly #options: FlowRunnerOptions;
  readonly #clock = new SystemClock();
  readonly #policy: PersonaPolicyStore;
  readonly #rules: PersonaRuleStore;
  readonly #ticker: Ticker;
  /** As configured. */
  #settings: FlowSettings;
  #plane: FlowPlane | null = null;
  /** Why the plane is not started, or null. */
  #problem: string | null = null;
  #isStopped = false;
  /** Changes of the plane are made one after the other. */
  #changes: Promise<void> = Promise.resolve();

  constructor(options: FlowRunnerOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#policy = new PersonaPolicyStore(options.dataDir);
    this.#rules = new PersonaRuleStore(options.dataDir);
    this.#ticker = new Ticker(1_000 / options.settings.sampleHz, this.#clock);
  }

  /** Null while the plane is off. */
  get backend(): FlowBackend | null {
    return this.#plane === null ? null : this;
  }

  get lagMs(): number {
    return this.#ticker.lagMs;
  }

  /** By how much the tick that is due is late now. */
  get overdueMs(): number {
    return this.#ticker.overdueMs;
  }

  /**
   * Starts the plane, unless it is off.
   * @param isAlone nothing else runs: what is missing ends the daemon, not the plane alone
   * @throws FlowRequirementsError when alone
   */
  async start(isAlone: boolean): Promise<void> {
    for (const damage of [this.#policy.load(), this.#rules.load()]) {
      if (damage !== null) this.#options.events.note("warn", "flow-state-damaged", damage);
    }
    if (isAlone && this.#settings.enabled) requireForFlow(this.#settings.mode, thisMachine);
    await this.#open();
  }

  /** For good: the interface is left as it was found, whatever is asked for afterwards. */
  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#change(() => this.#close());
  }

  reconfigure(settings: FlowSettings): Promise<void> {
    return this.#change(() => this.#reconfigure(settings));
  }

  #change(make: () => Promise<void>): Promise<void> {
    const done = this.#changes.then(make);
    this.#changes = done.catch(() => {});
    return done;
  }

  async #close(): Promise<void> {
    this.#ticker.stop();
    const plane = this.#plane;
    this.#plane = null;
    await plane?.stop();
  }

  async #reconfigure(settings: FlowSettings): Promise<void> {
    if (this.#isStopped) return;
    const before = this.#settings;
    this.#settings = settings;
    this.#options.events.setLevel(settings.logLevel);
    const goesOn =
      this.#plane !== null &&
      this.#problem === null &&
      settings.enabled &&
      settings.mode === before.mode;
    if (goesOn) {
      await this.#plane?.reconfigure(this.#policy.over(settings));
      return;
    }
    await this.#close();
    await this.#open();
  }

  status(): FlowStatus {
    const status = this.#running.status();
    return { ...status, problem: status.problem ?? this.#problem };
  }

  flows(limit: number): readonly FlowReport[] {
    return this.#running.flows(limit);
  }

  devices(): readonly DeviceReport[] {
    return this.#running.devices();
  }

  metrics(): readonly FlowMetric[] {
    return this.#running.metrics();
  }

  record(sink: (line: string) => void): (() => void) | null {
    return this.#running.record(sink);
  }

  policy(): readonly PersonaPolicy[] {
    return this.#policy.list(this.#settings);
  }

  setPolicy(persona: Persona, treatment: PersonaTreatment | null): void {
    this.#policy.set(persona, treatment);
    const fields = { persona, treatment };
    this.#options.events.note("info", "flow-policy", "the policy of a persona was changed", fields);
    this.#change(() => this.#reconfigure(this.#settings)).catch((error: Error) => {
      this.#options.events.note("error", "flow-failed", error.message);
    });
  }

  rules(): readonly NumberedRule[] {
    return this.#rules.rules.list();
  }

  addRule(value: unknown): NumberedRule {
    const rule = this.#rules.add(value);
    this.#options.events.note("info", "persona-rule", "a rule was added", rule);
    return rule;
  }

  deleteRule(id: number): NumberedRule {
    const rule = this.#rules.delete(id);
    this.#options.events.note("info", "persona-rule", "a rule was deleted", rule);
    return rule;
  }

  get #running(): FlowPlane {
    assert(this.#plane !== null, "the API asks a plane that is on");
    return this.#plane;
  }

  async #open(): Promise<void> {
    if (!this.#settings.enabled) return;
    this.#plane = await this.#createPlane();
    this.#problem = this.#missing();
    if (this.#problem !== null) {
      this.#options.events.note("error", "flow-requirements", this.#problem);
      return;
    }
    await this.#plane.start();
    this.#ticker.setInterval(1_000 / this.#plane.samplingHz);
    this.#ticker.start(() => this.#tick(this.#clock.nowMs()));
  }

  #tick(nowMs: number): void {
    this.#options.declarations?.refresh(nowMs);
    this.#plane?.tick(nowMs);
  }

  #missing(): string | null {
    try {
      requireForFlow(this.#settings.mode, thisMachine);
      return null;
    } catch (error) {
      if (error instanceof FlowRequirementsError) return error.message;
      throw error;
    }
  }

  /** The plane's code is loaded where it runs only. */
  async #createPlane(): Promise<FlowPlane> {
    const { FlowPlane } = await import("../flow/plane.ts");
    const { NOTHING_DECLARED } = await import("../flow/persona/classifier.ts");
    const { runDir } = this.#options;
    mkdirSync(runDir, { recursive: true, mode: 0o700 });
    return new FlowPlane(
      {
        clock: this.#clock,
        random: new SystemRandom(),
        children: new SystemChildren({ stateDir: runDir }),
        files: new RealSystemFiles(),
        quicCrypto: new NodeQuicCrypto(),
      },
      {
        settings: this.#policy.over(this.#settings),
        stateDir: runDir,
        rules: this.#rules.rules,
        declared: this.#options.declarations ?? NOTHING_DECLARED,
        listener: {
          onDecision: (decision) => this.#decided(decision),
          onNotice: (notice) => this.#noticed(notice),
          onPace: (samplingHz) => this.#ticker.setInterval(1_000 / samplingHz),
        },
      },
    );
  }

  /** The loop itself bounds how often it decides. In the log a decision is the object that a replay prints. */
  #decided(decision: Decision): void {
    const { events, hub } = this.#options;
    events.tell(DECISION_LEVELS[decision.kind], "decision", describe(decision), { decision });
    hub.publish("decision", decision);
  }

  #noticed(notice: FlowNotice): void {
    const { events, hub } = this.#options;
    const { level, code, message } = notice;
    events.note(level, code, message, { plane: "flow" });
    hub.publish("flow-notice", notice);
  }
}

/** `lower download 80000 to 19000 kbit/s: bloat`. */
function describe({ kind, direction, fromKbit, toKbit, cause }: Decision): string {
  const what = direction === null ? kind : `${kind} ${direction}`;
  const rates = fromKbit === null || toKbit === null ? "" : ` ${fromKbit} to ${toKbit} kbit/s`;
  return `${what}${rates}: ${cause}`;
}
