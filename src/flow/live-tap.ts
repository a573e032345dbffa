// The tap on the live line: a supervised tcpdump whose capture is read into flows. By nflog it gets
// the first packets of every flow, chosen by our nft table; without nft a BPF filter picks what
// tells most.

import {
  TAP_FLOWS_MAX,
  TAP_IDLE_MS,
  TAP_LINE_BYTES_MAX,
  TAP_NAMES_MAX,
  TAP_SNAP_BYTES,
  TAP_STREAMS_MAX,
} from "../kernel/limits.ts";
import type { Random } from "../kernel/ports.ts";
import { NFLOG_GROUP } from "./act/ours.ts";
import type { Child, Children, LoopClock, QuicCrypto } from "./ports.ts";
import { RestartBackoff } from "./sense/restart-backoff.ts";
import type { FlowListener, PayloadMatcher } from "./tap/features.ts";
import { Tap } from "./tap/tap.ts";

export type TapSource = { readonly kind: "nflog" } | { readonly kind: "pcap"; device: string };

export interface LiveTapOptions {
  readonly children: Children;
  readonly clock: LoopClock;
  readonly random: Random;
  readonly crypto: QuicCrypto;
  /** A capture begins: what was kept of flows by their id is void. */
  readonly onBegin: () => { readonly matcher: PayloadMatcher; readonly onFlow: FlowListener };
  /** The child ended or runs again; `reason` for people. */
  readonly onState: (alive: boolean, reason: string) => void;
}

/** Where TCP's payload begins, in libpcap's arithmetic. It knows TCP's fields over IPv4 only. */
const TCP4_PAYLOAD = "tcp[((tcp[12] & 0xf0) >> 2)]";
const TCP6_PAYLOAD = "ip6[(40 + ((ip6[52] & 0xf0) >> 2))]";
/** SYN, TLS handshakes, DNS, QUIC's long headers, and datagrams too small to be a download. */
const BPF_FILTER = [
  `tcp[13] & 2 != 0 or ${TCP4_PAYLOAD} = 0x16`,
  `(ip6[6] = 6 and (ip6[53] & 2 != 0 or ${TCP6_PAYLOAD} = 0x16))`,
  "port 53 or (udp[4:2] < 300 or udp[8] & 0xc0 = 0xc0)",
  "(ip6[6] = 17 and (ip6[44:2] < 300 or ip6[48] & 0xc0 = 0xc0))",
].join(" or ");

export class LiveTap {
  readonly #source: TapSource;
  readonly #options: LiveTapOptions;
  readonly #backoff: RestartBackoff;
  #tap: Tap | null = null;
  #child: Child | null = null;
  #startedAtMs = 0;
  #restartAtMs: number | null = 0;
  #complaint = "";

  constructor(source: TapSource, options: LiveTapOptions) {
    this.#source = source;
    this.#options = options;
    this.#backoff = new RestartBackoff(options.random);
  }

  get alive(): boolean {
    return this.#child !== null;
  }

  /** Once a tick: reads what was captured since, and starts again what ended. */
  tick(nowMs: number): void {
    this.#child?.poll();
    const problem = this.#tap?.problem ?? null;
    if (problem !== null) this.#fall(nowMs, "tcpdump wrote what is no capture");
    if (this.#restartAtMs === null || nowMs < this.#restartAtMs) return;
    const isFirst = this.#startedAtMs === 0;
    this.#start(nowMs);
    if (!isFirst) this.#options.onState(true, "tcpdump was started again");
  }

  stop(): void {
    this.#restartAtMs = null;
    this.#endChild();
  }

  #start(nowMs: number): void {
    const { children, crypto, random, onBegin } = this.#options;
    this.#restartAtMs = null;
    this.#startedAtMs = nowMs;
    this.#complaint = "";
    const tap = new Tap({
      ...{ crypto, ...onBegin() },
      flowsMax: TAP_FLOWS_MAX,
      namesMax: TAP_NAMES_MAX,
      streamsMax: TAP_STREAMS_MAX,
      idleMs: TAP_IDLE_MS,
      hashSeed: random.u32(),
    });
    this.#tap = tap;
    let child: Child | null = null;
    const isCurrent = (): boolean => child === null || this.#child === child;
    child = children.start(
      {
        program: "tcpdump",
        args: argumentsFor(this.#source),
        lineBytesMax: TAP_LINE_BYTES_MAX,
        polled: true,
      },
      {
        onBytes: (bytes) => {
          if (isCurrent()) tap.push(bytes);
        },
        onLine: (_, line) => {
          if (isCurrent()) this.#complaint = line;
        },
        onExit: (how) => {
          if (isCurrent()) this.#fall(this.#options.clock.nowMs(), `tcpdump ${how}`);
        },
      },
    );
    this.#child = child;
  }

  #fall(nowMs: number, how: string): void {
    this.#endChild();
    this.#restartAtMs = nowMs + this.#backoff.nextWaitMs(nowMs - this.#startedAtMs);
    const said = this.#complaint === "" ? "" : `: ${this.#complaint}`;
    this.#options.onState(false, how + said);
  }

  #endChild(): void {
    const child = this.#child;
    this.#child = null;
    this.#tap = null;
    child?.end();
  }
}

/** -n: no names. -U: each packet as it comes. -s: no more of each. -p: not what is for others. */
function argumentsFor(source: TapSource): readonly string[] {
  const common = ["-n", "-U", "-s", String(TAP_SNAP_BYTES), "-w", "-"];
  if (source.kind === "nflog") return ["-i", `nflog:${NFLOG_GROUP}`, ...common];
  return ["-p", "-i", source.device, ...common, BPF_FILTER];
}
