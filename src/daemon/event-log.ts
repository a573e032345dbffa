// Where the daemon's parts report what happens: to the log, for people, and to the flight
// recorder, for afterwards. A stranger who causes one kind of event without end fills neither.

import { EVENTS_PER_KIND_MAX } from "../kernel/limits.ts";
import type { FlightRecorder } from "./flight-recorder.ts";
import type { Logger, LogLevel } from "./logger.ts";

/** The time over which events of a kind are counted. */
const WINDOW_MS = 10_000;

interface KindCount {
  windowEndMs: number;
  count: number;
}

export class EventLog {
  readonly #logger: Logger;
  readonly #recorder: FlightRecorder;
  readonly #nowMs: () => number;
  /** By kind; kinds are words of this program, so there are few. */
  readonly #counts = new Map<string, KindCount>();

  constructor(logger: Logger, recorder: FlightRecorder, nowMs: () => number) {
    this.#logger = logger;
    this.#recorder = recorder;
    this.#nowMs = nowMs;
  }

  /**
   * @param kind a word of this program, never of the network
   * @param message for people
   */
  note(level: LogLevel, kind: string, message: string, fields: object = {}): void {
    const nowMs = this.#nowMs();
    const suppressed = this.#count(kind, nowMs);
    if (suppressed === null) return;
    const extra = suppressed > 0 ? { ...fields, suppressedBefore: suppressed } : fields;
    this.tell(level, kind, message, extra);
  }

  /** A log that writes what matters at least so much; the recorder is shared. */
  child(level: LogLevel): EventLog {
    return new EventLog(this.#logger.child({}, { level }), this.#recorder, this.#nowMs);
  }

  setLevel(level: LogLevel): void {
    this.#logger.level = level;
  }

  /** Written and recorded every time: whoever calls bounds how often. */
  tell(level: LogLevel, kind: string, message: string, fields: object): void {
    this.#recorder.record(this.#nowMs(), kind, { level, ...fields });
    this.#logger[level](fields, message);
  }

  /** Only for the recorder: samples and the like. */
  record(kind: string, fields: object): void {
    this.#recorder.record(this.#nowMs(), kind, fields);
  }

  /** @returns how many of the kind were left out in the window before, or null to leave this one out */
  #count(kind: string, nowMs: number): number | null {
    const seen = this.#counts.get(kind);
    if (seen !== undefined && nowMs < seen.windowEndMs) {
      seen.count += 1;
      return seen.count > EVENTS_PER_KIND_MAX ? null : 0;
    }
    this.#counts.set(kind, { windowEndMs: nowMs + WINDOW_MS, count: 1 });
    return Math.max(0, (seen?.count ?? 0) - EVENTS_PER_KIND_MAX);
  }
}
