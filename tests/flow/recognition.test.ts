// Recognition: from the tap's packets to marks in the kernel and to what is told of flows and devices.

import { describe, expect, it } from "vitest";
import { NOTHING_DECLARED } from "../../src/flow/persona/classifier.ts";
import { PersonaRules } from "../../src/flow/persona/rules.ts";
import { Recognition } from "../../src/flow/recognition.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { type FlowSettings, readFlowSettings } from "../../src/schema/flow-settings.ts";
import { FakeKernel } from "./fake-kernel.ts";
import { HandClock } from "./fakes.ts";
import { ascii, CLIENT, captureOf, SERVER, udp } from "./packets.ts";

const GAME_PORT = 5_203;
const HOST = { ...CLIENT, port: 26_384 };
const GAME = { ...SERVER, port: GAME_PORT };
const CONNTRACK = "/proc/net/nf_conntrack";

function settingsOf(value: object = {}): FlowSettings {
  const read = readFlowSettings({ enabled: true, egressIface: "wan0", ...value }, (key) => key);
  if ("problems" in read) throw new Error(JSON.stringify(read.problems));
  return read.settings;
}

class Scene {
  readonly kernel = new FakeKernel();
  readonly clock = new HandClock();
  readonly batches: string[] = [];
  readonly codes: string[] = [];
  readonly rules = new PersonaRules();
  readonly recognition: Recognition;

  constructor(settings = settingsOf()) {
    this.kernel.add("wan0");
    const run = this.kernel.run.bind(this.kernel);
    this.kernel.run = (program, args, options) => {
      if (options?.input !== undefined) this.batches.push(options.input);
      return run(program, args, options);
    };
    const ports = {
      clock: this.clock,
      random: new SeededRandom(5n),
      children: this.kernel,
      files: this.kernel.files,
      quicCrypto: {
        hmacSha256: () => new Uint8Array(32),
        aes128Block: () => new Uint8Array(16),
        aes128GcmOpen: () => null,
      },
    };
    this.recognition = new Recognition(ports, {
      settings,
      device: "wan0",
      rules: this.rules,
      declared: NOTHING_DECLARED,
      onNotice: ({ code }) => this.codes.push(code),
    });
  }

  async run(seconds: number): Promise<void> {
    for (let i = 0; i < seconds * 10; i += 1) {
      this.clock.ms += 100;
      this.recognition.tick(this.clock.ms);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The tap sees a few packets both ways. */
  talk(): void {
    const payload = Array.from({ length: 40 }, (_, index) => index);
    const packets = [udp(HOST, GAME, payload), udp(GAME, HOST, payload), udp(HOST, GAME, payload)];
    this.kernel.newest.events.onBytes?.(captureOf(packets));
  }

  marksOf(text: string): string[] {
    const added = this.batches.join("").matchAll(/^add element .*$/gm);
    return [...added].map(([line]) => line).filter((line) => line.includes(text));
  }
}

describe("recognition", () => {
  it("marks what a rule names, tells it, and follows another policy at once", async () => {
    const scene = new Scene();
    scene.rules.add({ persona: "gaming", port: `udp/${GAME_PORT}` });
    await scene.run(2);
    scene.talk();
    await scene.run(2);
    expect(scene.marksOf("mark_cs4")).toHaveLength(1);
    expect(scene.recognition.flows(10)).toMatchObject([
      { persona: "gaming", dscp: 32, key: { serverPort: GAME_PORT } },
    ]);
    scene.recognition.reconfigure(settingsOf({ persona: { treatment: { gaming: "throttle" } } }));
    await scene.run(2);
    expect(scene.marksOf("mark_cs1")).toHaveLength(1);
    expect(scene.recognition.flows(10)[0]?.dscp).toBe(8);
  });

  it("marks by a new rule what it has recognised before, though no packet is heard again", async () => {
    const scene = new Scene();
    await scene.run(2);
    scene.talk();
    await scene.run(2);
    scene.rules.add({ persona: "gaming", port: `udp/${GAME_PORT}` });
    await scene.run(2);
    scene.rules.add({ persona: "voip", device: HOST.address.join("."), port: `udp/${GAME_PORT}` });
    await scene.run(2);
    expect(scene.marksOf("mark_cs4")).toHaveLength(1);
    expect(scene.marksOf("mark_ef")).toHaveLength(1);
    const [flow] = scene.recognition.flows(10);
    expect(flow).toMatchObject({ persona: "voip", confidence: 1 });
    expect(flow?.signals.filter((signal) => signal === "rule")).toHaveLength(1);
  });

  it("takes no question for a name to be that name's own traffic when a rule comes", async () => {
    const scene = new Scene();
    await scene.run(2);
    const question = [
      0,
      7,
      1,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      7,
      ...ascii("example"),
      3,
      ...ascii("org"),
    ];
    const packet = udp(HOST, { ...SERVER, port: 53 }, [...question, 0, 0, 1, 0, 1]);
    scene.kernel.newest.events.onBytes?.(captureOf([packet]));
    await scene.run(2);
    expect(scene.recognition.flows(10)).toMatchObject([{ hostname: "example.org" }]);
    scene.rules.add({ persona: "bulk", name: "example.org" });
    await scene.run(2);
    expect(scene.recognition.flows(10)).toMatchObject([{ persona: "system" }]);
  });

  it("believes the kernel about who asked, and counts what it counted", async () => {
    const scene = new Scene();
    scene.rules.add({ persona: "gaming", port: `udp/${GAME_PORT}` });
    const [host, server] = [HOST.address.join("."), GAME.address.join(".")];
    // The server's side began it, through a forwarded port.
    scene.kernel.files.texts.set(
      CONNTRACK,
      `ipv4     2 udp      17 29 src=${server} dst=${host} sport=${GAME_PORT} dport=${HOST.port} ` +
        `packets=10 bytes=4000 src=${host} dst=${server} sport=${HOST.port} dport=${GAME_PORT} ` +
        "packets=9 bytes=3000 [ASSURED] mark=0 zone=0 use=2\n",
    );
    await scene.run(2);
    scene.talk();
    await scene.run(20);
    expect(scene.recognition.flows(10)).toMatchObject([
      { key: { client: server, server: host }, uploadBytes: 4_000, downloadBytes: 3_000 },
    ]);
    expect(scene.recognition.devices()).toMatchObject([{ address: server, flowCount: 1 }]);
  });

  it("forgets flows that the kernel lists no more", async () => {
    const scene = new Scene();
    scene.kernel.files.texts.set(CONNTRACK, "");
    await scene.run(2);
    scene.talk();
    await scene.run(5);
    expect(scene.recognition.flowCount).toBe(1);
    await scene.run(60);
    expect(scene.recognition.flowCount).toBe(0);
  });

  it("goes on when tcpdump ends, and when it writes what is no capture", async () => {
    const scene = new Scene();
    scene.rules.add({ persona: "voip", port: `udp/${GAME_PORT}` });
    await scene.run(2);
    scene.kernel.newest.exit();
    await scene.run(2);
    scene.kernel.newest.events.onBytes?.(new Uint8Array(64).fill(7));
    await scene.run(3);
    scene.talk();
    await scene.run(2);
    expect(scene.codes.filter((code) => code === "tap").length).toBeGreaterThanOrEqual(4);
    expect(scene.marksOf("mark_ef")).toHaveLength(1);
  });

  it("listens on the line itself in shadow mode, and marks nothing", async () => {
    const scene = new Scene(settingsOf({ mode: "shadow" }));
    await scene.run(1);
    expect(scene.kernel.newest.command.args).toContain("wan0");
    scene.talk();
    await scene.run(3);
    expect(scene.recognition.flowCount).toBe(1);
    expect(scene.batches).toEqual([]);
  });

  it("needs no tap where none is wanted", async () => {
    const scene = new Scene(settingsOf({ persona: { tap: "off" } }));
    await scene.run(3);
    expect(scene.kernel.started).toEqual([]);
    expect(scene.batches[0]).not.toContain("log group");
  });
});
