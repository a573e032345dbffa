// What the daemon and its children take of the processor and the memory (proc_pid_stat(5),
// proc_pid_status(5)): the guard's own measure. Cheap enough for every few seconds.

import type { SystemFiles } from "../ports.ts";

export interface ProcessUsage {
  /** Of one processor, since the reading before. */
  readonly cpuPercent: number;
  /** Resident memory of all, pages that they share counted for each. */
  readonly residentBytes: number;
}

/** The kernel tells times to programs in hundredths of a second on every architecture Node runs on. */
const TICK_MS = 10;
const STAT_BYTES_MAX = 1_024;
const STATUS_BYTES_MAX = 8_192;

/**
 * Adds up processes between readings. Those that the mesh plane runs as services are nobody's
 * overhead: only the processes it is given count.
 */
export class ProcessUsageMeter {
  readonly #files: SystemFiles;
  #cpuMsOf = new Map<string, number>();
  #readAtMs: number | null = null;

  constructor(files: SystemFiles) {
    this.#files = files;
  }

  /**
   * @param children pids of the flow plane's children; null for those that do not run
   * @returns null at the first reading, and where there is no procfs
   */
  read(children: readonly (number | null)[], nowMs: number): ProcessUsage | null {
    const before = this.#cpuMsOf;
    const elapsedMs = this.#readAtMs === null ? 0 : nowMs - this.#readAtMs;
    this.#cpuMsOf = new Map();
    this.#readAtMs = nowMs;
    let cpuMs = 0;
    let residentBytes = 0;
    for (const pid of ["self", ...children]) {
      const name = String(pid);
      const processMs = pid === null ? null : this.#readCpuMs(name);
      if (processMs === null) continue;
      this.#cpuMsOf.set(name, processMs);
      // A child that is new since the reading before has spent all it has in between.
      const sinceMs = processMs - (before.get(name) ?? 0);
      // The number of one that ended may be another's now.
      cpuMs += sinceMs >= 0 ? sinceMs : processMs;
      residentBytes += this.#readResidentBytes(name);
    }
    if (elapsedMs <= 0 || this.#cpuMsOf.size === 0) return null;
    return { cpuPercent: (100 * cpuMs) / elapsedMs, residentBytes };
  }

  #readCpuMs(name: string): number | null {
    const stat = this.#files.readText(`/proc/${name}/stat`, STAT_BYTES_MAX);
    return stat === null ? null : cpuMsOfStat(stat);
  }

  #readResidentBytes(name: string): number {
    return residentBytesOfStatus(
      this.#files.readText(`/proc/${name}/status`, STATUS_BYTES_MAX) ?? "",
    );
  }
}

/** User and system time of a /proc/PID/stat; null when it is none. */
export function cpuMsOfStat(stat: string): number | null {
  // The second field is the program's name in parentheses, which may hold any byte.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isSafeInteger(ticks) && ticks >= 0 ? ticks * TICK_MS : null;
}

/** VmRSS of a /proc/PID/status; 0 where there is none, as of a process that has just ended. */
export function residentBytesOfStatus(status: string): number {
  const kibibytes = /^VmRSS:\s+([0-9]{1,12}) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? 0 : Number(kibibytes) * 1_024;
}
