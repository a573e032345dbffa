import { describe, expect, test } from "vitest";
import { buildTopology, lineBatch, pathBatch, rateBatch } from "./topology.ts";

describe("the line", () => {
  test("has a FIFO that holds what drains in its time", () => {
    expect(rateBatch("download", 80_000, 600)).toContain("bfifo limit 6000000\n");
    expect(rateBatch("upload", 8_000, 1_000)).toContain("dev core0 parent 1:1");
  });

  test("always has room for ten packets", () => {
    expect(rateBatch("upload", 64, 100)).toContain("bfifo limit 15000\n");
  });

  test("is given both directions at once", () => {
    const lines = lineBatch({ downloadKbit: 50_000, uploadKbit: 10_000 }).trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toContain("dev home0 parent 1: classid 1:1 htb rate 50000kbit");
    expect(lines[2]).toContain("dev core0 parent 1: classid 1:1 htb rate 10000kbit");
  });
});

test("the path has half of its round trip each way, and a bad reflector more", () => {
  const [out, back, bad] = pathBatch({ rttMs: 50, lossPercent: 1, badReflectorMs: 100 }).split(
    "\n",
  );
  expect(out).toContain("dev far0 root handle 10: netem delay 25ms loss 1%");
  expect(back).toContain("delay 25ms");
  expect(bad).toContain("delay 125ms");
});

test("the shaped interface is never called what shapers take for a virtual one", () => {
  const devices = buildTopology({ downloadKbit: 1_000, uploadKbit: 1_000 }).matchAll(
    /link add (\S+) .* peer name (\S+)/g,
  );
  const names = [...devices].flatMap(([, near, far]) => [near, far]);
  expect(names).toHaveLength(8);
  for (const name of names) expect(name).not.toMatch(/^(veth|ifb)/);
});
