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
  beforeEach(({ task, skip }) => {
    if (path !== null) return;
    task.meta.skipReason = `there is no ${name} on PATH (Debian's package ${name})`;
    skip(task.meta.skipReason);
  });
}
