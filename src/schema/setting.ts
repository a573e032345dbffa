// What settings are made of: a schema, a default and one sentence for each, and how a mistake
// in one is told. The configuration file and the router's UCI options share it.

import * as z from "zod/mini";
import { type DocumentPath, didYouMean, foundAndAllowed, unknownKey } from "./problem.ts";
import { isPlainText } from "./text-rules.ts";

export const PATH_BYTES_MAX = 255;

/** What each setting is for, in one sentence. Read by the documentation. */
export const SETTING_DESCRIPTIONS = z.registry<{ description: string }>();

/** A setting that may be left out. The schema's own error texts say what is allowed. */
export function setting<Schema extends z.ZodMiniType>(
  description: string,
  whenLeftOut: z.input<Schema>,
  schema: Schema,
): z.ZodMiniPrefault<Schema> {
  const optional = z.prefault(schema, whenLeftOut);
  SETTING_DESCRIPTIONS.add(optional, { description });
  return optional;
}

/** A text that `isAllowed`; every other value is told what is `allowed`. */
export function text(allowed: string, isAllowed: (text: string) => boolean): z.ZodMiniString {
  return z.string(allowed).check(z.refine(isAllowed, allowed));
}

export function wholeNumber(min: number, max: number): z.ZodMiniNumber {
  const allowed = `a whole number from ${min} to ${max}`;
  return z.int(allowed).check(z.minimum(min, allowed), z.maximum(max, allowed));
}

export function yesOrNo(): z.ZodMiniBoolean {
  return z.boolean("true or false");
}

export function list(item: z.ZodMiniType<string>, itemsMax: number): z.ZodMiniType<string[]> {
  const allowed = `a list of at most ${itemsMax} items`;
  return z.array(item, allowed).check(z.maxLength(itemsMax, allowed));
}

export function path(example: string, bytesMax: number): z.ZodMiniString {
  return text(
    `an absolute path of at most ${bytesMax} bytes, such as ${example}`,
    (value) => value.startsWith("/") && isPlainText(value, bytesMax),
  );
}

/** A mistake, and whether its place is a key or what stands at it. */
export interface SettingProblem {
  readonly path: DocumentPath;
  readonly message: string;
  readonly at: "key" | "value";
}

/**
 * An issue in the words people are told.
 * @param schema of the whole document. @param value the whole document, as it was given
 * @param spell how the document writes a key
 */
export function explainIssue(
  schema: z.ZodMiniObject,
  value: unknown,
  issue: z.core.$ZodIssue,
  spell: (key: string) => string = (key) => key,
): SettingProblem[] {
  const path = issue.path as DocumentPath;
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, path).map(spell);
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: unknownKey(spell(key), known),
      at: "key",
    }));
  }
  if (issue.code === "invalid_key") {
    const key = String(path.at(-1));
    const allowed = issue.issues[0]?.message ?? issue.message;
    const message = foundAndAllowed(key, allowed) + suggestion(key, issue.issues[0]);
    return [{ path, message, at: "key" }];
  }
  const found = valueAt(value, path);
  const message = foundAndAllowed(found, issue.message) + suggestion(found, issue);
  return [{ path, message, at: "value" }];
}

/** The schema without what makes a setting optional. */
export function withoutDefault(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod as z.ZodMiniPrefault["_zod"];
  const isWrapper = def.type === "prefault" || (def.type as string) === "nullable";
  return isWrapper ? withoutDefault(def.innerType) : schema;
}

export function isObject(schema: z.core.$ZodType): schema is z.ZodMiniObject {
  return "shape" in schema._zod.def;
}

/** The keys that may stand at a place: an object's, or the words a map's keys are taken from. */
function keysAt(schema: z.core.$ZodType, path: DocumentPath): string[] {
  const [step, ...rest] = path;
  if (!isObject(schema)) {
    const { keyType } = (schema._zod as z.ZodMiniRecord["_zod"]).def;
    return [...(keyType._zod.values ?? [])].map(String);
  }
  const next = step === undefined ? undefined : schema.def.shape[step];
  return next === undefined ? Object.keys(schema.def.shape) : keysAt(withoutDefault(next), rest);
}

function suggestion(found: unknown, issue: z.core.$ZodIssue | undefined): string {
  if (typeof found !== "string" || issue?.code !== "invalid_value") return "";
  return didYouMean(found, issue.values.map(String));
}

function valueAt(value: unknown, path: DocumentPath): unknown {
  let at = value;
  for (const step of path) at = (at as Record<string | number, unknown> | undefined)?.[step];
  return at;
}
