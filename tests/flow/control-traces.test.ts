// The lines of the bench in memory, with one seed: figures that must not get worse unnoticed. The
// bench on a real kernel has the figures that count.

import { describe, expect, test } from "vitest";
import { LoopContestant, OracleContestant, settingsOfTrace } from "../../sim/link-contestants.ts";
import {
  falseCuts,
  type LinkRun,
  NO_FAULTS,
  plantOfTrace,
  runLink,
  stepTimes,
} from "../../sim/link-plant.ts";
import { LINK_TRACES, type LinkTrace } from "../../sim/link-traces.ts";
import type { Decision } from "../../src/flow/interface.ts";

const SEED = 1n;

interface Played {
  readonly run: LinkRun;
  readonly decisions: readonly Decision[];
  readonly oracleUsable: number;
}

const played = new Map<string, Played>();

function play(name: string): Played {
  const known = played.get(name);
  if (known !== undefined) return known;
  const trace = LINK_TRACES.find((each) => each.name === name)!;
  const ours = new LoopContestant(settingsOfTrace(trace));
  const oracle = new OracleContestant();
  const run = runTrace(trace, ours);
  const result = {
    run,
    decisions: ours.decisions,
    oracleUsable: runTrace(trace, oracle).figures.usable,
  };
  played.set(name, result);
  return result;
}

function runTrace(trace: LinkTrace, controller: LoopContestant | OracleContestant): LinkRun {
  return runLink(plantOfTrace(trace, SEED), controller, trace.durationMs, {
    faults: NO_FAULTS,
    seed: SEED,
    keep: true,
  });
}

describe("a capacity that falls to a quarter and comes back (T1)", () => {
  test("is used to four fifths of what an oracle can", () => {
    const { run, oracleUsable } = play("T1");
    expect(run.figures.usable / oracleUsable).toBeGreaterThan(0.8);
  });

  test("costs little delay", () => {
    const { p50Ms, p95Ms } = play("T1").run.figures;
    expect(p50Ms).toBeLessThanOrEqual(10);
    expect(p95Ms).toBeLessThanOrEqual(40);
  });

  test("is followed down within a second, and calm within two and a half", () => {
    const times = stepTimes(play("T1").run.ticks, "download", 20_000, 40_000);
    expect(times.reactionMs).toBeLessThanOrEqual(1_000);
    expect(times.calmMs).toBeLessThanOrEqual(2_500);
  });

  test("is followed up within six seconds, with both directions full", () => {
    const times = stepTimes(play("T1").run.ticks, "download", 40_000, 60_000);
    expect(times.recoveryMs).toBeLessThanOrEqual(6_000);
  });
});

test("a slow line (T8) is seldom cut for its own long packets", () => {
  const { run, decisions, oracleUsable } = play("T8");
  expect(falseCuts(decisions, run.ticks).length).toBeLessThanOrEqual(2);
  expect(run.figures.usable / oracleUsable).toBeGreaterThan(0.75);
  expect(run.figures.uploadGoodput).toBeGreaterThan(0.6);
});

test("a line that is another every moment (T4) is used to over half of what an oracle can", () => {
  const { run, oracleUsable } = play("T4");
  expect(run.figures.usable / oracleUsable).toBeGreaterThan(0.52);
});

test("what a choked upload took from the download comes back within four seconds", () => {
  const steady = LINK_TRACES.find(({ name }) => name === "T0")!;
  const choked = { atMs: 20_000, value: 2_500 };
  const capacityKbit = [...steady.upload.capacityKbit, choked];
  const trace = { ...steady, upload: { ...steady.upload, capacityKbit } };
  const ours = new LoopContestant(settingsOfTrace(trace));
  const { ticks } = runTrace(trace, ours);
  const taken = ours.decisions.filter(
    ({ atMs, direction, kind, toKbit }) =>
      atMs > 20_000 && direction === "download" && kind === "lower" && toKbit! < 20_000,
  );
  expect(taken).not.toEqual([]);
  const late = ticks.filter(({ atMs }) => atMs > 24_000);
  expect(Math.min(...late.map(({ rateKbit }) => rateKbit.download))).toBeGreaterThan(40_000);
});

test("a square wave (T2) is used to over half of what an oracle can", () => {
  const { run, oracleUsable } = play("T2");
  expect(run.figures.usable / oracleUsable).toBeGreaterThan(0.55);
});

test("a constant line under full load (T0) is cut only from above its capacity", () => {
  const { run, decisions } = play("T0");
  expect(falseCuts(decisions, run.ticks)).toEqual([]);
  expect(run.figures.usable).toBeGreaterThan(0.75);
});

test("after an outage (T6) the rate is what the line carries within three seconds", () => {
  const { run } = play("T6");
  expect(stepTimes(run.ticks, "download", 25_000, 45_000).recoveryMs).toBeLessThanOrEqual(3_000);
  const late = run.ticks.filter(({ atMs }) => atMs > 28_000);
  const whole = late.filter(({ rateKbit, capacityKbit }) => {
    return rateKbit.download >= 0.8 * capacityKbit.download;
  });
  expect(whole.length / late.length).toBeGreaterThan(0.8);
});

test("a longer path and a bad reflector without load (T7) change no rate", () => {
  expect(play("T7").run.commands.filter(({ kind }) => kind === "set-rate")).toEqual([]);
});

test("an upload alone (T9) never lowers the download", () => {
  const lowered = play("T9").decisions.filter(
    ({ direction, kind }) => direction === "download" && kind !== "settle",
  );
  expect(lowered).toEqual([]);
  expect(play("T9").run.figures.uploadGoodput).toBeGreaterThan(0.8);
});
