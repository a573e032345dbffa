// One line of `fping -l -D` (fping(8), 5.0 and later).

/** What the line tells. Null RTT: the probe had no answer in time. */
export interface PingLine {
  readonly target: string;
  /** The time of day at which it was known, Unix milliseconds. */
  readonly stampMs: number;
  readonly rttMs: number | null;
}

/** Any RTT above is nonsense: the pinger waits less. */
const RTT_MS_MAX = 60_000;

/**
 * Reads `[1795341915.39860] 192.0.2.1 : [7], 64 bytes, 12.3 ms (12.0 avg, 0% loss)` or, of a lost
 * probe, `[…] 192.0.2.1 : [7], timed out (12.0 avg, 3% loss)`. Null for anything else, duplicates among it.
 */
export function parsePingLine(line: string): PingLine | null {
  const stampEnd = line.indexOf("] ");
  if (!line.startsWith("[") || stampEnd < 0) return null;
  const targetEnd = line.indexOf(" ", stampEnd + 2);
  const numberEnd = line.indexOf("], ", targetEnd);
  if (targetEnd < 0 || numberEnd < 0) return null;
  // The target is padded with blanks to the longest one.
  if (!/^ *: \[[0-9]+$/.test(line.slice(targetEnd, numberEnd))) return null;
  const stampMs = Number(line.slice(1, stampEnd)) * 1_000;
  const rttMs = readOutcome(line, numberEnd + 3);
  if (!(stampMs > 0) || !Number.isFinite(stampMs) || rttMs === undefined) return null;
  return { target: line.slice(stampEnd + 2, targetEnd), stampMs, rttMs };
}

/** Undefined: neither an answer nor a loss. */
function readOutcome(line: string, start: number): number | null | undefined {
  if (line.startsWith("timed out", start)) return null;
  const sizeEnd = line.indexOf(" bytes, ", start);
  const rttEnd = line.indexOf(" ms", sizeEnd);
  if (sizeEnd < 0 || rttEnd < 0) return undefined;
  const rttMs = Number(line.slice(sizeEnd + 8, rttEnd));
  return rttMs > 0 && rttMs <= RTT_MS_MAX ? rttMs : undefined;
}
