// How much memory the real daemon takes with both planes on, started as it is meant to be, in a
// cgroup of 64 MB: idle, with a table of services, and while a member sends it 10,000 sealed
// packets a second that it answers one by one. The line is a simulated one, so that any machine
// will do.
//   npm run bench:memory [-- --seconds N]
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { StatusAnswer } from "../src/api/contract.ts";
import { writeNodeFiles } from "../src/daemon/node-files.ts";
import { DAEMON_ENVIRONMENT, DAEMON_NODE_FLAGS } from "../src/daemon/runtime-flags.ts";
import { NodeCrypto } from "../src/io/crypto.ts";
import { SystemRandom } from "../src/io/random.ts";
import { UdpSockets } from "../src/io/udp.ts";
import type { Signer } from "../src/kernel/ports.ts";
import {
  type Certificate,
  issueCertificate,
  ROLES,
  readCertificate,
} from "../src/net/certificate.ts";
import { type Identity, identityFromSeed } from "../src/net/identity.ts";
import { Links } from "../src/node/links.ts";
import type { Peer } from "../src/node/peer.ts";
import { type Digest, readDigest, writeDigest, writePing } from "../src/schema/frame.ts";

const LIMIT_BYTES = 64 * 1024 * 1024;
const PACKETS_PER_SECOND = 10_000;
const BURST_MS = 5;
const SERVICES = 1_000;
const DEPLOY_BATCH = 50;
const SETTLE_MS = 8_000;
const MB = 1e6;

const crypto = new NodeCrypto();
const random = new SystemRandom();

/** A cgroup of the daemon's own, by whichever version this machine has. */
interface Cgroup {
  readonly procs: string;
  /** In bytes: charged now, at most since the start, and how often the limit was met. */
  read(): { usage: number; peak: number; limitHits: number };
  remove(): void;
}

interface Sample {
  readonly rss: number;
  readonly anonymous: number;
}

interface Row {
  readonly phase: string;
  readonly rss: number;
  readonly anonymous: number;
  readonly cgroup: { usage: number; peak: number; limitHits: number } | null;
  readonly traffic: string;
  readonly cpu: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "30" } } });
  const seconds = Number(values.seconds);
  const built = spawnSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
  if (built.status !== 0) process.exit(1);

  const folder = mkdtempSync(join(tmpdir(), "myco-bench-memory-"));
  const cgroup = openCgroup();
  if (cgroup === null) {
    console.log(
      "This machine lets us make no memory cgroup: the limit is not set, and not measured.",
    );
  }
  const root = crypto.signer(random.bytes(32));
  const rows: Row[] = [];
  const load = new Load(root);
  const daemon = startDaemon(folder, root, cgroup);
  try {
    const pid = daemon.pid!;
    const socket = join(folder, "sock");
    await untilUp(socket);
    const measure = async (phase: string, forMs: number): Promise<void> => {
      rows.push(await measurePhase(phase, forMs, pid, socket, cgroup));
    };
    await sleep(SETTLE_MS);
    await measure("idle", 5_000);
    await load.connect((await statusOf(socket)).node.endpoints[0]!);
    load.start();
    await measure(`${PACKETS_PER_SECOND.toLocaleString("en")} packets/s`, seconds * 1_000);
    await deployMany(socket);
    await measure(`the same, with ${SERVICES.toLocaleString("en")} services`, seconds * 1_000);
    load.stop();
    await measure("idle again", 5_000);
  } finally {
    daemon.kill("SIGTERM");
    await new Promise((resolve) => daemon.once("exit", resolve));
    await load.close();
    cgroup?.remove();
    rmSync(folder, { recursive: true });
  }
  print(rows);
}

function startDaemon(folder: string, root: Signer, cgroup: Cgroup | null): ChildProcess {
  const dataDir = join(folder, "data");
  const { keySeed, certificate } = newNode(root);
  writeNodeFiles(dataDir, { keySeed, certificate, rootPublicKey: root.publicKey, seeds: [] });
  const configuration = join(folder, "config.yaml");
  writeFileSync(
    configuration,
    `dataDir: ${dataDir}\nsocket: ${join(folder, "sock")}\nlisten: ["127.0.0.1:0"]\ndns: { listen: "127.0.0.1:0" }\nlog: { level: warn }\nflow: { enabled: true, mode: dummy }\n`,
  );
  const args = [...DAEMON_NODE_FLAGS, "dist/myco.mjs", "daemon", "--config", configuration];
  // The shell enters the cgroup before it becomes the daemon, so that every page is charged.
  const enter = cgroup === null ? "" : `echo $$ > ${cgroup.procs} && `;
  return spawn("sh", ["-c", `${enter}exec "$0" "$@"`, process.execPath, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { PATH: process.env.PATH, ...DAEMON_ENVIRONMENT },
  });
}

function newNode(root: Signer): {
  keySeed: Uint8Array;
  certificate: Uint8Array;
  identity: Identity;
} {
  const keySeed = random.bytes(32);
  const identity = identityFromSeed(crypto, keySeed);
  const certificate = issueCertificate(root, {
    publicKey: identity.publicKey,
    zone: 0,
    roles: ROLES.member | ROLES.deployer,
    notAfterSeconds: Math.floor(Date.now() / 1_000) + 86_400,
    revocationBlock: 0,
  });
  return { keySeed, certificate, identity };
}

/** A member that only ever pings, and counts what comes back. */
class Load {
  answers = 0;
  readonly #links: Links;
  #sockets: UdpSockets | null = null;
  #peer: Peer | null = null;
  #digest: Digest = { rootHigh: 0, rootLow: 0, reapedThrough: 0 };
  #timer: NodeJS.Timeout | null = null;
  #sequence = 0;

  constructor(root: Signer) {
    const { identity, certificate } = newNode(root);
    const known = readCertificate(crypto, root.publicKey, certificate) as Certificate;
    this.#links = new Links({
      context: {
        crypto,
        random,
        identity,
        certificate: known,
        certificateBytes: certificate,
        rootPublicKey: root.publicKey,
        isRevoked: () => false,
        revocationBlock: () => 0,
      },
      random,
      nowMs: Date.now(),
      send: (packet, to) => this.#sockets?.send(packet, to),
      isWanted: () => true,
      listener: {
        sessionOpened: (peer) => {
          this.#peer = peer;
        },
        sessionClosed: () => {},
        handshakeRefused: (_, reason) => console.error(`handshake refused: ${reason}`),
        // The daemon's own digest back: to it this member holds the same table.
        payloadReceived: (_peer, _header, payload) => {
          this.answers += 1;
          this.#digest = readDigest(payload);
        },
      },
    });
  }

  async connect(endpoint: string): Promise<void> {
    this.#sockets = await UdpSockets.open(["127.0.0.1:0"]);
    this.#sockets.onDatagram = (datagram, from) => this.#links.receive(datagram, from, Date.now());
    while (this.#peer === null) {
      this.#links.dialSeed(endpoint, Date.now());
      await sleep(200);
    }
  }

  start(): void {
    const startMs = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      const nowMs = Date.now();
      this.#sockets?.renewShare();
      this.#links.tick(nowMs);
      const due = ((performance.now() - startMs) / 1_000) * PACKETS_PER_SECOND;
      // Never more at once than the outbox takes, however late the timer was.
      for (let burst = 0; sent < due && burst < 64; burst += 1) {
        sent += 1;
        this.#ping(nowMs);
      }
    }, BURST_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  async close(): Promise<void> {
    this.stop();
    await this.#sockets?.close();
  }

  #ping(nowMs: number): void {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#links.sendTo(this.#peer!, 0, nowMs, (payload) => {
      writeDigest(payload, this.#digest);
      writePing(payload, this.#sequence);
    });
  }
}

async function measurePhase(
  phase: string,
  forMs: number,
  pid: number,
  socket: string,
  cgroup: Cgroup | null,
): Promise<Row> {
  const before = await statusOf(socket);
  const cpuBefore = cpuSecondsOf(pid);
  const startMs = performance.now();
  let rss = 0;
  let anonymous = 0;
  while (performance.now() - startMs < forMs) {
    await sleep(500);
    const sample = readMemory(pid);
    rss = Math.max(rss, sample.rss);
    anonymous = Math.max(anonymous, sample.anonymous);
  }
  const seconds = (performance.now() - startMs) / 1_000;
  const cpu = `${((100 * (cpuSecondsOf(pid) - cpuBefore)) / seconds).toFixed(0)} %`;
  const { network } = await statusOf(socket);
  const perSecond = (name: "packetsReceived" | "packetsSent" | "datagramsDropped"): string =>
    Math.round((network[name] - before.network[name]) / seconds).toLocaleString("en");
  const traffic = `${perSecond("packetsReceived")} in, ${perSecond("packetsSent")} out, ${perSecond("datagramsDropped")} dropped`;
  return { phase, rss, anonymous, cgroup: cgroup?.read() ?? null, traffic, cpu };
}

function readMemory(pid: number): Sample {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytesOf = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1_024;
  return { rss: bytesOf("VmRSS"), anonymous: bytesOf("RssAnon") };
}

/** User and system time in proc_pid_stat(5), at 100 ticks a second. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Services that no node is eligible for: what counts is their place in the table. */
async function deployMany(socket: string): Promise<void> {
  for (let first = 0; first < SERVICES; first += DEPLOY_BATCH) {
    const services = Array.from({ length: DEPLOY_BATCH }, (_, index) => ({
      name: `service-${first + index}`,
      flake: `github:example/service-${first + index}#default`,
      exec: "bin/serve",
      args: ["--port", "8080"],
      ports: [8080],
      zone: 200,
    }));
    const answer = await askDaemon(socket, "POST", "/deploy", JSON.stringify({ services }));
    if (answer.status !== 200)
      throw new Error(`deploy was answered ${answer.status}: ${answer.text}`);
  }
}

async function statusOf(socket: string): Promise<StatusAnswer> {
  return JSON.parse((await askDaemon(socket, "GET", "/status")).text) as StatusAnswer;
}

function askDaemon(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function untilUp(socket: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      await statusOf(socket);
      return;
    } catch {
      await sleep(100);
    }
  }
  throw new Error("the daemon did not come up within 10 s");
}

function openCgroup(): Cgroup | null {
  const name = `myco-bench-${process.pid}`;
  const isVersion2 = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const folder = isVersion2 ? `/sys/fs/cgroup/${name}` : `/sys/fs/cgroup/memory/${name}`;
  const read = (file: string): string => readFileSync(join(folder, file), "utf8");
  try {
    mkdirSync(folder);
    writeFileSync(
      join(folder, isVersion2 ? "memory.max" : "memory.limit_in_bytes"),
      `${LIMIT_BYTES}`,
    );
  } catch {
    return null;
  }
  return {
    procs: join(folder, "cgroup.procs"),
    read: isVersion2
      ? () => ({
          usage: Number(read("memory.current")),
          peak: existsSync(join(folder, "memory.peak")) ? Number(read("memory.peak")) : Number.NaN,
          limitHits: Number(/^max (\d+)$/m.exec(read("memory.events"))?.[1] ?? 0),
        })
      : () => ({
          usage: Number(read("memory.usage_in_bytes")),
          peak: Number(read("memory.max_usage_in_bytes")),
          limitHits: Number(read("memory.failcnt")),
        }),
    remove: () => rmdirSync(folder),
  };
}

function print(rows: readonly Row[]): void {
  const mb = (bytes: number): string => (bytes / MB).toFixed(1);
  console.log(
    `\nMyco's daemon in a cgroup of 64 MiB; figures in MB of 10^6 bytes; Node ${process.versions.node}, ${cpus()[0]?.model.trim()}`,
  );
  console.log(
    `${DAEMON_NODE_FLAGS.join(" ")}, ${Object.entries(DAEMON_ENVIRONMENT)
      .map((pair) => pair.join("="))
      .join(" ")}\n`,
  );
  console.log(
    "| phase | RSS, highest | anonymous, highest | cgroup now | cgroup peak | limit met | packets/s | processor |",
  );
  console.log("|---|---|---|---|---|---|---|---|");
  for (const { phase, rss, anonymous, cgroup, traffic, cpu } of rows) {
    const charged =
      cgroup === null
        ? ["not measured", "not measured", "not measured"]
        : [mb(cgroup.usage), mb(cgroup.peak), `${cgroup.limitHits} times`];
    console.log(`| ${[phase, mb(rss), mb(anonymous), ...charged, traffic, cpu].join(" | ")} |`);
  }
  console.log(
    "\nThe cgroup is not charged for pages of Node's own file that another process has read before.\nOn a machine where the daemon is the only Node, they count too, up to RSS less anonymous; they\nare clean, and given back when the limit is met.",
  );
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

await main();
