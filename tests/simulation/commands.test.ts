// The simulator's two commands, as people run them.
import { execa } from "execa";
import { describe, expect, it } from "vitest";

const ROOT = new URL("../..", import.meta.url);

function run(entry: string, ...args: string[]) {
  return execa("node", ["scripts/run.mjs", entry, ...args], { cwd: ROOT, reject: false });
}

describe("npm run sim", () => {
  it("prints one JSON object with the figures of a run", async () => {
    const { exitCode, stdout } = await run(
      "sim/main.ts",
      ...["--scenario", "swarm", "--seed", "0x7", "--json"],
    );
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      scenario: "swarm",
      seed: 7,
      nodes: expect.any(Number),
      services: expect.any(Number),
      converged: true,
      convergenceTicks: expect.any(Number),
      packets: expect.any(Number),
      bytes: expect.any(Number),
      stateHashes: 1,
      memoryPerNodeBytes: expect.any(Number),
      heapGrowthBytes: expect.any(Number),
      traceHash: expect.stringMatching(/^[0-9a-f]{16}$/),
      wallMs: expect.any(Number),
    });
  });

  it("names the scenarios when it does not know one", async () => {
    const { exitCode, stderr } = await run("sim/main.ts", "--scenario", "seeed");
    expect(exitCode).toBe(2);
    expect(stderr).toContain('no scenario "seeed"');
    expect(stderr).toContain("thousand");
  });

  it.each(["-1", "1e3", "0xzz", "18446744073709551616"])("refuses the seed %s", async (seed) => {
    const { exitCode, stderr } = await run("sim/main.ts", "--scenario", "swarm", `--seed=${seed}`);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("2^64");
  });
});

describe("npm run gauntlet", () => {
  it("runs swarm seeds until the time is up and counts those that passed", async () => {
    const { exitCode, stdout } = await run(
      "sim/gauntlet.ts",
      ...["--minutes", "0.15", "--seed-start", "1000"],
    );
    expect(stdout).toMatch(/^([1-9][0-9]*) of \1 seeds passed$/m);
    expect(exitCode).toBe(0);
  });
});
