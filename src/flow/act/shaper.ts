// The shapers on the interface: CAKE on its root for uploads, and for downloads CAKE on an IFB that
// all arriving packets are led through, with their marks restored on the way (tc-cake(8),
// tc-ctinfo(8), tc-mirred(8)).

import { assert } from "../../kernel/assert.ts";
import { FOUND_BYTES_MAX, SET_UP_COMMAND_MS_MAX } from "../../kernel/limits.ts";
import type { FlowSettings } from "../../schema/flow-settings.ts";
import type { Direction } from "../interface.ts";
import type { Children, SystemFiles } from "../ports.ts";
import type { FlowNotice } from "../status.ts";
import { ingressFilters, type ListedFilter, parseFilterList } from "./filters.ts";
import { ifbOf, isOurShaper, MARK_DSCP_MASK, MARK_VALID, QDISC_HANDLE } from "./ours.ts";
import { explainSetUpFailure } from "./set-up-failure.ts";
import {
  decodeFound,
  describeRoot,
  encodeFound,
  type FoundInterface,
  ingressHookOf,
  KERNEL_DEFAULT,
  type ListedQdisc,
  parseQdiscList,
  rootOf,
} from "./snapshot.ts";

export interface ShaperPorts {
  readonly children: Children;
  readonly files: SystemFiles;
  /** Where what was found is noted. */
  readonly foundFile: string;
  readonly onNotice: (notice: FlowNotice) => void;
}

/** What of the settings the shapers are made by. */
export interface ShaperPlan {
  readonly device: string;
  readonly ingress: boolean;
  readonly nat: boolean;
  readonly linkLayer: FlowSettings["linkLayer"];
  /** Thin out upload's acknowledgements (tc-cake(8), ack-filter). */
  readonly ackFilter: boolean;
  /** Give downloads the DSCP that their connection's mark holds. */
  readonly restoreMarks: boolean;
}

/** The words after `tc`. */
type TcCommand = readonly string[];

/** What is on the interface. */
interface Scene {
  readonly qdiscs: readonly ListedQdisc[];
  readonly filters: readonly ListedFilter[];
}

export interface ShaperRates {
  readonly downloadKbit: number;
  readonly uploadKbit: number;
}

/** Uploads below a tenth of the downloads are filled by acknowledgements alone. */
const ACK_FILTER_RATIO = 10;

export function shaperPlan(device: string, settings: FlowSettings): ShaperPlan {
  return {
    device,
    ingress: settings.ingress,
    nat: settings.nat,
    linkLayer: settings.linkLayer,
    ackFilter: settings.download.baseKbit >= ACK_FILTER_RATIO * settings.upload.baseKbit,
    restoreMarks: settings.persona.enabled,
  };
}

/** Whether the kernel counts packets and bytes of connections; off by default. */
const CONNTRACK_ACCOUNTING_FILE = "/proc/sys/net/netfilter/nf_conntrack_acct";

/** Why the shapers could not be made; `code` is stable. */
export class ShaperError extends Error {
  override readonly name = "ShaperError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export class Shaper {
  readonly #ports: ShaperPorts;
  #plan: ShaperPlan;
  readonly #ifb: string;
  /** Null: not looked yet, or put back. */
  #found: FoundInterface | null = null;
  #hasCtinfo = true;

  constructor(ports: ShaperPorts, plan: ShaperPlan) {
    this.#ports = ports;
    this.#plan = plan;
    this.#ifb = ifbOf(plan.device);
  }

  /**
   * Another plan for the same device, carried out by the next `install`.
   * @returns whether it differs from the one before
   */
  replan(plan: ShaperPlan): boolean {
    assert(plan.device === this.#plan.device, "a shaper keeps its device");
    const differs = JSON.stringify(plan) !== JSON.stringify(this.#plan);
    this.#plan = plan;
    return differs;
  }

  /** The device whose root qdisc shapes a direction; null: that direction is not shaped. */
  deviceOf(direction: Direction): string | null {
    if (direction === "upload") return this.#plan.device;
    return this.#plan.ingress ? this.#ifb : null;
  }

  /** The tc command that changes a direction's rate and nothing else; it fails when the qdisc is not ours. */
  rateCommand(direction: Direction, rateKbit: number): string {
    const device = this.deviceOf(direction);
    assert(device !== null, "only a direction that is shaped has a rate");
    return `qdisc change dev ${device} root handle ${QDISC_HANDLE} cake bandwidth ${rateKbit}kbit`;
  }

  /**
   * Makes both shapers as planned, whatever is there, and notes first what was found. Done again,
   * it changes only what differs.
   * @returns the rates that the kernel then had
   * @throws ShaperError
   */
  async install(rates: ShaperRates): Promise<ShaperRates> {
    const scene = await this.#look();
    this.#noteFound(scene.qdiscs);
    if (this.#plan.ingress) await this.#raiseIfb();
    const commands = [
      this.#cakeCommand("upload", this.#plan.device, rates.uploadKbit),
      ...(this.#plan.ingress
        ? this.#ingressCommands(scene, rates.downloadKbit)
        : this.#ingressRemoval(scene)),
    ];
    const readBack = await this.#change(commands, rates);
    if (!this.#plan.ingress) await this.#removeIfb();
    return readBack;
  }

  /** Whether our filter is where it was put. True as well when tc cannot be asked: that is not for here to tell. */
  async leadsDownloads(): Promise<boolean> {
    try {
      const { filters } = await this.#look();
      return ingressFilters(filters, this.#ifb).ours.length > 0;
    } catch (error) {
      if (error instanceof ShaperError) return true;
      throw error;
    }
  }

  /**
   * Puts back what was found, as far as it can be.
   * @returns what did not come back, for people; empty: all did
   */
  async restore(): Promise<readonly string[]> {
    const found = this.#found ?? this.#readFound();
    if (found === null) return [];
    this.#found = found;
    const losses = found.root.loss === null ? [] : [found.root.loss];
    try {
      await this.#putBack(found);
    } catch (error) {
      losses.push(error instanceof Error ? error.message : String(error));
    }
    this.#found = null;
    if (found.conntrackAccounting === "0") {
      this.#ports.files.writeText(CONNTRACK_ACCOUNTING_FILE, "0\n");
    }
    if (!this.#ports.files.writeText(this.#ports.foundFile, encodeFound(null))) {
      losses.push(`the note of what was found, ${this.#ports.foundFile}, could not be cleared`);
    }
    return losses;
  }

  /** The interface went away, and what was found on it too: it is looked at again when it returns. */
  forget(): void {
    this.#found = null;
  }

  #noteFound(qdiscs: readonly ListedQdisc[]): void {
    if (this.#found !== null) return;
    const noted = this.#readFound();
    const adopts = isOurShaper(rootOf(qdiscs));
    if (adopts) this.#tell("info", "adopted", this.#adoptionText(noted));
    const found = adopts ? (noted ?? this.#unknownFound()) : this.#describe(qdiscs);
    if (!this.#ports.files.writeText(this.#ports.foundFile, encodeFound(found))) {
      throw new ShaperError(
        "FOUND_NOT_NOTED",
        `What was found on ${this.#plan.device} could not be noted in ${this.#ports.foundFile}, ` +
          "and could not be put back after a crash. Give the daemon a state folder it can write.",
      );
    }
    this.#found = found;
    if (!adopts && found.root.loss !== null) this.#tell("warn", "not-restorable", found.root.loss);
  }

  #describe(qdiscs: readonly ListedQdisc[]): FoundInterface {
    return {
      device: this.#plan.device,
      root: describeRoot(qdiscs),
      hadIngressHook: ingressHookOf(qdiscs) !== null,
      conntrackAccounting: this.#conntrackAccounting(),
    };
  }

  #unknownFound(): FoundInterface {
    return {
      device: this.#plan.device,
      root: KERNEL_DEFAULT,
      hadIngressHook: false,
      conntrackAccounting: this.#conntrackAccounting(),
    };
  }

  #conntrackAccounting(): "0" | "1" {
    // Not there before its module is loaded, and off then.
    return this.#ports.files.readText(CONNTRACK_ACCOUNTING_FILE, 8)?.trim() === "1" ? "1" : "0";
  }

  #adoptionText(noted: FoundInterface | null): string {
    const before = noted === null ? "is not known" : `was ${noted.root.name}`;
    return `${this.#plan.device} still had the shaper of an earlier life; what was there before it ${before}`;
  }

  #readFound(): FoundInterface | null {
    const text = this.#ports.files.readText(this.#ports.foundFile, FOUND_BYTES_MAX);
    const found = text === null ? null : decodeFound(text);
    return found?.device === this.#plan.device ? found : null;
  }

  async #raiseIfb(): Promise<void> {
    if (!this.#exists(this.#ifb)) {
      await this.#run("ip", ["link", "add", "name", this.#ifb, "type", "ifb"]);
    }
    if (!this.#isUp(this.#ifb)) await this.#run("ip", ["link", "set", "dev", this.#ifb, "up"]);
  }

  async #removeIfb(): Promise<void> {
    if (this.#exists(this.#ifb)) await this.#run("ip", ["link", "del", "dev", this.#ifb]);
  }

  #ingressCommands({ qdiscs, filters }: Scene, rateKbit: number): readonly TcCommand[] {
    const commands = [this.#cakeCommand("download", this.#ifb, rateKbit)];
    if (ingressHookOf(qdiscs) === null) {
      commands.push(["qdisc", "add", "dev", this.#plan.device, "handle", "ffff:", "ingress"]);
    }
    const { ours, others } = ingressFilters(filters, this.#ifb);
    // Before everybody else's, so that another shaper's redirection is out of use but intact.
    const preference = Math.min(FILTER_PREFERENCE, ...others.map((other) => other.preference - 1));
    const [present, ...more] = ours;
    if (present !== undefined && more.length === 0 && this.#suits(present, preference)) {
      return commands;
    }
    commands.push(...ours.map((filter) => this.#filterRemoval(filter)));
    commands.push(this.#filterAddition(preference));
    return commands;
  }

  #cakeCommand(direction: Direction, device: string, rateKbit: number): TcCommand {
    return [
      ...["qdisc", "replace", "dev", device, "root", "handle", QDISC_HANDLE],
      ...cakeWords(this.#plan, direction, rateKbit),
    ];
  }

  #suits(filter: ListedFilter, preference: number): boolean {
    const comesFirst = filter.preference <= preference;
    return comesFirst && filter.restoresMarks === this.#restoresMarks;
  }

  get #restoresMarks(): boolean {
    return this.#plan.restoreMarks && this.#hasCtinfo;
  }

  #filterAddition(preference: number): TcCommand {
    return [
      ...["filter", "add", "dev", this.#plan.device, "ingress", "protocol", "all"],
      ...["pref", String(preference), "matchall"],
      ...(this.#restoresMarks ? CTINFO_WORDS : []),
      ...["action", "mirred", "egress", "redirect", "dev", this.#ifb],
    ];
  }

  #filterRemoval({ preference }: ListedFilter): TcCommand {
    return ["filter", "del", "dev", this.#plan.device, "ingress", "pref", String(preference)];
  }

  #ingressRemoval({ filters }: Scene): readonly TcCommand[] {
    const { ours, others } = ingressFilters(filters, this.#ifb);
    const commands = ours.map((filter) => this.#filterRemoval(filter));
    const hookIsOurs = this.#found?.hadIngressHook !== true && others.length === 0;
    if (ours.length > 0 && hookIsOurs) {
      commands.push(["qdisc", "del", "dev", this.#plan.device, "ingress"]);
    }
    return commands;
  }

  async #putBack(found: FoundInterface): Promise<void> {
    const device = this.#plan.device;
    if (this.#exists(device)) {
      const scene = await this.#look();
      const commands = [...this.#ingressRemoval(scene)];
      // Somebody else's by now is theirs to keep.
      if (isOurShaper(rootOf(scene.qdiscs))) commands.push(rootCommand(device, found));
      if (commands.length > 0) await this.#tc(commands);
    }
    await this.#removeIfb();
  }

  /** Without ctinfo downloads are shaped all the same, in one tin. */
  async #change(commands: readonly TcCommand[], rates: ShaperRates): Promise<ShaperRates> {
    try {
      return await this.#changeAndVerify(commands);
    } catch (error) {
      if (!(error instanceof ShaperError) || error.code !== "NO_CTINFO") throw error;
      this.#tell("warn", "no-ctinfo", error.message);
      this.#hasCtinfo = false;
      const scene = await this.#look();
      return await this.#changeAndVerify(this.#ingressCommands(scene, rates.downloadKbit));
    }
  }

  async #changeAndVerify(commands: readonly TcCommand[]): Promise<ShaperRates> {
    const devices = [this.#plan.device, ...(this.#plan.ingress ? [this.#ifb] : [])];
    const questions = devices.map((device) => ["qdisc", "show", "dev", device]);
    const lines = await this.#tc([...commands, ...questions]);
    const answers = lines.filter((line) => line.startsWith("["));
    const [uploadKbit = 0, downloadKbit = 0] = devices.map((device, index) =>
      readBackKbit(device, rootOf(parseQdiscList(answers[index] ?? "") ?? [])),
    );
    return { downloadKbit, uploadKbit };
  }

  async #look(): Promise<Scene> {
    const device = this.#plan.device;
    const [qdiscText, filterText] = await this.#tc([
      ["qdisc", "show", "dev", device],
      ["filter", "show", "dev", device, "ingress"],
    ]);
    const qdiscs = parseQdiscList(qdiscText ?? "");
    const filters = parseFilterList(filterText ?? "");
    if (qdiscs !== null && filters !== null) return { qdiscs, filters };
    throw new ShaperError("TC_UNREADABLE", `What tc lists of ${device} is no JSON list.`);
  }

  /** Runs several commands of tc in one process; the first that fails ends it. */
  async #tc(commands: readonly TcCommand[]): Promise<readonly string[]> {
    const input = `${commands.map((words) => words.join(" ")).join("\n")}\n`;
    const stdout = await this.#run("tc", ["-j", "-batch", "-"], input);
    return stdout.split("\n");
  }

  async #run(program: string, args: readonly string[], input = ""): Promise<string> {
    const options = { input, timeoutMs: SET_UP_COMMAND_MS_MAX };
    const result = await this.#ports.children.run(program, args, options);
    if (result.exitCode === 0) return result.stdout;
    const { code, message } = explainSetUpFailure(program, input || args.join(" "), result);
    throw new ShaperError(code, message);
  }

  #exists(device: string): boolean {
    return this.#ports.files.readText(`/sys/class/net/${device}/ifindex`, 32) !== null;
  }

  #isUp(device: string): boolean {
    const flags = this.#ports.files.readText(`/sys/class/net/${device}/flags`, 32);
    return flags !== null && (Number.parseInt(flags, 16) & 1) === 1;
  }

  #tell(level: FlowNotice["level"], code: string, message: string): void {
    this.#ports.onNotice({ level, code, message });
  }
}

/** Early, with room for others before it. */
const FILTER_PREFERENCE = 10;

const CTINFO_WORDS: readonly string[] = [
  ...["action", "ctinfo", "dscp"],
  `0x${MARK_DSCP_MASK.toString(16)}`,
  `0x${MARK_VALID.toString(16).padStart(8, "0")}`,
];

/** @throws ShaperError when it is not ours */
function readBackKbit(device: string, root: ListedQdisc | null): number {
  if (root === null || !isOurShaper(root)) {
    throw new ShaperError(
      "NOT_IN_PLACE",
      `CAKE was put on ${device}, but ${root === null ? "nothing" : root.kind} is there. ` +
        "Another program may be setting up the same interface: sqm, qosify or QoSmate.",
    );
  }
  const { bandwidth } = root.options;
  return typeof bandwidth === "number" ? (bandwidth * 8) / 1_000 : 0;
}

/** Brings back the root that was found in place of ours. */
function rootCommand(device: string, { root }: FoundInterface): TcCommand {
  if (root.words === null) return ["qdisc", "del", "dev", device, "root"];
  return ["qdisc", "replace", "dev", device, "root", ...root.words];
}

/** Every option is named, so that CAKE made by an earlier life with other settings takes these. */
function cakeWords(plan: ShaperPlan, direction: Direction, rateKbit: number): readonly string[] {
  const isUpload = direction === "upload";
  return [
    ...["cake", "bandwidth", `${rateKbit}kbit`, "diffserv4", "nowash", "split-gso"],
    // Who shares the line is known by the hosts behind the router.
    isUpload ? "dual-srchost" : "dual-dsthost",
    isUpload ? "egress" : "ingress",
    plan.nat ? "nat" : "nonat",
    isUpload && plan.ackFilter ? "ack-filter" : "no-ack-filter",
    ...linkLayerWords(plan.linkLayer),
  ];
}

function linkLayerWords(linkLayer: FlowSettings["linkLayer"]): readonly string[] {
  const { framing, overheadBytes, mpuBytes } = linkLayer;
  if (framing === "none" && overheadBytes === 0 && mpuBytes === 0) return ["raw"];
  const framingWord = framing === "none" ? "noatm" : framing;
  return [framingWord, "overhead", String(overheadBytes), "mpu", String(mpuBytes)];
}
