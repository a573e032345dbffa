// Whose queue it is: given that RTT has risen, which of our two directions is to blame, if any.

import type { Direction } from "../interface.ts";
import type { DelayFacts } from "./delay.ts";
import type { Charge, DirectionController } from "./direction.ts";

/** A direction that uses less than this of its rate has not been held up by the line, unless its rate just changed. */
const FULL_USE_SHARE = 0.75;
/** A rate that moved by this while the delay rose moved with it. */
const MOVED_SHARE = 0.8;
/** What the line carried before the delay rose is meant over this. */
const BEFORE_MS = 1_000;
/** A delay that grows this much faster than a probe overdrives the line is not the probe's doing. */
const STEEP_FACTOR = 3;
const STEEP_SLOPE = 0.15;

/** Evidence that is not strong needs the delay to last. */
const PATIENCE_MS = 1_000;

export type Charges = Readonly<Record<Direction, Charge>>;

const FREE: Charge = { guilty: false, alternative: false };
const GUILTY: Charge = { guilty: true, alternative: false };
const DOUBTFUL: Charge = { guilty: true, alternative: true };
const NO_CHARGES: Charges = { download: FREE, upload: FREE };

/** How well the evidence fits: not at all, perhaps, well. */
type Suspicion = 0 | 1 | 2;

/**
 * Download: its queue is what the ISP holds back, so our own shaper runs dry while traffic is there;
 * a queue of our own speaks for it. Upload: nothing is seen behind the modem; enough traffic makes a
 * suspect.
 */
function suspicion(
  controller: DirectionController,
  { severe }: DelayFacts,
  risenSinceMs: number,
): Suspicion {
  const { direction, traffic, loaded } = controller;
  if (!loaded) return 0;
  const { proven, atCapacity, phase } = controller;
  // A rate that was proven does not become too high by a little delay; one that drains is not proven by it.
  if (proven && !atCapacity && !severe && phase !== "drain") return 1;
  if (direction === "download") {
    const held = traffic.unqueued || controller.atCapacity;
    return held && fits(controller, risenSinceMs) ? 2 : 1;
  }
  if (controller.belowGood && !severe && phase !== "drain") return 1;
  return traffic.queued || fits(controller, risenSinceMs) ? 2 : 1;
}

/** What each direction is charged with, now that the delay is as it is. */
export function charges(
  download: DirectionController,
  upload: DirectionController,
  facts: DelayFacts,
): Charges {
  const { atMs, risenSinceMs } = facts;
  if (risenSinceMs === null || !facts.bloated) return ofProbe(download, upload, facts);
  const patient = atMs - risenSinceMs >= PATIENCE_MS ? 1 : 2;
  const suspected = (controller: DirectionController) =>
    !controller.acquitted(atMs, risenSinceMs) &&
    suspicion(controller, facts, risenSinceMs) >= patient;
  const down = suspected(download);
  const up = suspected(upload);
  if (!down && !up) return NO_CHARGES;
  if (download.phase === "drain") return { download: up ? DOUBTFUL : GUILTY, upload: FREE };
  if (upload.phase === "drain") return { download: FREE, upload: down ? DOUBTFUL : GUILTY };
  if (!up) return { download: GUILTY, upload: FREE };
  if (!down) return { download: FREE, upload: GUILTY };
  return prime(download, upload, facts, risenSinceMs) === "download"
    ? { download: DOUBTFUL, upload: FREE }
    : { download: FREE, upload: DOUBTFUL };
}

/** Before the delay counts as bloat, it may already answer a probe for more. */
function ofProbe(
  download: DirectionController,
  upload: DirectionController,
  facts: DelayFacts,
): Charges {
  if (download.probeAnswered(facts)) return { download: GUILTY, upload: FREE };
  if (upload.probeAnswered(facts)) return { download: FREE, upload: GUILTY };
  return NO_CHARGES;
}

/** Whom to blame, when both are suspects. */
function prime(
  download: DirectionController,
  upload: DirectionController,
  facts: DelayFacts,
  risenSinceMs: number,
): Direction {
  const down = suspicion(download, facts, risenSinceMs);
  const up = suspicion(upload, facts, risenSinceMs);
  if (upload.exploring && !tooSteep(upload, facts.slope)) return "upload";
  if (download.exploring && down === 2 && !tooSteep(download, facts.slope)) return "download";
  if (down !== up) return down > up ? "download" : "upload";
  if (download.atCapacity !== upload.atCapacity) return download.atCapacity ? "download" : "upload";
  return upload.guilt(facts.atMs) > download.guilt(facts.atMs) ? "upload" : "download";
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
