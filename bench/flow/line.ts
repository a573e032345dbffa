// How a trace and a shaper are told to the kernel of the little internet of tests/lab/topology.ts.

import { type LinkTrace, traceValue } from "../../sim/link-traces.ts";
import {
  BAD_REFLECTOR4,
  buildTopology,
  lineBatch,
  pathBatch,
  REFLECTORS4,
  ROUTER,
} from "../../tests/lab/topology.ts";
import type { RatePair } from "./run-spec.ts";

/** As sqm names it. */
export const IFB_DEVICE = `ifb4${ROUTER.wan}`;
/** The reflectors in a contestant's configuration, the one that turns bad first. */
export const REFLECTORS: readonly string[] = [
  BAD_REFLECTOR4,
  ...REFLECTORS4.filter((address) => address !== BAD_REFLECTOR4),
];

/** A rate for the time in which the trace carries nothing: then the path drops it all. */
const OUTAGE_KBIT = 64;

/** Shell text that makes the namespaces anew, the line as the trace starts. */
export function topologyScript(trace: LinkTrace): string {
  return buildTopology({
    ...lineRates(trace, 0),
    queueMs: trace.fifoMs,
    pathRttMs: traceValue(trace.pathRttMs, 0),
  });
}

/** Lines for `tc -batch` in the isp's namespace: the line at that time of the trace. */
export function lineCommands(trace: LinkTrace, atMs: number): string {
  return lineBatch({ ...lineRates(trace, atMs), queueMs: trace.fifoMs });
}

/** Lines for `tc -batch` in the path's namespace: its distance, its losses and the bad reflector's. */
export function pathCommands(trace: LinkTrace, atMs: number): string {
  const rttMs = traceValue(trace.pathRttMs, atMs);
  if (isOutage(trace, atMs)) return pathBatch({ rttMs, lossPercent: 100 });
  const bad = trace.badReflector;
  if (bad === null || atMs < bad.fromMs) return pathBatch({ rttMs });
  const badReflectorLossPercent = Math.round(100 / bad.lossOneIn);
  return pathBatch({ rttMs, badReflectorMs: bad.extraMs, badReflectorLossPercent });
}

/** Nothing passes in either direction. */
export function isOutage(trace: LinkTrace, atMs: number): boolean {
  return (
    traceValue(trace.download.capacityKbit, atMs) === 0 &&
    traceValue(trace.upload.capacityKbit, atMs) === 0
  );
}

/** Shell text: CAKE on both directions of the router, downloads through an IFB, as sqm would. */
export function cakeScript({ downloadKbit, uploadKbit }: RatePair): string {
  const router = `tc -n ${ROUTER.namespace}`;
  return [
    "set -e",
    `ip -n ${ROUTER.namespace} link add ${IFB_DEVICE} type ifb`,
    `ip -n ${ROUTER.namespace} link set ${IFB_DEVICE} up`,
    `${router} qdisc add dev ${ROUTER.wan} handle ffff: ingress`,
    `${router} filter add dev ${ROUTER.wan} parent ffff: protocol all matchall action mirred egress redirect dev ${IFB_DEVICE}`,
    `${router} qdisc replace dev ${ROUTER.wan} root cake bandwidth ${uploadKbit}kbit diffserv4 nat dual-srchost`,
    `${router} qdisc replace dev ${IFB_DEVICE} root cake bandwidth ${downloadKbit}kbit diffserv4 nat dual-dsthost ingress`,
    "",
  ].join("\n");
}

/** Lines for `tc -batch` in the router's namespace: CAKE at this share of the line. */
export function cakeCommands(trace: LinkTrace, atMs: number, share: number): string {
  const { downloadKbit, uploadKbit } = lineRates(trace, atMs);
  return (
    `qdisc change dev ${IFB_DEVICE} root cake bandwidth ${Math.round(downloadKbit * share)}kbit\n` +
    `qdisc change dev ${ROUTER.wan} root cake bandwidth ${Math.round(uploadKbit * share)}kbit\n`
  );
}

function lineRates(trace: LinkTrace, atMs: number): RatePair {
  return {
    downloadKbit: traceValue(trace.download.capacityKbit, atMs) || OUTAGE_KBIT,
    uploadKbit: traceValue(trace.upload.capacityKbit, atMs) || OUTAGE_KBIT,
  };
}
