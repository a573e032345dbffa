// The one guest that all flow tests share, and the router in it: the daemon in the namespace of
// topology.ts that has the line, as systemd would run it.

import { setTimeout as sleep } from "node:timers/promises";
import { NFT_TABLE } from "../../src/flow/act/ours.ts";
import type { Decision, Direction } from "../../src/flow/interface.ts";
import type { FlowStatus } from "../../src/flow/status.ts";
import { WaitError } from "./errors.ts";
import type { Machine } from "./machine.ts";
import type { MachineOptions } from "./script.ts";
import {
  buildTopology,
  inNamespace,
  type LineOptions,
  type PathOptions,
  pathBatch,
  REFLECTORS4,
  REFLECTORS6,
  ROUTER,
  rateBatch,
  removeTopology,
  SERVER,
} from "./topology.ts";

/** Its clock counts instructions: what it measures is the same on a busy host. */
export const FLOW_MACHINES: Readonly<Record<"guest", MachineOptions>> = {
  guest: { clock: "instructions" },
};

/** The device downloads are shaped on. */
export const IFB = `myco-${ROUTER.wan}`;

const UNIT = "myco-router";
const SOCKET = `/run/${UNIT}/myco.sock`;
const DATA_FOLDER = `/var/lib/${UNIT}`;
const CONFIGURATION = `/etc/${UNIT}.yaml`;
const MEMORY_MAX = "64M";

/** Where installed programs stand in front of the system's. */
const FAULT_FOLDER = "/opt/lab/fault";

/** Of the guest's own time, in which Node starts in seconds. */
const PATIENCE_SECONDS = 60;
const LOOK_MS = 100;
const LOOKS_PER_CLOCK = 4;

/** One port for each kind of load. */
const LOAD_PORTS = { download: 5201, upload: 5202, other: 5203 } as const;

/** A qdisc as `tc -s -j qdisc show` tells it. */
export interface Qdisc {
  readonly kind: string;
  readonly handle: string;
  readonly root?: boolean;
  readonly options: Readonly<Record<string, unknown>>;
  readonly tins?: readonly { readonly sent_packets: number }[];
}

export interface RouterSettings {
  /** The settings below `flow:`, as YAML in braces, beside those every test has. */
  readonly flow: string;
  /** Lets `spoilChanges` work. */
  readonly withFaults?: boolean;
}

export class FlowRouter {
  readonly #guest: Machine;
  /** Decisions before this many are of an earlier life. */
  #since = "";

  constructor(guest: Machine) {
    this.#guest = guest;
  }

  /** A new internet with nobody's shaper in it. */
  async build(line: LineOptions): Promise<void> {
    await this.remove();
    await this.#guest.succeed(buildTopology(line));
    // A server on all addresses would answer UDP from another one than it was asked at.
    const servers = Object.values(LOAD_PORTS).flatMap((port) =>
      [SERVER.address4, SERVER.address6].map((address) => `iperf3 -s -D -p ${port} -B ${address}`),
    );
    await this.#guest.succeed(inNamespace("server", `sh -euc '${servers.join("; ")}'`));
  }

  /** Takes daemon, state and namespaces away. */
  async remove(): Promise<void> {
    await this.#guest.succeed(
      `systemctl stop ${UNIT} 2>/dev/null || true
${removeTopology()}rm -rf ${DATA_FOLDER} /run/${UNIT} /run/tc-fault`,
    );
  }

  /** Writes the configuration; `start` and `reload` read it. */
  async configure(flow: string): Promise<void> {
    const reflectors = [...REFLECTORS4.slice(0, 4), ...REFLECTORS6.slice(0, 2)];
    const text = `dataDir: ${DATA_FOLDER}
socket: ${SOCKET}
mesh: { enabled: false }
flow:
  enabled: true
  egressIface: ${ROUTER.wan}
  maxCpu: 100
  reflectors: ${JSON.stringify(reflectors)}
${flow.replaceAll(/^/gm, "  ")}
`;
    await this.#guest.run(`cat >${CONFIGURATION}`, { input: Buffer.from(text) });
  }

  /** Starts the daemon, and waits until its loop runs. */
  async start({ flow, withFaults = false }: RouterSettings): Promise<void> {
    await this.configure(flow);
    if (withFaults) await this.#guest.copyFromHost("tests/lab/fault", FAULT_FOLDER);
    await this.launch(withFaults);
    await this.waitForStatus("the loop runs", ({ phase }) => phase === "running");
  }

  /** Starts the daemon as configured and waits for nothing. */
  async launch(withFaults = false): Promise<void> {
    const path = `${withFaults ? `${FAULT_FOLDER}:` : ""}/usr/sbin:/usr/bin`;
    // The wall clock of the guest, as journalctl reads it.
    this.#since = (await this.#guest.succeed("date +%s.%N")).trim();
    await this.#guest.succeed(
      `mkdir -p /run/${UNIT} ${DATA_FOLDER}
systemd-run --quiet --collect --unit=${UNIT} --setenv=PATH=${path} \\
  --property=MemoryMax=${MEMORY_MAX} --property=KillMode=process --property=TimeoutStopSec=30 \\
  ip netns exec ${ROUTER.namespace} /opt/myco/myco.mjs daemon --config ${CONFIGURATION}`,
    );
  }

  /** SIGTERM, and until it is gone. */
  async stop(): Promise<void> {
    await this.#guest.succeed(`systemctl stop ${UNIT}`);
  }

  /** kill -9; what it had started stays for the next one to deal with. */
  async kill(): Promise<void> {
    await this.signal("KILL");
    await this.#guest.waitUntilFails(`systemctl is-active --quiet ${UNIT}`, PATIENCE_SECONDS);
  }

  signal(name: string): Promise<string> {
    return this.#guest.succeed(`systemctl kill --kill-whom=main --signal=${name} ${UNIT}`);
  }

  /** Runs `command` beside the daemon. */
  succeed(command: string): Promise<string> {
    return this.#guest.succeed(inNamespace(ROUTER.namespace, command));
  }

  /** Runs `myco` with the daemon's socket. */
  myco(words: string): Promise<string> {
    return this.succeed(`/opt/myco/myco.mjs ${words} --socket ${SOCKET}`);
  }

  /** What the API answers to GET. */
  async get<Answer>(path: string): Promise<Answer> {
    const text = await this.#guest.succeed(
      `curl --silent --fail --max-time 30 --unix-socket ${SOCKET} http://localhost${path}`,
    );
    return JSON.parse(text) as Answer;
  }

  status(): Promise<FlowStatus> {
    return this.get<FlowStatus>("/flow");
  }

  /** Waits until the daemon's own account of itself is as wished. */
  async waitForStatus(
    wish: string,
    isSo: (status: FlowStatus) => boolean,
    seconds = PATIENCE_SECONDS,
  ): Promise<FlowStatus> {
    let last: FlowStatus | null = null;
    const look = async (): Promise<FlowStatus | null> => {
      last = await this.status().catch(() => null);
      return last !== null && isSo(last) ? last : null;
    };
    return await this.#eventually(wish, seconds, look, () => JSON.stringify(last, null, 1));
  }

  /** The log of the daemon's present life, one object a line. */
  async log(): Promise<Readonly<Record<string, unknown>>[]> {
    const text = await this.#guest.succeed(
      `journalctl --unit=${UNIT} --output=cat --no-pager --since=@${this.#since}`,
    );
    return text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  }

  async decisions(): Promise<Decision[]> {
    return (await this.log()).flatMap(({ decision }) => (decision ? [decision as Decision] : []));
  }

  /** Waits for a decision of this life. */
  waitForDecision(
    wish: string,
    isSo: (decision: Decision) => boolean,
    seconds = PATIENCE_SECONDS,
  ): Promise<Decision> {
    let all: Decision[] = [];
    const look = async (): Promise<Decision | null> => {
      all = await this.decisions();
      return all.find(isSo) ?? null;
    };
    return this.#eventually(wish, seconds, look, () =>
      all.map((one) => JSON.stringify(one)).join("\n"),
    );
  }

  /** Waits for a line of the log that has `text` in it. */
  waitForLog(text: string, seconds = PATIENCE_SECONDS): Promise<unknown> {
    const look = async (): Promise<unknown> => {
      return (await this.log()).find((line) => JSON.stringify(line).includes(text)) ?? null;
    };
    return this.#eventually(`the log says ${text}`, seconds, look, () => "");
  }

  /** What the kernel has on a device of the router. */
  async qdiscs(device: string): Promise<Qdisc[]> {
    return JSON.parse(await this.succeed(`tc -s -j qdisc show dev ${device}`));
  }

  async rootQdisc(device: string): Promise<Qdisc | null> {
    return (await this.qdiscs(device)).find(({ root }) => root === true) ?? null;
  }

  /** What the kernel shapes a direction to; null: no CAKE is there. */
  async shaperKbit(direction: Direction): Promise<number | null> {
    const device = direction === "upload" ? ROUTER.wan : IFB;
    // The IFB may not be there yet.
    const root = await this.rootQdisc(device).catch(() => null);
    const bandwidth = root?.kind === "cake" ? root.options.bandwidth : null;
    return typeof bandwidth === "number" ? (bandwidth * 8) / 1_000 : null;
  }

  /** @returns how long it took, in seconds of the guest's time */
  async waitForShaper(
    direction: Direction,
    wish: string,
    isSo: (rateKbit: number) => boolean,
    seconds = PATIENCE_SECONDS,
  ): Promise<number> {
    const startSeconds = await this.#clockSeconds();
    let last: number | null = null;
    const look = async (): Promise<true | null> => {
      last = await this.shaperKbit(direction);
      return last !== null && isSo(last) ? true : null;
    };
    await this.#eventually(`${direction} ${wish}`, seconds, look, () => `${last} kbit/s`);
    return (await this.#clockSeconds()) - startSeconds;
  }

  /** Saturates a direction with four TCP flows for so long, from now on. */
  async load(direction: Direction, seconds: number): Promise<void> {
    const reverse = direction === "download" ? "-R" : "";
    const port = LOAD_PORTS[direction];
    const command = `iperf3 -c ${SERVER.address4} -p ${port} -t ${seconds} -P 4 ${reverse}`;
    await this.#guest.succeed(inNamespace("client", `${command} >/dev/null 2>&1 &`));
  }

  async endLoads(): Promise<void> {
    await this.#guest.succeed("pkill -f '^iperf3 -c' || true");
  }

  async setCapacity(direction: Direction, rateKbit: number): Promise<void> {
    await this.#batch("isp", rateBatch(direction, rateKbit));
  }

  async setPath(path: PathOptions): Promise<void> {
    await this.#batch("path", pathBatch(path));
  }

  async #batch(namespace: string, lines: string): Promise<void> {
    await this.#guest.run(`tc -n ${namespace} -batch -`, { input: Buffer.from(lines) });
  }

  /** What becomes of changes of a rate from now on, in a daemon that was started with faults. */
  async spoilChanges(how: "refuse" | "bend" | "not"): Promise<void> {
    await this.#guest.succeed(`printf %s ${how} >/run/tc-fault`);
  }

  /** A line that was set up is whole when the marks of its own probes have followed. */
  async waitForProbeMarks(): Promise<void> {
    const list = inNamespace(ROUTER.namespace, `nft list map ${NFT_TABLE} probes4`);
    await this.#guest.waitUntilSucceeds(`${list} | grep elements`);
  }

  /** Everything the daemon might change, as text: two of them are equal when nothing was touched. */
  async footprint(): Promise<string> {
    const parts = [
      "ip -j link | jq -c '[.[] | {ifname, operstate, mtu, qdisc}]'",
      "tc qdisc show",
      `tc filter show dev ${ROUTER.wan} ingress`,
      "nft list ruleset",
      "sysctl net.netfilter.nf_conntrack_acct",
    ];
    const input = Buffer.from(parts.join("\n"));
    return await this.#guest.succeed(inNamespace(ROUTER.namespace, "bash -eu"), { input });
  }

  /** Seconds since the guest booted, by its own clock. */
  async #clockSeconds(): Promise<number> {
    return Number.parseFloat(await this.#guest.succeed("cat /proc/uptime"));
  }

  /** @throws WaitError with `describe()` when `look` answers null for so long in the guest's time */
  async #eventually<Result>(
    wish: string,
    seconds: number,
    look: () => Promise<Result | null>,
    describe: () => string,
  ): Promise<Result> {
    const endSeconds = (await this.#clockSeconds()) + seconds;
    for (let looks = 1; ; looks += 1) {
      const result = await look();
      if (result !== null) return result;
      // Asking for the time costs as much as looking.
      if (looks % LOOKS_PER_CLOCK === 0 && (await this.#clockSeconds()) > endSeconds) {
        const vain = `waited ${seconds} s, in vain, until ${wish}`;
        throw new WaitError(`${vain}; last seen:\n${describe()}`);
      }
      await sleep(LOOK_MS);
    }
  }
}
