// What the systemd engine remembers of one service over its own death: which version its units
// are made of, which one is known to be good, and which one failed here. One small file a
// service, replaced as a whole; what it says is finished or undone by whoever reads it next.

import type { ServiceSpec } from "../schema/service.ts";
import { decodeService, encodeService } from "../schema/service-codec.ts";

/** A service that can be started: everything its units are made from. */
export interface Version {
  readonly generation: number;
  /** What its flake was locked to; empty where there is none. */
  readonly lock: string;
  /** Empty where nothing was built. */
  readonly storePath: string;
  readonly spec: ServiceSpec;
}

export interface ServiceNote {
  /** What the units on disk are, or are about to be, made from. */
  readonly current: Version;
  /** `install`: its units may not be written, or the old ones still run. */
  readonly stage: "install" | "started";
  /** The last one that was found well; null: none yet. */
  readonly good: Version | null;
  /** The last one that was tried and gave way to `current`. */
  readonly failed: { readonly generation: number; readonly why: string } | null;
}

/** Why a version failed, as far as it is kept. */
export const WHY_CHARACTERS_MAX = 400;

export function formatNote({ current, stage, good, failed }: ServiceNote): string {
  const isSame = good !== null && good.generation === current.generation;
  return `${JSON.stringify({
    format: 1,
    current: formatVersion(current),
    stage,
    good: isSame ? "current" : good === null ? null : formatVersion(good),
    failed,
  })}\n`;
}

/** Null for what `formatNote` did not write, or wrote about another service. */
export function parseNote(text: string, service: string): ServiceNote | null {
  let value: Record<string, unknown> | null;
  try {
    value = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || value.format !== 1) return null;
  const current = parseVersion(value.current, service);
  const good = value.good === "current" ? current : parseVersion(value.good, service);
  const failed = parseFailed(value.failed);
  const { stage } = value;
  if (current === null || (good === null && value.good !== null)) return null;
  if (failed === undefined || (stage !== "install" && stage !== "started")) return null;
  return { current, stage, good, failed };
}

function formatVersion({ generation, lock, storePath, spec }: Version): object {
  return { generation, lock, storePath, record: toBase64(encodeService(spec)) };
}

function parseVersion(value: unknown, service: string): Version | null {
  if (typeof value !== "object" || value === null) return null;
  const { generation, lock, storePath, record } = value as Record<string, unknown>;
  if (!isGeneration(generation) || typeof record !== "string") return null;
  if (typeof lock !== "string" || typeof storePath !== "string") return null;
  if (storePath !== "" && !storePath.startsWith("/")) return null;
  try {
    const spec = decodeService(fromBase64(record));
    return spec.name === service ? { generation, lock, storePath, spec } : null;
  } catch {
    return null;
  }
}

function parseFailed(value: unknown): ServiceNote["failed"] | undefined {
  if (value === null) return null;
  if (typeof value !== "object") return undefined;
  const { generation, why } = value as Record<string, unknown>;
  if (!isGeneration(generation) || typeof why !== "string") return undefined;
  return { generation, why: why.slice(0, WHY_CHARACTERS_MAX) };
}

function isGeneration(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Throws for what is no base64. */
function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
