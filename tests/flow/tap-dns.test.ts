// DNS messages, encoded by another library, give their names and addresses; hostile ones end.

import { type Answer, type Packet as DnsPacket, encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readDns } from "../../src/flow/tap/dns.ts";
import { DNS_ADDRESSES_MAX } from "../../src/kernel/limits.ts";
import { formatIpv6, parseIpv6 } from "../../src/schema/endpoint.ts";
import { ascii, be16, be32, bytesOf } from "./packets.ts";

function read(bytes: Uint8Array) {
  // Placed between other bytes, as in a capture's chunk.
  const message = readDns(bytesOf([7, 7, 7], bytes, [7, 7]), 3, 3 + bytes.length);
  if (message === null) return null;
  return {
    ...message,
    addresses: message.addresses.map(({ address, name, ttlSeconds, isReverse }) => ({
      address: address.length === 4 ? address.join(".") : formatIpv6(address),
      ...{ name, ttlSeconds, isReverse },
    })),
  };
}

function response(name: string, type: string, answers: readonly Answer[]): DnsPacket {
  return {
    ...{ type: "response", id: 77, flags: 0x180 },
    questions: [{ name, type: type as "A" }],
    answers: [...answers],
  };
}

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,12}[a-z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join("."));
const ipv4 = fc.ipV4();
const ipv6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => formatIpv6(bytes))
  // The library used here writes IPv4-mapped addresses in another way.
  .filter((text) => !text.startsWith("::ffff:"));
const ttl = fc.nat(100_000);

describe("a message", () => {
  test("tells the name asked for", () => {
    fc.assert(
      fc.property(name, fc.constantFrom("A", "AAAA", "HTTPS", "TXT"), (asked, type) => {
        const bytes = encode({ type: "query", questions: [{ name: asked, type: type as "A" }] });
        expect(read(bytes)).toEqual({ isResponse: false, name: asked, addresses: [] });
      }),
    );
  });

  test("tells the addresses under the name that was asked, through aliases", () => {
    const answer = fc.oneof(
      fc.record({ type: fc.constant("A" as const), data: ipv4, ttl }),
      fc.record({ type: fc.constant("AAAA" as const), data: ipv6, ttl }),
    );
    fc.assert(
      fc.property(name, name, fc.array(answer, { maxLength: 10 }), (asked, alias, answers) => {
        const chain: Answer[] = [{ type: "CNAME", name: asked, data: alias, ttl: 1 }];
        const records = answers.map((each) => ({ ...each, name: alias }));
        const bytes = encode(response(asked, "A", [...chain, ...records]));
        expect(read(bytes)).toEqual({
          isResponse: true,
          name: asked,
          addresses: answers.map(({ data, ttl: ttlSeconds }) => ({
            ...{ address: data, name: asked, ttlSeconds, isReverse: false },
          })),
        });
      }),
    );
  });

  test("tells the address hints of an HTTPS record", () => {
    const v6 = parseIpv6("2001:db8::5")!;
    const target = [4, ...ascii("edge"), 0];
    const params = [
      ...[...be16(1), ...be16(3), 2, ...ascii("h3")],
      ...[...be16(4), ...be16(8), 192, 0, 2, 1, 192, 0, 2, 2],
      ...[...be16(6), ...be16(16), ...v6],
    ];
    const data = [...be16(1), ...target, ...params];
    const question = [3, ...ascii("www"), 7, ...ascii("example"), 0, ...be16(65), ...be16(1)];
    const owner = [0xc0, 12];
    const record = [...owner, ...be16(65), ...be16(1), ...be32(300), ...be16(data.length), ...data];
    const head = [...be16(1), ...be16(0x8180), ...be16(1), ...be16(1), ...be16(0), ...be16(0)];
    const told = read(bytesOf(head, question, record));
    expect(told?.addresses.map(({ address }) => address)).toEqual([
      ...["192.0.2.1", "192.0.2.2", "2001:db8::5"],
    ]);
    expect(told?.addresses[0]?.name).toBe("www.example");
  });

  test("tells which host a reverse answer names", () => {
    const v4 = encode(
      response("4.3.2.1.in-addr.arpa", "PTR", [
        { type: "PTR", name: "4.3.2.1.in-addr.arpa", data: "host.example", ttl: 60 },
      ]),
    );
    const told = { name: "host.example", ttlSeconds: 60, isReverse: true };
    expect(read(v4)?.addresses).toEqual([{ address: "1.2.3.4", ...told }]);
    const nibbles = `${"0.".repeat(24)}8.b.d.0.1.0.0.2.ip6.arpa`;
    const v6 = encode(
      response(nibbles, "PTR", [{ type: "PTR", name: nibbles, data: "host.example", ttl: 60 }]),
    );
    expect(read(v6)?.addresses).toEqual([{ address: "2001:db8::", ...told }]);
  });

  test("that only announces tells its first owner, freely named", () => {
    const bytes = encode({
      type: "response",
      answers: [{ type: "A", name: "Anna's TV.local", data: "192.0.2.9", ttl: 120 }],
    });
    expect(read(bytes)).toMatchObject({ name: "anna's?tv.local", isResponse: true });
  });

  test("with more addresses than are kept tells the first of them", () => {
    const answers = Array.from(
      { length: DNS_ADDRESSES_MAX + 9 },
      (_, i): Answer => ({
        ...{ type: "A", name: "many.example", data: `10.0.0.${i}`, ttl: 1 },
      }),
    );
    const told = read(encode(response("many.example", "A", answers)));
    expect(told?.addresses).toHaveLength(DNS_ADDRESSES_MAX);
  });

  test("cut anywhere after its question tells the records that are whole", () => {
    const records = ["192.0.2.1", "192.0.2.2"].map(
      (data): Answer => ({
        ...{ type: "A", name: "cut.example", data, ttl: 9 },
      }),
    );
    const whole = encode(response("cut.example", "A", records));
    const questionEnd = 12 + "cut.example".length + 2 + 4;
    for (let length = 0; length < whole.length; length += 1) {
      const told = read(whole.subarray(0, length));
      if (length < questionEnd) expect(told).toBeNull();
      else expect(told?.addresses.length).toBeLessThan(2);
    }
  });
});

describe("hostile messages", () => {
  const head = [...be16(1), ...be16(0x8180), ...be16(1), ...be16(1), ...be16(0), ...be16(0)];

  test("whose names point at themselves, at each other or ahead are refused", () => {
    for (const pointers of [
      [0xc0, 12],
      [0xc0, 14, 0xc0, 12],
      [0xc0, 40],
      [1, 0x61, 0xc0, 12],
    ]) {
      expect(read(bytesOf(head, pointers, be16(1), be16(1), new Array(40).fill(0)))).toBeNull();
    }
  });

  test("of any bytes never make the reader throw, loop, or tell more than is allowed", () => {
    const seed = encode(
      response("www.example.org", "A", [
        { type: "CNAME", name: "www.example.org", data: "edge.example.net", ttl: 5 },
        { type: "A", name: "edge.example.net", data: "192.0.2.1", ttl: 5 },
        { type: "AAAA", name: "edge.example.net", data: "2001:db8::1", ttl: 5 },
      ]),
    );
    const changes = fc.array(
      fc.tuple(fc.nat(seed.length), fc.oneof(fc.nat(255), fc.constantFrom(0xc0, 0xff))),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(
        fc.constantFrom<readonly number[] | Uint8Array>([], head, seed),
        changes,
        fc.uint8Array({ maxLength: 200 }),
        (start, spots, rest) => {
          const bytes = bytesOf(start, rest);
          for (const [at, value] of spots) if (at < bytes.length) bytes[at] = value;
          const told = read(bytes);
          expect(told?.addresses.length ?? 0).toBeLessThanOrEqual(DNS_ADDRESSES_MAX);
          expect(told?.name?.length ?? 0).toBeLessThanOrEqual(253);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
