// Runs lab scripts one after the other, and counts. Scripts that share machines share a boot.

import { join } from "node:path";
import { type Agenda, type RunnableScript, sharingKey } from "./agenda.ts";
import { SkipTest, WaitError } from "./errors.ts";
import type { Guests, Laboratory } from "./laboratory.ts";
import type { LabContext, LabScript } from "./script.ts";

const LIMIT_SECONDS = 600;

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

interface Outcome {
  readonly kind: "passed" | "failed" | "skipped";
  readonly detail: string;
}

export class Runner {
  readonly tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  readonly #laboratory: Laboratory;
  readonly #tell: (script: string, line: string) => void;
  readonly #keep: boolean;
  #script = "";
  #aborted = false;
  #guests: { readonly key: string; readonly set: Guests } | null = null;

  /** @param tell takes a line about the script of that name */
  constructor(laboratory: Laboratory, tell: (script: string, line: string) => void, keep: boolean) {
    this.#laboratory = laboratory;
    this.#tell = tell;
    this.#keep = keep;
  }

  /** Runs what the agenda has for its lane, whatever becomes of the one before. */
  async run(agenda: Agenda, lane: number): Promise<void> {
    for (let group = agenda.take(lane); group !== null; group = agenda.take(lane)) {
      for (const script of group) await this.#runOne(script);
    }
    await this.#release();
  }

  /** Cuts every guest's power, for an end before the end: `run` tells nothing more and never resolves. */
  async abort(): Promise<void> {
    this.#aborted = true;
    await this.#release();
  }

  async #runOne({ name, script }: RunnableScript): Promise<void> {
    const startMs = performance.now();
    this.#script = name;
    this.#print(`» ${name}: ${script.title}`);
    const key = sharingKey(script);
    if (this.#guests?.key !== key) await this.#release();
    const isFirst = this.#guests === null;
    let set = this.#guests?.set;
    let outcome: Outcome;
    const before = this.tally.passed + this.tally.failed;
    try {
      set ??= await this.#laboratory.guests(script.machines);
      this.#guests = { key: key ?? "", set };
      if (isFirst && script.myco === true) await this.#laboratory.installMyco(set);
      outcome = await this.#test(script, set);
    } catch (error) {
      outcome = { kind: "failed", detail: (error as Error).message };
    }
    if (this.#aborted) return new Promise(() => {});
    const counted = this.tally.passed + this.tally.failed - before;
    this.#close(name, outcome, counted, startMs);
    if (outcome.kind === "failed" && set !== undefined) await this.#report(name, set);
    if (key === null || outcome.kind === "failed") await this.#release();
  }

  /** A script without subtests, or one that failed outside of them, counts as one. */
  #close(name: string, outcome: Outcome, counted: number, startMs: number): void {
    const { kind, detail } = outcome;
    if (kind === "skipped") this.tally.skipped += 1;
    else if (counted === 0 || detail !== "") this.tally[kind] += 1;
    if (detail !== "") this.#print(`  ${kind}: ${detail.replaceAll("\n", "\n    ")}`);
    this.#print(`» ${name}: ${kind}, ${elapsed(startMs)}`);
  }

  async #test(script: LabScript, set: Guests): Promise<Outcome> {
    const failedBefore = this.tally.failed;
    const lab = this.#context(set);
    try {
      await set.startAll();
      await within(script.limitSeconds ?? LIMIT_SECONDS, script.test(lab));
    } catch (error) {
      // Scripts are bundled on their own: their SkipTest is another class of the same name.
      const { name, message } = error as Error;
      if (name === "SkipTest") return { kind: "skipped", detail: message };
      return { kind: "failed", detail: this.tally.failed > failedBefore ? "" : message };
    }
    return { kind: this.tally.failed > failedBefore ? "failed" : "passed", detail: "" };
  }

  #context(set: Guests): LabContext {
    return {
      machines: set.machines,
      startAll: () => set.startAll(),
      subtest: (title, test) => this.#count(title, test),
      trial: async (title, test) => {
        await this.#count(title, test).catch((error: Error) => {
          if (error.name === "SkipTest") throw error;
        });
      },
      skip: (reason) => {
        throw new SkipTest(reason);
      },
      note: (line) => this.#print(`        ${line}`),
    };
  }

  #print(line: string): void {
    this.#tell(this.#script, line);
  }

  async #count<Result>(title: string, test: () => Promise<Result>): Promise<Result> {
    const startMs = performance.now();
    try {
      const result = await test();
      this.tally.passed += 1;
      this.#print(`  ok    ${elapsed(startMs).padStart(7)}  ${title}`);
      return result;
    } catch (error) {
      const { name, message } = error as Error;
      if (name !== "SkipTest" && !this.#aborted) {
        this.tally.failed += 1;
        const detail = message.replaceAll("\n", "\n    ");
        this.#print(`  FAIL  ${elapsed(startMs).padStart(7)}  ${title}\n    ${detail}`);
      }
      throw error;
    }
  }

  async #report(name: string, set: Guests): Promise<void> {
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
    const target = join(this.#laboratory.root, ".cache", "lab-failures", `${stamp}-${name}`);
    await set.collect(target);
    this.#print(`  logs: ${target}`);
  }

  async #release(): Promise<void> {
    const set = this.#guests?.set;
    this.#guests = null;
    if (set === undefined) return;
    if (this.#keep) await set.powerOff();
    else await set.destroy();
  }
}

async function within(seconds: number, test: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new WaitError(`the script was not done after ${seconds} s`);
    timer = setTimeout(() => reject(error), seconds * 1000);
  });
  try {
    await Promise.race([test, late]);
  } finally {
    clearTimeout(timer);
  }
}

function elapsed(startMs: number): string {
  return `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
}
