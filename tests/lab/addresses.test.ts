import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assignAddresses, networkParameters } from "./addresses.ts";

describe("addresses of guests", () => {
  test("follow the order of their names, not of their listing", () => {
    const [client, router] = assignAddresses({ router: [1, 2], client: [2] });
    expect(client).toMatchObject({ name: "client", number: 1 });
    expect(client!.links[0]).toEqual({
      vlan: 2,
      mac: "52:54:00:12:02:01",
      interfaceName: "eth1",
      address4: "192.168.2.1",
      address6: "2001:db8:2::1",
    });
    expect(router!.links.map(({ interfaceName, address4 }) => [interfaceName, address4])).toEqual([
      ["eth1", "192.168.1.2"],
      ["eth2", "192.168.2.2"],
    ]);
  });

  test("are each given once", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const vlans = fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { maxLength: 5 });
    fc.assert(
      fc.property(fc.dictionary(name, vlans, { maxKeys: 20 }), (guests) => {
        const links = assignAddresses(guests).flatMap((guest) => guest.links);
        for (const key of ["mac", "address4", "address6"] as const) {
          expect(new Set(links.map((link) => link[key])).size).toBe(links.length);
        }
      }),
    );
  });

  test("are refused for what is no host name or no VLAN", () => {
    expect(() => assignAddresses({ Router: [] })).toThrow('"Router" is no host name');
    expect(() => assignAddresses({ a: [0] })).toThrow("VLAN 0 is not in 1..255");
    expect(() => assignAddresses({ a: [256] })).toThrow("VLAN 256");
  });

  test("reach the guest with every other's name", () => {
    const [alice, bob] = assignAddresses({ alice: [], bob: [1] });
    expect(networkParameters(alice!, [alice!, bob!])).toEqual([
      "lab.name=alice",
      "lab.host=192.168.1.2,bob",
      "lab.host=2001:db8:1::2,bob",
    ]);
    expect(networkParameters(bob!, [bob!])).toContain(
      "lab.link=52:54:00:12:01:02,eth1,192.168.1.2/24,2001:db8:1::2/64",
    );
  });
});
