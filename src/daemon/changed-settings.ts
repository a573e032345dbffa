// What differs between two configurations, by the names people write, told apart by whether a
// running daemon can follow.

import type * as z from "zod/mini";
import type { ReloadAnswer } from "../api/contract.ts";
import { CONFIGURATION_SCHEMA, type Configuration } from "../schema/configuration.ts";
import { isObject, withoutDefault } from "../schema/setting.ts";

/** Settings that take effect without a restart: whole sections, and single ones. */
const LIVE = ["flow", "uci", "log.level"];

export function changedSettings(before: Configuration, after: Configuration): ReloadAnswer {
  const changed = [...changes("", CONFIGURATION_SCHEMA.def.shape, before, after)];
  const isLive = (name: string): boolean =>
    LIVE.some((live) => name === live || name.startsWith(`${live}.`));
  return {
    applied: changed.filter(isLive),
    restart: changed.filter((name) => !isLive(name)),
  };
}

/** Names of settings, sections looked into once. */
function* changes(
  prefix: string,
  shape: z.core.$ZodLooseShape,
  before: object,
  after: object,
): Generator<string> {
  for (const [key, setting] of Object.entries(shape)) {
    const [old, now] = [settingIn(before, key), settingIn(after, key)];
    if (JSON.stringify(old) === JSON.stringify(now)) continue;
    const inner = withoutDefault(setting);
    if (prefix === "" && isObject(inner)) {
      yield* changes(`${key}.`, inner.def.shape, old as object, now as object);
    } else {
      yield `${prefix}${key}`;
    }
  }
}

/** The value of a setting, whose unit the configuration adds to its name: memory is memoryMiB. */
function settingIn(section: object, key: string): unknown {
  const name = key in section ? key : Object.keys(section).find((each) => each.startsWith(key));
  return name === undefined ? undefined : section[name as keyof typeof section];
}
