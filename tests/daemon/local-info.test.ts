import { describe, expect, it } from "vitest";
import {
  advertisedEndpoints,
  hostLabel,
  type InterfaceAddress,
} from "../../src/daemon/local-info.ts";
import { ENDPOINTS_MAX } from "../../src/kernel/limits.ts";

const loopback: InterfaceAddress[] = [
  { family: 4, address: "127.0.0.1", internal: true },
  { family: 6, address: "::1", internal: true },
];
const lan: InterfaceAddress = { family: 4, address: "192.0.2.7", internal: false };
const wan: InterfaceAddress = { family: 6, address: "2001:db8::7", internal: false };

describe("the advertised endpoints", () => {
  it("are the machine's addresses where a wildcard is bound, each family its own", () => {
    const bound = ["0.0.0.0:7946", "[::]:7947"];
    expect(advertisedEndpoints(bound, [...loopback, wan, lan])).toEqual([
      "192.0.2.7:7946",
      "[2001:db8::7]:7947",
    ]);
  });

  it("are what is bound where that is concrete", () => {
    expect(advertisedEndpoints(["127.0.0.2:17001"], [...loopback, lan])).toEqual([
      "127.0.0.2:17001",
    ]);
  });

  it("are loopback on a machine without any network", () => {
    expect(advertisedEndpoints(["0.0.0.0:7946", "[::]:7946"], loopback)).toEqual([
      "127.0.0.1:7946",
    ]);
    expect(advertisedEndpoints(["[::]:7946"], loopback)).toEqual(["[::1]:7946"]);
  });

  it("are no more than a node slot takes, each once", () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ ...lan, address: `192.0.2.${i >> 1}` }));
    const endpoints = advertisedEndpoints(["0.0.0.0:7946"], many);
    expect(endpoints).toHaveLength(ENDPOINTS_MAX);
    expect(new Set(endpoints).size).toBe(ENDPOINTS_MAX);
  });
});

describe("a host's label", () => {
  it("is the first label of the machine's name, made fit", () => {
    expect(hostLabel("Cellar.example.org", "0123456789abcdef")).toBe("cellar");
    expect(hostLabel("my_pc", "0123456789abcdef")).toBe("my-pc");
    expect(hostLabel("x".repeat(80), "0123456789abcdef")).toBe("x".repeat(63));
  });

  it("is made of the node's id when the machine's name gives none", () => {
    for (const name of ["", "..", "___", "日本"]) {
      expect(hostLabel(name, "0123456789abcdef")).toBe("node-01234567");
    }
  });
});
