// The kernel's connections with their bytes both ways, read from /proc a piece a tick. Reading all
// of 5,900 rows takes 20 ms of the kernel every few seconds; the event stream of conntrack(8) costs
// 4 to 6 % of a processor under load, and carries no counters before a connection ends.

import {
  ADDRESS_TEXTS_MAX,
  CONNTRACK_FLOWS_MAX,
  CONNTRACK_IDLE_MS,
  CONNTRACK_PASS_MS,
  CONNTRACK_ROW_CHARACTERS_MAX,
  CONNTRACK_TICK_BYTES_MAX,
} from "../../kernel/limits.ts";
import { formatIpv6, parseIpv6 } from "../../schema/endpoint.ts";
import type { FlowKey } from "../interface.ts";
import type { OpenFile, SystemFiles } from "../ports.ts";
import { type ConntrackCounts, type ConntrackRow, parseConntrackRow } from "./conntrack-row.ts";

export const CONNTRACK_FILE = "/proc/net/nf_conntrack";

/** One connection as last read. */
export interface ConntrackFlow {
  readonly key: FlowKey;
  /** Who answers behind an address translation towards the server; else the server. */
  readonly answerer: string;
  /** Since the connection began. */
  readonly counts: ConntrackCounts;
  readonly mark: number;
  readonly isAnswered: boolean;
  /** When its counts were last seen to grow. */
  readonly activeAtMs: number;
}

interface KeptFlow extends ConntrackFlow {
  counts: ConntrackCounts;
  mark: number;
  isAnswered: boolean;
  activeAtMs: number;
  /** The reading of the table that saw it last. */
  pass: number;
}

const NO_COUNTS: ConntrackCounts = {
  uploadPackets: 0,
  uploadBytes: 0,
  downloadPackets: 0,
  downloadBytes: 0,
};

export class ConntrackTable {
  readonly #files: SystemFiles;
  /** By the text of its key, the longest idle first. */
  readonly #flows = new Map<string, KeptFlow>();
  /** By the text the kernel prints: IPv6 in full. A copy, since part of a text keeps all of it in memory. */
  readonly #addresses = new Map<string, string>();
  #file: OpenFile | null = null;
  #offset = 0;
  /** The row under way. */
  #rest = "";
  #pass = 0;
  #passStartedAtMs = Number.NEGATIVE_INFINITY;
  #leftOut = 0;
  #leftOutBefore = 0;
  #state: ConntrackState = "unread";

  constructor(files: SystemFiles) {
    this.#files = files;
  }

  get state(): ConntrackState {
    return this.#state;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Connections the last whole reading found no room for. */
  get leftOutCount(): number {
    return this.#leftOutBefore;
  }

  /** The connection with this five-tuple, or undefined. */
  get(key: FlowKey): ConntrackFlow | undefined {
    return this.#flows.get(keyText(key));
  }

  flows(): Iterable<ConntrackFlow> {
    return this.#flows.values();
  }

  /**
   * Reads on, once a tick.
   * @returns true when a reading of the whole table has just ended
   */
  tick(nowMs: number): boolean {
    if (this.#file === null && !this.#beginPass(nowMs)) return false;
    for (let leftBytes = CONNTRACK_TICK_BYTES_MAX; leftBytes > 0; ) {
      const text = this.#file?.read(this.#offset) ?? null;
      if (text === null || text === "") {
        this.#endPass(text === "");
        return text === "";
      }
      this.#offset += text.length;
      leftBytes -= text.length;
      this.#readRows(text, nowMs);
    }
    return false;
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  #beginPass(nowMs: number): boolean {
    if (nowMs - this.#passStartedAtMs < CONNTRACK_PASS_MS) return false;
    this.#passStartedAtMs = nowMs;
    this.#file = this.#files.open(CONNTRACK_FILE);
    if (this.#file === null) this.#state = "missing";
    this.#offset = 0;
    this.#rest = "";
    this.#leftOut = 0;
    this.#pass += 1;
    return this.#file !== null;
  }

  #endPass(isWhole: boolean): void {
    this.close();
    if (!isWhole) return;
    this.#leftOutBefore = this.#leftOut;
    for (const [text, flow] of this.#flows) {
      if (flow.pass !== this.#pass) this.#flows.delete(text);
    }
  }

  #readRows(text: string, nowMs: number): void {
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      const row = parseConntrackRow(this.#rest + text.slice(start, end));
      this.#rest = "";
      start = end + 1;
      if (row !== null) this.#keep(row, nowMs);
    }
    this.#rest += text.slice(start, start + CONNTRACK_ROW_CHARACTERS_MAX + 1);
  }

  #keep(row: ConntrackRow, nowMs: number): void {
    this.#state = row.counts === null ? "uncounted" : "counted";
    const key = this.#keyOf(row);
    const text = keyText(key);
    const counts = row.counts ?? NO_COUNTS;
    const flow = this.#flows.get(text);
    if (flow === undefined) {
      this.#add(text, key, row, counts, nowMs);
      return;
    }
    flow.pass = this.#pass;
    flow.mark = row.mark;
    flow.isAnswered = row.isAnswered;
    if (isSame(flow.counts, counts)) return;
    flow.counts = counts;
    flow.activeAtMs = nowMs;
    this.#flows.delete(text);
    this.#flows.set(text, flow);
  }

  #add(
    text: string,
    key: FlowKey,
    row: ConntrackRow,
    counts: ConntrackCounts,
    nowMs: number,
  ): void {
    if (this.#flows.size >= CONNTRACK_FLOWS_MAX && !this.#makeRoom(nowMs)) {
      this.#leftOut += 1;
      return;
    }
    const { mark, isAnswered } = row;
    const answerer = this.#canonical(row.answerer);
    const pass = this.#pass;
    const flow = { key, answerer, counts, mark, isAnswered, activeAtMs: nowMs, pass };
    this.#flows.set(text, flow);
  }

  #makeRoom(nowMs: number): boolean {
    for (const [text, longestIdle] of this.#flows) {
      if (nowMs - longestIdle.activeAtMs < CONNTRACK_IDLE_MS) return false;
      this.#flows.delete(text);
      return true;
    }
    return false;
  }

  #keyOf(row: ConntrackRow): FlowKey {
    return {
      protocol: row.protocol,
      client: this.#canonical(row.client),
      clientPort: row.clientPort,
      server: this.#canonical(row.server),
      serverPort: row.serverPort,
    };
  }

  /** The text of an address by which flows are known elsewhere. */
  #canonical(address: string): string {
    const known = this.#addresses.get(address);
    if (known !== undefined) return known;
    if (this.#addresses.size >= ADDRESS_TEXTS_MAX) this.#addresses.clear();
    const printed = copyText(address);
    const bytes = address.includes(":") ? parseIpv6(address) : null;
    const canonical = bytes === null ? printed : formatIpv6(bytes);
    this.#addresses.set(printed, canonical);
    return canonical;
  }
}

/** Equal text in memory of its own. */
function copyText(text: string): string {
  return Array.from(text).join("");
}

/**
 * unread: not yet, or it was empty. missing: the kernel has no such file. uncounted: rows without
 * bytes, until net.netfilter.nf_conntrack_acct is 1 and connections begin after that.
 */
export type ConntrackState = "unread" | "missing" | "uncounted" | "counted";

function keyText({ protocol, client, clientPort, server, serverPort }: FlowKey): string {
  return `${protocol} ${client} ${clientPort} ${server} ${serverPort}`;
}

function isSame(a: ConntrackCounts, b: ConntrackCounts): boolean {
  return (
    a.uploadPackets === b.uploadPackets &&
    a.downloadPackets === b.downloadPackets &&
    a.uploadBytes === b.uploadBytes &&
    a.downloadBytes === b.downloadBytes
  );
}
