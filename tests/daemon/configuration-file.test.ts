import { describe, expect, it } from "vitest";
import { loadConfiguration } from "../../src/daemon/configuration-file.ts";

describe("the daemon's configuration", () => {
  it("is all defaults without a file", async () => {
    const configuration = await loadConfiguration(null, {});
    expect(configuration.dataDir).toBe("/var/lib/myco");
    expect(configuration.listen).toEqual(["0.0.0.0:7946", "[::]:7946"]);
  });

  it("follows the command line where that says something", async () => {
    const configuration = await loadConfiguration(null, {
      dataDir: "/tmp/a",
      listen: ["[0:0::1]:7000"],
      peers: ["192.0.2.1:7946"],
      hostname: "attic",
      dnsListen: false,
    });
    expect(configuration).toMatchObject({
      dataDir: "/tmp/a",
      listen: ["[::1]:7000"],
      peers: ["192.0.2.1:7946"],
      hostname: "attic",
      dns: { listen: null, domain: "myco" },
      engine: { workDir: "/tmp/a/work" },
    });
  });

  it("says what is allowed for an address that is none", async () => {
    const load = loadConfiguration(null, { dnsListen: "localhost:53" });
    await expect(load).rejects.toThrow(
      /found the address "localhost:53"; allowed: an IP address and a port/,
    );
  });
});
