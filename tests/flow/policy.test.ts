// What each persona gets of CAKE's tins.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DSCP,
  DSCP_NAMES,
  dscpOfPersona,
  dscpOfTin,
  tinOfDscp,
} from "../../src/flow/act/policy.ts";
import { TINS, type Tin } from "../../src/flow/interface.ts";
import { PERSONAS, type Persona } from "../../src/schema/service.ts";

/** The kernel's own table, tc-cake(8): the tins of diffserv4 by code point. */
const KERNEL_TINS: Readonly<Record<Tin, readonly number[]>> = {
  bulk: [8, 1],
  besteffort: [0, 10, 12, 14],
  video: [34, 36, 38, 26, 28, 30, 24, 18, 20, 22, 16, 4],
  voice: [56, 48, 46, 44, 40, 32],
};

describe("policy", () => {
  it("chooses code points that diffserv4 sorts into the tin that is meant", () => {
    for (const name of DSCP_NAMES) expect(KERNEL_TINS[tinOfDscp(name)]).toContain(DSCP[name]);
    for (const tin of TINS) expect(tinOfDscp(dscpOfTin(tin))).toBe(tin);
  });

  it.each([
    ["voip", "voice"],
    ["gaming", "voice"],
    ["video", "video"],
    ["streaming", "video"],
    ["interactive", "video"],
    ["web", "besteffort"],
    ["unknown", "besteffort"],
    ["system", "besteffort"],
    ["bulk", "bulk"],
    ["torrent", "bulk"],
  ] satisfies [Persona, Tin][])("puts %s into %s", (persona, tin) => {
    expect(tinOfDscp(dscpOfPersona(persona, {}))).toBe(tin);
  });

  it("boosts by one tin, up to Voice, and throttles to Bulk", () => {
    fc.assert(
      fc.property(fc.constantFrom(...PERSONAS), (persona) => {
        const place = (treatment: "normal" | "boost" | "throttle") =>
          TINS.indexOf(tinOfDscp(dscpOfPersona(persona, { [persona]: treatment })));
        expect(place("boost")).toBe(Math.min(place("normal") + 1, TINS.length - 1));
        expect(place("throttle")).toBe(0);
      }),
    );
  });
});
