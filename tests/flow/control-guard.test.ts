// What the loop does when the line, the probes, the qdiscs or the machine are in trouble, told input
// by input.

import { describe, expect, test } from "vitest";
import { settingsOfTrace } from "../../sim/link-contestants.ts";
import { LINK_TRACES } from "../../sim/link-traces.ts";
import { FlowLoop } from "../../src/flow/control/loop.ts";
import type {
  Decision,
  Direction,
  FlowCommand,
  FlowInput,
  FlowSample,
} from "../../src/flow/interface.ts";

const SETTINGS = settingsOfTrace(LINK_TRACES[0]!);
const TICK_MS = 100;

/** A line in words: each tick adds what is given; whatever the loop commands is carried out unless told otherwise. */
class Line {
  readonly loop = new FlowLoop(SETTINGS);
  readonly decisions: Decision[] = [];
  readonly commands: FlowCommand[] = [];
  nowMs = 0;
  rttMs: number | null = 20;
  downloadKbit: number | null = 3_000;
  uploadKbit: number | null = 1_000;
  backlogBytes = 0;
  /** What becomes of a change: null, its error; a number, another rate. */
  outcome: "applied" | "failed" | "wrong" | "silent" = "applied";
  readonly shaperKbit: Record<Direction, number> = {
    download: SETTINGS.download.baseKbit,
    upload: SETTINGS.upload.baseKbit,
  };
  #bytes: Record<Direction, number> = { download: 0, upload: 0 };

  tell(input: FlowInput): void {
    const { decisions, commands } = this.loop.step(input);
    this.decisions.push(...decisions);
    this.commands.push(...commands);
    for (const command of commands) this.#carryOut(command);
  }

  run(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += TICK_MS;
      this.tell({ kind: "sample", ...this.#sample() });
    }
  }

  kinds(): string[] {
    return this.decisions.map(({ kind, cause }) => `${kind} ${cause}`);
  }

  #sample(): FlowSample {
    const { nowMs: atMs, rttMs } = this;
    const direction = (name: Direction, kbit: number | null) => {
      if (kbit === null) return null;
      this.#bytes[name] += (kbit * TICK_MS) / 8;
      return {
        lineBytes: this.#bytes[name],
        shaper: {
          rateKbit: this.shaperKbit[name],
          sentBytes: this.#bytes[name],
          backlogBytes: this.backlogBytes,
          droppedPackets: 0,
          tins: [],
        },
      };
    };
    const replies = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((reflector) => ({
      ...{ reflector, tin: "besteffort" as const, atMs, rttMs: rttMs ?? 0 },
    }));
    return {
      atMs,
      download: direction("download", this.downloadKbit),
      upload: direction("upload", this.uploadKbit),
      replies: rttMs === null ? [] : replies,
      losses: [],
    };
  }

  #carryOut(command: FlowCommand): void {
    if (command.kind === "reinstall") {
      this.shaperKbit.download = command.downloadKbit;
      this.shaperKbit.upload = command.uploadKbit;
    }
    if (command.kind !== "set-rate" || this.outcome === "silent") return;
    const { direction, rateKbit } = command;
    if (this.outcome === "applied") this.shaperKbit[direction] = rateKbit;
    this.tell({
      kind: "applied",
      atMs: this.nowMs,
      direction,
      requestedKbit: rateKbit,
      readBackKbit: this.outcome === "wrong" ? 2 * rateKbit : this.shaperKbit[direction],
      error: this.outcome === "failed" ? "RTNETLINK answers: No such file or directory" : null,
    });
  }
}

/** Full download with a queue of our own: the loop wants to raise it. */
function busyLine(): Line {
  const line = new Line();
  line.downloadKbit = SETTINGS.download.baseKbit;
  line.backlogBytes = 60_000;
  return line;
}

describe("an outage", () => {
  test("freezes the loop, changes nothing, and ends with the first answers", () => {
    const line = new Line();
    line.run(5_000);
    line.rttMs = null;
    line.downloadKbit = 0;
    line.run(5_000);
    expect(line.loop.view.frozenBecause).toBe("outage");
    line.rttMs = 20;
    line.run(200);
    expect(line.loop.view.state).toBe("running");
    expect(line.kinds()).toEqual(["freeze outage", "thaw outage"]);
    expect(line.commands).toEqual([]);
  });

  test("is not seen where probes are sparse", () => {
    const line = new Line();
    line.downloadKbit = 0;
    line.uploadKbit = 0;
    for (let second = 0; second < 60; second += 1) {
      line.rttMs = 20;
      line.run(TICK_MS);
      line.rttMs = null;
      line.run(9 * TICK_MS);
    }
    expect(line.kinds()).toEqual([]);
  });
});

describe("probes that nobody answers while traffic flows", () => {
  test("freeze the loop and have the pinger started again, now and then", () => {
    const line = busyLine();
    line.run(1_000);
    line.rttMs = null;
    line.run(45_000);
    expect(line.loop.view.frozenBecause).toBe("probes-unanswered");
    const restarts = line.commands.filter(({ kind }) => kind === "restart-pinger");
    expect(restarts).toHaveLength(2);
  });

  test("bring the rates to the base after a minute, not before", () => {
    const line = busyLine();
    line.run(20_000);
    const { rateKbit } = line.loop.view.directions.download;
    expect(rateKbit).toBeGreaterThan(SETTINGS.download.baseKbit);
    line.rttMs = null;
    line.run(50_000);
    expect(line.loop.view.directions.download.rateKbit).not.toBe(SETTINGS.download.baseKbit);
    line.run(20_000);
    expect(line.loop.view.directions.download.rateKbit).toBe(SETTINGS.download.baseKbit);
  });
});

test("a pinger that ended freezes the loop until it runs again", () => {
  const line = busyLine();
  line.run(1_000);
  line.tell({ kind: "pinger", atMs: line.nowMs, alive: false, reason: "was ended by SIGKILL" });
  expect(line.decisions.at(-1)).toMatchObject({ kind: "freeze", cause: "pinger-dead" });
  expect(line.decisions.at(-1)!.evidence).toEqual({ reason: "was ended by SIGKILL" });
  line.tell({ kind: "pinger", atMs: line.nowMs, alive: true, reason: "runs again" });
  expect(line.loop.view.state).toBe("running");
});

describe("changes that fail", () => {
  test("are rolled back, tried again with growing pauses, and end in a reinstallation", () => {
    const line = busyLine();
    line.outcome = "failed";
    line.run(20_000);
    expect(line.kinds()).toContain("rollback change-failed");
    expect(line.kinds()).toContain("freeze change-failed");
    expect(line.commands.some(({ kind }) => kind === "reinstall")).toBe(true);
    const changes = line.commands.filter(({ kind }) => kind === "set-rate").length;
    expect(changes).toBeLessThan(30);
  });

  test("tell the kernel's own words", () => {
    const line = busyLine();
    line.outcome = "failed";
    line.run(3_000);
    const rollback = line.decisions.find(({ kind }) => kind === "rollback");
    expect(rollback?.evidence).toMatchObject({
      error: "RTNETLINK answers: No such file or directory",
      failures: 1,
    });
  });

  test("stop failing, and the loop goes on", () => {
    const line = busyLine();
    line.outcome = "failed";
    line.run(3_000);
    line.outcome = "applied";
    line.run(10_000);
    expect(line.loop.view.state).toBe("running");
    expect(line.shaperKbit.download).toBe(line.loop.view.directions.download.rateKbit);
    expect(line.shaperKbit.download).toBeGreaterThan(SETTINGS.download.baseKbit);
  });
});

test("a rate that is read back otherwise is rolled back to the last stable one", () => {
  const line = busyLine();
  line.outcome = "wrong";
  line.run(2_000);
  const rollback = line.decisions.find(({ cause }) => cause === "readback-mismatch");
  expect(rollback).toMatchObject({
    kind: "rollback",
    toKbit: SETTINGS[rollback!.direction!].baseKbit,
  });
  line.outcome = "applied";
  line.run(3_000);
  expect(line.kinds()).toContain("restore readback-mismatch");
});

test("a rate that somebody else set is set back", () => {
  const line = new Line();
  line.run(2_000);
  line.shaperKbit.upload = 1_234;
  line.run(3_000);
  expect(line.kinds()).toContain("rollback rate-drift");
  expect(line.shaperKbit.upload).toBe(SETTINGS.upload.baseKbit);
});

describe("a link that goes", () => {
  test("stops every command until it is back", () => {
    const line = busyLine();
    line.run(1_000);
    line.tell({ kind: "link", atMs: line.nowMs, state: "gone" });
    line.commands.length = 0;
    line.rttMs = null;
    line.downloadKbit = null;
    line.uploadKbit = null;
    line.run(10_000);
    expect(line.commands.filter(({ kind }) => kind !== "restart-pinger")).toEqual([]);
    expect(line.loop.view.frozenBecause).toBe("link-gone");
    line.tell({ kind: "link", atMs: line.nowMs, state: "shaped" });
    line.rttMs = 20;
    line.downloadKbit = 1_000;
    line.uploadKbit = 1_000;
    line.run(1_000);
    expect(line.loop.view.state).toBe("running");
  });

  test("or whose qdisc was replaced is shaped again, ever more seldom", () => {
    const line = new Line();
    line.run(2_000);
    line.tell({ kind: "link", atMs: line.nowMs, state: "replaced" });
    expect(line.commands.at(-1)).toEqual({
      kind: "reinstall",
      downloadKbit: SETTINGS.download.baseKbit,
      uploadKbit: SETTINGS.upload.baseKbit,
    });
    line.run(60_000);
    const installs = line.commands.filter(({ kind }) => kind === "reinstall").length;
    expect(installs).toBeGreaterThan(2);
    expect(installs).toBeLessThan(8);
    line.tell({ kind: "link", atMs: line.nowMs, state: "shaped" });
    expect(line.decisions.at(-1)).toMatchObject({ kind: "thaw", cause: "qdisc-replaced" });
  });
});

describe("a daemon that costs too much", () => {
  const report = (line: Line, cpuPercent: number, residentBytes = 60e6) =>
    line.tell({ kind: "usage", atMs: line.nowMs, cpuPercent, residentBytes });

  test("samples less often, then freezes, and comes back", () => {
    const line = new Line();
    line.run(1_000);
    for (let count = 0; count < 3; count += 1) report(line, 90);
    expect(line.loop.view.samplingHz).toBe(5);
    for (let count = 0; count < 9; count += 1) report(line, 90);
    expect(line.loop.view.samplingHz).toBe(2);
    expect(line.loop.view.frozenBecause).toBe("cpu");
    for (let count = 0; count < 30; count += 1) report(line, 5);
    expect(line.loop.view.state).toBe("running");
    expect(line.loop.view.samplingHz).toBe(10);
  });

  test("freezes above its memory", () => {
    const line = new Line();
    line.run(1_000);
    report(line, 5, 200e6);
    expect(line.loop.view.frozenBecause).toBe("memory");
    report(line, 5, 60e6);
    expect(line.loop.view.state).toBe("running");
  });

  test("is not frozen by one busy moment", () => {
    const line = new Line();
    for (let count = 0; count < 20; count += 1) {
      report(line, count % 3 === 0 ? 10 : 90);
    }
    expect(line.loop.view).toMatchObject({ state: "running", samplingHz: 10 });
  });
});

describe("a line nobody uses", () => {
  test("lets the loop doze, and wakes it with the first tick of traffic", () => {
    const line = new Line();
    line.downloadKbit = 50;
    line.uploadKbit = 20;
    line.run(25_000);
    expect(line.loop.view).toMatchObject({ asleep: true, samplingHz: 2 });
    line.downloadKbit = 10_000;
    line.run(200);
    expect(line.loop.view).toMatchObject({ asleep: false, samplingHz: 10 });
  });
});

describe("real congestion", () => {
  test("is no trouble: it is steered, never frozen", () => {
    const line = busyLine();
    line.run(2_000);
    line.backlogBytes = 0;
    line.downloadKbit = 8_000;
    line.rttMs = 400;
    line.run(600);
    expect(line.decisions.some(({ kind }) => kind === "freeze")).toBe(false);
    expect(line.loop.view.directions.download.rateKbit).toBeLessThan(8_000);
  });

  test("without traffic of ours is left to others", () => {
    const line = new Line();
    line.downloadKbit = 500;
    line.uploadKbit = 100;
    line.run(2_000);
    line.rttMs = 300;
    line.run(10_000);
    expect(line.decisions).toEqual([]);
  });
});

test("inputs that make no sense change nothing and break nothing", () => {
  const line = new Line();
  line.run(1_000);
  line.tell({ kind: "sample", atMs: 500, download: null, upload: null, replies: [], losses: [] });
  line.tell({
    kind: "sample",
    atMs: line.nowMs + 1,
    download: null,
    upload: null,
    replies: [
      { reflector: "192.0.2.1", tin: "voice", atMs: line.nowMs, rttMs: Number.NaN },
      { reflector: "192.0.2.1", tin: "voice", atMs: line.nowMs, rttMs: -5 },
    ],
    losses: [{ reflector: "nobody", tin: "bulk", atMs: 0 }],
  });
  expect(line.decisions).toEqual([]);
});

describe("other settings", () => {
  test("move a rate inside its new bounds at once", () => {
    const line = new Line();
    line.run(2_000);
    const upload = { minKbit: 1_000, baseKbit: 2_000, maxKbit: 4_000 };
    const { commands } = line.loop.reconfigure({ ...SETTINGS, upload }, line.nowMs);
    expect(commands).toEqual([{ kind: "set-rate", direction: "upload", rateKbit: 4_000 }]);
  });

  test("that change no bound change no rate", () => {
    const line = new Line();
    line.run(2_000);
    expect(line.loop.reconfigure({ ...SETTINGS, k: 2 }, line.nowMs)).toEqual({
      decisions: [],
      commands: [],
    });
  });
});

test("a bad reflector among three moves nothing and is left for another", () => {
  const line = new Line();
  line.run(2_000);
  for (let tick = 0; tick < 200; tick += 1) {
    line.nowMs += TICK_MS;
    const { nowMs: atMs } = line;
    const reply = (reflector: string, rttMs: number) => ({
      ...{ reflector, tin: "besteffort" as const, atMs, rttMs },
    });
    line.tell({
      kind: "sample",
      atMs,
      download: null,
      upload: null,
      replies: [reply("192.0.2.1", 20), reply("192.0.2.2", 140), reply("192.0.2.3", 20)],
      losses: [],
    });
  }
  expect(line.decisions).toEqual([]);
  expect(line.commands).toEqual([{ kind: "rotate-reflector", reflector: "192.0.2.2" }]);
});
