// The composition: the planes that the configuration asks for, the API over both, and the
// reload of what may change while they run.

import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import type { ApiBackend, FlowBackend, MeshBackend, ReloadOutcome } from "../api/backend.ts";
import type {
  DaemonStatus,
  HealthAnswer,
  ReloadAnswer,
  RouterStatusAnswer,
  StatusAnswer,
} from "../api/contract.ts";
import { EventHub, Followers } from "../api/event-hub.ts";
import { ApiServer } from "../api/server.ts";
import { lockData } from "../io/data-lock.ts";
import { assert } from "../kernel/assert.ts";
import type { Endpoint } from "../kernel/ports.ts";
import { VERSION } from "../kernel/version.ts";
import type { Configuration } from "../schema/configuration.ts";
import type { NodeId } from "../schema/node-id.ts";
import { changedSettings } from "./changed-settings.ts";
import { MeshDeclarations } from "./declared-services.ts";
import type { EventLog } from "./event-log.ts";
import type { FlightRecorder } from "./flight-recorder.ts";
import { FlowRunner } from "./flow-runner.ts";
import { configurationProblems, flowProblems, lagProblems, ubusProblems } from "./health.ts";
import type { MeshPlane, MeshPlaneOptions } from "./mesh-plane.ts";
import type { UbusService } from "./ubus-service.ts";
import { ubusSocketOf, uciPackageOf } from "./uci-source.ts";

const API_STOP_MS = 2_000;

export interface RunningNodeOptions {
  readonly configuration: Configuration;
  /** Reads the configuration again. Throws for one that cannot be read or has mistakes. */
  readonly readConfiguration: () => Promise<Configuration>;
  readonly events: EventLog;
  readonly recorder: FlightRecorder;
}

/** What the constructor is given beside the options. */
interface Ground {
  readonly hub: EventHub;
  readonly followers: Followers;
  readonly mesh: MeshPlane | null;
  /** Lets go of the data folder, where no mesh holds it. */
  readonly unlock: () => void;
}

export class RunningNode implements ApiBackend {
  readonly events: EventHub;
  readonly #options: RunningNodeOptions;
  readonly #ground: Ground;
  readonly #flow: FlowRunner;
  readonly #api: ApiServer;
  readonly #startedAtMs = Date.now();
  /** What is in force. */
  #configuration: Configuration;
  #reloading: Promise<unknown> = Promise.resolve();
  /** What is wrong with the configuration that was refused last; null: none was, or a good one came. */
  #refused: string | null = null;
  /** Null: there is no bus. */
  #ubus: UbusService | null = null;
  #stopping: Promise<boolean> | null = null;

  /**
   * Brings the planes up.
   * @throws NodeFilesError, DataLockError, ListenError, LogFormatError, LogFileError,
   *   SocketError, FlowRequirementsError, each with a message that says what to do
   */
  static async start(options: RunningNodeOptions): Promise<RunningNode> {
    const { configuration, events } = options;
    const followers = new Followers();
    const hub = new EventHub(followers);
    let node: RunningNode | null = null;
    const daemonStatus = (): DaemonStatus => {
      assert(node !== null, "nobody asks before the API listens");
      return node.#daemonStatus();
    };
    const mesh = configuration.mesh.enabled
      ? await openMesh({ configuration, events, hub, daemonStatus })
      : null;
    const unlock = mesh === null ? lockFolder(configuration.dataDir) : () => {};
    try {
      node = new RunningNode(options, { hub, followers, mesh, unlock });
      await node.#begin();
      return node;
    } catch (error) {
      await mesh?.discard();
      unlock();
      throw error;
    }
  }

  private constructor(options: RunningNodeOptions, ground: Ground) {
    const { configuration, events } = options;
    this.#options = options;
    this.#ground = ground;
    this.#configuration = configuration;
    this.events = ground.hub;
    this.#flow = new FlowRunner({
      settings: configuration.flow,
      dataDir: configuration.dataDir,
      runDir: join(dirname(configuration.socket), "flow"),
      events: events.child(configuration.flow.logLevel),
      hub: ground.hub,
      declarations: ground.mesh === null ? null : new MeshDeclarations(ground.mesh.view),
    });
    this.#api = new ApiServer({
      socketPath: configuration.socket,
      backend: this,
      followers: ground.followers,
      onFailure: (error, request) => {
        const fields = { request, error: error.stack };
        events.note("error", "api-failure", "a request could not be answered", fields);
      },
    });
  }

  /** @throws AssertionError when the mesh is off */
  get nodeId(): NodeId {
    assert(this.#ground.mesh !== null, "a node of a cluster is meant");
    return this.#ground.mesh.nodeId;
  }

  /** Where the mesh listens, ports resolved; nowhere when it is off. */
  get listening(): readonly Endpoint[] {
    return this.#ground.mesh?.listening ?? [];
  }

  get mesh(): MeshBackend | null {
    return this.#ground.mesh?.backend ?? null;
  }

  get flow(): FlowBackend | null {
    return this.#flow.backend;
  }

  /** By how much the most overdue tick of the planes is late now. */
  get overdueMs(): number {
    return Math.max(this.#ground.mesh?.overdueMs ?? 0, this.#flow.overdueMs);
  }

  /** How it is, in one line. */
  get summary(): string {
    const { problems } = this.health();
    if (problems.length === 0) return "all is well";
    const more = problems.length === 1 ? "" : `; ${problems.length - 1} more: see myco health`;
    return problems[0]!.message + more;
  }

  health(): HealthAnswer {
    const { mesh } = this.#ground;
    const problems = [
      ...(mesh?.backend.problems() ?? []),
      ...(this.flow === null ? [] : flowProblems(this.flow.status())),
      ...lagProblems(this.#lagMs),
      ...configurationProblems(this.#refused),
      ...ubusProblems(this.#ubus?.problem ?? null),
    ];
    return { ok: problems.length === 0, problems };
  }

  status(): StatusAnswer | RouterStatusAnswer {
    const { mesh } = this.#ground;
    if (mesh !== null) return mesh.backend.status();
    const startedAtMs = this.#startedAtMs;
    const uptimeMs = Math.max(0, Date.now() - startedAtMs);
    const name = this.#configuration.hostname ?? hostname();
    return {
      ...this.#daemonStatus(),
      node: { hostname: name, startedAtMs, uptimeMs },
      cluster: null,
    };
  }

  readFlight(): Uint8Array {
    return this.#options.recorder.read();
  }

  writeFlight(): string {
    return this.#options.recorder.writeFile(this.#configuration.dataDir, Date.now());
  }

  /** One at a time: what two ask for at once is done in turn. */
  reload(): Promise<ReloadOutcome> {
    const done = this.#reloading.then(() => this.#reload());
    this.#reloading = done;
    return done;
  }

  /**
   * Ends both planes on purpose and gives all back.
   * @returns whether everything ended as it should
   */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#wind();
    return this.#stopping;
  }

  get #lagMs(): number {
    return Math.max(this.#ground.mesh?.lagMs ?? 0, this.#flow.lagMs);
  }

  async #begin(): Promise<void> {
    const { mesh } = this.#ground;
    const { socket, flow } = this.#configuration;
    await this.#api.listen();
    try {
      await this.#flow.start(mesh === null);
      await mesh?.begin();
      await this.#openUbus();
    } catch (error) {
      await this.#api.close();
      throw error;
    }
    const facts = { ...mesh?.facts, flow: flow.enabled ? flow.mode : "off", socket };
    this.#options.events.note("info", "started", "the node is up", facts);
  }

  async #reload(): Promise<ReloadOutcome> {
    const { events, readConfiguration } = this.#options;
    let answer: ReloadAnswer;
    try {
      const wanted = await readConfiguration();
      answer = changedSettings(this.#configuration, wanted);
      await this.#apply(wanted);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#refused = problem;
      const message = "the configuration was refused; the settings in force stay";
      events.note("error", "reload-refused", message, { problem });
      return { ok: false, problems: [problem] };
    }
    this.#refused = null;
    const message =
      answer.restart.length === 0
        ? "the configuration was read again"
        : "the configuration was read again; some of it waits for a restart";
    events.note("info", "reload", message, answer);
    this.#ground.hub.publish("reload", answer);
    return { ok: true, ...answer };
  }

  /** What `changedSettings` calls applied. */
  async #apply({ flow, log, uci }: Configuration): Promise<void> {
    await this.#flow.reconfigure(flow);
    const before = this.#configuration;
    this.#configuration = { ...before, flow, uci, log: { ...before.log, level: log.level } };
    this.#options.events.setLevel(log.level);
  }

  async #openUbus(): Promise<void> {
    const socketPath = ubusSocketOf(this.#configuration.ubus);
    if (socketPath === null) return;
    const { UbusService } = await import("./ubus-service.ts");
    this.#ubus = new UbusService({
      socketPath,
      backend: this,
      uciPackage: () => uciPackageOf(this.#configuration.uci),
      events: this.#options.events,
    });
    this.#ubus.start();
  }

  async #wind(): Promise<boolean> {
    const { events } = this.#options;
    const { mesh, unlock } = this.#ground;
    events.note("info", "stopping", "the node ends its planes");
    this.#ubus?.stop();
    await this.#reloading;
    const [servicesEnded = true] = await Promise.all([
      mesh?.leave(),
      this.#flow.stop(),
      Promise.race([this.#api.close(), sleep(API_STOP_MS)]),
    ]);
    this.#api.destroy();
    const logDurable = (await mesh?.close()) ?? true;
    unlock();
    if (servicesEnded && logDurable) {
      events.note("info", "stopped", "the node has stopped");
    } else {
      const message = "the node has stopped, but not all of it as it should";
      events.note("error", "stopped", message, { servicesEnded, logDurable });
    }
    return servicesEnded && logDurable;
  }

  #daemonStatus(): DaemonStatus {
    const flow = this.flow?.status();
    return {
      version: VERSION,
      process: {
        pid: process.pid,
        residentBytes: process.memoryUsage.rss(),
        loopLagMs: Math.round(this.#lagMs),
      },
      health: this.health(),
      flow:
        flow === undefined
          ? null
          : { mode: flow.mode, phase: flow.phase, device: flow.device, problem: flow.problem },
    };
  }
}

/** The mesh's code is loaded where it runs only. */
async function openMesh(options: MeshPlaneOptions): Promise<MeshPlane> {
  const { MeshPlane } = await import("./mesh-plane.ts");
  return MeshPlane.open(options);
}

/** Takes the data folder; makes it where missing. @returns lets go of it. @throws DataLockError */
function lockFolder(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  return lockData(dataDir);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
