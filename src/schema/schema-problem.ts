// Turns what a compiled JSON Schema complains of into problems people can mend: the rule in
// words, and the key or word that was probably meant.

import type { SchemaError, SchemaPart } from "./manifest-validator.generated.js";
import {
  type DocumentPath,
  didYouMean,
  foundAndAllowed,
  type Problem,
  unknownKey,
} from "./problem.ts";

/** A problem of the document's structure, and whether it is its key that is wrong. */
export interface SchemaProblem extends Problem {
  readonly isAboutKey: boolean;
}

/** The problems behind `errors`, in the document's words. `root` is the document's value. */
export function explainSchemaErrors(
  root: unknown,
  errors: readonly SchemaError[],
): SchemaProblem[] {
  return errors
    .filter((error) => !isConsequence(error))
    .map((error) => explain(error, pathOf(root, error.instancePath)));
}

/** Rules that only fail because another, which is reported, failed too. */
function isConsequence({ keyword, schemaPath, propertyName }: SchemaError): boolean {
  const isAlternative = keyword === "required" && schemaPath.includes("/oneOf/");
  return keyword === "if" || isAlternative || (propertyName !== undefined && keyword === "pattern");
}

function explain(error: SchemaError, path: DocumentPath): SchemaProblem {
  const { keyword, params, parentSchema, data } = error;
  switch (keyword) {
    case "additionalProperties": {
      const key = params.additionalProperty ?? "";
      return {
        path: [...path, key],
        message: unknownKey(key, keysOf(parentSchema)),
        isAboutKey: true,
      };
    }
    case "propertyNames": {
      const key = params.propertyName ?? "";
      const names = parentSchema.propertyNames ?? {};
      return {
        path: [...path, key],
        message: foundAndAllowed(key, allowedBy(names)),
        isAboutKey: true,
      };
    }
    case "required": {
      const key = params.missingProperty ?? "";
      const message = `"${key}" is missing: ${parentSchema.properties?.[key]?.description ?? "it must be given"}`;
      return { path, message, isAboutKey: false };
    }
    case "oneOf": {
      const given = Object.keys(data as object).filter((key) =>
        ["http", "tcp", "exec"].includes(key),
      );
      const found = given.length === 0 ? "none of them" : given.join(" and ");
      return {
        path,
        message: `found ${found}; allowed: ${allowedBy(parentSchema)}`,
        isAboutKey: false,
      };
    }
    default:
      return { path, message: wrongValue(data, parentSchema), isAboutKey: false };
  }
}

function wrongValue(found: unknown, schema: SchemaPart): string {
  const words = schema.enum;
  const message = foundAndAllowed(found, allowedBy(schema));
  if (typeof found !== "string" || words === undefined) return message;
  return message + didYouMean(found, words);
}

function keysOf(schema: SchemaPart): string[] {
  return Object.keys(schema.properties ?? {}).filter((key) => key !== "$schema");
}

/** What a schema allows, in words: its own, or else made from its type and bounds. */
function allowedBy(schema: SchemaPart): string {
  const words = schema["x-allowed"];
  if (words !== undefined) return words;
  if (schema.enum !== undefined) return schema.enum.join(", ");
  switch (schema.type) {
    case "string":
      return `a text in double quotes, of at most ${schema.maxLength} characters`;
    case "integer":
      return `a whole number from ${schema.minimum} to ${schema.maximum}`;
    case "boolean":
      return "true or false";
    case "array":
      return `a list of ${schema.minItems ?? 0} to ${schema.maxItems ?? "any number of"} items`;
    default:
      return `an object${schema.maxProperties !== undefined ? ` with at most ${schema.maxProperties} keys` : ""}`;
  }
}

/** The steps of a JSON pointer (RFC 6901) into `root`. */
function pathOf(root: unknown, pointer: string): DocumentPath {
  const path: (string | number)[] = [];
  let value = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(value) ? Number(key) : key);
    value = (value as Record<string, unknown>)[key];
  }
  return path;
}
