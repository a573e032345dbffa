// The node's DNS: the socket and the count of what comes in. A node without it is of use all
// the same, so that a port that is taken is a problem of its health and no more.

import { type DnsSocket, openDnsSocket } from "../io/dns-socket.ts";
import { answerQuery, type ServiceDirectory } from "../net/dns.ts";
import type { Configuration } from "../schema/configuration.ts";
import { hostOf, portOf } from "./dns-directory.ts";

export class DnsServer {
  readonly #settings: Configuration["dns"];
  readonly #directory: ServiceDirectory;
  #socket: DnsSocket | null = null;
  #problem: string | null = null;
  #queryCount = 0;

  constructor(settings: Configuration["dns"], directory: ServiceDirectory) {
    this.#settings = settings;
    this.#directory = directory;
  }

  /** Why it does not answer, or null when it does or is not asked to. */
  get problem(): string | null {
    return this.#problem;
  }

  get queryCount(): number {
    return this.#queryCount;
  }

  /** Never fails: see `problem`. */
  open(): Promise<void> {
    const { listen, domain, ttlSeconds } = this.#settings;
    if (listen === null) return Promise.resolve();
    return new Promise((resolve) => {
      openDnsSocket(
        {
          address: hostOf(listen),
          port: portOf(listen),
          answer: (query, transport) => {
            this.#queryCount += 1;
            return answerQuery(query, this.#directory, { domain, ttlSeconds, transport });
          },
        },
        (error, socket) => {
          this.#socket = socket;
          this.#problem = error?.message ?? null;
          resolve();
        },
      );
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket === null) resolve();
      else this.#socket.close(resolve);
      this.#socket = null;
    });
  }
}
