// Letting go of tombstones, safely. A tombstone may be forgotten only when no member can still
// hold the slot that it deleted. So each member publishes, in its own node slot, a horizon and
// the XOR of all tombstones up to it that it holds durably; when the whole roster has published
// the same pair, all drop those tombstones, and the horizon travels on in every packet's digest.

import { SESSION_EXPIRY_MS } from "../kernel/limits.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { TombstoneAck } from "../schema/node-info.ts";
import { CLOCK_DRIFT_MAX_MS, STAMPS_PER_MS, stampMs } from "../sync/hybrid-clock.ts";
import type { SlotTable } from "../sync/slot-table.ts";

/** Horizons are whole multiples of this, so that members come to the same ones. */
const HORIZON_STEP_MS = 60_000;
/**
 * A tombstone is at least this old before anyone offers to drop it: by then no packet sent
 * before it can be opened any more, and clocks may differ.
 */
export const REAP_AGE_MIN_MS = SESSION_EXPIRY_MS + 2 * CLOCK_DRIFT_MAX_MS;
/** How often the roster's acknowledgements are looked through. */
export const REAP_INTERVAL_MS = 5_000;

/** One roster member's word, as its node slot has it. */
export interface RosterAck {
  readonly nodeId: NodeId;
  readonly ack: TombstoneAck | null;
}

/** What a look at the roster leads to. */
export type ReapDecision =
  | { readonly kind: "wait" }
  /** Publish this in our node slot. */
  | { readonly kind: "acknowledge"; readonly ack: TombstoneAck }
  /** All agree: tombstones up to `horizon` may go. */
  | { readonly kind: "reap"; readonly horizon: number };

/**
 * Decides from the table and the roster, without memory of its own.
 * @param own what we have published last
 * @param others what every other roster member has published last
 * @param state `logged`: whether all we hold is on disk; `equalMs`: when our table last equalled
 *   a peer's, so that nothing we wrote before is known to us alone
 */
export function decideReaping(
  table: SlotTable,
  own: TombstoneAck | null,
  others: readonly RosterAck[],
  state: { nowMs: number; reapedThrough: number; logged: boolean; equalMs: number },
): ReapDecision {
  const newest = newestHorizon(state.nowMs);
  let horizon = publishedHorizon(own, others, newest, state.reapedThrough);
  let held = tombstonesThrough(table, horizon);
  if (held.count === 0) {
    // None was published, or those it was published for have been written over since.
    horizon = newest;
    held = tombstonesThrough(table, horizon);
  }
  if (held.count === 0) return { kind: "wait" };
  const ack: TombstoneAck = { horizon, xorLow: held.xorLow, xorHigh: held.xorHigh };
  if (own === null || !sameAck(own, ack)) {
    const isShared = others.length === 0 || state.equalMs > stampMs(horizon);
    return state.logged && isShared ? { kind: "acknowledge", ack } : { kind: "wait" };
  }
  const agreed = others.every((member) => member.ack !== null && sameAck(member.ack, ack));
  return agreed ? { kind: "reap", horizon } : { kind: "wait" };
}

/** Whether a peer may have reaped through `horizon`, however much our clocks differ. */
export function isPlausibleHorizon(horizon: number, nowMs: number): boolean {
  return stampMs(horizon) <= nowMs - SESSION_EXPIRY_MS;
}

/** The tombstones with a stamp at or below `horizon`, summed up. */
export function tombstonesThrough(
  table: SlotTable,
  horizon: number,
): { count: number; xorHigh: number; xorLow: number } {
  let count = 0;
  let xorHigh = 0;
  let xorLow = 0;
  for (const slot of table.slots()) {
    if (!table.isTombstone(slot) || table.stamp(slot) > horizon) continue;
    count += 1;
    xorHigh = (xorHigh ^ table.fingerprintHigh(slot)) >>> 0;
    xorLow = (xorLow ^ table.fingerprintLow(slot)) >>> 0;
  }
  return { count, xorHigh, xorLow };
}

/** The greatest that anyone has published, unless it is from the future or done with; 0 when there is none. */
function publishedHorizon(
  own: TombstoneAck | null,
  others: readonly RosterAck[],
  newest: number,
  reapedThrough: number,
): number {
  let greatest = 0;
  for (const ack of [own, ...others.map((member) => member.ack)]) {
    if (ack === null || ack.horizon > newest || ack.horizon <= reapedThrough) continue;
    if (ack.horizon > greatest) greatest = ack.horizon;
  }
  return greatest;
}

function newestHorizon(nowMs: number): number {
  const ms = Math.floor((nowMs - REAP_AGE_MIN_MS) / HORIZON_STEP_MS) * HORIZON_STEP_MS;
  return Math.max(0, ms) * STAMPS_PER_MS;
}

function sameAck(a: TombstoneAck, b: TombstoneAck): boolean {
  return a.horizon === b.horizon && a.xorLow === b.xorLow && a.xorHigh === b.xorHigh;
}
