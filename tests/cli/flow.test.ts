// The commands of the line's plane, against an API that says what a test wants.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fileLines } from "../../src/cli/file-lines.ts";
import { flowPicture } from "../../src/cli/flow-picture.ts";
import { sparkline } from "../../src/cli/sparkline.ts";
import { FlowLoop } from "../../src/flow/control/loop.ts";
import { DummyLine } from "../../src/flow/dummy/dummy-line.ts";
import type { FlowLine } from "../../src/flow/line.ts";
import { encodeDecision, encodeHeader, encodeInput } from "../../src/flow/recording.ts";
import type { FlowReport, FlowStatus } from "../../src/flow/status.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { parseConfiguration } from "../../src/schema/configuration.ts";
import { type Answerer, StandInApi } from "./stand-in-api.ts";
import { myco, type TerminalOptions } from "./terminal.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-cli-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

const STATUS: FlowStatus = {
  phase: "running",
  mode: "active",
  device: "wan",
  link: "shaped",
  problem: null,
  frozen: false,
  samplingHz: 10,
  download: {
    shaperKbit: 19_400,
    readBackKbit: 19_400,
    throughputKbit: 18_200,
    backlogBytes: 30_000,
    tins: [
      {
        tin: "voice",
        rateKbit: 90,
        backlogBytes: 0,
        droppedPackets: 0,
        ecnMarkedPackets: 0,
        averageDelayUs: 300,
        flows: 1,
      },
    ],
  },
  upload: {
    shaperKbit: 5_000,
    readBackKbit: 4_000,
    throughputKbit: null,
    backlogBytes: null,
    tins: [],
  },
  pingerAlive: true,
  reflectors: [],
  cpuPercent: 3.2,
  residentBytes: 50 * 1024 * 1024,
  flowCount: 1,
  markedFlowCount: 1,
  decisions: [
    {
      atMs: Date.UTC(2026, 0, 31, 12, 3, 7),
      kind: "lower",
      direction: "download",
      fromKbit: 80_000,
      toKbit: 19_000,
      cause: "bloat",
      evidence: { deltaMs: 61, loadPercent: 99 },
    },
  ],
  history: Array.from({ length: 70 }, (_, second) => ({
    atMs: second * 1_000,
    downloadKbit: second * 250,
    uploadKbit: null,
    downloadShaperKbit: 20_000,
    uploadShaperKbit: 5_000,
    rttMs: 24,
    increaseMs: 3,
  })),
  recording: false,
};

const FLOW: FlowReport = {
  key: {
    protocol: 17,
    client: "192.168.1.7",
    clientPort: 50_000,
    server: "203.0.113.9",
    serverPort: 3_478,
  },
  service: "voip_call",
  persona: "voip",
  confidence: 0.92,
  signals: ["payload"],
  hostname: "call\u001b[2J.example.org",
  dscp: 46,
  uploadBytes: 1_000,
  downloadBytes: 2_048,
  lastSeenMs: 0,
};

async function ask(answer: Answerer, args: string[], options: TerminalOptions = {}) {
  const api = await StandInApi.start(answer);
  try {
    const outcome = await myco([...args, "--socket", api.socket], options);
    return { ...outcome, asked: api.asked };
  } finally {
    await api.stop();
  }
}

const router: Answerer = ({ path }) => {
  if (path === "/flow") return { body: STATUS };
  if (path.startsWith("/flow/flows")) return { body: { flows: [FLOW] } };
  return { status: 404, body: { error: { code: "x", message: `no ${path}` } } };
};

describe("flow status", () => {
  test("shows rates, delay, tins, decisions and flows, without charts where there is no terminal", async () => {
    const { exitCode, out } = await ask(router, ["flow", "status"]);
    expect(exitCode).toBe(0);
    expect(out).toContain("flow active on wan: running, line shaped, 10 ticks/s, 3.2 %");
    expect(out).toMatch(/^rtt +24\.0 ms, 3\.0 ms of it bloat$/m);
    expect(out).toMatch(/^download +18\.2 Mbit\/s of 19\.4 Mbit\/s, queue 29\.3 KiB$/m);
    expect(out).toMatch(/^upload +- of 5\.0 Mbit\/s, the kernel says 4\.0 Mbit\/s$/m);
    expect(out).toMatch(/^download +voice +90 kbit\/s +0\.3 ms/m);
    expect(out).toContain(
      "12:03:07 lower download 80.0 Mbit/s to 19.0 Mbit/s: bloat  deltaMs=61 loadPercent=99",
    );
    expect(out).toMatch(/^voip +voip_call +92 %/m);
    expect(out).not.toMatch(/[▁-█]/);
  });

  test("draws the last minute on a terminal", async () => {
    const { out } = await ask(router, ["flow", "status"], { isTTY: true, env: { NO_COLOR: "1" } });
    const [chart] = out.split("\n").filter((line) => line.startsWith("download"));
    expect(chart).toMatch(/^download {2}[▁-█]{60} {2}18\.2 Mbit/);
    expect(chart).toMatch(/^download {2}▂/);
    expect(chart).toContain("▇██ ");
  });

  test("watches: a line a second for a file, an object a line as JSON", async () => {
    const plain = await ask(router, ["flow", "status", "--watch", "--seconds", "1"]);
    expect(plain.out).toBe(
      "running, download 18.2 Mbit/s of 19.4 Mbit/s, upload - of 5.0 Mbit/s, rtt 24.0 ms, 3.0 ms of it bloat, last: lower download 80.0 Mbit/s to 19.0 Mbit/s: bloat\n",
    );
    const json = await ask(router, ["flow", "status", "--watch", "--seconds", "1", "--json"]);
    expect(JSON.parse(json.out)).toEqual(STATUS);
    expect(json.out.trim().split("\n")).toHaveLength(1);
  });

  test("redraws no wider and no higher than the terminal", async () => {
    const options = { isTTY: true, columns: 30, rows: 6 };
    const { out } = await ask(router, ["flow", "status", "-w", "--seconds", "2"], options);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours and cursor moves are left out
    const lines = out.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "").split("\n");
    expect(lines.length).toBe(5 + 5 + 1);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(30);
    expect(out).toContain("\u001b[5A");
  });

  test("says so when the plane is off", async () => {
    const error = { code: "flow-off", message: "the flow plane is off", hint: "turn it on" };
    const { exitCode, err } = await ask(
      () => ({ status: 409, body: { error } }),
      ["flow", "status"],
    );
    expect([exitCode, err]).toEqual([5, "error: the flow plane is off\nhint: turn it on\n"]);
  });

  test("never lets a name from the wire move the cursor", () => {
    const lines = flowPicture({
      status: { ...STATUS, problem: "a\u0007b" },
      flows: [FLOW],
      charts: false,
      columns: 80,
      paint: (_, text) => text,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect(lines.join("\n")).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });
});

describe("a sparkline", () => {
  test("is as wide as asked for, whatever the values", () => {
    const values = fc.array(fc.option(fc.double({ noNaN: true })));
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 1, max: 100 }),
        fc.double({ noNaN: true }),
        (shown, width, max) => {
          expect([...sparkline(shown, width, max)]).toHaveLength(width);
        },
      ),
    );
  });

  test("goes from the lowest block to the highest, and shows gaps as gaps", () => {
    expect(sparkline([0, 1, null, 4, 7, 8, 99], 7, 8)).toBe("▁▂ ▅███");
  });
});

describe("flow policy", () => {
  const policy = [{ persona: "torrent", treatment: "throttle", from: "command" }];

  test("is set and reset by persona", async () => {
    const set = await ask(
      () => ({ body: { policy } }),
      [...["flow", "policy", "set", "torrent", "throttle"]],
    );
    expect(set.asked[0]).toMatchObject({ method: "PUT", path: "/flow/policy/torrent" });
    expect(JSON.parse(set.asked[0]!.body.toString())).toEqual({ treatment: "throttle" });
    expect(set.out).toMatch(/^torrent +throttle +command$/m);
    const reset = await ask(() => ({ body: { policy } }), ["flow", "policy", "reset", "torrent"]);
    expect(reset.asked[0]).toMatchObject({ method: "DELETE", path: "/flow/policy/torrent" });
  });

  test("takes known words only", async () => {
    const { exitCode, err } = await myco(["flow", "policy", "set", "torent", "throttle"]);
    expect(exitCode).toBe(2);
    expect(err).toContain('did you mean "torrent"?');
  });
});

describe("flow record", () => {
  test("keeps whole lines and says how many", async () => {
    const file = join(folder, "r.ndjson");
    const answer: Answerer = () => ({ body: '{"a":1}\n{"b":2}\n{"c"' });
    const { exitCode, err } = await ask(answer, ["flow", "record", file]);
    expect([exitCode, err]).toEqual([0, `2 lines in ${file}\n`]);
    expect(readFileSync(file, "utf8")).toBe('{"a":1}\n{"b":2}\n');
  });
});

describe("reload", () => {
  test("says what is in force, and what waits", async () => {
    const body = { applied: ["flow.download"], restart: ["listen"] };
    const { out, asked } = await ask(() => ({ body }), ["reload"]);
    expect(asked[0]).toMatchObject({ method: "POST", path: "/reload" });
    expect(out).toBe("in force now: flow.download\nwaits for a restart of the daemon: listen\n");
  });

  test("shows the mistakes of a configuration that was refused", async () => {
    const error = { code: "x", message: "mistakes", hint: "kept", problems: ["c.yaml:1:1: k: no"] };
    const { exitCode, err } = await ask(() => ({ status: 422, body: { error } }), ["reload"]);
    expect([exitCode, err]).toEqual([5, "error: mistakes\n  c.yaml:1:1: k: no\nhint: kept\n"]);
  });
});

describe("flow replay", () => {
  const { flow } = parseConfiguration("flow: { mode: dummy }", "");
  const RATES = { downloadKbit: 20_000, uploadKbit: 20_000 };
  const header = encodeHeader(flow, RATES);

  async function replay(text: string) {
    const file = join(folder, "recording.ndjson");
    writeFileSync(file, text);
    return myco(["flow", "replay", file]);
  }

  test("prints the decisions of a loop that is told what was recorded", async () => {
    const loop = new FlowLoop(flow, RATES);
    const lines = [encodeHeader(flow, RATES)];
    const decisions: string[] = [];
    let nowMs = 1_000_000;
    const ports = { clock: { nowMs: () => nowMs }, random: new SeededRandom(7n) };
    const line: FlowLine = new DummyLine(flow, ports, {
      onNotice: () => {},
      onInput(input) {
        lines.push(encodeInput(input));
        const step = loop.step(input);
        decisions.push(...step.decisions.map(encodeDecision));
        for (const command of step.commands) line.carryOut(command);
      },
    });
    await line.start(RATES);
    // Up to a drop of the simulated capacity, and past it.
    for (let round = 0; round < 250; round += 1) {
      nowMs += 100;
      line.tick(nowMs);
    }
    const { exitCode, out } = await replay(`${lines.join("\n")}\n`);
    expect(exitCode).toBe(0);
    expect(out).toBe(decisions.map((decision) => `${decision}\n`).join(""));
    expect(decisions.length).toBeGreaterThan(5);
  });

  test("says which line is none, and what is", async () => {
    const cut = await replay(`${header}\n{"kind":"samp`);
    expect(cut.exitCode).toBe(2);
    expect(cut.err).toContain("Line 2 of the recording: it is no JSON");
    expect((await replay("")).err).toContain("the file is empty");
    expect((await replay(`{"kind":"link"`.repeat(100_000))).err).toContain("it is too long");
  });
});

describe("the lines of a file", () => {
  test("are what was written, wherever the pieces end", () => {
    const file = join(folder, "lines");
    const line = fc.string({ unit: "grapheme", maxLength: 50 }).filter((text) => !/\n/.test(text));
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom("", "\n"), (lines, end) => {
        writeFileSync(file, lines.join("\n") + end);
        const text = lines.join("\n") + end;
        const expected = text.split("\n");
        if (expected.at(-1) === "") expected.pop();
        expect([...fileLines(file, 1_000)]).toEqual(expected);
      }),
    );
  });

  test("come in pieces when there are no ends", () => {
    const file = join(folder, "one");
    writeFileSync(file, "x".repeat(1_000_000));
    const pieces = [...fileLines(file, 100_000)];
    expect(pieces.join("").length).toBe(1_000_000);
    for (const piece of pieces) expect(piece.length).toBeLessThan(200_000);
  });
});

describe("config check", () => {
  test("reads the UCI file that the configuration names, and shows its mistakes", async () => {
    const uci = join(folder, "mycoflow");
    const yaml = join(folder, "config.yaml");
    writeFileSync(yaml, `uci: ${uci}\n`);
    writeFileSync(uci, "config flow\n\toption sample_hz '7'\n");
    const good = await myco(["config", "check", yaml]);
    expect(JSON.parse(good.out)).toMatchObject({ flow: { sampleHz: 7 }, uci });
    writeFileSync(uci, "config flow\n\toption sample_hs '7'\n");
    const bad = await myco(["config", "check", yaml]);
    expect(bad.exitCode).toBe(2);
    expect(bad.err).toContain(
      'mycoflow:2:9: flow.sample_hs: unknown key "sample_hs"; did you mean',
    );
  });
});

describe("persona", () => {
  const rule = {
    id: 3,
    persona: "bulk",
    device: null,
    name: "example.org",
    port: null,
    service: null,
  };

  test("adds a rule of what was named, and nothing else", async () => {
    const { out, asked } = await ask(
      () => ({ body: { rule } }),
      [...["persona", "add", "bulk", "--name", "example.org"]],
    );
    expect(asked[0]).toMatchObject({ method: "POST", path: "/persona" });
    expect(JSON.parse(asked[0]!.body.toString())).toEqual({ persona: "bulk", name: "example.org" });
    expect(out).toBe("rule 3: bulk for example.org\n");
  });

  test("lists rules and deletes one", async () => {
    const list = await ask(() => ({ body: { rules: [rule] } }), ["persona", "list"]);
    expect(list.out).toMatch(/^3 +bulk +any +example\.org +any +any$/m);
    const none = await ask(() => ({ body: { rules: [] } }), ["persona", "list"]);
    expect([none.out, none.err]).toEqual(["", expect.stringContaining("no rule yet")]);
    const gone = await ask(() => ({ body: { rule } }), ["persona", "delete", "3"]);
    expect(gone.asked[0]).toMatchObject({ method: "DELETE", path: "/persona/3" });
    expect(gone.out).toBe("rule 3 is deleted: bulk for example.org\n");
  });

  test("suggests the persona that was meant", async () => {
    const { exitCode, err } = await myco(["persona", "add", "gamign", "--port", "udp/1"]);
    expect(exitCode).toBe(2);
    expect(err).toContain('did you mean "gaming"?');
  });
});

describe("flows and devices", () => {
  test("are tables, and JSON on demand", async () => {
    const flows = await ask(router, ["flow", "flows", "-n", "5"]);
    expect(flows.asked[0]?.path).toBe("/flow/flows?limit=5");
    expect(flows.out).toMatch(/^voip +voip_call +92 % +payload +2\.0 KiB/m);
    const device = {
      ...{ address: "192.168.1.7", mac: null, persona: "voip", flowCount: 1 },
      ...{ uploadBytes: 1, downloadBytes: 2 },
    };
    const answer: Answerer = () => ({ body: { devices: [device] } });
    const devices = await ask(answer, ["flow", "devices"]);
    expect(devices.out).toMatch(/^192\.168\.1\.7 +- +voip +1 +2 B +1 B$/m);
    expect(JSON.parse((await ask(answer, ["flow", "devices", "--json"])).out)).toEqual([device]);
  });
});

describe("the status of a router in no cluster", () => {
  const body = {
    version: "0.1.0",
    process: { pid: 1, residentBytes: 1024 * 1024, loopLagMs: 0 },
    health: { ok: false, problems: [{ code: "flow-impaired", message: "flow: no line" }] },
    flow: { mode: "active", phase: "waiting", device: "wan", problem: "no line" },
    node: { hostname: "router", startedAtMs: 0, uptimeMs: 61_000 },
    cluster: null,
  };

  test("says so", async () => {
    const { out } = await ask(() => ({ body }), ["status"]);
    expect(out).toMatch(/^cluster +none: the mesh is off$/m);
    expect(out).toMatch(/^flow +active on wan, waiting; see "myco flow status"$/m);
    expect(out).toContain("problem: flow: no line");
  });
});
