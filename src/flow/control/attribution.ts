// Whose queue it is: given that RTT has risen, which of our two directions is to blame, if any.

import type { Direction } from "../interface.ts";
import type { DirectionController } from "./direction.ts";

/** A direction that uses less than this of its rate has not been held up by the line, unless its rate just changed. */
const FULL_USE_SHARE = 0.75;
/** A rate that moved by this while the delay rose moved with it. */
const MOVED_SHARE = 0.8;
/** What the line carried before the delay rose is meant over this. */
const BEFORE_MS = 1_000;
/** A delay that grows this much faster than a probe overdrives the line is not the probe's doing. */
const STEEP_FACTOR = 3;
const STEEP_SLOPE = 0.15;

/** How well the evidence fits: not at all, perhaps, well. */
export type Suspicion = 0 | 1 | 2;

/**
 * Download: its queue is what the ISP holds back, so our own shaper runs dry while traffic is there;
 * a queue of our own speaks for it. Upload: nothing is seen behind the modem; enough traffic makes a
 * suspect.
 */
export function suspicion(controller: DirectionController, risenSinceMs: number): Suspicion {
  const { direction, traffic, loaded } = controller;
  if (!loaded) return 0;
  if (direction === "download") return traffic.unqueued && fits(controller, risenSinceMs) ? 2 : 1;
  return traffic.queued || fits(controller, risenSinceMs) ? 2 : 1;
}

/** Whom to blame, when both are suspects. @param slope of the delay, ms a ms */
export function prime(
  download: DirectionController,
  upload: DirectionController,
  risenSinceMs: number,
  slope: number,
): Direction {
  const down = suspicion(download, risenSinceMs);
  const up = suspicion(upload, risenSinceMs);
  if (upload.exploring && !tooSteep(upload, slope)) return "upload";
  if (download.exploring && down === 2 && !tooSteep(download, slope)) return "download";
  return down > up ? "download" : "upload";
}

function tooSteep(explorer: DirectionController, slope: number): boolean {
  return slope > STEEP_SLOPE + STEEP_FACTOR * explorer.overshoot;
}

/** In full use, or its rate moved together with the delay. */
function fits({ traffic, rateKbit }: DirectionController, risenSinceMs: number): boolean {
  const nowKbit = traffic.lineKbit ?? 0;
  if (nowKbit >= FULL_USE_SHARE * rateKbit) return true;
  const beforeKbit = traffic.rateSince(risenSinceMs - BEFORE_MS, risenSinceMs) ?? nowKbit;
  return nowKbit <= MOVED_SHARE * beforeKbit || beforeKbit <= MOVED_SHARE * nowKbit;
}
