// Rules of the user's own, and what a device is used for.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DevicePersonas } from "../../src/flow/persona/device.ts";
import { PersonaRuleError, PersonaRules } from "../../src/flow/persona/rules.ts";
import { PERSONA_DEVICES_MAX, PERSONA_RULES_MAX } from "../../src/kernel/limits.ts";
import { PERSONAS } from "../../src/schema/service.ts";
import { type FlowParts, flow, UDP } from "./features.ts";

function refused(act: () => unknown): PersonaRuleError {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(PersonaRuleError);
    return error as PersonaRuleError;
  }
  throw new Error("it was not refused");
}

describe("a rule", () => {
  const personaOf = (rule: object, parts: FlowParts = {}) => {
    const rules = new PersonaRules();
    rules.add({ persona: "gaming", ...rule });
    return rules.personaOf(flow(parts), "bulk_dl");
  };

  test.each([
    ["a device's hardware address", { device: "02:00:5e:10:00:01" }, {}, "gaming"],
    ["another hardware address", { device: "02:00:5e:10:00:02" }, {}, null],
    ["a device's address", { device: "192.168.1.7" }, {}, "gaming"],
    [
      "an IPv6 device in another spelling",
      { device: "2001:db8:0::7" },
      { key: { client: "2001:db8::7" } },
      "gaming",
    ],
    [
      "a device that serves",
      { device: "192.168.1.9" },
      { key: { server: "192.168.1.9" } },
      "gaming",
    ],
    ["a name itself", { name: "example.org" }, { serverName: "example.org" }, "gaming"],
    ["a name below", { name: "example.org" }, { dnsName: "a.b.example.org" }, "gaming"],
    [
      "a name that only ends alike",
      { name: "example.org" },
      { serverName: "notexample.org" },
      null,
    ],
    ["a nameless flow", { name: "example.org" }, {}, null],
    ["a port", { port: "tcp/50123" }, {}, "gaming"],
    ["a port of the client's", { port: "tcp/51000" }, {}, "gaming"],
    ["a range", { port: "tcp/50000-50200" }, {}, "gaming"],
    ["a port of the other protocol", { port: "udp/50123" }, {}, null],
    ["a service", { service: "bulk_dl" }, {}, "gaming"],
    ["another service", { service: "torrent" }, {}, null],
    ["two conditions, of which one fails", { service: "bulk_dl", port: "udp/50123" }, {}, null],
  ])("by %s", (_, rule, parts, persona) => {
    expect(personaOf(rule, parts)).toBe(persona);
  });

  test("that names more is asked first; of equals, the newest", () => {
    const rules = new PersonaRules();
    rules.add({ persona: "bulk", device: "192.168.1.7", port: "tcp/50123" });
    rules.add({ persona: "gaming", device: "192.168.1.7" });
    expect(rules.personaOf(flow(), "unknown")).toBe("bulk");
    expect(rules.personaOf(flow({ key: { protocol: UDP } }), "unknown")).toBe("gaming");
    rules.add({ persona: "voip", device: "192.168.1.7" });
    expect(rules.personaOf(flow({ key: { protocol: UDP } }), "unknown")).toBe("voip");
  });

  test.each([
    [{ persona: "gamin", port: "tcp/1" }, /persona: found "gamin".*did you mean "gaming"/],
    [{ port: "tcp/1" }, /persona: found nothing/],
    [{ persona: "voip" }, /needs a device, a name, a port or a service/],
    [{ persona: "voip", device: "phone" }, /device: found "phone"; allowed: a hardware address/],
    [{ persona: "voip", device: "02:00:5E:10:00:01" }, /device/],
    [{ persona: "voip", port: "5060" }, /port: found "5060"; allowed: tcp\/PORT/],
    [{ persona: "voip", name: "http://x" }, /name: found/],
    [{ persona: "voip", mac: "x" }, /unknown key "mac"/],
    ["voip", /found "voip"; allowed: an object/],
  ])("%j is refused in words", (rule, message) => {
    const error = refused(() => new PersonaRules().add(rule));
    expect(error.code).toBe("ERR_PERSONA_RULE");
    expect(error.message).toMatch(message);
  });
});

describe("the list of rules", () => {
  test("numbers them, and deletes by number", () => {
    const rules = new PersonaRules();
    rules.add({ persona: "voip", port: "udp/5060" });
    rules.add({ persona: "bulk", name: "example.org" });
    expect(rules.list().map(({ id, persona }) => [id, persona])).toEqual([
      [1, "voip"],
      [2, "bulk"],
    ]);
    expect(rules.delete(1).persona).toBe("voip");
    expect(refused(() => rules.delete(1))).toMatchObject({ code: "ERR_NO_PERSONA_RULE" });
    expect(rules.add({ persona: "web", port: "tcp/80" }).id).toBe(3);
  });

  test("is bounded, and says so", () => {
    const rules = new PersonaRules();
    for (let port = 1; port <= PERSONA_RULES_MAX; port += 1) {
      rules.add({ persona: "bulk", port: `tcp/${port}` });
    }
    const error = refused(() => rules.add({ persona: "bulk", port: "tcp/9999" }));
    expect(error.code).toBe("ERR_PERSONA_RULES_FULL");
    expect(error.message).toMatch(/delete one first/);
  });

  test("survives JSON and a restart", () => {
    const rule = fc.record({
      persona: fc.constantFrom(...PERSONAS),
      device: fc.option(fc.ipV6(), { nil: null }),
      name: fc.option(fc.constantFrom("example.org", "a.b"), { nil: null }),
      port: fc.constantFrom("tcp/1", "udp/5-9"),
      service: fc.constantFrom(null, "system" as const),
    });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 20 }), fc.nat(20), (given, gone) => {
        const rules = new PersonaRules();
        for (const each of given) rules.add(each);
        if (given.length > 0) rules.delete(1 + (gone % given.length));
        const again = new PersonaRules();
        again.load(JSON.parse(JSON.stringify(rules.list())));
        expect(again.list()).toEqual(rules.list());
        expect(again.personaOf(flow(), "system")).toBe(rules.personaOf(flow(), "system"));
        const highest = Math.max(0, ...rules.list().map(({ id }) => id));
        expect(again.add({ persona: "web", port: "tcp/80" }).id).toBe(highest + 1);
      }),
    );
  });

  test.each([
    ["no list", {}, /a list of at most/],
    [
      "a rule without its number",
      [{ persona: "voip", port: "tcp/1" }],
      /rule 1: id: found nothing/,
    ],
    ["a broken rule", [{ id: 4, persona: "x", port: "tcp/1" }], /persona/],
    ["null", [null], /rule 1: id/],
  ])("that is %s is refused, and the old ones stay", (_, value, message) => {
    const rules = new PersonaRules();
    rules.add({ persona: "voip", port: "udp/5060" });
    expect(refused(() => rules.load(value)).message).toMatch(message);
    expect(rules.list()).toHaveLength(1);
  });
});

describe("a device", () => {
  const PHONE = "02:00:5e:10:00:01";

  test("is used for what carries most", () => {
    const devices = new DevicePersonas();
    devices.observe(PHONE, "web", 2_000, 0);
    expect(devices.observe(PHONE, "streaming", 5_000_000, 1_000)).toBe("streaming");
  });

  test("a call outweighs the download beside it", () => {
    const devices = new DevicePersonas();
    for (let second = 0; second < 30; second += 1) {
      devices.observe(PHONE, "bulk", 6_000_000, second * 1000);
      devices.observe(PHONE, "voip", 20_000, second * 1000);
    }
    expect(devices.personaOf(PHONE, 30_000)).toBe("voip");
  });

  test("the system's chatter and what is unknown say nothing", () => {
    const devices = new DevicePersonas();
    devices.observe(PHONE, "system", 1e9, 0);
    expect(devices.observe(PHONE, "unknown", 1e9, 0)).toBe("unknown");
  });

  test("does not flap between two that are about equal", () => {
    const devices = new DevicePersonas();
    devices.observe(PHONE, "bulk", 100_000, 0);
    expect(devices.observe(PHONE, "torrent", 120_000, 10)).toBe("bulk");
    expect(devices.observe(PHONE, "torrent", 120_000, 20)).toBe("torrent");
    expect(devices.observe(PHONE, "bulk", 200_000, 30)).toBe("torrent");
  });

  test("is idle again when it was silent for long", () => {
    const devices = new DevicePersonas();
    devices.observe(PHONE, "gaming", 100_000, 0);
    expect(devices.personaOf(PHONE, 60_000)).toBe("gaming");
    expect(devices.personaOf(PHONE, 3_600_000)).toBe("unknown");
    expect(devices.personaOf("192.168.1.9", 0)).toBe("unknown");
  });

  test("the longest silent makes room", () => {
    const devices = new DevicePersonas();
    for (let i = 0; i < PERSONA_DEVICES_MAX; i += 1) devices.observe(`d${i}`, "voip", 1e6, i);
    devices.observe("d0", "voip", 1, PERSONA_DEVICES_MAX);
    devices.observe("new", "voip", 1e6, PERSONA_DEVICES_MAX);
    expect(devices.size).toBe(PERSONA_DEVICES_MAX);
    expect(devices.personaOf("d0", PERSONA_DEVICES_MAX)).toBe("voip");
    expect(devices.personaOf("d1", PERSONA_DEVICES_MAX)).toBe("unknown");
  });

  test("has a persona of the list whatever comes, time running backwards included", () => {
    const step = fc.tuple(
      fc.constantFrom(...PERSONAS),
      fc.integer({ min: -5, max: 1e9 }),
      fc.integer(),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const devices = new DevicePersonas();
        for (const [persona, bytes, nowMs] of steps) {
          expect(PERSONAS).toContain(devices.observe(PHONE, persona, bytes, nowMs));
        }
      }),
    );
  });
});
