// Marks: what is told to nftables, and that the kernel ends up with what was wanted.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Marks } from "../../src/flow/act/marks.ts";
import { canBeMarked, tableText } from "../../src/flow/act/marks-table.ts";
import { DSCP_NAMES, type DscpName } from "../../src/flow/act/policy.ts";
import { otherSide } from "../../src/flow/flow-key.ts";
import type { FlowKey } from "../../src/flow/interface.ts";
import type { Child, Children, RunResult } from "../../src/flow/ports.ts";
import type { FlowNotice } from "../../src/flow/status.ts";
import { MARK_BATCH_EVERY_MS, MARKED_FLOW_MS, MARKED_FLOWS_MAX } from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";

/**
 * nftables as far as batches of ours reach: a whole batch or nothing, no element added twice, none
 * deleted that is not there.
 */
class StrictTable implements Children {
  /** Null: no such table. */
  elements: Map<string, string> | null = null;
  refuses = false;
  rules: string[] = [];
  batches: string[] = [];
  /** A slow nft: what it was given takes effect in so many turns of the loop. */
  slowTurns = 0;

  start(): Child {
    throw new Error("nothing stays running");
  }

  async run(_: string, __: readonly string[], options?: { input?: string }): Promise<RunResult> {
    const input = options?.input ?? "";
    this.batches.push(input);
    const turns = this.slowTurns;
    this.slowTurns = 0;
    for (let i = 0; i < turns; i += 1) await new Promise((resolve) => setImmediate(resolve));
    const problem = this.refuses ? "Operation not supported" : this.#apply(input);
    return problem === null
      ? { exitCode: 0, stdout: "", stderr: "" }
      : { exitCode: 1, stdout: "", stderr: `Error: ${problem}` };
  }

  #apply(input: string): string | null {
    if (input.includes("delete table")) {
      this.elements = input.includes("map flows4") ? new Map() : null;
      return null;
    }
    if (this.elements === null) return "No such file or directory";
    const after = new Map(this.elements);
    for (const line of input.trim().split("\n")) {
      const flush = /^flush map \S+ \S+ (\S+)$/.exec(line);
      const command = /^(add|delete) element \S+ \S+ (\S+) \{ (.*) \}$/.exec(line);
      if (flush !== null) {
        for (const key of after.keys()) if (key.startsWith(`${flush[1]} `)) after.delete(key);
      } else if (command !== null) {
        const problem = change(after, command[1]!, command[2]!, command[3]!.split(", "));
        if (problem !== null) return problem;
      } else if (line.startsWith("add rule")) {
        this.rules.push(line);
      } else if (!line.startsWith("list chain")) {
        return `syntax error in ${line}`;
      }
    }
    this.elements = after;
    return null;
  }
}

function change(table: Map<string, string>, verb: string, map: string, elements: string[]) {
  for (const element of elements) {
    const [text, mark = ""] = element.split(" : goto mark_");
    const key = `${map} ${text}`;
    if (verb === "delete" && !table.delete(key)) return "No such file or directory";
    if (verb === "add" && table.has(key)) return "File exists";
    if (verb === "add") table.set(key, mark);
  }
  return null;
}

class Scene {
  readonly table = new StrictTable();
  readonly notices: FlowNotice[] = [];
  installs: boolean[] = [];
  nowMs = 1_000_000;
  readonly marks = new Marks({
    children: this.table,
    random: new SeededRandom(1n),
    onNotice: (notice) => this.notices.push(notice),
    device: "wan0",
    wantsTap: true,
    onInstalled: (taps) => this.installs.push(taps),
  });

  /** Lets as many batches pass as are needed. */
  async settle(rounds = 12): Promise<void> {
    for (let i = 0; i < rounds; i += 1) {
      this.nowMs += MARK_BATCH_EVERY_MS;
      this.marks.tick(this.nowMs);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const flow = (n: number, protocol = 17): FlowKey => ({
  protocol,
  client: n % 2 === 0 ? "192.168.1.2" : "fd00::2",
  clientPort: 1_024 + n,
  server: n % 2 === 0 ? "203.0.113.9" : "2001:db8::9",
  serverPort: 443,
});

describe("Marks", () => {
  it("hears older flows until the tap listens, and then lets each go by a draw, once", async () => {
    const scene = new Scene();
    await scene.settle(5);
    expect(scene.table.rules).toEqual([]);
    await scene.settle(20);
    expect(scene.table.rules).toEqual([
      expect.stringMatching(/ older numgen random mod \d+ == 0 ct mark set \S/),
    ]);
  });

  it("names a flow once for as long as its code point stays", async () => {
    const scene = new Scene();
    scene.marks.set(flow(0), "ef", scene.nowMs);
    await scene.settle(3);
    scene.marks.set(flow(0), "ef", scene.nowMs);
    await scene.settle(3);
    expect([...scene.table.elements!]).toEqual([
      ["flows4 17 . 192.168.1.2 . 1024 . 203.0.113.9 . 443", "ef"],
      ["flows4 17 . 203.0.113.9 . 443 . 192.168.1.2 . 1024", "ef"],
    ]);
    expect(scene.table.batches.filter((batch) => batch.includes("add element"))).toHaveLength(1);
  });

  it("leaves Best Effort unnamed, and takes a flow back to it when it was better", async () => {
    const scene = new Scene();
    scene.marks.set(flow(0), "cs0", scene.nowMs);
    scene.marks.set(flow(1), "ef", scene.nowMs);
    await scene.settle(2);
    scene.marks.set(flow(1), "cs0", scene.nowMs);
    await scene.settle(2);
    expect([...scene.table.elements!.values()]).toEqual(["cs0", "cs0"]);
  });

  it("passes over flows without ports", async () => {
    const scene = new Scene();
    scene.marks.set(flow(0, 1), "ef", scene.nowMs);
    await scene.settle(2);
    expect(scene.table.elements?.size).toBe(0);
    expect(canBeMarked(flow(0, 6))).toBe(true);
  });

  it("names a flow no longer when its connection has long had the mark", async () => {
    const scene = new Scene();
    scene.marks.set(flow(0), "ef", scene.nowMs);
    await scene.settle(2);
    scene.nowMs += MARKED_FLOW_MS;
    await scene.settle(3);
    expect(scene.table.elements?.size).toBe(0);
    expect(scene.marks.size).toBe(0);
  });

  it("makes the table again with all it held when somebody flushed the ruleset", async () => {
    const scene = new Scene();
    scene.marks.set(flow(0), "ef", scene.nowMs);
    scene.marks.setProbes([["203.0.113.1", "cs4"]]);
    await scene.settle(3);
    const before = scene.table.elements;
    scene.table.elements = null;
    await scene.settle(40);
    expect(scene.table.elements).toEqual(before);
    expect(scene.notices.map(({ code }) => code)).toContain("marks-lost");
  });

  it("stays without first packets where the kernel refuses to hand them over, and marks all the same", async () => {
    const scene = new Scene();
    const run = scene.table.run.bind(scene.table);
    scene.table.run = async (program, args, options) =>
      options?.input?.includes("log group") === true
        ? { exitCode: 1, stdout: "", stderr: "Error: Could not process rule" }
        : run(program, args, options);
    scene.marks.set(flow(0), "ef", scene.nowMs);
    await scene.settle(4);
    expect(scene.installs).toEqual([false]);
    expect(scene.table.elements?.size).toBe(2);
  });

  it("tries again with growing waits, and says why, where there is no nft", async () => {
    const scene = new Scene();
    scene.table.refuses = true;
    await scene.settle(60);
    const tries = scene.table.batches.length;
    expect(scene.notices[0]?.message).toContain("Operation not supported");
    expect(tries).toBeGreaterThan(2);
    expect(tries).toBeLessThan(30);
    scene.table.refuses = false;
    await scene.settle(60);
    expect(scene.marks.installed).toBe(true);
  });

  it("takes its table away in the end", async () => {
    const scene = new Scene();
    await scene.settle(2);
    expect(await scene.marks.remove()).toBeNull();
    expect(scene.table.elements).toBeNull();
    await scene.settle(5);
    expect(scene.table.elements).toBeNull();
  });

  it("takes its table away also when it is told to while the table is being made", async () => {
    const scene = new Scene();
    scene.table.slowTurns = 5;
    scene.marks.tick(scene.nowMs);
    expect(await scene.marks.remove()).toBeNull();
    await scene.settle(8);
    expect(scene.table.elements).toBeNull();
    expect(scene.table.batches.at(-1)).toContain("delete table");
  });

  it("makes room for the newest when full", async () => {
    const scene = new Scene();
    for (let i = 0; i <= MARKED_FLOWS_MAX; i += 1) scene.marks.set(flow(i), "ef", scene.nowMs);
    await scene.settle(20);
    expect(scene.marks.size).toBe(MARKED_FLOWS_MAX);
    expect(scene.table.elements?.size).toBe(2 * MARKED_FLOWS_MAX);
    expect(scene.table.elements?.has("flows4 17 . 192.168.1.2 . 1024 . 203.0.113.9 . 443")).toBe(
      false,
    );
  });

  it("ends with the kernel holding what was last wanted, whatever happened on the way", async () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          do: fc.constant("set" as const),
          flow: fc.nat({ max: 7 }),
          isOther: fc.boolean(),
          dscp: fc.constantFrom(...DSCP_NAMES),
        }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("expire" as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const scene = new Scene();
        const wanted = new Map<number, DscpName>();
        for (const each of steps) {
          if (each.do === "set") {
            const key = flow(each.flow);
            scene.marks.set(each.isOther ? otherSide(key) : key, each.dscp, scene.nowMs);
            wanted.set(each.flow, each.dscp);
          } else if (each.do === "settle") {
            await scene.settle(2);
          } else if (each.do === "flush") {
            scene.table.elements = null;
          } else {
            scene.nowMs += MARKED_FLOW_MS;
            await scene.settle(2);
            wanted.clear();
          }
        }
        await scene.settle(40);
        const named = new Set<number>();
        for (const [key, dscp] of scene.table.elements!) {
          const [, , portA, , portB] = key.split(" . ").map(Number);
          const n = (portA === 443 ? portB! : portA!) - 1_024;
          expect(dscp).toBe(wanted.get(n));
          named.add(n);
        }
        // Nothing is lost but Best Effort, which needs no name.
        for (const [n, dscp] of wanted) expect(named.has(n) || dscp === "cs0").toBe(true);
        expect(scene.notices.filter(({ code }) => code !== "marks-lost")).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("tableText", () => {
  it("writes no bit of the mark but our own", () => {
    const sets = [
      ...tableText("wan0", true).matchAll(/ct mark set ct mark & (\S+) \| (\S+)[;\s]/g),
    ];
    expect(sets.length).toBeGreaterThan(DSCP_NAMES.length - 1);
    for (const [, kept, written] of sets) {
      expect(kept).toBe("0x01ffffff");
      expect(Number(written) & 0x01ffffff).toBe(0);
    }
  });

  it("hands packets to the tap only when asked", () => {
    expect(tableText("wan0", true)).toContain("log group");
    expect(tableText("wan0", false)).not.toContain("log group");
  });

  it("hands over flows that are older than the table, or marks them at once", () => {
    const older = (taps: boolean) => /chain older \{\n\s*(.*)\n/.exec(tableText("wan0", taps))![1]!;
    expect(older(true)).toMatch(/^meta l4proto \{ tcp, udp \} limit .* log group/);
    expect(older(false)).toMatch(/^ct mark set \S/);
    expect(tableText("wan0", true)).toMatch(/ct state new ct mark & \S+ == 0 ct mark set/);
  });
});
