// What became of one direction's changes: a failed or wrong one is not tried again at once, and after
// several in a row the qdisc is made anew.

/** A rate read back may differ by the kernel's rounding. */
const READ_BACK_SHARE = 0.01;
const WAIT_MS_MIN = 1_000;
const WAIT_MS_MAX = 60_000;
/** Failures in a row that freeze the loop. */
const FAILURES_MAX = 3;
/** A change whose outcome is not told for so long will never be. */
const OUTCOME_MS_MAX = 3_000;
/** Ticks in a row that must show another rate than ours before it is somebody's doing. */
const DRIFT_TICKS = 5;

export type ChangeOutcome = "applied" | "change-failed" | "readback-mismatch";

export class ChangeCheck {
  #failures = 0;
  #blockedUntilMs = Number.NEGATIVE_INFINITY;
  #driftTicks = 0;
  /** When the change was asked for whose outcome is not told yet; null: none. */
  #askedMs: number | null = null;

  /** A change was asked for. */
  asked(atMs: number): void {
    this.#askedMs = atMs;
    this.#driftTicks = 0;
  }

  /** Whether changes are to wait. */
  blocked(atMs: number): boolean {
    return atMs < this.#blockedUntilMs;
  }

  /** Changes have failed so often that the qdisc is to be made anew. */
  get given(): boolean {
    return this.#failures >= FAILURES_MAX;
  }

  get failures(): number {
    return this.#failures;
  }

  judge(
    atMs: number,
    requestedKbit: number,
    readBackKbit: number | null,
    error: string | null,
  ): ChangeOutcome {
    this.#askedMs = null;
    if (error === null && readBackKbit !== null && agrees(readBackKbit, requestedKbit)) {
      this.#failures = 0;
      this.#driftTicks = 0;
      return "applied";
    }
    this.#fail(atMs);
    return error !== null || readBackKbit === null ? "change-failed" : "readback-mismatch";
  }

  /** Looks at what a tick read. @returns true when somebody else has set another rate */
  drifted(atMs: number, readKbit: number, rateKbit: number): boolean {
    const pending = this.#askedMs !== null && atMs - this.#askedMs < OUTCOME_MS_MAX;
    this.#driftTicks = pending || agrees(readKbit, rateKbit) ? 0 : this.#driftTicks + 1;
    if (this.#driftTicks < DRIFT_TICKS || this.blocked(atMs)) return false;
    this.#driftTicks = 0;
    this.#fail(atMs);
    return true;
  }

  /** The qdisc was made anew. */
  reset(): void {
    this.#failures = 0;
    this.#driftTicks = 0;
    this.#askedMs = null;
    this.#blockedUntilMs = Number.NEGATIVE_INFINITY;
  }

  #fail(atMs: number): void {
    const waitMs = Math.min(WAIT_MS_MIN * 2 ** this.#failures, WAIT_MS_MAX);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#blockedUntilMs = atMs + waitMs;
  }
}

function agrees(oneKbit: number, otherKbit: number): boolean {
  return Math.abs(oneKbit - otherKbit) <= Math.max(READ_BACK_SHARE * otherKbit, 8);
}
