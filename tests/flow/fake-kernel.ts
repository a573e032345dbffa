// A kernel's qdiscs, filters and IFBs as far as tc, ip and nft of ours reach, for tests of what is put
// there and taken away. What the real kernel does is proved in tests/lab.

import type { Child, ChildCommand, ChildEvents, RunResult } from "../../src/flow/ports.ts";
import { type FakeChild, FakeChildren, FakeFiles } from "./fakes.ts";

interface Qdisc {
  kind: string;
  handle: string;
  words: string[];
}

interface Device {
  index: number;
  isUp: boolean;
  root: Qdisc;
  hasIngress: boolean;
  filters: { preference: number; restoresMarks: boolean; to: string }[];
}

const KERNEL_DEFAULT: Qdisc = { kind: "fq_codel", handle: "0:", words: [] };

export class FakeKernel extends FakeChildren {
  readonly files = new FakeFiles();
  readonly devices = new Map<string, Device>();
  hasTable = false;
  /** Every command that changed something, or should have. */
  readonly changes: string[] = [];
  /** What a change is refused with, or null. */
  refusal: (command: string) => string | null = () => null;
  /** What the kernel makes of a rate that is asked of it. */
  roundKbit = (kbit: number): number => kbit;
  /** tc answers nothing for now. */
  tcIsStuck = false;
  readonly #unanswered: (() => void)[] = [];
  #lastIndex = 1;

  constructor() {
    super();
    this.files.texts.set("/proc/sys/net/netfilter/nf_conntrack_acct", "0\n");
  }

  add(name: string): Device {
    this.#lastIndex += 1;
    const index = this.#lastIndex;
    const device = { index, isUp: true, root: KERNEL_DEFAULT, hasIngress: false, filters: [] };
    this.devices.set(name, device);
    const folder = `/sys/class/net/${name}`;
    this.files.texts.set(`${folder}/ifindex`, `${index}\n`);
    this.files.texts.set(`${folder}/flags`, "0x1003\n");
    this.files.texts.set(`${folder}/statistics/rx_bytes`, "1000\n");
    this.files.texts.set(`${folder}/statistics/tx_bytes`, "1000\n");
    this.files.texts.set(`${folder}/operstate`, "up\n");
    return device;
  }

  remove(name: string): void {
    this.devices.delete(name);
    for (const path of this.files.texts.keys()) {
      if (path.startsWith(`/sys/class/net/${name}/`)) this.files.texts.delete(path);
    }
  }

  rateOf(name: string): number | null {
    const words = this.devices.get(name)?.root.words ?? [];
    const rate = /^(\d+)kbit$/.exec(words[words.indexOf("bandwidth") + 1] ?? "")?.[1];
    return rate === undefined ? null : Number(rate);
  }

  /** Lets tc answer what it was asked meanwhile. */
  unstick(): void {
    this.tcIsStuck = false;
    for (const answer of this.#unanswered.splice(0)) answer();
  }

  override start(command: ChildCommand, events: ChildEvents): FakeChild {
    const child = super.start(command, events);
    if (!command.args.join(" ").includes("-batch -")) return child;
    let line = 0;
    child.write = (text: string): boolean => {
      for (const words of text.trim().split("\n")) {
        line += 1;
        this.#answer(child, words, line);
      }
      return !child.ended;
    };
    return child;
  }

  override async run(
    program = "",
    args: readonly string[] = [],
    options: { readonly input?: string } = {},
  ): Promise<RunResult> {
    const input = options.input ?? "";
    if (program === "nft") return this.#nft(input);
    const commands = program === "ip" ? [args.join(" ")] : input.trim().split("\n");
    let stdout = "";
    for (const [index, command] of commands.entries()) {
      const result = this.#execute(command);
      if (result.error !== null) {
        const stderr = `${result.error}\nCommand failed -:${index + 1}\n`;
        return { exitCode: 1, stdout, stderr };
      }
      stdout += result.output;
    }
    return { exitCode: 0, stdout, stderr: "" };
  }

  #nft(input: string): RunResult {
    if (input.includes("delete table")) this.hasTable = input.includes("chain forward");
    return { exitCode: 0, stdout: "", stderr: "" };
  }

  #answer(child: Child & FakeChild, command: string, line: number): void {
    const answer = (): void => {
      if (child.ended) return;
      const { output, error } = this.#execute(command);
      if (error !== null) child.say(error);
      if (error !== null) child.say(`Command failed -:${line}`);
      else if (output !== "") child.say(output.trim());
    };
    if (this.tcIsStuck) this.#unanswered.push(answer);
    else answer();
  }

  #execute(command: string): { output: string; error: string | null } {
    const words = command.split(" ");
    const named = words[words.indexOf("dev") + 1] ?? "";
    if (command === "qdisc show") return done(this.#showAll());
    if (words.includes("show")) {
      const device = this.devices.get(named);
      if (device === undefined) return failed(`Cannot find device "${named}"`);
      return done(words[0] === "filter" ? showFilters(device) : show(null, device));
    }
    const refusal = this.refusal(command);
    this.changes.push(command);
    if (refusal !== null) return failed(refusal);
    return words[0] === "link" ? this.#link(words) : this.#change(words, named);
  }

  #link(words: readonly string[]): { output: string; error: string | null } {
    const name = words[words.indexOf(words.includes("name") ? "name" : "dev") + 1]!;
    if (words.includes("add")) this.add(name);
    if (words.includes("del")) this.remove(name);
    return done("");
  }

  #change(words: readonly string[], name: string): { output: string; error: string | null } {
    const device = this.devices.get(name);
    if (device === undefined) return failed(`Cannot find device "${name}"`);
    const verb = words[1]!;
    if (words[0] === "filter") {
      const preference = Number(words[words.indexOf("pref") + 1]);
      if (verb === "del") {
        device.filters = device.filters.filter((filter) => filter.preference !== preference);
      } else {
        const restoresMarks = words.includes("ctinfo");
        device.filters.push({ preference, restoresMarks, to: words.at(-1)! });
      }
    } else if (words.at(-1) === "ingress" && !words.includes("root")) {
      if (verb === "add" && device.hasIngress) return failed("Error: Exclusivity flag on");
      device.hasIngress = verb === "add";
      device.filters = [];
    } else if (verb === "del") {
      device.root = KERNEL_DEFAULT;
    } else {
      return this.#setRoot(device, words);
    }
    return done("");
  }

  #setRoot(device: Device, words: readonly string[]): { output: string; error: string | null } {
    const handle = words[words.indexOf("handle") + 1]!;
    if (words[1] === "change" && device.root.handle !== handle) {
      return failed("Error: NLM_F_REPLACE needed to override.");
    }
    const rest = words.slice(words.indexOf(handle) + 1).map((word) => {
      const rate = /^(\d+)kbit$/.exec(word)?.[1];
      return rate === undefined ? word : `${this.roundKbit(Number(rate))}kbit`;
    });
    device.root = { kind: rest[0]!, handle, words: rest };
    return done("");
  }

  #showAll(): string {
    const all = [...this.devices].flatMap(([name, device]) => listOf(name, device));
    return `${JSON.stringify(all)}\n`;
  }
}

function done(output: string) {
  return { output, error: null };
}

function failed(error: string) {
  return { output: "", error };
}

function show(name: string | null, device: Device): string {
  return `${JSON.stringify(listOf(name, device))}\n`;
}

function listOf(name: string | null, { root, hasIngress }: Device): object[] {
  const dev = name === null ? {} : { dev: name };
  const list: object[] = [{ ...dev, ...describe(root) }];
  if (hasIngress) list.push({ ...dev, kind: "ingress", handle: "ffff:", parent: "ffff:fff1" });
  return list;
}

function describe({ kind, handle, words }: Qdisc): object {
  const rate = /^(\d+)kbit$/.exec(words[words.indexOf("bandwidth") + 1] ?? "")?.[1];
  const bandwidth = rate === undefined ? "unlimited" : (Number(rate) * 1_000) / 8;
  const options = { bandwidth, diffserv: "diffserv4", flowmode: "dual-srchost", nat: true };
  const counters = { bytes: 0, drops: 0, backlog: 0, tins: [] };
  return { kind, handle, root: true, options: kind === "cake" ? options : {}, ...counters };
}

function showFilters({ filters }: Device): string {
  const list = filters.map(({ preference, restoresMarks, to }) => ({
    pref: preference,
    kind: "matchall",
    options: {
      actions: [
        ...(restoresMarks ? [{ kind: "ctinfo" }] : []),
        { kind: "mirred", mirred_action: "redirect", to_dev: to },
      ],
    },
  }));
  return `${JSON.stringify(list)}\n`;
}
