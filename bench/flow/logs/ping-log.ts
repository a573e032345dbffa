// What `fping -D -l` wrote: one probe a line.

export interface Probe {
  /** When the answer came, or when it was given up; wall clock. */
  readonly atMs: number;
  /** Null: lost. */
  readonly rttMs: number | null;
}

const LINE = /^\[(\d+\.\d+)\] \S+ : \[\d+\], (?:\d+ bytes, (\d+(?:\.\d+)?) ms|timed out)/;

/** Lines that are no probe are skipped: fping's summary, or a line cut short at the end. */
export function parsePingLog(text: string): Probe[] {
  const probes: Probe[] = [];
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (found === null) continue;
    const rttMs = found[2] === undefined ? null : Number(found[2]);
    probes.push({ atMs: Number(found[1]) * 1_000, rttMs });
  }
  return probes;
}
