// A node's own words as a slot's body, and the endpoints in it.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CERTIFICATE_BYTES_MAX,
  CLAIMS_MAX,
  ENDPOINTS_MAX,
  NODE_FACTS_BYTES_MAX,
  SLOT_BODY_BYTES_MAX,
} from "../../src/kernel/limits.ts";
import {
  canonicalEndpoint,
  formatEndpoint,
  isDialable,
  parseEndpoint,
} from "../../src/schema/endpoint.ts";
import { SlotTooLargeError } from "../../src/schema/fields.ts";
import type { Claim, NodeInfo } from "../../src/schema/node-info.ts";
import { decodeNodeInfo, encodeNodeInfo, NodeInfoError } from "../../src/schema/node-info-codec.ts";
import { hostLabelOf } from "../../src/schema/text-rules.ts";
import { FormatError } from "../../src/schema/varint.ts";
import { anyEndpoint, anyNodeInfo } from "./arbitraries.ts";

const usual: NodeInfo = {
  certificate: new Uint8Array(105).fill(7),
  hostname: "cellar",
  endpoints: ["192.0.2.1:7946", "[2001:db8::1]:7946"],
  arch: "aarch64",
  memoryMiB: 4096,
  devices: [],
  labels: [],
  draining: false,
  claims: [],
  tombstoneAck: null,
};
const claim: Claim = { service: 0xffff_ffff, generation: 0xffff_ffff, state: "stopping" };

describe("encoding a node", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(anyNodeInfo, (info) => {
        expect(decodeNodeInfo(encodeNodeInfo(info))).toEqual(info);
      }),
      { numRuns: 500 },
    );
  });

  it("writes a usual node in less than 160 bytes, and a claim in 9", () => {
    const bytes = encodeNodeInfo({ ...usual, endpoints: usual.endpoints.slice(0, 1) });
    expect(bytes.length).toBeLessThan(135);
    expect(encodeNodeInfo(usual).length).toBeLessThan(160);
    const two = encodeNodeInfo({ ...usual, claims: [claim, claim] }).length;
    expect(two - encodeNodeInfo({ ...usual, claims: [claim] }).length).toBe(9);
  });

  it("has room for every claim beside the longest facts and certificate", () => {
    const info: NodeInfo = {
      ...usual,
      certificate: new Uint8Array(CERTIFICATE_BYTES_MAX),
      endpoints: new Array(ENDPOINTS_MAX).fill("[2001:db8:1:2:3:4:5:6]:65535"),
      hostname: "h".repeat(63),
      claims: new Array(CLAIMS_MAX).fill(claim),
      draining: true,
      tombstoneAck: { horizon: Number.MAX_SAFE_INTEGER, xorLow: 1, xorHigh: 2 },
    };
    const bytes = encodeNodeInfo(info);
    expect(bytes.length).toBeLessThanOrEqual(SLOT_BODY_BYTES_MAX);
    expect(decodeNodeInfo(bytes)).toEqual(info);
  });

  it("refuses facts that would leave no room for claims, before there are any", () => {
    const labels = Array.from(
      { length: 8 },
      (_, index) => [`label-${index}`, "x".repeat(40)] as const,
    );
    const encode = (): Uint8Array => encodeNodeInfo({ ...usual, labels });
    expect(encode).toThrow(SlotTooLargeError);
    expect(encode).toThrow(new RegExp(`${NODE_FACTS_BYTES_MAX} are allowed.*labels`));
  });

  it.each<[string, Partial<NodeInfo>]>([
    ["hostname", { hostname: "Cellar.lan" }],
    ["endpoints", { endpoints: ["[2001:DB8::1]:7946"] }],
    ["endpoints", { endpoints: ["0.0.0.0:7946"] }],
    ["endpoints", { endpoints: ["192.0.2.1:0"] }],
    ["certificate", { certificate: new Uint8Array(0) }],
    ["claims", { claims: new Array(CLAIMS_MAX + 1).fill(claim) }],
    ["devices", { devices: ["/etc"] }],
    [
      "labels",
      {
        labels: [
          ["b", ""],
          ["a", ""],
        ],
      },
    ],
    ["memoryMiB", { memoryMiB: 0.5 }],
  ])("refuses a wrong %s: %j", (field, change) => {
    const encode = (): Uint8Array => encodeNodeInfo({ ...usual, ...change });
    expect(encode).toThrow(NodeInfoError);
    expect(encode).toThrow(new RegExp(field));
  });
});

describe("decoding a node", () => {
  it("survives arbitrary bytes with a FormatError", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: SLOT_BODY_BYTES_MAX + 10 }), expectSound), {
      numRuns: 2_000,
    });
  });

  it("survives a flipped byte with a FormatError, or still reads a sound node", () => {
    fc.assert(
      fc.property(anyNodeInfo, fc.nat(), fc.integer({ min: 1, max: 255 }), (info, at, flip) => {
        const bytes = encodeNodeInfo(info).slice();
        bytes[at % bytes.length]! ^= flip;
        expectSound(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("skips the fields of a newer version", () => {
    const newer = Uint8Array.from([...encodeNodeInfo(usual), 0x64, 1, 0x67, 2, 9, 9]);
    expect(decodeNodeInfo(newer)).toEqual(usual);
  });

  it("keeps nothing of the memory it read from", () => {
    const bytes = encodeNodeInfo(usual).slice();
    const info = decodeNodeInfo(bytes);
    bytes.fill(0);
    expect(info).toEqual(usual);
  });
});

describe("an endpoint", () => {
  it("comes back from its text as it was", () => {
    fc.assert(
      fc.property(anyEndpoint, (text) => {
        const endpoint = parseEndpoint(text);
        expect(endpoint).not.toBeNull();
        expect(formatEndpoint(endpoint!)).toBe(text);
      }),
    );
  });

  it("is written as RFC 5952 asks, from whatever form it was given in", () => {
    const forms: Record<string, string> = {
      "[2001:DB8:0:0:1:0:0:1]:7946": "[2001:db8::1:0:0:1]:7946",
      "[2001:db8:0:1:1:1:1:1]:80": "[2001:db8:0:1:1:1:1:1]:80",
      "[2001:0db8::0001]:80": "[2001:db8::1]:80",
      "[0:0:0:0:0:0:0:0]:80": "[::]:80",
      "[0:0:0:0:0:0:0:1]:80": "[::1]:80",
      "[fe80:0:0:0:0:0:0:0]:80": "[fe80::]:80",
      "[::ffff:192.0.2.1]:80": "[::ffff:192.0.2.1]:80",
      "[::ffff:c000:201]:80": "[::ffff:192.0.2.1]:80",
      "[64:ff9b::192.0.2.1]:80": "[64:ff9b::c000:201]:80",
      "[1::2:0:0:0:3]:80": "[1:0:0:2::3]:80",
      "255.255.255.255:65535": "255.255.255.255:65535",
    };
    for (const [given, canonical] of Object.entries(forms)) {
      expect(canonicalEndpoint(given), given).toBe(canonical);
    }
  });

  it.each([
    "",
    "192.0.2.1",
    "192.0.2.1:",
    "192.0.2.1:65536",
    "192.0.2.1:080",
    "192.0.2.01:80",
    "192.0.2.256:80",
    "192.0.2:80",
    " 192.0.2.1:80",
    "192.0.2.1:80\n",
    "host:80",
    "::1:80",
    "[::1]",
    "[::1]:-1",
    "[1:2:3:4:5:6:7]:80",
    "[1:2:3:4:5:6:7:8:9]:80",
    "[1:2:3:4::5:6:7:8]:80",
    "[1::2::3]:80",
    "[:::]:80",
    "[:1]:80",
    "[1:]:80",
    "[12345::]:80",
    "[192.0.2.1::]:80",
    "[192.0.2.1]:80",
    "[::192.0.2.1:1]:80",
    "[fe80::1%eth0]:80",
  ])("is refused as %j", (text) => {
    expect(parseEndpoint(text)).toBeNull();
  });

  it("never throws on a text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\[[0-9a-f:.]{0,40}\]:80$/)), (text) => {
        const canonical = canonicalEndpoint(text);
        if (canonical !== null) expect(canonicalEndpoint(canonical)).toBe(canonical);
      }),
      { numRuns: 2_000 },
    );
  });

  it("can be dialled only where one node answers", () => {
    const dialable = (text: string): boolean => isDialable(parseEndpoint(text)!);
    expect(["127.0.0.2:1", "[::1]:1", "10.0.0.1:1"].map(dialable)).toEqual([true, true, true]);
    const not = [
      "0.0.0.0:1",
      "[::]:1",
      "224.0.0.1:1",
      "255.255.255.255:1",
      "[ff02::1]:1",
      "10.0.0.1:0",
    ];
    expect(not.map(dialable)).toEqual(not.map(() => false));
  });
});

describe("a machine's name", () => {
  it("becomes a host label", () => {
    expect(hostLabelOf("Node-1.example.org")).toBe("node-1");
    expect(hostLabelOf("-my_host-")).toBe("my-host");
    expect(hostLabelOf("")).toBe("node");
    expect(hostLabelOf("…")).toBe("node");
  });
});

function expectSound(bytes: Uint8Array): void {
  let info: NodeInfo;
  try {
    info = decodeNodeInfo(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return;
  }
  expect(info.claims.length).toBeLessThanOrEqual(CLAIMS_MAX);
  for (const endpoint of info.endpoints) expect(canonicalEndpoint(endpoint)).toBe(endpoint);
}
