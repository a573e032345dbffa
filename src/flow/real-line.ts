// The line of this machine: its shapers, its counters, its pinger. In shadow mode it only senses.

import { FLOW_USAGE_EVERY_MS } from "../kernel/limits.ts";
import type { Random } from "../kernel/ports.ts";
import type { FlowSettings } from "../schema/flow-settings.ts";
import { isOurShaper } from "./act/ours.ts";
import { Shaper, ShaperError, shaperPlan } from "./act/shaper.ts";
import { ChildRoster } from "./child-roster.ts";
import type { StartRates } from "./control/loop.ts";
import type { Direction, DirectionSample, FlowCommand, LinkState } from "./interface.ts";
import type { FlowLine, LineEvents, LineStatus } from "./line.ts";
import type { Children, LoopClock, SystemFiles } from "./ports.ts";
import { type QdiscReading, readQdiscs, rootOf } from "./sense/cake-stats.ts";
import { findDefaultDevice } from "./sense/default-route.ts";
import { InterfaceCounters, type InterfaceReading } from "./sense/interface-counters.ts";
import { Pinger, type PingerSettings } from "./sense/pinger.ts";
import { ProcessUsageMeter } from "./sense/process-usage.ts";
import { RestartBackoff } from "./sense/restart-backoff.ts";
import { TcBatch, type TcReply } from "./sense/tc-batch.ts";
import type { FlowPhase } from "./status.ts";

export interface RealLinePorts {
  readonly clock: LoopClock;
  readonly random: Random;
  readonly children: Children;
  readonly files: SystemFiles;
  /** Where what was found on the interface is noted. */
  readonly foundFile: string;
}

/** A round of sensing under way: what tc has still to answer. */
interface Round {
  pending: number;
  upload: QdiscReading | null;
  download: QdiscReading | null;
  /** tc could be asked about each. */
  answered: boolean;
}

/** All reflectors together; a few a second serve to notice that the line is back. */
const PROBES_PER_SECOND = 30;
const PROBES_PER_SECOND_ASLEEP = 2;

export class RealLine implements FlowLine {
  readonly #ports: RealLinePorts;
  readonly #events: LineEvents;
  readonly #roster: ChildRoster;
  readonly #tc: TcBatch;
  readonly #pinger: Pinger;
  readonly #usage: ProcessUsageMeter;
  readonly #installBackoff: RestartBackoff;
  #settings: FlowSettings;
  #rates: StartRates = { downloadKbit: 0, uploadKbit: 0 };
  #phase: FlowPhase = "stopped";
  #problem: string | null = null;
  #counters: InterfaceCounters | null = null;
  #reading: InterfaceReading | null = null;
  /** Null in shadow mode, and while no interface is known. */
  #shaper: Shaper | null = null;
  #link: LinkState | null = null;
  /** The interface's number when the shapers were installed. */
  #installedIndex: number | null = null;
  #installing = false;
  #retryAtMs: number | null = null;
  #round: Round | null = null;
  #asleep = false;
  #pingerStarted = false;
  #usageAtMs = 0;

  constructor(settings: FlowSettings, ports: RealLinePorts, events: LineEvents) {
    this.#settings = settings;
    this.#ports = ports;
    this.#events = events;
    this.#roster = new ChildRoster(ports.children);
    const { clock, random } = ports;
    const children = this.#roster;
    this.#usage = new ProcessUsageMeter(ports.files);
    this.#installBackoff = new RestartBackoff(random);
    this.#tc = new TcBatch({
      ...{ children, clock, random },
      onState: (alive, reason) =>
        this.#events.onNotice({ level: alive ? "info" : "warn", code: "tc", message: reason }),
    });
    this.#pinger = new Pinger(this.#pingerSettings(null), {
      ...{ children, clock, random },
      onState: (alive, reason) =>
        this.#events.onInput({ kind: "pinger", atMs: this.#nowMs(), alive, reason }),
      onTargets: () => {},
    });
  }

  async start(rates: StartRates): Promise<void> {
    this.#rates = rates;
    this.#phase = "starting";
    await this.#setUp();
  }

  tick(nowMs: number): void {
    if (this.#retryAtMs !== null && nowMs >= this.#retryAtMs) void this.#setUp();
    if (this.#counters === null) return;
    if (this.#settings.mode === "active") this.#tc.tick();
    this.#readUsage(nowMs);
    // tc is late: what it has not said is missing from the last round.
    if (this.#round !== null) this.#finish(this.#round);
    this.#openRound();
  }

  carryOut(command: FlowCommand): void {
    if (command.kind === "set-rate") this.#setRate(command.direction, command.rateKbit);
    else if (command.kind === "reinstall") this.#reinstall(command);
    else if (command.kind === "restart-pinger") this.#pinger.restart();
    else this.#pinger.rotate(command.reflector);
  }

  rest(asleep: boolean): void {
    if (asleep === this.#asleep) return;
    this.#asleep = asleep;
    this.#pinger.reconfigure(this.#pingerSettings(this.#counters?.device ?? null));
  }

  async reconfigure(settings: FlowSettings, rates: StartRates): Promise<void> {
    const before = this.#settings;
    this.#settings = settings;
    this.#rates = rates;
    if (settings.egressIface !== before.egressIface) {
      await this.#leave();
      await this.#setUp();
      return;
    }
    const device = this.#counters?.device ?? null;
    this.#pinger.reconfigure(this.#pingerSettings(device));
    if (device === null || this.#shaper === null) return;
    if (this.#shaper.replan(shaperPlan(device, settings))) await this.#install();
  }

  async stop(): Promise<void> {
    this.#retryAtMs = null;
    this.#pinger.stop();
    this.#tc.stop();
    await this.#leave();
    this.#phase = "stopped";
  }

  status(): LineStatus {
    return {
      phase: this.#phase,
      device: this.#counters?.device ?? this.#settings.egressIface,
      link: this.#link,
      problem: this.#problem,
      pingerAlive: this.#pinger.alive,
      reflectors: this.#pinger.targets.map(({ reflector, tin, rttMs, lossPercent }) => ({
        address: reflector,
        ...{ tin, rttMs, lossPercent },
      })),
    };
  }

  #nowMs(): number {
    return Math.round(this.#ports.clock.nowMs());
  }

  #pingerSettings(device: string | null): PingerSettings {
    const probesPerSecond = this.#asleep ? PROBES_PER_SECOND_ASLEEP : PROBES_PER_SECOND;
    return { reflectors: this.#settings.reflectors, device, probesPerSecond };
  }

  /** Finds the interface, then shapes it. Again later when either fails. */
  async #setUp(): Promise<void> {
    this.#retryAtMs = null;
    const device = this.#settings.egressIface ?? findDefaultDevice(this.#ports.files);
    if (device === null) {
      this.#wait("NO_ROUTE", "No default route tells which interface the line is; set egressIface");
      return;
    }
    if (this.#counters === null) this.#take(device);
    if (this.#shaper === null) this.#run();
    else await this.#install();
  }

  #take(device: string): void {
    const { children, files, foundFile } = this.#ports;
    this.#counters = new InterfaceCounters(files, device);
    if (this.#settings.mode === "active") {
      const onNotice = this.#events.onNotice;
      this.#shaper = new Shaper(
        { children, files, foundFile, onNotice },
        shaperPlan(device, this.#settings),
      );
    }
    this.#pinger.reconfigure(this.#pingerSettings(device));
    if (this.#pingerStarted) return;
    this.#pingerStarted = true;
    this.#pinger.start();
  }

  #run(): void {
    this.#phase = "running";
    this.#problem = null;
  }

  #wait(code: string, message: string): void {
    this.#phase = "waiting";
    if (this.#problem !== message) this.#events.onNotice({ level: "error", code, message });
    this.#problem = message;
    this.#retryAtMs = this.#nowMs() + this.#installBackoff.nextWaitMs(0);
  }

  async #install(): Promise<void> {
    const shaper = this.#shaper;
    if (shaper === null || this.#installing) return;
    this.#installing = true;
    try {
      await shaper.install(this.#rates);
      this.#installedIndex = this.#counters?.read()?.index ?? null;
      // tc remembers the numbers of interfaces that may be others now.
      this.#tc.restart("the shapers were made anew");
      this.#run();
      this.#tellLink("shaped");
    } catch (error) {
      if (!(error instanceof ShaperError)) throw error;
      this.#wait(error.code, error.message);
    } finally {
      this.#installing = false;
    }
  }

  async #leave(): Promise<void> {
    this.#round = null;
    this.#link = null;
    this.#counters?.close();
    this.#counters = null;
    const shaper = this.#shaper;
    this.#shaper = null;
    for (const loss of (await shaper?.restore()) ?? []) {
      this.#events.onNotice({ level: "warn", code: "not-restored", message: loss });
    }
  }

  #reinstall({ downloadKbit, uploadKbit }: StartRates): void {
    this.#rates = { downloadKbit, uploadKbit };
    this.#retryAtMs = null;
    void this.#install();
  }

  #setRate(direction: Direction, rateKbit: number): void {
    const shaper = this.#shaper;
    const device = shaper?.deviceOf(direction) ?? null;
    if (shaper === null || device === null) return;
    this.#rates =
      direction === "download"
        ? { ...this.#rates, downloadKbit: rateKbit }
        : { ...this.#rates, uploadKbit: rateKbit };
    const command = shaper.rateCommand(direction, rateKbit);
    this.#tc.change(command, device, (reply) => {
      this.#events.onInput({
        kind: "applied",
        atMs: this.#nowMs(),
        direction,
        requestedKbit: rateKbit,
        readBackKbit: readRoot(reply, device)?.shaper?.rateKbit ?? null,
        error: reply.error,
      });
    });
  }

  #openRound(): void {
    const round: Round = { pending: 1, upload: null, download: null, answered: true };
    this.#round = round;
    this.#ask("upload", round);
    this.#ask("download", round);
    round.pending -= 1;
    if (round.pending === 0) this.#finish(round);
  }

  #ask(direction: Direction, round: Round): void {
    const device = this.#shaper?.deviceOf(direction) ?? null;
    if (device === null) return;
    round.pending += 1;
    this.#tc.show(device, (reply) => {
      round.pending -= 1;
      if (reply.json === null) round.answered = false;
      round[direction] = readRoot(reply, device);
      if (round.pending === 0 && this.#round === round) this.#finish(round);
    });
  }

  #finish(round: Round): void {
    this.#round = null;
    const counters = this.#counters;
    if (counters === null) return;
    const before = this.#reading;
    this.#reading = counters.read();
    const appeared = before === null && this.#reading !== null;
    if (appeared && this.#retryAtMs !== null) this.#retryAtMs = this.#nowMs();
    this.#watchLink(round);
    const { replies, losses } = this.#pinger.collect();
    this.#events.onInput({
      kind: "sample",
      atMs: this.#nowMs(),
      download: directionSample(this.#reading?.receivedBytes, round.download),
      upload: directionSample(this.#reading?.sentBytes, round.upload),
      replies,
      losses,
    });
  }

  /** Tells when the interface went, came, or has somebody else's qdisc. */
  #watchLink(round: Round): void {
    if (this.#installing) return;
    const reading = this.#reading;
    if (reading === null) {
      if (this.#link !== "gone") this.#shaper?.forget();
      this.#tellLink("gone");
    } else if (!reading.isUp) {
      this.#tellLink("down");
    } else if (this.#shaper === null) {
      // In shadow mode nothing is expected there.
      this.#tellLink("shaped");
    } else if (this.#phase !== "running") {
      return;
    } else if (this.#installedIndex !== reading.index) {
      this.#tc.restart("the interface was made anew");
      this.#pinger.restart();
      this.#installedIndex = reading.index;
      this.#tellLink("replaced");
    } else if (round.pending === 0 && round.answered) {
      this.#tellLink(this.#isOurs(round) ? "shaped" : "replaced");
    }
  }

  #isOurs({ upload, download }: Round): boolean {
    if (!isOurShaper(upload)) return false;
    return !this.#settings.ingress || isOurShaper(download);
  }

  #tellLink(state: LinkState): void {
    if (state === this.#link) return;
    this.#link = state;
    this.#events.onInput({ kind: "link", atMs: this.#nowMs(), state });
  }

  #readUsage(nowMs: number): void {
    if (nowMs - this.#usageAtMs < FLOW_USAGE_EVERY_MS) return;
    this.#usageAtMs = nowMs;
    const usage = this.#usage.read(this.#roster.pids, nowMs);
    if (usage === null) return;
    const cpuPercent = Math.round(usage.cpuPercent * 10) / 10;
    const { residentBytes } = usage;
    this.#events.onInput({ kind: "usage", atMs: this.#nowMs(), cpuPercent, residentBytes });
  }
}

function readRoot(reply: TcReply, device: string): QdiscReading | null {
  const readings = reply.json === null ? null : readQdiscs(reply.json);
  return readings === null ? null : rootOf(readings, device);
}

function directionSample(
  lineBytes: number | undefined,
  qdisc: QdiscReading | null,
): DirectionSample {
  const shaper = isOurShaper(qdisc) ? (qdisc?.shaper ?? null) : null;
  return { lineBytes: lineBytes ?? null, shaper };
}
