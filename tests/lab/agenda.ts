// What is still to be run, and who may run it beside what.

import type { LabScript } from "./script.ts";

export interface RunnableScript {
  readonly name: string;
  readonly script: LabScript;
}

/** Scripts that share one boot, or a single one. */
export type Group = readonly RunnableScript[];

/** So many sets of guests run side by side. */
const LANES_MAX = 2;

/**
 * Guests whose clock counts instructions see nothing of their neighbours and may run in any lane. All
 * others would, and run one after the other, in the first lane, before it helps with the rest.
 */
export class Agenda {
  readonly lanes: number;
  readonly #timed: Group[];
  readonly #counting: Group[];

  constructor(scripts: readonly RunnableScript[]) {
    const groups = groupBySharing(scripts);
    this.#timed = groups.filter((group) => !countsInstructions(group));
    this.#counting = groups.filter(countsInstructions);
    const timedLanes = this.#timed.length > 0 ? 1 : 0;
    this.lanes = Math.min(LANES_MAX, timedLanes + this.#counting.length);
  }

  /** What the lane runs next; null: nothing is left for it. */
  take(lane: number): Group | null {
    if (lane === 0) return this.#timed.shift() ?? this.#counting.pop() ?? null;
    return this.#counting.shift() ?? null;
  }
}

function countsInstructions(group: Group): boolean {
  const machines = group.flatMap(({ script }) => Object.values(script.machines));
  return machines.every(({ clock }) => clock === "instructions");
}

/** What scripts must have in common to share a boot; null for a script that shares none. */
export function sharingKey({ reuse, machines, myco }: LabScript): string | null {
  return reuse === true ? JSON.stringify([machines, myco === true]) : null;
}

/** The same order, but scripts that can share a boot come together. */
export function groupBySharing(scripts: readonly RunnableScript[]): Group[] {
  const groups = new Map<string, RunnableScript[]>();
  for (const one of scripts) {
    const key = sharingKey(one.script) ?? `own ${one.name}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}
