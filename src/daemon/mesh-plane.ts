// The cluster's plane: one node with its log, its mesh, its services and its DNS, given real
// ports and run by one event loop.

import type { DaemonStatus } from "../api/contract.ts";
import type { EventHub } from "../api/event-hub.ts";
import { EMBEDDED_TIMING_DEFAULTS, EmbeddedEngine } from "../engine/embedded.ts";
import type { Engine, OnInstanceState } from "../engine/engine.ts";
import type { LockedFlake } from "../engine/ports.ts";
import { RECONCILE_DEFAULTS } from "../engine/reconcile.ts";
import { NodeCrypto } from "../io/crypto.ts";
import { IoEngine } from "../io/engine.ts";
import { SystemRandom } from "../io/random.ts";
import { SERVICE_LOG_BYTES } from "../kernel/limits.ts";
import type { Crypto, Endpoint } from "../kernel/ports.ts";
import { readCertificate } from "../net/certificate.ts";
import { type Identity, identityFromSeed } from "../net/identity.ts";
import { type LocalInfo, type ReplicaEvent, TICK_MS } from "../node/interface.ts";
import { Replica } from "../node/replica.ts";
import type { Configuration } from "../schema/configuration.ts";
import { type NodeId, nodeIdOf } from "../schema/node-id.ts";
import type { StatusSources } from "./answers.ts";
import { ClusterView } from "./cluster-view.ts";
import { createDiskKeeper, type DiskKeeper } from "./disk-keeper.ts";
import { ClusterDirectory, hostOf } from "./dns-directory.ts";
import { DnsServer } from "./dns-server.ts";
import type { EventLog } from "./event-log.ts";
import { idleEngine } from "./idle-engine.ts";
import { JournalKeeper } from "./journal-keeper.ts";
import { localInfo } from "./local-info.ts";
import { MeshApi } from "./mesh-backend.ts";
import { type NodeFiles, NodeFilesError, readNodeFiles } from "./node-files.ts";
import { noteReplicaEvent } from "./replica-events.ts";
import { Seeds } from "./seeds.ts";
import { ServiceRunner } from "./service-runner.ts";
import { SystemdSetup } from "./systemd-setup.ts";
import { WriteDesk } from "./write-desk.ts";

/** How often the machine's own addresses are looked at again. */
const LOCAL_INFO_INTERVAL_MS = 30_000;
/** How often the recorder takes a sample of the counters. */
const SAMPLE_INTERVAL_MS = 10_000;
/** How long the others may take to hear that this node goes. */
const FAREWELL_MS = 500;
/** Beyond the engine's own patience with a service that does not end. */
const SERVICES_STOP_MS = EMBEDDED_TIMING_DEFAULTS.stopTimeoutMs + 5_000;
const LOG_SETTLE_MS = 10_000;
/** Where programs are looked up when the daemon was started without a PATH. */
const PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface MeshPlaneOptions {
  readonly configuration: Configuration;
  readonly events: EventLog;
  readonly hub: EventHub;
  /** What is told of the daemon as a whole, for the mesh's own status. */
  readonly daemonStatus: () => DaemonStatus;
}

/** What the constructor is given beside the options. */
interface Ground {
  readonly crypto: Crypto;
  readonly files: NodeFiles;
  readonly identity: Identity;
  readonly io: IoEngine;
}

export class MeshPlane {
  readonly nodeId: NodeId;
  readonly backend: MeshApi;
  readonly view: ClusterView;
  readonly #options: MeshPlaneOptions;
  readonly #io: IoEngine;
  readonly #journal: JournalKeeper;
  readonly #disk: DiskKeeper | null;
  readonly #replica: Replica;
  readonly #seeds: Seeds;
  readonly #runner: ServiceRunner;
  readonly #dns: DnsServer;
  /** Null: another engine runs the services. */
  #systemd: SystemdSetup | null = null;
  #info: LocalInfo;
  #nextInfoMs: number;
  #nextSampleMs = 0;

  /**
   * Reads the node's files, takes its folder and sockets, replays its log. Nothing moves before
   * `begin`.
   * @throws NodeFilesError, DataLockError, ListenError, LogFormatError, LogFileError, each with a
   *   message that says what to do
   */
  static async open(options: MeshPlaneOptions): Promise<MeshPlane> {
    const { dataDir, listen } = options.configuration;
    const crypto = new NodeCrypto();
    const files = readNodeFiles(dataDir);
    const identity = checkedIdentity(crypto, files, dataDir);
    const io = await IoEngine.open({ dataDir, listen, tickMs: TICK_MS });
    try {
      return new MeshPlane(options, { crypto, files, identity, io });
    } catch (error) {
      await io.close();
      throw error;
    }
  }

  private constructor(options: MeshPlaneOptions, ground: Ground) {
    const { configuration, events } = options;
    const { io, files, identity } = ground;
    const nowMs = (): number => io.clock.nowMs();
    this.nodeId = identity.nodeId;
    this.#options = options;
    this.#io = io;
    this.#info = localInfo(configuration, identity.nodeId, io.udp.bound);
    this.#nextInfoMs = io.clock.monotonicMs() + LOCAL_INFO_INTERVAL_MS;
    this.#seeds = new Seeds(configuration.peers, files.seeds);
    const restored: Uint8Array[] = [];
    this.#journal = new JournalKeeper(io.logFile, (record) => restored.push(record), events, nowMs);
    this.#disk = createDiskKeeper(configuration, events);
    this.#journal.makeRoom = (error) => this.#makeRoom(error, configuration.dataDir);
    this.#replica = this.#createReplica(ground, nowMs());
    this.#journal.attach(this.#replica);
    for (const record of restored) this.#replica.restore(record);
    this.view = new ClusterView(this.#replica);
    this.#runner = this.#createRunner(ground, nowMs);
    this.#dns = new DnsServer(configuration.dns, new ClusterDirectory(this.view));
    this.backend = this.#createBackend(ground, nowMs);
    this.#connectHub();
  }

  /** How late the latest tick of the last minute came. */
  get lagMs(): number {
    return this.#io.ticker.lagMs;
  }

  /** By how much the tick that is due is late now. */
  get overdueMs(): number {
    return this.#io.ticker.overdueMs;
  }

  /** Where the mesh listens, ports resolved. */
  get listening(): readonly Endpoint[] {
    return this.#io.udp.bound;
  }

  /** For the log: what the node is, and where. */
  get facts(): object {
    const { hostname, endpoints } = this.#info;
    return { node: this.nodeId, hostname, endpoints, listening: this.listening };
  }

  /** Gives back what `open` took, when it is never begun. */
  discard(): Promise<void> {
    return this.#io.close();
  }

  /** Opens DNS, and takes part in the cluster from now on. */
  async begin(): Promise<void> {
    const { damaged } = this.#journal.report;
    this.#noteOpened();
    await this.#dns.open();
    if (this.#dns.problem !== null) {
      this.#options.events.note("error", "dns-unavailable", this.#dns.problem);
    }
    // A rotten last record looks like a torn one: any damage may have cost what was acknowledged.
    this.#replica.start(this.#io.clock.nowMs(), damaged !== null);
    this.#io.start({
      onDatagram: (datagram, from, nowMs) => this.#replica.receive(datagram, from, nowMs),
      onTick: (nowMs) => this.#tick(nowMs),
    });
  }

  /** Tells the others that this node goes, and stops its services. @returns whether all have ended */
  async leave(): Promise<boolean> {
    // Services that run on are not to be started elsewhere while the daemon is only upgraded.
    if (!this.#runner.engine.outlivesDaemon) this.#replica.leave(this.#io.clock.nowMs());
    const [servicesEnded] = await Promise.all([
      this.#runner.close(SERVICES_STOP_MS),
      sleep(FAREWELL_MS),
    ]);
    return servicesEnded;
  }

  /** After `leave`: finishes the log and gives all back. @returns whether the log is durable */
  async close(): Promise<boolean> {
    await this.#dns.close();
    this.#io.ticker.stop();
    const logDurable = await this.#journal.settle(LOG_SETTLE_MS);
    // A disk that never answers keeps its file; the process ends all the same.
    if (this.#journal.log.state !== "writing") await this.#io.close();
    return logDurable;
  }

  #tick(nowMs: number): void {
    const monotonicMs = this.#io.clock.monotonicMs();
    void this.#seeds.tick(monotonicMs);
    this.#replica.tick(nowMs);
    if (monotonicMs >= this.#nextInfoMs) this.#refreshInfo(monotonicMs, nowMs);
    if (monotonicMs >= this.#nextSampleMs) this.#sample(monotonicMs);
    this.view.refresh(nowMs);
    this.#runner.tick(monotonicMs, nowMs);
    this.#systemd?.tick(monotonicMs);
    this.#disk?.tick(monotonicMs);
    this.#journal.tick(monotonicMs);
  }

  #makeRoom(error: Error, folder: string): boolean {
    return this.#disk?.makeRoom(error, folder) ?? false;
  }

  /** Addresses come and go with DHCP and cables. */
  #refreshInfo(monotonicMs: number, nowMs: number): void {
    this.#nextInfoMs = monotonicMs + LOCAL_INFO_INTERVAL_MS;
    const info = localInfo(this.#options.configuration, this.nodeId, this.#io.udp.bound);
    if (JSON.stringify(info) === JSON.stringify(this.#info)) return;
    this.#info = info;
    this.#options.events.note("info", "addresses-changed", "the node is reached elsewhere now", {
      endpoints: info.endpoints,
    });
    this.#replica.publishInfo(info, nowMs);
  }

  #sample(monotonicMs: number): void {
    this.#nextSampleMs = monotonicMs + SAMPLE_INTERVAL_MS;
    this.#options.events.record("sample", {
      ...this.#replica.statistics,
      ...this.#io.udp.statistics,
      residentBytes: process.memoryUsage.rss(),
      lagMs: Math.round(this.#io.ticker.lagMs),
      log: this.#journal.log.state,
    });
  }

  #createReplica({ crypto, files, identity, io }: Ground, nowMs: number): Replica {
    return new Replica({
      crypto,
      random: new SystemRandom(),
      signer: identity.signer,
      certificate: files.certificate,
      rootPublicKey: files.rootPublicKey,
      info: this.#info,
      seeds: this.#seeds.endpoints,
      journal: this.#journal.log,
      send: (packet, to) => io.udp.send(packet, to),
      nowMs,
      onEvent: (event) => this.#replicaEvent(event),
    });
  }

  #createRunner({ crypto }: Ground, nowMs: () => number): ServiceRunner {
    const { stableWaitMs, maxConcurrentStarts } = this.#options.configuration.engine;
    return new ServiceRunner({
      replica: this.#replica,
      view: this.view,
      reconcile: { ...RECONCILE_DEFAULTS, stableWaitMs, maxConcurrentStarts },
      events: this.#options.events,
      createEngine: (onState) => this.#createEngine(crypto, onState),
      nowMs,
    });
  }

  #createEngine(crypto: Crypto, onState: OnInstanceState): Engine {
    const { configuration, events, hub } = this.#options;
    const { engine } = configuration;
    if (engine.kind === "none") return idleEngine;
    const address = engine.address ?? hostOf(this.#info.endpoints[0] ?? "127.0.0.1:0");
    const { nodeId } = this;
    if (engine.kind === "systemd") {
      this.#systemd = new SystemdSetup(
        {
          settings: engine,
          nodeId,
          address,
          crypto,
          events,
          makeRoom: (error, folder) => this.#makeRoom(error, folder),
          nowMs: () => this.#io.clock.nowMs(),
          authorOf: (service) => this.view.service(service)?.author ?? null,
          onProgress: (service, { phase, detail, doneCount, expectedCount }) =>
            hub.publish("build", {
              service,
              phase,
              detail,
              done: doneCount,
              expected: expectedCount,
            }),
        },
        onState,
      );
      return this.#systemd.engine;
    }
    return new EmbeddedEngine(
      {
        workDir: engine.workDir,
        nodeId,
        address,
        path: process.env.PATH ?? PATH_DEFAULT,
        timing: EMBEDDED_TIMING_DEFAULTS,
        logBytesMax: SERVICE_LOG_BYTES,
      },
      onState,
    );
  }

  #createBackend({ crypto, files, io }: Ground, nowMs: () => number): MeshApi {
    const { configuration, events, hub, daemonStatus } = this.#options;
    const systemd = this.#systemd;
    const sources: StatusSources = {
      replica: this.#replica,
      rootId: nodeIdOf(crypto, files.rootPublicKey),
      view: this.view,
      io,
      journal: this.#journal,
      runner: this.#runner,
      engineKind: configuration.engine.kind,
      startedAtMs: nowMs(),
    };
    return new MeshApi({
      crypto,
      sources,
      hub,
      desk: new WriteDesk(this.#replica, () => this.#journal.flush(), nowMs),
      seeds: this.#seeds,
      dns: this.#dns,
      events,
      lockFlake:
        systemd === null ? null : (service, flake) => this.#lockFlake(systemd, service, flake),
      daemonStatus,
    });
  }

  #lockFlake(
    systemd: SystemdSetup,
    service: string,
    flake: string,
  ): Promise<LockedFlake | { readonly error: string }> {
    const detail = `resolving ${flake}`;
    this.#options.hub.publish("build", { service, phase: "locking", detail, done: 0, expected: 0 });
    return systemd.lock(flake);
  }

  #noteOpened(): void {
    const { events } = this.#options;
    const { damaged, records } = this.#journal.report;
    for (const reason of this.#io.udp.skipped) events.note("warn", "listen-skipped", reason);
    events.note("debug", "log-read", "the log was read back", { records });
    if (damaged === null) return;
    const message =
      damaged.kind === "corrupt"
        ? "the log was damaged and cut; the other nodes have the rest"
        : "the log's last write was torn and cut; nothing acknowledged is lost";
    events.note("warn", "log-damaged", message, damaged);
  }

  #connectHub(): void {
    const { events } = this.#options;
    this.view.onMemberStatus = (nodeId, status) => {
      events.note("info", "member", `member ${nodeId} is ${status}`, { nodeId, status });
      this.#options.hub.publish("member", { nodeId, status });
    };
    this.#runner.onInstance = (service, state, detail) =>
      this.#options.hub.publish("instance", { service, state, detail });
    this.#journal.onHealth = (problem) => {
      if (problem === null) this.#options.hub.publish("log-recovered", {});
      else this.#options.hub.publish("log-failure", { message: problem });
    };
  }

  #replicaEvent(event: ReplicaEvent): void {
    noteReplicaEvent(this.#options.events, event);
    if (event.kind === "first-sync") this.#options.hub.publish("synced", {});
    else if (event.kind === "revoked") this.#options.hub.publish("excluded", {});
    else if (event.kind === "slot-applied") this.#slotApplied(event);
  }

  #slotApplied({ slotKind, key, tombstone }: ReplicaEvent & { kind: "slot-applied" }): void {
    if (slotKind === "service") this.#options.hub.publish("service", { key, deleted: tombstone });
    if (slotKind === "drain")
      this.#options.hub.publish("drain", { nodeId: key, drained: !tombstone });
    if (slotKind === "revocation") this.#options.hub.publish("revocation", { nodeId: key });
  }
}

/** @throws NodeFilesError when the files of the data folder do not belong together */
function checkedIdentity(crypto: Crypto, files: NodeFiles, dataDir: string): Identity {
  const identity = identityFromSeed(crypto, files.keySeed);
  const certificate = readCertificate(crypto, files.rootPublicKey, files.certificate);
  if (certificate?.nodeId === identity.nodeId) return identity;
  const found =
    certificate === null
      ? "node.cert is not signed by the cluster's root key in root.pub"
      : "node.cert is for another key than node.key";
  throw new NodeFilesError(
    "ERR_NODE_FILES",
    `The files in ${dataDir} do not belong together: ${found}. Put them back from a copy, or remove the folder and join the cluster anew.`,
  );
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
