// Runs inside the guest: one run of one contestant on one line. `node stage.mjs SPEC.json` builds
// the namespaces, plays the trace, drives the load, and leaves raw logs in the run's folder.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type LinkTrace, traceValue } from "../../../sim/link-traces.ts";
import { SERVER } from "../../../tests/lab/topology.ts";
import {
  cakeCommands,
  cakeScript,
  isOutage,
  lineCommands,
  pathCommands,
  topologyScript,
} from "../line.ts";
import type { Mark, RunSpec } from "../run-spec.ts";
import { VOICE_PORT, VOICE_SSRC } from "../voice-call.ts";

const CGROUP = "/sys/fs/cgroup/contestant";
const PROBE_EVERY_MS = 50;
const PROBE_TIMEOUT_MS = 3_000;
const USAGE_EVERY_MS = 2_000;
const LAG_EVERY_MS = 100;
/** A call begins when whoever wants to know it is up, and stands when the load comes. */
const CALL_BEFORE_LOAD_MS = 4_000;
const LOADED_LOOK_MS = 4_000;
const LOADED_GROWTH_BYTES = 512 * 1_024;
const LOADED_WITHIN_MS = 120_000;
const STOP_GRACE_MS = 6_000;
const LOAD_INTERVAL_SECONDS = 0.5;
const LOAD_BLOCK = "16K";
const DOWNLOAD_PORT = 5201;
const UPLOAD_PORT = 5202;

const spec = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as RunSpec;
const { trace, contestant } = spec;
const children: ChildProcess[] = [];
const openFiles: number[] = [];

async function main(): Promise<void> {
  prepare();
  const line = batch("isp");
  const path = batch("path");
  const router = batch("router");
  applyStep(trace, 0, line, path, router);

  logged("qdisc.log", "router", "tc", ["-tshort", "monitor"], { TZ: "UTC" });
  let program: ChildProcess | null = null;
  if (contestant.program !== null) {
    program = startContestant();
    await untilLoaded();
  }
  if (!spec.isIdle) startProbes();
  const stopUsage = contestant.program === null ? () => {} : watchUsage();
  const lag = watchLag();
  await sleep(spec.warmUpMs - CALL_BEFORE_LOAD_MS);
  if (!spec.isIdle) startVoice();
  await sleep(CALL_BEFORE_LOAD_MS);

  startLoad();
  if (contestant.program !== null) markUsage();
  markTins();
  const startMs = mark({ kind: "load-start", atMs: Date.now() }).atMs;
  await playTrace(startMs, line, path, router);
  mark({ kind: "load-end", atMs: Date.now() });
  if (contestant.program !== null) markUsage();
  markTins();
  mark({ kind: "lag", atMs: Date.now(), ...lag() });

  stopUsage();
  for (const child of children) child.kill("SIGINT");
  if (program !== null) await stopContestant(program);
  await sleep(300);
  for (const child of children) child.kill("SIGKILL");
  for (const file of openFiles) closeSync(file);
}

function prepare(): void {
  rmSync(spec.folder, { recursive: true, force: true });
  mkdirSync(spec.folder, { recursive: true });
  execFileSync("sh", ["-c", topologyScript(trace)], { stdio: ["ignore", "inherit", "inherit"] });
  const { cake } = contestant;
  if (cake === null) return;
  const script = cakeScript(cake);
  execFileSync("sh", ["-c", script], { stdio: ["ignore", "inherit", "inherit"] });
}

/** Every step of either direction, the path and the bad reflector, told to the kernel in its time. */
async function playTrace(
  startMs: number,
  line: ChildProcess,
  path: ChildProcess,
  router: ChildProcess,
): Promise<void> {
  for (const atMs of stepTimes(trace)) {
    const waitMs = startMs + atMs - Date.now();
    if (waitMs > 0) await sleep(waitMs);
    applyStep(trace, atMs, line, path, router);
  }
  await sleep(Math.max(0, startMs + trace.durationMs - Date.now()));
}

/** When anything of the trace changes, oldest first, the start among them. */
function stepTimes(of: LinkTrace): readonly number[] {
  const times = [...of.download.capacityKbit, ...of.upload.capacityKbit, ...of.pathRttMs].map(
    (step) => step.atMs,
  );
  if (of.badReflector !== null) times.push(of.badReflector.fromMs);
  return [...new Set(times)].filter((t) => t < of.durationMs).sort((a, b) => a - b);
}

let lastPath = "";

function applyStep(
  of: LinkTrace,
  atMs: number,
  line: ChildProcess,
  path: ChildProcess,
  router: ChildProcess,
): void {
  // Of a line that is gone nothing is changed: it comes back as it went.
  if (!isOutage(of, atMs)) {
    line.stdin!.write(lineCommands(of, atMs));
    const share = contestant.followCapacityShare;
    if (share !== null) router.stdin!.write(cakeCommands(of, atMs, share));
  }
  const pathText = pathCommands(of, atMs);
  if (pathText !== lastPath) path.stdin!.write(pathText);
  lastPath = pathText;
  mark({
    kind: "line",
    atMs: Date.now(),
    downloadKbit: traceValue(of.download.capacityKbit, atMs),
    uploadKbit: traceValue(of.upload.capacityKbit, atMs),
    pathRttMs: traceValue(of.pathRttMs, atMs),
  });
}

/** The program enters its cgroup before it becomes itself, so that every page and tick is charged to it. */
function startContestant(): ChildProcess {
  const { argv, environment, memoryBytesMax } = contestant.program!;
  writeFileSync("/sys/fs/cgroup/cgroup.subtree_control", "+memory +cpu +pids");
  if (!existsSync(CGROUP)) mkdirSync(CGROUP);
  // Its files come from the disk again, so that they are charged to whoever uses them.
  execFileSync("sync");
  writeFileSync("/proc/sys/vm/drop_caches", "3");
  if (memoryBytesMax !== null) writeFileSync(join(CGROUP, "memory.max"), `${memoryBytesMax}`);
  const output = openSync(join(spec.folder, "contestant.log"), "w");
  openFiles.push(output);
  const enter = `echo $$ > ${CGROUP}/cgroup.procs && exec ip netns exec router "$0" "$@"`;
  const child = spawn("sh", ["-c", enter, ...argv], {
    stdio: ["ignore", output, output],
    env: { ...process.env, ...environment },
    detached: true,
  });
  child.on("exit", (code, signal) =>
    mark({ kind: "contestant-exit", atMs: Date.now(), how: `${code ?? signal}` }),
  );
  return child;
}

/**
 * Until its memory grows no more. The guest's clock may skip the time in which a disk is waited for,
 * so that a start takes as long as it likes there.
 */
async function untilLoaded(): Promise<void> {
  let before = 0;
  for (let waitedMs = 0; waitedMs < LOADED_WITHIN_MS; waitedMs += LOADED_LOOK_MS) {
    await sleep(LOADED_LOOK_MS);
    const bytes = Number(readFileSync(join(CGROUP, "memory.current"), "utf8"));
    if (Math.abs(bytes - before) < LOADED_GROWTH_BYTES) return;
    before = bytes;
  }
}

async function stopContestant(program: ChildProcess): Promise<void> {
  program.kill("SIGTERM");
  const deadlineMs = Date.now() + STOP_GRACE_MS;
  while (program.exitCode === null && program.signalCode === null && Date.now() < deadlineMs) {
    await sleep(50);
  }
  writeFileSync(join(CGROUP, "cgroup.kill"), "1");
  await sleep(200);
  rmdirSync(CGROUP);
}

function startProbes(): void {
  logged("ping.log", "client", "fping", [
    ...["-D", "-l", "-p", `${PROBE_EVERY_MS}`, "-t", `${PROBE_TIMEOUT_MS}`],
    SERVER.address4,
  ]);
}

/** The call, and a capture of it at both ends: one kernel's clock, so that one-way delays are exact. */
function startVoice(): void {
  for (const namespace of ["client", "server"]) {
    const file = join(spec.folder, `voice-${namespace}.pcap`);
    const filter = `udp port ${VOICE_PORT}`;
    const args = ["-i", "eth0", "-s", "64", "-n", "-U", "-w", file, ...filter.split(" ")];
    logged(`tcpdump-${namespace}.log`, namespace, "tcpdump", args);
  }
  const script = join(import.meta.dirname, "voice.py");
  for (const [namespace, role] of [
    ["server", "answer"],
    ["client", "call"],
  ] as const) {
    const args = [script, role, SERVER.address4, `${VOICE_PORT}`, `${VOICE_SSRC[role]}`];
    logged(`voice-${role}.log`, namespace, "python3", args);
  }
}

function startLoad(): void {
  const seconds = `${Math.ceil(trace.durationMs / 1_000) + 2}`;
  // iperf3 counts whole blocks: small ones, so that half a second of a slow line has many.
  const common = ["-i", `${LOAD_INTERVAL_SECONDS}`, "--forceflush", "-f", "k"];
  const block = ["-l", LOAD_BLOCK];
  for (const [direction, flows, port, reverse] of [
    ["download", trace.download.tcpFlows, DOWNLOAD_PORT, ["-R"]],
    ["upload", trace.upload.tcpFlows, UPLOAD_PORT, []],
  ] as const) {
    if (flows === 0) continue;
    const server = ["-s", "-1", "-p", `${port}`, ...common];
    const client = [
      ...["-c", SERVER.address4, "-p", `${port}`, "-P", `${flows}`, "-t", seconds],
      ...reverse,
      ...block,
      ...common,
    ];
    const isDownload = direction === "download";
    timed(`${direction}${isDownload ? "-sender" : ""}.log`, "server", "iperf3", server);
    // The server needs a moment to listen; an iperf3 that is refused does not try again.
    setTimeout(
      () => timed(`${direction}${isDownload ? "" : "-sender"}.log`, "client", "iperf3", client),
      150,
    );
  }
}

/** A child in a namespace whose output goes to a file as it is. */
function logged(
  file: string,
  namespace: string,
  program: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): void {
  const output = openSync(join(spec.folder, file), "w");
  openFiles.push(output);
  const child = spawn("ip", ["netns", "exec", namespace, program, ...args], {
    stdio: ["ignore", output, output],
    env: { ...process.env, ...environment },
  });
  children.push(child);
}

/** The same, with the time of its coming before every line that carries a sum or stands alone. */
function timed(file: string, namespace: string, program: string, args: readonly string[]): void {
  const path = join(spec.folder, file);
  const child = spawn("ip", ["netns", "exec", namespace, program, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let rest = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    appendFileSync(path, lines.map((line) => `${Date.now()} ${line}\n`).join(""));
  });
}

/** One `tc` that reads changes from its standard input for the whole run. */
function batch(namespace: string): ChildProcess {
  const child = spawn("tc", ["-n", namespace, "-force", "-batch", "-"], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  children.push(child);
  return child;
}

function watchUsage(): () => void {
  const timer = setInterval(markUsage, USAGE_EVERY_MS);
  return () => clearInterval(timer);
}

function markUsage(): void {
  const read = (file: string): string => readFileSync(join(CGROUP, file), "utf8");
  const pids = read("cgroup.procs").split("\n").filter(Boolean);
  const memory = pids.map(memoryOf);
  mark({
    kind: "usage",
    atMs: Date.now(),
    cpuMs: Number(/^usage_usec (\d+)/m.exec(read("cpu.stat"))?.[1] ?? 0) / 1_000,
    pssBytes: memory.reduce((sum, { pss }) => sum + pss, 0),
    rssBytes: memory.reduce((sum, { rss }) => sum + rss, 0),
    processes: pids.length,
    memoryBytes: Number(read("memory.current")),
    memoryPeakBytes: Number(read("memory.peak")),
    memoryLimitHits: Number(/^max (\d+)/m.exec(read("memory.events"))?.[1] ?? 0),
  });
}

/** Proportional and resident bytes; a process that has just ended counts nothing. */
function memoryOf(pid: string): { pss: number; rss: number } {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const bytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0) * 1_024;
    return { pss: bytes("Pss"), rss: bytes("Rss") };
  } catch {
    return { pss: 0, rss: 0 };
  }
}

function markTins(): void {
  const text = execFileSync("tc", ["-n", "router", "-s", "-j", "qdisc", "show"], {
    encoding: "utf8",
  });
  const qdiscs = JSON.parse(text) as {
    kind: string;
    dev: string;
    tins?: { sent_packets: number }[];
  }[];
  for (const { kind, dev, tins } of qdiscs) {
    if (kind !== "cake" || tins === undefined) continue;
    const packets = tins.map((tin) => tin.sent_packets);
    mark({ kind: "tins", atMs: Date.now(), device: dev, packets });
  }
}

/** How late a timer comes, from now until the result is asked for. */
function watchLag(): () => { medianMs: number; p99Ms: number } {
  const lateMs: number[] = [];
  let before = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    lateMs.push(Math.max(0, now - before - LAG_EVERY_MS));
    before = now;
  }, LAG_EVERY_MS);
  return () => {
    clearInterval(timer);
    lateMs.sort((a, b) => a - b);
    const at = (share: number) => lateMs[Math.floor(share * (lateMs.length - 1))] ?? 0;
    return { medianMs: at(0.5), p99Ms: at(0.99) };
  };
}

function mark(entry: Mark): Mark {
  appendFileSync(join(spec.folder, "marks.ndjson"), `${JSON.stringify(entry)}\n`);
  return entry;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

await main();
process.exit(0);
