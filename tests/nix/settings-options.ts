// The configuration's schema as NixOS options: each setting with its type, default and sentence.
// Texts whose rule is code are a string to Nix; the module has `myco config check` judge them.

import type * as z from "zod/mini";
import { CONFIGURATION_SCHEMA } from "../../src/schema/configuration.ts";
import { isObject, SETTING_DESCRIPTIONS, withoutDefault } from "../../src/schema/setting.ts";

type Schema = z.core.$ZodType;

const HEADER = `# Made from src/schema/configuration.ts: \`npx vitest run --project unit tests/nix/settings-options.test.ts -u\`.
{ lib }:
let
  inherit (lib) mkOption types;
in
`;

/** The text of modules/nixos/settings-options.nix. */
export function settingsOptions(): string {
  return `${HEADER}${renderObject(CONFIGURATION_SCHEMA, "")}\n`;
}

/** A row of a table for each setting: name, type and default as Nix writes them, and its sentence. */
export function settingsTable(): string {
  const rows = listSettings(CONFIGURATION_SCHEMA, []).map(
    ({ name, type, whenLeftOut, description }) =>
      `| \`${name}\` | ${cell(type)} | ${cell(whenLeftOut)} | ${description} |\n`,
  );
  return `| setting | type | default | what for |\n|---|---|---|---|\n${rows.join("")}`;
}

interface NixSetting {
  readonly name: string;
  readonly type: string;
  readonly whenLeftOut: string;
  readonly description: string;
}

function listSettings(schema: Schema, path: readonly string[]): NixSetting[] {
  if (!isObject(schema)) throw new Error(`${path.join(".")} is no object`);
  return Object.entries(schema.def.shape).flatMap(([key, optional]) => {
    const setting = withoutDefault(optional);
    const name = [...path, key];
    return isObject(setting) ? listSettings(setting, name) : [describe(name.join("."), optional)];
  });
}

function describe(name: string, optional: Schema): NixSetting {
  const { defaultValue, innerType } = (optional as z.ZodMiniPrefault)._zod.def;
  return {
    name,
    type: nixType(innerType),
    whenLeftOut: nixValue(defaultValue),
    description: SETTING_DESCRIPTIONS.get(optional)?.description ?? "",
  };
}

function renderObject(schema: Schema, indent: string): string {
  if (!isObject(schema)) throw new Error("an object was expected");
  const inner = `${indent}  `;
  const members = Object.entries(schema.def.shape).map(([key, optional]) => {
    const setting = withoutDefault(optional);
    const value = isObject(setting)
      ? renderObject(setting, inner)
      : renderOption(describe(key, optional), inner);
    return `${inner}${key} = ${value};\n`;
  });
  return `{\n${members.join("")}${indent}}`;
}

function renderOption({ type, whenLeftOut, description }: NixSetting, indent: string): string {
  return [
    "mkOption {",
    `${indent}  type = ${type};`,
    `${indent}  default = ${whenLeftOut};`,
    `${indent}  description = ${nixString(description)};`,
    `${indent}}`,
  ].join("\n");
}

/** What zod keeps of a schema, as far as a kind of schema has it. */
interface SchemaParts {
  readonly type: string;
  readonly checks?: readonly { readonly _zod: { readonly def: object } }[];
  readonly innerType: Schema;
  readonly element: Schema;
  readonly valueType: Schema;
  readonly options: readonly Schema[];
  readonly values: readonly unknown[];
  readonly entries: Readonly<Record<string, string>>;
}

/** @throws for a kind of schema that has no counterpart here yet */
function nixType(schema: Schema): string {
  const parts = schema._zod.def as unknown as SchemaParts;
  switch (parts.type) {
    case "boolean":
      return "types.bool";
    case "string":
      return "types.str";
    case "number":
      return `types.ints.between ${bound(parts, "greater_than")} ${bound(parts, "less_than")}`;
    case "enum":
      return `types.enum ${nixValue(Object.values(parts.entries))}`;
    case "literal":
      return `types.enum ${nixValue(parts.values)}`;
    case "nullable":
      return `types.nullOr ${nested(parts.innerType)}`;
    case "array":
      return `types.listOf ${nested(parts.element)}`;
    case "record":
      return `types.attrsOf ${nested(parts.valueType)}`;
    case "union":
      return `types.oneOf [ ${parts.options.map(nested).join(" ")} ]`;
    default:
      throw new Error(`there is no Nix type for ${parts.type} yet`);
  }
}

function bound({ checks = [] }: SchemaParts, kind: "greater_than" | "less_than"): string {
  for (const { _zod } of checks) {
    const check = _zod.def as { readonly check: string; readonly value: number };
    if (check.check === kind) return nixArgument(check.value);
  }
  throw new Error(`a number without ${kind}`);
}

function nested(schema: Schema): string {
  const type = nixType(schema);
  return type.includes(" ") ? `(${type})` : type;
}

function nixArgument(value: unknown): string {
  const text = nixValue(value);
  return text.startsWith("-") ? `(${text})` : text;
}

/** A JSON value as Nix writes it. */
function nixValue(value: unknown): string {
  if (Array.isArray(value)) return `[ ${value.map((item) => `${nixArgument(item)} `).join("")}]`;
  if (typeof value === "string") return nixString(value);
  if (value === null || typeof value === "boolean" || typeof value === "number") return `${value}`;
  const entries = Object.entries(value as Record<string, unknown>);
  return `{ ${entries.map(([key, item]) => `${key} = ${nixValue(item)}; `).join("")}}`;
}

function nixString(text: string): string {
  return `"${text.replaceAll(/["\\]|\$\{/g, "\\$&")}"`;
}

function cell(code: string): string {
  return `\`${code.replaceAll("types.", "").replaceAll("|", "\\|")}\``;
}
