// The line of a machine: what is put there, what is told, what comes back.

import { describe, expect, it } from "vitest";
import type { FlowInput } from "../../src/flow/interface.ts";
import { NOTHING_DECLARED } from "../../src/flow/persona/classifier.ts";
import { PersonaRules } from "../../src/flow/persona/rules.ts";
import { RealLine } from "../../src/flow/real-line.ts";
import type { FlowNotice } from "../../src/flow/status.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { type FlowSettings, readFlowSettings } from "../../src/schema/flow-settings.ts";
import { FakeKernel } from "./fake-kernel.ts";
import { HandClock } from "./fakes.ts";

const IFB = "myco-wan0";
const RATES = { downloadKbit: 20_000, uploadKbit: 9_000 };

function settingsOf(value: object = {}): FlowSettings {
  const given = { enabled: true, egressIface: "wan0", ...value };
  const read = readFlowSettings(given, (key) => key);
  if ("problems" in read) throw new Error(JSON.stringify(read.problems));
  return read.settings;
}

class Scene {
  readonly kernel: FakeKernel;
  readonly clock = new HandClock();
  readonly inputs: FlowInput[] = [];
  readonly notices: FlowNotice[] = [];
  readonly line: RealLine;

  constructor(settings = settingsOf(), kernel = new FakeKernel()) {
    this.kernel = kernel;
    if (!kernel.devices.has("wan0")) kernel.add("wan0");
    const ports = {
      clock: this.clock,
      random: new SeededRandom(3n),
      children: kernel,
      files: kernel.files,
      quicCrypto: {
        hmacSha256: () => new Uint8Array(32),
        aes128Block: () => new Uint8Array(16),
        aes128GcmOpen: () => null,
      },
      foundFile: "/state/found",
      rules: new PersonaRules(),
      declared: NOTHING_DECLARED,
    };
    this.line = new RealLine(settings, ports, {
      onInput: (input) => this.inputs.push(input),
      onNotice: (notice) => this.notices.push(notice),
    });
  }

  static async started(settings = settingsOf(), kernel = new FakeKernel()): Promise<Scene> {
    const scene = new Scene(settings, kernel);
    await scene.line.start(RATES);
    return scene;
  }

  async run(seconds: number): Promise<void> {
    for (let i = 0; i < seconds * 10; i += 1) {
      this.clock.ms += 100;
      this.line.tick(this.clock.ms);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  links(): string[] {
    return this.inputs.flatMap((input) => (input.kind === "link" ? [input.state] : []));
  }

  samples() {
    return this.inputs.filter((input) => input.kind === "sample");
  }

  applied() {
    return this.inputs.filter((input) => input.kind === "applied");
  }

  codes(): string[] {
    return this.notices.map(({ code }) => code);
  }
}

describe("a line in active mode", () => {
  it("shapes both directions, before everybody else's filter", async () => {
    const kernel = new FakeKernel();
    const wan = kernel.add("wan0");
    wan.hasIngress = true;
    wan.filters = [{ preference: 5, restoresMarks: false, to: "ifb4wan0" }];
    await Scene.started(settingsOf(), kernel);
    expect(kernel.rateOf("wan0")).toBe(9_000);
    expect(kernel.rateOf(IFB)).toBe(20_000);
    expect(wan.filters).toContainEqual({ preference: 4, restoresMarks: true, to: IFB });
  });

  it("tells what each round read, and how each change ended", async () => {
    const scene = await Scene.started();
    await scene.run(1);
    expect(scene.samples()).toHaveLength(10);
    const sample = scene.samples().at(-1)!;
    expect(sample.download?.shaper?.rateKbit).toBe(20_000);
    expect(sample.upload?.lineBytes).toBe(1_000);
    scene.inputs.length = 0;
    scene.line.carryOut({ kind: "set-rate", direction: "download", rateKbit: 12_345 });
    expect(scene.applied()).toMatchObject([
      { requestedKbit: 12_345, readBackKbit: 12_345, error: null },
    ]);
  });

  it("tells a change that the kernel refused, and one that it made something else of", async () => {
    const scene = await Scene.started();
    await scene.run(1);
    scene.inputs.length = 0;
    scene.kernel.refusal = () => "Error: Invalid argument.";
    scene.line.carryOut({ kind: "set-rate", direction: "upload", rateKbit: 5_000 });
    scene.kernel.refusal = () => null;
    scene.kernel.roundKbit = (kbit) => kbit * 2;
    scene.line.carryOut({ kind: "set-rate", direction: "upload", rateKbit: 6_000 });
    expect(scene.applied()).toMatchObject([
      { requestedKbit: 5_000, readBackKbit: 9_000, error: "Error: Invalid argument." },
      { requestedKbit: 6_000, readBackKbit: 12_000, error: null },
    ]);
  });

  it("tells of no refusal when a change is broken off by the stop", async () => {
    const scene = await Scene.started();
    await scene.run(1);
    scene.inputs.length = 0;
    scene.kernel.tcIsStuck = true;
    scene.line.carryOut({ kind: "set-rate", direction: "upload", rateKbit: 5_000 });
    await scene.line.stop();
    expect(scene.applied()).toEqual([]);
  });

  it("leaves out what a late tc has not said, and waits for no more of it", async () => {
    const scene = await Scene.started();
    await scene.run(1);
    scene.inputs.length = 0;
    scene.kernel.tcIsStuck = true;
    await scene.run(0.5);
    scene.kernel.unstick();
    await scene.run(0.3);
    const shapers = scene.samples().map(({ upload }) => upload?.shaper ?? null);
    expect(shapers.slice(0, 3)).toEqual([null, null, null]);
    expect(shapers.at(-1)).not.toBeNull();
    expect(scene.samples().every(({ upload }) => upload?.lineBytes === 1_000)).toBe(true);
  });

  it("tells that its qdisc was replaced, never changes the other, and makes its own again when told", async () => {
    const scene = await Scene.started();
    await scene.run(1);
    scene.kernel.devices.get("wan0")!.root = { kind: "pfifo", handle: "8005:", words: ["pfifo"] };
    await scene.run(1);
    expect(scene.links()).toEqual(["shaped", "replaced"]);
    scene.line.carryOut({ kind: "set-rate", direction: "upload", rateKbit: 5_000 });
    expect(scene.applied().at(-1)?.error).not.toBeNull();
    expect(scene.kernel.devices.get("wan0")?.root.kind).toBe("pfifo");
    scene.line.carryOut({ kind: "reinstall", downloadKbit: 11_000, uploadKbit: 7_000 });
    await scene.run(1);
    expect(scene.links()).toEqual(["shaped", "replaced", "shaped"]);
    expect([scene.kernel.rateOf(IFB), scene.kernel.rateOf("wan0")]).toEqual([11_000, 7_000]);
  });

  it.each([
    ["the ingress hook", (wan: ReturnType<FakeKernel["add"]>) => (wan.hasIngress = false)],
    ["the filter alone", () => {}],
  ])("notices that downloads are led to its shaper no more: without %s", async (_, remove) => {
    const scene = await Scene.started();
    await scene.run(1);
    const wan = scene.kernel.devices.get("wan0")!;
    remove(wan);
    wan.filters = [];
    await scene.run(31);
    expect(scene.links()).toEqual(["shaped", "replaced"]);
    scene.line.carryOut({ kind: "reinstall", ...RATES });
    await scene.run(1);
    expect(scene.links().at(-1)).toBe("shaped");
    expect(wan).toMatchObject({ hasIngress: true, filters: [{ to: IFB }] });
  });

  it("notices an interface that goes, and one that comes back as another", async () => {
    const scene = await Scene.started();
    await scene.run(1);
    scene.kernel.remove("wan0");
    await scene.run(1);
    scene.kernel.add("wan0");
    await scene.run(1);
    expect(scene.links()).toEqual(["shaped", "gone", "replaced"]);
    scene.line.carryOut({ kind: "reinstall", ...RATES });
    await scene.run(1);
    expect(scene.links().at(-1)).toBe("shaped");
    expect(scene.kernel.rateOf("wan0")).toBe(9_000);
  });

  it("waits for an interface that is not there yet, and shapes it as soon as it is", async () => {
    const kernel = new FakeKernel();
    kernel.add("lo");
    const scene = new Scene(settingsOf(), kernel);
    kernel.remove("wan0");
    await scene.line.start(RATES);
    await scene.run(3);
    expect(scene.line.status()).toMatchObject({ phase: "waiting", link: "gone" });
    expect(scene.line.status().problem).toContain("wan0");
    kernel.add("wan0");
    await scene.run(1);
    expect(scene.line.status()).toMatchObject({ phase: "running", link: "shaped", problem: null });
  });

  it("says once what the kernel lacks, and goes on trying with growing waits", async () => {
    const kernel = new FakeKernel();
    kernel.refusal = (command) =>
      command.includes("cake") ? "Error: Specified qdisc kind is unknown." : null;
    const scene = await Scene.started(settingsOf(), kernel);
    await scene.run(60);
    expect(scene.codes().filter((code) => code === "NO_CAKE")).toHaveLength(1);
    expect(scene.line.status().problem).toContain("kmod-sched-cake");
    const tries = kernel.changes.filter((command) => command.includes("cake")).length;
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(20);
  });

  it("shapes downloads without tins where there is no ctinfo", async () => {
    const kernel = new FakeKernel();
    kernel.refusal = (command) =>
      command.includes("ctinfo") ? "Error: Failed to load TC action module." : null;
    const scene = await Scene.started(settingsOf(), kernel);
    expect(scene.codes()).toContain("no-ctinfo");
    expect(kernel.devices.get("wan0")?.filters).toMatchObject([{ restoresMarks: false, to: IFB }]);
    expect(scene.line.status().phase).toBe("running");
  });
});

describe("what was found", () => {
  it.each([
    ["the kernel's default", { kind: "fq_codel", handle: "0:", words: [] as string[] }],
    ["somebody's own", { kind: "pfifo", handle: "8001:", words: ["pfifo"] }],
  ])("is put back on stop: %s", async (_, root) => {
    const kernel = new FakeKernel();
    kernel.add("wan0").root = root;
    const scene = await Scene.started(settingsOf(), kernel);
    await scene.run(3);
    expect(kernel.hasTable).toBe(true);
    expect(kernel.files.texts.get("/proc/sys/net/netfilter/nf_conntrack_acct")).toBe("1\n");
    await scene.line.stop();
    expect(kernel.devices.get("wan0")).toMatchObject({ root, hasIngress: false, filters: [] });
    expect(kernel.devices.has(IFB)).toBe(false);
    expect(kernel.hasTable).toBe(false);
    expect(kernel.files.texts.get("/proc/sys/net/netfilter/nf_conntrack_acct")).toBe("0\n");
    expect(kernel.started.every((child) => child.ended)).toBe(true);
    expect(scene.codes()).not.toContain("not-restored");
  });

  it("is what was there before the first life, after a crash", async () => {
    const kernel = new FakeKernel();
    const root = { kind: "pfifo", handle: "8001:", words: ["pfifo"] };
    kernel.add("wan0").root = root;
    await Scene.started(settingsOf(), kernel);
    const second = await Scene.started(settingsOf(), kernel);
    expect(second.codes()).toContain("adopted");
    await second.line.stop();
    expect(kernel.devices.get("wan0")).toMatchObject({ root, hasIngress: false, filters: [] });
  });

  it("stays with who replaced ours", async () => {
    const scene = await Scene.started();
    const theirs = { kind: "pfifo", handle: "8005:", words: ["pfifo"] };
    scene.kernel.devices.get("wan0")!.root = theirs;
    await scene.line.stop();
    expect(scene.kernel.devices.get("wan0")?.root).toEqual(theirs);
    expect(scene.kernel.devices.has(IFB)).toBe(false);
  });

  it("keeps another's ingress hook and filter", async () => {
    const kernel = new FakeKernel();
    const wan = kernel.add("wan0");
    wan.hasIngress = true;
    const theirs = { preference: 10, restoresMarks: false, to: "ifb4wan0" };
    wan.filters = [theirs];
    const scene = await Scene.started(settingsOf(), kernel);
    await scene.line.stop();
    expect(wan).toMatchObject({ hasIngress: true, filters: [theirs] });
  });

  it("is put back although stop comes while all is still being made", async () => {
    const scene = new Scene();
    const starting = scene.line.start(RATES);
    await Promise.all([starting, scene.line.stop()]);
    await scene.run(5);
    expect(scene.kernel.devices.get("wan0")).toMatchObject({ hasIngress: false, filters: [] });
    expect(scene.kernel.devices.get("wan0")?.root.handle).toBe("0:");
    expect(scene.kernel.hasTable).toBe(false);
  });
});

describe("other settings", () => {
  it("take the download's shaper away and bring it back, and leave the upload's alone", async () => {
    const scene = await Scene.started();
    await scene.line.reconfigure(settingsOf({ ingress: false }), RATES);
    expect(scene.kernel.devices.has(IFB)).toBe(false);
    expect(scene.kernel.devices.get("wan0")).toMatchObject({ hasIngress: false, filters: [] });
    await scene.line.reconfigure(settingsOf(), RATES);
    expect(scene.kernel.rateOf(IFB)).toBe(20_000);
    await scene.line.stop();
    expect(scene.kernel.devices.get("wan0")?.root.handle).toBe("0:");
  });

  it("change nothing where nothing of the shapers is changed", async () => {
    const scene = await Scene.started();
    const before = scene.kernel.changes.length;
    await scene.line.reconfigure(settingsOf({ k: 4, delaySetPoint: "15ms" }), RATES);
    expect(scene.kernel.changes).toHaveLength(before);
  });

  it("move to another interface, and leave the first as it was", async () => {
    const kernel = new FakeKernel();
    kernel.add("wan1");
    const scene = await Scene.started(settingsOf(), kernel);
    await scene.line.reconfigure(settingsOf({ egressIface: "wan1" }), RATES);
    expect(kernel.devices.get("wan0")?.root.handle).toBe("0:");
    expect(kernel.rateOf("wan1")).toBe(9_000);
    expect(kernel.rateOf("myco-wan1")).toBe(20_000);
  });

  it("take the table away when personas are switched off", async () => {
    const scene = await Scene.started();
    await scene.run(2);
    await scene.line.reconfigure(settingsOf({ persona: { enabled: false } }), RATES);
    expect(scene.kernel.hasTable).toBe(false);
    expect(scene.kernel.devices.get("wan0")?.filters).toMatchObject([{ restoresMarks: false }]);
  });
});

describe("a line in shadow mode", () => {
  it("senses, and touches nothing", async () => {
    const scene = await Scene.started(settingsOf({ mode: "shadow" }));
    await scene.run(5);
    await scene.line.stop();
    expect(scene.kernel.changes).toEqual([]);
    expect(scene.kernel.hasTable).toBe(false);
    expect(scene.kernel.files.texts.get("/proc/sys/net/netfilter/nf_conntrack_acct")).toBe("0\n");
    expect(scene.samples().length).toBeGreaterThan(40);
    expect(scene.links()).toEqual(["shaped"]);
    const programs = scene.kernel.started.map(({ command }) => command.program);
    expect(new Set(programs)).toEqual(new Set(["fping", "tcpdump"]));
  });
});
