// What a full packet takes on the line beside what the interface counts (tc-cake(8), overhead
// compensation): the counters do not know of it, the shaper does.

import type { FlowSettings } from "../../schema/flow-settings.ts";

export type LinkLayer = FlowSettings["linkLayer"];

const PAYLOAD_BYTES = 1_500;
const ETHERNET_BYTES = 14;
const ATM_PAYLOAD_BYTES = 48;
const ATM_CELL_BYTES = 53;
/** PTM's 64/65 coding (IEEE 802.3, clause 61). */
const PTM_SHARE = 65 / 64;

/** Bytes on the line for each byte the interface counts, in full packets. */
export function wireShare({ framing, overheadBytes, mpuBytes }: LinkLayer): number {
  const counted = PAYLOAD_BYTES + ETHERNET_BYTES;
  if (framing === "none" && overheadBytes === 0) return 1;
  const packet = Math.max(PAYLOAD_BYTES + overheadBytes, mpuBytes);
  if (framing === "atm") {
    return (Math.ceil(packet / ATM_PAYLOAD_BYTES) * ATM_CELL_BYTES) / counted;
  }
  return (framing === "ptm" ? packet * PTM_SHARE : packet) / counted;
}
