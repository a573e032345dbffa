// CAKE's statistics as tc prints them, captured from iproute2 6.15 on kernel 6.12, and anything else.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type QdiscReading,
  readQdiscs,
  rootOf,
  TINS_OF_DIFFSERV_MODE,
} from "../../src/flow/sense/cake-stats.ts";
import { QDISCS_MAX } from "../../src/kernel/limits.ts";

function capture(name: string): string {
  return readFileSync(new URL(`captures/tc-cake-${name}.json`, import.meta.url), "utf8");
}

describe("given what tc prints", () => {
  test("the shaper of each device is found with its tins", () => {
    const readings = readQdiscs(capture("diffserv4"))!;
    expect(readings.map(({ device, kind, handle }) => `${device} ${kind} ${handle}`)).toEqual([
      "lo noqueue 0:",
      "wan0 cake 6d79:",
      "myco-wan0 cake 6d79:",
    ]);
    const { shaper } = rootOf(readings, "wan0")!;
    expect(shaper).toMatchObject({
      rateKbit: 20_000,
      sentBytes: 733_028,
      backlogBytes: 0,
      droppedPackets: 8,
    });
    expect(shaper!.tins.length).toBe(TINS_OF_DIFFSERV_MODE.diffserv4!.length);
    expect(shaper!.tins[1]).toEqual({
      sentBytes: 745_056,
      backlogBytes: 0,
      droppedPackets: 8,
      ecnMarkedPackets: 0,
      peakDelayUs: 71_441,
      averageDelayUs: 6_126,
      baseDelayUs: 71,
      sparseFlows: 1,
      bulkFlows: 1,
      unresponsiveFlows: 0,
    });
    expect(rootOf(readings, "myco-wan0")!.shaper!.rateKbit).toBe(80_000);
    expect(rootOf(readings, "eth7")).toBe(null);
    // Of an answer that names no device nobody can tell whose it is.
    expect(rootOf(readQdiscs(capture("besteffort"))!, "wan0")).toBe(null);
  });

  test.each([
    ["besteffort", 2_000, 1],
    ["unlimited", 0, 3],
    ["precedence", 1_000_000, 8],
  ])("%s has its rate and its number of tins", (name, rateKbit, tinCount) => {
    const [{ shaper }] = readQdiscs(capture(name)) as [QdiscReading];
    expect([shaper!.rateKbit, shaper!.tins.length]).toEqual([rateKbit, tinCount]);
  });
});

describe("given something else", () => {
  const whole = capture("besteffort");

  test.each([
    ["a truncated answer", whole.slice(0, -3)],
    ["no list", "{}"],
    ["nothing", ""],
    ["too many", JSON.stringify(new Array(QDISCS_MAX + 1).fill({ kind: "cake" }))],
  ])("%s is no answer", (_, text) => {
    expect(readQdiscs(text)).toBe(null);
  });

  test.each([
    '"sent_bytes":0',
    '"bandwidth":250000',
    '"backlog":0',
    '"base_delay_us":0',
    '"bulk_flows":0',
  ])("a shaper without a believable %s is missing, not zero", (field) => {
    const name = field.split(":")[0];
    for (const value of ["-1", '"7"', "1.5", "null", "1e300"]) {
      const [reading] = readQdiscs(whole.replace(field, `${name}:${value}`))!;
      expect(reading).toMatchObject({ kind: "cake", shaper: null });
    }
  });

  test("any text and any JSON gives null or qdiscs", () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `[${json}]`),
    );
    fc.assert(
      fc.property(text, (json) => {
        const readings = readQdiscs(json);
        for (const reading of readings ?? []) expect(typeof reading.kind).toBe("string");
      }),
    );
  });

  test("an answer with any part of it replaced never gives an unbelievable number", () => {
    fc.assert(
      fc.property(
        fc.nat(whole.length),
        fc.nat(20),
        fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom("-9", "{}", "[", "1e99", "null")),
        (at, cut, text) => {
          for (const { shaper } of readQdiscs(whole.slice(0, at) + text + whole.slice(at + cut)) ??
            []) {
            if (shaper === null) continue;
            expect(shaper.rateKbit).toBeGreaterThanOrEqual(0);
            for (const tin of shaper.tins) {
              expect(Object.values(tin).every((n) => Number.isSafeInteger(n) && n >= 0)).toBe(true);
            }
          }
        },
      ),
    );
  });
});
