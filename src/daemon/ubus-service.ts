// The daemon on OpenWrt's bus: its objects, its decisions for who subscribes to them, and the
// reload when the router's configuration was changed. Without ubusd the daemon does all the rest.

import type { ApiBackend } from "../api/backend.ts";
import { UbusClient } from "../flow/ubus/client.ts";
import { SystemRandom } from "../io/random.ts";
import { openUnixStream } from "../io/unix-stream.ts";
import type { EventLog } from "./event-log.ts";
import { MYCO_OBJECT, mycoObjects } from "./ubus-objects.ts";

export interface UbusServiceOptions {
  readonly socketPath: string;
  readonly backend: ApiBackend;
  /** The package whose change asks for a reload; null: there is none. Asked at each event. */
  readonly uciPackage: () => string | null;
  readonly events: EventLog;
}

const TICK_MS = 500;
/** A restart of ubusd takes less. */
const LOST_PATIENCE_MS = 10_000;
const CONFIG_CHANGE = "config.change";

export class UbusService {
  readonly #options: UbusServiceOptions;
  readonly #client: UbusClient;
  #pace: NodeJS.Timeout | null = null;
  /** Since when the bus has not known the daemon, and why; null: it does. */
  #lost: { readonly sinceMs: number; readonly reason: string } | null = null;
  #reload: "none" | "running" | "wanted-again" = "none";

  constructor(options: UbusServiceOptions) {
    const { socketPath, backend, events } = options;
    this.#options = options;
    this.#client = new UbusClient({
      connect: (events) => openUnixStream(socketPath, events),
      clock: { nowMs: () => performance.now() },
      random: new SystemRandom(),
      objects: mycoObjects(backend),
      eventPatterns: [CONFIG_CHANGE],
      listener: {
        onEvent: (name, data) => {
          if (name === CONFIG_CHANGE) this.#changed(data.package);
        },
        onJoined: () => this.#joined(),
        onLost: (reason) => this.#noteLost(reason),
        onFailure: (error, method) => {
          const fields = { method, error: error.stack };
          events.note("error", "ubus-failure", "a call could not be answered", fields);
        },
      },
    });
    backend.events.listen((name, data) => {
      if (name === "decision") this.#client.notify(MYCO_OBJECT, name, data);
    });
  }

  /** Why the bus has not known the daemon for a while, or null. */
  get problem(): string | null {
    if (this.#lost === null || performance.now() - this.#lost.sinceMs < LOST_PATIENCE_MS)
      return null;
    return this.#lost.reason;
  }

  start(): void {
    this.#client.start();
    this.#pace = setInterval(() => this.#client.tick(), TICK_MS);
  }

  stop(): void {
    if (this.#pace !== null) clearInterval(this.#pace);
    this.#client.stop();
  }

  #joined(): void {
    this.#lost = null;
    const fields = { socket: this.#options.socketPath };
    this.#options.events.note("info", "ubus", "the daemon is on ubus", fields);
  }

  /** Each reason once, however often it is tried again. */
  #noteLost(reason: string): void {
    const before = this.#lost;
    this.#lost = { sinceMs: before?.sinceMs ?? performance.now(), reason };
    if (before?.reason === reason) return;
    const message = "the daemon is not on ubus; it tries again";
    this.#options.events.note("warn", "ubus", message, { reason });
  }

  /** However many changes there are during a reload, one more follows it. */
  #changed(name: unknown): void {
    if (name !== this.#options.uciPackage()) return;
    if (this.#reload !== "none") {
      this.#reload = "wanted-again";
      return;
    }
    const { events, backend } = this.#options;
    events.note("info", "uci", "UCI was changed: the configuration is read again", { name });
    this.#reload = "running";
    void backend.reload().then(() => {
      const again = this.#reload === "wanted-again";
      this.#reload = "none";
      if (again) this.#changed(name);
    });
  }
}
