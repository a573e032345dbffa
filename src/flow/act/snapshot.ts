// What was on the interface before us, and how it is put back. Written down before the first
// change, so that a daemon that was killed is tidied up after by the next one.

import { FOUND_BYTES_MAX } from "../../kernel/limits.ts";

/** How the root qdisc that was found is made again. */
export interface FoundRoot {
  /** For people, such as `cake 8004:` or `the kernel's default (fq_codel)`. */
  readonly name: string;
  /** The words after `tc qdisc replace dev DEVICE root`; null: the kernel's default returns when ours is deleted. */
  readonly words: readonly string[] | null;
  /** What will not come back, for people; null: all will. */
  readonly loss: string | null;
}

export interface FoundInterface {
  readonly device: string;
  readonly root: FoundRoot;
  /** There was an ingress hook (`ingress` or `clsact`) already: it stays when we go. */
  readonly hadIngressHook: boolean;
  /** nf_conntrack_acct as it was. */
  readonly conntrackAccounting: "0" | "1";
}

/** One qdisc as `tc -j qdisc show` lists it. */
export interface ListedQdisc {
  readonly kind: string;
  readonly handle: string;
  readonly isRoot: boolean;
  readonly parent: string | null;
  readonly options: Readonly<Record<string, unknown>>;
}

const QDISCS_MAX = 256;

/** Reads `tc -j qdisc show dev DEVICE`; null when it is no such list. */
export function parseQdiscList(json: string): readonly ListedQdisc[] | null {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    return null;
  }
  if (!Array.isArray(list) || list.length > QDISCS_MAX) return null;
  const qdiscs: ListedQdisc[] = [];
  for (const item of list) {
    // tc ends some lists with an empty object.
    if (!isObject(item) || typeof item.kind !== "string") continue;
    qdiscs.push({
      kind: item.kind,
      handle: typeof item.handle === "string" ? item.handle : "0:",
      isRoot: item.root === true,
      parent: typeof item.parent === "string" ? item.parent : null,
      options: isObject(item.options) ? item.options : {},
    });
  }
  return qdiscs;
}

export function rootOf(qdiscs: readonly ListedQdisc[]): ListedQdisc | null {
  return qdiscs.find((qdisc) => qdisc.isRoot) ?? null;
}

export function ingressHookOf(qdiscs: readonly ListedQdisc[]): ListedQdisc | null {
  return qdiscs.find(({ kind }) => kind === "ingress" || kind === "clsact") ?? null;
}

/** The default that comes back by itself: what the kernel attached has no handle. */
export const KERNEL_DEFAULT: FoundRoot = {
  name: "the kernel's default",
  words: null,
  loss: null,
};

/** How the root among `qdiscs` is put back. */
export function describeRoot(qdiscs: readonly ListedQdisc[]): FoundRoot {
  const root = rootOf(qdiscs);
  if (root === null || root.kind === "noqueue") return KERNEL_DEFAULT;
  const isKernels = root.handle === "0:";
  const changedChild = qdiscs.find(
    ({ isRoot, handle, kind }) => !isRoot && handle !== "0:" && !INGRESS_HOOKS.has(kind),
  );
  if (isKernels && changedChild === undefined) {
    return { ...KERNEL_DEFAULT, name: `${KERNEL_DEFAULT.name} (${root.kind})` };
  }
  if (changedChild !== undefined || !SIMPLE_QDISCS.has(root.kind)) return unknownRoot(root);
  const options = root.kind === "cake" ? cakeWords(root.options) : optionWords(root);
  if (options === null) return unknownRoot(root);
  const words = ["handle", root.handle, root.kind, ...options];
  if (!words.every(isTcWord)) return unknownRoot(root);
  return { name: `${root.kind} ${root.handle}`, words, loss: null };
}

const INGRESS_HOOKS: ReadonlySet<string> = new Set(["ingress", "clsact"]);

/** The options of each that tc both prints and takes under one name, with the unit it prints in. */
const OPTION_UNITS: Readonly<Record<string, Readonly<Record<string, "" | "us" | "flag">>>> = {
  fq_codel: {
    limit: "",
    flows: "",
    quantum: "",
    target: "us",
    interval: "us",
    ce_threshold: "us",
    memory_limit: "",
    ecn: "flag",
    drop_batch: "",
  },
  codel: { limit: "", target: "us", interval: "us", ecn: "flag" },
  fq: { limit: "", flow_limit: "", quantum: "", initial_quantum: "" },
  pfifo: { limit: "" },
  bfifo: { limit: "" },
  pfifo_fast: {},
};

const SIMPLE_QDISCS: ReadonlySet<string> = new Set(["cake", ...Object.keys(OPTION_UNITS)]);

function optionWords(root: ListedQdisc): readonly string[] | null {
  const units = OPTION_UNITS[root.kind];
  if (units === undefined) return null;
  const words: string[] = [];
  for (const [name, unit] of Object.entries(units)) {
    const value = root.options[name];
    // fq_codel has ECN on when nothing is said, CoDel off.
    if (unit === "flag") words.push(value === true ? name : `no${name}`);
    // CoDel counts in 1,024 ns and prints rounded down: one more gives the same count again.
    if (unit === "us" && isCount(value)) words.push(name, `${value + 1}us`);
    if (unit === "" && isCount(value)) words.push(name, String(value));
  }
  return words;
}

const CAKE_DIFFSERV: ReadonlySet<unknown> = new Set([
  "besteffort",
  "precedence",
  "diffserv3",
  "diffserv4",
  "diffserv8",
]);
const CAKE_FLOW_MODES: ReadonlySet<unknown> = new Set([
  "flowblind",
  "srchost",
  "dsthost",
  "hosts",
  "flows",
  "dual-srchost",
  "dual-dsthost",
  "triple-isolate",
]);

/** tc-cake(8)'s words for what `tc -j` printed of a CAKE qdisc; null when it printed something else. */
function cakeWords(options: Readonly<Record<string, unknown>>): readonly string[] | null {
  const { bandwidth, diffserv, flowmode, overhead, mpu, memlimit, rtt } = options;
  if (!CAKE_DIFFSERV.has(diffserv) || !CAKE_FLOW_MODES.has(flowmode)) return null;
  // Bytes a second.
  const words = isCount(bandwidth) ? ["bandwidth", `${bandwidth * 8}bit`] : ["unlimited"];
  if (options.autorate === "autorate-ingress") words.push("autorate-ingress");
  words.push(String(diffserv), String(flowmode));
  words.push(options.nat === true ? "nat" : "nonat", options.wash === true ? "wash" : "nowash");
  words.push(options.ingress === true ? "ingress" : "egress");
  words.push(ackFilterWord(options["ack-filter"]));
  words.push(options.split_gso === false ? "no-split-gso" : "split-gso");
  if (isCount(rtt)) words.push("rtt", `${rtt}us`);
  if (options.raw === true) words.push("raw");
  else if (Number.isSafeInteger(overhead)) words.push("overhead", String(overhead));
  if (options.atm === "atm" || options.atm === "ptm") words.push(options.atm);
  if (isCount(mpu)) words.push("mpu", String(mpu));
  if (isCount(memlimit)) words.push("memlimit", String(memlimit));
  const { fwmark } = options;
  if (typeof fwmark === "string" && /^0x[0-9a-f]{1,8}$/.test(fwmark) && fwmark !== "0x0") {
    words.push("fwmark", fwmark);
  }
  return words;
}

function ackFilterWord(value: unknown): string {
  if (value === "enabled") return "ack-filter";
  return value === "aggressive" ? "ack-filter-aggressive" : "no-ack-filter";
}

function unknownRoot(root: ListedQdisc): FoundRoot {
  return {
    name: `${root.kind} ${root.handle}`,
    words: null,
    loss:
      `the ${root.kind} qdisc ${root.handle} with its classes and filters cannot be put back: ` +
      "the interface is left with the kernel's default; start again what set it up",
  };
}

/** The text of the run file. */
export function encodeFound(found: FoundInterface | null): string {
  return `${JSON.stringify({ version: 1, found })}\n`;
}

/** Reads the run file; null when nothing is noted there, or nothing that can be trusted. */
export function decodeFound(text: string): FoundInterface | null {
  if (text.length > FOUND_BYTES_MAX) return null;
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(file) || file.version !== 1 || !isObject(file.found)) return null;
  const { device, root, hadIngressHook, conntrackAccounting } = file.found;
  if (typeof device !== "string" || typeof hadIngressHook !== "boolean") return null;
  if (conntrackAccounting !== "0" && conntrackAccounting !== "1") return null;
  if (!isFoundRoot(root)) return null;
  return { device, root, hadIngressHook, conntrackAccounting };
}

/** A number, or what tc takes for a word; nothing that would be an option, a path or a line's end. */
const TC_WORD = /^(-?[0-9]{1,16}|[a-z0-9_:.][a-zA-Z0-9_:.-]{0,40})$/;
const TC_WORDS_MAX = 64;

function isFoundRoot(value: unknown): value is FoundRoot {
  if (!isObject(value) || typeof value.name !== "string") return false;
  if (value.loss !== null && typeof value.loss !== "string") return false;
  if (value.words === null) return true;
  if (!Array.isArray(value.words) || value.words.length > TC_WORDS_MAX) return false;
  return value.words.every(isTcWord);
}

function isTcWord(word: unknown): boolean {
  return typeof word === "string" && TC_WORD.test(word);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}
