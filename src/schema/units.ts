// Durations and sizes as people write them: `10s`, `256M`.

const DURATION = /^([0-9]{1,8})(ms|s|m|h)$/;
const MS_OF_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

const SIZE = /^([1-9][0-9]{0,7})([KMGT])$/;
const BYTES_OF_UNIT: Readonly<Record<string, number>> = {
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** `250ms`, `10s`, `5m` or `1h` in milliseconds; null for anything else. */
export function parseDurationMs(text: string): number | null {
  const match = DURATION.exec(text);
  return match === null ? null : Number(match[1]) * MS_OF_UNIT[match[2]!]!;
}

/** `64K`, `256M`, `1G` or `2T` in bytes, by powers of 1024 as systemd counts; null for anything else. */
export function parseSizeBytes(text: string): number | null {
  const match = SIZE.exec(text);
  return match === null ? null : Number(match[1]) * BYTES_OF_UNIT[match[2]!]!;
}
