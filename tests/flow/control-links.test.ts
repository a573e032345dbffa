// A thousand links drawn from seeds: what must hold on every one of them, whatever happens there.

import { describe, expect, test } from "vitest";
import { LoopContestant } from "../../sim/link-contestants.ts";
import { type LinkRun, runLink } from "../../sim/link-plant.ts";
import { type RandomLink, randomLink } from "../../sim/random-links.ts";
import { FlowLoop } from "../../src/flow/control/loop.ts";
import { type Decision, DIRECTIONS, type FlowCommand } from "../../src/flow/interface.ts";

const LINKS = 1_000;
const TROUBLE_MS = 9_000;
/** An answer counts as new for this long. */
const FRESH_MS = 350;

interface Played {
  readonly seed: bigint;
  readonly link: RandomLink;
  readonly run: LinkRun;
  readonly decisions: readonly Decision[];
  /** Every change of rate with its time, in order. */
  readonly changes: readonly { atMs: number; command: SetRate }[];
}

type SetRate = Extract<FlowCommand, { kind: "set-rate" }>;

const played: Played[] = [];
for (let index = 0; index < LINKS; index += 1) played.push(play(BigInt(index + 1), TROUBLE_MS));

describe("on each of a thousand random links", () => {
  test("no rate is above max or below min", () => {
    forEach(({ link, changes }) => {
      for (const { command } of changes) {
        const { minKbit, maxKbit } = link.settings[command.direction];
        expect(command.rateKbit).toBeGreaterThanOrEqual(minKbit);
        expect(command.rateKbit).toBeLessThanOrEqual(maxKbit);
        expect(Number.isInteger(command.rateKbit)).toBe(true);
      }
    });
  });

  test("changes of one direction are at least tau apart and at most rho a second", () => {
    forEach(({ link, changes }) => {
      const { rho, tauSeconds } = link.settings;
      for (const direction of DIRECTIONS) {
        const times = changes
          .filter(({ command }) => command.direction === direction)
          .map(({ atMs }) => atMs);
        times.forEach((atMs, index) => {
          const before = times[index - 1];
          if (before !== undefined)
            expect(atMs - before).toBeGreaterThanOrEqual(tauSeconds * 1_000);
          const rhoBefore = times[index - rho];
          if (rhoBefore !== undefined) expect(atMs - rhoBefore).toBeGreaterThanOrEqual(1_000);
        });
      }
    });
  });

  test("no change is larger than its step bound", () => {
    forEach(({ link, decisions }) => {
      const { stepUpPercent, stepDownPercent } = link.settings;
      for (const { kind, fromKbit, toKbit } of decisions) {
        if (fromKbit === null || toKbit === null || kind === "rollback") continue;
        expect(toKbit).toBeLessThanOrEqual(fromKbit * (1 + stepUpPercent / 100));
        expect(toKbit).toBeGreaterThanOrEqual(fromKbit * (1 - stepDownPercent / 100));
      }
    });
  });

  test("the rate is raised or lowered only on answers that came, and counters that were read", () => {
    forEach(({ run, decisions }) => {
      const answered: number[] = [];
      const read = new Set<number>();
      for (const input of run.inputs) {
        if (input.kind !== "sample") continue;
        answered.push(...input.replies.map(({ atMs }) => atMs));
        if (input.download !== null) read.add(input.atMs);
      }
      for (const { kind, atMs } of decisions) {
        if (kind !== "raise" && kind !== "lower") continue;
        expect(answered.some((at) => at <= atMs && at >= atMs - FRESH_MS)).toBe(true);
        expect(read.has(atMs)).toBe(true);
      }
    });
  });

  test("a download that is not shaped is left alone", () => {
    const unshaped = played.filter(({ link }) => !link.settings.ingress);
    expect(unshaped.length).toBeGreaterThan(LINKS / 20);
    for (const { changes } of unshaped) {
      expect(changes.some(({ command }) => command.direction === "download")).toBe(false);
    }
  });

  test("the same inputs give the same decisions, byte for byte", () => {
    forEach(({ link, run, decisions }) => {
      const again = new FlowLoop(link.settings);
      const replayed = run.inputs.flatMap((input) => again.step(input).decisions);
      expect(JSON.stringify(replayed)).toBe(JSON.stringify(decisions));
    });
  });

  test("most of them made the loop act: the properties are not empty", () => {
    const acted = played.filter(({ changes }) => changes.length > 5).length;
    expect(acted).toBeGreaterThan(LINKS / 2);
    for (const kind of ["raise", "lower", "settle", "freeze", "thaw", "rollback"]) {
      expect(played.some(({ decisions }) => decisions.some((each) => each.kind === kind))).toBe(
        true,
      );
    }
  });
});

test("after trouble both rates are back at the base", () => {
  for (let seed = 5_001n; seed < 5_041n; seed += 1n) {
    const { link } = play(seed, 240_000, TROUBLE_MS);
    const { lines } = link.plant;
    const { stepUpPercent, stepDownPercent } = link.settings;
    // With smaller steps it takes longer than this lasts.
    if (Math.min(stepUpPercent, stepDownPercent) < 8) continue;
    expect([seed, lines.upload.rateKbit]).toEqual([seed, link.settings.upload.baseKbit]);
    if (!link.settings.ingress) continue;
    expect([seed, lines.download.rateKbit]).toEqual([seed, link.settings.download.baseKbit]);
  }
});

function play(seed: bigint, durationMs: number, troubleMs = durationMs): Played {
  const link = randomLink(seed, troubleMs);
  const contestant = new LoopContestant(link.settings);
  const run = runLink(link.plant, contestant, durationMs, {
    faults: link.faults,
    faultsEndMs: troubleMs,
    seed,
    keep: true,
  });
  const changes = contestant.decisions.flatMap(({ atMs, kind, direction, toKbit }) =>
    direction === null || toKbit === null || kind === "rollback"
      ? []
      : [{ atMs, command: { kind: "set-rate" as const, direction, rateKbit: toKbit } }],
  );
  const commanded = run.commands.filter(({ kind }) => kind === "set-rate");
  expect(commanded).toEqual(changes.map(({ command }) => command));
  return { seed, link, run, decisions: contestant.decisions, changes };
}

/** Names the seed that broke what must hold. */
function forEach(check: (one: Played) => void): void {
  for (const one of played) {
    try {
      check(one);
    } catch (error) {
      throw new Error(`link of seed ${one.seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}
