// A YAML document people wrote: its value, and where each part of it stands, so that a mistake is
// told with its line.

import { type Document, isMap, isNode, isScalar, parseDocument } from "yaml";
import type { DocumentPath, Problem } from "./problem.ts";
import type { SettingProblem } from "./setting.ts";

export type PlacedProblem = Problem & { readonly offset: number };

/** A document that is YAML, or what keeps it from being YAML. */
export type YamlResult =
  | { readonly document: YamlDocument; readonly problems: null }
  | { readonly document: null; readonly problems: readonly PlacedProblem[] };

export class YamlDocument {
  readonly value: unknown;
  readonly #document: Document;

  constructor(document: Document, value: unknown) {
    this.#document = document;
    this.value = value;
  }

  /** Adds to a problem where it stands in the text. */
  place({ path, message, at }: SettingProblem): PlacedProblem {
    const offset =
      at === "key"
        ? this.#keyOffset(path.slice(0, -1), String(path.at(-1)))
        : this.#valueOffset(path);
    return { path, message, offset };
  }

  /** Where the value stands, or what it would stand in. */
  #valueOffset(path: DocumentPath): number {
    const node = this.#document.getIn(path, true);
    if (isNode(node)) return node.range?.[0] ?? 0;
    return path.length === 0 ? 0 : this.#valueOffset(path.slice(0, -1));
  }

  #keyOffset(path: DocumentPath, key: string): number {
    const map = path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
    if (!isMap(map)) return 0;
    const pair = map.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
    return isScalar(pair?.key) ? (pair.key.range?.[0] ?? 0) : 0;
  }
}

/** Reads one document. An empty one has the value null. */
export function readYaml(source: string): YamlResult {
  const document = parseDocument(source, { prettyErrors: false, logLevel: "silent" });
  const mistakes = [...document.errors, ...document.warnings];
  if (mistakes.length > 0) {
    const problems = mistakes.map(({ message, pos }) => notYaml(message, pos[0]));
    return { document: null, problems };
  }
  try {
    return { document: new YamlDocument(document, document.toJS() as unknown), problems: null };
  } catch (error) {
    // Aliases that lead nowhere, or to more than they should, show only here.
    const reason = error instanceof Error ? error.message : String(error);
    return { document: null, problems: [notYaml(reason, 0)] };
  }
}

function notYaml(reason: string, offset: number): PlacedProblem {
  return { path: [], message: `not YAML: ${reason}`, offset };
}
