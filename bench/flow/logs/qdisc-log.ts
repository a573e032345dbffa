// What `tc -tshort monitor` wrote: every change of a CAKE qdisc, whoever made it.

export interface RateChange {
  readonly atMs: number;
  readonly device: string;
  /** Kbit/s; null: unlimited, or the qdisc is gone. */
  readonly rateKbit: number | null;
}

const LINE =
  /^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+)\] (deleted )?qdisc cake \S+ dev (\S+) .*?bandwidth (\S+)/;
const RATE = /^(\d+(?:\.\d+)?)(bit|Kbit|Mbit|Gbit)$/;
const KBIT_PER: Readonly<Record<string, number>> = { bit: 0.001, Kbit: 1, Mbit: 1e3, Gbit: 1e6 };

export function parseQdiscLog(text: string): RateChange[] {
  const changes: RateChange[] = [];
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (found === null) continue;
    const atMs = Date.parse(`${found[1]}Z`) + microseconds(found[1]!);
    const rateKbit = found[2] === undefined ? rateOf(found[4]!) : null;
    changes.push({ atMs, device: found[3]!, rateKbit });
  }
  return changes;
}

/** tc's way to print a rate (tc(8), UNITS); null for `unlimited`. */
function rateOf(text: string): number | null {
  const found = RATE.exec(text);
  return found === null ? null : Number(found[1]) * KBIT_PER[found[2]!]!;
}

/** The part below a millisecond, which Date.parse drops. */
function microseconds(text: string): number {
  const fraction = text.slice(text.indexOf(".") + 1);
  return Number(`0.${fraction.slice(3) || "0"}`);
}
