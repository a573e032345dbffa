// What systemd is told of the daemon: that it is up, how it is, that it reads its configuration
// again, that it ends; and, for its watchdog, that it still ticks.

/** Longest text behind STATUS=. */
const STATUS_CHARACTERS_MAX = 200;
/** Words that wait for the one under way; a watchdog's word is left out instead of waiting. */
const WAITING_MAX = 8;
/** One word may be lost: systemd takes none from a sender that has ended, and is deaf while it reloads. */
const WORDS_PER_WATCHDOG = 3;

export interface ServiceNotifierParts {
  /** Sends one message. Answers null, or why it could not be sent. */
  readonly send: (assignments: readonly string[]) => Promise<string | null>;
  /** Without a word for so long the daemon is killed and started again; null: never. */
  readonly watchdogMs: number | null;
  /** Told once, at the first word that could not be sent. */
  readonly onProblem: (problem: string) => void;
}

/** What is watched once the daemon is up. */
export interface WatchedNode {
  /** By how much the most overdue tick is late now. */
  readonly overdueMs: number;
  /** One line for `systemctl status`. */
  readonly summary: string;
}

export class ServiceNotifier {
  readonly #parts: ServiceNotifierParts;
  #node: WatchedNode | null = null;
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> = Promise.resolve();
  #waitingCount = 0;
  #hasFailed = false;

  constructor(parts: ServiceNotifierParts) {
    this.#parts = parts;
  }

  /** The daemon is up: from now on its watchdog hears of it, as long as it ticks. */
  ready(node: WatchedNode): void {
    this.#node = node;
    this.#say(["READY=1", statusOf(node)]);
    const { watchdogMs } = this.#parts;
    if (watchdogMs === null) return;
    this.#timer = setInterval(() => this.#watch(node, watchdogMs), watchdogMs / WORDS_PER_WATCHDOG);
    this.#timer.unref();
  }

  /** The configuration is read again, until `reloaded`. */
  reloading(): void {
    this.#say(["RELOADING=1"]);
  }

  reloaded(): void {
    if (this.#node !== null) this.#say(["READY=1", statusOf(this.#node)]);
  }

  stopping(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#say(["STOPPING=1", "STATUS=ends its planes"]);
  }

  /** Silence where a plane does not tick, though this timer does: then it is worth a restart. */
  #watch(node: WatchedNode, watchdogMs: number): void {
    if (this.#waitingCount > 0 || node.overdueMs > watchdogMs / 2) return;
    this.#say(["WATCHDOG=1", statusOf(node)]);
  }

  /** One after the other: each word is a process of its own, and they must not overtake. */
  #say(assignments: readonly string[]): void {
    if (this.#waitingCount >= WAITING_MAX) return;
    this.#waitingCount += 1;
    this.#sending = this.#sending.then(async () => {
      const problem = await this.#parts.send(assignments);
      this.#waitingCount -= 1;
      if (problem === null || this.#hasFailed) return;
      this.#hasFailed = true;
      this.#parts.onProblem(problem);
    });
  }
}

function statusOf({ summary }: WatchedNode): string {
  const line = summary.replaceAll(/\p{Cc}/gu, " ");
  return `STATUS=${line.slice(0, STATUS_CHARACTERS_MAX)}`;
}
