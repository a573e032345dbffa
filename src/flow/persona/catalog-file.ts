// A catalogue file, as it ships and as users write it: YAML, entries by title. Every mistake is
// told with its line, what is allowed, and the word that was probably meant.

import * as z from "zod/mini";
import { CATALOG_FILE_BYTES_MAX, CATALOG_ITEMS_MAX } from "../../kernel/limits.ts";
import { formatProblem, type LocatedProblem, locateProblems } from "../../schema/problem.ts";
import { explainIssue, list, setting, text } from "../../schema/setting.ts";
import { isPlainText, utf8Length } from "../../schema/text-rules.ts";
import { type PlacedProblem, readYaml, type YamlDocument } from "../../schema/yaml-document.ts";
import { SERVICES } from "../interface.ts";
import { type CatalogEntry, ENTRY_CONFIDENCE, parsePorts } from "./catalog-entry.ts";
import { parseNetwork } from "./network.ts";

/** A catalogue file that is refused. The message shows every mistake in its line. */
export class CatalogError extends Error {
  override readonly name = "CatalogError";
  readonly code = "ERR_CATALOG";
  /** In the file's order. */
  readonly problems: readonly LocatedProblem[];

  constructor(fileName: string, problems: readonly LocatedProblem[]) {
    super(problems.map((problem) => formatProblem(fileName, problem)).join("\n"));
    this.problems = problems;
  }
}

const AGENT_BYTES_MAX = 80;
const AGENT_CHARACTERS_MIN = 3;
const NAME_CHARACTERS_MAX = 253;
/** A host name (with `_`, which some have), a beginning with `*` as one label, or `*` at the end. */
const NAME = /^(?:[a-z0-9_][a-z0-9_-]*\*?\.)+(?:[a-z0-9_-]+|\*)$|^[a-z0-9_-]+$/;

const service = z.enum(SERVICES, SERVICES.join(", "));

const name = text(
  "a server's name in lower case, such as example.org, cdn-*.example.org or stun.*",
  isName,
);
const ports = text("tcp/PORT, udp/PORT or a range, such as udp/3478-3481", (value) => {
  return parsePorts(value) !== null;
});
const network = text(
  'a network with its length, such as 192.0.2.0/24, or "2001:db8::/32" in quotes (at most /64)',
  (value) => parseNetwork(value) !== null,
);
const agent = text(
  `a part of a User-Agent, of ${AGENT_CHARACTERS_MIN} to ${AGENT_BYTES_MAX} characters`,
  (value) => value.length >= AGENT_CHARACTERS_MIN && isPlainText(value, AGENT_BYTES_MAX),
);

const confidence = (() => {
  const allowed = "a number above 0, at most 1";
  return z.number(allowed).check(z.positive(allowed), z.maximum(1, allowed));
})();

const ENTRY_SCHEMA = z.strictObject(
  {
    service,
    realtime: setting(
      "What this company's calls or play are; null: as service.",
      null,
      z.nullable(service),
    ),
    confidence: setting("How far its signs are to be trusted.", ENTRY_CONFIDENCE, confidence),
    names: setting("Names of its servers.", [], list(name, CATALOG_ITEMS_MAX)),
    ports: setting("Ports of its servers.", [], list(ports, CATALOG_ITEMS_MAX)),
    networks: setting("Networks of its servers.", [], list(network, CATALOG_ITEMS_MAX)),
    agents: setting("Parts of its User-Agent.", [], list(agent, CATALOG_ITEMS_MAX)),
    certificates: setting(
      "Common names of its certificates that are no host names.",
      [],
      list(agent, CATALOG_ITEMS_MAX),
    ),
  },
  "an object with service, and with names, ports, networks or agents",
);

/** One `*` at most, at the end of a label that is not the last but one, or as the last label. */
function isName(value: string): boolean {
  if (value.length > NAME_CHARACTERS_MAX || !NAME.test(value)) return false;
  const stars = value.split("*").length - 1;
  const isAnyDomain = value.endsWith(".*");
  if (isAnyDomain) return stars <= 2 && value.split(".").length === 2;
  return stars === 0 || (stars === 1 && value.indexOf("*") < value.indexOf("."));
}

/**
 * Reads a catalogue file; an empty one has no entries.
 * @param fileName for the messages
 * @throws CatalogError
 */
export function parseCatalogFile(source: string, fileName: string): CatalogEntry[] {
  const refuse = (problems: readonly PlacedProblem[]): never => {
    throw new CatalogError(fileName, locateProblems(source, problems));
  };
  if (utf8Length(source) > CATALOG_FILE_BYTES_MAX) {
    const message = `the file is above ${CATALOG_FILE_BYTES_MAX} bytes; split it`;
    return refuse([{ path: [], message, offset: 0 }]);
  }
  const { document, problems } = readYaml(source);
  if (document === null) return refuse(problems);
  const value = document.value ?? {};
  if (typeof value !== "object" || Array.isArray(value)) {
    const message = "a catalogue is entries by title, such as Example: { service: messaging }";
    return refuse([{ path: [], message, offset: 0 }]);
  }
  const found = readEntries(document, value as Record<string, unknown>);
  return found.problems.length === 0 ? found.entries : refuse(found.problems);
}

function readEntries(
  document: YamlDocument,
  titles: Readonly<Record<string, unknown>>,
): { entries: CatalogEntry[]; problems: PlacedProblem[] } {
  const entries: CatalogEntry[] = [];
  const problems: PlacedProblem[] = [];
  for (const [title, value] of Object.entries(titles)) {
    const result = ENTRY_SCHEMA.safeParse(value);
    if (result.success) entries.push(result.data);
    else problems.push(...explain(document, title, value, result.error));
  }
  return { entries, problems };
}

function explain(
  document: YamlDocument,
  title: string,
  value: unknown,
  error: z.core.$ZodError,
): PlacedProblem[] {
  return error.issues
    .flatMap((issue) => explainIssue(ENTRY_SCHEMA, value, issue))
    .map((problem) => document.place({ ...problem, path: [title, ...problem.path] }));
}
