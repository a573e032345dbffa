// Tests that need a program skip themselves by name where it is missing.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeEach } from "vitest";

declare module "vitest" {
  interface TaskMeta {
    skipReason?: string;
  }
}

/** The path of a program on PATH; null: there is none. */
export function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? "").split(":");
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** In a `describe`: its tests are skipped where `path` is null. */
export function skipWithout(path: string | null, name: string): void {
  const why = `there is no ${name} on PATH (Debian's package ${name})`;
  skipBecause(() => (path === null ? why : null));
}

/** In a `describe`: its tests are skipped, and the summary says why, where `whyNot` has a reason. */
export function skipBecause(whyNot: () => string | null): void {
  beforeEach(({ task, skip }) => {
    const reason = whyNot();
    if (reason === null) return;
    task.meta.skipReason = reason;
    skip(reason);
  });
}
