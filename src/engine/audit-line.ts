// The lines of the audit log: one for each deployment that went live here, each with the hash of
// the one before it, so that a line that was changed, cut or taken away shows.
//
//   {"n":7,"time":"…","event":"deployed", …, "previous":"HASH OF LINE 6","hash":"HASH OF THIS LINE"}
//
// A line's hash is SHA-256 over the line as it stands with `,"hash":"…"` taken out. A file begins
// with a line of its own (`begun`), which holds the last hash of the file before it. What a crash
// left of a line is followed by one that owns up to it (`torn`).

import { assert } from "../kernel/assert.ts";
import { AUDIT_LINE_BYTES_MAX } from "../kernel/limits.ts";

/** A deployment that went live on this node. */
export interface AuditEntry {
  readonly service: string;
  /** Node id of the deployer. */
  readonly author: string;
  readonly generation: number;
  /** Empty where the program stands on the machine already. */
  readonly flake: string;
  /** A commit or a NAR hash; empty without a flake. */
  readonly commit: string;
  /** Empty without a flake. */
  readonly storePath: string;
  /** `deploymentHash` of what went live. */
  readonly deployment: string;
}

export type AuditEvent =
  | { readonly event: "begun" }
  /** What follows the last whole line has this hash, and is no line. */
  | { readonly event: "torn"; readonly torn: string }
  | ({ readonly event: "deployed"; readonly lost: number } & AuditEntry);

export interface AuditLine {
  /** From 1, without gaps, over all files. */
  readonly number: number;
  readonly event: string;
  readonly torn: string;
  readonly previous: string;
  readonly hash: string;
}

/** SHA-256 of a text's UTF-8, as hex. */
export type HashText = (text: string) => string;

/** What the first line of all has for the hash of the one before it. */
export const NO_LINE_BEFORE = "0".repeat(64);
const HASH = /^[0-9a-f]{64}$/;
const LINE = /^(\{"n":[1-9][0-9]{0,15},.*),"hash":"([0-9a-f]{64})"\}$/;

/**
 * What went live, as one hash: the same on every node that runs the same, whatever its clock.
 * @param unitTexts the unit files by name
 */
export function deploymentHash(
  hashText: HashText,
  entry: Pick<AuditEntry, "service" | "generation" | "commit" | "storePath">,
  unitTexts: ReadonlyMap<string, string>,
): string {
  const units = [...unitTexts].sort(([a], [b]) => (a < b ? -1 : 1));
  const { service, generation, commit, storePath } = entry;
  return hashText(JSON.stringify([service, generation, commit, storePath, units]));
}

/** One line with its end, in ASCII: a character is a byte. @param time as ISO 8601 */
export function formatAuditLine(
  hashText: HashText,
  place: { readonly number: number; readonly previous: string; readonly time: string },
  event: AuditEvent,
): { readonly text: string; readonly hash: string } {
  const { number, previous, time } = place;
  const body = asciiOnly(JSON.stringify({ n: number, time, ...event, previous }));
  const hash = hashText(body);
  const text = `${body.slice(0, -1)},"hash":"${hash}"}\n`;
  assert(text.length <= AUDIT_LINE_BYTES_MAX, "what an audit line holds is bounded");
  return { text, hash };
}

/** @param text without its end @returns null for what is no whole line, or one that was changed */
export function parseAuditLine(hashText: HashText, text: string): AuditLine | null {
  if (text.length > AUDIT_LINE_BYTES_MAX) return null;
  const match = LINE.exec(text);
  if (match === null || hashText(`${match[1]}}`) !== match[2]) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { n, event, torn, previous } = value as Readonly<Record<string, unknown>>;
  if (typeof n !== "number" || typeof event !== "string") return null;
  if (typeof previous !== "string" || !HASH.test(previous)) return null;
  return {
    number: n,
    event,
    torn: typeof torn === "string" ? torn : "",
    previous,
    hash: match[2] as string,
  };
}

/** What a line says of a deployment, whether its hash holds or not; null for any other line. */
export function deployedFacts(text: string): (AuditEntry & { readonly time: string }) | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const found = value as Readonly<Record<string, unknown>>;
  if (found.event !== "deployed" || typeof found.generation !== "number") return null;
  const textOf = (name: string): string => {
    const field = found[name];
    return typeof field === "string" ? field : "";
  };
  return {
    time: textOf("time"),
    service: textOf("service"),
    author: textOf("author"),
    generation: found.generation,
    flake: textOf("flake"),
    commit: textOf("commit"),
    storePath: textOf("storePath"),
    deployment: textOf("deployment"),
  };
}

function asciiOnly(json: string): string {
  return json.replaceAll(/[\u007f-\uffff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
