// What the receiving iperf3 wrote, each line after the wall clock at which it came: bytes that
// arrived, half a second at a time, all flows of one direction together.

export interface LoadInterval {
  readonly startMs: number;
  readonly endMs: number;
  readonly kbit: number;
}

const LINE =
  /^(\d+) \[(SUM| *\d+)\]\s+(\d+\.\d+)-(\d+\.\d+)\s+sec\s+\S+ \S+\s+(\d+(?:\.\d+)?) Kbits\/sec(.*)$/;

/**
 * The sums where there are sums, the only flow where there is one. The closing summary is skipped,
 * and so is the sliver of an interval at the end.
 */
export function parseLoadLog(text: string): LoadInterval[] {
  const sums: LoadInterval[] = [];
  const flows: LoadInterval[] = [];
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (found === null || /sender|receiver/.test(found[6]!)) continue;
    const lengthMs = (Number(found[4]) - Number(found[3])) * 1_000;
    if (lengthMs < 100) continue;
    const endMs = Number(found[1]);
    const interval = { startMs: endMs - lengthMs, endMs, kbit: Number(found[5]) };
    (found[2] === "SUM" ? sums : flows).push(interval);
  }
  return sums.length > 0 ? sums : flows;
}
