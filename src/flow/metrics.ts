// The plane's figures as metrics, and their text (Prometheus exposition format 0.0.4) for the file
// that other programs read.

import type { DecisionKind } from "./interface.ts";
import type { Observations } from "./observations.ts";
import type { FlowMetric, FlowStatus } from "./status.ts";

const DECISION_KINDS: readonly DecisionKind[] = [
  "lower",
  "raise",
  "settle",
  "freeze",
  "thaw",
  "rollback",
  "restore",
];

type Labels = Readonly<Record<string, string>>;

class MetricList {
  readonly metrics: FlowMetric[] = [];

  /** What is not known has no line. */
  gauge(name: string, help: string, value: number | null, labels: Labels = {}): void {
    if (value !== null) this.metrics.push({ name, help, type: "gauge", labels, value });
  }

  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.metrics.push({ name, help, type: "counter", labels, value });
  }
}

export function flowMetrics(status: FlowStatus, seen: Observations): readonly FlowMetric[] {
  const list = new MetricList();
  list.gauge("up", "1 while the loop runs on its line.", status.phase === "running" ? 1 : 0);
  list.gauge("frozen", "1 while the loop changes nothing.", status.frozen ? 1 : 0);
  list.gauge("sampling_hz", "Rounds of the loop a second.", status.samplingHz);
  addDirection(list, status, "download");
  addDirection(list, status, "upload");
  const newest = status.history.at(-1);
  list.gauge("rtt_ms", "Best round trip of the last second.", newest?.rttMs ?? null);
  list.gauge("rtt_increase_ms", "Round trip above the baseline.", newest?.increaseMs ?? null);
  list.gauge("pinger_alive", "1 while probes are sent.", status.pingerAlive ? 1 : 0);
  list.gauge("flows", "Flows that are recognised.", status.flowCount);
  list.gauge("marked_flows", "Flows with a mark of their own.", status.markedFlowCount);
  list.gauge("cpu_percent", "Of one processor, children included.", seen.cpuPercent);
  list.gauge("resident_bytes", "Resident memory, children included.", seen.residentBytes);
  addTotals(list, seen);
  return list.metrics;
}

function addDirection(
  list: MetricList,
  status: FlowStatus,
  direction: "download" | "upload",
): void {
  const { shaperKbit, readBackKbit, throughputKbit, backlogBytes, tins } = status[direction];
  const labels = { direction };
  list.gauge("shaper_kbit", "The rate the loop wants.", shaperKbit, labels);
  list.gauge("shaper_read_back_kbit", "The rate the kernel shapes to.", readBackKbit, labels);
  list.gauge("throughput_kbit", "What crosses the line.", throughputKbit, labels);
  list.gauge("backlog_bytes", "Waiting in the shaper.", backlogBytes, labels);
  for (const tin of tins) {
    const tinLabels = { direction, tin: tin.tin };
    list.gauge("tin_throughput_kbit", "What a tin sends.", tin.rateKbit, tinLabels);
    list.gauge("tin_delay_us", "Average delay of a tin.", tin.averageDelayUs, tinLabels);
    list.counter("tin_dropped_packets_total", "Dropped by a tin.", tin.droppedPackets, tinLabels);
    list.counter(
      "tin_ecn_marked_packets_total",
      "Marked by a tin.",
      tin.ecnMarkedPackets,
      tinLabels,
    );
  }
}

function addTotals(list: MetricList, seen: Observations): void {
  list.counter("samples_total", "Rounds of the loop.", seen.sampleCount);
  list.counter("missing_samples_total", "Rounds with something unread.", seen.missingCount);
  list.counter("replies_total", "Answers of reflectors.", seen.replyCount);
  list.counter("lost_probes_total", "Probes without an answer.", seen.lossCount);
  list.counter("changes_total", "Rate changes asked of the kernel.", seen.changeCount);
  list.counter("failed_changes_total", "Refused, or read back otherwise.", seen.failedChangeCount);
  for (const kind of DECISION_KINDS) {
    list.counter("decisions_total", "Decisions of the loop.", seen.decisionCount(kind), { kind });
  }
}

/** Bounded by the number of metrics: about 5 KiB. */
export function metricsText(metrics: readonly FlowMetric[]): string {
  let text = "";
  let headed = "";
  for (const { name, help, type, labels, value } of sortedByName(metrics)) {
    const fullName = `mycoflow_${name}`;
    if (fullName !== headed) text += `# HELP ${fullName} ${help}\n# TYPE ${fullName} ${type}\n`;
    headed = fullName;
    const pairs = Object.entries(labels).map(([key, label]) => `${key}="${label}"`);
    text += `${fullName}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  }
  return text;
}

/** One family's lines stand together, in the order they came. */
function sortedByName(metrics: readonly FlowMetric[]): readonly FlowMetric[] {
  return metrics.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
