// The names and numbers by which the kernel's things are known to be ours: after a crash the next
// daemon takes them over, and nobody else's is ever touched.

import { assert } from "../../kernel/assert.ts";

/** Of both CAKE qdiscs: "my". tc gives handles of its own from 8001: up, people use small ones. */
export const QDISC_HANDLE = "6d79:";

/** The one table of ours, in the family that sees IPv4 and IPv6. */
export const NFT_TABLE = "inet mycoflow";

/** Where first packets of flows go to be recognised; `tcpdump -i nflog:NUMBER` reads them there. */
export const NFLOG_GROUP = 28025;

/**
 * The bits of a connection's mark that are ours; no other is written. In the first byte, away from
 * mwan3 (0x3f00), pbr (0xff0000) and the low byte that sqm, QoSmate and wg-quick work in.
 */
export const MARK_MASK = 0xfe000000;
/** Six bits: the DSCP the flow's packets shall carry, in both directions. */
export const MARK_DSCP_MASK = 0xfc000000;
/** One bit: the six above say something. Without it a mark of 0 would read as a DSCP of 0. */
export const MARK_VALID = 0x02000000;
const MARK_DSCP_SHIFT = 26;

const DEVICE_NAME_LENGTH_MAX = 15;
const IFB_PREFIX = "myco-";

/** The device downloads of `device` are shaped on. Not `ifb4…`: that is sqm's. */
export function ifbOf(device: string): string {
  return (IFB_PREFIX + device).slice(0, DEVICE_NAME_LENGTH_MAX);
}

/** Whether a root qdisc is one of ours, of this life or one before. */
export function isOurShaper(
  qdisc: { readonly kind: string; readonly handle: string } | null,
): boolean {
  return qdisc !== null && qdisc.kind === "cake" && qdisc.handle === QDISC_HANDLE;
}

/** The bits of `MARK_MASK` for a DSCP of 0 to 63. */
export function markOfDscp(dscp: number): number {
  assert(Number.isInteger(dscp) && dscp >= 0 && dscp < 64, "a DSCP has six bits");
  return ((dscp << MARK_DSCP_SHIFT) | MARK_VALID) >>> 0;
}

/** The DSCP a mark carries under our mask; null when it says nothing. */
export function dscpOfMark(mark: number): number | null {
  return (mark & MARK_VALID) === 0 ? null : mark >>> MARK_DSCP_SHIFT;
}
