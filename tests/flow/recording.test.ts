// Recordings: what the loop was told comes back as it was, and decides the same again.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FlowInput } from "../../src/flow/interface.ts";
import { NOTHING_DECLARED } from "../../src/flow/persona/classifier.ts";
import { PersonaRules } from "../../src/flow/persona/rules.ts";
import { FlowPlane } from "../../src/flow/plane.ts";
import {
  decodeLine,
  encodeDecision,
  encodeHeader,
  encodeInput,
  encodeSettings,
  RecordingError,
  replay,
} from "../../src/flow/recording.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { type FlowSettings, readFlowSettings } from "../../src/schema/flow-settings.ts";
import { FakeChildren, FakeFiles, HandClock } from "./fakes.ts";

function settingsOf(value: object): FlowSettings {
  const read = readFlowSettings({ enabled: true, mode: "dummy", ...value }, (key) => key);
  if ("problems" in read) throw new Error(JSON.stringify(read.problems));
  return read.settings;
}

const SETTINGS = settingsOf({});
const RATES = { downloadKbit: 20_000, uploadKbit: 20_000 };

class Scene {
  readonly clock = new HandClock();
  readonly children = new FakeChildren();
  readonly files = new FakeFiles();
  readonly decisions: string[] = [];
  readonly paces: number[] = [];
  readonly plane: FlowPlane;

  constructor(settings: FlowSettings = SETTINGS) {
    this.plane = new FlowPlane(
      {
        clock: this.clock,
        random: new SeededRandom(7n),
        children: this.children,
        files: this.files,
        quicCrypto: {
          hmacSha256: () => new Uint8Array(32),
          aes128Block: () => new Uint8Array(16),
          aes128GcmOpen: () => null,
        },
      },
      {
        settings,
        stateDir: "/state",
        rules: new PersonaRules(),
        declared: NOTHING_DECLARED,
        listener: {
          onDecision: (decision) => this.decisions.push(encodeDecision(decision)),
          onNotice: () => {},
          onPace: (samplingHz) => this.paces.push(samplingHz),
        },
      },
    );
  }

  run(seconds: number): void {
    for (let i = 0; i < seconds * 10; i += 1) {
      this.clock.ms += 100;
      this.plane.tick(this.clock.ms);
    }
  }
}

describe("a plane on a dummy line", () => {
  it("cuts when the capacity falls, raises when it is back, and starts no child", async () => {
    const scene = new Scene();
    await scene.plane.start();
    scene.run(60);
    const kinds = scene.decisions.map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds).toContain("lower");
    expect(kinds).toContain("raise");
    expect(scene.children.started).toEqual([]);
    const status = scene.plane.status();
    expect(status).toMatchObject({ phase: "running", mode: "dummy", link: "shaped" });
    expect(status.history.length).toBeGreaterThan(50);
    expect(status.download.throughputKbit).toBeGreaterThan(1_000);
  });

  it("decides in a replay what it decided when recorded, byte for byte", async () => {
    const scene = new Scene();
    await scene.plane.start();
    scene.run(13);
    const lines: string[] = [];
    const before = scene.decisions.length;
    const end = scene.plane.record((line) => lines.push(line));
    expect(scene.plane.record(() => {})).toBeNull();
    scene.run(12);
    await scene.plane.reconfigure(
      settingsOf({ download: { min: 3_000, base: 9_000, max: 30_000 } }),
    );
    scene.run(12);
    end?.();
    const recorded = scene.decisions.slice(before);
    scene.run(3);
    expect(recorded.length).toBeGreaterThan(3);
    expect([...replay(lines)].map(encodeDecision)).toEqual(recorded);
  });

  it("writes its figures where they are asked for, once a second", async () => {
    const scene = new Scene(settingsOf({ metricsFile: "/run/m" }));
    await scene.plane.start();
    scene.run(3);
    const text = scene.files.texts.get("/run/m") ?? "";
    expect(text).toMatch(/^mycoflow_shaper_kbit\{direction="download"\} \d+$/m);
    expect(text).toMatch(/^mycoflow_samples_total \d+$/m);
    for (const line of text.trim().split("\n")) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) mycoflow_|mycoflow_[a-z_]+(\{[a-z_]+="[a-z-]+"(,[a-z_]+="[a-z-]+")*\})? -?[0-9.e+-]+$)/,
      );
    }
    // Each family once.
    const families = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(families).size).toBe(families.length);
  });
});

const kbit = fc.integer({ min: 0, max: 1e7 });
const atMs = fc.integer({ min: 0, max: 2 ** 42 });
const probe = {
  reflector: fc.ipV4(),
  tin: fc.constantFrom("voice" as const, "besteffort" as const),
  atMs,
};
const side = fc.record({ lineBytes: fc.option(fc.nat()), shaper: fc.constant(null) });
const input: fc.Arbitrary<FlowInput> = fc.oneof(
  fc.record({
    kind: fc.constant("sample" as const),
    atMs,
    download: fc.option(side),
    upload: fc.option(side),
    replies: fc.array(fc.record({ ...probe, rttMs: fc.double({ min: 0, max: 1e4, noNaN: true }) })),
    losses: fc.array(fc.record(probe)),
  }),
  fc.record({
    kind: fc.constant("applied" as const),
    atMs,
    direction: fc.constantFrom("download" as const, "upload" as const),
    requestedKbit: kbit,
    readBackKbit: fc.option(kbit),
    error: fc.option(fc.string({ maxLength: 100 })),
  }),
  fc.record({
    kind: fc.constant("link" as const),
    atMs,
    state: fc.constantFrom("shaped" as const, "down" as const, "gone" as const),
  }),
  fc.record({
    kind: fc.constant("pinger" as const),
    atMs,
    alive: fc.boolean(),
    reason: fc.string({ maxLength: 100 }),
  }),
  fc.record({ kind: fc.constant("usage" as const), atMs, cpuPercent: kbit, residentBytes: kbit }),
);

describe("a line of a recording", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(input, (told) => {
        // -0 is written as 0.
        const text = encodeInput(told);
        expect(encodeInput(decodeLine(text, 1) as FlowInput)).toBe(text);
      }),
    );
    const header = encodeHeader(SETTINGS, RATES);
    expect(decodeLine(header, 1)).toMatchObject({
      kind: "header",
      settings: SETTINGS,
      rates: RATES,
    });
    const changed = settingsOf({
      tau: "350ms",
      rho: 2,
      linkLayer: { framing: "atm", overhead: 44, mpu: 96 },
      persona: { treatment: { torrent: "throttle" } },
    });
    expect(decodeLine(encodeSettings(changed, 5), 1)).toEqual({
      kind: "settings",
      atMs: 5,
      settings: changed,
    });
  });

  it("is told by its number when it is none, whatever it is", () => {
    const damaged = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .tuple(input.map(encodeInput), fc.nat(), fc.string({ maxLength: 4 }))
        .map(
          ([text, at, put]) =>
            text.slice(0, at % text.length) + put + text.slice((at % text.length) + 2),
        ),
    );
    fc.assert(
      fc.property(damaged, (text) => {
        try {
          decodeLine(text, 17);
        } catch (error) {
          expect(error).toBeInstanceOf(RecordingError);
          expect((error as RecordingError).message).toContain("Line 17");
        }
      }),
    );
  });

  it.each([
    [
      "settings that no configuration may hold",
      encodeHeader(SETTINGS, RATES).replace('"k":3', '"k":99'),
      "settings.k",
    ],
    ["a cut line", encodeHeader(SETTINGS, RATES).slice(0, 50), "cut off"],
    ["an input first", encodeInput({ kind: "link", atMs: 1, state: "down" }), "header is missing"],
    ["nothing", "", "empty"],
  ])("is refused with its reason: %s", (_, text, reason) => {
    expect(() => [...replay([text])]).toThrow(reason);
  });
});
