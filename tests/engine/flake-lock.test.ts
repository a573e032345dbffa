import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isLock,
  lockableReference,
  lockedReference,
  readMetadata,
  repositoryFolderOf,
  splitFlake,
} from "../../src/engine/flake-lock.ts";

const REVISION = "52edf4253084440c16a6aff195899a0f808320e9";
const NAR_HASH = "sha256-8HxBmqJlCqMghmDIu+uYnoQWyeZWpnUJyqbudeDTojo=";
const ENCODED = "sha256-8HxBmqJlCqMghmDIu%2BuYnoQWyeZWpnUJyqbudeDTojo%3D";

describe("a flake's parts", () => {
  it.each([
    ["github:o/r#web", { reference: "github:o/r", attribute: "web" }],
    ["path:/srv/app", { reference: "path:/srv/app", attribute: "" }],
    ["git+file:///r?dir=a#b#c", { reference: "git+file:///r?dir=a", attribute: "b#c" }],
  ])("of %s", (flake, parts) => expect(splitFlake(flake)).toEqual(parts));
});

describe("what nix is asked about", () => {
  it.each([
    ["git+file:///srv/app", "git+file:///srv/app?ref=HEAD"],
    ["git+file:///srv/app?dir=web", "git+file:///srv/app?dir=web&ref=HEAD"],
    ["git+file:///srv/app?ref=release", "git+file:///srv/app?ref=release"],
    ["git+https://example.org/app", "git+https://example.org/app"],
    ["/srv/app", "path:/srv/app"],
    ["github:o/r", "github:o/r"],
  ])("of %s is %s", (reference, asked) => expect(lockableReference(reference)).toBe(asked));
});

describe("a locked flake", () => {
  it.each([
    ["github:o/r", `github:o/r/${REVISION}`],
    ["github:o/r/main?dir=web", `github:o/r/${REVISION}?dir=web`],
    ["github:o/r/release/1.0", `github:o/r/${REVISION}`],
    [
      "gitlab:g%2Fs/r?ref=x&host=git.example.org",
      `gitlab:g%2Fs/r/${REVISION}?host=git.example.org`,
    ],
    ["sourcehut:~u/r", `sourcehut:~u/r/${REVISION}`],
    ["git+file:///srv/app", `git+file:///srv/app?rev=${REVISION}`],
    ["git+ssh://h/app?ref=dev&rev=0", `git+ssh://h/app?ref=dev&rev=${REVISION}`],
    ["nixpkgs", `flake:nixpkgs/${REVISION}`],
    ["flake:nixpkgs/nixos-unstable", `flake:nixpkgs/${REVISION}`],
  ])("%s at a commit is %s", (reference, locked) => {
    expect(lockedReference(reference, REVISION)).toBe(locked);
    expect(lockedReference(reference, NAR_HASH)).toBeNull();
  });

  it.each([
    ["path:/srv/app", `path:/srv/app?narHash=${ENCODED}`],
    ["/srv/app", `path:/srv/app?narHash=${ENCODED}`],
    ["https://example.org/a.tar.gz?x=1", `https://example.org/a.tar.gz?x=1&narHash=${ENCODED}`],
    [
      "tarball+https://example.org/a?narHash=old",
      `tarball+https://example.org/a?narHash=${ENCODED}`,
    ],
  ])("%s with a hash of its files is %s", (reference, locked) => {
    expect(lockedReference(reference, NAR_HASH)).toBe(locked);
    expect(lockedReference(reference, REVISION)).toBeNull();
  });

  it("names the same content when it is locked again", () => {
    const references = fc.constantFrom("github:o/r/b?dir=x", "git+file:///a?ref=b", "nixpkgs/x");
    fc.assert(
      fc.property(references, (reference) => {
        const once = lockedReference(reference, REVISION)!;
        expect(lockedReference(once, REVISION)).toBe(once);
      }),
    );
  });
});

describe("a lock", () => {
  it.each([REVISION, "a".repeat(64), NAR_HASH])("may be %s", (lock) =>
    expect(isLock(lock)).toBe(true),
  );
  it.each([
    "",
    "HEAD",
    REVISION.toUpperCase(),
    `${REVISION}\n`,
    "sha256-short=",
    `${REVISION} --x`,
  ])("may not be %j", (lock) => expect(isLock(lock)).toBe(false));
});

describe("nix's metadata", () => {
  const metadata = (locked: object): string => JSON.stringify({ locked });

  it("gives the commit where there are commits, and the hash of all files elsewhere", () => {
    const both = metadata({ type: "git", rev: REVISION, narHash: NAR_HASH });
    expect(readMetadata(both, "git+file:///a")).toEqual({ lock: REVISION });
    expect(readMetadata(both, "path:/a")).toEqual({ lock: NAR_HASH });
  });

  it("says what to do about a registry's name that means something here only", () => {
    const here = metadata({ type: "path", narHash: NAR_HASH });
    expect(readMetadata(here, "nixpkgs")).toMatchObject({
      error: expect.stringMatching(/in full/),
    });
  });

  it("says what to do about files without a commit", () => {
    const dirty = metadata({ type: "git", narHash: NAR_HASH });
    expect(readMetadata(dirty, "git+file:///a")).toMatchObject({
      error: expect.stringMatching(/commit/),
    });
  });

  it("gives a lock or an error for whatever comes", () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ locked: fc.anything() }).map((value) => {
        try {
          return JSON.stringify(value);
        } catch {
          return "";
        }
      }),
    );
    fc.assert(
      fc.property(text, fc.constantFrom("path:/a", "github:o/r", "x"), (json, reference) => {
        const found = readMetadata(json, reference);
        expect("lock" in found ? isLock(found.lock) : found.error.length > 0).toBe(true);
      }),
    );
  });
});

describe("a repository's folder", () => {
  it.each([
    ["git+file:///srv/my%20app?dir=x", "/srv/my app"],
    ["git+file:/srv/app", "/srv/app"],
    ["git+file:///srv/%ff", null],
    ["path:/srv/app", null],
    ["git+https://example.org/app", null],
  ])("of %s is %s", (reference, folder) => expect(repositoryFolderOf(reference)).toBe(folder));
});
