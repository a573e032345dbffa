// The catalogue of names, ports, networks and programs: which service they stand for. Built once
// at start from entries; a look-up allocates next to nothing.

import { assert } from "../../kernel/assert.ts";
import type { Service } from "../interface.ts";
import { type CatalogEntry, type PortRange, parsePorts } from "./catalog-entry.ts";
import { type NetworkClaim, NetworkTable, parseNetwork } from "./network.ts";

/** What a sign stands for. */
export interface CatalogHit {
  readonly service: Service;
  readonly realtime: Service | null;
  readonly confidence: number;
}

/** A name's first label only hints at what it is for. */
const FIRST_LABEL_TRUST = 0.7;
const PORTS = 65_536;
const NO_HIT = 0xffff;

interface LabelPattern {
  readonly beginning: string;
  readonly hit: number;
}

export class Catalog {
  readonly #hits: CatalogHit[] = [];
  readonly #suffixes = new Map<string, number>();
  /** `cdn-*.example.org` under `example.org`. */
  readonly #labelPatterns = new Map<string, LabelPattern[]>();
  /** `stun.*` under `stun`, and `ntp*.*` in the list. */
  readonly #firstLabels = new Map<string, number>();
  readonly #firstLabelPatterns: LabelPattern[] = [];
  readonly #networks: NetworkTable;
  /** The longest first. */
  readonly #agents: { readonly part: string; readonly hit: number }[] = [];
  /** Whether a User-Agent holds any of them: most hold none. */
  readonly #anyAgent: RegExp;
  readonly #certificates = new Map<string, number>();
  readonly #ports = new Map<number, PortTable>();

  /**
   * @param shipped whose ports go by confidence, then by the narrower range
   * @param added by the user, in order: each takes the place of what was before
   */
  constructor(shipped: readonly CatalogEntry[], added: readonly CatalogEntry[] = []) {
    const claims: Claims = { ports: [], networks: [] };
    for (const entry of shipped) this.#add(entry, claims);
    claims.ports.sort(byTrust);
    for (const entry of added) this.#add(entry, claims);
    assert(this.#hits.length < NO_HIT, "entries are told apart by 16 bits");
    for (const protocol of new Set(claims.ports.map(({ range }) => range.protocol))) {
      const ofProtocol = claims.ports.filter(({ range }) => range.protocol === protocol);
      this.#ports.set(protocol, new PortTable(ofProtocol));
    }
    this.#networks = new NetworkTable(claims.networks);
    this.#agents.sort((a, b) => b.part.length - a.part.length);
    this.#anyAgent = anyOf(this.#agents.map(({ part }) => part));
  }

  /** What a server's name stands for: its longest suffix that is known, else its first label. */
  byName(name: string): CatalogHit | null {
    for (let at = 0, before = 0; at !== -1; ) {
      const suffix = at === 0 ? name : name.slice(at);
      const pattern = at === 0 ? undefined : this.#patternHit(suffix, name.slice(before, at - 1));
      const hit = pattern ?? this.#suffixes.get(suffix);
      if (hit !== undefined) return this.#hits[hit]!;
      before = at;
      const dot = name.indexOf(".", at);
      at = dot === -1 ? -1 : dot + 1;
    }
    return this.#byFirstLabel(name);
  }

  byCertificate(commonName: string): CatalogHit | null {
    const hit = this.#certificates.get(commonName.toLowerCase());
    return hit === undefined ? this.byName(commonName.toLowerCase()) : this.#hits[hit]!;
  }

  /** @param protocol IP protocol number */
  byPort(protocol: number, port: number): CatalogHit | null {
    const hit = this.#ports.get(protocol)?.get(port) ?? NO_HIT;
    return hit === NO_HIT ? null : this.#hits[hit]!;
  }

  /** @param address in text */
  byAddress(address: string): CatalogHit | null {
    const hit = this.#networks.get(address);
    return hit === -1 ? null : this.#hits[hit]!;
  }

  /** The longest part that `userAgent` holds. */
  byAgent(userAgent: string): CatalogHit | null {
    if (!this.#anyAgent.test(userAgent)) return null;
    const found = this.#agents.find(({ part }) => userAgent.includes(part));
    return found === undefined ? null : this.#hits[found.hit]!;
  }

  #patternHit(suffix: string, label: string): number | undefined {
    return this.#labelPatterns.get(suffix)?.find(({ beginning }) => label.startsWith(beginning))
      ?.hit;
  }

  #byFirstLabel(name: string): CatalogHit | null {
    const dot = name.indexOf(".");
    if (dot === -1) return null;
    const label = name.slice(0, dot);
    const hit =
      this.#firstLabels.get(label) ??
      this.#firstLabelPatterns.find(({ beginning }) => label.startsWith(beginning))?.hit;
    if (hit === undefined) return null;
    const { service, realtime, confidence } = this.#hits[hit]!;
    return { service, realtime, confidence: confidence * FIRST_LABEL_TRUST };
  }

  #add(entry: CatalogEntry, claims: Claims): void {
    const { service, realtime, confidence } = entry;
    const hit = this.#hits.push({ service, realtime, confidence }) - 1;
    for (const name of entry.names) this.#addName(name, hit);
    for (const part of entry.agents) this.#agents.push({ part, hit });
    for (const name of entry.certificates) this.#certificates.set(name.toLowerCase(), hit);
    for (const text of entry.networks) {
      const network = parseNetwork(text);
      assert(network !== null, `the catalogue's network ${text} was checked before`);
      claims.networks.push({ network, value: hit });
    }
    for (const text of entry.ports) {
      const range = parsePorts(text);
      assert(range !== null, `the catalogue's port ${text} was checked before`);
      claims.ports.push({ range, confidence, hit });
    }
  }

  #addName(name: string, hit: number): void {
    const star = name.indexOf("*");
    if (star === -1) {
      this.#suffixes.set(name, hit);
    } else if (name.endsWith(".*")) {
      const label = name.slice(0, -2);
      if (star === label.length + 1) this.#firstLabels.set(label, hit);
      else this.#firstLabelPatterns.unshift({ beginning: name.slice(0, star), hit });
    } else {
      const suffix = name.slice(star + 2);
      const patterns = this.#labelPatterns.get(suffix) ?? [];
      this.#labelPatterns.set(suffix, patterns);
      patterns.unshift({ beginning: name.slice(0, star), hit });
    }
  }
}

/** Gathered from the entries, before the tables are made. */
interface Claims {
  readonly ports: PortClaim[];
  readonly networks: NetworkClaim[];
}

interface PortClaim {
  readonly range: PortRange;
  readonly confidence: number;
  readonly hit: number;
}

/** Matches a text that holds one of `parts`; nothing when there are none. */
function anyOf(parts: readonly string[]): RegExp {
  const escaped = parts.map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return parts.length === 0 ? /(?!)/ : new RegExp(escaped.join("|"));
}

/** The most trusted last, since the last one that is painted stays. */
function byTrust(a: PortClaim, b: PortClaim): number {
  if (a.confidence !== b.confidence) return a.confidence - b.confidence;
  return b.range.last - b.range.first - (a.range.last - a.range.first);
}

/** The ports of one protocol, as runs with one meaning each. */
class PortTable {
  /** The first port of each run, ascending. */
  readonly #starts: Uint16Array;
  readonly #hits: Uint16Array;

  constructor(claims: readonly PortClaim[]) {
    const painted = new Uint16Array(PORTS).fill(NO_HIT);
    for (const { range, hit } of claims) painted.fill(hit, range.first, range.last + 1);
    const starts: number[] = [];
    for (let port = 0; port < PORTS; port += 1) {
      if (port === 0 || painted[port] !== painted[port - 1]) starts.push(port);
    }
    this.#starts = Uint16Array.from(starts);
    this.#hits = Uint16Array.from(starts, (port) => painted[port]!);
  }

  get(port: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#starts[middle]! <= port) low = middle;
      else high = middle - 1;
    }
    return this.#hits[low]!;
  }
}
