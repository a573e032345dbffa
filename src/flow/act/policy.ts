// What each persona gets of CAKE's tins: the code point its packets carry, chosen so that
// `diffserv4` (tc-cake(8)) sorts it into the tin meant, and that it says the same to Wi-Fi and to
// networks beyond (RFC 4594, RFC 8325).

import { assert } from "../../kernel/assert.ts";
import type { PersonaTreatment } from "../../schema/flow-settings.ts";
import { PERSONAS, type Persona } from "../../schema/service.ts";
import { TINS, type Tin } from "../interface.ts";

/** Code points by name (RFC 2474, RFC 2597, RFC 3246), as nft and tc write them. */
export const DSCP = {
  cs0: 0,
  cs1: 8,
  af21: 18,
  af31: 26,
  cs4: 32,
  af41: 34,
  ef: 46,
} as const;
export type DscpName = keyof typeof DSCP;

export const DSCP_NAMES = Object.keys(DSCP) as readonly DscpName[];

/** The tin of each code point under `diffserv4`. */
const TIN_OF_DSCP: Readonly<Record<DscpName, Tin>> = {
  cs0: "besteffort",
  cs1: "bulk",
  af21: "video",
  af31: "video",
  cs4: "voice",
  af41: "video",
  ef: "voice",
};

/** What stands for a tin where no persona does: probes, boosts and throttles. */
const DSCP_OF_TIN: Readonly<Record<Tin, DscpName>> = {
  bulk: "cs1",
  besteffort: "cs0",
  video: "af41",
  voice: "cs4",
};

/**
 * Calls and games want their packets at once and send few: Voice. Conferences, live and recorded
 * video and remote shells want a steady share: Video. Downloads may wait: Bulk. What is not known
 * is Best Effort, whatever the sender claims for it.
 */
const USUAL: Readonly<Record<Persona, DscpName>> = {
  unknown: "cs0",
  voip: "ef",
  gaming: "cs4",
  video: "af41",
  streaming: "af31",
  interactive: "af21",
  web: "cs0",
  bulk: "cs1",
  torrent: "cs1",
  system: "cs0",
};

export function tinOfDscp(name: DscpName): Tin {
  return TIN_OF_DSCP[name];
}

export function dscpOfTin(tin: Tin): DscpName {
  return DSCP_OF_TIN[tin];
}

/** The code point for a persona: its usual one, that of the next better tin, or that of Bulk. */
export function dscpOfPersona(
  persona: Persona,
  treatment: Readonly<Partial<Record<Persona, PersonaTreatment>>>,
): DscpName {
  const usual = USUAL[persona];
  const wanted = treatment[persona] ?? "normal";
  if (wanted === "throttle") return DSCP_OF_TIN.bulk;
  if (wanted === "normal") return usual;
  const tin = TINS[TINS.indexOf(TIN_OF_DSCP[usual]) + 1];
  return tin === undefined ? usual : DSCP_OF_TIN[tin];
}

assert(
  PERSONAS.every((persona) => USUAL[persona] in TIN_OF_DSCP),
  "each persona has a tin",
);
