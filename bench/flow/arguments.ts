// The command line of `npm run bench:flow`.

import { parseArgs } from "node:util";
import type { GuestClock } from "../../tests/lab/qemu.ts";
import { BUILT_IN, type Guest } from "./contestants.ts";
import { DEFAULT_TRACES } from "./plan.ts";

export interface BenchArguments {
  readonly help: boolean;
  readonly traces: readonly string[];
  readonly contestants: readonly string[];
  readonly guests: readonly Guest[];
  readonly repeats: number;
  readonly quick: boolean;
  readonly seed: bigint;
  /** What the guest's time goes by; the host's clock wants a quiet machine. */
  readonly clock: GuestClock;
  readonly out: string;
  /** Only read what is in `out` again, and write the report anew. */
  readonly reportOnly: boolean;
}

export const HELP = `Usage: npm run bench:flow -- [options]

Plays lines of changing capacity on a real kernel in a virtual machine, and compares who shapes them.
A broken run continues where it stopped when it is started again with the same --out.

  --traces LIST                 of T0 to T9, by default ${DEFAULT_TRACES.join(",")}
  --contestants LIST            by default ${BUILT_IN.join(",")}
  --contestant NAME=EXECUTABLE  one more, from a file on this machine; may be given again
  --repeats N                   how often each contestant plays each line; 1
  --quick                       the first 30 seconds of each line only
  --seed N                      the order of the runs, and the bootstrap; 1
  --clock instructions|host     what the guest's time goes by: its own instructions, a nanosecond
                                each, whatever else this machine does; or this machine's clock
  --out FOLDER                  raw logs and report; bench/flow/results, with --quick results-quick
  --report                      measure nothing, write the report of --out anew`;

/** @returns what to say when the arguments make no sense */
export function readArguments(args: readonly string[]): BenchArguments | string {
  let values: Record<string, string | boolean | string[] | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", default: false },
        traces: { type: "string", default: DEFAULT_TRACES.join(",") },
        contestants: { type: "string", default: BUILT_IN.join(",") },
        contestant: { type: "string", multiple: true, default: [] },
        repeats: { type: "string", default: "1" },
        quick: { type: "boolean", default: false },
        seed: { type: "string", default: "1" },
        clock: { type: "string", default: "instructions" },
        out: { type: "string" },
        report: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    return (error as Error).message;
  }
  const guests = (values.contestant as string[]).map(readGuest);
  const unreadable = guests.indexOf(null);
  if (unreadable >= 0) {
    return `--contestant is NAME=EXECUTABLE with a name of a-z, 0-9 and -; found ${(values.contestant as string[])[unreadable]}`;
  }
  const named = split(values.contestants as string);
  const unknown = named.find((name) => !BUILT_IN.includes(name));
  if (unknown !== undefined) {
    return `there is no contestant ${unknown}; there are ${BUILT_IN.join(", ")}, and --contestant NAME=EXECUTABLE brings another`;
  }
  const repeats = Number(values.repeats);
  if (!Number.isInteger(repeats) || repeats < 1 || repeats > 100) {
    return `--repeats is a number from 1 to 100; found ${values.repeats}`;
  }
  if (!/^\d{1,18}$/.test(values.seed as string)) return `--seed is a number; found ${values.seed}`;
  const { clock } = values;
  if (clock !== "instructions" && clock !== "host") {
    return `--clock is instructions or host; found ${clock}`;
  }
  const others = guests as Guest[];
  return {
    help: values.help as boolean,
    traces: split(values.traces as string),
    contestants: [...named, ...others.map((guest) => guest.name)],
    guests: others,
    repeats,
    quick: values.quick as boolean,
    seed: BigInt(values.seed as string),
    clock,
    // The beginning of a line is not its whole: quick figures never mix with others.
    out:
      (values.out as string | undefined) ??
      `bench/flow/results${values.quick === true ? "-quick" : ""}`,
    reportOnly: values.report as boolean,
  };
}

function readGuest(text: string): Guest | null {
  const found = /^([a-z0-9-]{1,40})=(.+)$/.exec(text);
  if (found === null || BUILT_IN.includes(found[1]!)) return null;
  return { name: found[1]!, executable: found[2]! };
}

function split(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);
}
