// Draws that give the same on every machine: integers and Bernoulli trials only, no Math.log.

import type { Random } from "../src/kernel/ports.ts";
import { randomBelow, randomChance } from "../src/kernel/random.ts";

/** Both ends included. */
export type IntegerRange = readonly [least: number, most: number];

export function drawInteger(random: Random, [least, most]: IntegerRange): number {
  return least + randomBelow(random, most - least + 1);
}

/** One of `items`, which holds at least one. */
export function drawItem<T>(random: Random, items: readonly T[]): T {
  return items[randomBelow(random, items.length)]!;
}

/** A geometric draw: the exponential distribution in whole ticks, cut at `max`. */
export function drawGeometric(random: Random, continueRate: number, max: number): number {
  let value = 1;
  while (value < max && randomChance(random, continueRate)) value += 1;
  return value;
}

/** `count` different integers below `bound`, in the order drawn. */
export function drawDistinct(random: Random, bound: number, count: number): number[] {
  const pool = Array.from({ length: bound }, (_, i) => i);
  shuffle(random, pool);
  return pool.slice(0, count);
}

/** Fisher and Yates, in place. */
export function shuffle(random: Random, items: unknown[]): void {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = randomBelow(random, i + 1);
    [items[i], items[j]] = [items[j], items[i]];
  }
}
