// The line of this machine: its shapers, its counters, its pinger. In shadow mode it only senses.

import { FILTER_CHECK_EVERY_MS, FLOW_USAGE_EVERY_MS } from "../kernel/limits.ts";
import type { Random } from "../kernel/ports.ts";
import type { FlowSettings } from "../schema/flow-settings.ts";
import { isOurShaper } from "./act/ours.ts";
import { Shaper, ShaperError, shaperPlan } from "./act/shaper.ts";
import { ChildRoster } from "./child-roster.ts";
import type { StartRates } from "./control/loop.ts";
import {
  DIRECTIONS,
  type Direction,
  type DirectionSample,
  type FlowCommand,
  type LinkState,
} from "./interface.ts";
import type { FlowLine, LineEvents, LineStatus } from "./line.ts";
import type { DeclaredServices } from "./persona/classifier.ts";
import type { PersonaRules } from "./persona/rules.ts";
import type { Children, LoopClock, QuicCrypto, SystemFiles } from "./ports.ts";
import { Recognition } from "./recognition.ts";
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
  readonly quicCrypto: QuicCrypto;
  /** Where what was found on the interface is noted. */
  readonly foundFile: string;
  /** The user's own. */
  readonly rules: PersonaRules;
  /** What services of the mesh declare. */
  readonly declared: DeclaredServices;
}

/** What tc said in the round under way; null: nothing, as yet. */
interface Round {
  readings: readonly QdiscReading[] | null;
}

/** The root qdiscs of both directions; null where there is none. */
interface Roots extends Readonly<Record<Direction, QdiscReading | null>> {
  readonly hasIngressHook: boolean;
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
  /** Null while personas are off, and while no interface is known. */
  #recognition: Recognition | null = null;
  #link: LinkState | null = null;
  /** The interface's number when the shapers were installed. */
  #installedIndex: number | null = null;
  #installing = false;
  #lastTask: Promise<void> = Promise.resolve();
  #retryAtMs: number | null = null;
  #filterStands = true;
  #filterCheckedAtMs = 0;
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
      onTargets: () => this.#recognition?.setProbes(this.#pinger.targets),
    });
  }

  async start(rates: StartRates): Promise<void> {
    this.#rates = rates;
    this.#phase = "starting";
    await this.#setUp();
  }

  tick(nowMs: number): void {
    if (this.#phase === "stopped") return;
    if (this.#retryAtMs !== null && nowMs >= this.#retryAtMs) void this.#setUp();
    if (this.#counters === null) return;
    if (this.#settings.mode === "active") this.#tc.tick();
    this.#readUsage(nowMs);
    void this.#checkFilter(nowMs);
    // tc is late: what it has not said is missing from the last round.
    if (this.#round !== null) this.#finish(this.#round);
    this.#openRound();
    this.#recognition?.tick(nowMs);
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
      await this.#inTurn(() => this.#leave());
      await this.#setUp();
      return;
    }
    const device = this.#counters?.device ?? null;
    this.#pinger.reconfigure(this.#pingerSettings(device));
    if (device === null) return;
    await this.#recogniseAnew(before, device);
    if (this.#shaper === null) return;
    if (this.#shaper.replan(shaperPlan(device, settings))) await this.#install();
  }

  async stop(): Promise<void> {
    this.#phase = "stopped";
    this.#retryAtMs = null;
    this.#pinger.stop();
    await this.#inTurn(() => this.#leave());
    this.#tc.stop();
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

  get recognition(): Recognition | null {
    return this.#recognition;
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
    this.#recognise(device);
    this.#pinger.reconfigure(this.#pingerSettings(device));
    if (this.#pingerStarted) return;
    this.#pingerStarted = true;
    this.#pinger.start();
  }

  #recognise(device: string): void {
    const settings = this.#settings;
    if (!settings.persona.enabled) return;
    const { clock, random, files, quicCrypto, rules, declared } = this.#ports;
    const { onNotice } = this.#events;
    this.#recognition = new Recognition(
      { clock, random, files, quicCrypto, children: this.#roster },
      { settings, device, rules, declared, onNotice },
    );
    this.#recognition.setProbes(this.#pinger.targets);
  }

  /** Another policy is taken as it is; for anything else about personas the table is made again. */
  async #recogniseAnew(before: FlowSettings, device: string): Promise<void> {
    const shape = ({ persona }: FlowSettings) =>
      JSON.stringify([persona.enabled, persona.tap, persona.catalogDir]);
    if (shape(before) === shape(this.#settings)) {
      this.#recognition?.reconfigure(this.#settings);
      return;
    }
    await this.#inTurn(() => this.#stopRecognition());
    this.#recognise(device);
  }

  async #stopRecognition(): Promise<void> {
    const recognition = this.#recognition;
    this.#recognition = null;
    const loss = (await recognition?.stop()) ?? null;
    if (loss === null) return;
    this.#events.onNotice({ level: "warn", code: "not-restored", message: loss });
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

  /** One at a time changes what is on the interface. */
  #inTurn(task: () => Promise<void>): Promise<void> {
    this.#lastTask = this.#lastTask.then(task);
    return this.#lastTask;
  }

  async #install(): Promise<void> {
    if (this.#installing) return;
    this.#installing = true;
    await this.#inTurn(() => this.#installNow());
    this.#installing = false;
  }

  async #installNow(): Promise<void> {
    const shaper = this.#shaper;
    if (shaper === null || this.#phase === "stopped") return;
    try {
      const readBack = await shaper.install(this.#rates);
      this.#filterStands = true;
      this.#filterCheckedAtMs = this.#nowMs();
      this.#installedIndex = this.#counters?.read()?.index ?? null;
      // tc remembers the numbers of interfaces that may be others now.
      this.#tc.restart("the shapers were made anew");
      this.#run();
      this.#link = null;
      this.#tellLink("shaped");
      this.#tellInstalled(readBack, null);
    } catch (error) {
      if (!(error instanceof ShaperError)) throw error;
      this.#wait(error.code, error.message);
      this.#tellInstalled(null, error.message);
    }
  }

  #tellInstalled(readBack: StartRates | null, error: string | null): void {
    for (const direction of DIRECTIONS) {
      if (direction === "download" && !this.#settings.ingress) continue;
      const key = direction === "download" ? "downloadKbit" : "uploadKbit";
      this.#tellApplied(direction, this.#rates[key], readBack?.[key] ?? null, error);
    }
  }

  #tellApplied(
    direction: Direction,
    requestedKbit: number,
    readBackKbit: number | null,
    error: string | null,
  ): void {
    // What the stop broke off was not refused.
    if (this.#phase === "stopped") return;
    const atMs = this.#nowMs();
    const outcome = { requestedKbit, readBackKbit, error };
    this.#events.onInput({ kind: "applied", atMs, direction, ...outcome });
  }

  async #leave(): Promise<void> {
    this.#round = null;
    this.#link = null;
    this.#counters?.close();
    this.#counters = null;
    const shaper = this.#shaper;
    this.#shaper = null;
    await this.#stopRecognition();
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
    this.#tc.change(command, (reply) => {
      const readBackKbit = readRoot(reply, device)?.shaper?.rateKbit ?? null;
      this.#tellApplied(direction, rateKbit, readBackKbit, reply.error);
    });
  }

  #openRound(): void {
    const round: Round = { readings: null };
    this.#round = round;
    if (this.#shaper === null || !this.#tc.alive) {
      this.#finish(round);
      return;
    }
    this.#tc.show((reply) => {
      round.readings = reply.json === null ? null : readQdiscs(reply.json);
      if (this.#round === round) this.#finish(round);
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
    const roots = this.#roots(round);
    this.#watchLink(roots);
    const { replies, losses } = this.#pinger.collect();
    this.#events.onInput({
      kind: "sample",
      atMs: this.#nowMs(),
      download: directionSample(this.#reading?.receivedBytes, roots?.download ?? null),
      upload: directionSample(this.#reading?.sentBytes, roots?.upload ?? null),
      replies,
      losses,
    });
  }

  /** Tells when the interface went, came, or has somebody else's qdisc. */
  #watchLink(roots: Roots | null): void {
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
    } else if (roots !== null) {
      const stands = this.#areOurs(roots) && this.#filterStands;
      this.#tellLink(stands ? "shaped" : "replaced");
    }
  }

  /** tc does not list filters with the qdiscs: that downloads are still led to the IFB is asked seldom. */
  async #checkFilter(nowMs: number): Promise<void> {
    const shaper = this.#shaper;
    if (shaper === null || this.#link !== "shaped" || !this.#settings.ingress) return;
    if (nowMs - this.#filterCheckedAtMs < FILTER_CHECK_EVERY_MS) return;
    this.#filterCheckedAtMs = nowMs;
    await this.#inTurn(async () => {
      this.#filterStands = await shaper.leadsDownloads();
    });
  }

  #roots({ readings }: Round): Roots | null {
    const shaper = this.#shaper;
    if (readings === null || shaper === null) return null;
    const upload = shaper.deviceOf("upload");
    const download = shaper.deviceOf("download");
    return {
      upload: upload === null ? null : rootOf(readings, upload),
      download: download === null ? null : rootOf(readings, download),
      hasIngressHook: readings.some(
        ({ device, kind }) => device === upload && (kind === "ingress" || kind === "clsact"),
      ),
    };
  }

  #areOurs({ upload, download, hasIngressHook }: Roots): boolean {
    if (!isOurShaper(upload)) return false;
    return !this.#settings.ingress || (isOurShaper(download) && hasIngressHook);
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
