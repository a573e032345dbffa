// DNS answers: who is found under which name, and nothing sent by anybody breaks it.

import {
  type Answer,
  AUTHENTIC_DATA,
  type DecodedPacket,
  decode,
  encode,
  type OptAnswer,
  type Packet,
  type RecordType,
} from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DNS_INSTANCES_MAX, DNS_QUERY_BYTES_MAX } from "../../src/kernel/limits.ts";
import {
  answerQuery,
  type DnsNode,
  type DnsOptions,
  type DnsService,
  type ServiceDirectory,
} from "../../src/net/dns.ts";

const options: DnsOptions = { domain: "myco", ttlSeconds: 5, transport: "udp" };

const one: DnsNode = { nodeId: "0000000000000001", addresses: ["192.0.2.1", "2001:db8::1"] };
const two: DnsNode = { nodeId: "0000000000000002", addresses: ["192.0.2.2"] };
const ports = [
  { port: 8080, protocol: "tcp", name: "http" },
  { port: 9000, protocol: "udp", name: "Stats" },
  { port: 9001, protocol: "tcp", name: "" },
] as const;

const services = new Map<string, DnsService>([
  ["web", { ports, healthy: [one, two] }],
  ["down", { ports: [], healthy: [] }],
]);
const directory: ServiceDirectory = {
  service: (name) => services.get(name) ?? null,
  node: (name) => ({ [one.nodeId]: one, alpha: one })[name] ?? null,
};

interface Decoded extends DecodedPacket {
  rcode: string;
}

function query(name: string, type: string, changes: Packet = {}): Buffer {
  const questions = [{ name, type: type as RecordType }];
  return encode({ type: "query", id: 0, flags: 0, questions, ...changes });
}

function opt(udpPayloadSize: number, ednsVersion = 0): OptAnswer {
  const fixed = { extendedRcode: 0, flags: 0, flag_do: false, options: [] };
  return { type: "OPT", name: ".", udpPayloadSize, ednsVersion, ...fixed };
}

function answer(bytes: Uint8Array, changes: Partial<DnsOptions> = {}, from = directory): Decoded {
  const reply = answerQuery(bytes, from, { ...options, ...changes });
  expect(reply).not.toBeNull();
  return decode(Buffer.from(reply!)) as Decoded;
}

function data(records: readonly Answer[] | undefined): unknown[] {
  return (records ?? []).map((record) => ("data" in record ? record.data : null));
}

function manyNodes(count: number): DnsNode[] {
  return Array.from({ length: count }, (_, i) => ({
    nodeId: i.toString(16).padStart(16, "0"),
    addresses: [`192.0.2.${i}`, `2001:db8::${i}`],
  }));
}

function serving(service: DnsService): ServiceDirectory {
  return { ...directory, service: () => service };
}

describe("a service's name", () => {
  test("gives the addresses of its healthy instances, by family", () => {
    const reply = answer(query("web.myco", "A"));
    expect(reply).toMatchObject({
      rcode: "NOERROR",
      flag_aa: true,
      flag_tc: false,
      flag_ra: false,
    });
    expect(data(reply.answers)).toEqual(["192.0.2.1", "192.0.2.2"]);
    expect(reply.answers![0]).toMatchObject({ name: "web.myco", type: "A", ttl: 5 });
    expect(data(answer(query("web.myco", "AAAA")).answers)).toEqual(["2001:db8::1"]);
  });

  test("gives the instances in turn, by the query's id", () => {
    const first = (id: number) => data(answer(query("web.myco", "A", { id })).answers)[0];
    expect([0, 1, 2, 3].map(first)).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"]);
  });

  test("gives a part of a large service, all of it over several queries", () => {
    const large = serving({ ports: [], healthy: manyNodes(20) });
    const seen = new Set<unknown>();
    for (let id = 0; id < 20; id += 1) {
      const found = data(answer(query("web.myco", "A", { id }), {}, large).answers);
      expect(found).toHaveLength(DNS_INSTANCES_MAX);
      for (const address of found) seen.add(address);
    }
    expect(seen.size).toBe(20);
  });

  test("exists without an address while none is healthy", () => {
    const reply = answer(query("down.myco", "A"));
    expect(reply).toMatchObject({ rcode: "NOERROR", answers: [] });
    expect(reply.authorities).toMatchObject([{ type: "SOA", name: "myco", ttl: 5 }]);
  });

  test("comes back in the very case it was asked in", () => {
    const asked = query("wEB.MyCo", "A");
    const reply = answerQuery(asked, directory, options)!;
    expect(Buffer.from(reply.subarray(12, asked.length))).toEqual(asked.subarray(12));
    expect(decode(Buffer.from(reply)).answers).toMatchObject([
      { name: "wEB.MyCo", data: "192.0.2.1" },
      { data: "192.0.2.2" },
    ]);
  });

  test("answers ANY with one type", () => {
    const types = answer(query("web.myco", "ANY")).answers!.map((record) => record.type);
    expect(types).toEqual(["A", "A"]);
  });

  test("has no other types of record", () => {
    for (const type of ["MX", "TXT", "CNAME", "NS", "UNKNOWN_65"]) {
      expect(answer(query("web.myco", type))).toMatchObject({ rcode: "NOERROR", answers: [] });
    }
  });
});

describe("SRV", () => {
  test("under a port's name gives that port on every instance, and their addresses", () => {
    const reply = answer(query("_http._tcp.web.myco", "SRV"));
    expect(data(reply.answers)).toEqual([
      { priority: 0, weight: 1, port: 8080, target: "0000000000000001.node.myco" },
      { priority: 0, weight: 1, port: 8080, target: "0000000000000002.node.myco" },
    ]);
    expect(data(reply.additionals)).toEqual(["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
  });

  test("under the service's name gives all its ports", () => {
    const found = data(answer(query("web.myco", "SRV")).answers) as { port: number }[];
    expect(found.map(({ port }) => port)).toEqual([8080, 9000, 9001, 8080, 9000, 9001]);
  });

  test.each([
    ["_stats._udp.web.myco", "SRV", "NOERROR", 2],
    ["_HTTP._TCP.web.myco", "SRV", "NOERROR", 2],
    ["_http._tcp.web.myco", "A", "NOERROR", 0],
    ["_tcp.web.myco", "SRV", "NOERROR", 0],
    ["_http._udp.web.myco", "SRV", "NXDOMAIN", 0],
    ["_ftp._tcp.web.myco", "SRV", "NXDOMAIN", 0],
    ["_._tcp.web.myco", "SRV", "NXDOMAIN", 0],
    ["_sctp.web.myco", "SRV", "NXDOMAIN", 0],
    ["_http._tcp.nothing.myco", "SRV", "NXDOMAIN", 0],
    ["x._http._tcp.web.myco", "SRV", "NXDOMAIN", 0],
  ])("%s %s is %s with %i answers", (name, type, rcode, count) => {
    const reply = answer(query(name, type));
    expect(reply.rcode).toBe(rcode);
    expect(reply.answers).toHaveLength(count);
  });
});

test("a node is found by its id and by its hostname", () => {
  expect(data(answer(query("0000000000000001.node.myco", "A")).answers)).toEqual(["192.0.2.1"]);
  expect(data(answer(query("Alpha.node.myco", "AAAA")).answers)).toEqual(["2001:db8::1"]);
  expect(answer(query("beta.node.myco", "A")).rcode).toBe("NXDOMAIN");
  expect(answer(query("node.myco", "A"))).toMatchObject({ rcode: "NOERROR", answers: [] });
});

test("the domain itself has an SOA record and no address", () => {
  expect(answer(query("myco", "SOA")).answers).toMatchObject([{ type: "SOA", name: "myco" }]);
  expect(answer(query("MYCO", "A"))).toMatchObject({ rcode: "NOERROR", answers: [] });
});

describe("what is not answered with data", () => {
  test("a name that does not exist is denied, and for how long", () => {
    const reply = answer(query("nothing.myco", "A"));
    expect(reply).toMatchObject({ rcode: "NXDOMAIN", flag_aa: true, answers: [] });
    expect(reply.authorities).toMatchObject([{ type: "SOA", data: { minimum: 5 } }]);
  });

  test.each(["example.com", "myco.example", "webmyco", "."])("%j is refused", (name) => {
    const reply = answer(query(name, "A"));
    expect(reply).toMatchObject({ rcode: "REFUSED", flag_aa: false, authorities: [] });
  });

  test("zone transfers and other classes are refused", () => {
    expect(answer(query("myco", "AXFR")).rcode).toBe("REFUSED");
    const chaos = query("web.myco", "A");
    chaos.writeUInt16BE(3, chaos.length - 2);
    expect(answer(chaos).rcode).toBe("REFUSED");
  });

  test("other opcodes are not implemented", () => {
    const notify = query("web.myco", "A", { id: 77 });
    notify[2] = (4 << 3) | 1;
    const reply = answerQuery(notify, directory, options)!;
    expect([...reply]).toEqual([0, 77, 0xa1, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("a readable header with an unreadable rest is a format error", () => {
    const whole = query("web.myco", "A", { id: 7 });
    for (let end = 12; end < whole.length; end += 1) {
      const reply = answerQuery(whole.subarray(0, end), directory, options)!;
      expect(reply).toHaveLength(12);
      expect([reply[1], reply[3]]).toEqual([7, 1]);
    }
  });

  test.each([
    ["no question", 5, 0],
    ["65,535 questions", 4, 0xff],
    ["an answer", 7, 1],
    ["65,280 additional records", 10, 0xff],
  ])("%s is a format error", (_, offset, value) => {
    const bytes = query("web.myco", "A");
    bytes[offset] = value;
    expect(answerQuery(bytes, directory, options)![3]).toBe(1);
  });

  test("a compressed question, a loop among them, is a format error", () => {
    const header = query("a", "A").subarray(0, 12);
    for (const name of [
      [0xc0, 12],
      [0xc0, 0],
      [1, 97, 0xc0, 12],
      [0x41, 0],
    ]) {
      const bytes = Buffer.concat([header, Buffer.from([...name, 0, 1, 0, 1])]);
      expect(answerQuery(bytes, directory, options)![3]).toBe(1);
    }
  });

  test("answers, fragments of a header and giants are dropped", () => {
    const response = query("web.myco", "A");
    response[2] = 0x80;
    expect(answerQuery(response, directory, options)).toBeNull();
    expect(answerQuery(new Uint8Array(11), directory, options)).toBeNull();
    expect(answerQuery(new Uint8Array(DNS_QUERY_BYTES_MAX + 1), directory, options)).toBeNull();
  });
});

describe("EDNS", () => {
  test("is answered in kind, and only when asked", () => {
    expect(answer(query("web.myco", "A")).additionals).toEqual([]);
    const reply = answer(query("web.myco", "A", { additionals: [opt(4096)] }));
    expect(reply.additionals).toMatchObject([{ type: "OPT", udpPayloadSize: 1232 }]);
  });

  test("of a version to come is told so", () => {
    const reply = answer(query("web.myco", "A", { additionals: [opt(4096, 1)] }));
    expect(reply.additionals).toMatchObject([{ type: "OPT", extendedRcode: 1 }]);
    expect(reply).toMatchObject({ rcode: "NOERROR", answers: [] });
  });

  test("twice is a format error", () => {
    const bytes = query("web.myco", "A", { additionals: [opt(512), opt(512)] });
    expect(answerQuery(bytes, directory, options)![3]).toBe(1);
  });

  const name = `${"s".repeat(60)}.myco`;
  const wide = serving({ ports: [...ports], healthy: manyNodes(DNS_INSTANCES_MAX) });

  test.each([
    ["512 bytes without it", undefined, 512],
    ["512 bytes when less is offered", 100, 512],
    ["what is offered", 700, 700],
    ["1232 bytes when more is offered", 65_535, 1_232],
  ])("bounds a UDP answer to %s", (_, size, limit) => {
    const changes: Packet = size === undefined ? {} : { additionals: [opt(size)] };
    const reply = answerQuery(query(name, "SRV", changes), wide, options)!;
    expect(reply.length).toBeLessThanOrEqual(limit);
    expect(reply.length).toBeGreaterThan(limit - 140);
    const decoded = decode(Buffer.from(reply));
    expect(decoded.flag_tc).toBe(true);
    expect(decoded.answers!.length).toBeGreaterThan(0);
  });

  test("leaves out the additional addresses before it cuts answers", () => {
    const reply = answer(
      query("_http._tcp.web.myco", "SRV"),
      {},
      {
        ...wide,
        service: () => ({ ports, healthy: manyNodes(6) }),
      },
    );
    expect(reply.flag_tc).toBe(false);
    expect(reply.answers).toHaveLength(6);
    expect(reply.additionals).toEqual([]);
  });

  test("does not bound an answer over TCP", () => {
    const reply = answer(query(name, "SRV"), { transport: "tcp" }, wide);
    expect(reply.flag_tc).toBe(false);
    expect(reply.answers).toHaveLength(DNS_INSTANCES_MAX * ports.length);
  });
});

test("the wish for recursion is copied, other flags are not", () => {
  const reply = answer(query("web.myco", "A", { flags: 0x100 | AUTHENTIC_DATA }));
  expect(reply).toMatchObject({ flag_rd: true, flag_ad: false, flag_ra: false, flag_z: false });
});

test("a domain of several labels works the same", () => {
  const changes = { domain: "myco.example.net" };
  expect(data(answer(query("web.myco.example.net", "A"), changes).answers)).toHaveLength(2);
  expect(answer(query("web.myco", "A"), changes).rcode).toBe("REFUSED");
});

describe("hostile bytes", () => {
  /** Whatever comes back must be a well-formed answer to that id, within its limit. */
  function check(bytes: Uint8Array): void {
    const reply = answerQuery(bytes, directory, options);
    if (reply === null) return;
    const decoded = decode(Buffer.from(reply));
    expect(decoded.flag_qr).toBe(true);
    expect([reply[0], reply[1]]).toEqual([bytes[0], bytes[1]]);
    expect(reply.length).toBeLessThanOrEqual(1_232);
  }

  test("of any kind never throw", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), check), { numRuns: 2_000 });
  });

  test("behind a header that looks like a query never throw", () => {
    const header = (additionals: number) =>
      Uint8Array.from([1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, additionals]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(2), (rest, additionals) => {
        check(Buffer.concat([header(additionals), rest]));
      }),
      { numRuns: 3_000 },
    );
  });

  test("behind a good question, as additional records, never throw", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.integer({ min: 0, max: 300 }),
        fc.boolean(),
        (rest, type, atRoot) => {
          const bytes = query("web.myco", "A");
          bytes[11] = 1;
          const head = atRoot ? [0, type >> 8, type & 0xff] : [0xc0, 12, type >> 8, type & 0xff];
          check(Buffer.concat([bytes, Buffer.from(head), rest]));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test("a good query with bytes flipped never throws", () => {
    const good = query("_http._tcp.web.myco", "SRV", { additionals: [opt(1_232)] });
    const flips = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(flips, (changes) => {
        const bytes = Buffer.from(good);
        for (const [offset, value] of changes) bytes[offset] = value;
        check(bytes);
      }),
      { numRuns: 3_000 },
    );
  });
});
