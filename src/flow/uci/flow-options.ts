// The flow plane's settings out of UCI: the same schema as the YAML file's `flow:`. Every
// object of it is a section, by name or by type (`config bandwidth 'download'`, `config
// download`), its own settings stand in `flow`, and names are written with underscores
// (`sample_hz` for sampleHz).

import type * as z from "zod/mini";
import { CONFIGURATION_BYTES_MAX } from "../../kernel/limits.ts";
import { ConfigurationError } from "../../schema/configuration.ts";
import { FLOW_SCHEMA, type FlowSettings, readFlowSettings } from "../../schema/flow-settings.ts";
import {
  type DocumentPath,
  locateProblems,
  type Problem,
  unknownKey,
} from "../../schema/problem.ts";
import { isObject, withoutDefault } from "../../schema/setting.ts";
import { utf8Length } from "../../schema/text-rules.ts";
import { parseUci, type UciOption, type UciSection, UciSyntaxError } from "./uci-text.ts";

/** The section of the settings that stand in no object. */
const ROOT_SECTION = "flow";
const TRUE_WORDS = ["1", "on", "true", "yes", "enabled"];
const FALSE_WORDS = ["0", "off", "false", "no", "disabled"];

type PlacedProblem = Problem & { readonly offset: number };
/** Settings by name, as a YAML document would give them. */
type SettingValues = Record<string, unknown>;

/** An object of the schema and the section that holds it. */
interface SectionPlace {
  readonly path: readonly string[];
  readonly schema: z.core.$ZodType;
}

const PLACES: ReadonlyMap<string, SectionPlace> = new Map(
  sectionPlaces([ROOT_SECTION], [], FLOW_SCHEMA),
);

/**
 * Reads a UCI package's text.
 * @param fileName for the messages
 * @throws ConfigurationError
 */
export function parseUciFlowSettings(source: string, fileName: string): FlowSettings {
  const refuse = (problems: readonly PlacedProblem[]): never => {
    throw new ConfigurationError(fileName, locateProblems(source, problems));
  };
  if (utf8Length(source) > CONFIGURATION_BYTES_MAX) {
    const message = `the file is above ${CONFIGURATION_BYTES_MAX} bytes; is it the right one?`;
    return refuse([{ path: [], message, offset: 0 }]);
  }
  const sections = readSections(source, refuse);
  const strangers = sections.filter((section) => !PLACES.has(sectionName(section)));
  const values: SettingValues = {};
  for (const section of sections) fillIn(values, section);
  const result = readFlowSettings(values, toUnderscores);
  const problems = strangers.map(unknownSection);
  if ("problems" in result) {
    for (const { path, message, at } of result.problems) {
      problems.push({ path: uciPath(path), message, offset: offsetOf(sections, path, at) });
    }
  }
  return "settings" in result && problems.length === 0 ? result.settings : refuse(problems);
}

function readSections(source: string, refuse: (problems: PlacedProblem[]) => never): UciSection[] {
  try {
    return parseUci(source);
  } catch (error) {
    if (!(error instanceof UciSyntaxError)) throw error;
    return refuse([{ path: [], message: `not UCI: ${error.message}`, offset: error.offset }]);
  }
}

function* sectionPlaces(
  names: readonly string[],
  path: readonly string[],
  schema: z.core.$ZodType,
): Generator<[name: string, place: SectionPlace]> {
  for (const name of names) yield [name, { path, schema }];
  if (!isObject(schema)) return;
  for (const [key, optional] of Object.entries(schema.def.shape)) {
    const inner = withoutDefault(optional);
    const isSection = isObject(inner) || inner._zod.def.type === "record";
    if (isSection) yield* sectionPlaces([toUnderscores(key)], [...path, key], inner);
  }
}

/** Puts a section's options where the schema looks for them. */
function fillIn(values: SettingValues, section: UciSection): void {
  const place = PLACES.get(sectionName(section));
  if (place === undefined) return;
  let target = values;
  for (const step of place.path) {
    target[step] ??= {};
    target = target[step] as SettingValues;
  }
  for (const option of section.options.values()) {
    const key = toCapitals(option.name);
    target[key] = readOption(option, settingAt(place.schema, key));
  }
}

function settingAt(schema: z.core.$ZodType, key: string): z.core.$ZodType | null {
  if (!isObject(schema) || !Object.hasOwn(schema.def.shape, key)) return null;
  return schema.def.shape[key] ?? null;
}

/** An option's text as the type its setting has; as it is, where it cannot be one. */
function readOption({ values, isList }: UciOption, setting: z.core.$ZodType | null): unknown {
  const schema = setting === null ? null : withoutDefault(setting);
  const type = schema?._zod.def.type;
  if (type === "array") return isList ? values : values[0]!.split(/\s+/).filter(Boolean);
  if (isList) return values;
  const [word = ""] = values;
  if (word === "" && isNullable(setting)) return null;
  if (type === "number") return /^-?[0-9]{1,9}$/.test(word) ? Number(word) : word;
  if (type !== "boolean") return word;
  if (TRUE_WORDS.includes(word)) return true;
  return FALSE_WORDS.includes(word) ? false : word;
}

function isNullable(setting: z.core.$ZodType | null): boolean {
  return setting?._zod.def.type === "prefault"
    ? (setting._zod as z.ZodMiniPrefault["_zod"]).def.innerType._zod.def.type === "nullable"
    : false;
}

function sectionName({ name, type }: UciSection): string {
  return name ?? type;
}

function unknownSection(section: UciSection): PlacedProblem {
  const name = sectionName(section);
  const message = unknownKey(name, [...PLACES.keys()]).replace("key", "section");
  return { path: [name], message, offset: section.offset };
}

/** `persona.treatment.torrent` is the option `torrent` of the section `treatment`. */
function uciPath(path: DocumentPath): DocumentPath {
  // A section comes after the one it stands in, so that the last that fits is the nearest.
  const [section, place] = [...PLACES].findLast(([, { path: prefix }]) =>
    prefix.every((step, index) => step === path[index]),
  )!;
  const rest = path.slice(place.path.length);
  return [section, ...rest.map((step) => (typeof step === "string" ? toUnderscores(step) : step))];
}

/** Where the option stands; without one, its section; without that, the beginning. */
function offsetOf(
  sections: readonly UciSection[],
  path: DocumentPath,
  at: "key" | "value",
): number {
  const [sectionOf, option] = uciPath(path);
  const meant = sections.filter((section) => sectionName(section) === sectionOf);
  for (const { options } of meant.toReversed()) {
    const found = options.get(String(option));
    if (found !== undefined) return at === "key" ? found.nameOffset : found.valueOffset;
  }
  return meant.at(-1)?.offset ?? 0;
}

function toUnderscores(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function toCapitals(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
