// A live flow's verdict over time.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type FlowVerdict,
  PERSONA_OF_SERVICE,
  SERVICES,
  type Service,
  type Signal,
} from "../../src/flow/interface.ts";
import { Catalog } from "../../src/flow/persona/catalog.ts";
import { FlowRecognizer } from "../../src/flow/persona/recognizer.ts";
import { PersonaRules } from "../../src/flow/persona/rules.ts";
import { StickyVerdicts } from "../../src/flow/persona/stickiness.ts";
import { flow } from "./features.ts";

function verdict(service: Service, confidence: number, signals: Signal[] = ["port"]): FlowVerdict {
  const { key } = flow();
  return {
    key,
    service,
    persona: PERSONA_OF_SERVICE[service],
    confidence,
    signals,
    hostname: null,
  };
}

/** The personas in force after each look. */
function over(looks: readonly FlowVerdict[]): string[] {
  const sticky = new StickyVerdicts(8);
  return looks.map((look) => sticky.judge(1, look).persona);
}

describe("a persona in force", () => {
  test("stays through one odd look", () => {
    const looks = [verdict("game_rt", 0.4), verdict("voip_call", 0.45), verdict("game_rt", 0.4)];
    expect(over(looks)).toEqual(["gaming", "gaming", "gaming"]);
  });

  test("gives way when two of three looks agree on another", () => {
    const odd = verdict("voip_call", 0.45);
    expect(over([verdict("game_rt", 0.4), odd, odd])).toEqual(["gaming", "gaming", "voip"]);
    expect(over([verdict("game_rt", 0.4), odd, verdict("game_rt", 0.4), odd])).toEqual([
      "gaming",
      "gaming",
      "gaming",
      "voip",
    ]);
  });

  test("stays when the votes are older than three looks", () => {
    const held = verdict("game_rt", 0.4);
    const odd = verdict("voip_call", 0.45);
    expect(over([held, odd, held, held, odd]).at(-1)).toBe("gaming");
    const nothing = verdict("unknown", 0, []);
    expect(over([held, odd, nothing, nothing, odd]).at(-1)).toBe("gaming");
  });

  test("stays when challengers do not agree with each other", () => {
    const looks = [verdict("game_rt", 0.4), verdict("voip_call", 0.45), verdict("bulk_dl", 0.45)];
    expect(over(looks).at(-1)).toBe("gaming");
  });

  test("gives way at once to a clearly stronger sign, such as a name", () => {
    expect(over([verdict("game_rt", 0.4), verdict("bulk_dl", 0.9, ["tls"])])).toEqual([
      "gaming",
      "bulk",
    ]);
  });

  test("is not lost to unknown, and unknown holds nothing", () => {
    const unknown = verdict("unknown", 0, []);
    expect(over([verdict("game_rt", 0.4), unknown, unknown, unknown]).at(-1)).toBe("gaming");
    expect(over([unknown, verdict("game_rt", 0.2)])).toEqual(["unknown", "gaming"]);
  });

  test("follows a rule at once, and its end", () => {
    const ruled: FlowVerdict = { ...verdict("game_rt", 1, ["rule", "port"]), persona: "bulk" };
    expect(over([verdict("game_rt", 0.4), ruled, verdict("game_rt", 0.4)])).toEqual([
      "gaming",
      "bulk",
      "gaming",
    ]);
  });

  test("grows more trusted and learns its name, and never less", () => {
    const sticky = new StickyVerdicts(8);
    sticky.judge(1, verdict("game_rt", 0.4));
    expect(sticky.judge(1, verdict("game_rt", 0.7)).confidence).toBe(0.7);
    expect(sticky.judge(1, verdict("game_rt", 0.5)).confidence).toBe(0.7);
    const named = { ...verdict("game_rt", 0.6), hostname: "play.example.org" };
    expect(sticky.judge(1, named).hostname).toBe("play.example.org");
  });
});

describe("what is remembered", () => {
  test("is bounded: the flow first seen makes room", () => {
    const sticky = new StickyVerdicts(2);
    sticky.judge(1, verdict("game_rt", 0.4));
    sticky.judge(2, verdict("game_rt", 0.4));
    sticky.judge(3, verdict("game_rt", 0.4));
    expect(sticky.size).toBe(2);
    expect(sticky.judge(2, verdict("voip_call", 0.45)).persona).toBe("gaming");
    expect(sticky.judge(1, verdict("voip_call", 0.45)).persona).toBe("voip");
  });

  test("goes when the flow ends", () => {
    const sticky = new StickyVerdicts(2);
    sticky.judge(1, verdict("game_rt", 0.4));
    sticky.forget(1);
    sticky.forget(1);
    expect(sticky.size).toBe(0);
  });
});

const anyVerdict = fc
  .record({
    service: fc.constantFrom(...SERVICES),
    confidence: fc.integer({ min: 0, max: 99 }).map((hundredths) => hundredths / 100),
  })
  .map(({ service, confidence }) => verdict(service, confidence));

test("a change of persona is always a stronger sign or a majority of late looks", () => {
  fc.assert(
    fc.property(fc.array(anyVerdict, { minLength: 1, maxLength: 30 }), (looks) => {
      const sticky = new StickyVerdicts(4);
      let held: FlowVerdict | null = null;
      for (const [index, look] of looks.entries()) {
        const next = sticky.judge(1, look);
        if (held !== null && next.persona !== held.persona) {
          expect(next).toBe(look);
          const votes = looks
            .slice(Math.max(0, index - 2), index + 1)
            .filter(({ persona }) => persona === next.persona).length;
          const isStronger = look.confidence >= held.confidence + 0.2;
          expect(held.persona === "unknown" || isStronger || votes >= 2).toBe(true);
        }
        if (held !== null && next.persona === held.persona) {
          expect(next.confidence).toBeGreaterThanOrEqual(
            Math.min(held.confidence, next.confidence),
          );
        }
        held = next;
      }
    }),
  );
});

describe("the recognizer", () => {
  const catalog = new Catalog([
    {
      service: "voip_call",
      realtime: null,
      confidence: 0.9,
      names: ["example.org"],
      ports: ["tcp/50123"],
      networks: [],
      agents: [],
      certificates: [],
    },
  ]);

  test("answers with the same object as long as the verdict stands", () => {
    const recognizer = new FlowRecognizer({ catalog, rules: new PersonaRules() });
    const first = recognizer.hear(flow(), "progress");
    expect(first).toMatchObject({ persona: "voip", signals: ["port"] });
    expect(recognizer.hear(flow(), "progress")).toBe(first);
    const named = recognizer.hear(flow({ dnsName: "example.org" }), "signal");
    expect(named).not.toBe(first);
    expect(named?.signals).toEqual(["dns", "port"]);
  });

  test("forgets a flow at its end", () => {
    const recognizer = new FlowRecognizer({ catalog, rules: new PersonaRules() });
    const first = recognizer.hear(flow(), "progress");
    expect(recognizer.hear(flow(), "end")).toBeNull();
    expect(recognizer.hear(flow(), "progress")).not.toBe(first);
  });

  test("follows rules and declarations as they change", () => {
    const rules = new PersonaRules();
    let declared: "bulk" | null = null;
    const recognizer = new FlowRecognizer({
      catalog,
      rules,
      declared: { personaAt: () => declared },
    });
    expect(recognizer.hear(flow(), "progress")?.persona).toBe("voip");
    declared = "bulk";
    expect(recognizer.hear(flow(), "progress")?.persona).toBe("bulk");
    const { id } = rules.add({ persona: "gaming", port: "tcp/50123" });
    expect(recognizer.hear(flow(), "progress")?.persona).toBe("gaming");
    rules.delete(id);
    expect(recognizer.hear(flow(), "progress")?.persona).toBe("bulk");
  });
});
