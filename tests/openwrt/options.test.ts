// One schema, four places that know its options: the daemon, procd's validation in the init script,
// the settings page, and docs/openwrt.md. They agree, to the default and the range.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { describe, expect, it } from "vitest";
import type * as z from "zod/mini";
import { FLOW_SCHEMA } from "../../src/schema/flow-settings.ts";
import { PERSONAS } from "../../src/schema/service.ts";
import { isObject, SETTING_DESCRIPTIONS, withoutDefault } from "../../src/schema/setting.ts";
import { STAND_INS, viewSource } from "./luci/page.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), "utf8");
const FILES = "openwrt/feeds/mycoflow/mycoflow/files";
const BEGIN = "<!-- the options, from the schema -->";
const END = "<!-- the end of the options -->";

/** What `bool`, `or(…)` and their like say to procd; null: not checked there beyond being text. */
interface UciOption {
  readonly section: string;
  readonly name: string;
  readonly what: string;
  readonly datatype: string | null;
  /** As UCI has it; null: none, or a list. */
  readonly whenUnset: string | null;
  readonly defaultText: string;
}

const underscores = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function* uciOptions(section: string, schema: z.ZodMiniObject): Generator<UciOption> {
  for (const [key, optional] of Object.entries(schema.def.shape)) {
    const inner = withoutDefault(optional);
    if (isObject(inner)) {
      yield* uciOptions(underscores(key), inner);
      continue;
    }
    const fallback = (optional._zod as z.ZodMiniPrefault["_zod"]).def.defaultValue;
    const what = inUciWords(SETTING_DESCRIPTIONS.get(optional)?.description ?? "");
    if (inner._zod.def.type === "record") {
      const words = { what, datatype: 'or("normal","boost","throttle")', whenUnset: "normal" };
      const section = underscores(key);
      for (const name of PERSONAS) yield { section, name, ...words, defaultText: "normal" };
      continue;
    }
    const whenUnset = uciText(fallback);
    yield {
      section,
      name: underscores(key),
      what,
      datatype: datatypeOf(inner),
      whenUnset,
      defaultText: whenUnset ?? (fallback === null ? "" : (fallback as string[]).join(" ")),
    };
  }
}

/** UCI has no null: such an option is left out. And `log.level` stands in another file. */
function inUciWords(description: string): string {
  return description
    .replace("null:", "unset:")
    .replace("; log.level is for all others", "; those of the rest are config.yaml's log.level");
}

function uciText(value: unknown): string | null {
  if (typeof value === "boolean") return value ? "1" : "0";
  return value === null || Array.isArray(value) ? null : String(value);
}

function datatypeOf(schema: z.core.$ZodType): string | null {
  const { type } = schema._zod.def;
  if (type === "boolean") return "bool";
  if (type === "enum")
    return `or(${[...(schema._zod.values ?? [])].map((word) => `"${String(word)}"`).join(",")})`;
  if (type === "array") return "list(ipaddr)";
  return type === "number"
    ? `range(${bound(schema, "greater_than")},${bound(schema, "less_than")})`
    : null;
}

function bound(schema: z.core.$ZodType, kind: "greater_than" | "less_than"): number {
  const checks = (schema._zod.def.checks ?? []).map(({ _zod }) => _zod.def);
  return (checks.find(({ check }) => check === kind) as z.core.$ZodCheckLessThanDef)
    .value as number;
}

const options = [...uciOptions("flow", FLOW_SCHEMA)];
const byName = new Map(options.map((option) => [`${option.section}.${option.name}`, option]));

describe("the options of /etc/config/mycoflow", () => {
  it("are all known to procd, with the schema's ranges and defaults", () => {
    const init = read(`${FILES}/mycoflow.init`);
    const found = [...init.matchAll(/^validate_(\w+)\(\) \{\n([\s\S]*?)^\}/gm)].flatMap(
      ([, section, body = ""]) =>
        [...body.matchAll(/'(\w+):([^']*)'/g)].map(
          ([, name, rest]) => `${section}.${name}:${rest}`,
        ),
    );
    // Texts are judged by the daemon; a device's name has only its length checked here.
    const datatype = ({ name, datatype }: UciOption): string =>
      datatype ?? (name === "egress_iface" ? "maxlength(15)" : "string");
    const wanted = options
      .filter(({ section }) => section !== "treatment")
      .map((option) => {
        const { section, name, whenUnset } = option;
        return `${section}.${name}:${datatype(option)}${whenUnset === null ? "" : `:${whenUnset}`}`;
      });
    expect(found.sort()).toEqual(wanted.sort());
  });

  it("are all on the settings page, with the schema's ranges and defaults", () => {
    for (const option of pageOptions()) {
      const name = `${option.section.name}.${option.name}`;
      const known = byName.get(name);
      expect(known, name).toBeDefined();
      if (option.type === "Value") {
        if (known?.whenUnset !== null) expect(option.placeholder, name).toBe(known?.whenUnset);
        if (known?.datatype != null) expect(option.datatype, name).toBe(known.datatype);
      } else if (option.type === "Flag") expect(option.default, name).toBe(known?.whenUnset);
      else if (option.type === "ListValue" && option.section.name !== "treatment") {
        const words = option.choices.map(([word]) => `"${word}"`).sort();
        const allowed = (known?.datatype ?? "").slice(3, -1).split(",").sort();
        expect(words, name).toEqual(allowed);
        expect(option.default, name).toBe(known?.whenUnset);
      }
    }
    const names = pageOptions().map(({ section, name }) => `${section.name}.${name}`);
    expect(names.sort()).toEqual([...byName.keys()].sort());
  });

  it("that are shipped are known, and in sections of the page's types", () => {
    const types = new Map(pageSections().map(({ name, type }) => [name, type]));
    let section = "";
    for (const line of read(`${FILES}/mycoflow.config`).split("\n")) {
      const [, type, name] = /^config (\w+) '(\w+)'$/.exec(line) ?? [];
      if (name !== undefined) {
        section = name;
        expect(types.get(name), name).toBe(type);
      } else if (line.trim() !== "") {
        const option = /^\toption (\w+) '/.exec(line)?.[1];
        expect(byName.has(`${section}.${option}`), line).toBe(true);
      }
    }
  });

  it("are all in docs/openwrt.md (vitest -u writes them)", async () => {
    const text = read("docs/openwrt.md");
    const [head, rest = ""] = text.split(BEGIN);
    const tail = rest.split(END)[1];
    await expect(`${head}${BEGIN}\n${optionTables()}${END}${tail}`).toMatchFileSnapshot(
      path("docs/openwrt.md"),
    );
  });
});

interface PageOption {
  readonly section: { readonly name: string };
  readonly name: string;
  readonly type: string;
  readonly choices: readonly (readonly [string, string])[];
  readonly datatype?: string;
  readonly placeholder?: string;
  readonly default?: string;
}

interface PageSection {
  readonly name: string;
  readonly type: string;
  readonly options: readonly PageOption[];
}

/** The settings page, run with LuCI's stand-ins and without a document. */
function pageSections(): readonly PageSection[] {
  const context = vm.createContext({ recordedRounds: [] });
  vm.runInContext(STAND_INS, context);
  const call = `(function (view, form) { ${viewSource("settings")} })(view, form).render(); lastMap.sections`;
  return vm.runInContext(call, context) as PageSection[];
}

function pageOptions(): PageOption[] {
  return pageSections().flatMap(({ options }) => [...options]);
}

function optionTables(): string {
  const sections = [...new Set(options.map(({ section }) => section))];
  return `${sections.map((section) => `\n${optionTable(section)}`).join("")}\n`;
}

function optionTable(section: string): string {
  const ours = options.filter((option) => option.section === section);
  const rows = ours.map(({ name, datatype, defaultText, what }) => {
    const cells = [
      `\`${name}\``,
      defaultText === "" ? "" : `\`${defaultText}\``,
      allowed(datatype),
      what,
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  const heading = `### Section \`${section}\`\n\n| option | default | allowed | what for |\n|---|---|---|---|\n`;
  return `${heading}${rows.join("\n")}\n`;
}

function allowed(datatype: string | null): string {
  if (datatype === null) return "text";
  const [, kind, words = ""] = /^(\w+)(?:\((.*)\))?$/.exec(datatype) ?? [];
  if (kind === "bool") return "0, 1";
  if (kind === "range") return words.replace(",", " to ");
  return kind === "or" ? words.replaceAll('"', "").replaceAll(",", ", ") : "list of addresses";
}
