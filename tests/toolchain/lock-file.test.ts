// What a clone installs is exactly what was locked, from where it was locked.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { VERSION } from "../../src/kernel/version.ts";

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
}

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, LockedPackage & Partial<Manifest>>>;
};
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const installed = Object.entries(lock.packages).filter(([path]) => path !== "");

describe("package-lock.json", () => {
  test.each(installed)("%s has its address and its hash", (_, { resolved, integrity }) => {
    expect(resolved).toMatch(/^https:\/\/registry\.npmjs\.org\/.+\.tgz$/);
    expect(integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
  });

  test("is of the version that Nix's importNpmLock reads, and agrees with package.json", () => {
    expect(lock.lockfileVersion).toBe(3);
    const root = lock.packages[""];
    expect(root?.dependencies).toEqual(manifest.dependencies);
    expect(root?.devDependencies).toEqual(manifest.devDependencies);
  });

  test("locks exact versions: no range in package.json", () => {
    for (const version of Object.values({
      ...manifest.dependencies,
      ...manifest.devDependencies,
    })) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });
});

test("the program's version is package.json's", () => {
  expect(VERSION).toBe(manifest.version);
});
