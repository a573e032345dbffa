// docs/engine.md where it is made from the code: the manifest's fields and a whole unit.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { compileUnits } from "../../src/engine/systemd.ts";
import { readManifest } from "../../src/schema/manifest.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Property {
  readonly $ref?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly items?: Property;
  readonly "x-allowed"?: string;
}
interface Part {
  readonly required?: readonly string[];
  readonly properties: Readonly<Record<string, Property>>;
}

const EXAMPLE = `{
  "name": "web",
  "flake": "github:acme/website#server",
  "exec": "bin/web",
  "args": ["--motd", "100% \\"fresh\\""],
  "ports": [{ "port": 8080, "name": "http" }],
  "health": { "http": "/health" },
  "memory": "256M",
  "secrets": ["db-password"]
}`;

it("docs/engine.md has every field of the manifest and a unit as it is written", async () => {
  const file = `${root}docs/engine.md`;
  const text = readFileSync(file, "utf8");
  const current = withBlock(
    withBlock(text, "manifest", manifestReference()),
    "unit",
    unitExample(),
  );
  await expect(current).toMatchFileSnapshot(file);
});

/** The document with what stands between two marks replaced. */
function withBlock(text: string, name: string, block: string): string {
  const [start, end] = [`<!-- ${name} -->\n`, "<!-- end -->"];
  const from = text.indexOf(start);
  const to = text.indexOf(end, from);
  expect(from > 0 && to > from, `docs/engine.md has the marks of ${name}`).toBe(true);
  return `${text.slice(0, from + start.length)}\n${block}\n${text.slice(to)}`;
}

function manifestReference(): string {
  const schema = JSON.parse(readFileSync(`${root}docs/manifest.schema.json`, "utf8")) as {
    readonly $defs: Readonly<Record<string, Part & Property>>;
  };
  const rows = (part: string, prefix = ""): string[] => {
    const { properties, required = [] } = schema.$defs[part]!;
    return Object.entries(properties)
      .filter(([name]) => name !== "$schema")
      .map(([name, property]) => {
        const isRequired = required.includes(name);
        return row(`${prefix}${name}`, property, isRequired);
      });
  };
  const table = (lines: readonly string[]): string =>
    ["| field | default | allowed | what it is for |", "|---|---|---|---|", ...lines, ""].join(
      "\n",
    );
  return [
    table(rows("service")),
    "An item of `ports` is a number, or an object of:\n",
    table(rows("port")),
    "`health` is one of `http`, `tcp` and `exec`, with its times:\n",
    table(rows("health")),
  ].join("\n");
}

function row(name: string, property: Property, isRequired: boolean): string {
  const { default: whenLeftOut, description = "" } = property;
  const shown = isRequired ? "must be given" : whenLeftOut === undefined ? "none" : "";
  const value = shown === "" ? `\`${JSON.stringify(whenLeftOut)}\`` : shown;
  const cells = [`\`${name}\``, value, allowed(property), description];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** The bounds in words, with their units. */
function allowed(property: Property): string {
  if (property["x-allowed"] !== undefined) return property["x-allowed"];
  if (property.enum !== undefined) return property.enum.map((word) => `\`${word}\``).join(", ");
  if (property.$ref !== undefined) return "see below";
  switch (property.type) {
    case "boolean":
      return "`true`, `false`";
    case "integer":
      return `${property.minimum} to ${property.maximum}`;
    case "array":
      return `a list${property.maxItems === undefined ? "" : ` of at most ${property.maxItems}`}${itemsOf(property)}`;
    case "object":
      return `an object of at most ${property.maxProperties} texts`;
    default:
      return "a text";
  }
}

function itemsOf({ items }: Property): string {
  return items?.enum === undefined ? "" : ` of ${items.enum.join(", ")}`;
}

function unitExample(): string {
  const [spec] = readManifest(EXAMPLE);
  const units = compileUnits(
    { ...spec!, lock: "5f1d3a9c0b7e4d2f8a6c1e3b5d7f9a0c2e4b6d80" },
    3_141_592_653,
    {
      storePath: "/nix/store/0f1v2x3yzabcdfghijklmnpqrsvwz456-website",
      nodeId: "7d3c5a1f09be8264",
      address: "192.168.1.20",
      secretsDir: "/etc/myco/secrets",
    },
  );
  const unit = units.get("myco-web.service")!;
  return `\`\`\`json\n${EXAMPLE}\n\`\`\`\n\n\`\`\`ini\n${unit}\`\`\`\n`;
}
