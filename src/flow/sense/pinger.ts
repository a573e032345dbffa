// RTT of the line: one supervised fping child probes a few reflectors, IPv4 and IPv6 in turn.
// What it says waits in the pipe until the loop's tick collects it.

import { assert } from "../../kernel/assert.ts";
import {
  PINGER_LINE_BYTES_MAX,
  PROBE_STALE_MS,
  PROBE_TIMEOUT_MS,
  PROBES_WAITING_MAX,
  REFLECTOR_ROTATION_MS_MIN,
  REFLECTOR_SILENT_MS,
  REFLECTORS_ACTIVE,
} from "../../kernel/limits.ts";
import type { Random } from "../../kernel/ports.ts";
import type { ProbeLoss, ProbeReply, Tin } from "../interface.ts";
import type { Child, Children, LoopClock } from "../ports.ts";
import { parsePingLine } from "./ping-line.ts";
import { RestartBackoff } from "./restart-backoff.ts";

/** A reflector in use, and the tin its packets are to be marked for. */
export interface ProbeTarget {
  readonly reflector: string;
  readonly tin: Tin;
}

export interface ProbeTargetStatus extends ProbeTarget {
  /** Of the newest answer; null: none yet. */
  readonly rttMs: number | null;
  /** Of about the last 30 probes; null: none has ended yet. */
  readonly lossPercent: number | null;
}

export interface ProbeResults {
  readonly replies: readonly ProbeReply[];
  readonly losses: readonly ProbeLoss[];
}

export interface PingerSettings {
  /** Addresses, best first, without repetition; the first few are probed, the others stand in. */
  readonly reflectors: readonly string[];
  /** The interface the probes leave by, whatever the routes say; null: by the routes. */
  readonly device: string | null;
  /** Of all reflectors together. */
  readonly probesPerSecond: number;
}

export interface PingerOptions {
  readonly children: Children;
  readonly clock: LoopClock;
  readonly random: Random;
  /** The child ended, or runs again; `reason` for people. */
  readonly onState: (alive: boolean, reason: string) => void;
  /** Other reflectors from now on: their packets are to be marked. Called before they are probed. */
  readonly onTargets: (targets: readonly ProbeTarget[]) => void;
}

/** Half of the probes travel as most traffic does, half as calls and games do. */
const PROBE_TINS: readonly Tin[] = ["besteffort", "voice"];

const LOSS_SMOOTHING = 1 / 16;
const NOTHING: ProbeResults = { replies: [], losses: [] };

/** A target with what is known of it. */
interface ProbedTarget {
  readonly reflector: string;
  readonly tin: Tin;
  rttMs: number | null;
  lossShare: number | null;
  /** Of its newest answer, or since when it is probed. */
  heardAtMs: number;
}

export class Pinger {
  readonly #options: PingerOptions;
  readonly #backoff: RestartBackoff;
  #settings: PingerSettings;
  readonly #targets = new Map<string, ProbedTarget>();
  /** Configured and not in use, the next one first. */
  #spares: string[] = [];
  #child: Child | null = null;
  #running = false;
  #startedAtMs = 0;
  /** When to start the child again; null: it runs. */
  #restartAtMs: number | null = null;
  #rotatedAtMs = Number.NEGATIVE_INFINITY;
  #collectedAtMs = 0;
  #replies: ProbeReply[] = [];
  #losses: ProbeLoss[] = [];
  /** The newest complaint of the child. */
  #complaint = "";

  constructor(settings: PingerSettings, options: PingerOptions) {
    assert(settings.probesPerSecond > 0, "a pinger sends probes");
    this.#settings = settings;
    this.#options = options;
    this.#backoff = new RestartBackoff(options.random);
  }

  get alive(): boolean {
    return this.#child !== null;
  }

  get targets(): readonly ProbeTargetStatus[] {
    return Array.from(this.#targets.values(), ({ reflector, tin, rttMs, lossShare }) => ({
      reflector,
      tin,
      rttMs,
      lossPercent: lossShare === null ? null : Math.round(lossShare * 100),
    }));
  }

  start(): void {
    assert(!this.#running, "the pinger is started once");
    this.#running = true;
    this.#chooseTargets();
    this.#startChild();
  }

  stop(): void {
    this.#running = false;
    this.#restartAtMs = null;
    this.#endChild();
  }

  /** A new child at once, as after the interface came back: a socket is bound to the old one. */
  restart(): void {
    if (!this.#running) return;
    this.#endChild();
    this.#startChild();
  }

  reconfigure(settings: PingerSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    if (!this.#running) return;
    const hasSameReflectors = before.reflectors.join() === settings.reflectors.join();
    if (!hasSameReflectors) this.#chooseTargets();
    const isSame = before.device === settings.device;
    if (hasSameReflectors && isSame && before.probesPerSecond === settings.probesPerSecond) return;
    this.restart();
  }

  /**
   * Leaves `reflector` for the next one of the list, in the same tin.
   * @returns false when it is not in use, no other is left, or the last change is too recent
   */
  rotate(reflector: string): boolean {
    const nowMs = this.#options.clock.nowMs();
    const leaving = this.#targets.get(reflector);
    if (leaving === undefined || nowMs - this.#rotatedAtMs < REFLECTOR_ROTATION_MS_MIN)
      return false;
    const next = this.#spares.shift();
    if (next === undefined) return false;
    this.#spares.push(reflector);
    this.#rotatedAtMs = nowMs;
    this.#targets.delete(reflector);
    this.#addTarget(next, leaving.tin);
    this.#options.onTargets(this.targets);
    this.restart();
    return true;
  }

  /** Once a tick: what came since the last one, oldest first. Also starts again what ended. */
  collect(): ProbeResults {
    const nowMs = this.#options.clock.nowMs();
    const isStale = nowMs - this.#collectedAtMs > PROBE_STALE_MS;
    this.#collectedAtMs = nowMs;
    this.#child?.poll();
    const results = isStale ? NOTHING : this.#take();
    if (isStale) this.#take();
    if (this.#restartAtMs !== null && nowMs >= this.#restartAtMs) {
      this.#startChild();
      this.#options.onState(true, "the pinger was started again");
    }
    this.#leaveSilent(nowMs);
    return results;
  }

  #take(): ProbeResults {
    if (this.#replies.length === 0 && this.#losses.length === 0) return NOTHING;
    const results = { replies: this.#replies, losses: this.#losses };
    this.#replies = [];
    this.#losses = [];
    return results;
  }

  #chooseTargets(): void {
    this.#targets.clear();
    const { reflectors } = this.#settings;
    reflectors.slice(0, REFLECTORS_ACTIVE).forEach((reflector, index) => {
      this.#addTarget(reflector, PROBE_TINS[index % PROBE_TINS.length] as Tin);
    });
    this.#spares = reflectors.slice(REFLECTORS_ACTIVE);
    this.#options.onTargets(this.targets);
  }

  #addTarget(reflector: string, tin: Tin): void {
    const heardAtMs = this.#options.clock.nowMs();
    this.#targets.set(reflector, { reflector, tin, rttMs: null, lossShare: null, heardAtMs });
  }

  #startChild(): void {
    this.#restartAtMs = null;
    if (this.#targets.size === 0) return;
    this.#startedAtMs = this.#options.clock.nowMs();
    this.#collectedAtMs = this.#startedAtMs;
    this.#complaint = "";
    for (const target of this.#targets.values()) target.heardAtMs = this.#startedAtMs;
    let child: Child | null = null;
    // A child that was replaced may still speak; it is not listened to any more.
    const isCurrent = (): boolean => child === null || this.#child === child;
    child = this.#options.children.start(
      {
        program: "fping",
        args: this.#arguments(),
        lineBytesMax: PINGER_LINE_BYTES_MAX,
        polled: true,
      },
      {
        onLine: (stream, line) => {
          if (!isCurrent()) return;
          if (stream === "stdout") this.#onLine(line);
          else this.#complaint = line;
        },
        onExit: (how) => {
          if (isCurrent()) this.#onExit(how);
        },
      },
    );
    this.#child = child;
  }

  /** -l: for ever. -D: with the time of day. -i, -p: one probe after the other, evenly spread. */
  #arguments(): readonly string[] {
    const gapMs = Math.max(1, Math.round(1_000 / this.#settings.probesPerSecond));
    const periodMs = gapMs * this.#targets.size;
    const device = this.#settings.device === null ? [] : ["-I", this.#settings.device];
    const timing = ["-i", String(gapMs), "-p", String(periodMs), "-t", String(PROBE_TIMEOUT_MS)];
    return ["-l", "-D", ...timing, ...device, ...this.#targets.keys()];
  }

  #endChild(): void {
    const child = this.#child;
    this.#child = null;
    child?.end();
  }

  #onExit(how: string): void {
    this.#child = null;
    const nowMs = this.#options.clock.nowMs();
    this.#restartAtMs = nowMs + this.#backoff.nextWaitMs(nowMs - this.#startedAtMs);
    const said = this.#complaint === "" ? "" : `: ${this.#complaint}`;
    this.#options.onState(false, `fping ${how}${said}`);
  }

  #onLine(line: string): void {
    const answer = parsePingLine(line);
    const target = answer === null ? undefined : this.#targets.get(answer.target);
    if (answer === null || target === undefined) return;
    if (this.#replies.length + this.#losses.length >= PROBES_WAITING_MAX) return;
    const { reflector, tin } = target;
    const nowMs = this.#options.clock.nowMs();
    const atMs = timeOnLoop(answer.stampMs, nowMs);
    const lossNow = answer.rttMs === null ? 1 : 0;
    const before = target.lossShare ?? lossNow;
    target.lossShare = before + (lossNow - before) * LOSS_SMOOTHING;
    if (answer.rttMs === null) {
      this.#losses.push({ reflector, tin, atMs });
      return;
    }
    target.rttMs = answer.rttMs;
    target.heardAtMs = nowMs;
    this.#replies.push({ reflector, tin, atMs, rttMs: answer.rttMs });
  }

  /** One that never answers while others do: its address family has no route here, or it is gone. */
  #leaveSilent(nowMs: number): void {
    if (this.#spares.length === 0 || this.#child === null) return;
    let silent: ProbedTarget | null = null;
    let someoneAnswers = false;
    for (const target of this.#targets.values()) {
      if (nowMs - target.heardAtMs > REFLECTOR_SILENT_MS) silent = target;
      else if (target.rttMs !== null) someoneAnswers = true;
    }
    if (silent !== null && someoneAnswers) this.rotate(silent.reflector);
  }
}

/** The child's time of day is the loop's, unless a clock was set in between: then it came just now. */
function timeOnLoop(stampMs: number, nowMs: number): number {
  const isNear = stampMs <= nowMs && nowMs - stampMs <= PROBE_STALE_MS;
  return isNear ? Math.round(stampMs) : nowMs;
}
