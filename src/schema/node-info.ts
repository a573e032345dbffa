// What a node slot says: who the node is, where it is reached, what it offers and what it runs.

import type { Endpoint } from "../kernel/ports.ts";
import type { Architecture } from "./service.ts";

/** Where an instance stands, as its node publishes it. */
export const CLAIM_STATES = [
  "starting",
  "healthy",
  "failed",
  "stopping",
  /** Nothing runs yet: what it runs from is being built. */
  "building",
  /** Healthy at the generation of the claim; a newer one was tried here and failed. */
  "rolled-back",
] as const;
export type ClaimState = (typeof CLAIM_STATES)[number];

/** Whether an instance that is claimed so answers requests. */
export function isServing(state: ClaimState): boolean {
  return state === "healthy" || state === "rolled-back";
}

/** "I run this version of this service." Written only by the node itself. */
export interface Claim {
  /** The first 4 bytes of the service's slot key, as u32 big-endian. */
  readonly service: number;
  /** The low 32 bits of the service record's fingerprint: which version runs. */
  readonly generation: number;
  readonly state: ClaimState;
}

/**
 * Says which tombstones a node holds: the XOR of the fingerprints of all with a stamp at or
 * below `horizon`. When the whole roster says the same, they can be dropped.
 */
export interface TombstoneAck {
  readonly horizon: number;
  /** Two u32 halves of the 64-bit XOR. */
  readonly xorLow: number;
  readonly xorHigh: number;
}

export interface NodeInfo {
  /** The encoded certificate (net/certificate.ts), which carries the key, zone and roles. */
  readonly certificate: Uint8Array;
  /** A DNS label for people; not unique, never trusted. */
  readonly hostname: string;
  readonly endpoints: readonly Endpoint[];
  readonly arch: Architecture;
  readonly memoryMiB: number;
  readonly devices: readonly string[];
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Takes no new work, and hands over what it has. */
  readonly draining: boolean;
  readonly claims: readonly Claim[];
  readonly tombstoneAck: TombstoneAck | null;
}
