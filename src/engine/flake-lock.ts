// From a flake as it was deployed to one that names a single content, so that every replica builds
// the same (Nix manual, "nix flake", Flake references).

import { assert } from "../kernel/assert.ts";

/** A git commit, in SHA-1 or SHA-256. */
const REVISION = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** A NAR hash as Nix prints it: SHA-256 in base64. */
const NAR_HASH = /^sha256-[A-Za-z0-9+/]{43}=$/;
const HOSTED = /^(?:github|gitlab|sourcehut):[^/?]+\/[^/?]+/;
const REPOSITORY = /^(?:git|git\+[a-z]+|hg\+[a-z]+):/;
const REGISTRY_NAME = /^(?:flake:)?([A-Za-z][A-Za-z0-9_-]*)(?:\/|$)/;
const CONTENT = /^(?:path|tarball\+[a-z]+|file\+[a-z]+|file|https?):/;
/** Kinds of sources that have commits, as `nix flake metadata` names them. */
const TYPES_WITH_REVISIONS = new Set(["git", "github", "gitlab", "sourcehut", "hg", "mercurial"]);

/** What names a flake's content: a commit where there are commits, a hash of all files elsewhere. */
type LockKind = "revision" | "content";

export interface FlakeParts {
  /** The flake without its attribute. */
  readonly reference: string;
  /** Empty: the default package. */
  readonly attribute: string;
}

export function splitFlake(flake: string): FlakeParts {
  const hash = flake.indexOf("#");
  if (hash === -1) return { reference: flake, attribute: "" };
  return { reference: flake.slice(0, hash), attribute: flake.slice(hash + 1) };
}

/** Whether `lock` is a commit or a NAR hash, and nothing else. */
export function isLock(lock: string): boolean {
  return REVISION.test(lock) || NAR_HASH.test(lock);
}

/**
 * What to ask nix about: what is committed in a repository, whatever else lies in its folder, and
 * a folder as it is.
 */
export function lockableReference(reference: string): string {
  if (reference.startsWith("/")) return `path:${reference}`;
  const { path, parameters } = splitQuery(reference);
  const isPlain = !parameters.some((parameter) => /^(?:ref|rev)=/.test(parameter));
  if (!reference.startsWith("git+file:") || !isPlain) return reference;
  return joinQuery(path, [...parameters, "ref=HEAD"]);
}

/**
 * @param lock a commit or a NAR hash (`isLock`)
 * @returns the flake at exactly that content, or null where a lock of this kind says nothing of it
 */
export function lockedReference(reference: string, lock: string): string | null {
  assert(isLock(lock), "a lock is checked where it comes in");
  if (lockKindOf(reference) !== (REVISION.test(lock) ? "revision" : "content")) return null;
  const { path, parameters } = splitQuery(lockableReference(reference));
  const without = (names: RegExp): string[] => parameters.filter((text) => !names.test(text));
  const hosted = HOSTED.exec(path)?.[0];
  if (hosted !== undefined) return joinQuery(`${hosted}/${lock}`, without(/^(?:ref|rev|narHash)=/));
  if (REPOSITORY.test(path)) {
    const kept = without(/^(?:rev=|narHash=|ref=HEAD$)/);
    return joinQuery(path, [...kept, `rev=${lock}`]);
  }
  const name = REGISTRY_NAME.exec(path)?.[1];
  if (name !== undefined) return `flake:${name}/${lock}`;
  return joinQuery(path, [...without(/^narHash=/), `narHash=${encodeURIComponent(lock)}`]);
}

/** The folder of a repository on this machine, or null for any other flake. */
export function repositoryFolderOf(reference: string): string | null {
  const { path } = splitQuery(reference);
  const folder = /^git\+file:(?:\/\/)?(\/.*)$/.exec(path)?.[1];
  if (folder === undefined) return null;
  try {
    return decodeURIComponent(folder);
  } catch {
    return null;
  }
}

/**
 * Reads what `nix flake metadata --json` printed of `reference`.
 * @returns the lock, or for people why there is none
 */
export function readMetadata(
  json: string,
  reference: string,
): { readonly lock: string } | { readonly error: string } {
  const locked = readLocked(json);
  if (locked === null) {
    return {
      error: "nix answered with something else than a flake's metadata; is it at least 2.8?",
    };
  }
  const kind = lockKindOf(reference);
  if (kind === null) return { error: `${reference} is no kind of flake this program knows` };
  if (kind === "content")
    return foundLock(locked.narHash, NAR_HASH, `${reference} has no NAR hash`);
  if (REGISTRY_NAME.test(reference) && !TYPES_WITH_REVISIONS.has(locked.type)) {
    return {
      error: `${reference} is a name of this node's registry and leads to a ${locked.type} here; name the flake in full, such as github:NixOS/nixpkgs/nixos-unstable`,
    };
  }
  return foundLock(locked.rev, REVISION, `${reference} has no commit; commit its files first`);
}

function foundLock(
  found: string,
  rule: RegExp,
  problem: string,
): { readonly lock: string } | { readonly error: string } {
  return rule.test(found) ? { lock: found } : { error: problem };
}

function lockKindOf(reference: string): LockKind | null {
  if (HOSTED.test(reference) || REPOSITORY.test(reference)) return "revision";
  if (reference.startsWith("/") || CONTENT.test(reference)) return "content";
  return REGISTRY_NAME.test(splitQuery(reference).path) ? "revision" : null;
}

/** The `locked` object's texts, empty where they are missing; null when there is no such object. */
function readLocked(json: string): { type: string; rev: string; narHash: string } | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  const locked = fieldOf(value, "locked");
  if (typeof locked !== "object" || locked === null) return null;
  const text = (name: string): string => {
    const found = fieldOf(locked, name);
    return typeof found === "string" ? found : "";
  };
  return { type: text("type"), rev: text("rev"), narHash: text("narHash") };
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function splitQuery(reference: string): { path: string; parameters: string[] } {
  const mark = reference.indexOf("?");
  if (mark === -1) return { path: reference, parameters: [] };
  const parameters = reference.slice(mark + 1).split("&");
  return { path: reference.slice(0, mark), parameters: parameters.filter((text) => text !== "") };
}

function joinQuery(path: string, parameters: readonly string[]): string {
  return parameters.length === 0 ? path : `${path}?${parameters.join("&")}`;
}
