// `GET /metrics`: the daemon's figures in Prometheus' text format. The library is loaded with
// the first scrape, so that a node nobody scrapes does not pay for it.

import type { Counter, Gauge, Registry } from "prom-client";
import { INSTANCE_STATES } from "../engine/engine.ts";
import type { FlowMetric } from "../flow/status.ts";
import { MEMBER_STATUSES } from "../schema/frame.ts";
import type { ApiBackend } from "./backend.ts";
import type { RouterStatusAnswer, StatusAnswer } from "./contract.ts";
import type { Followers } from "./event-hub.ts";

/** What one scrape is made of. */
interface DaemonFigures {
  readonly status: StatusAnswer | RouterStatusAnswer;
  readonly followers: number;
  readonly followersCutOff: number;
}

interface MeshFigures {
  readonly status: StatusAnswer;
  readonly fsyncs: number;
}

type Value = number | Readonly<Record<string, number>>;

interface Metric<Figures> {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** The label that a value of several parts is told apart by. */
  readonly label?: string;
  readonly read: (figures: Figures) => Value;
}

const DAEMON_METRICS: readonly Metric<DaemonFigures>[] = [
  gauge("process_resident_memory_bytes", "Resident memory.", (f) => f.status.process.residentBytes),
  gauge("uptime_seconds", "Time since the daemon started.", (f) => f.status.node.uptimeMs / 1_000),
  gauge(
    "event_loop_lag_seconds",
    "The latest that a tick came within the last minute.",
    (f) => f.status.process.loopLagMs / 1_000,
  ),
  gauge("healthy", "1 while this node has no problem.", (f) => Number(f.status.health.ok)),
  gauge("stream_readers", "Open event streams and followed logs.", (f) => f.followers),
  counter(
    "stream_readers_cut_off_total",
    "Readers cut off because they did not keep up.",
    (f) => f.followersCutOff,
  ),
];

const MESH_METRICS: readonly Metric<MeshFigures>[] = [
  counter("packets_received_total", "Datagrams taken.", (f) => f.status.network.packetsReceived),
  counter("packets_sent_total", "Packets sent.", (f) => f.status.network.packetsSent),
  counter(
    "packets_refused_total",
    "Datagrams that were not ours, not openable, or malformed inside.",
    (f) => f.status.network.packetsRefused,
  ),
  counter(
    "datagrams_dropped_total",
    "Datagrams dropped unread: not 1024 bytes, or more than one tick's share.",
    (f) => f.status.network.datagramsDropped,
  ),
  counter(
    "queue_dropped_total",
    "Packets pushed out of the queue to the sockets by newer ones.",
    (f) => f.status.network.sendsDropped,
  ),
  counter(
    "send_errors_total",
    "Packets the kernel refused to send.",
    (f) => f.status.network.sendErrors,
  ),
  gauge("sessions", "Peers this node has keys with.", (f) => f.status.network.sessions),
  counter(
    "handshakes_started_total",
    "Handshakes begun or answered.",
    (f) => f.status.network.handshakesStarted,
  ),
  counter(
    "handshakes_refused_total",
    "Handshakes refused.",
    (f) => f.status.network.handshakesRefused,
  ),
  counter("dns_queries_total", "DNS queries received.", (f) => f.status.network.dnsQueries),
  parts("members", "Members by status, this node included.", "status", (f) => ({
    ...zeros(MEMBER_STATUSES),
    ...f.status.cluster.members,
  })),
  gauge("synced", "1 once the table has equalled a peer's.", (f) =>
    Number(f.status.cluster.synced),
  ),
  gauge(
    "revocation_block",
    "The highest known revocation.",
    (f) => f.status.cluster.revocationBlock,
  ),
  gauge("slots", "Slots in the table.", (f) => f.status.table.slots),
  gauge("slots_capacity", "Slots the table has room for.", (f) => f.status.table.capacity),
  gauge("records_bytes", "Bytes of all slots' records.", (f) => f.status.table.recordBytes),
  gauge("log_bytes", "Size of the write-ahead log.", (f) => f.status.log.sizeBytes),
  gauge("log_failed", "1 while the log cannot be written.", (f) =>
    Number(f.status.log.state === "failed"),
  ),
  counter("log_fsyncs_total", "Group commits and snapshots made durable.", (f) => f.fsyncs),
  parts("instances", "Services on this node by state.", "state", (f) => {
    const counts = zeros(INSTANCE_STATES);
    for (const { state } of f.status.engine.instances) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }),
  gauge("instance_restarts", "Restarts of the services that run here now.", (f) =>
    f.status.engine.instances.reduce((sum, { restarts }) => sum + restarts, 0),
  ),
];

/** A metric of the library; a counter is set like a gauge, to what was counted elsewhere. */
type LibraryMetric = Counter | Gauge;

let page: MetricsPage | null = null;

/** The whole page and its content type. */
export async function renderMetrics(
  backend: ApiBackend,
  followers: Followers,
): Promise<{ body: string; contentType: string }> {
  page ??= new MetricsPage(await import("prom-client"));
  const { mesh, flow } = backend;
  page.clear();
  page.set(DAEMON_METRICS, {
    status: backend.status(),
    followers: followers.size,
    followersCutOff: followers.cutOffCount,
  });
  if (mesh !== null) page.set(MESH_METRICS, { status: mesh.status(), fsyncs: mesh.fsyncs });
  for (const metric of flow?.metrics() ?? []) page.setFlowMetric(metric);
  return page.render();
}

/** The metrics of the library, made when they are first set. */
class MetricsPage {
  readonly #library: typeof import("prom-client");
  readonly #registry: Registry;
  readonly #metrics = new Map<string, LibraryMetric>();

  constructor(library: typeof import("prom-client")) {
    this.#library = library;
    this.#registry = new library.Registry();
  }

  clear(): void {
    this.#registry.clear();
    this.#metrics.clear();
  }

  set<Figures>(metrics: readonly Metric<Figures>[], figures: Figures): void {
    for (const { name, type, help, label, read } of metrics) {
      const metric = this.#metric(`myco_${name}`, type, help, label === undefined ? [] : [label]);
      const value = read(figures);
      if (typeof value === "number") metric.inc(value);
      else for (const [part, count] of Object.entries(value)) metric.inc({ [label!]: part }, count);
    }
  }

  /** Metrics of one name have the same labels. */
  setFlowMetric({ name, type, help, labels, value }: FlowMetric): void {
    this.#metric(`mycoflow_${name}`, type, help, Object.keys(labels)).inc({ ...labels }, value);
  }

  async render(): Promise<{ body: string; contentType: string }> {
    return { body: await this.#registry.metrics(), contentType: this.#registry.contentType };
  }

  #metric(
    name: string,
    type: FlowMetric["type"],
    help: string,
    labelNames: string[],
  ): LibraryMetric {
    const known = this.#metrics.get(name);
    if (known !== undefined) return known;
    const { Counter, Gauge } = this.#library;
    const configuration = { name, help, labelNames, registers: [this.#registry] };
    const metric = type === "counter" ? new Counter(configuration) : new Gauge(configuration);
    this.#metrics.set(name, metric);
    return metric;
  }
}

function gauge<Figures>(
  name: string,
  help: string,
  read: Metric<Figures>["read"],
): Metric<Figures> {
  return { name, type: "gauge", help, read };
}

function counter<Figures>(
  name: string,
  help: string,
  read: Metric<Figures>["read"],
): Metric<Figures> {
  return { name, type: "counter", help, read };
}

function parts<Figures>(
  name: string,
  help: string,
  label: string,
  read: Metric<Figures>["read"],
): Metric<Figures> {
  return { name, type: "gauge", help, label, read };
}

function zeros(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, 0]));
}
