// Simulated time: whole ticks of 100 ms from a fixed date. No wall clock decides anything.

import { TICK_MS } from "../src/node/interface.ts";

/** The date at which every simulation begins: 2025-06-15, 15:06:40 UTC. */
export const EPOCH_MS = 1_750_000_000_000;

/** True time at the start of a tick, in Unix milliseconds. */
export function msOfTick(tick: number): number {
  return EPOCH_MS + tick * TICK_MS;
}
