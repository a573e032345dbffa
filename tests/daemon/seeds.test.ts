import { describe, expect, it } from "vitest";
import { Seeds } from "../../src/daemon/seeds.ts";
import { SEED_PEERS_MAX } from "../../src/kernel/limits.ts";

describe("the seeds", () => {
  it("are addresses at once, and names once they are found", async () => {
    const found = new Map([["cellar.example.org", [{ address: "2001:db8::5", family: 6 }]]]);
    const resolve = async (host: string) => {
      const addresses = found.get(host);
      if (addresses === undefined) throw new Error("ENOTFOUND");
      return addresses;
    };
    const peers = ["192.0.2.1:7946", "cellar.example.org:7946", "attic.example.org:7000"];
    const seeds = new Seeds(peers, ["192.0.2.9:7946"], resolve);
    const { endpoints } = seeds;
    expect(endpoints).toEqual(["192.0.2.1:7946", "192.0.2.9:7946"]);

    await seeds.tick(0);
    expect(endpoints).toContain("[2001:db8::5]:7946");
    expect(seeds.unresolved).toEqual(["attic.example.org:7000"]);

    found.set("attic.example.org", [{ address: "192.0.2.44", family: 4 }]);
    await seeds.tick(1_000);
    expect(seeds.unresolved).toHaveLength(1);
    await seeds.tick(60_000);
    expect(endpoints).toContain("192.0.2.44:7000");
    expect(seeds.unresolved).toEqual([]);
  });

  it("are bounded and each once, whatever a name resolves to", async () => {
    const addresses = Array.from({ length: 200 }, (_, i) => ({
      address: `192.0.2.${i % 100}`,
      family: 4,
    }));
    const seeds = new Seeds(["many.example.org:7946"], [], async () => addresses);
    await seeds.tick(0);
    expect(seeds.endpoints).toHaveLength(SEED_PEERS_MAX);
    expect(new Set(seeds.endpoints).size).toBe(SEED_PEERS_MAX);
  });
});
