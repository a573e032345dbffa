// What scripts/compile-catalog.mjs makes of catalog/*.yaml.
import type { PackedEntry } from "./catalog-entry.ts";

export declare const SHIPPED_CATALOG: readonly PackedEntry[];
