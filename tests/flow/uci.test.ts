// The router's own configuration language: what it says, and what is refused of it.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseUciFlowSettings } from "../../src/flow/uci/flow-options.ts";
import { parseUci, UciSyntaxError } from "../../src/flow/uci/uci-text.ts";
import { ConfigurationError, parseConfiguration } from "../../src/schema/configuration.ts";
import { PERSONAS } from "../../src/schema/service.ts";

const PACKAGE = `
package mycoflow

config flow 'flow'
	option enabled '1'
	option egress_iface 'pppoe-wan'
	option sample_hz '5'
	option max_cpu '25'
	option delay_set_point '15ms'
	option metrics_file ''
	list reflectors '192.0.2.1'
	list reflectors '2001:db8::1'

config bandwidth 'download'
	option min '1000'
	option base '4000'
	option max '9000'

config persona
	option tap 'off'

config treatment
	option torrent 'throttle'
`;

describe("a UCI package", () => {
  it("gives its sections and options, lists in their order", () => {
    const [flow, download, persona] = parseUci(PACKAGE);
    expect([flow?.type, flow?.name]).toEqual(["flow", "flow"]);
    expect(flow?.options.get("reflectors")?.values).toEqual(["192.0.2.1", "2001:db8::1"]);
    expect([download?.type, download?.name]).toEqual(["bandwidth", "download"]);
    expect(persona?.name).toBeNull();
  });

  it.each([
    ["config a\noption b it\\'s", "it's"],
    ["config a\noption b 'it'\\''s'", "it's"],
    ['config a\noption b "say \\"it\\" \\\\"', 'say "it" \\'],
    ["config a\noption b 'two\nlines'", "two\nlines"],
    ["config a\noption b ''", ""],
    ["config a\n\toption b c # a remark\n# another", "c"],
    ["config a; option b c", "c"],
    ["config a\noption b first\noption b last", "last"],
  ])("reads %j as people and programs quote it", (text, value) => {
    expect(parseUci(text)[0]?.options.get("b")?.values).toEqual([value]);
  });

  it.each([
    ["option b c", "an option before the first section"],
    ["config a\noption b 'c", "a quote that does not end"],
    ["config a\noption b", "found 1 words after option; allowed: 2"],
    ["config a\noption b-c d", 'found the name "b-c"; allowed: letters, digits and underscores'],
    ["konfig a", 'found "konfig"; allowed: package, config, option, list'],
  ])("is refused by name: %j", (text, message) => {
    expect(() => parseUci(text)).toThrow(message);
  });

  it("comes back from any values that are quoted as `uci export` does", () => {
    const quoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;
    const name = fc.stringMatching(/^[A-Za-z0-9_]{1,20}$/);
    const options = fc.dictionary(name, fc.string({ unit: "grapheme" }), { noNullPrototype: true });
    fc.assert(
      fc.property(options, (wanted) => {
        const lines = Object.entries(wanted).map(
          ([key, text]) => `\toption ${key} ${quoted(text)}`,
        );
        const [section] = parseUci(`config a 'b'\n${lines.join("\n")}\n`);
        const found = [...section!.options].map(([key, { values }]) => [key, values[0]]);
        expect(found).toEqual(Object.entries(wanted));
      }),
    );
  });

  it("is read or refused with a UciSyntaxError, whatever the text", () => {
    const part = fc.constantFrom(
      "config ",
      "option ",
      "list ",
      "a",
      "'",
      '"',
      "\\",
      "\n",
      " ",
      "#",
      ";",
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(part, { maxLength: 40 }).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(text, (source) => {
        try {
          parseUci(source);
        } catch (error) {
          expect(error).toBeInstanceOf(UciSyntaxError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the flow plane's options", () => {
  it("are the settings of the YAML file", () => {
    const yaml = `flow:
  enabled: true
  egressIface: pppoe-wan
  sampleHz: 5
  maxCpu: 25
  delaySetPoint: 15ms
  reflectors: [192.0.2.1, "2001:db8::1"]
  download: { min: 1000, base: 4000, max: 9000 }
  persona: { tap: "off", treatment: { torrent: throttle } }
`;
    expect(parseUciFlowSettings(PACKAGE, "mycoflow")).toEqual(parseConfiguration(yaml, "").flow);
  });

  it("are all defaults when the package says nothing", () => {
    expect(parseUciFlowSettings("", "mycoflow")).toEqual(parseConfiguration("", "").flow);
  });

  it("say the same as YAML, whatever they are set to", () => {
    const rates = fc
      .tuple(fc.integer({ min: 100, max: 10_000_000 }), fc.nat(), fc.nat())
      .map(([min, more, most]) => ({
        min,
        base: Math.min(min + more, 10_000_000),
        max: Math.min(min + more + most, 10_000_000),
      }));
    const settings = fc.record({
      enabled: fc.boolean(),
      ingress: fc.boolean(),
      sampleHz: fc.integer({ min: 1, max: 20 }),
      download: rates,
      upload: rates,
      linkLayer: fc.record({ overhead: fc.integer({ min: -64, max: 256 }) }),
      treatment: fc.dictionary(fc.constantFrom(...PERSONAS), fc.constantFrom("boost", "throttle")),
    });
    fc.assert(
      fc.property(settings, ({ treatment, download, upload, linkLayer, ...flow }) => {
        const objects = { download, upload, linkLayer };
        const yaml = stringify({ flow: { ...flow, ...objects, persona: { treatment } } });
        const uci = [
          section("flow", flow),
          section("download", download),
          section("upload", upload),
          section("link_layer", linkLayer),
          section("treatment", treatment),
        ].join("\n");
        expect(parseUciFlowSettings(uci, "mycoflow")).toEqual(parseConfiguration(yaml, "").flow);
      }),
    );
  });

  it.each([
    [
      "an option's name",
      "config flow\n\toption sample_hs '5'\n",
      `mycoflow:2:9: flow.sample_hs: unknown key "sample_hs"; did you mean "sample_hz"?`,
    ],
    [
      "an option that every object has",
      "config flow\n\toption constructor '5'\n",
      `mycoflow:2:9: flow.constructor: unknown key "constructor"`,
    ],
    [
      "a section's name",
      "config bandwidth 'downlaod'\n",
      `mycoflow:1:1: downlaod: unknown section "downlaod"; did you mean "download"?`,
    ],
    [
      "a value of another kind",
      "config flow\n\toption sample_hz 'fast'\n",
      `mycoflow:2:19: flow.sample_hz: found "fast"; allowed: a whole number from 1 to 20`,
    ],
    [
      "neither yes nor no",
      "config flow\n\toption enabled 'maybe'\n",
      `mycoflow:2:17: flow.enabled: found "maybe"; allowed: true or false`,
    ],
    [
      "rates that do not fit each other",
      "config bandwidth 'upload'\n\toption base '99999'\n",
      `mycoflow:2:14: upload.base: found 99999; allowed: from min, 5000, to max, 35000; here it is 99999`,
    ],
    [
      "a persona's treatment",
      "config treatment\n\toption torrent 'boots'\n",
      `mycoflow:2:17: treatment.torrent: found "boots"; allowed: "normal", "boost" or "throttle"; did you mean "boost"?`,
    ],
    [
      "an item of a list",
      "config flow\n\tlist reflectors '192.0.2.1'\n\tlist reflectors 'nine'\n",
      `mycoflow:2:18: flow.reflectors[1]: found "nine"; allowed: an IP address such as 1.1.1.1`,
    ],
    ["the syntax", "config flow\n\toption\n", `mycoflow:2:2: not UCI: found 0 words after option`],
  ])("are refused by their UCI name: %s", (_, text, message) => {
    expect(refusal(text)).toContain(message);
  });
});

function section(name: string, options: object): string {
  const lines = Object.entries(options).map(([key, value]) => {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return `\toption ${name} '${value === true ? 1 : value === false ? 0 : value}'`;
  });
  return `config ${name}\n${lines.join("\n")}\n`;
}

function refusal(text: string): string {
  try {
    parseUciFlowSettings(text, "mycoflow");
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as Error).message;
  }
}
