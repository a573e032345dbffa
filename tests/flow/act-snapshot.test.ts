// What was on the interface before, and how it is put back.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ingressFilters, parseFilterList } from "../../src/flow/act/filters.ts";
import { dscpOfMark, ifbOf, isOurShaper, MARK_MASK, markOfDscp } from "../../src/flow/act/ours.ts";
import { explainSetUpFailure } from "../../src/flow/act/set-up-failure.ts";
import {
  decodeFound,
  describeRoot,
  encodeFound,
  type FoundInterface,
  ingressHookOf,
  parseQdiscList,
  rootOf,
} from "../../src/flow/act/snapshot.ts";

/** As iproute2 6.15 printed them. */
const CAKE =
  '[{"kind":"cake","handle":"8002:","root":true,"refcnt":3,"options":{"bandwidth":2500000,"diffserv":"diffserv3","flowmode":"triple-isolate","nat":true,"wash":false,"ingress":false,"ack-filter":"enabled","split_gso":true,"rtt":100000,"raw":false,"atm":"atm","overhead":44,"mpu":96,"memlimit":4194304,"fwmark":"0xff"}}]';
const FQ_CODEL =
  '[{"kind":"fq_codel","handle":"8001:","root":true,"refcnt":3,"options":{"limit":5000,"flows":1024,"quantum":1514,"target":4999,"interval":99999,"memory_limit":33554432,"ecn":true,"drop_batch":64}}]';
const DEFAULT_WITH_HOOK =
  '[{"kind":"noqueue","handle":"0:","root":true,"refcnt":2,"options":{}},{"kind":"ingress","handle":"ffff:","parent":"ffff:fff1","options":{}}]';
const MULTI_QUEUE =
  '[{"kind":"mq","handle":"0:","root":true,"options":{}},{"kind":"fq_codel","handle":"0:","parent":":1","options":{}},{}]';
const HTB =
  '[{"kind":"htb","handle":"1:","root":true,"refcnt":3,"options":{"r2q":10,"default":"0x1"}}]';
const FILTERS =
  '[{"parent":"ffff:","protocol":"all","pref":1,"kind":"matchall","chain":0},{"parent":"ffff:","protocol":"all","pref":1,"kind":"matchall","chain":0,"options":{"handle":1,"not_in_hw":true,"actions":[{"order":1,"kind":"ctinfo","zone":0,"control_action":{"type":"pipe"},"index":1,"ref":1,"bind":1,"dscpmask":"0xfc000000","dscpstatemask":"0x2000000"},{"order":2,"kind":"mirred","mirred_action":"redirect","direction":"egress","to_dev":"myco-wan0","control_action":{"type":"stolen"},"index":1,"ref":1,"bind":1}]}}]';

function qdiscs(json: string) {
  const list = parseQdiscList(json);
  if (list === null) throw new Error("the sample is a list");
  return list;
}

describe("describeRoot", () => {
  it("brings a CAKE of somebody else back with all its options", () => {
    const { words, loss } = describeRoot(qdiscs(CAKE));
    expect(words?.join(" ")).toBe(
      "handle 8002: cake bandwidth 20000000bit diffserv3 triple-isolate nat nowash egress " +
        "ack-filter split-gso rtt 100000us overhead 44 atm mpu 96 memlimit 4194304 fwmark 0xff",
    );
    expect(loss).toBeNull();
  });

  it("gives CoDel's times the microsecond back that their printing rounds away", () => {
    expect(describeRoot(qdiscs(FQ_CODEL)).words?.join(" ")).toBe(
      "handle 8001: fq_codel limit 5000 flows 1024 quantum 1514 target 5000us interval 100000us " +
        "memory_limit 33554432 ecn drop_batch 64",
    );
  });

  it("says that ECN was off, which fq_codel would have on", () => {
    const withoutEcn = describeRoot(qdiscs(FQ_CODEL.replace('"ecn":true,', "")));
    expect(withoutEcn.words).toContain("noecn");
  });

  it.each([
    ["nothing but an ingress hook", DEFAULT_WITH_HOOK],
    ["one queue for each of the hardware's", MULTI_QUEUE],
    ["no qdisc at all", "[]"],
  ])("leaves the kernel's default to the kernel: %s", (_, json) => {
    expect(describeRoot(qdiscs(json))).toMatchObject({ words: null, loss: null });
  });

  it("says of a tree of classes that it will be lost", () => {
    const root = describeRoot(qdiscs(HTB));
    expect(root.words).toBeNull();
    expect(root.loss).toContain("htb qdisc 1:");
  });

  it("says of queues that were changed one by one that they will be lost", () => {
    const changed = MULTI_QUEUE.replace('"handle":"0:","parent"', '"handle":"8007:","parent"');
    expect(describeRoot(qdiscs(changed)).loss).not.toBeNull();
  });

  it("knows our own by its handle, and nobody else's", () => {
    expect(isOurShaper(rootOf(qdiscs(CAKE.replace("8002:", "6d79:"))))).toBe(true);
    expect(isOurShaper(rootOf(qdiscs(CAKE)))).toBe(false);
    expect(isOurShaper(rootOf(qdiscs(HTB.replace('"1:"', '"6d79:"'))))).toBe(false);
    expect(isOurShaper(rootOf(qdiscs("[]")))).toBe(false);
  });

  it("sees an ingress hook where there is one", () => {
    expect(ingressHookOf(qdiscs(DEFAULT_WITH_HOOK))?.handle).toBe("ffff:");
    expect(ingressHookOf(qdiscs(CAKE))).toBeNull();
  });
});

describe("the note of what was found", () => {
  const found: FoundInterface = {
    device: "wan0",
    root: describeRoot(qdiscs(CAKE)),
    hadIngressHook: true,
    conntrackAccounting: "0",
  };

  it("is read as it was written", () => {
    expect(decodeFound(encodeFound(found))).toEqual(found);
    expect(decodeFound(encodeFound(null))).toBeNull();
  });

  it("is not believed when it would put anything but words into a command", () => {
    for (const word of ["a b", "a\nqdisc", "-force", "", "$(reboot)", "x".repeat(60)]) {
      const root = { ...found.root, words: ["handle", word] };
      expect(decodeFound(encodeFound({ ...found, root }))).toBeNull();
    }
  });

  it("survives any text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(decodeFound(text)).toBeNull();
      }),
    );
  });
});

describe("what tc lists", () => {
  it("is read from any text without harm", () => {
    const anything = fc.oneof(fc.string(), fc.json(), mutated(CAKE), mutated(FILTERS));
    fc.assert(
      fc.property(anything, (text) => {
        const list = parseQdiscList(text);
        if (list !== null) decodeFound(encodeFound({ ...FOUND, root: describeRoot(list) }));
        parseFilterList(text);
      }),
    );
  });

  it("always yields words that the note would take again", () => {
    fc.assert(
      fc.property(mutated(CAKE), (text) => {
        const root = describeRoot(parseQdiscList(text) ?? []);
        if (root.words !== null)
          expect(decodeFound(encodeFound({ ...FOUND, root }))).not.toBeNull();
      }),
    );
  });

  it("tells our filter from others by the device it leads to", () => {
    const filters = parseFilterList(FILTERS) ?? [];
    expect(filters).toEqual([{ preference: 1, redirectsTo: "myco-wan0", restoresMarks: true }]);
    expect(ingressFilters(filters, "myco-wan0")).toMatchObject({ ours: [{}], others: [] });
    expect(ingressFilters(filters, "ifb4wan0")).toMatchObject({ ours: [], others: [{}] });
  });

  const FOUND: Omit<FoundInterface, "root"> = {
    device: "wan0",
    hadIngressHook: false,
    conntrackAccounting: "1",
  };
});

describe("the mark", () => {
  it("holds every DSCP under our own bits and no other", () => {
    for (let dscp = 0; dscp < 64; dscp += 1) {
      const mark = markOfDscp(dscp);
      expect((mark & ~MARK_MASK) >>> 0).toBe(0);
      expect(dscpOfMark(mark)).toBe(dscp);
      expect(dscpOfMark((mark | 0x0001ffff) >>> 0)).toBe(dscp);
    }
  });

  it("says nothing when our bits were never written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x01ffffff }), (mark) => {
        expect(dscpOfMark(mark)).toBeNull();
      }),
    );
  });
});

describe("ifbOf", () => {
  it("fits every interface's name into fifteen characters, and is never sqm's", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 15 }), (device) => {
        const name = ifbOf(device);
        expect(name.length).toBeLessThanOrEqual(15);
        expect(name.startsWith("ifb")).toBe(false);
      }),
    );
  });
});

describe("explainSetUpFailure", () => {
  const failed = (stderr: string) => ({ exitCode: 1, stdout: "", stderr });
  it.each([
    ["tc", "qdisc replace dev w root cake", "Error: Specified qdisc kind is unknown.", "NO_CAKE"],
    ["ip", "link add name q type ifb", "Error: Unknown device type.", "NO_IFB"],
    ["tc", "filter add matchall action ctinfo", "Bad action type ctinfo", "NO_CTINFO"],
    ["tc", "filter add ctinfo", "Error: Failed to load TC action module.", "NO_CTINFO"],
    ["tc", "filter add matchall", "Error: TC classifier not found.", "NO_FILTER"],
    ["tc", "qdisc del", "RTNETLINK answers: Operation not permitted", "NOT_ROOT"],
    ["tc", "qdisc show dev q", 'Cannot find device "q"', "NO_DEVICE"],
    ["tc", "qdisc show dev q", "something new", "COMMAND_FAILED"],
  ])("%s %s: %s", (program, commands, said, code) => {
    expect(explainSetUpFailure(program, commands, failed(`${said}\n`)).code).toBe(code);
  });

  it("blames the command of a batch that failed, not its neighbours", () => {
    const commands = "qdisc replace dev w root cake\nfilter add dev w ingress\n";
    const said = "Error: Specified qdisc kind is unknown.\nCommand failed -:2\n";
    const { code, message } = explainSetUpFailure("tc", commands, failed(said));
    expect(code).toBe("COMMAND_FAILED");
    expect(message).toContain('"tc filter add dev w ingress"');
  });

  it("names the package where a program is missing", () => {
    const result = { exitCode: null, stdout: "", stderr: "" };
    expect(explainSetUpFailure("nft", "", result).message).toContain("nftables");
  });
});

/** `text` with a stretch of it replaced by something else. */
function mutated(text: string): fc.Arbitrary<string> {
  const place = fc.nat({ max: text.length });
  const filler = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom("-1", "null", "1e99", '"x y"'),
  );
  return fc.tuple(place, fc.nat({ max: 12 }), filler).map(([at, cut, put]) => {
    return text.slice(0, at) + put + text.slice(at + cut);
  });
}
