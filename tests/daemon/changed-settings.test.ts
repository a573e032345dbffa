import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { changedSettings } from "../../src/daemon/changed-settings.ts";
import { parseConfiguration } from "../../src/schema/configuration.ts";

function changed(before: string, after: string) {
  return changedSettings(parseConfiguration(before, "a"), parseConfiguration(after, "b"));
}

describe("what a reload changes", () => {
  it("is nothing for the same file", () => {
    expect(changed("memory: 1G", "memory: 1G")).toEqual({ applied: [], restart: [] });
  });

  it("is told by the names people write, and by whether it waits for a restart", () => {
    const after = `
memory: 2G
dns: { ttlSeconds: 9 }
engine: { stableWait: 3s }
log: { level: debug, format: pretty }
flow: { tau: 100ms, maxCpu: 20, download: { max: 90000 }, persona: { tap: "off" } }
uci: null
`;
    expect(changed("", after)).toEqual({
      applied: ["log.level", "flow.download", "flow.maxCpu", "flow.tau", "flow.persona"],
      restart: ["memory", "dns.ttlSeconds", "engine.stableWait", "log.format"],
    });
  });

  it("tells settings apart whose names begin alike", () => {
    expect(changed("", "flow: { m: 5 }").applied).toEqual(["flow.m"]);
    expect(changed("", "flow: { stepDown: 50 }").applied).toEqual(["flow.stepDown"]);
    expect(changed("", "flow: { metricsFile: /tmp/m }").applied).toEqual(["flow.metricsFile"]);
  });

  it("names each setting once, on one side", () => {
    const rewrite = fc.record({
      k: fc.integer({ min: 1, max: 3 }),
      sampleHz: fc.integer({ min: 5, max: 12 }),
      ttlSeconds: fc.integer({ min: 3, max: 7 }),
    });
    fc.assert(
      fc.property(rewrite, ({ k, sampleHz, ttlSeconds }) => {
        const { applied, restart } = changed(
          "",
          JSON.stringify({ flow: { k, sampleHz }, dns: { ttlSeconds } }),
        );
        expect(applied).toEqual([
          ...(sampleHz === 10 ? [] : ["flow.sampleHz"]),
          ...(k === 3 ? [] : ["flow.k"]),
        ]);
        expect(restart).toEqual(ttlSeconds === 5 ? [] : ["dns.ttlSeconds"]);
      }),
    );
  });
});
