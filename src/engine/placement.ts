// Which nodes run a service: rendezvous hashing over the eligible members, so that every
// node with the same view gives the same answer without asking anybody.

import { assert } from "../kernel/assert.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { Architecture, ServiceSpec } from "../schema/service.ts";
import type { SlotKey } from "../schema/slot.ts";

/** A member as placement sees it: its node slot, joined with what membership says of it. */
export interface PlacementNode {
  readonly nodeId: NodeId;
  /** 0 to 255, from its certificate. */
  readonly zone: number;
  readonly arch: Architecture;
  readonly devices: readonly string[];
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly memoryMiB: number;
  readonly draining: boolean;
  readonly status: "alive" | "suspect" | "dead";
}

export interface PlacedService {
  /** The service's slot key (schema/slot.ts). */
  readonly key: SlotKey;
  readonly spec: ServiceSpec;
}

/** How much of the signed roster this node is in touch with, itself included in both. */
export interface RosterReach {
  readonly rosterSize: number;
  readonly reachableCount: number;
}

interface Candidate {
  readonly nodeId: NodeId;
  readonly zone: number;
  readonly scoreHigh: number;
  readonly scoreLow: number;
  /** 0 for the best of its zone, 1 for the next. */
  rankInZone: number;
}

/**
 * The nodes that should run the service, best first; fewer than asked for when too few are
 * eligible. The best node of each zone comes before the second of any. A node that goes
 * away moves only what it ran, and the order of `nodes` does not matter.
 *
 * Highest random weight: Thaler and Ravishankar, "Using name-based mappings to increase hit
 * rates", 1998.
 */
export function place(
  service: PlacedService,
  nodes: readonly PlacementNode[],
  reach: RosterReach,
): NodeId[] {
  const { spec } = service;
  if (spec.singleton && !hasMajority(reach)) return [];
  const candidates: Candidate[] = [];
  for (const node of nodes) {
    if (isEligible(spec, node)) candidates.push(score(service.key, node));
  }
  candidates.sort(byScore);
  rankWithinZones(candidates);
  candidates.sort((a, b) => a.rankInZone - b.rankInZone || byScore(a, b));
  const count = wantedCount(spec, candidates.length);
  return candidates.slice(0, count).map((candidate) => candidate.nodeId);
}

/** More than half of the roster: two such halves cannot exist at once. */
export function hasMajority(reach: RosterReach): boolean {
  return reach.reachableCount * 2 > reach.rosterSize;
}

/** Whether `node` may run the service at all. A suspect may: it is not dead until said so. */
export function isEligible(spec: ServiceSpec, node: PlacementNode): boolean {
  return (
    node.status !== "dead" &&
    !node.draining &&
    (spec.zone === null || spec.zone === node.zone) &&
    (spec.arch.length === 0 || spec.arch.includes(node.arch)) &&
    spec.memoryMaxBytes <= node.memoryMiB * 1024 * 1024 &&
    spec.devices.every((device) => node.devices.includes(device)) &&
    spec.labels.every(([name, value]) => node.labels.some(([n, v]) => n === name && v === value))
  );
}

function wantedCount(spec: ServiceSpec, eligibleCount: number): number {
  if (spec.singleton) return 1;
  return spec.replicas === "all" ? eligibleCount : spec.replicas;
}

function byScore(a: Candidate, b: Candidate): number {
  return (
    b.scoreHigh - a.scoreHigh ||
    b.scoreLow - a.scoreLow ||
    (a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0)
  );
}

/** Numbers the candidates of each zone from 0. They come sorted by score. */
function rankWithinZones(candidates: readonly Candidate[]): void {
  const seenInZone = new Map<number, number>();
  for (const candidate of candidates) {
    const rank = seenInZone.get(candidate.zone) ?? 0;
    candidate.rankInZone = rank;
    seenInZone.set(candidate.zone, rank + 1);
  }
}

function score(key: SlotKey, node: PlacementNode): Candidate {
  assert(node.nodeId.length === 16, "a node id is 16 hex digits");
  const idHigh = Number.parseInt(node.nodeId.slice(0, 8), 16);
  const idLow = Number.parseInt(node.nodeId.slice(8), 16);
  // Two lanes that each see every word, in another order, so that the pair is 64 bits wide.
  const scoreHigh = mix(mix(mix(mix(0x6d79636f, key.high), key.low), idHigh), idLow);
  const scoreLow = mix(mix(mix(mix(scoreHigh, idLow), key.low), idHigh), key.high);
  return { nodeId: node.nodeId, zone: node.zone, scoreHigh, scoreLow, rankInZone: 0 };
}

/**
 * Folds one u32 word into a u32 state. The word's spread is the 32-bit finalizer of
 * MurmurHash3 (Appleby, public domain): every input bit changes every output bit with
 * probability one half.
 */
function mix(state: number, word: number): number {
  let h = (Math.imul(state, 0x9e3779b1) + word) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
